"""What waits for moderators, their decisions, and the private texts that may be read.

    GET  /api/moderation/queue            what is held, oldest first; payloads and texts for moderators only
    POST /api/moderation/{event_id}       a signed decision about one event, as /api/events takes it too
    GET  /api/events/{event_id}/texts     the texts behind an event's commitments, while it counts

A text is shown only once somebody answers for it: a moderator who accepted the event, or a policy that holds nothing
of its kind. So the reasons of withdrawals and of key revocations, which count at once and cannot be redacted, are
kept and not shown.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, post, route
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter, RawBody

from api.admin.tokens import SCHEME as BEARER
from api.admin.tokens import operator_of
from api.caching import SHORT, cached
from api.documented import METHODS, operation
from api.identity.key_requests import authenticated
from api.parts import Parts
from api.problems import SECURITY_HEADERS, ForbiddenError, RefusedError
from api.reading.parameters import EventId, event_id_of, optional_whole, whole
from api.submitting.actions import JSON, check_json, refusals
from api.submitting.submissions import MAX_LINE_BYTES, intake_of, submission_of, submit_one
from ledger.commitments import PRIVATE_FIELDS, Disclosure
from ledger.errors import InvalidFieldError, ProjectionBehindError
from ledger.events import MODERATED, Entry
from ledger.times import instant
from projections.moderation import STATUSES, Moderated, fate_of, with_status
from projections.queries import judged_as_of

MAX_LIMIT: Final = 100

Asked = Request[Any, Any, Any]


class GoneError(RefusedError):
    """It was here, and was taken away for good."""

    code = "gone"
    status = HTTPStatus.GONE


class Waiting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One statement; `payload` and `texts` ({path: {salt, text}}) stand only in a moderator's view."""

    event_id: str
    event_type: str
    subject: str
    target: str
    position: int
    received_at: str
    status: str
    signer: dict[str, Any]
    payload: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    texts: dict[str, Disclosure] | msgspec.UnsetType = msgspec.UNSET


class Queue(msgspec.Struct, frozen=True):
    """Statements of one status in order of position; `next_cursor` leads to the next ones, null at the end."""

    status: str
    events: list[Waiting]
    next_cursor: str | None


def moderation_handlers(parts: Parts) -> list[HTTPRouteHandler]:
    """Return the routes of moderation."""

    @route(
        "/api/moderation/queue",
        http_method=METHODS,
        sync_to_thread=True,
        summary="What waits for a moderator",
        operation_id=operation("getModerationQueue"),
        tags=["moderation"],
        responses={
            HTTPStatus.OK.value: ResponseSpec(Queue, generate_examples=False, description="A page of statements."),
            **refusals(HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN),
        },
    )
    def queue(
        request: Asked,
        cursor: Annotated[str, QueryParameter(description="The `next_cursor` of the page before.")] = "",
        limit: Annotated[str, QueryParameter(description=f"How many, 1 to {MAX_LIMIT}.")] = "50",
        status: Annotated[str, QueryParameter(description=f"One of {', '.join(STATUSES)}.")] = "held",
    ) -> Response[bytes]:
        """List statements by what became of them, oldest first.

        Everybody sees that they exist. A moderator, who signs the request with their key, and an operator with a token
        see what they say, too.
        """
        after, most = optional_whole(cursor, "cursor"), whole(limit, "limit", 1, MAX_LIMIT)
        if status not in STATUSES:
            raise InvalidFieldError(
                f"{status[:40]!r} is no status", place="status", cure=f"one of {', '.join(STATUSES)}"
            )
        sees_all = _sees_all(request, parts)
        found = with_status(parts.projections, status, -1 if after is None else after, most + 1)
        page = found[:most]
        rows = _whole(parts, page) if sees_all else [_row(moderated) for moderated in page]
        content = msgspec.json.encode(Queue(status, rows, str(page[-1].position) if len(found) > most else None))
        if sees_all:
            return _private(content)
        answer = cached(request, content, JSON, SHORT)
        answer.headers["vary"] = "authorization"
        return answer

    @post(
        "/api/moderation/{event_id:str}",
        request_max_body_size=MAX_LINE_BYTES,
        summary="Decide on a statement",
        operation_id="decide",
        tags=["moderation"],
        responses=refusals(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
    )
    async def decide(request: Asked, event_id: EventId, body: RawBody) -> Response[bytes]:
        """Append a moderator's signed decision: `accepted`, `rejected` or `redacted`.

        It is the same as sending the event to `/api/events`, but that it must be about the event in the address.
        """
        check_json(request)
        intake_of(parts)
        asked = event_id_of(event_id)
        submission = submission_of(body)
        event = submission.event
        if event.event_type != "moderation_decision":
            cure = "send it to /api/events"
            raise InvalidFieldError("this address takes moderation_decision", place="event_type", cure=cure)
        if event.target != f"sha256:{asked.hex()}":
            raise InvalidFieldError("the decision is about another event", place="target")
        return await submit_one(request, parts, submission)

    @route(
        "/api/events/{event_id:str}/texts",
        http_method=METHODS,
        sync_to_thread=True,
        summary="The private texts of an event",
        operation_id=operation("getTexts"),
        tags=["moderation"],
        responses={
            HTTPStatus.OK.value: ResponseSpec(
                dict[str, Disclosure],
                generate_examples=False,
                description="By path in the payload; {} where none is kept.",
            ),
            **refusals(HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE),
        },
    )
    def texts(event_id: EventId) -> Response[bytes]:
        """Show the texts that an event commits to, with the salts by which anybody can check them.

        They are shown while the event counts: not while it is held, and never again once a moderator redacted it.
        """
        entry = parts.store.find(event_id_of(event_id))
        _check_readable(parts, entry)
        return _private(msgspec.json.encode(parts.store.disclosures([entry.position]).get(entry.position, {})))

    return [queue, decide, texts]


def _sees_all(request: Asked, parts: Parts) -> bool:
    """Say whether a moderator or an operator asks.

    Raises:
        UnauthorizedError, ForbiddenError: there are credentials, and they do not hold.
    """
    given = request.headers.get("authorization")
    if given is None:
        return False
    if given.partition(" ")[0].lower() == BEARER.lower():
        operator_of(request, parts)
    else:
        authenticated(request, parts, ("moderator",))
    return True


def _row(found: Moderated) -> Waiting:
    return Waiting(
        event_id=found.event_id,
        event_type=found.event_type,
        subject=found.subject,
        target=found.target,
        position=found.position,
        received_at=instant(found.received_at),
        status=found.status,
        signer=found.signer,
    )


def _whole(parts: Parts, page: list[Moderated]) -> list[Waiting]:
    """Return rows with all that a moderator decides on."""
    texts = parts.store.disclosures([found.position for found in page])
    return [
        msgspec.structs.replace(
            _row(found),
            payload=parts.store.find(bytes.fromhex(found.event_id[7:])).event.value["payload"],
            texts=texts.get(found.position, {}),
        )
        for found in page
    ]


def _check_readable(parts: Parts, entry: Entry) -> None:
    """Refuse what may not be read; raises ForbiddenError, GoneError, or ProjectionBehindError."""
    event = entry.event
    if event.event_type in MODERATED:
        found = fate_of(parts.projections, event.id_text)
        if found is None:
            raise ProjectionBehindError("what became of this event is not known yet")
        # The projections may be behind the log, which decides.
        sight = parts.present.sight
        judged = judged_as_of(parts.store, event.subject, sight.size, sight.registry)
        by_now = next((j.verdict.status for j in judged.judgements if j.entry.position == entry.position), found.status)
        _check_status(by_now)
    elif event.event_type == "moderation_decision":
        if parts.present.sight.registry.keys.is_cut(event.signer.key_id, entry.position, entry.received_at):
            _check_status("revoked")
    elif event.event_type in PRIVATE_FIELDS:
        raise ForbiddenError(f"the texts of {event.event_type} are shown to nobody", place="event_id")


def _check_status(status: str) -> None:
    match status:
        case "counted":
            return
        case "held":
            cure = "look again once a moderator has accepted it"
            raise ForbiddenError("the event is held, and so are its texts", place="event_id", cure=cure)
        case "redacted" | "withdrawn":
            raise GoneError(f"the event was {status}", place="event_id")
    why = "a moderator rejected it" if status == "rejected" else "its signer's key was revoked"
    raise ForbiddenError(f"the event does not count: {why}", place="event_id")


def _private(content: bytes) -> Response[bytes]:
    """Answer with what no cache may keep: it may be redacted at any moment."""
    return Response(content, headers={"content-type": JSON, "cache-control": "no-store", **SECURITY_HEADERS})
