"""Stretches of the log as they go out over HTTP: each entry one line of JSON whose `event` are the exact signed bytes.

    {"position":7,"received_at":1781884800000001,"event":{…}}

A stretch is bounded, so that no request holds much of the log in memory or reads for long. Where a bound ends it, and
not the end of the log, nothing about it can ever change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from ledger.errors import LogCorruptedError
from ledger.store import Store

ROWS_AT_ONCE: Final = 128
"""How many entries are fetched together; each has up to 64 KiB."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What ends a stretch: so many lines, so many bytes in all (the last line may go beyond), so many looks."""

    lines: int
    bytes: int
    looks: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries in order of position, each as (position, line).

    `stop` is the first position that was not looked at. `is_cut` says that a bound ended the stretch.
    """

    lines: tuple[tuple[int, bytes], ...]
    stop: int
    is_cut: bool


class _Typed(msgspec.Struct):
    event_type: str


def read_stretch(store: Store, start: int, stop: int, bounds: Bounds, event_type: str = "") -> Stretch:
    """Read the entries between two positions, as far as the bounds allow.

    Args:
        stop: no more than the log was seen to have.
        event_type: leave out all entries of other types; empty leaves out none.

    Raises:
        StoreError: the log cannot be read.
        LogCorruptedError: entries are missing, or the log is shorter than it was.
    """
    lines: list[tuple[int, bytes]] = []
    size, at = 0, start
    while at < stop:
        before = at
        for position, received_at, raw in store.rows(at, min(at + ROWS_AT_ONCE, stop)):
            at = position + 1
            if not event_type or _is_of(raw, event_type):
                line = b'{"position":%d,"received_at":%d,"event":%b}' % (position, received_at, raw)
                lines.append((position, line))
                size += len(line)
            if len(lines) >= bounds.lines or size >= bounds.bytes or at - start >= bounds.looks:
                return Stretch(tuple(lines), at, is_cut=True)
        if at == before:
            raise LogCorruptedError(f"the log ends at {at}, and had {stop} entries before")
    return Stretch(tuple(lines), at, is_cut=False)


def _is_of(raw: bytes, event_type: str) -> bool:
    # Most events are ruled out by their bytes; a payload may hold the same words, so the rest are read.
    return event_type.encode() in raw and msgspec.json.decode(raw, type=_Typed).event_type == event_type
