"""Which version a database's tables have, and which this release works with.

A database says its version in a table of one row, `alembic_version`. One that says none has the newest where it has all
of its columns, and is of release 0.1 where it lacks some. Only small questions are asked here, so that every command
can ask them; Alembic is not loaded for that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import (
    Column,
    Connection,
    Inspector,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    insert,
    inspect,
    select,
)

from ledger.database import Database
from ledger.errors import UsageError
from ledger.tables import LogTable

Name = Literal["log", "private", "jobs"]

VERSIONS: Final = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""As Alembic makes it."""


@dataclass(frozen=True, slots=True)
class Line:
    """The versions of one database.

    Attributes:
        marker: a table that every version has.
        versions: all of them, oldest first.
        metadata: gives the newest version's tables, every one of them declared.
    """

    name: Name
    marker: str
    versions: tuple[str, ...]
    metadata: Callable[[], MetaData]

    @property
    def baseline(self) -> str:
        return self.versions[0]

    @property
    def head(self) -> str:
        return self.versions[-1]


def _log_metadata() -> MetaData:
    return LogTable.metadata


def _private_metadata() -> MetaData:
    # Whoever declares a private table imports the web framework, which a command without them need not wait for.
    import api.admin.tokens
    import api.identity.tables
    import api.submitting.idempotency
    import api.submitting.requested  # noqa: F401
    from api.private import PrivateTable

    return PrivateTable.metadata


def _job_metadata() -> MetaData:
    import ops.jobs.anchoring.tables
    import ops.storage.allowance
    import ops.storage.resting_places
    import ops.storage.rows  # noqa: F401
    from ops.jobs.tables import JobTable

    return JobTable.metadata


LOG: Final = Line("log", "log_head", ("log_0001", "log_0002"), _log_metadata)
PRIVATE: Final = Line("private", "secrets", ("private_0001",), _private_metadata)
JOBS: Final = Line("jobs", "leases", ("jobs_0001",), _job_metadata)
LINES: Final = (LOG, PRIVATE, JOBS)


def version_of(connection: Connection, line: Line, place: str = "") -> str | None:
    """Return the version that a database's tables have; None where there are none.

    Args:
        place: where the database is, for the error.

    Raises:
        UsageError: it names none or several.
    """
    known = inspect(connection)
    if known.has_table(VERSIONS.name):
        found = connection.execute(select(VERSIONS.c.version_num)).scalars().all()
        if len(found) != 1:
            cure = "restore it from a backup"
            raise UsageError(f"it names {len(found)} versions of its tables", place=place, cure=cure)
        return str(found[0])
    if not known.has_table(line.marker):
        return None
    return line.head if line.head == line.baseline or _has_all(known, line.metadata()) else line.baseline


def is_noted(connection: Connection) -> bool:
    """Say whether a database says its version."""
    return inspect(connection).has_table(VERSIONS.name)


def _has_all(known: Inspector, metadata: MetaData) -> bool:
    return all(
        known.has_table(table.name)
        and {column.name for column in table.columns} <= {column["name"] for column in known.get_columns(table.name)}
        for table in metadata.sorted_tables
    )


def check_version(database: Database, line: Line, place: str) -> bool:
    """Refuse a database that this release cannot work with as it is; say whether there are tables at all.

    Raises:
        UsageError: its tables are of an older version, or of one that this release does not know.
        StoreError: it cannot be read.
    """
    with database.read() as connection:
        found = version_of(connection, line, place)
    if found is None or found == line.head:
        return found is not None
    if found in line.versions:
        cure = "stop what runs on it, make a backup, and run `pith database upgrade`"
        raise UsageError(f"its tables are of version {found}, this release needs {line.head}", place=place, cure=cure)
    raise unknown_version(found, place)


def unknown_version(version: str, place: str) -> UsageError:
    """Return the error about a database that a later release made."""
    cure = "use the release that made it, or a later one"
    return UsageError(f"this release does not know the version {version[:40]!r} of its tables", place=place, cure=cure)


def stamp(connection: Connection, line: Line) -> None:
    """Note that the tables in the caller's transaction are of the newest version; a note that stands is kept."""
    VERSIONS.create(connection, checkfirst=True)
    if connection.execute(select(VERSIONS.c.version_num)).first() is None:
        connection.execute(insert(VERSIONS).values(version_num=line.head))
