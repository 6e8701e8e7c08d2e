"""What a change elsewhere does to papers that were projected already, and to projections of another log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.database import Database, open_sqlite
from projections import queries
from projections.rebuild import replay, state_digest
from projections.runner import Runner, create_projections, open_projections
from tests.builders import ALICE, Who, World, key
from tests.logs import Log


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
    opened = open_sqlite(tmp_path / "projections.sqlite", durable=False)
    yield opened
    opened.close()


@pytest.fixture
def database(empty: Database) -> Database:
    create_projections(empty)
    return empty


def test_a_revocation_of_who_revoked_touches_the_papers_of_the_revoked(log: Log, database: Database) -> None:
    first, second = (Who(key(f"alice {name}"), "contributor", ALICE.signer_id) for name in ("first", "second"))
    log.admit(*(log.world.registration(who) for who in (first, second)))
    log.admit(*(log.world.proof_of_identity(who) for who in (ALICE, first, second)))
    log.admit(log.world.citation(second))
    runner = Runner(log.store, database)
    runner.catch_up()
    for event in (
        log.world.revocation(second, by=first, compromised_from="2026-01-01T00:00:00Z"),
        log.world.revocation(first, by=ALICE, compromised_from="2026-01-01T00:00:00Z"),
        log.world.revocation(ALICE, by=log.world.registry, compromised_from="2026-01-01T00:00:00Z"),
    ):
        log.admit(event)
        runner.catch_up()
        assert state_digest(database) == replay(log.store, log.store.head().size)


def test_projections_of_another_log_are_thrown_away(log: Log, empty: Database, tmp_path: Path) -> None:
    open_projections(log.store, empty)
    Runner(log.store, empty).catch_up()
    (tmp_path / "other").mkdir()
    other = Log.opened(tmp_path / "other", World("other.registry"))
    open_projections(other.store, empty)
    assert queries.count(empty) == 0


def test_projections_of_this_log_are_kept(log: Log, empty: Database) -> None:
    open_projections(log.store, empty)
    Runner(log.store, empty).catch_up()
    log.admit(log.world.citation())
    open_projections(log.store, empty)
    assert queries.count(empty) == 1
