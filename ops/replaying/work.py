"""What one worker does with one range: read it once, then hash, verify and fold it.

A worker depends on nothing but its job and the log, and writes nothing, so that any range may be done anywhere, twice,
or again. What it opened for a job it keeps for the job's other ranges.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, func, select

from ledger.database import Database
from ledger.errors import LogCorruptedError, ProjectionError, UsageError, VerificationError
from ledger.events import Entry, leaf_data
from ledger.merkle import leaf_hash
from ledger.ranges import UNJUDGED, Checks, Failure, Range, Verified, edges_of, tile_roots, verify_range
from ledger.registry import Registry
from ledger.rows import BatchTargets, KnownRecords, checked_entry_of, entries_of_subject
from ledger.store import Store
from ledger.subjects import registry_subject
from ledger.tables import EVENTS, key_of_subject
from ops.audit_texts import check_texts
from ops.memory import peak_memory_mb
from ops.replaying.places import Place
from projections.digests import Content, content_of
from projections.folding import Rows, folded, rows_of_all

RECORDS: Final = 256
"""How many records of earlier ranges are remembered."""

Wanted = Literal["nothing", "digest", "rows"]
"""What is made of the papers of a range: nothing, what they add to the state digest, or their rows."""


@dataclass(frozen=True, slots=True)
class Job:
    """What all ranges of one replay have in common.

    Args:
        token: tells this job from every other.
        registry: whose log it is, by name, and which of the registry's logs, by label.
        stop: entries below are checked and folded; those beyond are only hashed.
        facts: the registry's stream is believed below this position.
        sizes: tree sizes to which leaf hashes are wanted, see `ranges.edges_of`.
        projections: the names of the projections that are wanted.
        admitted: fold every entry as one that was fit to be appended: it is verified here, or taken on trust.
        texts: check the private texts beside the entries too.
    """

    token: str
    registry: tuple[str, str]
    checks: Checks
    stop: int
    facts: int
    sizes: tuple[int, ...]
    wanted: Wanted = "nothing"
    projections: tuple[str, ...] = ()
    admitted: bool = False
    texts: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one range.

    Args:
        unfolded: why its papers could not be folded; that says nothing yet about whether it holds.
        texts: how many private texts were checked.
        process: which process did it, and the most memory that this one has ever held, in MB.
    """

    verified: Verified
    digest: list[Content]
    rows: Rows
    unfolded: Failure | None
    texts: int
    process: tuple[int, float]


class Worker:
    """A log opened for one job."""

    def __init__(self, job: Job, database: Database) -> None:
        self._job = job
        self._database = database
        self._registry = Registry(*job.registry)
        self._records = KnownRecords(RECORDS)
        with database.read() as connection:
            for entry in entries_of_subject(connection, self._registry.subject, 0, job.facts):
                self._registry.add(entry)

    def __call__(self, within: Range) -> Done:
        """Do one range."""
        job = self._job
        with self._database.read() as connection:
            read = _read(connection, within, job)
            signatures, failure = verify_range(
                within, read.entries, self._registry, lambda: self._targets(connection, read.entries), job.checks
            )
            failure = failure or read.failure(job.checks)
            texts = 0
            if failure is None and job.texts:
                texts, failure = _texts(connection, read.entries)
        verified = Verified(
            within,
            read.first,
            read.last,
            tile_roots(read.leaves),
            edges_of(within, read.leaves, job.sizes),
            signatures,
            failure,
        )
        digest: list[Content] = []
        rows: Rows = {}
        unfolded = read.unreadable
        if failure is None and unfolded is None and job.wanted != "nothing":
            try:
                digest, rows = self._folded(within, read.entries)
            except (ProjectionError, LogCorruptedError) as error:
                unfolded = Failure.of(within.start, error)
        return Done(verified, digest, rows, unfolded, texts, (os.getpid(), peak_memory_mb()))

    def _targets(self, connection: Connection, entries: Sequence[Entry]) -> BatchTargets:
        return BatchTargets(connection, {entry.event.subject for entry in entries}, entries, self._records)

    def _folded(self, within: Range, entries: Sequence[Entry]) -> tuple[list[Content], Rows]:
        job = self._job
        papers = folded(Store(self._database), self._registry, within, entries, job.stop, admitted=job.admitted)
        if job.wanted == "digest":
            return list(map(content_of, papers)), {}
        return [], rows_of_all(papers, job.projections)

    def close(self) -> None:
        """Close the log; whoever opened the database for this worker may do that instead."""
        self._database.close()


@dataclass(frozen=True, slots=True)
class RangeWork:
    """The work of one job as something that can be sent: a worker opens the log for it when it is first called."""

    place: Place
    job: Job

    def __call__(self, within: Range) -> Done:
        return _opened(self.place, self.job)(within)


_OPEN: Final = threading.local()
"""One job's log for each thread: what is learnt of a registry is kept up by one thread at a time."""


def _opened(place: Place, job: Job) -> Worker:
    known: tuple[str, Worker] | None = getattr(_OPEN, "worker", None)
    if known is not None and known[0] == job.token:
        return known[1]
    if known is not None:
        known[1].close()
    worker = Worker(job, _whole(place, job))
    _OPEN.worker = job.token, worker
    return worker


def _whole(place: Place, job: Job) -> Database:
    """Open the log for a job, unless this is a copy that is behind: what it says of a paper would be an older state."""
    database, needed = place.open(), max(job.sizes, default=0)
    with database.read() as connection:
        last = connection.execute(select(func.max(EVENTS.c.position))).scalar()
    if needed <= (found := 0 if last is None else int(last) + 1):
        return database
    database.close()
    cure = "give workers the log itself: no copy and no replica that is behind"
    raise UsageError(f"a worker finds {found} of {needed} entries", cure=cure)


@dataclass(slots=True)
class _Read:
    """A range as it was read.

    `entries` end where one is unreadable, or beyond what the job is about; `broken` says why the range has not all of
    its leaves, `unreadable` why an entry is none.
    """

    leaves: list[bytes]
    entries: list[Entry]
    first: tuple[int, str] | None = None
    last: int = 0
    broken: Failure | None = None
    unreadable: Failure | None = None

    def failure(self, checks: Checks) -> Failure | None:
        """Return the first that does not hold; where nothing is checked, an entry may be whatever it is."""
        found = [self.broken] if checks == "nothing" else [self.broken, self.unreadable]
        return min((one for one in found if one), key=lambda one: one.position, default=None)


def _read(connection: Connection, within: Range, job: Job) -> _Read:
    read = _Read([], [])
    wants_entries = job.checks != "nothing" or job.wanted != "nothing"
    stream = registry_subject(job.registry[0])
    stream_key, stream_text = key_of_subject(stream), f'"subject_pith_number":"{stream}"'.encode()
    statement = select(EVENTS).where(EVENTS.c.position >= within.start, EVENTS.c.position < within.stop)
    expected = within.start
    for row in connection.execute(statement.order_by(EVENTS.c.position)):
        position, received_at, _, subject_key, *_, raw = row
        if position != expected:
            break
        # No signature covers the columns, and by these the stream and all that is said of a paper are looked up.
        if wants_entries and position < job.stop and read.unreadable is None:
            try:
                read.entries.append(checked_entry_of(row))
            except (LogCorruptedError, *UNJUDGED) as error:
                read.unreadable = Failure.of(position, error)
        try:
            read.leaves.append(leaf_hash(leaf_data(received_at, raw)))
            if position >= job.stop or not wants_entries:
                _check_not_hidden(row, raw, subject_key == stream_key, stream_text)
        except OverflowError:
            place = f"position {position}"
            early = VerificationError("time", "it was received before its predecessor", place=place, cure="")
            read.broken = Failure.of(position, early)
            break
        except (LogCorruptedError, *UNJUDGED) as error:
            read.broken = Failure.of(position, error)
            break
        if position == within.start and read.entries:
            read.first = received_at, read.entries[0].event.id_text
        read.last = received_at
        expected += 1
    if expected < within.stop and read.broken is None:
        read.broken = Failure.of(expected, LogCorruptedError(f"the entry at position {expected} is missing"))
    return read


def _check_not_hidden(row: Sequence[Any], raw: bytes, is_found: bool, stream_text: bytes) -> None:
    """Check that an entry which is only hashed would be found in its registry's stream, if it is of that."""
    if not is_found and stream_text in raw:
        checked_entry_of(row)


def _texts(connection: Connection, entries: Sequence[Entry]) -> tuple[int, Failure | None]:
    try:
        return check_texts(connection, entries), None
    except VerificationError as error:
        return 0, Failure.of(entries[0].position, error)
