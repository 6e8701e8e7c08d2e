"""Where the time of an append and of a replay goes: each step alone, on one core, as a program.

`python -m ops.bench.steps`, with the settings of `ops.bench.reading`. Each step is given what the step before it made,
and its clock is the processor time of this process, so that the steps of a path add up to what the path costs without
its waiting, whatever else the machine does.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from ledger.appending import Submission
from ledger.database import open_sqlite
from ledger.events import Entry, Event, Facts, parse, parse_stored
from ledger.ranges import Range
from ledger.rows import insert_events
from ledger.store import create_log
from ops.bench.appending import BASE_URL
from ops.bench.bulk import check
from ops.bench.events import REGISTRY, create_registry, read
from ops.bench.peers.answering import Case, Outcome, Pipe
from ops.home import collect_rarely, open_home
from ops.settings import Settings
from projections.digests import content_of
from projections.folding import folded

TOGETHER: Final = 1_000
"""Events of one transaction, or of one message between processes."""

_FACTS: Final = msgspec.msgpack.Decoder(list[Facts])


class Steps:
    """A filled registry to read from, and empty logs to write to."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.folder, self._events = Path(settings["folder"]), Path(settings["events"])
        self.home = open_home(Settings(Path(settings["registry"]), BASE_URL))
        self._start = settings["start"]
        self._logs = 0

    def raws(self, count: int) -> list[bytes]:
        """Return the bytes of events, none of which was read in this process yet; no more than the registry holds."""
        return list(read(self._events, 0, min(count, self._start)))

    def checked(self, count: int) -> list[Submission]:
        """Return events as workers hand them to the writer."""
        facts = [(raw, Facts.of(parse_stored(raw))) for raw in self.raws(count)]
        return [Submission(found.event(raw), verified=True, formed=True) for raw, found in facts]

    def each(self, what: Callable[[Event], object], prepare: Callable[[bytes], Event] = parse) -> Case:
        """Time something that is done to each event by itself."""
        return lambda count: timed(what, [prepare(raw) for raw in self.raws(count)])

    def cross(self, count: int) -> Outcome:
        """Pack what a worker found, and unpack it as the writer does."""
        events = [parse_stored(raw) for raw in self.raws(count)]
        started = time.process_time()
        for at in range(0, len(events), TOGETHER):
            together = events[at : at + TOGETHER]
            packed = msgspec.msgpack.encode([Facts.of(event) for event in together])
            for found, event in zip(_FACTS.decode(packed), together, strict=True):
                found.event(event.raw)
        return len(events), time.process_time() - started

    def write(self, count: int) -> Outcome:
        """Judge, insert, hash into the tree and commit what was checked beside the writer."""
        self._logs += 1
        home = create_registry(Settings(self.folder / f"log-{self._logs}", BASE_URL))
        asked = self.checked(count)
        started = time.process_time()
        for at in range(0, len(asked), TOGETHER):
            check(home.store.append(asked[at : at + TOGETHER], home.clock))
        seconds = time.process_time() - started
        home.close()
        return len(asked), seconds

    def insert(self, count: int) -> Outcome:
        """Insert and commit rows alone: the part of writing that is the database's."""
        self._logs += 1
        database = open_sqlite(self.folder / f"rows-{self._logs}.db")
        create_log(database, REGISTRY)
        entries = [Entry(at, at, submission.event) for at, submission in enumerate(self.checked(count))]
        started = time.process_time()
        for at in range(0, len(entries), TOGETHER):
            with database.write() as connection:
                insert_events(connection, entries[at : at + TOGETHER])
        seconds = time.process_time() - started
        database.close()
        return len(entries), seconds

    def rows(self, count: int) -> Outcome:
        started = time.process_time()
        found = sum(1 for _ in self.home.store.rows(0, count))
        return found, time.process_time() - started

    def fold(self, count: int) -> Outcome:
        """Fold entries into papers and judge these."""
        within, entries = self._range(count)
        registry = self.home.store.registry()
        started = time.process_time()
        papers = folded(self.home.store, registry, within, entries, within.stop, admitted=True)
        deque(papers, maxlen=0)
        return len(entries), time.process_time() - started

    def digest(self, count: int) -> Outcome:
        """Make the rows of judged papers, and their part of the state digest."""
        within, entries = self._range(count)
        registry = self.home.store.registry()
        papers = list(folded(self.home.store, registry, within, entries, within.stop, admitted=True))
        started = time.process_time()
        for judged in papers:
            content_of(judged)
        return len(entries), time.process_time() - started

    def _range(self, count: int) -> tuple[Range, list[Entry]]:
        """Return whole tiles of the log, entries not yet read into payloads."""
        stop = max(256, min(count, self.home.store.head().size) // 256 * 256)
        return Range(0, stop), list(self.home.store.entries(0, stop))


def timed(what: Callable[[Any], object], values: Iterable[Any]) -> Outcome:
    given = list(values)
    started = time.process_time()
    for value in given:
        what(value)
    return len(given), time.process_time() - started


def main() -> None:
    pipe = Pipe()
    collect_rarely()
    steps = Steps(pipe.settings)
    store = steps.home.store
    store.learn()
    pipe.answer(
        "",
        {
            "parse": lambda count: timed(parse, steps.raws(count)),
            "verify": steps.each(lambda event: store.verify(Submission(event))),
            "cross": steps.cross,
            "write": steps.write,
            "insert": steps.insert,
            "leaf": steps.each(lambda event: Entry(0, 0, event).leaf_hash(), parse_stored),
            "rows": steps.rows,
            "parse stored": lambda count: timed(parse_stored, steps.raws(count)),
            "fold": steps.fold,
            "digest": steps.digest,
        },
    )


if __name__ == "__main__":
    main()
