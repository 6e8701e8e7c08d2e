"""Transactions: one that writes and is alone from its start, one that sees a single state; errors in our own words.

The same on every database. What differs (how a transaction begins, how deleted texts leave the disk) is given by
whoever opens the database: `ledger.sqlite`, `ledger.postgresql`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, Engine, MetaData, Table, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.schema import CreateSchema

from ledger.errors import StoreError

_NOTHING: Final = "nothing was stored; see the reason and retry"
_UNKNOWN: Final = "it is not known whether it was stored: send it again, what is stored already gets the same answer"

Erase = Callable[[Engine, Table], None]
"""Removes from the disk what was deleted from a table, as far as the database can."""


def _leave(_: Engine, table: Table) -> None:
    """Leave the disk as it is: who only reads deletes nothing."""


@dataclass(frozen=True, slots=True)
class Database:
    """One database: an engine whose transactions write, and one whose transactions only read.

    Args:
        schema: where a PostgreSQL database keeps its tables; "" on SQLite.
        erase: what `erase_deleted` does.
    """

    writer: Engine
    reader: Engine
    schema: str = ""
    erase: Erase = field(default=_leave, repr=False)

    @property
    def is_postgresql(self) -> bool:
        return self.writer.dialect.name == "postgresql"

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that holds the write lock from its start; commit at the end, or roll back.

        Raises:
            StoreError: what the database refused, in its words; its cure says so where a connection was lost
                while it committed, for then the outcome is unknown.
        """
        with _translated(), _begin(self.writer) as connection:
            yield connection
            _commit(connection, if_lost=_UNKNOWN)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a consistent view for reading; raises as `write` does."""
        with _translated(), _begin(self.reader) as connection:
            yield connection
            _commit(connection, if_lost=_NOTHING)

    def erase_deleted(self, table: Table) -> None:
        """Remove from the disk what was deleted from a table; a long read by others may put it off to the next time.

        Raises:
            StoreError: that failed; the deletion itself stands.
        """
        try:
            self.erase(self.writer, table)
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
            raise StoreError(
                f"what was deleted is gone from the tables, but may still be on the disk: {reason}",
                cure="do it again: that erases it too",
            ) from error

    def close(self) -> None:
        self.writer.dispose()
        self.reader.dispose()


def create_tables(database: Database, metadata: MetaData, statements: tuple[str, ...] = ()) -> None:
    """Create the tables that are missing and run further statements, in one transaction."""
    with database.write() as connection:
        if database.schema and not connection.dialect.has_schema(connection, database.schema):
            connection.execute(CreateSchema(database.schema))
        metadata.create_all(connection)
        for statement in statements:
            connection.execute(text(statement))


def _begin(engine: Engine) -> Connection:
    """Connect and begin; a pooled connection that died while nobody used it is replaced by a new one."""
    try:
        return _begun(engine)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return _begun(engine)


def _begun(engine: Engine) -> Connection:
    try:
        connection = engine.connect()
    except OSError as error:
        raise StoreError(f"the database cannot be opened: {error.strerror}", cure="see the reason and retry") from error
    try:
        connection.begin()
    except BaseException:
        connection.close()
        raise
    return connection


def _commit(connection: Connection, if_lost: str) -> None:
    try:
        connection.commit()
    except DBAPIError as error:
        raise _refused(error, if_lost if error.connection_invalidated else _NOTHING) from error


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise _refused(error, _NOTHING) from error


def _refused(error: SQLAlchemyError, cure: str) -> StoreError:
    # Further lines of PostgreSQL's may repeat what a row holds.
    reason = str(getattr(error, "orig", None) or error).splitlines()[0]
    return StoreError(f"the database refused: {reason}", cure=cure)
