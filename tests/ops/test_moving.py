"""Moving a registry into PostgreSQL: nothing is lost on the way, and the file it leaves takes no second history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from api.admin.tokens import create_token, tokens
from ledger.appending import Submission
from ledger.database import open_sqlite
from ledger.errors import StoreError, UsageError
from ledger.store import Store
from ops.audit import Audit, audit_home
from ops.checkpointing import checkpoint
from ops.databases import has_log, open_private
from ops.home import open_home
from ops.jobs.working import opened_work
from ops.migrations.guarding import drop_guards
from ops.migrations.lines import LOG
from ops.moving import move
from ops.services import Services
from ops.settings import Settings
from ops.upgrading import upgrade_all
from tests.builders import World, contributor
from tests.logs import Ticking
from tests.ops.homes import a_home, a_line, as_lines, imported
from tests.ops.releases import restored, rows
from tests.ops.shared import Shared, shared_database
from tests.postgres import Server
from tests.processes import Pith


@pytest.fixture
def shared(postgres: Server) -> Iterator[Shared]:
    with shared_database(postgres) as found:
        yield found


@pytest.fixture
def files(tmp_path: Path) -> Settings:
    """A registry of release 0.1, upgraded, with private texts, people's requests and owed work."""
    settings = restored("0.1", tmp_path / "data")
    list(upgrade_all(settings))
    return settings


def moving(files: Settings, shared: Shared) -> Settings:
    return replace(files, database_url=shared.settings(files.data).database_url, owner_url=shared.url("pith_owner"))


def test_everything_is_there_after_a_move_and_goes_on(files: Settings, shared: Shared) -> None:
    events, texts = rows(files.ledger_path, "events"), rows(files.ledger_path, "disclosures")
    settings = moving(files, shared)
    pith = Pith.at(files.data, PITH_DATABASE_URL=settings.database_url, PITH_DATABASE_OWNER_URL=settings.owner_url)
    moved = {each["database"]: each["rows"] for each in pith.fine("database", "move", "--json").json}
    assert moved["log"] > len(events) and moved["private"] > 0 and moved["jobs"] > 0
    assert not files.ledger_path.exists() and not files.private_path.exists() and not files.jobs_path.exists()
    settings = replace(settings, owner_url="")
    audited, _ = audit_home(settings, Ticking("2030-01-01T00:00:00Z").now, Audit())
    assert (audited.entries.size, audited.entries.texts) == (len(events), len(texts))
    with closing(open_home(settings, Ticking("2026-12-01T00:00:00Z"))) as home:
        assert [(entry.position, entry.received_at, entry.event.raw) for entry in home.store.entries()] == [
            (row[0], row[1], row[6]) for row in events
        ]
        imported(home, as_lines([a_line(1)]))
        assert checkpoint(home).checkpoint.size == len(events) + 1
        with closing(open_private(settings, home.random)) as private:
            create_token(private, "new", home.clock(), home.random)
            assert [token.name for token in tokens(private)] == ["former", "new", "operator"]
        with opened_work(home, Services()):
            pass


def test_numbers_go_on_where_they_stood(files: Settings, shared: Shared) -> None:
    greatest = max(row[0] for row in rows(files.ledger_path, "disclosures"))
    settings = moving(files, shared)
    move(settings)
    asked = "SELECT nextval(pg_get_serial_sequence('pith_log.disclosures', 'id'))"
    assert shared.server.run(asked, shared.name) == [(greatest + 1,)]


def test_a_process_that_still_has_the_file_open_appends_nothing(files: Settings, shared: Shared) -> None:
    with closing(open_sqlite(files.ledger_path)) as database:
        store, size = Store(database), Store(database).head().size
        with database.write():
            pass  # so that it need not open the file again
        move(moving(files, shared))
        with pytest.raises(StoreError, match="moved to PostgreSQL"):
            store.append([Submission(World().registration(contributor("late")))], Ticking("2026-12-01T00:00:00Z"))
        assert store.head().size == size


def test_a_move_that_fails_leaves_the_file_as_it_was_and_can_be_begun_anew(files: Settings, shared: Shared) -> None:
    shared.run("CREATE SCHEMA pith_log AUTHORIZATION pith_owner", "CREATE TABLE pith_log.tiles (level int)")
    with pytest.raises(StoreError):
        move(moving(files, shared))
    assert not has_log(moving(files, shared))
    with closing(open_home(files, Ticking("2026-12-01T00:00:00Z"))) as home:
        imported(home, as_lines([a_line(1)]))
        size = home.store.head().size
    shared.run("DROP SCHEMA pith_log CASCADE")
    move(moving(files, shared))
    with closing(open_home(moving(files, shared))) as home:
        assert home.store.head().size == size


def test_a_move_killed_once_the_log_was_copied_is_finished(files: Settings, shared: Shared) -> None:
    settings = moving(files, shared)
    for each in move(settings):
        each.kept.rename(each.kept.with_suffix(""))
    shared.run("REVOKE USAGE ON SCHEMA pith_log FROM pith_serving")
    assert {each.rows for each in move(settings)} == {0}
    assert not files.ledger_path.exists()
    with closing(open_home(replace(settings, owner_url=""))) as home:
        assert home.store.head().size > 0


def test_a_file_stays_closed_where_the_answer_to_the_commit_was_lost(
    files: Settings, shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = moving(files, shared)
    commit, lost = psycopg.Connection.commit, list[object]()

    def committed(connection: psycopg.Connection[Any]) -> None:
        found = connection.execute("SELECT to_regclass('log_head') IS NOT NULL").fetchone()
        is_log = found == (True,) and connection.execute("SELECT FROM log_head").fetchone() is not None
        commit(connection)
        if is_log and not lost:
            lost.append(connection)
            connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(psycopg.Connection, "commit", committed)
    with pytest.raises(StoreError, match="closed the connection"):
        move(settings)
    with closing(open_home(files, Ticking("2026-12-01T00:00:00Z"))) as home:
        size = home.store.head().size
        with pytest.raises(StoreError, match="moved to PostgreSQL"):
            imported(home, as_lines([a_line(1)]))
    move(settings)
    with closing(open_home(replace(settings, owner_url=""))) as home:
        assert home.store.head().size == size


def test_a_file_that_is_being_moved_is_not_opened_again_by_an_upgrade(files: Settings) -> None:
    database = open_sqlite(files.ledger_path)
    with database.write() as connection:
        connection.execute(text("CREATE TRIGGER moved BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'moved'); END"))
    with pytest.raises(UsageError) as refused, database.write() as connection:
        drop_guards(connection, LOG, "")
    assert "database move" in refused.value.cure
    with database.read() as connection:
        assert connection.execute(text("SELECT 1 FROM sqlite_master WHERE name = 'moved'")).first()
    database.close()


def test_nothing_is_moved_over_another_ledger_or_to_nowhere(files: Settings, shared: Shared, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it is not said where to"):
        move(files)
    with pytest.raises(UsageError, match="there is no ledger in"):
        move(replace(moving(files, shared), data=tmp_path / "empty"))
    shared.a_home(tmp_path / "other").close()
    with pytest.raises(UsageError, match="there is a ledger in this database"):
        move(moving(files, shared))
    assert files.ledger_path.exists()


def test_an_old_ledger_is_upgraded_before_it_is_moved(shared: Shared, tmp_path: Path) -> None:
    old = restored("0.1", tmp_path / "data")
    with pytest.raises(UsageError, match="pith database upgrade"):
        move(moving(old, shared))
    assert not has_log(moving(old, shared))


def test_a_new_registry_without_people_or_jobs_is_moved(shared: Shared, tmp_path: Path) -> None:
    a_home(tmp_path).close()
    settings = moving(Settings(tmp_path, "https://pith.example"), shared)
    assert [each.line.name for each in move(settings)] == ["log"]
    with closing(open_home(settings)) as home, opened_work(home, Services()):
        assert home.store.head().size == 5
