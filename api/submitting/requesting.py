"""What people ask of the registry instead of showing it themselves: to stamp a paper's record, to preserve a copy.

Both are forms that leave the proof out. Nothing is signed for whoever asks: what the registry's own jobs find is
appended under its own name. Everything here is for worker threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Literal

import msgspec
from litestar import Request, Response
from msgspec import UNSET

from api.answers import JSON
from api.parts import Parts
from api.problems import SECURITY_HEADERS, NotOfferedError
from api.submitting import idempotency
from api.submitting.fetchable import fetchable
from api.submitting.requested import Kind, ask
from api.submitting.stating import attempt_of, paper_of
from ledger.errors import InvalidFieldError
from ledger.payloads import Url
from projections import queries
from projections.judged import Judged
from projections.status import own_anchors


class StampRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An empty form asks the registry itself to have the paper's canonical record stamped now."""


class PreserveRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A form with `url` alone asks the registry itself to fetch what lies there, and to keep a copy."""

    url: Url


Wanted = StampRequest | PreserveRequest
Standing = Literal["owed", "pending", "anchored"]

REQUESTS: Final[Mapping[str, type[Wanted]]] = {
    "timestamp_anchor": StampRequest,
    "storage_attestation": PreserveRequest,
}
"""What may be asked for, by the event type that comes of it."""

MESSAGES: Final[Mapping[Standing, str]] = {
    "owed": "the registry will have the canonical hash of this record stamped by its timestamp services; each proof is "
    "appended as an event about this paper, at first as `pending` where a service takes its time",
    "pending": "this registry has had the record stamped already: a timestamp service has promised a proof, which is "
    "appended as soon as it is there",
    "anchored": "this registry has had the record stamped already, and the proof is in the log",
}
WILL_PRESERVE: Final = (
    "the registry will fetch this address and keep a copy where it keeps copies; what became of it is appended as an "
    "event about this paper, and nothing where it could not be fetched"
)


class RequestAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a request: `owed` is still to be done, `pending` is promised, `anchored` is done already."""

    status: Standing
    message: str
    status_address: str


def wanted_in(event_type: str, value: Mapping[str, Any]) -> Wanted | None:
    """Return what a decoded JSON object asks for; None where it is a form that says something by itself.

    As in forms, null and empty text say nothing.

    Raises:
        InvalidFieldError: an address is asked for, and this is none.
    """
    said = {name: item for name, item in value.items() if item not in (None, "")}
    if event_type == "timestamp_anchor" and not said:
        return StampRequest()
    if event_type == "storage_attestation" and said.keys() == {"url"}:
        try:
            return msgspec.convert(said, PreserveRequest)
        except msgspec.ValidationError:
            raise InvalidFieldError("no address", place="url", cure="give https://HOST/PATH") from None
    return None


def take(request: Request[Any, Any, Any], parts: Parts, suffix: str, wanted: Wanted) -> Response[bytes]:
    """Put down what somebody asks for about the paper with a suffix, or with one that begins so.

    Raises:
        NotFoundError, AmbiguousError: the suffix is that of no paper, or begins several.
        NotOfferedError: this registry does not do that.
        RefusedError: the address is on a host it does not fetch from, too many requests wait, the asker is not let
            in, or the key was sent with another form.
        InvalidFieldError: the address is none that can be fetched.
    """
    subject = paper_of(parts, suffix)
    match wanted:
        case StampRequest():
            answer = _stamp(request, parts, subject, wanted)
        case PreserveRequest():
            answer = _preserve(request, parts, subject, wanted)
    status = HTTPStatus.ACCEPTED if answer.status == "owed" else HTTPStatus.OK
    headers = {"content-type": JSON, "cache-control": "no-store", **SECURITY_HEADERS}
    return Response(msgspec.json.encode(answer), status_code=status, headers=headers)


def _stamp(request: Request[Any, Any, Any], parts: Parts, subject: str, wanted: StampRequest) -> RequestAnswer:
    if not parts.settings.stamps:
        raise NotOfferedError(
            "this registry has no timestamp service to stamp a record with",
            cure="have its canonical_sha256 stamped yourself, and send method, service and proof_b64",
        )
    _once(request, parts, subject, "timestamp_anchor", wanted)
    size = parts.store.head().size
    standing = _standing(queries.judged_as_of(parts.store, subject, size, parts.present.registry_at(size)))
    if standing == "owed":
        _ask(parts, "timestamp", subject, "")
    return _answer(parts, subject, standing, MESSAGES[standing])


def _preserve(request: Request[Any, Any, Any], parts: Parts, subject: str, wanted: PreserveRequest) -> RequestAnswer:
    if not parts.settings.preserves:
        raise NotOfferedError(
            "this registry preserves no copies on request",
            place="url",
            cure="give sha256 and bytes of what lies there, and it is your own claim",
        )
    url = fetchable(wanted.url, parts.settings.preserves)
    _once(request, parts, subject, "storage_attestation", wanted)
    _ask(parts, "preserve", subject, url)
    return _answer(parts, subject, "owed", WILL_PRESERVE)


def _once(request: Request[Any, Any, Any], parts: Parts, subject: str, event_type: str, wanted: Wanted) -> None:
    """Hold an Idempotency-Key to the one request it was sent with; asked again, a request is the same by itself."""
    key = idempotency.read_key(request.headers.getall(idempotency.HEADER, []))
    _, attempt = attempt_of(request, parts, key, subject, event_type, msgspec.json.encode(wanted))
    if attempt is not None:
        idempotency.reserve(parts.private, attempt, parts.clock())


def _standing(judged: Judged) -> Standing:
    """Say how far the registry's own stamps of a record are; what others had stamped is not its doing."""
    ours = [
        entry
        for entry in judged.counted("timestamp_anchor")
        if entry.event.signer.signer_type == "pith_registry" and entry.event.signer.on_behalf_of is UNSET
    ]
    positions = {entry.position for entry in ours}
    confirmed = sum(entry.position in positions for entry in own_anchors(judged).values())
    if confirmed >= judged.registry.independent_clocks(judged.before):
        return "anchored"
    answered = {entry.event.payload.upgrades for entry in ours}
    promised = (entry for entry in ours if entry.event.payload.status == "pending")
    return "pending" if any(entry.event.id_text not in answered for entry in promised) else "owed"


def _ask(parts: Parts, kind: Kind, subject: str, url: str) -> None:
    ask(parts.private, kind, subject[10:], url, parts.clock(), parts.random)


def _answer(parts: Parts, subject: str, standing: Standing, message: str) -> RequestAnswer:
    address = f"{parts.settings.base_url}/pith/{subject[10:]}.json"
    return RequestAnswer(status=standing, message=message, status_address=address)
