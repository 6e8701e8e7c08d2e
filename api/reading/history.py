"""What a paper was at any moment of the log, and every entry by which it became what it is."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from litestar import route
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import QueryParameter
from litestar.response.base import ASGIResponse

from api.addresses import served
from api.answers import JSON, Answer
from api.caching import IMMUTABLE, SHORT
from api.documented import ELSEWHERE, METHODS, RECORDS, answers, operation
from api.parts import Parts
from api.reading import papers
from api.reading.log_documents import judged_now
from api.reading.names import Asked, caught_up, elsewhere, found, is_as_written, is_suffix, missing
from api.reading.papers import Papers
from api.reading.parameters import Name, WaitFor, optional_whole, whole
from ledger.errors import InvalidFieldError, NotFoundError
from ledger.keyring import microseconds
from ledger.records import check_time
from projections import queries
from projections.judged import Judgement

LIMIT: Final = 50
MAX_LIMIT: Final = 200

_DIGITS: Final = re.compile(r"[0-9]+")
_CURSOR: Final = re.compile(r"history/1 [A-Z2-7]{26} ([0-9]{1,16})")
_NAMED: Final = (HTTPStatus.MULTIPLE_CHOICES, HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)

AsOf = Annotated[
    str,
    QueryParameter(
        description="A number of entries, or a time: the record as it was when the log had so many entries, or at that "
        "time by the log's clock. Left out: as it is.",
        schema_extra={"pattern": "^([0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)$"},
        examples=[Example(value="508"), Example(value="2026-06-19T16:12:24Z")],
    ),
]
Cursor = Annotated[str, QueryParameter(description="Where the last page ended, as its `next` has it.")]
Limit = Annotated[
    str,
    QueryParameter(
        description=f"How many entries a page has at most; {LIMIT} if left out.",
        schema_extra={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
        examples=[Example(value=LIMIT)],
    ),
]


class HistoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One entry and what became of it; `received_at` in microseconds since 1970, UTC.

    `event` is the signed event; while it is held, without its payload.
    """

    position: int
    received_at: int
    status: str
    reason: str
    event: dict[str, Any]


class HistoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Entries about one paper in order of position; `next` is the address of the page after this one, if any."""

    pith_number: str
    entries: list[HistoryRow]
    next: str | None


@dataclass(frozen=True, slots=True)
class _Moment:
    """A number of entries; `is_past` says that nothing appended from now on can belong below it."""

    size: int
    is_past: bool


def history_handlers(parts: Parts, papers_known: Papers) -> list[HTTPRouteHandler]:
    """Return the routes of a paper's record at any moment, and of its history."""

    @route(
        "/api/records/{suffix:str}",
        http_method=METHODS,
        summary="A paper's record, now or as it was",
        operation_id=operation("getRecord"),
        tags=[RECORDS],
        responses=answers(
            "The record document (schema: `/schemas/pith-number/v1.json`).",
            dict[str, Any],
            *_NAMED,
            HTTPStatus.SERVICE_UNAVAILABLE,
            further=ELSEWHERE,
        ),
    )
    async def record(request: Asked, suffix: Name, as_of: AsOf = "", wait_for: WaitFor = "") -> ASGIResponse:
        """Return the record document of a paper.

        As of a moment of the past it never changes, and may be kept for ever.
        """
        await caught_up(parts, optional_whole(wait_for, "wait_for"))
        if not as_of:
            return await papers_known.give(request, suffix, papers.RECORD, "/api/records/{}")
        if not (is_suffix(suffix) and is_as_written(request)):
            return await elsewhere(parts, request, suffix, "/api/records/{}")
        return (await asyncio.to_thread(_record_as_of, parts, suffix, as_of)).to(request)

    @route(
        "/api/records/{suffix:str}/events",
        http_method=METHODS,
        summary="Every entry about a paper",
        operation_id=operation("getHistory"),
        tags=[RECORDS],
        responses=answers(
            "A page of its history.", HistoryPage, *_NAMED, HTTPStatus.SERVICE_UNAVAILABLE, further=ELSEWHERE
        ),
    )
    async def history(
        request: Asked, suffix: Name, cursor: Cursor = "", limit: Limit = "", wait_for: WaitFor = ""
    ) -> ASGIResponse:
        """Return the entries about a paper in order, each with its exact event and what became of it.

        The payload of an event that is held is left out. The log itself (`/api/events`, `/tile/entries/…`) is public
        and has every event whole.
        """
        await caught_up(parts, optional_whole(wait_for, "wait_for"))
        count = whole(limit, "limit", 1, MAX_LIMIT) if limit else LIMIT
        if not (is_suffix(suffix) and is_as_written(request)):
            return await elsewhere(parts, request, suffix, "/api/records/{}/events")
        after = _read_cursor(cursor, suffix) if cursor else -1
        return (await asyncio.to_thread(_history, parts, suffix, after, count)).to(request)

    return [record, history]


def _record_as_of(parts: Parts, suffix: str, as_of: str) -> Answer:
    moment = _moment(parts, as_of)
    sight = parts.present.sight
    subject = found(parts, suffix).subject
    registry = sight.registry if moment.size <= sight.size else parts.store.registry()
    try:
        document = queries.record_as_of(parts.store, subject, moment.size, registry)
    except NotFoundError as error:
        raise missing(error.message) from None
    content = msgspec.json.encode(served(document, parts.settings.base_url))
    return Answer(content, JSON, IMMUTABLE if moment.is_past else SHORT)


def _moment(parts: Parts, as_of: str) -> _Moment:
    """Read a number of entries or a time; a time that lies ahead is now.

    Raises:
        InvalidFieldError: it is neither, or more entries than there are.
    """
    head = parts.store.head().size
    if _DIGITS.fullmatch(as_of):
        size = whole(as_of, "as_of")
        if size > head:
            raise InvalidFieldError(f"the log has {head} entries", place="as_of", cure="give that many or fewer")
        return _Moment(size, True)
    check_time(as_of, "as_of")
    size = parts.store.size_at(microseconds(as_of))
    # Where an entry was received later already, none can be received earlier any more.
    return _Moment(size, size < head)


def _history(parts: Parts, suffix: str, after: int, count: int) -> Answer:
    judged = judged_now(parts, suffix, parts.present.sight)
    positions = [judgement.entry.position for judgement in judged.judgements]
    if after != -1 and after not in positions:
        raise _bad_cursor()
    start = positions.index(after) + 1 if after != -1 else 0
    page = judged.judgements[start : start + count]
    address = None
    if start + count < len(positions):
        cursor = _write_cursor(suffix, page[-1].entry.position)
        address = f"/api/records/{suffix}/events?cursor={cursor}&limit={count}"
    found = HistoryPage(pith_number=judged.subject, entries=[_row(judgement) for judgement in page], next=address)
    return Answer(msgspec.json.encode(found), JSON, SHORT, {"link": f'<{address}>; rel="next"'} if address else None)


def _row(judgement: Judgement) -> HistoryRow:
    entry, fate = judgement.entry, judgement.verdict
    event: Any = msgspec.Raw(entry.event.raw)
    if fate.status == "held":
        event = {name: value for name, value in entry.event.value.items() if name != "payload"}
    return HistoryRow(
        position=entry.position, received_at=entry.received_at, status=fate.status, reason=fate.reason, event=event
    )


def _write_cursor(suffix: str, position: int) -> str:
    """Return where a page ended, as readers hand it back: base64url of a version, the paper and a position."""
    return base64.urlsafe_b64encode(f"history/1 {suffix} {position}".encode()).decode().rstrip("=")


def _read_cursor(text: str, suffix: str) -> int:
    """Return the position that a page ended at; raises InvalidFieldError for what no page of this paper gave."""
    try:
        written = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        raise _bad_cursor() from None
    stated = _CURSOR.fullmatch(written)
    if stated is None or _write_cursor(suffix, int(stated[1])) != text:
        raise _bad_cursor()
    return int(stated[1])


def _bad_cursor() -> InvalidFieldError:
    return InvalidFieldError("this is no cursor of this history", place="cursor", cure="begin without one")
