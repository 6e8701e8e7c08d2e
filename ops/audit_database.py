"""Auditing a SQLite file as such: its pages and indices, its schema, and that each cell is of its column's kind.

SQLite keeps a value of any kind in any column, and a schema that somebody changed answers every question in
its own way; so both are settled before anything else is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sqlalchemy import Boolean, Column, Connection, Integer, LargeBinary, MetaData, Table, func, or_, select, text
from sqlalchemy import type_coerce as as_type

from ledger.database import create_tables, open_sqlite
from ledger.errors import VerificationError
from ops.migrations.lines import VERSIONS

STEP: Final = "database"

Schema = dict[tuple[str, str], tuple[str, str | None]]
"""By kind and name of what a database holds: the table it is for, and the words that made it."""


@cache
def made_by(metadata: MetaData, statements: tuple[str, ...]) -> Schema:
    """Return the schema of a new database, made as this version makes it, with the note of its tables' version."""
    with TemporaryDirectory(prefix="pith-audit-") as folder:
        database = open_sqlite(Path(folder) / "new.db", durable=False)
        try:
            create_tables(database, metadata, statements)
            create_tables(database, VERSIONS.metadata)
            with database.read() as connection:
                return _schema(connection)
        finally:
            database.close()


def check_database(connection: Connection, expected: Schema, tables: Iterable[Table]) -> None:
    """Check a database before its rows are read.

    Raises:
        VerificationError: step `database`; a damaged page or index, a part of the schema that is missing,
            changed or too much, or a cell that no writer of ours could have left.
        SQLAlchemyError: it cannot be read at all.
    """
    _check_schema(_schema(connection), expected)
    for (found,) in connection.exec_driver_sql("PRAGMA integrity_check"):
        if found != "ok":
            raise VerificationError(STEP, f"SQLite's integrity check says: {' '.join(found.split())[:200]}")
    for table in tables:
        _check_cells(connection, table)


def _schema(connection: Connection) -> Schema:
    rows = connection.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master"))
    return {(row.type, row.name): (row.tbl_name, row.sql) for row in rows}


def _check_schema(found: Schema, expected: Schema) -> None:
    # What release 0.1 made has no note of its version.
    is_noted = any(table == VERSIONS.name for table, _ in found.values())
    for kind, name in sorted(found.keys() | expected.keys()):
        if not is_noted and expected.get((kind, name), ("",))[0] == VERSIONS.name:
            continue
        if (kind, name) not in found:
            raise VerificationError(STEP, f"the {kind} {name} is missing", place="sqlite_master")
        if (kind, name) not in expected:
            raise VerificationError(STEP, f"the {kind} {name} does not belong here", place="sqlite_master")
        if found[kind, name] != expected[kind, name]:
            raise VerificationError(STEP, f"the {kind} {name} is not as it was made", place="sqlite_master")


def _check_cells(connection: Connection, table: Table) -> None:
    wrong = or_(*(_is_wrong(column) for column in table.c))
    keys = list(table.primary_key)
    row = connection.execute(select(*keys).where(wrong).limit(1)).first()
    if row is not None:
        place = ", ".join(f"{key.name} {str(value)[:80]}" for key, value in zip(keys, row, strict=True))
        raise VerificationError(STEP, "a cell is not of its column's kind", place=f"{table.name}, {place}")


def _is_wrong(column: Column[Any]) -> Any:
    match column.type:
        case Boolean():
            return or_(func.typeof(column) != "integer", as_type(column, Integer).not_in((0, 1)))
        case Integer():
            return func.typeof(column) != "integer"
        case LargeBinary():
            return func.typeof(column) != "blob"
        case _:
            return func.typeof(column) != "text"
