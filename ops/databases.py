"""Which database holds what: files of the data folder, or schemas of one PostgreSQL database.

The log, the registry's private tables and those of its jobs are three databases that know nothing of each other. In
PostgreSQL they are the schemas `pith_log`, `pith_private` and `pith_jobs` (`PITH_DATABASE_SCHEMA` gives another first
word), and several machines may work on them. Projections stay a file of each machine: they are built from the log, and
read for every answer.

A database whose tables are of another version than this release's is refused here, before anybody reads it.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select, text

from api.private import keep_secret
from ledger.database import (
    Database,
    open_postgresql,
    open_postgresql_read_only,
    open_read_only,
    open_sqlite,
)
from ledger.errors import StoreError, UsageError, VerificationError
from ledger.signing import Randomness
from ledger.tables import HEAD
from ops.audit_steps import LOG_CURE
from ops.database_address import shown
from ops.migrations.lines import JOBS, LOG, PRIVATE, Line, check_version, stamp, version_of
from ops.settings import Settings


def path_of(settings: Settings, line: Line) -> Path:
    """Return the file that holds a database where there is no PostgreSQL."""
    return {"log": settings.ledger_path, "private": settings.private_path, "jobs": settings.jobs_path}[line.name]


def schema_of(settings: Settings, line: Line) -> str:
    """Return the schema that holds a database in PostgreSQL; each of a registry's logs has its own, by its label."""
    of_log = f"_{settings.label.replace('.', '_').replace('-', '_')}" if settings.label else ""
    return f"{settings.schema}{of_log}_{line.name}"


def place_of(settings: Settings, line: Line) -> str:
    """Return where a database is, for people to read: nothing secret is in it."""
    if settings.database_url:
        return f"{shown(settings.database_url)} schema {schema_of(settings, line)}"
    return str(path_of(settings, line))


def connected(settings: Settings, line: Line, *, as_owner: bool = False) -> Database:
    """Open a database as it is, whatever its tables are; a file is made where there is none.

    Args:
        as_owner: by the role that owns the tables, where it is another than the one that serves.
    """
    if settings.database_url:
        url = settings.owner_url if as_owner and settings.owner_url else settings.database_url
        return open_postgresql(url, schema_of(settings, line))
    return open_sqlite(path_of(settings, line))


def has_log(settings: Settings) -> bool:
    """Say whether there is a log, with at least its root; one that another release made is there too.

    Raises:
        StoreError: the database cannot be asked.
    """
    if not settings.database_url:
        return settings.ledger_path.exists()
    database = connected(settings, LOG)
    try:
        with database.read() as connection:
            if version_of(connection, LOG) is None:
                return False
            return bool(connection.execute(select(HEAD.c.size)).scalar())
    finally:
        database.close()


def open_log(settings: Settings) -> Database:
    """Open the log's database.

    Raises:
        UsageError: there is no ledger, or its tables are of another version.
        StoreError: it cannot be read.
    """
    if not settings.database_url and not settings.ledger_path.exists():
        raise no_ledger(settings)
    database = connected(settings, LOG)
    try:
        if not check_version(database, LOG, place_of(settings, LOG)):
            check_usable(database, place_of(settings, LOG))
            raise no_ledger(settings)
    except BaseException:
        database.close()
        raise
    return database


def check_usable(database: Database, place: str) -> None:
    """Refuse a schema that this role may not look into, where what it holds seems not to be there; raises UsageError.

    Args:
        place: where the database is, for the error.
    """
    if not database.schema:
        return
    asked = text(
        "SELECT current_user FROM pg_namespace WHERE nspname = :name AND NOT has_schema_privilege(oid, 'USAGE')"
    )
    with database.read() as connection:
        role = connection.execute(asked, {"name": database.schema}).scalar()
    if role is not None:
        cure = f"have its owner run `pith database grant {role}`"
        raise UsageError(f"{role} may not use this schema", place=place, cure=cure)


def open_log_to_audit(settings: Settings) -> Database:
    """Open the log's database so that nothing can be written from here, not even a repair.

    Raises:
        UsageError: there is no ledger, or its tables are of another version.
        VerificationError: step `database`; a file that cannot be read.
        StoreError: PostgreSQL cannot be asked, which is no finding about the log.
    """
    if not settings.database_url and not settings.ledger_path.exists():
        raise no_ledger(settings)
    if settings.database_url:
        database = open_postgresql_read_only(settings.database_url, schema_of(settings, LOG))
    else:
        database = open_read_only(settings.ledger_path)
    try:
        is_there = check_version(database, LOG, place_of(settings, LOG))
        if settings.database_url and not is_there:
            check_usable(database, place_of(settings, LOG))
            raise no_ledger(settings)
    except StoreError as error:
        database.close()
        if settings.database_url:
            raise
        raise VerificationError("database", error.message, place="ledger.db", cure=LOG_CURE) from error
    except BaseException:
        database.close()
        raise
    return database


def no_ledger(settings: Settings) -> UsageError:
    """Return the error about a ledger that is not there."""
    if settings.database_url:
        return UsageError(
            "there is no ledger in this database",
            place=place_of(settings, LOG),
            cure="make one with `pith init NAME`, or see that PITH_DATABASE_URL and PITH_DATABASE_SCHEMA are meant",
        )
    return UsageError(f"there is no ledger in {settings.data}", cure="make one with `pith init NAME`, or set PITH_DATA")


def open_private(settings: Settings, random: Randomness) -> Database:
    """Open the registry's private tables, and make what is missing of them where that is a file.

    Raises:
        UsageError: they are of another version, or missing in PostgreSQL.
        StoreError: they cannot be read.
    """
    database = _opened_with_tables(settings, PRIVATE)
    try:
        keep_secret(database, random)
    except BaseException:
        database.close()
        raise
    return database


def open_jobs(settings: Settings) -> Database:
    """Open the worker's tables, and make what is missing of them where that is a file; raises as `open_private`."""
    database = _opened_with_tables(settings, JOBS)
    try:
        with database.read() as connection:
            # Where somebody changed them by hand it shows here, and not in the middle of a job.
            for table in JOBS.metadata().tables.values():
                connection.execute(select(table).limit(0))
    except BaseException:
        database.close()
        raise
    return database


def make_tables(database: Database, line: Line) -> None:
    """Make the tables that are missing; where there were none, note that they are of the newest version.

    Raises:
        StoreError: the database refused.
    """
    with database.write() as connection:
        before = version_of(connection, line)
        line.metadata().create_all(connection)
        if before is None:
            stamp(connection, line)


def _opened_with_tables(settings: Settings, line: Line) -> Database:
    database = connected(settings, line)
    try:
        place = place_of(settings, line)
        is_there = check_version(database, line, place)
        if not settings.database_url:
            make_tables(database, line)
        elif not is_there:
            check_usable(database, place)
            cure = "run `pith database upgrade`, which makes them"
            raise UsageError(f"the tables of {line.name} are missing", place=place, cure=cure)
    except BaseException:
        database.close()
        raise
    return database
