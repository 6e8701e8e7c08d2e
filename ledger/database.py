"""Databases: engines, the pragmas that make a SQLite commit durable, and errors in our own words.

A log is opened with `synchronous=FULL`: a receipt is a promise, so the answer waits for the disk. Writers
begin with BEGIN IMMEDIATE, because two transactions that both read the head before writing lose one.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, MetaData, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from ledger.errors import StoreError

PAGE_BYTES = 4_096
CACHE_KIB = 16_384
CHECKPOINT_PAGES = 8_000
"""How far the write-ahead log grows (32 MB) before it is copied back: bulk appends wait less often."""

BUSY_MILLISECONDS = 60_000
PATIENCE_MILLISECONDS = 2_000
"""How long emptying the write-ahead log waits for readers."""

_READING: Final = (f"busy_timeout={BUSY_MILLISECONDS}", "trusted_schema=OFF", f"cache_size=-{CACHE_KIB}")
_WRITING: Final = (
    *_READING,
    f"page_size={PAGE_BYTES}",
    "journal_mode=WAL",
    "foreign_keys=ON",
    "recursive_triggers=ON",
    "secure_delete=ON",
    f"wal_autocheckpoint={CHECKPOINT_PAGES}",
)


@dataclass(frozen=True, slots=True)
class Database:
    """One database: an engine whose transactions write, and one whose transactions only read."""

    writer: Engine
    reader: Engine

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that holds the write lock from its start; commit at the end, or roll back.

        Raises:
            StoreError: what the database refused, in its words.
        """
        with _translated(), self.writer.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a consistent view for reading; raises as `write` does."""
        with _translated(), self.reader.begin() as connection:
            yield connection

    def empty_write_ahead_log(self) -> None:
        """Move what the write-ahead log holds into the database file and empty it.

        What was deleted, and overwritten in the file, is then nowhere any more; a long read by another process can
        put that off until the next time.
        """
        with _translated(), self.writer.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.execute(f"PRAGMA busy_timeout={PATIENCE_MILLISECONDS}")
            try:
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                driver.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")

    def close(self) -> None:
        self.writer.dispose()
        self.reader.dispose()


def open_sqlite(path: Path, *, durable: bool = True) -> Database:
    """Open (or create) a SQLite database in WAL mode.

    Args:
        durable: wait for the disk at each commit; without it a power cut may lose the last commits, never
            the file's consistency, which is enough for what can be rebuilt.
    """
    # Private texts may stand in it; SQLite gives its side files the mode of the database.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    url = f"sqlite:///{path}"
    # Values of statements may be private texts; they must not stand in anybody's traceback.
    writer, reader = (create_engine(url, hide_parameters=True) for _ in range(2))
    for engine, begin in ((writer, "BEGIN IMMEDIATE"), (reader, "BEGIN")):
        _configure(engine, path.parent, begin, (*_WRITING, f"synchronous={'FULL' if durable else 'NORMAL'}"))
    return Database(writer, reader)


def open_read_only(path: Path) -> Database:
    """Open an existing SQLite database whose file nothing can be written to from here, not even a repair."""
    address = URL.create("sqlite", database=f"file:{quote(str(path.absolute()))}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(address, hide_parameters=True)
    _configure(engine, path.parent, "BEGIN", (*_READING, "cell_size_check=ON"))
    return Database(engine, engine)


def create_tables(database: Database, metadata: MetaData, statements: tuple[str, ...] = ()) -> None:
    """Create the tables that are missing and run further statements, in one transaction."""
    with database.write() as connection:
        metadata.create_all(connection)
        for statement in statements:
            connection.execute(text(statement))


def _configure(engine: Engine, folder: Path, begin: str, pragmas: tuple[str, ...]) -> None:
    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # The driver must not open transactions of its own: it would begin them deferred.
        connection.isolation_level = None
        # Changing to the journal mode WAL is the one thing that SQLite does not wait for, whatever the busy timeout:
        # of two processes that make one database at the same moment, one would fail.
        with _alone_in(folder):
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes that open a database in this folder waiting."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise StoreError(
            f"the database refused: {reason}", cure="nothing was stored; see the reason and retry"
        ) from error
    except OSError as error:
        raise StoreError(f"the database cannot be opened: {error.strerror}", cure="see the reason and retry") from error
