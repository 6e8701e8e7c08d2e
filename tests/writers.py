"""Processes that append to a shared log: run as `python -m tests.writers MODE FOLDER …` by the store's tests.

`race` appends the same events as its rivals, in an order and batch size of its own, from the moment that
it is told to; `endless` appends new events until it is killed, and names each one only once it is acknowledged.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ledger.appending import Appended, Submission
from ledger.database import open_sqlite
from ledger.events import Event
from ledger.store import Store
from tests.builders import World, nonce
from tests.logs import Ticking

ROOT = Path(__file__).parents[1]
LOG = "log.sqlite"


def shared_events(count: int) -> list[Event]:
    """Return the events that all rivals append, the same in every process."""
    world = World()
    return [world.author(claims=[f"C{number}"]) for number in range(count)]


def start(mode: str, folder: Path, *arguments: int) -> subprocess.Popen[str]:
    """Start a writer on the log in a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.writers", mode, str(folder), *map(str, arguments)],
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


def _fresh_events(seed: int) -> Iterator[Event]:
    world = World()
    for number in range(1 << 30):
        yield world.author(claims=[f"round {seed}", nonce(number)])


def main() -> None:
    mode, folder, *arguments = sys.argv[1:]
    store = Store(open_sqlite(Path(folder) / LOG))
    {"race": race, "endless": endless}[mode](store, *map(int, arguments))


if __name__ == "__main__":
    main()
