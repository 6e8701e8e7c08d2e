"""Versions of tables: from nothing they make what a new database has, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, text

import api.app  # noqa: F401  (with it, every private table is declared)
import ops.jobs.working  # noqa: F401  (with it, every table of a job is declared)
from api.private import PrivateTable
from ledger.database import Database, open_postgresql, open_sqlite
from ledger.errors import StoreError
from ledger.store import create_log
from ledger.tables import LogTable
from ops.audit_postgresql import catalogue
from ops.databases import make_tables
from ops.jobs.tables import JobTable
from ops.migrations.guarding import make_guards
from ops.migrations.lines import JOBS, LINES, LOG, PRIVATE, Line, check_version
from ops.migrations.upgrading import configuration, upgrade
from tests.builders import REGISTRY
from tests.ops.releases import change, restored, rows, schema
from tests.processes import ROOT, environment

BY_LINE = pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
DECLARED = {LOG: LogTable.metadata, PRIVATE: PrivateTable.metadata, JOBS: JobTable.metadata}


def made_anew(path: Path, line: Line) -> Database:
    """Make a SQLite database as `pith init` and the first command that needs one do."""
    database = open_sqlite(path)
    make_tables(database, line)
    if line is LOG:
        create_log(database, REGISTRY)
    return database


def differences(engine: Engine, line: Line) -> list[Any]:
    """Return what Alembic would change to bring the tables to those in the code."""
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), line.metadata()))


@BY_LINE
def test_the_versions_from_nothing_make_a_new_databases_words_on_sqlite(line: Line, tmp_path: Path) -> None:
    with closing(made_anew(tmp_path / "new.db", line)), closing(open_sqlite(tmp_path / "stepwise.db")) as stepwise:
        assert upgrade(stepwise, line) == (None, line.head)
        assert differences(stepwise.reader, line) == []
    assert schema(tmp_path / "stepwise.db") == schema(tmp_path / "new.db")
    assert rows(tmp_path / "stepwise.db", "alembic_version") == rows(tmp_path / "new.db", "alembic_version")


@pytest.fixture
def pair(postgres_url: str) -> Iterator[tuple[Database, Database]]:
    """Two schemas of one PostgreSQL database."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA made")
        connection.execute("CREATE SCHEMA stepwise")
    first, second = (open_postgresql(postgres_url, name) for name in ("made", "stepwise"))
    yield first, second
    first.close()
    second.close()


@BY_LINE
def test_the_versions_from_nothing_make_a_new_databases_tables_on_postgresql(
    line: Line, pair: tuple[Database, Database], postgres_url: str
) -> None:
    new, stepwise = pair
    make_tables(new, line)
    with new.write() as connection:
        make_guards(connection, line)
    assert upgrade(stepwise, line) == (None, line.head)
    path = f"-c search_path={stepwise.schema}"
    # As text, which Alembic's questions to the catalogue expect.
    plain = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(postgres_url, options=path))
    assert differences(plain, line) == []
    plain.dispose()
    found = []
    for database in pair:
        with database.read() as connection:
            found.append(catalogue(connection, database.schema))
    assert found[0] == found[1]
    assert {("relation", table) for table in line.metadata().tables} < found[0].keys()


@BY_LINE
def test_the_lines_name_the_versions_in_their_order(line: Line, tmp_path: Path) -> None:
    with closing(open_sqlite(tmp_path / "any.db")) as database, database.read() as connection:
        scripts = ScriptDirectory.from_config(configuration(line, connection))
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(line.versions)


def test_each_line_declares_all_of_its_tables_by_itself() -> None:
    """Asked in a process that has loaded nothing else."""
    asked = (
        "import json; from ops.migrations.lines import LINES;"
        " print(json.dumps({line.name: sorted(line.metadata().tables) for line in LINES}))"
    )
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, env=environment(), capture_output=True, check=True)
    assert json.loads(done.stdout) == {line.name: sorted(tables.tables) for line, tables in DECLARED.items()}


@BY_LINE
def test_an_upgrade_of_the_newest_tables_changes_nothing(line: Line, tmp_path: Path) -> None:
    with closing(made_anew(tmp_path / "new.db", line)) as database:
        before = schema(tmp_path / "new.db")
        assert upgrade(database, line) == (line.head, line.head)
    assert schema(tmp_path / "new.db") == before


def test_tables_that_say_no_version_but_are_the_newest_are_taken_for_that(tmp_path: Path) -> None:
    with closing(open_sqlite(tmp_path / "log.db")) as database:
        create_log(database, REGISTRY)
        assert check_version(database, LOG, "log.db")
        assert upgrade(database, LOG) == (LOG.head, LOG.head)
    assert rows(tmp_path / "log.db", "alembic_version") == [(LOG.head,)]


def test_a_missing_guard_is_made_again_by_an_upgrade(tmp_path: Path) -> None:
    made_anew(tmp_path / "log.db", LOG).close()
    whole = schema(tmp_path / "log.db")
    change(tmp_path / "log.db", "DROP TRIGGER events_update")
    change(tmp_path / "log.db", "CREATE TRIGGER mine BEFORE INSERT ON tiles BEGIN SELECT 1; END")
    with closing(open_sqlite(tmp_path / "log.db")) as database:
        upgrade(database, LOG)
    assert schema(tmp_path / "log.db") == whole


def test_an_upgrade_that_fails_half_way_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = restored("0.1", tmp_path).ledger_path
    # A row that no log has, which the new table refuses when its rows are copied.
    change(
        path,
        "DROP TRIGGER log_head_insert",
        "ALTER TABLE log_head RENAME TO was",
        "CREATE TABLE log_head (id INTEGER, registry_name TEXT, size INTEGER, received_at INTEGER, frontier BLOB)",
        "INSERT INTO log_head SELECT * FROM was",
        "INSERT INTO log_head VALUES (NULL, NULL, NULL, NULL, NULL)",
        "DROP TABLE was",
    )
    before = schema(path), rows(path, "events")
    with closing(open_sqlite(path)) as database, pytest.raises(StoreError):
        upgrade(database, LOG)
    assert (schema(path), rows(path, "events")) == before


def test_guards_stand_again_after_an_upgrade_on_postgresql(pair: tuple[Database, Database]) -> None:
    database = pair[0]
    make_tables(database, LOG)
    create_log(database, REGISTRY)
    upgrade(database, LOG)
    with pytest.raises(StoreError, match="append-only"), database.write() as connection:
        connection.execute(text("DELETE FROM events"))
