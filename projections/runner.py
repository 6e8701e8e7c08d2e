"""From log to tables: read after the cursor, fold, write rows and cursor in one transaction.

A paper is judged anew whenever something about it, or something it depends on (a key's revocation or
proven identity, policy), was appended; its old rows are replaced. The runner can be stopped at any
point and goes on from its cursor; two runners take turns by the database's write lock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, delete, insert, select, text, update

from ledger.database import Database, create_tables
from ledger.errors import ProjectionError, StoreError
from ledger.events import Entry
from ledger.payloads import IdentityEvidence, KeyRevoked, PolicySet
from ledger.record_state import RecordState, fold
from ledger.registry import Registry
from ledger.store import Store
from ledger.subjects import is_number
from ledger.tables import table_of
from projections.folding import judged_paper, rows_of_all
from projections.projectors import PROJECTORS, RECORD_SIGNERS, RECORDS
from projections.tables import SEARCH_INDEX, LogRow, ProjectionTable
from projections.writing import CURSORS, delete_papers, insert_rows, move_cursors

LOG: Final = table_of(LogRow)
BATCH: Final = 1_000
Progress = Callable[[int], None]
"""Called with the number of entries read since the last call."""


def create_projections(database: Database) -> None:
    """Create the projections' tables, and a first active generation of each projection."""
    create_tables(database, ProjectionTable.metadata, SEARCH_INDEX)
    with database.write() as connection:
        _begin_all(connection)


def open_projections(store: Store, database: Database) -> None:
    """Make sure the projections are of this log; create them where they are missing.

    What was projected from another log, or from more than this log now holds (a restored backup), is
    thrown away: it can be built again.
    """
    try:
        with database.read() as connection:
            if _belong_to(connection, store):
                return
    except StoreError:
        pass  # there are no tables yet
    create_tables(database, ProjectionTable.metadata, SEARCH_INDEX)
    with database.write() as connection:
        if _belong_to(connection, store):
            return
        for table in ProjectionTable.metadata.sorted_tables:
            connection.execute(delete(table))
        connection.execute(text("DELETE FROM search_text"))
        connection.execute(insert(LOG).values(id=1, root=root_of(store)))
        _begin_all(connection)


def _begin_all(connection: Connection) -> None:
    known = set(connection.execute(select(CURSORS.c.projection)).scalars())
    for name in PROJECTORS:
        if name not in known:
            row = {"projection": name, "generation": 1, "cursor": 0, "active": True, "error": ""}
            connection.execute(insert(CURSORS).values(row))


def _belong_to(connection: Connection, store: Store) -> bool:
    known_root = connection.execute(select(LOG.c.root)).scalar()
    active = connection.execute(select(CURSORS).where(CURSORS.c.active)).all()
    size = store.head().size  # looked up last: others may append and project at this very moment
    return (
        known_root == root_of(store)
        and {row.projection for row in active} == set(PROJECTORS)
        and all(row.cursor <= size for row in active)
    )


def root_of(store: Store) -> bytes:
    """Return what tells a log from every other: its root event's id; beside a registry's first log, a hash over both
    that and the label, since its logs share their root.
    """
    root = store.entry(0).event.event_id if store.head().size else bytes(32)
    return hashlib.sha256(root + store.label.encode()).digest() if store.label else root


class Runner:
    """Keeps generations of projections up to date with one log."""

    def __init__(self, store: Store, database: Database) -> None:
        self._store = store
        self._database = database
        self._registry = Registry(store.registry_name, store.label)
        self._registry_size = 0

    def catch_up(self, progress: Progress = lambda _: None, stop: int | None = None) -> int:
        """Bring every active projection to the head of the log, or to a position; return that position.

        Raises:
            ProjectionError: a paper cannot be projected; its reason is kept with the cursor.
        """
        stop = self._store.head().size if stop is None else stop
        while True:
            with self._database.read() as connection:
                active = connection.execute(select(CURSORS).where(CURSORS.c.active)).all()
            cursors = {row.cursor for row in active}
            if len(cursors) != 1:
                raise ProjectionError(f"the active projections stand at different positions {sorted(cursors)}")
            cursor: int = cursors.pop()
            # Another runner may be faster, or a rebuild may switch: then look again from where it stands.
            if cursor >= stop or self.run({row.projection: row.generation for row in active}, cursor, stop, progress):
                return max(cursor, stop)

    def run(self, generations: dict[str, int], start: int, stop: int, progress: Progress = lambda _: None) -> bool:
        """Bring one generation of some projections from a cursor to a position; False if another was faster.

        Papers are judged by what is read so far, and judged again when later entries touch them.
        """
        while start < stop:
            end = min(start + BATCH, stop)
            entries = list(self._store.entries(start, end))
            self._learn(end)
            try:
                with self._database.write() as connection:
                    if not move_cursors(connection, generations, start, end):
                        return False
                    self._write(connection, generations, entries, end)
            except ProjectionError as error:
                self._note(generations, str(error))
                raise
            progress(end - start)
            start = end
        return True

    def _learn(self, size: int) -> None:
        if size > self._registry_size:
            for entry in self._store.of_registry(self._registry_size, size):
                self._registry.add(entry)
            self._registry_size = size

    def _write(self, connection: Connection, generations: dict[str, int], entries: list[Entry], end: int) -> None:
        states: dict[str, RecordState] = {}
        fresh: set[str] = set()
        touched: set[str] = set()
        for entry in entries:
            subject = entry.event.subject
            if not is_number(subject):
                touched |= self._touched(connection, generations, entry)
                continue
            state = states.setdefault(subject, RecordState(subject))
            state.fold(entry)
            if entry.event.event_type == "record_created":
                fresh.add(subject)  # nothing about a paper can stand before its record
        old = (states.keys() | touched) - fresh
        for subject, known in self._store.of_subjects(sorted(old), end).items():
            states[subject] = fold(subject, known)
        papers = (judged_paper(state, self._registry, end) for state in states.values())
        rows = rows_of_all((judged for judged in papers if judged), generations)
        for name, generation in generations.items():
            delete_papers(connection, PROJECTORS[name], generation, [subject[10:] for subject in old])
        insert_rows(connection, generations, rows)

    def _touched(self, connection: Connection, generations: dict[str, int], entry: Entry) -> set[str]:
        """Return the papers already projected whose view an entry of the registry's stream may change."""
        match entry.event.payload:
            case KeyRevoked(key_id=key):
                found = self._registry.keys.find(key)
                concerned = self._registry.keys.concerned(key)
                everything = found is None or found.role in ("event", "receipt", "foreign_receipt")
            case IdentityEvidence(key_id=str() as key):
                concerned, everything = self._registry.keys.concerned(key), False
            case PolicySet():
                concerned, everything = set(), True
            case _:
                return set()
        generation = generations.get("records") or _active(connection, "records")
        if everything:
            papers = select(RECORDS.c.subject).where(RECORDS.c.generation == generation)
        else:
            papers = select(RECORD_SIGNERS.c.subject).where(
                RECORD_SIGNERS.c.generation == generation, RECORD_SIGNERS.c.key_id.in_(concerned)
            )
        return set(connection.execute(papers).scalars())

    def _note(self, generations: dict[str, int], reason: str) -> None:
        with self._database.write() as connection:
            for name, generation in generations.items():
                row = update(CURSORS).where(CURSORS.c.projection == name, CURSORS.c.generation == generation)
                connection.execute(row.values(error=reason[:500]))


def _active(connection: Connection, projection: str) -> int:
    statement = select(CURSORS.c.generation).where(CURSORS.c.projection == projection, CURSORS.c.active)
    generation: int = connection.execute(statement).scalar_one()
    return generation
