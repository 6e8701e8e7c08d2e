"""An old data folder: recognised, refused until it is upgraded, and afterwards a registry like any other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from api.admin.tokens import tokens
from api.submitting.requested import open_requests
from ledger.database import open_sqlite
from ledger.errors import UsageError
from ops.audit import Audit, audit_home
from ops.checkpointing import checkpoint
from ops.databases import open_jobs, open_private
from ops.home import create_home, now, open_home
from ops.jobs.tables import OUTBOX, RUNS
from ops.jobs.working import opened_work
from ops.migrations.lines import JOBS, LOG, PRIVATE
from ops.services import Services
from ops.settings import Settings
from ops.upgrading import upgrade_all
from tests.builders import REGISTRY
from tests.logs import Ticking
from tests.ops.homes import a_home, a_line, as_lines, imported
from tests.ops.releases import change, restored, rows, schema
from tests.processes import Pith


@pytest.fixture
def old(tmp_path: Path) -> Settings:
    return restored("0.1", tmp_path / "data")


@pytest.fixture
def upgraded(old: Settings) -> Settings:
    list(upgrade_all(old))
    return old


def test_an_old_ledger_is_upgraded_and_audited_by_commands(old: Settings) -> None:
    pith = Pith.at(old.data)
    events = rows(old.ledger_path, "events")
    for command in (("audit",), ("serve", "--port", "0")):
        refused = pith(*command)
        assert refused.code == 2 and "pith database upgrade" in refused.err, refused.err
    assert "log_0001" in pith.fine("database", "show").out
    done = pith.fine("database", "upgrade", "--json").json
    assert done == [
        {"database": "log", "before": LOG.baseline, "after": LOG.head},
        {"database": "private", "before": PRIVATE.baseline, "after": PRIVATE.head},
        {"database": "jobs", "before": JOBS.baseline, "after": JOBS.head},
    ]
    assert rows(old.ledger_path, "events") == events
    assert pith.fine("audit").out.count("ok  ") > 6
    assert {row["before"] for row in pith.fine("database", "upgrade", "--json").json} == {
        line.head for line in (LOG, PRIVATE, JOBS)
    }


@pytest.mark.parametrize("open_it", [open_home, lambda found: audit_home(found, now(), Audit())], ids=["home", "audit"])
def test_an_old_ledger_is_refused_and_left_as_it_is(old: Settings, open_it: Callable[[Settings], object]) -> None:
    before = old.ledger_path.read_bytes()
    with pytest.raises(UsageError, match="of version log_0001") as caught:
        open_it(old)
    assert "pith database upgrade" in caught.value.cure and caught.value.place == str(old.ledger_path)
    assert old.ledger_path.read_bytes() == before


def test_what_an_old_registry_kept_is_there_after_an_upgrade(upgraded: Settings) -> None:
    with closing(open_private(upgraded, bytes)) as private:
        assert [(token.name, token.revoked_at is not None) for token in tokens(private)] == [
            ("former", True),
            ("operator", False),
        ]
        assert [request.kind for request in open_requests(private, 10)] == ["preserve"]
    with closing(open_jobs(upgraded)) as jobs, jobs.read() as connection:
        assert connection.execute(RUNS.select()).first() is not None
        assert connection.execute(OUTBOX.select()).first() is None


def test_an_upgraded_registry_goes_on(upgraded: Settings) -> None:
    clock = Ticking("2026-12-01T00:00:00Z")
    with closing(open_home(upgraded, clock)) as home:
        before = home.store.head().size
        assert imported(home, as_lines([a_line(1)])).created == 1
        assert checkpoint(home).checkpoint.size == home.store.head().size == before + 1
        with opened_work(home, Services()):
            pass
    audited, projected = audit_home(upgraded, clock.now, Audit())
    assert audited.entries.size == before + 1
    assert projected is not None and projected.cursor == before + 1


def test_an_upgraded_folder_is_in_the_words_of_a_new_one(upgraded: Settings, tmp_path: Path) -> None:
    new = a_home(tmp_path / "new")
    with opened_work(new, Services()):
        pass
    new.close()
    for name in ("ledger.db", "private.db", "jobs.db"):
        assert schema(upgraded.data / name) == schema(tmp_path / "new" / name), name


@pytest.mark.parametrize("versions", [["log_9999"], [], ["log_0001", "log_0002"]], ids=["unknown", "none", "two"])
def test_a_ledger_of_a_version_that_nobody_knows_is_refused_and_not_upgraded(
    upgraded: Settings, versions: list[str]
) -> None:
    inserts = [f"INSERT INTO alembic_version VALUES ('{version}')" for version in versions]
    change(upgraded.ledger_path, "DELETE FROM alembic_version", *inserts)
    before = schema(upgraded.ledger_path)
    for attempt in (lambda: open_home(upgraded), lambda: list(upgrade_all(upgraded))):
        with pytest.raises(UsageError, match=r"version.* of its tables") as caught:
            attempt()
        assert caught.value.place == str(upgraded.ledger_path) and caught.value.cure
    assert schema(upgraded.ledger_path) == before


def test_a_version_that_nobody_knows_in_one_database_keeps_the_others_as_they_are(old: Settings) -> None:
    change(
        old.jobs_path,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
        "INSERT INTO alembic_version VALUES ('jobs_9999')",
    )
    with pytest.raises(UsageError, match="jobs_9999"):
        list(upgrade_all(old))
    assert ("table", "alembic_version") not in schema(old.ledger_path)


def test_there_is_nothing_to_upgrade_where_there_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no ledger"):
        list(upgrade_all(Settings(tmp_path, "https://pith.example")))
    assert list(tmp_path.iterdir()) == []


def test_projections_of_another_release_are_thrown_away_and_built_anew(tmp_path: Path) -> None:
    home = a_home(tmp_path / "data")
    imported(home, as_lines([a_line(1)]))
    home.close()
    path = home.settings.projections_path
    change(path, "ALTER TABLE records RENAME COLUMN document TO written", "PRAGMA user_version = 7")
    with closing(open_home(home.settings)) as again:
        again.catch_up()
    assert len(rows(path, "records")) == 1
    assert ("table", "records") in schema(path) and "document" in str(schema(path)["table", "records"])


def test_projections_of_this_release_are_kept(tmp_path: Path) -> None:
    home = a_home(tmp_path / "data")
    imported(home, as_lines([a_line(1)]))
    home.close()
    before = home.settings.projections_path.stat().st_ino
    open_home(home.settings).close()
    assert home.settings.projections_path.stat().st_ino == before


def test_a_new_registry_says_its_version(tmp_path: Path) -> None:
    create_home(Settings(tmp_path, "https://pith.example"), REGISTRY).close()
    assert rows(tmp_path / "ledger.db", "alembic_version") == [(LOG.head,)]


def test_private_tables_that_an_old_release_never_made_are_made(old: Settings) -> None:
    assert ("table", "sessions") not in schema(old.private_path)
    with closing(open_private(old, bytes)) as private, private.read() as connection:
        connection.execute(PRIVATE.metadata().tables["sessions"].select())
    with closing(open_sqlite(old.private_path)) as database:
        assert [token.name for token in tokens(database)] == ["former", "operator"]
