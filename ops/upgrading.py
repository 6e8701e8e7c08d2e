"""A registry's databases as a whole: what each one is, and bringing all of them to this release's tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text

from ledger.errors import UsageError
from ops.databases import connected, make_tables, no_ledger, path_of, place_of
from ops.migrations.lines import LINES, Line, unknown_version, version_of
from ops.new_databases import grant_server, make_schemas
from ops.settings import Settings


@dataclass(frozen=True, slots=True)
class Standing:
    """One database: where it is, the version of its tables (None where there are none), and the newest version.

    `server`, `role` and `owner` are of PostgreSQL: its version, who this process is, and whose the schema is.
    """

    line: Line
    place: str
    version: str | None
    server: str = ""
    role: str = ""
    owner: str = ""
    may_change: bool = True

    @property
    def is_current(self) -> bool:
        return self.version == self.line.head


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What became of one database: `before` is None where it had no tables."""

    line: Line
    before: str | None
    after: str


_WHOSE: Final = text(
    "SELECT current_setting('server_version') AS server, current_user AS role,"
    " (SELECT CAST(pg_get_userbyid(nspowner) AS text) FROM pg_namespace WHERE nspname = :schema) AS owner,"
    " (SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = :schema) AS may_change"
)


def standing(settings: Settings, *, as_owner: bool = False) -> Iterator[Standing]:
    """Say what each database is; raises StoreError where one cannot be read.

    Args:
        as_owner: ask by the role that owns the tables, where it is another than the one that serves.
    """
    for line in LINES:
        place = place_of(settings, line)
        if not settings.database_url and not path_of(settings, line).exists():
            yield Standing(line, place, None)
            continue
        with closing(connected(settings, line, as_owner=as_owner)) as database, database.read() as connection:
            found = version_of(connection, line, place)
            if settings.database_url:
                whose = connection.execute(_WHOSE, {"schema": database.schema}).one()
                server, owner = whose.server.split()[0], whose.owner or ""
                yield Standing(line, place, found, server, whose.role, owner, bool(whose.may_change))
            else:
                yield Standing(line, place, found)


def upgrade_all(settings: Settings) -> Iterator[Upgraded]:
    """Bring every database to this release's tables, one after the other, each wholly or not at all.

    Raises:
        UsageError: there is no ledger, or one that this release does not know.
        StoreError: a database refused; those already upgraded stay so.
    """
    # Imported here so that no other command waits for Alembic.
    from ops.migrations.upgrading import upgrade

    found = list(standing(settings, as_owner=True))
    if found[0].version is None:
        raise no_ledger(settings)
    # Looked at before anything is changed, so that one which cannot be upgraded keeps the others as they are.
    for each in found:
        _check_upgradable(each)
    if settings.database_url and any(each.version is None for each in found):
        make_schemas(settings)
    for each in found:
        line = each.line
        if each.version is None and not settings.database_url:
            continue  # made by whoever needs it first
        if each.is_current and not each.may_change:
            yield Upgraded(line, each.version, line.head)
            continue
        with closing(connected(settings, line, as_owner=True)) as database:
            if each.version is None:
                make_tables(database, line)
                yield Upgraded(line, None, line.head)
            else:
                yield Upgraded(line, *upgrade(database, line))
    if settings.database_url and all(each.may_change for each in standing(settings, as_owner=True)):
        grant_server(settings)


def _check_upgradable(found: Standing) -> None:
    if found.version is not None and found.version not in found.line.versions:
        raise unknown_version(found.version, found.place)
    if found.version is not None and not found.is_current and not found.may_change:
        cure = "set PITH_DATABASE_OWNER_URL to the address by the role that owns the tables, for this command alone"
        owned = f", which belong to {found.owner}" if found.owner else ""
        raise UsageError(f"{found.role} may not change the tables{owned}", place=found.place, cure=cure)
