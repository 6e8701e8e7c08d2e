"""Auditing projections: every row of theirs is what folding the log from its first entry gives.

A copy is audited, since SQLite's full-text index can only be asked for its integrity by whoever may write to
it; and the file itself is left as it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Row, Table, select, text

from ledger.database import Database, open_sqlite
from ledger.errors import LedgerError, VerificationError
from ledger.store import Store
from ops.audit_database import check_database, made_by
from ops.audit_steps import PROJECTIONS_CURE, Advance, checking
from projections.projectors import PROJECTORS, columns_of
from projections.rebuild import content, fill, state_digest
from projections.runner import LOG, create_projections, root_of
from projections.tables import SEARCH_INDEX, ProjectionTable
from projections.writing import CURSORS

STEP: Final = "projections"
SHOWN: Final = 60
"""How many characters of a value an error shows."""

_STRAYS: Final = {
    "a text belongs to no paper": "SELECT rowid FROM search_text EXCEPT SELECT id FROM search_rows LIMIT 1",
    "a paper has no text": "SELECT id FROM search_rows EXCEPT SELECT rowid FROM search_text LIMIT 1",
    # SQLite's own check reads the index from end to end; who looks a word up goes another way, through search_text_idx.
    "a word is not found where it stands": (
        "SELECT term FROM temp.words WHERE doc <>"
        """ (SELECT count(*) FROM search_text WHERE search_text MATCH '"' || term || '"') LIMIT 1"""
    ),
}


@dataclass(frozen=True, slots=True)
class Projected:
    """Projections that stand where they say: up to which position, how many rows, and what they hash to (hex)."""

    cursor: int
    rows: int
    state_digest: str


@contextmanager
def copied(path: Path) -> Iterator[Database]:
    """Give a copy, of one moment, of the projections in a file.

    Raises:
        VerificationError: step `projections`; there is no such file, or nothing that can be copied.
    """
    with TemporaryDirectory(prefix="pith-audit-") as folder:
        with checking(STEP, path.name, PROJECTIONS_CURE):
            if not path.exists():
                raise VerificationError(STEP, "there are no projections", cure="run `pith rebuild`")
            source = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)
            target = sqlite3.connect(Path(folder) / path.name)
            try:
                source.backup(target)
            finally:
                source.close()
                target.close()
        database = open_sqlite(Path(folder) / path.name, durable=False)
        try:
            yield database
        finally:
            database.close()


def check_projections(database: Database, store: Store, advance: Advance) -> Projected:
    """Check every active row against a fold of the log up to where the projections stand.

    Args:
        database: a copy that may be written to; its content stays.
        store: the log, audited beforehand.

    Raises:
        VerificationError: step `projections` (or `database`), with the first table and row that differ.
    """
    with checking(STEP, "projections.db", PROJECTIONS_CURE):
        with database.read() as connection:
            check_database(
                connection, made_by(ProjectionTable.metadata, SEARCH_INDEX), ProjectionTable.metadata.sorted_tables
            )
            generations, cursor = _check_cursors(connection, store)
            _check_generations(connection)
        _check_index(database)
        with TemporaryDirectory(prefix="pith-audit-") as folder:
            folded = open_sqlite(Path(folder) / "folded.db", durable=False)
            try:
                create_projections(folded)
                fill(store, folded, dict.fromkeys(PROJECTORS, 1), cursor, advance)
                with database.read() as found, folded.read() as expected:
                    _check_configuration(found, expected)
                    rows = sum(_compare(found, generations[name], expected, name) for name in PROJECTORS)
                return Projected(cursor, rows, state_digest(folded))
            finally:
                folded.close()


def _check_cursors(connection: Connection, store: Store) -> tuple[dict[str, int], int]:
    """Return the active generation of each projection, and where they all stand."""
    rows = connection.execute(select(CURSORS).order_by(CURSORS.c.projection, CURSORS.c.generation)).all()
    head = store.head().size
    for row in rows:
        place = f"cursors, {row.projection[:80]} generation {row.generation}"
        if row.projection not in PROJECTORS:
            raise VerificationError(STEP, "there is no such projection", place=place)
        if not 0 <= row.cursor <= head:
            raise VerificationError(STEP, f"the cursor is {row.cursor}, the log has {head} entries", place=place)
        if row.error and row.active:
            raise VerificationError(STEP, f"it stopped: {row.error}", place=place)
    active = [row for row in rows if row.active]
    for name in PROJECTORS:
        count = sum(row.projection == name for row in active)
        if count != 1:
            raise VerificationError(STEP, f"{count} generations of {name} are active, not one", place="cursors")
    cursors = {row.projection: row.cursor for row in active}
    if len(set(cursors.values())) != 1:
        stated = ", ".join(f"{name} at {cursor}" for name, cursor in cursors.items())
        raise VerificationError(STEP, f"they stand at different positions: {stated}", place="cursors")
    _check_log(connection, store)
    return {row.projection: row.generation for row in active}, active[0].cursor


def _check_log(connection: Connection, store: Store) -> None:
    rows = connection.execute(select(LOG)).all()
    root = root_of(store)
    if [(row.id, row.root) for row in rows] != [(1, root)]:
        stated = ", ".join(row.root.hex() for row in rows) or "nothing"
        raise VerificationError(
            STEP,
            f"they say they are of the log that begins with {stated}, this begins with {root.hex()}",
            place=LOG.name,
        )


def _check_generations(connection: Connection) -> None:
    """Check that each row belongs to a generation that has a cursor."""
    for name, projector in PROJECTORS.items():
        known = select(CURSORS.c.generation).where(CURSORS.c.projection == name)
        for table in projector.tables:
            stray = select(table.c.suffix, table.c.generation).where(table.c.generation.not_in(known)).limit(1)
            if found := connection.execute(stray).first():
                place = f"{table.name}, suffix {found.suffix}"
                raise VerificationError(STEP, f"a row is of generation {found.generation}, which is none", place=place)


def _check_index(database: Database) -> None:
    """Check that the full-text index finds its own texts, and that each text belongs to a row."""
    place = "search_text"
    try:
        with database.write() as connection:
            connection.execute(text("INSERT INTO search_text(search_text) VALUES ('integrity-check')"))
    except LedgerError as error:
        reason = f"the full-text index does not fit its texts: {error.message}"
        raise VerificationError(STEP, reason, place=place) from error
    with database.write() as connection:
        connection.execute(
            text("CREATE VIRTUAL TABLE IF NOT EXISTS temp.words USING fts5vocab(main, search_text, row)")
        )
        for reason, statement in _STRAYS.items():
            found = connection.execute(text(statement)).scalar()
            if found is not None:
                raise VerificationError(STEP, reason, place=f"{place}, {found}")


def _check_configuration(found: Connection, expected: Connection) -> None:
    """Check that the full-text index is set as it is when it is made."""
    statement = text("SELECT k, v FROM search_text_config ORDER BY k")
    settings, usual = found.execute(statement).all(), expected.execute(statement).all()
    if settings != usual:
        message = f"the full-text index is set to {settings}, not to {usual}"
        raise VerificationError(STEP, message, place="search_text_config")


def _compare(found: Connection, generation: int, expected: Connection, projection: str) -> int:
    """Compare a projection's rows with those of the fold's generation 1; return how many there are."""
    count = 0
    for table in PROJECTORS[projection].tables:
        both = zip_longest(content(found, table, generation), content(expected, table, 1))
        for one, other in both:
            if one != other:
                raise _difference(table, one, other)
            count += 1
    return count


def _difference(table: Table, found: Row[Any] | None, expected: Row[Any] | None) -> VerificationError:
    if found is None or (expected is not None and found[0] > expected[0]):
        assert expected is not None
        return VerificationError(STEP, "the row is missing", place=f"{table.name}, suffix {expected[0]}")
    place = f"{table.name}, suffix {found[0]}"
    if expected is None or found[0] < expected[0]:
        return VerificationError(STEP, "the row follows from nothing in the log", place=place)
    for column, one, other in zip(columns_of(table), found, expected, strict=True):
        if one != other:
            return VerificationError(STEP, f"{column} {_unlike(one, other)}", place=place)
    raise AssertionError("equal rows differ in no column")


def _unlike(found: object, expected: object) -> str:
    if isinstance(found, bytes) and isinstance(expected, bytes):
        at = next(at for at, (one, other) in enumerate(zip_longest(found, expected)) if one != other)
        return f"differs from what folding the log gives at byte {at}"
    return f"is {repr(found)[:SHOWN]}, folding the log gives {repr(expected)[:SHOWN]}"
