"""Registries whose log, private tables and jobs are in PostgreSQL: an owner who made the tables, a role that serves."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
import pytest

from ledger.database import Database, open_postgresql, open_sqlite
from ops.databases import make_tables
from ops.home import Home, create_home, open_home
from ops.migrations.lines import Line
from ops.settings import Settings
from tests.builders import REGISTRY
from tests.logs import Ticking
from tests.ops.homes import BASE_URL, a_home
from tests.postgres import Server

OWNER: Final = "pith_owner"
SERVING: Final = "pith_serving"


@dataclass(frozen=True, slots=True)
class Shared:
    """A database of a server, in which an owner may make schemas."""

    server: Server
    name: str

    def url(self, role: str = SERVING) -> str:
        return self.server.url(self.name, role)

    def settings(self, folder: Path, *, owner: str = OWNER, schema: str = "pith") -> Settings:
        """Return the settings of one machine; `owner` "" leaves making tables to the role that serves."""
        owner_url = self.url(owner) if owner else ""
        return Settings(folder, BASE_URL, database_url=self.url(), owner_url=owner_url, schema=schema)

    def environment(self) -> dict[str, str]:
        """Return the settings of a server's process: it knows no owner."""
        return {"PITH_DATABASE_URL": self.url(), "PITH_BASE_URL": BASE_URL}

    def run(self, *statements: str) -> None:
        """Run statements as a superuser."""
        for statement in statements:
            self.server.run(statement, self.name)

    def a_home(self, folder: Path, clock: Ticking | None = None) -> Home:
        """Make a registry whose every byte is the same in each run."""
        chance = random.Random(REGISTRY).randbytes
        return create_home(self.settings(folder), REGISTRY, clock or Ticking(), chance)

    @contextmanager
    def copy(self) -> Iterator[Shared]:
        """Give a copy of this database, to which nobody may be connected."""
        name = self.server.create(self.name)
        yield Shared(self.server, name)
        self.server.drop(name)


@contextmanager
def shared_database(server: Server) -> Iterator[Shared]:
    for role in (OWNER, SERVING):
        with suppress(psycopg.errors.DuplicateObject):
            server.run(f"CREATE ROLE {role} LOGIN")
    name = server.create()
    server.run(f"GRANT CREATE ON DATABASE {name} TO {OWNER}")
    yield Shared(server, name)
    server.drop(name)


BOTH: Final = ("sqlite", "postgresql")


@contextmanager
def tables_in(kind: str, line: Line, folder: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """Make the newest tables of a line in a database of some kind, with nothing in them."""
    if kind == "sqlite":
        database = open_sqlite(folder / f"{line.name}.db", durable=False)
    else:
        url: str = request.getfixturevalue("postgres_url")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA tables")
        database = open_postgresql(url, "tables")
    with closing(database):
        make_tables(database, line)
        yield database


@contextmanager
def registry_in(kind: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Home]:
    """Make a new registry, the same in each run, with its databases of some kind."""
    if kind == "sqlite":
        with closing(a_home(folder, Ticking())) as home:
            yield home
        return
    kept: tuple[Shared, Path] = request.getfixturevalue("kept_registry")
    shutil.copytree(kept[1], folder)
    with kept[0].copy() as shared, closing(open_home(shared.settings(folder, owner=""), Ticking())) as home:
        yield home


@pytest.fixture(scope="session")
def kept_registry(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shared, Path]]:
    """A new registry in PostgreSQL at rest, to be copied, and its data folder."""
    folder = tmp_path_factory.mktemp("kept") / "data"
    with shared_database(postgres) as shared:
        shared.a_home(folder).close()
        yield shared, folder
