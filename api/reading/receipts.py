"""`/api/receipts/…` and `/api/events/{event_id}`: one entry of the log, and the proof that the log holds it.

Both are exact: an event stands in them with the very bytes that were signed, whatever became of it. Held means that an
event does not count and is not shown by the views of a record; the log itself is public.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import route
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from api.answers import JSON, Answer
from api.caching import SHORT
from api.documented import METHODS, PROOFS, answers, operation
from api.parts import Parts
from api.reading.covering import covering
from api.reading.names import Asked, caught_up
from api.reading.parameters import EventId, WaitFor, event_id_of, optional_whole
from ledger.errors import NotFoundError
from ledger.events import Entry
from ledger.proofs.receipts import Receipts
from ledger.proofs.stream import Stream
from ledger.subjects import is_number
from projections.queries import judged_as_of


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an event about a paper, and why."""

    status: str
    reason: str


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry; `received_at` in microseconds since 1970, UTC. `fate` is null for events that are about no paper."""

    position: int
    received_at: int
    event: dict[str, Any]
    fate: Fate | None


def receipt_handlers(parts: Parts) -> list[HTTPRouteHandler]:
    """Return the routes of single entries and of their receipts."""

    @route(
        "/api/receipts/{event_id:str}",
        http_method=METHODS,
        summary="The receipt of an event",
        operation_id=operation("getReceipt"),
        tags=[PROOFS],
        responses=answers(
            "The receipt (schema: `/schemas/pith-receipt/v1.json`).",
            dict[str, Any],
            HTTPStatus.NOT_FOUND,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    )
    async def event_receipt(request: Asked, event_id: EventId) -> ASGIResponse:
        """Return an event with all it takes to check offline that the log holds it (`pith verify`).

        It leads to the published checkpoint; 503 as long as that does not cover the event.
        """
        return (await asyncio.to_thread(_receipt, parts, event_id_of(event_id))).to(request)

    @route(
        "/api/events/{event_id:str}",
        http_method=METHODS,
        summary="One entry of the log",
        operation_id=operation("getEvent"),
        tags=[PROOFS],
        responses=answers("The entry.", LogEntry, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def event(request: Asked, event_id: EventId, wait_for: WaitFor = "") -> ASGIResponse:
        """Return an entry as the log holds it, and what became of the event if it is about a paper."""
        await caught_up(parts, optional_whole(wait_for, "wait_for"))
        return (await asyncio.to_thread(_entry, parts, event_id_of(event_id))).to(request)

    return [event_receipt, event]


def entry_of(parts: Parts, event_id: bytes) -> Entry:
    """Return the entry of an event by its raw id.

    Raises:
        NotFoundError: no log of the registry has it.
        InOtherLogError: another has it.
        OtherLogError: another may have it, and cannot be read now.
    """
    try:
        return parts.store.find(event_id)
    except NotFoundError as error:
        if led := parts.others.led_to_event(event_id):
            raise led from None
        raise NotFoundError(error.message, cure="/api/records/{suffix}/events lists a paper's events") from None


def _receipt(parts: Parts, event_id: bytes) -> Answer:
    store, sight = parts.store, parts.present.sight
    entry = entry_of(parts, event_id)
    published = covering(store, entry.position)
    # It may have been published since the look, over more of the registry's stream than is at hand.
    stream = sight.stream if published.size <= sight.size else Stream.read(store, published.size)
    with store.tree.nodes() as node:
        return Answer(Receipts(stream, published, node).of(entry).encode(), JSON, SHORT)


def _entry(parts: Parts, event_id: bytes) -> Answer:
    entry = entry_of(parts, event_id)
    event: Any = msgspec.Raw(entry.event.raw)
    found = LogEntry(position=entry.position, received_at=entry.received_at, event=event, fate=_fate(parts, entry))
    return Answer(msgspec.json.encode(found), JSON, SHORT)


def _fate(parts: Parts, entry: Entry) -> Fate | None:
    if not is_number(entry.event.subject):
        return None
    sight = parts.present.sight
    size, registry = sight.size, sight.registry
    if entry.position >= size:
        size, registry = parts.store.head().size, parts.store.registry()
    judged = judged_as_of(parts.store, entry.event.subject, size, registry)
    verdict = next(found.verdict for found in judged.judgements if found.entry.position == entry.position)
    return Fate(status=verdict.status, reason=verdict.reason)
