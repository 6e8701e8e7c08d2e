"""The projection of what moderators decide on: each statement once, under what became of it by now."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger.database import Database, open_sqlite
from ledger.events import MODERATED
from projections.moderation import STATUSES, fate_of, with_status
from projections.projectors import MODERATION
from projections.runner import Runner, create_projections, open_projections
from tests.builders import ALICE, BOB, CHECKER, NUMBER
from tests.logs import Log, history
from tests.projections.papers import open_policy


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log.opened(tmp_path)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_sqlite(tmp_path / "projections.sqlite", durable=False)
    create_projections(database)
    yield database
    database.close()


def positions(log: Log, database: Database, status: str) -> list[int]:
    Runner(log.store, database).catch_up()
    return [found.position for found in with_status(database, status, -1, 1_000)]


def test_every_statement_stands_under_one_status(tmp_path: Path, database: Database) -> None:
    log = Log.empty(tmp_path)
    log.admit(*history(log.world))
    moderated = {
        entry.position
        for entry in log.store.entries()
        if entry.event.event_type in MODERATED and entry.event.subject == NUMBER
    }
    found = [position for status in STATUSES for position in positions(log, database, status)]
    assert sorted(found) == sorted(moderated) and len(moderated) > 6


def test_a_row_says_what_the_event_says(log: Log, database: Database) -> None:
    entry = log.admit(log.world.challenge("C1", BOB))
    Runner(log.store, database).catch_up()
    (found,) = with_status(database, "held", -1, 10)
    event = entry.event
    assert (found.event_id, found.event_type, found.subject, found.target) == (event.id_text, "challenge", NUMBER, "C1")
    assert (found.position, found.received_at) == (entry.position, entry.received_at)
    assert found.signer == event.value["signer"] and fate_of(database, event.id_text) == found


def test_a_decision_moves_a_statement(log: Log, database: Database) -> None:
    said = log.world.citation(BOB)
    at = log.admit(said).position
    assert positions(log, database, "held") == [at]
    log.admit(log.world.decision(said))
    assert (positions(log, database, "held"), positions(log, database, "counted")) == ([], [at])
    log.admit(log.world.decision(said, "rejected"))
    assert (positions(log, database, "counted"), positions(log, database, "rejected")) == ([], [at])


def test_a_policy_moves_what_comes_after_it(log: Log, database: Database) -> None:
    before = log.admit(log.world.citation(BOB)).position
    log.admit(open_policy(log.world))
    after = log.admit(log.world.citation(ALICE)).position
    assert (positions(log, database, "held"), positions(log, database, "counted")) == ([before], [after])


def test_a_revoked_key_takes_its_statements_along(log: Log, database: Database) -> None:
    log.admit(log.world.storage(CHECKER, grade="fetched"))
    at = log.admit(log.world.citation(BOB)).position
    log.admit(log.world.revocation(BOB, compromised_from="2026-01-01T00:00:00Z"))
    assert positions(log, database, "revoked") == [at]


def test_pages_follow_each_other_in_order_of_position(log: Log, database: Database) -> None:
    for _ in range(5):
        log.admit(log.world.citation(BOB))
    everything = positions(log, database, "held")
    pages, after = [], -1
    while page := with_status(database, "held", after, 2):
        pages.append([found.position for found in page])
        after = pages[-1][-1]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [position for page in pages for position in page] == everything == sorted(everything)


def test_what_nobody_decides_on_has_no_fate(log: Log, database: Database) -> None:
    Runner(log.store, database).catch_up()
    record = next(entry for entry in log.store.entries() if entry.event.event_type == "record_created")
    assert fate_of(database, record.event.id_text) is None
    assert fate_of(database, f"sha256:{'0' * 64}") is None


def test_only_the_active_generation_is_read(log: Log, database: Database) -> None:
    at = log.admit(log.world.citation(BOB)).position
    assert positions(log, database, "held") == [at]
    with database.write() as connection:
        row = connection.execute(MODERATION.select()).mappings().one()
        connection.execute(MODERATION.insert().values({**row, "id": None, "generation": 9, "position": 99}))
    assert positions(log, database, "held") == [at]


def test_a_file_from_before_there_was_this_projection_is_built_anew(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    database = open_sqlite(path, durable=False)
    open_projections(log.store, database)
    at = log.admit(log.world.citation(BOB)).position
    Runner(log.store, database).catch_up()
    database.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE moderation")
        connection.execute("DELETE FROM cursors WHERE projection = 'moderation'")
    database = open_sqlite(path, durable=False)
    open_projections(log.store, database)
    assert positions(log, database, "held") == [at]
    database.close()
