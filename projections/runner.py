"""From log to tables: read after the cursor, fold, write rows and cursor in one transaction.

A paper is judged anew whenever something about it, or something it depends on (a key's revocation or
proven identity, policy), was appended; its old rows are replaced. The runner can be stopped at any
point and goes on from its cursor; two runners take turns by the database's write lock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Table, delete, func, insert, select, text, update

from ledger.database import Database, create_tables
from ledger.errors import ProjectionError, StoreError
from ledger.events import Entry
from ledger.payloads import IdentityEvidence, KeyRevoked, PolicySet
from ledger.record_state import RecordState, fold
from ledger.registry import Registry
from ledger.store import Store
from ledger.subjects import is_number
from ledger.tables import table_of
from projections.judged import judge
from projections.projectors import PROJECTORS, RECORD_SIGNERS, RECORDS, SEARCH_ROWS, Projector, Row
from projections.tables import SEARCH_INDEX, CursorRow, LogRow, ProjectionTable

CURSORS: Final = table_of(CursorRow)
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
        connection.execute(insert(LOG).values(id=1, root=_root(store)))
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
        known_root == _root(store)
        and {row.projection for row in active} == set(PROJECTORS)
        and all(row.cursor <= size for row in active)
    )


def _root(store: Store) -> bytes:
    return store.entry(0).event.event_id if store.head().size else bytes(32)


class Runner:
    """Keeps generations of projections up to date with one log."""

    def __init__(self, store: Store, database: Database) -> None:
        self._store = store
        self._database = database
        self._registry = Registry(store.registry_name)
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

    def run(
        self,
        generations: dict[str, int],
        start: int,
        stop: int,
        progress: Progress = lambda _: None,
        *,
        as_of: int | None = None,
    ) -> bool:
        """Bring one generation of some projections from a cursor to a position; False if another was faster.

        Args:
            as_of: judge by everything below this position from the outset, as a rebuild does; None judges
                by what is read so far and judges again what later entries touch.
        """
        while start < stop:
            end = min(start + BATCH, stop)
            entries = list(self._store.entries(start, end))
            self._learn(as_of or end)
            try:
                with self._database.write() as connection:
                    if not _move(connection, generations, start, end):
                        return False
                    self._write(connection, generations, entries, end, as_of)
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

    def _write(
        self, connection: Connection, generations: dict[str, int], entries: list[Entry], end: int, as_of: int | None
    ) -> None:
        states: dict[str, RecordState] = {}
        fresh: set[str] = set()
        touched: set[str] = set()
        for entry in entries:
            subject = entry.event.subject
            if not is_number(subject):
                if as_of is None:
                    touched |= self._touched(connection, generations, entry)
                continue
            state = states.setdefault(subject, RecordState(subject))
            state.fold(entry)
            if entry.event.event_type == "record_created":
                fresh.add(subject)  # nothing about a paper can stand before its record
        old = (states.keys() | touched) - fresh
        for subject, known in self._store.of_subjects(sorted(old), end).items():
            states[subject] = fold(subject, known)
        before = end if as_of is None else as_of
        projectors = [PROJECTORS[name] for name in generations]
        rows: dict[Table, list[Row]] = defaultdict(list)
        for state in states.values():
            for table, row in self._rows(state, before, projectors):
                rows[table].append(row)
        for projector in projectors:
            generation = generations[projector.name]
            _delete(connection, projector, generation, [subject[10:] for subject in old])
            for table in projector.tables:
                _insert(connection, table, [{"generation": generation, **row} for row in rows[table]])

    def _rows(self, state: RecordState, before: int, projectors: list[Projector]) -> list[tuple[Table, Row]]:
        try:
            judged = judge(state, self._registry, before)
            return [found for projector in projectors for found in projector.rows(judged)] if judged else []
        except Exception as error:
            # Whatever it is, it must stop this projection by name and touch neither the log nor the cursor.
            raise ProjectionError(f"{state.subject} cannot be projected: {error!r}", place=state.subject) from error

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


def _move(connection: Connection, generations: dict[str, int], start: int, end: int) -> bool:
    """Move all the cursors unless somebody else has moved one; the caller's transaction holds the write lock."""
    own = [
        (CURSORS.c.projection == name) & (CURSORS.c.generation == generation)
        for name, generation in generations.items()
    ]
    if any(connection.execute(select(CURSORS.c.cursor).where(row)).scalar() != start for row in own):
        return False
    for row in own:
        connection.execute(update(CURSORS).where(row).values(cursor=end, error=""))
    return True


def _delete(connection: Connection, projector: Projector, generation: int, suffixes: list[str]) -> None:
    for chunk in (suffixes[at : at + BATCH] for at in range(0, len(suffixes), BATCH)):
        for table in projector.tables:
            rows = table.c.generation == generation, table.c.suffix.in_(chunk)
            if table is SEARCH_ROWS:
                ids = connection.execute(select(table.c.id).where(*rows)).scalars().all()
                for row_id in ids:
                    connection.execute(text("DELETE FROM search_text WHERE rowid = :id"), {"id": row_id})
            connection.execute(delete(table).where(*rows))


def _insert(connection: Connection, table: Table, rows: list[Row]) -> None:
    if not rows:
        return
    if table is SEARCH_ROWS:
        next_id = (connection.execute(select(func.max(table.c.id))).scalar() or 0) + 1
        rows = [{"id": next_id + at, **row} for at, row in enumerate(rows)]
        connection.execute(
            text("INSERT INTO search_text(rowid, title, authors, abstract) VALUES (:id, :title, :authors, :abstract)"),
            rows,
        )
        rows = [{name: row[name] for name in ("id", "generation", "suffix")} for row in rows]
    connection.execute(insert(table), rows)
