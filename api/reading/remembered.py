"""Answers kept in memory, each with the look it was made at; what has moved on since is made anew beside the loop.

All of it runs on the event loop but for the makers, which may read databases on worker threads.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from api.answers import Answer
from api.present import Present, Sight

LIMIT_BYTES: Final = 64 * 1024 * 1024

Key = tuple[str, str]
"""A suffix, and which of its paper's representations."""


@dataclass(frozen=True, slots=True)
class Made:
    """An answer and what it was made from: where that is still the same, so is the answer."""

    answer: Answer
    source: Any


class Basis(Enum):
    """What an answer is made from, and so when it must be made anew."""

    PROJECTIONS = "the projections have moved on"
    LOG = "the log has grown, or the projections have moved on"
    CHECKPOINT = "always: its maker tells whether another checkpoint was published"


Maker = Callable[[Sight, Made | None], Made]
"""Makes an answer at a look, given what was made before; raises LedgerError. Runs on a worker thread."""


@dataclass(slots=True)
class _Kept:
    made: Made
    sight: Sight


class Remembered:
    """The answers asked for last, so many bytes of them."""

    def __init__(self, present: Present, limit: int = LIMIT_BYTES) -> None:
        self._present = present
        self._limit = limit
        self._bytes = 0
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._being_made: dict[Key, tuple[Sight, asyncio.Task[Made]]] = {}

    def at_hand(self, key: Key) -> Answer | None:
        """Return an answer that still stands, whatever but a checkpoint it is made from; else None: ask with `get`."""
        kept = self._kept.get(key)
        if kept is None or kept.sight is not self._present.sight:
            return None
        self._kept.move_to_end(key)
        return kept.made.answer

    async def get(self, key: Key, make: Maker, basis: Basis) -> Answer:
        """Return an answer as of now or later, made at most once for all who wait for it.

        Raises:
            LedgerError: what the maker raises.
        """
        sight = self._present.sight
        kept = self._kept.get(key)
        if kept is not None and _stands(kept.sight, sight, basis):
            kept.sight = sight
            self._kept.move_to_end(key)
            return kept.made.answer
        begun = self._being_made.get(key)
        if begun is None or not _stands(begun[0], sight, basis):
            task = asyncio.create_task(self._make(key, make, sight, kept.made if kept else None))
            begun = self._being_made[key] = sight, task
        # Whoever goes away leaves the others their answer.
        return (await asyncio.shield(begun[1])).answer

    async def _make(self, key: Key, make: Maker, sight: Sight, before: Made | None) -> Made:
        task = asyncio.current_task()
        try:
            made = await asyncio.to_thread(make, sight, before)
            self._keep(key, _Kept(made, sight))
            return made
        finally:
            begun = self._being_made.get(key)
            if begun is not None and begun[1] is task:
                del self._being_made[key]

    def _keep(self, key: Key, kept: _Kept) -> None:
        if (old := self._kept.pop(key, None)) is not None:
            self._bytes -= old.made.answer.size
        if kept.made.answer.size > self._limit:
            return
        self._kept[key] = kept
        self._bytes += kept.made.answer.size
        while self._bytes > self._limit:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.made.answer.size


def _stands(made_at: Sight, now: Sight, basis: Basis) -> bool:
    """Say whether what was made at one look holds at another."""
    if basis is Basis.CHECKPOINT:
        return False
    if made_at is now:
        return True
    if basis is Basis.LOG and made_at.size != now.size:
        return False
    return (made_at.cursor, made_at.generations, made_at.anchored_size) == (
        now.cursor,
        now.generations,
        now.anchored_size,
    )
