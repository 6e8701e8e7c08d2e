"""Our appends, as a program that `ops.bench.programs` asks: `python -m ops.bench.appending`.

Settings: `folder` to write into, `events` (a file of `ops.bench.events`), `url` of a PostgreSQL database or null for
SQLite, `cores`. Each way of appending has a log of its own, and goes on where its last sample ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from ledger.appending import Submission
from ledger.batcher import Batcher
from ledger.events import parse
from ledger.postgresql import open_postgresql
from ledger.store import Store, create_log
from ops.bench.bulk import Bulk, Place, check
from ops.bench.events import EACH, REGISTRY, Ticking, create_registry, read
from ops.bench.peers.answering import Outcome as Taken
from ops.bench.peers.answering import Pipe
from ops.home import collect_rarely
from ops.settings import Settings

CALLERS: Final = 16
BASE_URL: Final = "http://127.0.0.1:8080"


class Growing:
    """A log of its own that takes the events of the file in order."""

    def __init__(self, settings: dict[str, Any], name: str) -> None:
        self._settings, self._name, self._next = settings, name, 0
        self.clock = Ticking()

    @cached_property
    def store(self) -> Store:
        home = create_registry(Settings(Path(self._settings["folder"]) / self._name, BASE_URL))
        if self.place.path:
            return home.store
        opening = [Submission(entry.event, verified=True) for entry in home.store.entries()]
        home.close()
        database = open_postgresql(self.place.url, self.place.schema)
        create_log(database, REGISTRY)
        store = Store(database)
        check(store.append(opening, self.clock))
        return store

    @cached_property
    def place(self) -> Place:
        if self._settings["url"]:
            return Place(url=self._settings["url"], schema=f"pith_{self._name}")
        return Place(Settings(Path(self._settings["folder"]) / self._name, BASE_URL).ledger_path)

    @cached_property
    def bulk(self) -> Bulk:
        """The log with workers, which end with the program."""
        return Bulk(self.store, self.clock, self.place, self._settings["cores"])

    def take(self, count: int) -> list[bytes]:
        """Return the events that come next, whole papers."""
        count = -(-count // EACH) * EACH
        found = list(read(Path(self._settings["events"]), self._next, self._next + count))
        if len(found) < count:
            raise ValueError(f"there are no {count} events left")
        self._next += count
        return found


def append_one(log: Growing, count: int) -> Taken:
    """Append one event a call, each parsed, verified, judged and on the disk before the next."""
    store, raws = log.store, log.take(count)
    started = time.perf_counter()
    for raw in raws:
        check(store.append([store.verify(Submission(parse(raw)))], log.clock))
    return len(raws), time.perf_counter() - started


def append_together(log: Growing, count: int) -> Taken:
    """Let callers append one event a call, each waiting for its own; a paper's events come from one caller."""
    store, raws = log.store, log.take(count)
    papers = [raws[at : at + EACH] for at in range(0, len(raws), EACH)]
    with Batcher(store, log.clock) as batcher, ThreadPoolExecutor(CALLERS) as callers:

        def call(number: int) -> None:
            for paper in papers[number::CALLERS]:
                for raw in paper:
                    check([batcher.submit(Submission(parse(raw))).result()])

        started = time.perf_counter()
        list(callers.map(call, range(CALLERS)))
        return len(raws), time.perf_counter() - started


def append_in_bulk(log: Growing, count: int) -> Taken:
    """Append many events at once, a thousand a transaction."""
    bulk, raws = log.bulk, log.take(count)
    return len(raws), bulk.append(raws)


def main() -> None:
    pipe = Pipe()
    collect_rarely()

    def on(name: str, way: Callable[[Growing, int], Taken]) -> Callable[[int], Taken]:
        log = Growing(pipe.settings, name)
        return lambda count: way(log, count)

    cases = {
        "append one": on("one", append_one),
        "append together": on("together", append_together),
        "append bulk": on("bulk", append_in_bulk),
    }
    pipe.answer("", cases)


if __name__ == "__main__":
    main()
