"""Bringing the tables of one database to the newest version, in one transaction: all of it is done, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Table, text
from sqlalchemy.schema import CreateTable

from ledger.database import Database
from ops.migrations.guarding import drop_guards, make_guards
from ops.migrations.lines import Line, is_noted, stamp, version_of

FOLDER: Final = Path(__file__).parent
_ASIDE: Final = "table_before_upgrade"


def configuration(line: Line, connection: Connection) -> Config:
    """Return what Alembic needs to know to work on a line over a connection."""
    # A percent sign in a path would be taken for the name of an option.
    folder = str(FOLDER).replace("%", "%%")
    config = Config()
    config.set_main_option("script_location", folder)
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{folder}/{line.name}")
    config.attributes.update(connection=connection, metadata=line.metadata())
    return config


def upgrade(database: Database, line: Line) -> tuple[str | None, str]:
    """Bring a database's tables to the newest version, and make its guards anew; return the versions before and after.

    A database without tables gets them all, one of release 0.1 what it lacks. Rows of events are never touched.

    Raises:
        UsageError: its tables are of no version of this line.
        StoreError: the database refused; everything is as it was.
    """
    with database.write() as connection:
        before = version_of(connection, line)
        drop_guards(connection, line, database.schema)
        if before == line.head and not is_noted(connection):
            line.metadata().create_all(connection)
            stamp(connection, line)
        command.upgrade(configuration(line, connection), "head")
        if not database.is_postgresql:
            _settle(connection, line.metadata().sorted_tables)
        make_guards(connection, line)
    return before, line.head


def _settle(connection: Connection, tables: Sequence[Table]) -> None:
    """Make each table anew whose words are not those of a new database's, and copy its rows.

    SQLite keeps the words that made a table, and what an ALTER TABLE added to them stands as no new table has it. An
    audit compares the words, since they decide what each answer means.
    """
    for table in tables:
        asked = text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name")
        found = connection.execute(asked, {"name": table.name}).scalar_one()
        wanted = str(CreateTable(table).compile(connection)).strip()
        if found != wanted:
            _make_anew(connection, table)


def _make_anew(connection: Connection, table: Table) -> None:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    connection.exec_driver_sql(f'ALTER TABLE "{table.name}" RENAME TO {_ASIDE}')
    for index in table.indexes:
        index.drop(connection, checkfirst=True)
    connection.execute(CreateTable(table))
    connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({columns}) SELECT {columns} FROM {_ASIDE}')  # noqa: S608
    connection.exec_driver_sql(f"DROP TABLE {_ASIDE}")
    for index in table.indexes:
        index.create(connection)
