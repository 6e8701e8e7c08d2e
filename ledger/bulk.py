"""Bulk appends: events read and verified on worker processes, appended by one writer, a transaction for many.

What needs nothing but an event and the keys that signed it (reading, hashing, signatures, the rules of its form) is
done beside the writer and crosses back as one hash an event. All that depends on the log stays with the writer, under
the log's lock: whether the event is there already, whether its key may sign it now, whether its paper is known.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, SpawnContext
from typing import Final

import msgspec

from ledger.appending import Clock, Outcome, Submission
from ledger.errors import StoreError, SubmissionError
from ledger.events import Facts, parse
from ledger.store import Store

BATCH: Final = 1_000
"""How many events one transaction takes."""

CHUNK: Final = 250
CHUNK_BYTES: Final = 131_072
"""A worker is given so many lines at once, or as many as make so many bytes."""

PIPE_BYTES: Final = 1 << 20
"""What a worker's pipe holds: chunks wait there for the worker, and the writer never for a worker to read."""

NICENESS: Final = 5
"""Workers step back for the one process that appends: it is what the others wait for."""

Reader = Callable[[bytes], Submission]
"""Reads a submitted line; raises SubmissionError where it is none."""

Opener = Callable[[], Store]
"""Opens the log again, in a worker process; it must be fit for `pickle`."""


Finding = Submission | SubmissionError
"""What a line asks for, as far as it is checked; or why it is refused."""

_Packed = tuple[bytes, dict[int, Finding]]
"""Findings on their way from a worker: facts of the lines that are events and all is well with, and the others."""

_FACTS: Final = msgspec.msgpack.Decoder(list[Facts | None])


def read_event(line: bytes) -> Submission:
    """Read a line that is an event and nothing else."""
    return Submission(parse(line))


def append_all(
    store: Store,
    lines: Iterable[bytes],
    clock: Clock,
    workers: Workers | None = None,
    *,
    read: Reader = read_event,
    batch: int = BATCH,
) -> Iterator[list[Outcome]]:
    """Append lines in their order; yield the outcomes of each transaction once it is durable.

    A line that is refused keeps no other out. Broken off at any point, the log holds the transactions that were
    yielded, and perhaps one more.

    Args:
        workers: check lines beside this process, which otherwise does everything itself.

    Raises:
        StoreError: the database failed, or a worker process ended; nothing of that transaction is stored.
    """
    found = (_checked(store, line, read) for line in lines) if workers is None else workers.check(lines, read)
    while together := list(islice(found, batch)):
        refused = {at: item for at, item in enumerate(together) if isinstance(item, SubmissionError)}
        outcomes = store.append([item for item in together if isinstance(item, Submission)], clock)
        if refused:
            rest = iter(outcomes)
            outcomes = [refused[at] if at in refused else next(rest) for at in range(len(together))]
        yield outcomes


def _checked(store: Store, line: bytes, read: Reader) -> Finding:
    """Check everything about a line that can be checked beside a running append."""
    try:
        return store.verify(read(line))
    except SubmissionError as error:
        return error


# --- processes -----------------------------------------------------------------------------


class _Worker:
    """A process that checks chunks in the order in which it is given them."""

    def __init__(self, context: SpawnContext | ForkContext, open_store: Opener) -> None:
        theirs, self._tasks = context.Pipe(duplex=False)
        self._results, their_results = context.Pipe(duplex=False)
        self._capacity = _enlarged(self._tasks)
        self._under_way: deque[int] = deque()
        self._is_lost = False
        self._process = context.Process(target=_serve, args=(open_store, theirs, their_results, os.getpid()))
        self._process.start()
        theirs.close()
        their_results.close()

    def takes(self, size: int) -> bool:
        """Say whether a chunk of so many bytes can be given without waiting for the worker to read it."""
        return not self._under_way or sum(self._under_way) + size <= self._capacity

    def give(self, chunk: list[bytes], read: Reader, size: int) -> None:
        """Have a chunk checked; raises StoreError where the process ended."""
        with self._talk():
            self._tasks.send((chunk, read))
            self._under_way.append(size)

    def take(self) -> _Packed:
        """Wait for the findings of the chunk that was given first of those under way.

        Raises:
            StoreError: the process ended.
        """
        with self._talk():
            found: _Packed = self._results.recv()
            self._under_way.popleft()
        return found

    def settle(self) -> None:
        """Take what nobody asks for any more: it would pass for the answer to a later question."""
        while self._under_way:
            self.take()

    @contextmanager
    def _talk(self) -> Iterator[None]:
        """Trust this process no more once a message was broken off: what comes next may be the rest of it."""
        if self._is_lost:
            raise StoreError("a worker process was broken off", cure="open new ones, and append the rest again")
        self._is_lost = True
        try:
            yield
        except (EOFError, OSError) as error:
            raise StoreError("a worker process ended", cure="see what ended it, and append the rest again") from error
        self._is_lost = False

    def end(self) -> None:
        """End the process at once: it only reads."""
        self._process.terminate()
        self._process.join()
        self._tasks.close()
        self._results.close()


class Workers:
    """Processes that check lines, in turns; made by `open_workers`."""

    def __init__(self, workers: Sequence[_Worker]) -> None:
        self._workers = workers

    def check(self, lines: Iterable[bytes], read: Reader = read_event) -> Iterator[Finding]:
        """Yield what was found of each line, in order; ask no more of one answer once another is begun.

        Raises:
            StoreError: a worker process ended.
        """
        for worker in self._workers:
            worker.settle()
        chunks = _chunks(lines)
        turns = cycle(self._workers)
        flying: deque[tuple[list[bytes], _Worker]] = deque()
        waiting, worker = next(chunks, None), next(turns)
        while waiting or flying:
            while waiting and worker.takes(size := _size(waiting)):
                worker.give(waiting, read, size)
                flying.append((waiting, worker))
                waiting, worker = next(chunks, None), next(turns)
            chunk, first = flying.popleft()
            yield from _unpacked(chunk, *first.take())


@contextmanager
def open_workers(open_store: Opener, count: int | None = None) -> Iterator[Workers]:
    """Start processes that check lines against a log; they end with the context, or with this process.

    Args:
        count: how many; None as many as there are processors.
    """
    # A fork shares the loaded code and starts at once, but only a process without threads may be forked.
    is_safe = sys.platform == "linux" and threading.active_count() == 1
    context = multiprocessing.get_context("fork") if is_safe else multiprocessing.get_context("spawn")
    with ExitStack() as ending:
        workers = []
        for _ in range(count or processors()):
            workers.append(_Worker(context, open_store))
            ending.callback(workers[-1].end)
        yield Workers(workers)


def processors() -> int:
    """Return how many processors this process may use."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _enlarged(pipe: Connection) -> int:
    """Make a pipe hold as much as the kernel lets it; return how many bytes of lines can be in it unread."""
    try:
        return fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES) - CHUNK_BYTES
    except (AttributeError, OSError):
        return 0


def _chunks(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        chunk.append(line)
        size += len(line)
        if len(chunk) >= CHUNK or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _size(chunk: Sequence[bytes]) -> int:
    """Return at most how many bytes a chunk takes in a pipe."""
    return sum(map(len, chunk)) + 16 * len(chunk) + 1_024


def _serve(open_store: Opener, tasks: Connection, results: Connection, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the append, at a transaction's border
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.nice(NICENESS)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    store = open_store()
    while True:
        chunk, read = tasks.recv()
        results.send(_check(store, chunk, read))


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: who was killed must leave nobody behind."""
    never = threading.Event()
    while os.getppid() == parent:
        never.wait(0.5)
    os._exit(1)


def _check(store: Store, lines: list[bytes], read: Reader) -> _Packed:
    facts: list[Facts | None] = []
    others: dict[int, Finding] = {}
    for at, line in enumerate(lines):
        found = _checked(store, line, read)
        if isinstance(found, Submission) and _is_plain(found, line):
            facts.append(Facts.of(found.event))
        else:
            facts.append(None)
            others[at] = found
    return msgspec.msgpack.encode(facts), others


def _is_plain(submission: Submission, line: bytes) -> bool:
    """Say whether all is well with a submission, and it is nothing but an event whose bytes are the line."""
    is_right = submission.verified and submission.formed
    return is_right and submission.event.raw == line and not submission.disclosures


def _unpacked(lines: list[bytes], packed: bytes, others: dict[int, Finding]) -> Iterator[Finding]:
    for at, (line, facts) in enumerate(zip(lines, _FACTS.decode(packed), strict=True)):
        yield others[at] if facts is None else Submission(facts.event(line), verified=True, formed=True)
