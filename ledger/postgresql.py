"""PostgreSQL 15 to 18: one schema of a server as a database, its transactions and their limits.

A writing transaction first takes its schema's advisory lock, so it is alone from its start as SQLite's are, and
waits for others instead of failing beside them; it reads what was committed before it got the lock. A reading one
sees a single state (REPEATABLE READ, READ ONLY). Whatever a session is told stands inside the transaction, because
a pool such as PgBouncer gives the next one to another session.
"""

from __future__ import annotations

import hashlib
import re
from functools import partial
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, Table, create_engine, event

from ledger.errors import UsageError
from ledger.postgresql_erasing import rewrite
from ledger.transactions import Database

if TYPE_CHECKING:
    from types import ModuleType

LOCK_SECONDS: Final = 60
STATEMENT_SECONDS: Final = 120
IDLE_WRITER_SECONDS: Final = 30
"""How long a writer that has stopped may keep all others waiting."""

IDLE_READER_SECONDS: Final = 600
CONNECTIONS: Final = 12
"""Most connections of one process to one schema."""

KEPT_CONNECTIONS: Final = 4
"""How many of them stay open while nobody uses them."""

_SCHEMES: Final = ("postgresql://", "postgresql+psycopg://", "postgres://")
_FORM: Final = "write postgresql://USER:PASSWORD@HOST[:PORT][,HOST[:PORT]]/DATABASE, with %XX for signs in a password"
_DURABLE: Final = (
    "CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')"
    " THEN set_config('synchronous_commit', 'on', true) END"
)
"""A receipt is a promise: whatever a server's habit, an append is answered once it is written and replicated."""

_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")


def open_postgresql(url: str, schema: str, *, connections: int = CONNECTIONS) -> Database:
    """Open a schema of a PostgreSQL database; `create_tables` makes the schema where it is missing.

    Args:
        url: libpq's form, several hosts and `target_session_attrs` included; its password is repeated nowhere.
        connections: the most that this process may hold.

    Raises:
        UsageError: the URL cannot be read, or the driver is not installed; the server is not asked yet.
    """
    engine = _engine(url, schema, connections)
    alone = f"SELECT pg_advisory_xact_lock({lock_of(schema)}), {_DURABLE}"
    writer = _beginning(engine, "READ COMMITTED", schema, (LOCK_SECONDS, STATEMENT_SECONDS, IDLE_WRITER_SECONDS), alone)
    limits = (LOCK_SECONDS, STATEMENT_SECONDS, IDLE_READER_SECONDS)
    reader = _beginning(engine, "REPEATABLE READ, READ ONLY", schema, limits)

    def erase(engine: Engine, table: Table) -> None:
        rewrite(engine, schema, table)

    return Database(writer, reader, schema, erase)


def open_postgresql_read_only(url: str, schema: str) -> Database:
    """Open a schema for an audit: nothing can be written from here, and no statement is cut short."""
    engine = _engine(url, schema, connections=KEPT_CONNECTIONS)
    reader = _beginning(engine, "REPEATABLE READ, READ ONLY", schema, (LOCK_SECONDS, 0, 0))
    return Database(reader, reader, schema)


def lock_of(schema: str) -> int:
    """Return the key of a schema's advisory lock (64 bits, signed); locks belong to one database of a server."""
    return int.from_bytes(hashlib.sha256(b"pith-ledger:" + schema.encode()).digest()[:8], "big", signed=True)


def _engine(url: str, schema: str, connections: int) -> Engine:
    if not _SCHEMA.match(schema):
        raise UsageError(f"{schema!r} is no name for a schema", cure="use small letters, digits and underscores")
    driver = _driver()
    known = driver.parameters("postgresql://" + url.partition("://")[2]) if url.startswith(_SCHEMES) else None
    if known is None:
        raise UsageError("the address of the database is no PostgreSQL URL", cure=_FORM)
    # The engine is given no address, so that no repr or error of its own holds a password; values of statements
    # may be private texts.
    return create_engine(
        "postgresql+psycopg://",
        creator=partial(driver.connect, known),
        use_native_hstore=False,
        hide_parameters=True,
        pool_size=min(connections, KEPT_CONNECTIONS),
        max_overflow=max(connections - KEPT_CONNECTIONS, 0),
        pool_timeout=LOCK_SECONDS,
    )


def _driver() -> ModuleType:
    try:
        from ledger import postgresql_driver
    except ImportError:
        raise UsageError("PostgreSQL needs psycopg", cure="pip install 'pith-ledger[postgresql]'") from None
    return postgresql_driver


def _beginning(engine: Engine, mode: str, schema: str, seconds: tuple[int, int, int], *more: str) -> Engine:
    """Return the engine with its own way to begin a transaction, all of it one message to the server.

    Args:
        seconds: the longest wait for a lock, for a statement, and between two statements; 0 for no limit.
        more: statements that each transaction begins with.
    """
    lock, statement, idle = seconds
    begin = "; ".join(
        (
            f"BEGIN ISOLATION LEVEL {mode}",
            # Named last, or a session's temporary tables would go before the schema's own.
            f'SET LOCAL search_path = "{schema}", pg_temp',
            f"SET LOCAL lock_timeout = '{lock}s'",
            f"SET LOCAL statement_timeout = '{statement}s'",
            f"SET LOCAL idle_in_transaction_session_timeout = '{idle}s'",
            *more,
        )
    )
    found = engine.execution_options()

    @event.listens_for(found, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return found
