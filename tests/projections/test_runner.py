"""From log to tables: live, rebuilt and replayed are one state, whoever is interrupted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ledger.appending import Appended, Submission
from ledger.database import Database, open_sqlite
from ledger.errors import NotFoundError, ProjectionError
from ledger.events import TYPES
from projections import queries
from projections.projectors import PROJECTORS
from projections.rebuild import Rebuilt, rebuild, replay, state_digest
from projections.runner import BATCH, Runner, create_projections
from tests.builders import NUMBER, a_record
from tests.logs import Log
from tests.projections.catching_up import PROJECTIONS, start
from tests.projections.histories import eventful, touching_old_papers
from tests.projections.papers import open_policy

SEEDS = range(4)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Log]:
    """Return logs of several papers; in the first the registry's stream touches old ones, long after."""
    made = [touching_old_papers(tmp_path_factory.mktemp("touching"))]
    return made + [eventful(tmp_path_factory.mktemp("chance"), seed) for seed in SEEDS]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """A log of its own for tests that go on writing."""
    return touching_old_papers(tmp_path)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = projections_in(tmp_path)
    yield opened
    opened.close()


def projections_in(folder: Path) -> Database:
    database = open_sqlite(folder / PROJECTIONS, durable=False)
    create_projections(database)
    return database


def replayed(log: Log) -> str:
    return replay(log.store, log.store.head().size)


def caught_up(log: Log, database: Database) -> Runner:
    runner = Runner(log.store, database)
    runner.catch_up()
    return runner


def by_name(outcomes: list[Rebuilt]) -> dict[str, Rebuilt]:
    return {outcome.projection: outcome for outcome in outcomes}


def generations(database: Database) -> dict[str, set[int]]:
    """Return the generations that have rows, by table."""
    tables = ("cursors", "records", "record_signers", "aliases", "citations", "moderation", "search_rows")
    with database.read() as connection:
        return {
            table: set(connection.execute(text(f"SELECT DISTINCT generation FROM {table}")).scalars())
            for table in tables
        }


def rows(database: Database) -> dict[str, int]:
    tables = ("records", "record_signers", "aliases", "citations", "moderation", "search_rows", "search_text")
    with database.read() as connection:
        return {table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in tables}


# Live is rebuilt is replayed.


def test_the_histories_hold_every_event_type(logs: list[Log]) -> None:
    assert all({entry.event.event_type for entry in log.store.entries()} == set(TYPES) for log in logs[1:])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(SEEDS)), chance=st.randoms(use_true_random=False))
def test_catching_up_in_any_batches_gives_the_replayed_state(
    logs: list[Log], tmp_path_factory: pytest.TempPathFactory, at: int, chance: random.Random
) -> None:
    log, database = logs[at], projections_in(tmp_path_factory.mktemp("live"))
    size = log.store.head().size
    runner = Runner(log.store, database)
    for stop in [*sorted(chance.choices(range(size + 1), k=chance.randrange(12))), size]:
        if chance.random() < 0.3:
            runner = Runner(log.store, database)
        runner.catch_up(stop=stop)
    found = state_digest(database)
    database.close()
    assert found == replayed(log)


@pytest.mark.parametrize("at", range(len(SEEDS) + 1))
def test_catching_up_entry_by_entry_gives_the_replayed_state(logs: list[Log], database: Database, at: int) -> None:
    runner = Runner(logs[at].store, database)
    for stop in range(logs[at].store.head().size + 1):
        runner.catch_up(stop=stop)
    assert state_digest(database) == replayed(logs[at])


@pytest.mark.parametrize("at", range(len(SEEDS) + 1))
def test_every_prefix_caught_up_with_is_that_prefix_replayed(logs: list[Log], database: Database, at: int) -> None:
    runner, size = Runner(logs[at].store, database), logs[at].store.head().size
    for stop in range(0, size, 11):
        runner.catch_up(stop=stop)
        assert state_digest(database) == replay(logs[at].store, stop)


@pytest.mark.parametrize("at", range(len(SEEDS) + 1))
def test_a_rebuild_finds_the_live_state_unchanged(logs: list[Log], database: Database, at: int) -> None:
    runner = Runner(logs[at].store, database)
    for stop in range(0, logs[at].store.head().size, 7):
        runner.catch_up(stop=stop)
    assert all(outcome.same for outcome in rebuild(logs[at].store, database, []))


def test_a_rebuild_leaves_the_replayed_state(logs: list[Log], database: Database) -> None:
    rebuild(logs[1].store, database, [])
    assert state_digest(database) == replayed(logs[1])


def test_a_replay_as_of_a_position_is_not_that_of_the_head(logs: list[Log]) -> None:
    assert replay(logs[0].store, logs[0].store.head().size - 1) != replayed(logs[0])


def test_an_empty_log_replays_to_a_state(tmp_path: Path) -> None:
    assert len(replay(Log.empty(tmp_path).store, 0)) == 64


def test_the_stored_document_is_the_one_folded_from_the_log(logs: list[Log], database: Database) -> None:
    log = logs[1]
    caught_up(log, database)
    registry = log.store.registry()
    stored = queries.record(database, NUMBER, registry.anchored_size())
    folded = queries.record_as_of(log.store, NUMBER, log.store.head().size, registry)
    assert msgspec.json.encode(stored) == msgspec.json.encode(folded)


# Interrupted and in company.


def test_a_runner_killed_on_its_way_goes_on_to_the_same_state(log: Log, database: Database, tmp_path: Path) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    for _ in range(10):
        process.stdout.readline()
    process.kill()
    process.communicate()
    caught_up(log, database)
    assert state_digest(database) == replayed(log)


def test_two_runners_at_once_double_no_rows(log: Log, database: Database, tmp_path: Path) -> None:
    first, second = start(tmp_path), start(tmp_path)
    outcomes = [process.communicate()[1] for process in (first, second)]
    assert (outcomes, state_digest(database)) == ([b"", b""], replayed(log))


def test_a_second_runner_that_comes_later_writes_nothing(log: Log, database: Database) -> None:
    caught_up(log, database)
    before = rows(database)
    Runner(log.store, database).run(dict.fromkeys(PROJECTORS, 1), 0, log.store.head().size)
    assert rows(database) == before


def test_a_runner_that_misses_one_of_its_generations_moves_no_cursor(log: Log, database: Database) -> None:
    Runner(log.store, database).run({"aliases": 1, "citations": 99}, 0, log.store.head().size)
    with database.read() as connection:
        cursors = connection.execute(text("SELECT DISTINCT cursor FROM cursors")).scalars().all()
    assert cursors == [0]


def test_catching_up_with_nothing_new_changes_nothing(log: Log, database: Database) -> None:
    caught_up(log, database)
    before = rows(database)
    caught_up(log, database)
    assert rows(database) == before


# One bad paper.


@pytest.mark.parametrize("part", ["verification_status", "row_times", "aliases", "paper", "receipt"])
@pytest.mark.parametrize("content", ["[1]", "{}", "3"])
def test_a_source_text_of_the_wrong_kind_stops_neither_the_log_nor_the_projections(
    log: Log, database: Database, part: str, content: str
) -> None:
    record, paper = a_record("Odd", ident="2606.00777")
    log.append(log.world.record_created(record, paper, source_text={part: content}))
    caught_up(log, database)
    assert queries.cursor(database) == log.store.head().size


# Rebuilding.


def test_one_projection_can_be_rebuilt_alone(log: Log, database: Database) -> None:
    caught_up(log, database)
    rebuild(log.store, database, ["aliases"])
    assert generations(database)["aliases"] == {2} and generations(database)["records"] == {1}


def test_a_projection_that_is_not_there_cannot_be_rebuilt(log: Log, database: Database) -> None:
    with pytest.raises(NotFoundError):
        rebuild(log.store, database, ["alias"])


def test_the_projections_go_on_together_after_one_was_rebuilt(log: Log, database: Database) -> None:
    rebuild(log.store, database, ["citations"])
    log.admit(log.world.citation())
    caught_up(log, database)
    assert state_digest(database) == replayed(log)


def test_a_rebuild_leaves_one_generation(log: Log, database: Database) -> None:
    rebuild(log.store, database, [])
    rebuild(log.store, database, [])
    assert all(len(found) == 1 for found in generations(database).values())


class BrokenOffError(Exception):
    pass


def break_off(_: int) -> None:
    raise BrokenOffError


def test_a_broken_off_rebuild_leaves_the_readers_where_they_were(log: Log, database: Database) -> None:
    caught_up(log, database)
    with pytest.raises(BrokenOffError):
        rebuild(log.store, database, [], break_off)
    assert state_digest(database) == replayed(log)


def test_a_broken_off_rebuild_leaves_no_rows_after_the_next(log: Log, database: Database) -> None:
    caught_up(log, database)
    before = rows(database)
    with pytest.raises(BrokenOffError):
        rebuild(log.store, database, [], break_off)
    rebuild(log.store, database, [])
    assert rows(database) == before


@pytest.mark.parametrize(
    ("projection", "damage"),
    [
        ("records", "UPDATE records SET document = X'7B7D' WHERE suffix LIKE 'A%' OR 1"),
        ("records", "DELETE FROM record_signers"),
        ("aliases", "UPDATE aliases SET alias_value = '9999.99999' WHERE alias_kind = 'arxiv'"),
        ("citations", "DELETE FROM citations"),
        ("moderation", "UPDATE moderation SET status = 'counted'"),
        ("search", "UPDATE search_text SET title = 'nothing'"),
    ],
)
def test_a_wrong_row_is_reported_as_changed(log: Log, database: Database, projection: str, damage: str) -> None:
    caught_up(log, database)
    with database.write() as connection:
        connection.execute(text(damage))
    assert {name for name, outcome in by_name(rebuild(log.store, database, [])).items() if not outcome.same} == {
        projection
    }


def test_a_rebuild_mends_wrong_rows(log: Log, database: Database) -> None:
    caught_up(log, database)
    with database.write() as connection:
        connection.execute(text("DELETE FROM aliases"))
    rebuild(log.store, database, [])
    assert state_digest(database) == replayed(log)


def test_what_is_appended_and_projected_during_a_rebuild_is_in_it(log: Log, database: Database) -> None:
    event = log.world.alias_added("doi", "10.1000/late")

    def append_once(_: int) -> None:
        (outcome,) = log.store.append([Submission(event)], log.clock)
        if isinstance(outcome, Appended) and outcome.created:
            log.admit(open_policy(log.world))
            caught_up(log, database)

    outcomes = rebuild(log.store, database, [], append_once)
    assert [outcome.same for outcome in outcomes] == [True] * len(PROJECTORS)


@pytest.mark.parametrize("others", [[], ["aliases"], ["search"]], ids=["all", "aliases", "search"])
def test_a_rebuild_that_another_overtakes_gives_way_and_loses_no_rows(
    log: Log, database: Database, others: list[str]
) -> None:
    papers = (a_record(f"Paper {at}", ident=f"2607.{at:05}") for at in range(BATCH))
    log.admit(*(log.world.record_created(record, paper) for record, paper in papers))
    caught_up(log, database)
    inner: list[bool] = []

    def rebuild_too(_: int) -> None:
        if not inner:
            inner.append(True)
            rebuild(log.store, database, others)

    with suppress(ProjectionError):  # it may give way, in words
        rebuild(log.store, database, [], rebuild_too)
    assert state_digest(database) == replayed(log)
