"""Who does the ranges of a replay: this process, worker processes beside it, or a Dask cluster.

Whoever it is, results come in the order of the ranges, and only so many ranges are under way that memory stays the same
however long the log is. A worker that is killed loses nothing but time: its ranges are done again.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Final, Protocol, TypeVar

from ledger.database import Database
from ledger.errors import StoreError
from ledger.ranges import Range
from ops.home import collect_rarely
from ops.replaying.places import Place
from ops.replaying.work import Done, Job, RangeWork, Worker

WINDOW: Final = 3
"""How many ranges are under way or waiting to be taken, for each worker."""

DEATHS: Final = 3
"""How many times in a row workers may die before somebody is told."""

T = TypeVar("T")


class Engine(Protocol):
    """Does the ranges of a job, wherever."""

    def run(self, job: Job, ranges: Iterable[Range]) -> Iterator[Done]:
        """Yield what became of each range, in their order.

        Raises:
            StoreError: the log cannot be read, or the workers do not stay alive.
        """


class Here:
    """This process alone, on a database that is open already."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self, job: Job, ranges: Iterable[Range]) -> Iterator[Done]:
        yield from map(Worker(job, self._database), ranges)


class Processes:
    """Worker processes of this machine."""

    def __init__(self, place: Place, workers: int) -> None:
        self._place = place
        self.workers = workers

    def run(self, job: Job, ranges: Iterable[Range]) -> Iterator[Done]:
        return in_processes(RangeWork(self._place, job), ranges, self.workers)


def in_processes(work: Callable[[Range], T], ranges: Iterable[Range], workers: int) -> Iterator[T]:
    """Do some work for each range on worker processes; yield the results in order.

    Where workers are killed, new ones do again what was under way.

    Raises:
        StoreError: workers died several times, and nothing came out between.
    """
    waiting = iter(ranges)
    under_way: deque[tuple[Range, Future[T]]] = deque()
    pool, deaths = _pool(workers), 0
    try:
        while True:
            while len(under_way) < WINDOW * workers and (within := next(waiting, None)) is not None:
                under_way.append((within, _submit(pool, work, within)))
            if not under_way:
                return
            within, future = under_way[0]
            try:
                result = future.result()
            except BrokenProcessPool:
                deaths += 1
                if deaths == DEATHS:
                    raise _dying(within) from None
                pool.shutdown(cancel_futures=True)
                pool = _pool(workers)
                under_way = deque(
                    (one, known if _is_done(known) else _submit(pool, work, one)) for one, known in under_way
                )
                continue
            deaths = 0
            under_way.popleft()
            yield result
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, work: Callable[[Range], T], within: Range) -> Future[T]:
    try:
        return pool.submit(work, within)
    except BrokenProcessPool as error:
        # Whoever waits for it will hear of it as of one that broke later.
        broken: Future[T] = Future()
        broken.set_exception(error)
        return broken


def _is_done(future: Future[T]) -> bool:
    return future.done() and not future.cancelled() and not isinstance(future.exception(), BrokenProcessPool)


def _dying(within: Range) -> StoreError:
    return StoreError(
        f"workers were killed {DEATHS} times in a row at positions {within.start} to {within.stop - 1}",
        cure="see whether memory is short and try fewer --workers; --workers 1 does it in one process",
    )


def _pool(workers: int) -> ProcessPoolExecutor:
    # Not by fork: threads, locks and open databases of this process must not be copied into the middle of their work.
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        context.set_forkserver_preload(["ops.replaying.engines"])
    secrets = {name: value for name, value in os.environ.items() if name.startswith("PITH_DATABASE_")}
    return ProcessPoolExecutor(workers, context, _begin, (secrets,))


def _begin(environment: dict[str, str]) -> None:
    """Make a worker: it ends with its parent, however that ends, and leaves an interrupt from the terminal to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(environment)  # whoever forks the workers may have been started earlier
    collect_rarely()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
