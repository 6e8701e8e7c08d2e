"""Auditing a log in PostgreSQL: a schema that answers otherwise, a right too many and a changed row are all found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from ledger.errors import UsageError, VerificationError
from ops.audit import Audit, audit_home
from ops.checkpointing import checkpoint
from ops.settings import Settings
from tests.logs import Ticking
from tests.ops.homes import BASE_URL, a_line, as_lines, imported
from tests.ops.shared import OWNER, SERVING, Shared, shared_database
from tests.postgres import Server

NOW: Final = Ticking("2030-01-01T00:00:00Z").now


@pytest.fixture(scope="module")
def kept(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shared, Path]]:
    """A database at rest that holds a registry, and the registry's folder."""
    folder = tmp_path_factory.mktemp("audited") / "data"
    with shared_database(postgres) as shared:
        with closing(shared.a_home(folder)) as home:
            imported(home, as_lines([a_line(1), a_line(2)]))
            checkpoint(home)
        yield shared, folder


@pytest.fixture
def copied(kept: tuple[Shared, Path]) -> Iterator[tuple[Shared, Settings]]:
    """A copy of it to tamper with."""
    shared, folder = kept
    with shared.copy() as copy:
        yield copy, copy.settings(folder, owner="")


def audited(settings: Settings) -> list[str]:
    audit = Audit()
    audit_home(settings, NOW, audit)
    return audit.checks


def test_a_good_log_holds_and_what_cannot_be_seen_is_said(kept: tuple[Shared, Path]) -> None:
    shared, folder = kept
    checks = audited(shared.settings(folder, owner=""))
    assert "database: 7 tables of pith_log and their guards are as they were made" in checks
    assert any(check.startswith("privileges: nobody was granted") for check in checks)
    assert any(check.startswith("open: PostgreSQL 18.") and "pg_amcheck" in check for check in checks)
    assert not any("own" in check for check in checks if check.startswith("open: pith"))


def test_a_superuser_is_told_that_no_guard_stops_it(kept: tuple[Shared, Path]) -> None:
    shared, folder = kept
    checks = audited(Settings(folder, BASE_URL, database_url=shared.url("postgres")))
    assert any("is a superuser" in check for check in checks)


def test_a_role_that_may_act_as_the_owner_is_named(copied: tuple[Shared, Settings]) -> None:
    shared, settings = copied
    assert not any("member" in check for check in audited(settings))
    shared.run("DROP ROLE IF EXISTS pith_member", f"CREATE ROLE pith_member IN ROLE {OWNER}")
    try:
        assert any(f"member of {OWNER}" in check and "pith_member" in check for check in audited(settings))
    finally:
        shared.run("DROP ROLE pith_member")


def test_an_audit_leaves_nothing_behind(copied: tuple[Shared, Settings]) -> None:
    shared, settings = copied
    asked = "SELECT count(*) FROM pg_class WHERE relname = 'events'"
    before = shared.server.run(asked, shared.name)
    audited(settings)
    assert shared.server.run(asked, shared.name) == before == [(1,)]


EVENTS: Final = "ALTER TABLE pith_log.events"
SCHEMA: Final[dict[str, tuple[str, str]]] = {
    "disabled": (f"{EVENTS} DISABLE TRIGGER events_update", "trigger events_update"),
    "not-always": (f"{EVENTS} ENABLE TRIGGER events_delete", "trigger events_delete"),
    "dropped": ("DROP TRIGGER tiles_update ON pith_log.tiles", "trigger tiles_update"),
    "emptied": (
        "CREATE OR REPLACE FUNCTION pith_log.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "function refuse",
    ),
    "rule": ("CREATE RULE mine AS ON INSERT TO pith_log.tiles DO INSTEAD NOTHING", "relation tiles"),
    "rows": (f"{EVENTS} ENABLE ROW LEVEL SECURITY", "relation events"),
    "table": ("CREATE TABLE pith_log.more (a int)", "column more.a"),
    "view": ("CREATE VIEW pith_log.more AS SELECT 1 AS a", "relation more"),
    "column": (f"{EVENTS} ADD COLUMN more int DEFAULT 1", "column events.more"),
    "kind": ("ALTER TABLE pith_log.disclosures ALTER COLUMN salt TYPE text", "column disclosures.salt"),
    "index": ("DROP INDEX pith_log.ix_events_subject", "index ix_events_subject"),
    "unique": (
        "ALTER TABLE pith_log.disclosures DROP CONSTRAINT disclosures_position_path_key",
        "disclosures_position",
    ),
    "child": ("CREATE TABLE pith_log.more () INHERITS (pith_log.events)", "column more.event"),
}


@pytest.mark.parametrize("name", SCHEMA)
def test_a_schema_that_is_not_as_it_was_made_is_found(copied: tuple[Shared, Settings], name: str) -> None:
    shared, settings = copied
    statement, place = SCHEMA[name]
    shared.run(statement)
    with pytest.raises(VerificationError) as caught:
        audited(settings)
    assert caught.value.step == "database" and place in caught.value.place and caught.value.cure


@pytest.mark.parametrize(
    ("right", "named"),
    [
        ("DELETE ON pith_log.events TO PUBLIC", "PUBLIC may DELETE"),
        (f"UPDATE (event) ON pith_log.events TO {SERVING}", f"{SERVING} may UPDATE"),
        (f"TRUNCATE ON pith_log.checkpoints TO {SERVING}", f"{SERVING} may TRUNCATE"),
        (f"UPDATE (registry_name) ON pith_log.log_head TO {SERVING}", f"{SERVING} may UPDATE"),
        (f"TRIGGER ON pith_log.tiles TO {SERVING}", f"{SERVING} may TRIGGER"),
    ],
)
def test_a_right_too_many_is_found(copied: tuple[Shared, Settings], right: str, named: str) -> None:
    shared, settings = copied
    shared.run(f"GRANT {right}")
    with pytest.raises(VerificationError, match=named) as caught:
        audited(settings)
    assert caught.value.cure.startswith("REVOKE ")


def test_an_event_that_a_superuser_changed_is_found(copied: tuple[Shared, Settings]) -> None:
    shared, settings = copied
    shared.run(
        f"{EVENTS} DISABLE TRIGGER ALL",
        "UPDATE pith_log.events SET event = overlay(event placing 'x'::bytea from 40) WHERE position = 5",
        f"{EVENTS} ENABLE TRIGGER ALL",
        *(f"{EVENTS} ENABLE ALWAYS TRIGGER events_{verb}" for verb in ("insert", "update", "delete", "truncate")),
    )
    with pytest.raises(VerificationError) as caught:
        audited(settings)
    assert caught.value.step == "entries" and "positions 0 to" in caught.value.place


def test_an_audit_needs_temporary_tables(copied: tuple[Shared, Settings]) -> None:
    shared, settings = copied
    shared.run(f"REVOKE TEMPORARY ON DATABASE {shared.name} FROM PUBLIC")
    with pytest.raises(UsageError, match="temporary tables"):
        audited(settings)


def test_there_is_nothing_to_audit_in_an_empty_database(postgres_url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no ledger in this database"):
        audited(Settings(tmp_path, BASE_URL, database_url=postgres_url))
