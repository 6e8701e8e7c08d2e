"""What is known by now of a log and its projections: looked at in one place, asked for by every request.

A request reads from here how far the log and its projections go and what the registry's stream says, without a
query of its own. `follow` looks again and again; who has just appended calls `noticed`, so that nobody waits for that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from ledger.appending import Unanchored
from ledger.database import Database
from ledger.errors import ProjectionBehindError
from ledger.proofs.stream import Stream
from ledger.registry import Registry
from ledger.store import Store
from projections import queries

LOOK_SECONDS: Final = 0.05
"""How often the databases are looked at: what other processes append or project is seen so late at most."""

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sight:
    """One look: `size` entries in the log, projected up to `cursor`, outside clocks vouch for `anchored_size`.

    `stream` is the registry's stream up to `size`; it is never changed, only replaced. `unanchored` is the first entry
    that owes an anchor; None where none does.
    """

    size: int
    cursor: int
    generations: tuple[int, ...]
    anchored_size: int
    stream: Stream
    unanchored: Unanchored | None = None

    @property
    def registry(self) -> Registry:
        return self.stream.registry

    def unanchored_seconds(self, now: int) -> float | None:
        """Return how long the first entry that owes an anchor has done so at a time (microseconds); None for none."""
        if self.unanchored is None:
            return None
        return round(max(0, now - self.unanchored.received_at) / 1_000_000, 3)


class Present:
    """The newest look; `sight` may be read from any thread."""

    def __init__(self, store: Store, projections: Database) -> None:
        self._store = store
        self._projections = projections
        self._waiting: list[tuple[Callable[[Sight], bool], asyncio.Future[None]]] = []
        self._awake: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        size = store.head().size
        stream = Stream.read(store, size)
        cursor, generations = queries.standing(projections)
        anchored_size = stream.registry.anchored_size()
        unanchored = store.unanchored(anchored_size)
        self.sight = Sight(size, min(cursor, size), generations, anchored_size, stream, unanchored)

    def look(self) -> None:
        """Look at the databases once; raises StoreError."""
        before = self.sight
        cursor, generations = queries.standing(self._projections)
        size = self._store.head().size
        if (size, cursor, generations) == (before.size, before.cursor, before.generations):
            return
        stream, anchored_size = before.stream, before.anchored_size
        if added := self._store.of_registry(before.size, size):
            stream = stream.grown(added)
            anchored_size = stream.registry.anchored_size()
        unanchored = before.unanchored
        if anchored_size != before.anchored_size:
            unanchored = self._store.unanchored(anchored_size)
        elif unanchored is None:
            # What the last look saw owes nothing, so the first that does is past it.
            unanchored = self._store.unanchored(before.size)
        self.sight = Sight(size, cursor, generations, anchored_size, stream, unanchored)

    def registry_at(self, size: int) -> Registry:
        """Return what the registry's stream says at a size of the log that the newest look may not have reached."""
        sight = self.sight
        added = self._store.of_registry(sight.size, size)
        return sight.stream.grown(added).registry if added else sight.registry

    def noticed(self) -> None:
        """Have `follow` look at once where somebody waits for it; may be called from any thread."""
        if self._waiting and self._loop is not None and self._awake is not None:
            self._loop.call_soon_threadsafe(self._awake.set)

    async def follow(self) -> None:
        """Look again and again, and wake whoever waits; runs until cancelled."""
        loop = asyncio.get_running_loop()
        self._loop, self._awake = loop, asyncio.Event()
        looking = ThreadPoolExecutor(1, "pith-present")  # not behind others who wait for a database
        try:
            await self._follow(looking)
        finally:
            looking.shutdown(wait=False)

    async def _follow(self, looking: Executor) -> None:
        loop = asyncio.get_running_loop()
        assert self._awake is not None
        while True:
            try:
                await loop.run_in_executor(looking, self.look)
            except Exception:
                # Whatever it was, whoever waits for the next look must not wait for ever.
                _LOG.exception("the databases cannot be looked at")
            still = []
            for satisfied, waiting in self._waiting:
                if waiting.done():
                    continue
                if satisfied(self.sight):
                    waiting.set_result(None)
                else:
                    still.append((satisfied, waiting))
            self._waiting = still
            # Not wait_for: before Python 3.12 it loses a cancellation that comes in the moment of success.
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._awake.wait()
            self._awake.clear()

    async def reach(self, satisfied: Callable[[Sight], bool], seconds: float) -> bool:
        """Wait until a look satisfies; False where that took longer than so many seconds."""
        if satisfied(self.sight):
            return True
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append((satisfied, waiting))
        try:
            async with asyncio.timeout(seconds):
                await waiting
        except TimeoutError:
            return False
        return True

    async def projected(self, position: int, seconds: float) -> None:
        """Wait until an entry is in the projections.

        Raises:
            ProjectionBehindError: they did not get so far in time.
        """
        if not await self.reach(lambda sight: sight.cursor > position, seconds):
            raise ProjectionBehindError(f"the projections stand at {self.sight.cursor}, not past {position}")
