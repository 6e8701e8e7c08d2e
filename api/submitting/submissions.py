"""`POST /api/events`: one signed event, or up to a thousand as JSON lines; answered when they are durable.

The event's own signature says who sent it, so nothing else is asked for. The same event again, from anybody at any
time, is the same entry: 200 instead of 201.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Operation

from api.documented import Problem
from api.front.logs import noted
from api.front.metrics import APPENDED, KNOWN, counted
from api.front.rates import charge
from api.parts import Parts
from api.problems import (
    PROBLEM_TYPE,
    SECURITY_HEADERS,
    NotOfferedError,
    UnsupportedMediaError,
    kind_of,
    places,
    status_of,
)
from api.submitting.intake import Answered, Intake, Result
from ledger import canonical
from ledger.appending import Submission
from ledger.commitments import Disclosure
from ledger.errors import InvalidFieldError, LedgerError, SubmissionError, TooLargeError
from ledger.events import from_decoded, parse_quickly
from ledger.store import Store

MAX_LINES: Final = 1_000
MAX_LINE_BYTES: Final = canonical.MAX_EVENT_BYTES + 64 * 1024
"""An event with the private texts beside it."""

MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
JSON: Final = "application/json"
SEVERAL: Final = "send them in several requests"
LINES: Final = ("application/x-ndjson", "application/jsonl")

Asked = Request[Any, Any, Any]

_HASH: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_EXAMPLE: Final = {
    "schema": "pith-event/1",
    "event_type": "citation_signature",
    "subject_pith_number": "pith:2026:QKNOCXGU37VTEACJ427TX64VQJ",
    "target": "citation",
    "registry": None,
    "nonce": "AAAAAAAAAAAAAAAAAAAAAA",
    "created_at": "2026-06-19T16:12:24Z",
    "signer": {
        "signer_type": "contributor",
        "signer_id": "orcid:0000-0002-1825-0097",
        "key_id": _HASH,
        "public_key_fingerprint": _HASH[:32],
    },
    "payload": {"citing": "arxiv:2605.25619", "relationship": "supports"},
    "event_id": f"sha256:{_HASH}",
    "signature_b64": "A" * 86 + "==",
}


class _Wrapped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event with the private texts that it commits to, by their paths in the payload."""

    event: dict[str, Any]
    disclosures: dict[str, Disclosure] = {}


class Submitted(msgspec.Struct, frozen=True):
    """Where an event stands: `received_at` in microseconds, `receipt` null while no checkpoint can be signed."""

    event_id: str
    position: int
    received_at: int
    created: bool
    receipt: dict[str, Any] | None


class _Taking(Operation):
    """The bodies that are taken, which the framework cannot know: they are read here, and strictly."""

    def to_schema(self) -> dict[str, Any]:
        schema = {"type": "object", "description": "A signed event (`/schemas/pith-event/v1.json`)"}
        wrapped = {
            "type": "object",
            "required": ["event"],
            "properties": {"event": schema, "disclosures": {"type": "object"}},
        }
        content: dict[str, Any] = {JSON: {"schema": {"anyOf": [schema, wrapped]}, "example": _EXAMPLE}}
        content[LINES[0]] = {"schema": {"type": "string", "description": "One of these a line, at most 1,000"}}
        return {**super().to_schema(), "requestBody": {"required": True, "content": content}}


def submission_handlers(parts: Parts) -> list[HTTPRouteHandler]:
    """Return the route that takes signed events."""

    @post(
        "/api/events",
        request_max_body_size=MAX_BATCH_BYTES,
        summary="Submit one signed event, or up to 1,000 as JSON lines",
        operation_id="submitEvents",
        operation_class=_Taking,
        tags=["events"],
        responses={
            HTTPStatus.CREATED: ResponseSpec(
                Submitted, description="It is in the log, with its receipt.", generate_examples=False
            ),
            HTTPStatus.OK: ResponseSpec(
                Submitted,
                description="It was in the log already. JSON lines: an answer or a problem for each, in order.",
                generate_examples=False,
            ),
            **{status: _problem(said) for status, said in _REFUSALS.items()},
        },
    )
    async def submit(request: Asked) -> Response[bytes]:
        """Append signed events; the answer comes once they are on the disk, with the receipt of each.

        Private texts go beside their event: `{"event": …, "disclosures": {path: {"salt", "text"}}}`. The same event
        again is the same entry; its receipt may then be under a newer checkpoint. Of JSON lines, those that are
        refused keep nothing else out: each line of the answer has an entry, or a problem with its `type` and `detail`.
        """
        intake = intake_of(parts)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in LINES:
            body = await request.body()
            # Counted before anything else, and charged for by the line, empty ones too.
            if (count := body.count(b"\n") + 1) > MAX_LINES + 1:
                raise TooLargeError(f"{count} lines, at most {MAX_LINES} are taken", cure=SEVERAL)
            charge(request, count - 1)
            lines = split(body)
            results = await asyncio.to_thread(_append_lines, parts.store, intake, lines)
            note(request, results)
            said = b"".join(_line(result) + b"\n" for result in results)
            return _answer(HTTPStatus.OK, said, LINES[0])
        if kind != JSON:
            raise UnsupportedMediaError(
                f"{kind[:80] or 'no content type'} is not read here", cure=f"send {JSON}, or {LINES[0]}"
            )
        return await submit_one(request, parts, submission_of(await request.body()))

    return [submit]


_REFUSALS: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "The bytes are no event's; `type` names the rule and `place` the field.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "It is larger than an event, or a request, may be.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: f"It is neither {JSON} nor {LINES[0]}.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A rule refuses it: a signature, a key, a record that is not there, …",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many from one client; `Retry-After` says when to go on.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The log cannot be written to at present; nothing was stored.",
}


def _problem(said: str) -> ResponseSpec:
    return ResponseSpec(Problem, description=said, media_type=PROBLEM_TYPE, generate_examples=False)


def intake_of(parts: Parts) -> Intake:
    """Return what takes submissions; raises NotOfferedError on a mirror."""
    if parts.intake is None:
        raise NotOfferedError("this is a mirror, which takes nothing of its own", cure="send it to the registry itself")
    return parts.intake


async def submit_one(request: Asked, parts: Parts, submission: Submission) -> Response[bytes]:
    """Append one event, and answer when it is durable: 201, or 200 where the log had it already.

    Raises:
        SubmissionError: why it is refused.
        StoreError: the log cannot be written to.
    """
    try:
        answered = await intake_of(parts).submit(parts.store.verify(submission))
    except SubmissionError as error:
        note(request, [error])
        raise
    note(request, [answered])
    return answer_of(answered)


def submission_of(body: bytes) -> Submission:
    """Read one event from JSON text, bare or as `{"event": …, "disclosures": {path: {salt, text}}}`.

    Raises:
        MalformedError: the text is no event's.
    """
    if (event := parse_quickly(body)) is not None:
        return Submission(event)
    value = canonical.decode(body, max_bytes=MAX_LINE_BYTES)
    if not isinstance(value, dict) or "event" not in value:
        return Submission(from_decoded(value))
    try:
        wrapped = msgspec.convert(value, _Wrapped)
    except msgspec.ValidationError as error:
        raise InvalidFieldError(str(error)[:200], cure="send the event, or {event, disclosures}") from None
    return Submission(from_decoded(wrapped.event), wrapped.disclosures)


def answer_of(answered: Answered) -> Response[bytes]:
    """Answer one appended event."""
    status = HTTPStatus.CREATED if answered.appended.created else HTTPStatus.OK
    return _answer(status, answered.to_json(), JSON)


def note(request: Asked, results: list[Result]) -> None:
    """Count submissions by what became of them, and have the request's line in the log say so."""
    for result in results:
        if isinstance(result, Answered):
            counted(request, APPENDED if result.appended.created else KNOWN)
        else:
            counted(request, result.code)
    appended = [result.appended.entry.event.id_text for result in results if isinstance(result, Answered)]
    if len(results) == 1:
        noted(request, **({"event_id": appended[0]} if appended else {}))
    else:
        noted(request, events=len(appended), refused=len(results) - len(appended))


def split(body: bytes) -> list[bytes]:
    """Return the lines of a body, the empty ones left out.

    Raises:
        TooLargeError: more than a thousand.
        InvalidFieldError: none at all.
    """
    lines = [line for line in body.splitlines() if line.strip()]
    if len(lines) > MAX_LINES:
        raise TooLargeError(f"{len(lines)} lines, at most {MAX_LINES} are taken", cure=SEVERAL)
    if not lines:
        raise InvalidFieldError("there is no line in it", cure="send one event a line")
    return lines


def _append_lines(store: Store, intake: Intake, lines: list[bytes]) -> list[Result]:
    """Append events together; return what became of each, in order."""
    checked: list[Submission | SubmissionError] = []
    for line in lines:
        try:
            checked.append(store.verify(submission_of(line)))
        except SubmissionError as error:
            checked.append(error)
    good = [submission for submission in checked if isinstance(submission, Submission)]
    results = iter(intake.append_all(good) if good else [])
    return [submission if isinstance(submission, SubmissionError) else next(results) for submission in checked]


def _line(result: Result) -> bytes:
    return result.to_json() if isinstance(result, Answered) else _problem_line(result)


def _problem_line(error: LedgerError) -> bytes:
    facts = {"type": kind_of(error), "status": status_of(error).value, "detail": error.message, **places(error)}
    return msgspec.json.encode(facts)


def _answer(status: HTTPStatus, body: bytes, kind: str) -> Response[bytes]:
    headers = {"content-type": kind, "cache-control": "no-store", **SECURITY_HEADERS}
    return Response(body, status_code=status, headers=headers)
