"""A registry in PostgreSQL: made by an owner, used by a role that can change nothing, and never mixed with another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import text

from api.admin.tokens import create_token, tokens
from api.settings import ApiSettings
from ledger.errors import StoreError, UsageError
from ledger.proofs.trust import Trust
from ops.audit import Audit, audit_home
from ops.checkpointing import checkpoint
from ops.databases import connected, has_log, open_private
from ops.export import export
from ops.home import Home, create_home, open_home
from ops.jobs.checkpoints import Checkpoint
from ops.jobs.working import opened_work, work_once
from ops.migrations.lines import JOBS, LINES, LOG, PRIVATE
from ops.mirror import mirror
from ops.new_databases import grant, make_databases
from ops.publications import open_publication
from ops.registry_app import composed
from ops.services import Services
from ops.settings import Settings
from ops.upgrading import standing, upgrade_all
from projections.rebuild import state_digest
from tests.builders import REGISTRY
from tests.logs import Ticking
from tests.ops.homes import BASE_URL, a_home, a_line, as_lines, imported
from tests.ops.shared import OWNER, SERVING, Shared, shared_database
from tests.postgres import Server
from tests.processes import Pith


@pytest.fixture
def shared(postgres: Server) -> Iterator[Shared]:
    with shared_database(postgres) as found:
        yield found


def test_a_registry_in_postgresql_is_the_same_as_one_in_files_byte_for_byte(shared: Shared, tmp_path: Path) -> None:
    in_files, in_postgresql = a_home(tmp_path / "files"), shared.a_home(tmp_path / "shared")
    for home in (in_files, in_postgresql):
        imported(home, as_lines([a_line(1), a_line(2)]))
    notes = [checkpoint(home).checkpoint.note for home in (in_files, in_postgresql)]
    assert notes[0] == notes[1]
    assert not in_postgresql.settings.ledger_path.exists()
    audits = [audit_home(home.settings, home.clock(), Audit()) for home in (in_files, in_postgresql)]
    assert audits[0][1] == audits[1][1]
    for home in (in_files, in_postgresql):
        home.close()


def exported(home: Home, folder: Path) -> None:
    signed = checkpoint(home).checkpoint
    export(home.store, folder, signed, state_digest(home.projections), lambda _: None)


def test_all_that_a_registry_does_is_done_in_postgresql(shared: Shared, tmp_path: Path) -> None:
    with closing(shared.a_home(tmp_path / "data")) as home:
        imported(home, as_lines([a_line(1)]))
        with opened_work(home, Services()) as work:
            ran = work_once(work, [Checkpoint()])
            assert ran["checkpoint"].outcome == "done"
        with composed(home, ApiSettings(BASE_URL)) as parts:
            create_token(parts.private, "operator", home.clock(), home.random)
        with closing(open_private(home.settings, home.random)) as private:
            assert [token.name for token in tokens(private)] == ["operator"]
        exported(home, tmp_path / "export")
        size = home.store.head().size
        follower = shared.settings(tmp_path / "mirror", schema="mirrored")
        done = mirror(open_publication(str(tmp_path / "export")), follower, Trust(), lambda _: None, home.clock)
    assert done.size == size
    audited, _ = audit_home(follower, home.clock(), Audit())
    assert audited.entries.size == size
    assert {path.name for path in (tmp_path / "data").glob("*.db")} == {"projections.db"}


CHANGES: Final = (
    "UPDATE events SET event = event",
    "DELETE FROM events",
    "TRUNCATE events",
    "DROP TRIGGER events_delete ON events",
    "UPDATE alembic_version SET version_num = 'log_0001'",
)


def test_the_role_that_serves_can_change_no_event(shared: Shared, tmp_path: Path) -> None:
    with closing(shared.a_home(tmp_path / "data")) as home:
        for statement in CHANGES:
            with pytest.raises(StoreError, match=r"denied|must be owner"), home.ledger.write() as connection:
                connection.execute(text(statement))
        assert home.store.head().size == 5


def test_a_role_that_may_make_no_schemas_is_told_what_the_owner_has_to_run(shared: Shared, tmp_path: Path) -> None:
    settings = shared.settings(tmp_path, owner="")
    with pytest.raises(UsageError, match="may make no schemas") as caught:
        create_home(settings, REGISTRY)
    assert not has_log(settings)
    told = caught.value.cure.split("run: ")[1].split("; or set")[0]
    shared.run(*told.split("; "))
    with closing(create_home(settings, REGISTRY)) as home:
        assert home.store.head().size == 5
    assert "owns the tables" in "".join(audited(settings))


def audited(settings: Settings) -> list[str]:
    audit = Audit()
    audit_home(settings, Ticking("2030-01-01T00:00:00Z").now, audit)
    return audit.checks


def test_a_role_that_does_not_own_the_schemas_is_told_so(shared: Shared, tmp_path: Path) -> None:
    shared.run("CREATE SCHEMA pith_log", "CREATE SCHEMA pith_private", "CREATE SCHEMA pith_jobs")
    with pytest.raises(UsageError, match=f"{OWNER} may make no tables in") as caught:
        create_home(shared.settings(tmp_path), REGISTRY)
    assert "PITH_DATABASE_OWNER_URL" in caught.value.cure


def test_a_second_registry_in_one_database_needs_schemas_of_its_own(shared: Shared, tmp_path: Path) -> None:
    shared.a_home(tmp_path / "one").close()
    with pytest.raises(UsageError, match="there is a ledger in this database") as caught:
        create_home(shared.settings(tmp_path / "two"), "other.registry")
    assert "PITH_DATABASE_SCHEMA" in caught.value.cure
    with closing(create_home(shared.settings(tmp_path / "two", schema="other"), "other.registry")) as home:
        assert home.store.registry_name == "other.registry"
    with closing(open_home(shared.settings(tmp_path / "one"))) as home:
        assert home.store.registry_name == REGISTRY


def test_a_registry_is_not_opened_with_the_keys_of_another(shared: Shared, tmp_path: Path) -> None:
    shared.a_home(tmp_path / "one").close()
    create_home(shared.settings(tmp_path / "two", schema="other"), "other.registry").close()
    with pytest.raises(UsageError, match=rf"the log is of {REGISTRY}, the keys here are of other\.registry"):
        open_home(shared.settings(tmp_path / "two"))


def test_a_folder_without_keys_reads_the_shared_log_and_adds_nothing(shared: Shared, tmp_path: Path) -> None:
    shared.a_home(tmp_path / "one").close()
    with closing(open_home(shared.settings(tmp_path / "two"))) as home:
        assert len(list(home.store.entries())) == 5
        with pytest.raises(UsageError, match="holds no key"), composed(home, ApiSettings(BASE_URL)):
            pass


def test_a_mirror_never_appends_to_a_log_that_it_does_not_follow(shared: Shared, tmp_path: Path) -> None:
    with closing(shared.a_home(tmp_path / "one")) as home:
        exported(home, tmp_path / "export")
        imported(home, as_lines([a_line(1)]))
        size = home.store.head().size
        with pytest.raises(UsageError, match="does not follow"):
            mirror(
                open_publication(str(tmp_path / "export")), shared.settings(tmp_path / "two"), Trust(), lambda _: None
            )
        assert home.store.head().size == size


def test_an_init_that_was_broken_off_is_no_ledger_and_goes_on(shared: Shared, tmp_path: Path) -> None:
    settings = shared.settings(tmp_path)
    make_databases(settings, REGISTRY)
    assert not has_log(settings)
    with pytest.raises(UsageError, match="there is no ledger"):
        open_home(settings)
    with pytest.raises(UsageError, match=f"a log of {REGISTRY} was begun"):
        create_home(shared.settings(tmp_path / "other"), "other.registry")
    shared.a_home(tmp_path).close()
    assert has_log(settings)


def test_a_ledger_in_files_is_not_begun_anew_in_postgresql(shared: Shared, tmp_path: Path) -> None:
    """With the same keys, that would be a second history of the same log."""
    a_home(tmp_path).close()
    with pytest.raises(UsageError, match="there is a ledger in"):
        create_home(shared.settings(tmp_path), REGISTRY)


def test_a_further_role_is_let_in_and_can_change_no_event(shared: Shared, tmp_path: Path) -> None:
    shared.a_home(tmp_path / "one").close()
    shared.run("DROP ROLE IF EXISTS pith_second", "CREATE ROLE pith_second LOGIN")
    shutil.copytree(tmp_path / "one" / "keys", tmp_path / "two" / "keys")
    second = Settings(tmp_path / "two", BASE_URL, database_url=shared.url("pith_second"))
    with pytest.raises(UsageError, match="pith_second may not use this schema"):
        open_home(second)
    owner = {"PITH_DATABASE_OWNER_URL": shared.url(OWNER), **shared.environment()}
    Pith.at(tmp_path / "one", **owner).fine("database", "grant", "pith_second")
    with closing(open_home(second)) as home:
        imported(home, as_lines([a_line(1)]))
        with opened_work(home, Services()):
            pass
        with pytest.raises(StoreError, match="permission denied"), home.ledger.write() as connection:
            connection.execute(text("DELETE FROM events"))
    with pytest.raises(StoreError, match="pith_nobody"):
        grant(shared.settings(tmp_path / "one"), "pith_nobody")
    shared.run("DROP OWNED BY pith_second", "DROP ROLE pith_second")


def test_an_owner_takes_no_rights_from_itself(shared: Shared, tmp_path: Path) -> None:
    settings = shared.settings(tmp_path)
    shared.a_home(tmp_path).close()
    with pytest.raises(UsageError, match="owns the tables"):
        grant(settings, OWNER)
    assert {each.after for each in upgrade_all(settings)} == {line.head for line in LINES}


def test_upgrading_is_for_the_owner_and_leaves_the_newest_as_it_is(shared: Shared, tmp_path: Path) -> None:
    shared.a_home(tmp_path).close()
    for settings in (shared.settings(tmp_path), shared.settings(tmp_path, owner="")):
        assert [(done.before, done.after) for done in upgrade_all(settings)] == [(line.head,) * 2 for line in LINES]
    shared.run(f"UPDATE pith_log.alembic_version SET version_num = '{LOG.baseline}'")
    shared.run("ALTER TABLE pith_log.log_head DROP COLUMN log_label CASCADE")
    with pytest.raises(UsageError, match="of version log_0001"):
        open_home(shared.settings(tmp_path))
    with pytest.raises(UsageError, match=f"{SERVING} may not change the tables, which belong to {OWNER}"):
        list(upgrade_all(shared.settings(tmp_path, owner="")))
    assert (LOG, LOG.baseline, LOG.head) in [
        (done.line, done.before, done.after) for done in upgrade_all(shared.settings(tmp_path))
    ]
    with closing(open_home(shared.settings(tmp_path))) as home:
        imported(home, as_lines([a_line(1)]))
    assert len(audited(home.settings)) > 6


def test_jobs_that_were_lost_are_made_again_by_an_upgrade(shared: Shared, tmp_path: Path) -> None:
    shared.a_home(tmp_path).close()
    shared.run("DROP SCHEMA pith_jobs CASCADE")
    with closing(open_home(shared.settings(tmp_path))) as home:
        with pytest.raises(UsageError, match="the tables of jobs are missing") as caught, opened_work(home, Services()):
            pass
        assert "pith database upgrade" in caught.value.cure
        assert [done.line for done in upgrade_all(home.settings) if done.before is None] == [JOBS]
        with opened_work(home, Services()) as work:
            work_once(work, [Checkpoint()])
    assert all(each.is_current for each in standing(home.settings))


def test_no_password_is_ever_shown(tmp_path: Path) -> None:
    """Nothing listens there, and what is said of that must not repeat the address whole."""
    url = "postgresql://u%40x:hush%2Fhush@127.0.0.1:1,localhost:1/db?application_name=x&sslpassword=hush2"
    settings = Settings(tmp_path, BASE_URL, database_url=url, owner_url=url)
    assert "hush" not in repr(settings)
    (tmp_path / "url").write_text(f"{url}\n")
    pith = Pith.at(tmp_path / "data", PITH_DATABASE_URL_FILE=str(tmp_path / "url"), PITH_DATABASE_OWNER_URL=url)
    shown = pith.fine("settings", "--json").json["PITH_DATABASE_URL"]
    assert shown == "postgresql://u%40x@127.0.0.1:1,localhost:1/db?application_name=x"
    refused = pith("init", REGISTRY)
    assert refused.code == 2 and not refused.crashed
    with pytest.raises(StoreError) as caught:
        open_home(settings)
    assert "hush" not in "".join((*pith.log, str(caught.value), repr(caught.value.__cause__)))


def test_both_databases_of_people_and_jobs_are_apart_from_the_log(shared: Shared, tmp_path: Path) -> None:
    shared.a_home(tmp_path).close()
    for line in (PRIVATE, JOBS):
        with closing(connected(shared.settings(tmp_path), line)) as database, database.read() as connection:
            assert connection.execute(text("SELECT to_regclass('events')")).scalar() is None
