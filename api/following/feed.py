"""`GET /api/events`: the log itself, entry by entry, as pages (JSON or JSON lines) or as a stream that stays open.

The log is public and so is its feed: every event is there with its exact bytes, also those that do not count, or not
yet. The private texts that they commit to are not in the log and never here.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import msgspec
from litestar import Request, route
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import HeaderParameter, QueryParameter
from litestar.response.base import ASGIResponse

from api.answers import JSON, Answer
from api.caching import IMMUTABLE, SHORT
from api.documented import METHODS, Problem, operation
from api.following.entries import Bounds, Stretch, read_stretch
from api.following.stream import EVENT_STREAM, EventStream, Streams
from api.parts import Parts
from api.problems import PROBLEM_TYPE, RefusedError
from api.reading.negotiation import asked_for
from api.reading.parameters import whole
from ledger.errors import InvalidFieldError
from ledger.events import TYPES
from ledger.store import Store

PATH: Final = "/api/events"
LINES: Final = "application/x-ndjson"
OFFERED: Final = (JSON, LINES, EVENT_STREAM)
"""The first is what those get who do not mind."""

LIMIT: Final = 100
MAX_LIMIT: Final = 1_000
MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
MAX_LOOKS: Final = 10_000
"""How many entries a page for one type goes through."""


Asked = Request[Any, Any, Any]


class BeyondHeadError(RefusedError):
    """A reader has seen more of a log than this one holds."""

    code = "beyond-head"
    default_cure = "this copy of the log is behind the one you read, or you read another log: compare their checkpoints"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One entry: `received_at` in microseconds since 1970, UTC; `event` is the signed event."""

    position: int
    received_at: int
    event: dict[str, Any]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Entries in order of position. `next` is what to give as `after` to read on.

    `head` is how many entries the log has; it is there where the page comes to the log's end, and only there.
    """

    entries: list[Row]
    next: int
    head: int | msgspec.UnsetType = msgspec.UNSET


_After = Annotated[
    str,
    QueryParameter(
        description="The position of the last entry you have; leave it out, or give -1, to begin with the first.",
        schema_extra={"type": "integer", "minimum": -1, "default": -1},
        examples=[Example(value=99)],
    ),
]
_Limit = Annotated[
    str,
    QueryParameter(
        description=f"How many entries a page has at most; {LIMIT} if left out. Streams have no end and no limit.",
        schema_extra={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": LIMIT},
        examples=[Example(value=LIMIT)],
    ),
]
_Type = Annotated[
    str,
    QueryParameter(
        description="Only entries of this event type.",
        schema_extra={"enum": list(TYPES)},
        examples=[Example(value="citation_signature")],
    ),
]
_LastEventId = Annotated[
    str,
    HeaderParameter(
        name="Last-Event-ID",
        description="For streams: the `id` of the last event you had; wins over `after`. Browsers send it themselves.",
        schema_extra={"type": "integer", "minimum": -1},
        examples=[Example(value=99)],
    ),
]


def feed_handlers(parts: Parts, streams: Streams) -> list[HTTPRouteHandler]:
    """Return the route of the feed."""

    @route(
        PATH,
        http_method=METHODS,
        operation_id=operation("readEvents"),
        tags=["log"],
        summary="Read the log, entry by entry",
        responses={
            200: ResponseSpec(
                Page,
                description=f"A page. With `Accept: {LINES}` one entry a line; with `Accept: {EVENT_STREAM}` a stream.",
                generate_examples=False,
                examples=[Example(value={"entries": [], "next": 507, "head": 508})],
            ),
            304: ResponseSpec(None, description="It is what the asker's `If-None-Match` names."),
            400: _problem("A parameter is malformed, or `after` lies beyond the head of the log."),
            406: _problem("None of the forms that the feed has is accepted."),
            503: _problem("Too many streams are open."),
        },
    )
    async def events(
        request: Asked, after: _After = "", limit: _Limit = "", type: _Type = "", last_event_id: _LastEventId = ""
    ) -> ASGIResponse:
        """Return the entries after a position, in order of position, with the exact signed events.

        A page that a bound ends (`limit`, about four megabytes, or ten thousand entries looked through for one type)
        never changes and may be cached for ever; its `Link` with `rel="next"` and its `next` lead on. The page that
        comes to the end of the log says so by its `head`.

        A stream (server-sent events) sends every entry after `Last-Event-ID` or `after` and then each new one as it
        is appended: `id` is the position, `event` is `entry`, `data` is the entry as one line of JSON.
        """
        form = asked_for(request, OFFERED)
        position, count = _position(after, "after"), whole(limit or str(LIMIT), "limit", 1, MAX_LIMIT)
        if type and type not in TYPES:
            raise InvalidFieldError(
                f"there is no event type {type[:40]!r}", place="type", cure=f"use one of {', '.join(TYPES)}"
            )
        if form == EVENT_STREAM:
            place = "after"
            if last_event_id:
                place = "Last-Event-ID"
                position = _position(last_event_id, place)
            await asyncio.to_thread(_check_reached, parts.store, position, place)
            return EventStream(streams, position + 1, type)
        bounds = Bounds(count, MAX_PAGE_BYTES, MAX_LOOKS)
        stretch, size = await asyncio.to_thread(_read, parts.store, position, bounds, type)
        return _page(request, form, stretch, size, {"limit": count, **({"type": type} if type else {})})

    return [events]


def _read(store: Store, after: int, bounds: Bounds, event_type: str) -> tuple[Stretch, int]:
    size = _check_reached(store, after, "after")
    return read_stretch(store, after + 1, size, bounds, event_type), size


def _check_reached(store: Store, after: int, place: str) -> int:
    """Return how many entries the log has; raises BeyondHeadError where a reader has seen more."""
    size = store.head().size
    if after >= size:
        raise BeyondHeadError(f"the log has {size} entries and none at position {after}", place=place)
    return size


def _page(request: Asked, form: str, stretch: Stretch, size: int, query: dict[str, int | str]) -> ASGIResponse:
    lines = [line for _, line in stretch.lines]
    last = stretch.stop - 1
    if form == LINES:
        content = b"".join(line + b"\n" for line in lines)
    else:
        head = b"" if stretch.is_cut else b',"head":%d' % size
        content = b'{"entries":[%b],"next":%d%b}' % (b",".join(lines), last, head)
    headers = {"vary": "accept"}
    if stretch.is_cut:
        headers["link"] = f'<{PATH}?{urlencode({"after": last, **query})}>; rel="next"'
    return Answer(content, form, IMMUTABLE if stretch.is_cut else SHORT, headers).to(request)


def _position(text: str, place: str) -> int:
    """Read a position, or -1 where there is none; raises InvalidFieldError."""
    return -1 if text in ("", "-1") else whole(text, place)


def _problem(description: str) -> ResponseSpec:
    return ResponseSpec(Problem, description=description, generate_examples=False, media_type=PROBLEM_TYPE)
