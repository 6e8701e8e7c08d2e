"""The log: append events and read them back. The only writer of the log's tables.

Positions are gapless and in commit order because the one-row head gives them out inside the append
transaction. The same event again, at any time and from any process, is the same entry: ids are looked
up under the write lock. Nothing is answered before it is on the disk.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from itertools import groupby
from operator import attrgetter
from typing import Final

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from ledger.appending import Appended, Clock, Outcome, Sealed, Submission, Unanchored
from ledger.checkpoint_store import Checkpoints
from ledger.commitments import Disclosure, check_disclosures
from ledger.database import Database, create_tables
from ledger.errors import (
    LogCorruptedError,
    MalformedError,
    NotFoundError,
    StoreError,
    SubmissionError,
    UnknownKeyError,
    VerificationError,
)
from ledger.events import Entry, Event
from ledger.keys import SecretKey
from ledger.merkle import Frontier
from ledger.postgresql_guards import POSTGRESQL_GUARDS
from ledger.registry import Registry
from ledger.rows import (
    BatchTargets,
    KnownRecords,
    add_disclosures,
    check_unique,
    checked_entry_of,
    disclosure_rows,
    entries_of_keys,
    entries_of_subject,
    entry_of,
    head_of,
    insert_entries,
    known_events,
    locked_head_of,
)
from ledger.rules import has_form
from ledger.shared import check_taken_here
from ledger.signatures import Signature, signatures_of, verify_signatures
from ledger.tables import DISCLOSURES, EVENTS, GUARDS, HEAD, LogTable, key_of_id, key_of_subject
from ledger.tree import Tree, frontier_of
from ledger.verdicts import check
from ledger.verification import Head, verify_entries

READ_ROWS = 1_000
_UNJUDGED: Final = "nothing of it was stored; tell whoever runs this registry, whose log says more"
_LOG: Final = logging.getLogger(__name__)


def create_log(database: Database, registry: str, label: str = "") -> None:
    """Create the log's tables, guards and head.

    Args:
        label: which of the registry's logs it is; the first one's is empty.

    Raises:
        StoreError: the database already holds a log.
    """
    create_tables(database, LogTable.metadata, POSTGRESQL_GUARDS if database.is_postgresql else GUARDS)
    with database.write() as connection:
        if connection.execute(select(HEAD.c.id)).first():
            raise StoreError("there is a log here already", cure="choose another PITH_DATA folder")
        empty = {"size": 0, "received_at": 0, "frontier": Frontier().to_bytes()}
        connection.execute(insert(HEAD).values(id=1, registry_name=registry, log_label=label, **empty))


class Store:
    """One registry's log in one database; safe to share between threads and beside other processes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        with database.read() as connection:
            named = connection.execute(select(HEAD.c.registry_name, HEAD.c.log_label)).one()
        name: str = named.registry_name
        self.registry_name: str = name
        self.label: str = named.log_label
        self._registry = Registry(name, self.label)
        self._registry_size = 0
        # Submissions are checked beside a running append, so they look keys up in a history of their own.
        self._known_lock = threading.Lock()
        self._known = Registry(name, self.label)
        self._known_size = 0
        self._known_records = KnownRecords()
        self.tree = Tree(database)
        self.checkpoints = Checkpoints(database, name, self.label)

    # --- writing ---------------------------------------------------------------------------

    def verify(self, submission: Submission) -> Submission:
        """Check signatures, disclosures and what `rules.check_form` asks, without any lock on the log.

        A key that is not known yet is left for `append`: it may be registered earlier in the same batch. So is an
        event without the right form: it is refused by the first rule that it breaks, which may be another.

        Raises:
            SubmissionError: a signature or a disclosed text does not hold.
        """
        event = submission.event
        _check_disclosures(submission)
        if submission.verified:
            return submission
        try:
            signatures = self._signatures(event)
        except UnknownKeyError:
            return submission
        for signature in signatures:
            signature.verify()
        return Submission(event, submission.disclosures, verified=True, formed=submission.formed or has_form(event))

    def append(self, submissions: Sequence[Submission], clock: Clock) -> list[Outcome]:
        """Append what is new and valid in one durable transaction.

        Returns one outcome for each submission, in order: its entry, or the error that kept it out. A
        refused event leaves no trace, and the others are kept.

        Raises:
            StoreError: the database failed; nothing of the batch is stored.
        """
        return self.append_sealed(submissions, clock, None).outcomes

    def append_sealed(self, submissions: Sequence[Submission], clock: Clock, key: SecretKey | None) -> Sealed:
        """Append as `append` does, and sign a checkpoint over it in the same transaction.

        Args:
            key: the log's; None signs nothing.
        """
        with self._lock:
            try:
                with self._database.write() as connection:
                    sealed = Sealed([])
                    frontier = self._append(connection, submissions, clock, sealed.outcomes)
                    if key is not None:
                        self._seal(connection, key, clock, frontier, sealed)
            except BaseException:
                self._forget()
                raise
        if any(isinstance(outcome, Appended) and _redacts(outcome.entry) for outcome in sealed.outcomes):
            self._database.erase_deleted(DISCLOSURES)
        return sealed

    def _seal(
        self, connection: Connection, key: SecretKey, clock: Clock, frontier: Frontier | None, sealed: Sealed
    ) -> None:
        try:
            frontier = frontier or frontier_of(connection)
            if frontier.size:
                sealed.checkpoint = self.checkpoints.seal(connection, key, self._registry, frontier, clock())
        except VerificationError as error:
            # The events are good whatever became of the log's key; whoever keeps that key hears of it.
            sealed.unsigned = error

    def adopt(self, entries: Sequence[Entry], workers: Executor | None = None) -> None:
        """Append entries of another copy of this log just as they are, each checked as on its first day.

        Args:
            workers: check signatures beside the caller's thread.

        Raises:
            VerificationError: the first entry that does not follow, with the step that failed; none is kept.
            StoreError: the database failed.
        """
        with self._lock:
            try:
                with self._database.write() as connection:
                    head, edge = locked_head_of(connection)
                    registry = self._refresh(connection, head.size)
                    for known in known_events(connection, [entry.event for entry in entries]).values():
                        raise VerificationError("position", f"the log has this event at {known.position}", cure="")
                    targets = BatchTargets(connection, {entry.event.subject for entry in entries})
                    verify_entries(entries, registry, targets, head, workers)
                    if entries:
                        insert_entries(connection, entries, [], head, edge)
                        self._registry_size = head.size + len(entries)
            except BaseException:
                self._forget()
                raise

    def copy_shared(self, entries: Sequence[Entry]) -> list[Outcome]:
        """Append key and policy events of the registry's first log, each received when that log received it.

        Where this log has received something later already, that time counts. One outcome for each, in order; what
        is here already stays where it is.

        Args:
            entries: of the first log's stream, in its order, none left out since the last that is here.

        Raises:
            StoreError: the database failed; none is kept.
        """
        outcomes: list[Outcome] = []
        with self._lock:
            try:
                with self._database.write() as connection:
                    for received_at, group in groupby(entries, key=attrgetter("received_at")):
                        submissions = [Submission(entry.event) for entry in group]
                        self._append(connection, submissions, _always(received_at), outcomes, is_copy=True)
            except BaseException:
                self._forget()
                raise
        return outcomes

    def _forget(self) -> None:
        """Go back to what is surely committed: what was folded in from a batch may have been rolled back."""
        with self._known_lock:
            self._registry, self._registry_size = self._known.copy(), self._known_size

    @contextmanager
    def targets_of(self, entries: Sequence[Entry]) -> Iterator[BatchTargets]:
        """Give what the log holds about the subjects of some entries, for checking them again."""
        with self._database.read() as connection:
            yield BatchTargets(connection, {entry.event.subject for entry in entries}, entries)

    def _append(
        self,
        connection: Connection,
        submissions: Sequence[Submission],
        clock: Clock,
        outcomes: list[Outcome],
        *,
        is_copy: bool = False,
    ) -> Frontier | None:
        """Append within a transaction and add the outcomes; return the grown tree's edge, None if nothing is new."""
        head, edge = locked_head_of(connection)
        registry = self._refresh(connection, head.size)
        known = known_events(connection, [submission.event for submission in submissions])
        targets = BatchTargets(
            connection, {submission.event.subject for submission in submissions}, known=self._known_records
        )
        received_at = max(clock(), head.received_at)
        new: list[Entry] = []
        disclosed: list[dict[str, object]] = []
        for submission in submissions:
            event = submission.event
            if found := known.get(event.event_id):
                outcomes.append(self._same(connection, submission, found, registry))
                if found.position >= head.size and isinstance(outcomes[-1], Appended):
                    given = {row["path"] for row in disclosed if row["position"] == found.position}
                    texts = {path: text for path, text in submission.disclosures.items() if path not in given}
                    disclosed += disclosure_rows(found, texts)
                continue
            entry = Entry(head.size + len(new), received_at, event)
            try:
                if not is_copy:
                    check_taken_here(event, self._registry)
                if not submission.verified:
                    _check_disclosures(submission)
                    verify_signatures(event, registry.keys)
                check(entry, registry, targets, formed=submission.formed)
            except SubmissionError as error:
                outcomes.append(error)
                continue
            except SQLAlchemyError:
                raise  # the transaction is spoiled, and no event to blame
            except Exception as error:
                # Nobody else's event in this batch must suffer from it.
                _LOG.exception("%s cannot be judged", event.id_text)
                outcomes.append(MalformedError(f"it cannot be judged ({type(error).__name__})", cure=_UNJUDGED))
                continue
            new.append(entry)
            known[event.event_id] = entry
            registry.add(entry)
            targets.add(entry)
            outcomes.append(Appended(entry, created=True))
            if submission.disclosures:
                disclosed += disclosure_rows(entry, submission.disclosures)
        if not new:
            return None
        frontier = insert_entries(connection, new, disclosed, head, edge)
        _redact(connection, new)
        self._registry_size = head.size + len(new)
        return frontier

    def _same(self, connection: Connection, submission: Submission, found: Entry, registry: Registry) -> Outcome:
        event = submission.event
        try:
            if not submission.verified:
                _check_disclosures(submission)
                verify_signatures(event, registry.keys)
        except SubmissionError as error:
            return error
        if submission.disclosures and found.position < head_of(connection).size:
            # Whoever appended the bare event first must not keep its signer's texts out.
            add_disclosures(connection, found, submission.disclosures)
        return Appended(found, created=False)

    def learn(self) -> None:
        """Take in the keys that are registered by now, so that no submission waits for that."""
        with self._known_lock:
            self._learn()

    def _learn(self) -> bool:
        size = self.head().size
        if size == self._known_size:
            return False
        for entry in self.of_registry(self._known_size, size):
            self._known.add(entry)
        self._known_size = size
        return True

    def _signatures(self, event: Event) -> list[Signature]:
        """Return the signatures to check; whose they are never changes, so only an unknown key asks the log anew."""
        with self._known_lock:
            try:
                return signatures_of(event, self._known.keys)
            except UnknownKeyError:
                if not self._learn():
                    raise
                return signatures_of(event, self._known.keys)

    def _refresh(self, connection: Connection, size: int) -> Registry:
        """Fold in what the registry's stream has gained up to a size since the last look, from any process."""
        if size < self._registry_size:
            raise LogCorruptedError(f"the log has {size} entries, and had {self._registry_size}")
        if size > self._registry_size:
            for entry in entries_of_subject(connection, self._registry.subject, self._registry_size, size):
                self._registry.add(entry)
            self._registry_size = size
        return self._registry

    # --- reading ---------------------------------------------------------------------------

    def head(self) -> Head:
        with self._database.read() as connection:
            return head_of(connection)

    def registry(self) -> Registry:
        """Return everything the registry's stream says by now, as an object of the caller's own."""
        with self._known_lock:
            self._learn()
            return self._known.copy()

    def of_registry(self, start: int, stop: int) -> list[Entry]:
        """Return the entries of the registry's own stream in a range of positions."""
        if start >= stop:
            return []
        with self._database.read() as connection:
            return list(entries_of_subject(connection, self._registry.subject, start, stop))

    def entry(self, position: int) -> Entry:
        """Return the entry at a position.

        Raises:
            NotFoundError: the log does not reach so far.
        """
        if not 0 <= position < self.head().size:
            raise NotFoundError(f"the log has no position {position}")
        return next(self.entries(position, position + 1))

    def find(self, event_id: bytes) -> Entry:
        """Return the entry of an event by its raw 32-byte id.

        Raises:
            NotFoundError: no such event.
        """
        with self._database.read() as connection:
            statement = select(EVENTS).where(EVENTS.c.event_key == key_of_id(event_id), EVENTS.c.event_id == event_id)
            row = connection.execute(statement).first()
        if row is None:
            raise NotFoundError(f"the log has no event sha256:{event_id.hex()}")
        return entry_of(row.position, row.received_at, row.event)

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """Read entries in order of position, a page at a time; holds no lock between pages."""
        for position, received_at, raw in self.rows(start, stop):
            yield entry_of(position, received_at, raw)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, int, bytes]]:
        """Read (position, received_at, event bytes) without parsing, in order of position."""
        size = self.head().size
        stop = size if stop is None else min(stop, size)
        columns = select(EVENTS.c.position, EVENTS.c.received_at, EVENTS.c.event).order_by(EVENTS.c.position)
        while start < stop:
            page_end = min(start + READ_ROWS, stop)
            with self._database.read() as connection:
                page = connection.execute(columns.where(EVENTS.c.position >= start, EVENTS.c.position < page_end)).all()
            for row in page:
                yield row[0], row[1], row[2]
            if len(page) < page_end - start:
                raise LogCorruptedError(f"entries are missing between positions {start} and {page_end}")
            start = page_end

    def checked_entries(self, start: int, stop: int) -> list[Entry]:
        """Read a page of entries and check that the log's look-up columns say what the events say.

        Raises:
            LogCorruptedError: an entry is missing, or would be found under another name than its own.
        """
        with self._database.read() as connection:
            statement = select(EVENTS).where(EVENTS.c.position >= start, EVENTS.c.position < stop)
            rows = connection.execute(statement.order_by(EVENTS.c.position)).all()
        if len(rows) != stop - start:
            raise LogCorruptedError(f"entries are missing between positions {start} and {stop}")
        return [checked_entry_of(row) for row in rows]

    def check_unique(self) -> None:
        """Check that no event stands at two positions.

        Raises:
            LogCorruptedError: one does.
        """
        with self._database.read() as connection:
            check_unique(connection)

    def of_subjects(self, subjects: Iterable[str], before: int, start: int = 0) -> dict[str, list[Entry]]:
        """Return the entries from one position up to another about each of some subjects, in order of position."""
        found: dict[str, list[Entry]] = {subject: [] for subject in subjects}
        with self._database.read() as connection:
            keys = [key_of_subject(subject) for subject in found]
            for at in range(0, len(keys), READ_ROWS):
                for entry in entries_of_keys(connection, keys[at : at + READ_ROWS], start, before):
                    if entry.event.subject in found:
                        found[entry.event.subject].append(entry)
        return found

    def of_types(self, types: Sequence[str], start: int, stop: int) -> list[Entry]:
        """Return the entries of some event types in a range of positions."""
        statement = select(EVENTS).where(
            EVENTS.c.position >= start, EVENTS.c.position < stop, EVENTS.c.event_type.in_(types)
        )
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(EVENTS.c.position)).all()
        return [entry_of(row.position, row.received_at, row.event) for row in rows]

    def unanchored(self, anchored_size: int) -> Unanchored | None:
        """Return since when the log holds what no outside clock vouches for; None where nothing owes an anchor.

        Anchors themselves owe none.

        Args:
            anchored_size: up to where outside clocks vouch for the log (`Registry.anchored_size`).
        """
        statement = select(EVENTS.c.position, EVENTS.c.received_at).where(
            EVENTS.c.position >= anchored_size, EVENTS.c.event_type != "timestamp_anchor"
        )
        with self._database.read() as connection:
            row = connection.execute(statement.order_by(EVENTS.c.position).limit(1)).first()
        return None if row is None else Unanchored(row.position, row.received_at)

    def size_at(self, received_at: int) -> int:
        """Return how many entries the log had at a time (microseconds): those received not later."""
        low, high = 0, self.head().size
        with self._database.read() as connection:
            while low < high:
                middle = (low + high) // 2
                statement = select(EVENTS.c.received_at).where(EVENTS.c.position == middle)
                if connection.execute(statement).scalar_one() <= received_at:
                    low = middle + 1
                else:
                    high = middle
        return low

    def disclosures(self, positions: Sequence[int]) -> dict[int, dict[str, Disclosure]]:
        """Return the private texts that are still held for some entries."""
        found: dict[int, dict[str, Disclosure]] = {}
        with self._database.read() as connection:
            statement = select(DISCLOSURES).where(DISCLOSURES.c.position.in_(positions))
            for row in connection.execute(statement):
                found.setdefault(row.position, {})[row.path] = Disclosure(row.salt, row.text)
        return found


def _always(time: int) -> Clock:
    """Return a clock that stands still."""
    return lambda: time


def _check_disclosures(submission: Submission) -> None:
    if submission.disclosures:
        event = submission.event
        check_disclosures(event.event_type, event.value["payload"], submission.disclosures)


def _redacts(entry: Entry) -> bool:
    return entry.event.event_type == "moderation_decision" and entry.event.payload.decision == "redacted"


def _redact(connection: Connection, new: Sequence[Entry]) -> None:
    """Delete the private texts of events that a decision just redacted; no hash or proof depends on them."""
    redacted = [bytes.fromhex(entry.event.target[7:]) for entry in new if _redacts(entry)]
    for event_id in redacted:
        named = select(EVENTS.c.position).where(
            EVENTS.c.event_key == key_of_id(event_id), EVENTS.c.event_id == event_id
        )
        connection.execute(delete(DISCLOSURES).where(DISCLOSURES.c.position.in_(named)))
