"""The guards of a log while its tables change: taken away before, and made anew after, as this release has them.

Both happen in the migration's own transaction, so that nobody ever finds the log without them. They need no versions:
whatever stood there before, the newest ones stand there afterwards.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

from ledger.errors import UsageError
from ledger.postgresql_guards import POSTGRESQL_GUARDS
from ledger.tables import GUARDS
from ops.migrations.lines import LOG, Line

_SQLITE_TRIGGERS: Final = "SELECT 'DROP TRIGGER \"' || name || '\"' FROM sqlite_master WHERE type = 'trigger'"

CLOSED: Final = "moved"
"""The trigger by which `pith database move` closes a file."""

_POSTGRESQL_TRIGGERS: Final = """
    SELECT format('DROP TRIGGER %I ON %I', tgname, relname)
    FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
    WHERE relnamespace = CAST(quote_ident(:schema) AS regnamespace) AND NOT tgisinternal
"""
_POSTGRESQL_FUNCTIONS: Final = """
    SELECT 'DROP FUNCTION ' || CAST(CAST(oid AS regprocedure) AS text)
    FROM pg_proc WHERE pronamespace = CAST(quote_ident(:schema) AS regnamespace)
"""


def drop_guards(connection: Connection, line: Line, schema: str) -> None:
    """Take away every trigger of a log, and the functions of those; other lines have none.

    Args:
        schema: in PostgreSQL, that of the log; it must be there.

    Raises:
        UsageError: the log was closed to be moved, and must not be opened again by this.
    """
    if line is not LOG:
        return
    if connection.dialect.name == "sqlite":
        if connection.execute(text("SELECT 1 FROM sqlite_master WHERE name = :name"), {"name": CLOSED}).first():
            raise UsageError(
                "this log is being moved to PostgreSQL and takes no more events",
                place="ledger.db",
                cure="finish with `pith database move`",
            )
        _run_each(connection, _SQLITE_TRIGGERS)
    else:
        # By its name: where a schema is missing, the current one would be the server's own.
        _run_each(connection, _POSTGRESQL_TRIGGERS, schema=schema)
        _run_each(connection, _POSTGRESQL_FUNCTIONS, schema=schema)


def make_guards(connection: Connection, line: Line) -> None:
    """Make the guards of a log."""
    if line is LOG:
        for statement in GUARDS if connection.dialect.name == "sqlite" else POSTGRESQL_GUARDS:
            connection.execute(text(statement))


def _run_each(connection: Connection, statements: str, **named: str) -> None:
    for statement in connection.execute(text(statements), named).scalars().all():
        connection.execute(text(statement))
