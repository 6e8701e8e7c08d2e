"""`POST /pith/{suffix}/action/…`: statements about one paper, as signed events or as plain forms.

Whoever has a key sends a signed event, as to `/api/events`. Whoever has none sends a form: the registry signs it on
their behalf, and it is held until a moderator has looked at it. A form that leaves the proof out asks the registry to
see to it (`requesting`). Bodies are `application/json` and nothing else, which
no page of another site can send without asking first (Fetch Standard, CORS-preflight), and asking is not granted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import HeaderParameter, PathParameter, RawBody
from msgspec import UNSET, UnsetType

from api.documented import Problem
from api.identity.bodies import taking
from api.identity.persons import PERSON_HEADER
from api.parts import Parts
from api.problems import PROBLEM_TYPE, UnsupportedMediaError
from api.submitting import forms, idempotency, requesting
from api.submitting.requesting import RequestAnswer
from api.submitting.stating import state
from api.submitting.submissions import MAX_LINE_BYTES, intake_of, submission_of, submit_one
from ledger import canonical
from ledger.appending import Submission
from ledger.errors import InvalidFieldError, NotJsonError
from ledger.subjects import parse_suffix

JSON: Final = "application/json"
Asked = Request[Any, Any, Any]

HASH: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
ACTIONS: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "timestamp_anchor": (
        "Show that an outside clock has seen a paper's record",
        {"method": "opentimestamps", "service": "https://calendar.example.org", "proof_b64": "AE9wZW5UaW1lc3RhbXBz"},
    ),
    "storage_attestation": (
        "Say where a copy of a paper is kept",
        {"url": "https://web.archive.org/web/2026/https://arxiv.org/abs/2605.25619", "sha256": HASH, "bytes": 421_337},
    ),
    "author_attestation": (
        "Say that a paper is your own",
        {"author_name": "Josiah Carberry", "author_position": 1, "statement": "I wrote this paper."},
    ),
    "citation_signature": (
        "Say what another paper makes of this one",
        {"citing": "arXiv:2605.25619", "relationship": "supports", "quote": "Table 3 shows it."},
    ),
    "replication_record": (
        "Say what came out when you tried",
        {
            "kind": "replication",
            "outcome": "reproduced",
            "artefacts": [{"url": "https://example.org/replication.tar.gz", "sha256": HASH}],
        },
    ),
    "challenge": (
        "Doubt a claim, or what somebody said about a paper",
        {"target": f"sha256:{HASH}", "about": "Table 3", "text": "The third row is off by one."},
    ),
    "challenge_response": (
        "Answer a challenge",
        {"target": f"sha256:{HASH}", "about": "Table 3", "text": "The rows are counted from nought."},
    ),
    "withdrawal": ("Take back what you said", {"target": f"sha256:{HASH}", "reason": "I mistook the paper."}),
}
"""What may be said about a paper without a key: in a few words, and an example of its form."""


class ActionAnswer(msgspec.Struct, frozen=True):
    """What became of an event; `received_at` in microseconds, `receipt` null until a checkpoint covers it.

    From `status` on, only a form is answered with it; with `person` only one from somebody new.
    """

    event_id: str
    position: int
    received_at: int
    created: bool
    receipt: dict[str, Any] | None
    status: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    status_address: str | UnsetType = UNSET
    receipt_address: str | UnsetType = UNSET
    person: str | UnsetType = UNSET
    person_message: str | UnsetType = UNSET


def refusals(*statuses: HTTPStatus) -> dict[int, ResponseSpec]:
    """Return how some refusals are documented."""
    return {
        status.value: ResponseSpec(
            Problem,
            generate_examples=False,
            description=status.description or status.phrase,
            media_type=PROBLEM_TYPE,
        )
        for status in statuses
    }


def action_handlers(parts: Parts) -> list[HTTPRouteHandler]:
    """Return the routes by which something is said about a paper, one for each of `ACTIONS`."""
    return [_handler(parts, event_type) for event_type in ACTIONS]


def check_json(request: Asked) -> None:
    """Refuse a body of another kind than JSON, so that browsers ask before they send another site's."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise UnsupportedMediaError(f"{kind[:80] or 'no content type'} is not read here", cure=f"send {JSON}")


_ASKED: Final = (
    "It is done by the registry's jobs (202) where this registry offers it, else refused (501); the same request again "
    "is the same while it is open. A timestamp that is promised or there already is answered with 200."
)
_EITHER: Final[Any] = ActionAnswer | RequestAnswer
_ACCEPTED: Final = {
    HTTPStatus.ACCEPTED.value: ResponseSpec(
        RequestAnswer, generate_examples=False, description="The registry's jobs will do it."
    )
}


def _handler(parts: Parts, event_type: str) -> HTTPRouteHandler:
    summary, example = ACTIONS[event_type]
    wanted = requesting.REQUESTS.get(event_type)
    instead = f"\n\n{wanted.__doc__} {_ASKED}" if wanted else ""

    @post(
        f"/pith/{{suffix:str}}/action/{event_type}",
        request_max_body_size=MAX_LINE_BYTES,
        summary=summary,
        description=(
            f"{forms.FORMS[event_type].__doc__}\n\nTakes this form, or a signed `{event_type}` event about the paper "
            "(the event itself, or `{event, disclosures}`) as `/api/events` does. The answer to a form says what "
            "became of it and gives an anonymous sender the secret by which they can act again."
            f"{instead}"
        ),
        operation_id=f"act{event_type.title().replace('_', '')}",
        tags=["actions"],
        operation_class=taking(forms.FORMS[event_type], example, wanted),
        responses={
            HTTPStatus.CREATED.value: ResponseSpec(
                ActionAnswer, generate_examples=False, description="It is in the log, durably."
            ),
            HTTPStatus.OK.value: ResponseSpec(
                _EITHER if wanted else ActionAnswer,
                generate_examples=False,
                description="The log had this very event already" + (", or what is asked for." if wanted else "."),
            ),
            **(_ACCEPTED if wanted else {}),
            **refusals(
                HTTPStatus.BAD_REQUEST,
                HTTPStatus.FORBIDDEN,
                HTTPStatus.NOT_FOUND,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                HTTPStatus.UNPROCESSABLE_ENTITY,
                HTTPStatus.NOT_IMPLEMENTED,
                *((HTTPStatus.SERVICE_UNAVAILABLE,) if wanted else ()),
            ),
        },
    )
    async def act(
        request: Asked,
        suffix: Annotated[
            str,
            PathParameter(
                description="The suffix of a Pith Number, or at least its first 8 characters.",
                examples=[Example(value="QKNOCXGU37VTEACJ427TX64VQJ")],
            ),
        ],
        body: RawBody,
        key: Annotated[
            str | None,
            HeaderParameter(
                name=idempotency.HEADER,
                description="For forms: the same key and body again, within a day, are the same event.",
            ),
        ] = None,
        person: Annotated[
            str | None,
            HeaderParameter(
                name=PERSON_HEADER, description="For forms: the secret that an earlier answer gave as `person`."
            ),
        ] = None,
    ) -> Response[bytes]:
        check_json(request)
        intake_of(parts)
        value = _decoded(body)
        if "schema" in value or "event" in value:
            return await submit_one(request, parts, _signed(event_type, suffix, body))
        if (asked := requesting.wanted_in(event_type, value)) is not None:
            return await asyncio.to_thread(requesting.take, request, parts, suffix, asked)
        return await asyncio.to_thread(state, request, parts, event_type, suffix, value)

    return act


def _signed(event_type: str, suffix: str, body: bytes) -> Submission:
    """Read a signed event; raises MalformedError, also where it belongs to another address."""
    submission = submission_of(body)
    event = submission.event
    if event.event_type != event_type:
        cure = f"send it to /api/events, or to …/action/{event.event_type}"
        raise InvalidFieldError(f"this address takes {event_type}", place="event_type", cure=cure)
    named = parse_suffix(suffix)
    if named is None or not event.subject[10:].startswith(named):
        raise InvalidFieldError("the event is about another paper", place="subject_pith_number")
    return submission


def _decoded(body: bytes) -> dict[str, Any]:
    """Read a body strictly; raises MalformedError."""
    value = canonical.decode(body, max_bytes=MAX_LINE_BYTES)
    if not isinstance(value, dict):
        raise NotJsonError("the body is no JSON object", cure="send a signed event, or a form")
    return value
