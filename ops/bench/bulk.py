"""Appending many events at once, as every bulk measurement does it: a log with worker processes that stand ready."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ledger.appending import Appended, Clock, Outcome
from ledger.bulk import CHUNK, Workers, append_all, open_workers
from ledger.database import open_sqlite
from ledger.postgresql import open_postgresql
from ledger.store import Store


@dataclass(frozen=True, slots=True)
class Place:
    """Where a log is, for a worker process to open it: a file, or a schema of a PostgreSQL database."""

    path: Path | None = None
    url: str = ""
    schema: str = ""

    def __call__(self) -> Store:
        return Store(open_sqlite(self.path) if self.path else open_postgresql(self.url, self.schema))

    def __repr__(self) -> str:
        return f"Place({self.path or self.schema})"


class Bulk:
    """A log with workers; use it as a context manager."""

    def __init__(self, store: Store, clock: Clock, place: Place, workers: int) -> None:
        self._store, self._clock = store, clock
        self._closing = ExitStack()
        self._workers: Workers = self._closing.enter_context(open_workers(place, workers))
        self._count = workers
        self._is_warm = False

    def __enter__(self) -> Bulk:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def append(self, raws: Sequence[bytes]) -> float:
        """Append events, none of which may be refused; return the seconds it took, once the workers are there."""
        if not self._is_warm:
            # Checking changes nothing.
            for _ in self._workers.check(raws[: CHUNK * self._count]):
                self._is_warm = True
        started = time.perf_counter()
        outcomes = list(append_all(self._store, raws, self._clock, self._workers))
        seconds = time.perf_counter() - started
        check(chain.from_iterable(outcomes))
        return seconds


def check(outcomes: Sequence[Outcome] | chain[Outcome]) -> None:
    """Refuse a measurement in which an event was refused, or was there already."""
    for outcome in outcomes:
        if not isinstance(outcome, Appended) or not outcome.created:
            raise ValueError(f"not appended: {outcome!r}")
