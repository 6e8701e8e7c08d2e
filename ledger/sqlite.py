"""SQLite: engines, the pragmas that make a commit durable, and how deleted texts leave the file.

A log is opened with `synchronous=FULL`: a receipt is a promise, so the answer waits for the disk. Writers
begin with BEGIN IMMEDIATE, because two transactions that both read the head before writing lose one.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event

from ledger.transactions import Database

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
    return Database(writer, reader, erase=_empty_write_ahead_log)


def open_read_only(path: Path, *, cache_kib: int = CACHE_KIB) -> Database:
    """Open an existing SQLite database whose file nothing can be written to from here, not even a repair.

    Args:
        cache_kib: how much of it each connection keeps in memory; who reads it once from end to end needs little.
    """
    address = URL.create("sqlite", database=f"file:{quote(str(path.absolute()))}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(address, hide_parameters=True)
    _configure(engine, path.parent, "BEGIN", (*_READING, "cell_size_check=ON", f"cache_size=-{cache_kib}"))
    return Database(engine, engine)


def _empty_write_ahead_log(engine: Engine, _: Table) -> None:
    """Move what the write-ahead log holds into the database file and empty it.

    What was deleted, and overwritten in the file, is then nowhere any more; a long read by another process can
    put that off until the next time.
    """
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute(f"PRAGMA busy_timeout={PATIENCE_MILLISECONDS}")
        try:
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            driver.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")


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
