"""Processes that append to a shared log: run as `python -m tests.writers MODE PLACE …` by the store's tests.

The place is the folder of a SQLite log, or the URL of a PostgreSQL database.

`race` appends the same events as its rivals, in an order and batch size of its own, from the moment that
it is told to; `endless` appends new events until it is killed, and names each one only once it is acknowledged.
`crowd` is four writers in one process, whose transactions fail one time in twenty when all is written but not yet
committed; each event is sent again until it is acknowledged.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from ledger.appending import Appended, Submission
from ledger.batcher import Batcher
from ledger.database import Database, open_postgresql, open_sqlite
from ledger.errors import StoreError
from ledger.events import Event
from ledger.store import Store
from tests.builders import World, nonce
from tests.logs import Ticking

ROOT = Path(__file__).parents[1]
LOG = "log.sqlite"
SCHEMA = "pith_log"
THREADS = 4
ROLLED_BACK = 0.05


def shared_events(count: int) -> list[Event]:
    """Return the events that all rivals append, the same in every process."""
    world = World()
    return [world.author(claims=[f"C{number}"]) for number in range(count)]


def database_at(place: str) -> Database:
    """Open the database of a log at a folder or URL."""
    return open_postgresql(place, SCHEMA) if place.startswith("postgresql:") else open_sqlite(Path(place) / LOG)


def start(mode: str, place: Path | str, *arguments: int) -> subprocess.Popen[str]:
    """Start a writer on the log at a place."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.writers", mode, str(place), *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def race(store: Store, seed: int, count: int) -> None:
    events = shared_events(count)
    order = random.Random(seed)
    order.shuffle(events)
    print("ready", flush=True)
    sys.stdin.readline()
    clock = Ticking()
    while events:
        batch = [Submission(events.pop()) for _ in range(min(len(events), order.randint(1, 9)))]
        for outcome in store.append(batch, clock):
            if not isinstance(outcome, Appended):
                raise outcome
            entry = outcome.entry
            print(json.dumps([entry.event.id_text, entry.position, entry.received_at, outcome.created]))


def endless(store: Store, seed: int) -> None:
    sizes = random.Random(seed)
    clock = Ticking()
    fresh = _fresh_events(seed)
    while True:
        batch = [Submission(next(fresh)) for _ in range(sizes.randint(1, 20))]
        for outcome in store.append(batch, clock):
            if not isinstance(outcome, Appended):
                raise outcome
            print(outcome.entry.event.id_text)
        sys.stdout.flush()


class Failing(Ticking):
    """A clock that fails a share of the transactions as they sign their checkpoint, which is the last they do."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self._looks = 0
        self.failures = 0

    def __call__(self) -> int:
        self._looks += 1
        if self._looks % 2 == 0 and self._random.random() < ROLLED_BACK:
            self._looks = 0
            self.failures += 1
            raise OSError("the clock has stopped")
        return super().__call__()


def crowd(place: str, seed: int, count: int) -> None:
    """Append `count` events from each of some threads, each with a store and a batcher of its own."""
    with ThreadPoolExecutor(THREADS) as threads:
        failures = sum(threads.map(lambda thread: _member(place, seed * THREADS + thread, count), range(THREADS)))
    print(json.dumps(failures), flush=True)


def _member(place: str, seed: int, count: int) -> int:
    store, clock, world = Store(database_at(place)), Failing(seed), World()
    sizes, events = random.Random(seed), list(islice(_fresh_events(seed), count))
    with Batcher(store, clock, lambda: world.log.key) as batcher:
        while events:
            together = events[-sizes.randint(1, 5) :]
            answers = [batcher.submit(Submission(event)) for event in together]
            for event, answer in zip(together, answers, strict=True):
                try:
                    entry = answer.result().entry
                except StoreError:
                    continue  # sent again
                print(json.dumps([entry.event.id_text, entry.position]), flush=True)
                events.remove(event)
    return clock.failures


def _fresh_events(seed: int) -> Iterator[Event]:
    world = World()
    for number in range(1 << 30):
        yield world.author(claims=[f"round {seed}", nonce(number)])


def main() -> None:
    mode, place, *arguments = sys.argv[1:]
    if mode == "crowd":
        crowd(place, *map(int, arguments))
    else:
        store = Store(database_at(place))
        {"race": race, "endless": endless}[mode](store, *map(int, arguments))


if __name__ == "__main__":
    main()
