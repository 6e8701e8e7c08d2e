"""Importing: read, work out, compare, sign and append, on as many processors as there are.

Nothing is kept between runs but the log itself: a file imported twice adds nothing, and an import that
was broken off goes on where the log ends.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Final

from ledger.appending import Appended, Submission
from ledger.errors import LedgerError
from ledger.events import parse_own
from ops.home import Home, collect_rarely, open_home
from ops.importers.files import Source
from ops.importers.prepare import Prepared, prepare
from ops.settings import Settings

BATCH: Final = 300
WINDOW: Final = 2
"""Batches in flight for each process."""

WORKER_NICENESS: Final = 5
"""Workers step back for the one process that appends: it is what the others wait for."""

MAX_LISTED: Final = 1_000
Progress = Callable[[Source], None]


@dataclass(slots=True)
class Report:
    """What an import did; `refused` lists lines with reasons, at most MAX_LISTED of them."""

    lines: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    events: int = 0
    refused_count: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    first_tenth_rate: float = 0.0
    last_tenth_rate: float = 0.0
    peak_memory_mb: float = 0.0

    def refuse(self, number: int, error: LedgerError) -> None:
        self.refused_count += 1
        if len(self.refused) < MAX_LISTED:
            self.refused.append({"line": number, **error.facts()})

    @property
    def rate(self) -> float:
        """Lines a second."""
        return self.lines / self.seconds if self.seconds else 0.0


def import_sources(home: Home, sources: Iterable[Source], report: Report, progress: Progress) -> None:
    """Append what the sources add to the log; refused ones are reported, the others kept."""
    started = time.perf_counter() - report.seconds  # of the files before this one
    marks = [(report.lines, report.seconds)]
    recent: deque[set[str]] = deque(maxlen=WINDOW * _processes() + 1)
    workers = 0
    try:
        batches = _batches(sources)
        first = list(islice(batches, 2))
        if len(first) == 2:
            workers = _processes()
            prepared = _in_parallel(home.settings, chain(first, batches), workers)
        else:
            prepared = (prepare(home, batch) for batch in first)
        for batch in prepared:
            recent.append(_append(home, batch, set().union(*recent), report))
            report.seconds = time.perf_counter() - started
            marks.append((report.lines, report.seconds))
            progress(batch[-1].source)
    finally:
        report.seconds = time.perf_counter() - started
        tenth = max(1, len(marks) // 10)
        report.first_tenth_rate = _rate(marks[0], marks[min(tenth, len(marks) - 1)])
        report.last_tenth_rate = _rate(marks[-1 - min(tenth, len(marks) - 1)], marks[-1])
        report.peak_memory_mb = peak_memory_mb(workers)


def peak_memory_mb(workers: int = 0) -> float:
    """Return the greatest resident memory in MB: of this process, and as much as the largest child for each worker."""
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + workers * child) / unit


def _append(home: Home, batch: Sequence[Prepared], recent: set[str], report: Report) -> set[str]:
    """Append one prepared batch; return the papers it touched."""
    asked: list[tuple[Prepared, Submission]] = []
    touched: set[str] = set()
    again: list[Source] = []
    for prepared in batch:
        if prepared.subject and (prepared.subject in recent or prepared.subject in touched):
            again.append(prepared.source)  # it was compared with a log that has grown since
            touched.add(prepared.subject)
            continue
        touched.add(prepared.subject)
        report.lines += 1
        for note in prepared.notes:
            report.notes[note] = report.notes.get(note, 0) + 1
        if prepared.error is not None:
            report.refuse(prepared.source.number, prepared.error)
        elif not prepared.events:
            report.unchanged += 1
        asked += [
            (prepared, Submission(parse_own(raw), verified=True, formed=prepared.formed)) for raw in prepared.events
        ]
    if asked:
        _settle(home, asked, report)
    for source in again:
        _append(home, prepare(home, [source]), set(), report)
    return touched


def _settle(home: Home, asked: Sequence[tuple[Prepared, Submission]], report: Report) -> None:
    outcomes = home.store.append([submission for _, submission in asked], home.clock)
    done: dict[int, set[str]] = {}
    for (prepared, submission), outcome in zip(asked, outcomes, strict=True):
        if isinstance(outcome, Appended):
            report.events += outcome.created
            done.setdefault(prepared.source.number, set()).add(submission.event.event_type)
        else:
            report.refuse(prepared.source.number, outcome)
    for types in done.values():
        if "record_created" in types:
            report.created += 1
        else:
            report.updated += 1


def _rate(start: tuple[int, float], end: tuple[int, float]) -> float:
    return (end[0] - start[0]) / (end[1] - start[1]) if end[1] > start[1] else 0.0


def _batches(sources: Iterable[Source]) -> Iterator[list[Source]]:
    rest = iter(sources)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _processes() -> int:
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _in_parallel(settings: Settings, batches: Iterator[list[Source]], workers: int) -> Iterator[list[Prepared]]:
    # A fork shares the loaded code and starts at once, but only a process without threads may be forked.
    method = "fork" if sys.platform == "linux" and threading.active_count() == 1 else "spawn"
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(workers, context, _start_worker, (settings,)) as pool:
        flying: deque[Future[list[Prepared]]] = deque()
        try:
            for batch in batches:
                flying.append(pool.submit(_work, batch))
                if len(flying) >= WINDOW * workers:
                    yield flying.popleft().result()
            while flying:
                yield flying.popleft().result()
        finally:
            for future in flying:
                future.cancel()


_worker: list[Home] = []


def _start_worker(settings: Settings) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the import, at a batch's border
    os.nice(WORKER_NICENESS)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    collect_rarely()
    _worker[:] = [open_home(settings)]


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: a killed import must leave nobody behind."""
    never = threading.Event()
    while os.getppid() == parent:
        never.wait(0.5)
    os._exit(1)


def _work(batch: list[Source]) -> list[Prepared]:
    return prepare(_worker[0], batch)
