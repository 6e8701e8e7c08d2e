"""Rows in and out of the projections' tables, inside somebody's transaction that holds the write lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, Table, delete, func, select, text, update

from ledger.tables import table_of
from projections.folding import Rows
from projections.projectors import PROJECTORS, SEARCH_ROWS, Projector, Row, columns_of
from projections.tables import CursorRow

CURSORS: Final = table_of(CursorRow)
MANY: Final = 1_000
_TEXTS: Final = "INSERT INTO search_text (rowid, title, authors, abstract) VALUES (?, ?, ?, ?)"


def move_cursors(connection: Connection, generations: Mapping[str, int], start: int, end: int) -> bool:
    """Move the cursors of some generations, by projection; False, and nothing moved, if one stands elsewhere."""
    own = [
        (CURSORS.c.projection == name) & (CURSORS.c.generation == generation)
        for name, generation in generations.items()
    ]
    if any(connection.execute(select(CURSORS.c.cursor).where(row)).scalar() != start for row in own):
        return False
    for row in own:
        connection.execute(update(CURSORS).where(row).values(cursor=end, error=""))
    return True


def insert_rows(connection: Connection, generations: Mapping[str, int], rows: Rows) -> None:
    """Write rows, by table, of some generations, by projection."""
    for name, generation in generations.items():
        for table in PROJECTORS[name].tables:
            if found := rows.get(table.name):
                _insert(connection, table, generation, found)


def delete_papers(connection: Connection, projector: Projector, generation: int, suffixes: Sequence[str]) -> None:
    """Delete everything that some papers have in one generation of a projection."""
    for chunk in (suffixes[at : at + MANY] for at in range(0, len(suffixes), MANY)):
        for table in projector.tables:
            rows = table.c.generation == generation, table.c.suffix.in_(chunk)
            if table is SEARCH_ROWS:
                ids = connection.execute(select(table.c.id).where(*rows)).scalars().all()
                for row_id in ids:
                    connection.execute(text("DELETE FROM search_text WHERE rowid = :id"), {"id": row_id})
            connection.execute(delete(table).where(*rows))


def _insert(connection: Connection, table: Table, generation: int, rows: list[Row]) -> None:
    if table is SEARCH_ROWS:
        first = (connection.execute(select(func.max(table.c.id))).scalar() or 0) + 1
        connection.exec_driver_sql(_TEXTS, [(at, *row[1:]) for at, row in enumerate(rows, first)])
        _insert_plainly(
            connection, table, ("id", "suffix"), generation, [(at, row[0]) for at, row in enumerate(rows, first)]
        )
    else:
        _insert_plainly(connection, table, columns_of(table), generation, rows)


def _insert_plainly(
    connection: Connection, table: Table, columns: Sequence[str], generation: int, rows: list[Row]
) -> None:
    # Past SQLAlchemy, which takes longer over a row than SQLite does.
    places = ", ".join("?" * len(columns))
    names = ", ".join(columns)
    statement = f"INSERT INTO {table.name} (generation, {names}) VALUES ({int(generation)}, {places})"  # noqa: S608
    connection.exec_driver_sql(statement, rows)
