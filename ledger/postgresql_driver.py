"""The PostgreSQL driver as the ledger uses it: bytes as bytes in both directions, and no state in a session.

Imported only once a PostgreSQL database is opened: psycopg comes with the extra `postgresql`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg.abc import Params, Query
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import Diagnostic
from psycopg.pq import Format, TransactionStatus

from ledger.errors import StoreError

VERSIONS: Final = range(15, 19)
"""The major versions that the tests know."""

_DEFAULTS: Final = {
    "application_name": "pith",
    "connect_timeout": "10",
    # A host that is gone says nothing: without these, an append would wait for it for a quarter of an hour.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "tcp_user_timeout": "30000",
}

_REPLICATING: Final = "SyncRepWaitForLSN"
"""The function of the server that a warning about a wait for replicas names, whatever language it speaks."""


class BinaryCursor(psycopg.Cursor[Any]):
    """Asks for results in binary, since bytes as text are twice as long.

    Not where a BEGIN holds several statements, which come without results, nor from the server's own catalogue, some
    of whose types nobody reads in binary.
    """

    def execute(self, query: Query, params: Params | None = None, **options: Any) -> BinaryCursor:
        is_text = isinstance(query, str) and (query.startswith("BEGIN") or "pg_catalog." in query)
        self.format = Format.TEXT if is_text else Format.BINARY
        super().execute(query, params, **options)  # type: ignore[arg-type]
        return self


class CheckedConnection(psycopg.Connection[Any]):
    """Takes for committed only what is, on as many nodes as the server was asked to wait for."""

    def commit(self) -> None:
        """Commit the open transaction.

        Raises:
            psycopg.Error: it was rolled back; where the connection is closed afterwards, nobody knows.
        """
        if self.info.transaction_status == TransactionStatus.INERROR:
            # COMMIT would roll back, and report no error.
            self.rollback()
            raise psycopg.InternalError("a statement of this transaction failed")
        functions: list[str | None] = []

        def hear(warning: Diagnostic) -> None:
            functions.append(warning.source_function)

        self.add_notice_handler(hear)
        try:
            super().commit()
        finally:
            self.remove_notice_handler(hear)
        if _REPLICATING in functions:
            # Its wait for a replica was cut short: the server warns, then says COMMIT, and a failover may lose it.
            self.close()
            raise psycopg.OperationalError("the commit stands on one node alone")


def parameters(url: str) -> dict[str, str] | None:
    """Take a connection URL apart; None where it cannot be read: libpq's own words might repeat the password."""
    try:
        found = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except (psycopg.Error, UnicodeError):
        return None
    host = found.get("host", "")
    if "@" in host:  # part of a password that was not written as %40
        return None
    # Of several servers only one takes writes, and only it has surely seen them.
    leader = {"target_session_attrs": "read-write"} if "," in host else {}
    return {**_DEFAULTS, **leader, **found, "client_encoding": "UTF8"}


def connect(known: Mapping[str, str]) -> psycopg.Connection[Any]:
    """Connect so that the caller begins transactions, and nothing prepared outlives one.

    Raises:
        StoreError: the server is of a version nobody tried, or keeps text in another encoding than UTF-8.
        psycopg.Error: it cannot be reached, or refuses.
    """
    options: dict[str, Any] = dict(known)
    connection = CheckedConnection.connect(
        **options, autocommit=True, prepare_threshold=None, cursor_factory=BinaryCursor
    )
    try:
        _check_server(connection)
    except StoreError:
        connection.close()
        raise
    return connection


def _check_server(connection: psycopg.Connection[Any]) -> None:
    version = connection.info.server_version // 10_000
    if version not in VERSIONS:
        raise StoreError(
            f"the server is PostgreSQL {version}", cure=f"use PostgreSQL {VERSIONS.start} to {VERSIONS.stop - 1}"
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        cure = "make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        raise StoreError(f"the database keeps text as {encoding}", cure=cure)
