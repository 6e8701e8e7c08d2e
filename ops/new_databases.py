"""Making a registry's databases: a file that appears once it is whole, or schemas that servers may use and not change.

In PostgreSQL the tables belong to an owner, and a server is another role that appends: it cannot change or remove an
event, nor take a guard away. The owner is named by `PITH_DATABASE_OWNER_URL` for as long as tables are made or
changed; without it the role that serves makes, and owns, what it uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select, text

from ledger.database import Database, open_sqlite
from ledger.errors import UsageError
from ledger.postgresql_guards import grant_log
from ledger.store import create_log
from ledger.tables import HEAD
from ops.databases import connected, has_log, make_tables, place_of, schema_of
from ops.migrations.lines import LINES, LOG, VERSIONS, Line, check_version
from ops.settings import Settings

_RIGHTS: Final = text(
    "SELECT current_user AS role, has_database_privilege(current_database(), 'CREATE') AS may_create,"
    " ARRAY(SELECT CAST(nspname AS text) FROM pg_namespace WHERE nspname = ANY(:schemas)) AS known,"
    " ARRAY(SELECT CAST(nspname AS text) FROM pg_namespace WHERE nspname = ANY(:schemas)"
    " AND has_schema_privilege(oid, 'CREATE')) AS own"
)

_OWNS: Final = text("SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = current_schema() AND tableowner = :role)")


@contextmanager
def new_log(settings: Settings, registry: str, label: str = "") -> Iterator[Database]:
    """Make an empty log and give it to be begun: it is a ledger for others once the block has ended well.

    In PostgreSQL the other databases are made with it, and what an earlier attempt left is taken up.

    Args:
        label: which of the registry's logs it is.

    Raises:
        UsageError: there is a ledger already, or the role may not make one; the cure says what its owner has to run.
        StoreError: the database failed.
    """
    if settings.database_url:
        make_databases(settings, registry, label)
        with closing(connected(settings, LOG)) as database:
            yield database
        return
    unfinished = settings.data / "ledger.new"
    remove_file(unfinished)
    with closing(open_sqlite(unfinished)) as database:
        make_tables(database, LOG)
        create_log(database, registry, label)
        yield database
    unfinished.rename(settings.ledger_path)


def make_databases(settings: Settings, registry: str, label: str = "") -> None:
    """Make the schemas in PostgreSQL, their tables, and the head of an empty log; raises as `new_log` does."""
    if has_log(settings):
        raise UsageError(
            "there is a ledger in this database",
            place=place_of(settings, LOG),
            cure="use it with its registry's keys and `signed`, or give another one PITH_DATABASE_SCHEMA of its own",
        )
    make_schemas(settings)
    for line in LINES:
        with closing(connected(settings, line, as_owner=True)) as database:
            check_version(database, line, place_of(settings, line))
            make_tables(database, line)
            if line is LOG and not _is_begun(database, settings, registry, label):
                create_log(database, registry, label)
    grant_server(settings)


def grant_server(settings: Settings) -> None:
    """Give the role that serves what it needs, where it does not own the tables; raises StoreError."""
    roles = []
    for as_owner in (True, False):
        with closing(connected(settings, LOG, as_owner=as_owner)) as database, database.read() as connection:
            roles.append(str(connection.execute(text("SELECT current_user")).scalar_one()))
    if roles[0] != roles[1]:
        grant(settings, roles[1])


def grant(settings: Settings, role: str) -> None:
    """Let a role append, redact and serve, and nothing more.

    Raises:
        UsageError: the role owns the tables, and would take its own rights away.
        StoreError: there is no such role, or the tables are another owner's.
    """
    for line in LINES:
        with closing(connected(settings, line, as_owner=True)) as database, database.write() as connection:
            if connection.execute(_OWNS, {"role": role}).scalar_one():
                cure = "name a role of its own, which owns nothing"
                raise UsageError(f"{role} owns the tables", place=place_of(settings, line), cure=cure)
            _grant(connection, line, role)


def remove_file(path: Path) -> None:
    """Remove a SQLite database and what stands beside it, where it is there."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _is_begun(database: Database, settings: Settings, registry: str, label: str) -> bool:
    """Say whether an earlier attempt has made the head of the same log; raises UsageError for that of another."""
    with database.read() as connection:
        found = connection.execute(select(HEAD.c.registry_name, HEAD.c.log_label)).first()
    if found is not None and tuple(found) != (registry, label):
        raise UsageError(
            f"a log of {found.registry_name} was begun in this database",
            place=place_of(settings, LOG),
            cure=f"finish it with `pith init {found.registry_name}`, or give this one PITH_DATABASE_SCHEMA of its own",
        )
    return found is not None


def make_schemas(settings: Settings) -> None:
    """Make the schemas that are missing; raises UsageError where the role may not, with what its owner has to run."""
    schemas = [schema_of(settings, line) for line in LINES]
    with closing(connected(settings, LOG, as_owner=True)) as database, database.write() as connection:
        rights = connection.execute(_RIGHTS, {"schemas": schemas}).one()
        quote = connection.dialect.identifier_preparer.quote
        missing = [schema for schema in schemas if schema not in rights.known]
        if foreign := [schema for schema in rights.known if schema not in rights.own]:
            raise UsageError(
                f"{rights.role} may make no tables in {', '.join(foreign)}",
                place=place_of(settings, LOG),
                cure="set PITH_DATABASE_OWNER_URL to the address by the role that owns the schemas",
            )
        if missing and not rights.may_create:
            made = "; ".join(f"CREATE SCHEMA {schema} AUTHORIZATION {quote(rights.role)}" for schema in missing)
            raise UsageError(
                f"{rights.role} may make no schemas",
                place=place_of(settings, LOG),
                cure=f"have the database's owner run: {made}; or set PITH_DATABASE_OWNER_URL",
            )
        for schema in missing:
            connection.execute(text(f"CREATE SCHEMA {schema}"))


def _grant(connection: Connection, line: Line, role: str) -> None:
    quoted = connection.dialect.identifier_preparer.quote_identifier(role)
    schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    grants = [f"USAGE ON SCHEMA {schema}", f"USAGE ON ALL SEQUENCES IN SCHEMA {schema}"]
    if line is LOG:
        grant_log(connection, role)
    else:
        tables = ", ".join(table.name for table in line.metadata().sorted_tables)
        grants.append(f"SELECT, INSERT, UPDATE, DELETE ON {tables}")
    for right in (*grants, f"SELECT ON {VERSIONS.name}"):
        connection.execute(text(f"GRANT {right} TO {quoted}"))
