"""Moving a registry from the files of its data folder into PostgreSQL, private texts and owed work included.

The log is copied row by row, so that every receipt and checkpoint stays what it was. While that goes on, and ever
after, the file takes no more events: a server that was forgotten must not write a second history. The log comes last
and wholly, so a move that was broken off has moved nothing, or all of it; either way it is simply begun anew. Only
where the log is surely not in PostgreSQL is the file given back.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, func, insert, select, text

from ledger.errors import LedgerError, StoreError, UsageError
from ledger.tables import HEAD
from ops.databases import connected, make_tables, no_ledger, path_of, place_of
from ops.migrations.guarding import CLOSED, make_guards
from ops.migrations.lines import JOBS, LOG, PRIVATE, Line, check_version, version_of
from ops.new_databases import grant_server, make_schemas
from ops.settings import Settings

AT_ONCE: Final = 1_000

_CLOSE: Final = (
    f"CREATE TRIGGER {CLOSED} BEFORE INSERT ON events"
    " BEGIN SELECT RAISE(ABORT, 'this log was moved to PostgreSQL'); END"
)
_OPEN: Final = f"DROP TRIGGER IF EXISTS {CLOSED}"


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one database: how many rows were copied, and under which name its file is kept."""

    line: Line
    rows: int
    kept: Path


def move(settings: Settings) -> list[Moved]:
    """Copy the databases of a data folder into the PostgreSQL database of the settings, and set their files aside.

    Raises:
        UsageError: no PostgreSQL database is named, or there is no ledger in the folder, one in the database already,
            or one of another release; or the role may make no tables.
        StoreError: a database failed; nothing was moved, unless its cure says that nobody knows. Begin it anew.
    """
    if not settings.database_url:
        raise UsageError("it is not said where to", place="PITH_DATABASE_URL", cure="set it to the new database")
    files = replace(settings, database_url="", owner_url="")
    if not files.ledger_path.exists():
        raise no_ledger(files)
    if _log_in(settings) not in (None, _log_in(files)):
        raise UsageError("there is a ledger in this database", place=place_of(settings, LOG), cure="name an empty one")
    lines = [line for line in (PRIVATE, JOBS, LOG) if path_of(files, line).exists()]
    for line in lines:
        with closing(connected(files, line)) as source:
            check_version(source, line, place_of(files, line))
            make_tables(source, line)
    make_schemas(settings)
    counts = _copied_all(files, settings, lines)
    for line in (PRIVATE, JOBS):
        with closing(connected(settings, line, as_owner=True)) as target:
            make_tables(target, line)
    grant_server(settings)
    return [Moved(line, rows, _set_aside(path_of(files, line))) for line, rows in counts]


def _log_in(settings: Settings) -> tuple[Any, ...] | None:
    """Return what tells a log with at least its root from any other: name, size and the tree's edge; None without."""
    with closing(connected(settings, LOG, as_owner=True)) as database, database.read() as connection:
        if version_of(connection, LOG) is None:
            return None
        asked = select(HEAD.c.registry_name, HEAD.c.size, HEAD.c.frontier).where(HEAD.c.size > 0)
        found = connection.execute(asked).first()
    return tuple(found) if found else None


def _copied_all(files: Settings, settings: Settings, lines: Sequence[Line]) -> list[tuple[Line, int]]:
    """Close the log in the file and copy each database; return how many rows, none where all are there already."""
    _close(files)
    counts: list[tuple[Line, int]] = []
    try:
        found = _log_in(settings)
        if found is not None and found == _log_in(files):
            return [(line, 0) for line in lines]
        for line in lines:
            counts.append((line, _copied(files, settings, line)))
    except BaseException:
        # The log comes last: before it nothing is there.
        if len(counts) < len(lines) - 1 or not _may_be_in(settings):
            _open(files)
        raise
    return counts


def _may_be_in(settings: Settings) -> bool:
    """Say whether a log may be there; where the database does not answer, nobody knows."""
    try:
        return _log_in(settings) is not None
    except LedgerError:
        return True


def _close(files: Settings) -> None:
    with closing(connected(files, LOG)) as log, log.write() as connection:
        connection.execute(text(_OPEN))
        connection.execute(text(_CLOSE))


def _open(files: Settings) -> None:
    with closing(connected(files, LOG)) as log, log.write() as connection:
        connection.execute(text(_OPEN))


def _copied(files: Settings, settings: Settings, line: Line) -> int:
    """Copy the rows of every table, in one transaction; return how many."""
    with closing(connected(files, line)) as source, closing(connected(settings, line, as_owner=True)) as target:
        make_tables(target, line)
        with source.read() as old, target.write() as new:
            tables = line.metadata().sorted_tables
            if line is not LOG:
                # What a move that was broken off has left.
                for table in reversed(tables):
                    new.execute(delete(table))
            count = sum(_copy(old, new, table) for table in tables)
            make_guards(new, line)
        return count


def _copy(old: Connection, new: Connection, table: Table) -> int:
    rows = old.execute(select(table).order_by(*table.primary_key), execution_options={"yield_per": AT_ONCE})
    count = 0
    for page in rows.mappings().partitions(AT_ONCE):
        new.execute(insert(table), [dict(row) for row in page])
        count += len(page)
    if new.execute(select(func.count()).select_from(table)).scalar_one() != count:
        raise StoreError(f"{table.name} has other rows than those that were copied", cure="name an empty database")
    if "id" in table.columns and table.columns["id"].autoincrement is not False:
        # Numbers go on where they stood.
        asked = text("SELECT pg_get_serial_sequence(:table, 'id')")
        if (sequence := new.execute(asked, {"table": table.name}).scalar()) is not None:
            greatest = new.execute(select(func.max(table.columns["id"]))).scalar()
            if greatest is not None:
                new.execute(text("SELECT setval(CAST(:name AS regclass), :at)"), {"name": sequence, "at": greatest})
    return count


def _set_aside(path: Path) -> Path:
    kept = path.with_name(f"{path.name}.moved")
    # The file first: without its write-ahead log it would not know that it is closed.
    for suffix in ("", "-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(kept.with_name(kept.name + suffix))
    return kept
