"""How long services rest, and whose turn it is."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from ledger.errors import AnchorUntrustedError, ServiceRefusedError, ServiceUnavailableError
from ops.jobs.anchoring.health import Health, answered, failed, healths, shown_name, turns
from ops.jobs.resting import DAY, FIRST_REST, LONGEST_REST, SECOND, rest_after, rests
from ops.jobs.tables import open_jobs
from ops.services import Anchoring, Authority, Calendar

NOW = 1_800_000_000 * SECOND
CALENDARS = tuple(Calendar(f"https://{name}.example") for name in "abc")
AUTHORITIES = tuple(Authority(f"https://{name}.example/tsr") for name in "xy")
A, B, C, X, Y = (clock.url for clock in (*CALENDARS, *AUTHORITIES))


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    database = open_jobs(tmp_path / "jobs.db")
    with database.write() as connection:
        yield connection
    database.close()


def used(anchoring: Anchoring, known: dict[str, Health], **unusable: str) -> list[str]:
    named = {f"https://{name}.example": why for name, why in unusable.items()}
    return [turn.clock.url for turn in turns(anchoring, known, NOW, named) if turn.is_used]


@given(failures=st.integers(1, 10_000), seed=st.integers())
def test_a_rest_grows_to_a_limit_and_is_at_most_half_shortened_by_chance(failures: int, seed: int) -> None:
    whole = min(LONGEST_REST, FIRST_REST * 2 ** min(failures - 1, 40))
    rest = rest_after(failures, random.Random(seed).randbytes)
    assert whole // 2 <= rest <= whole


def test_rests_differ_by_chance() -> None:
    source = random.Random(1).randbytes
    assert len({rest_after(5, source) for _ in range(20)}) == 20


def test_a_moment_too_far_off_is_from_before_the_clock_was_set_back() -> None:
    assert rests(NOW + DAY, NOW)
    assert not rests(NOW, NOW)
    assert not rests(NOW + 3 * DAY, NOW)


def test_a_service_that_cannot_be_reached_rests_longer_each_time_and_one_that_answers_is_well(
    connection: Connection,
) -> None:
    source = random.Random(1).randbytes
    error = ServiceUnavailableError("it is down", place=A)
    ends = [failed(connection, A, error, NOW, source, 5).try_at - NOW for _ in range(12)]
    assert ends[0] <= FIRST_REST < ends[4] < ends[8] <= LONGEST_REST
    assert healths(connection, 5)[A].failures == 12
    answered(connection, A, NOW)
    assert healths(connection, 5)[A] == Health(tried_at=NOW)


@pytest.mark.parametrize("error", [ServiceRefusedError("it refuses"), AnchorUntrustedError("no root")])
def test_a_service_that_refuses_rests_a_day_and_is_in_doubt_at_once(
    connection: Connection, error: ServiceRefusedError | AnchorUntrustedError
) -> None:
    health = failed(connection, A, error, NOW, random.Random(1).randbytes, 5)
    assert health.try_at == NOW + DAY
    assert health.doubt(Anchoring(), NOW) == f"it refused: {error}"
    assert health.failures == 0  # it was reached
    (turn,) = turns(Anchoring(CALENDARS[:1]), healths(connection, 5), NOW, {})
    assert turn.waits(NOW + 1, 3_600).startswith("not before")


def test_a_refusal_counts_only_under_the_policy_it_was_met_under(connection: Connection) -> None:
    failed(connection, A, AnchorUntrustedError("no root"), NOW, random.Random(1).randbytes, 5)
    health = healths(connection, 9)[A]
    assert not health.doubt(Anchoring(), NOW)
    (turn,) = turns(Anchoring(CALENDARS[:1]), {A: health}, NOW + 1, {})
    assert turn.waits(NOW + 1, 3_600) == ""


def test_a_service_that_is_not_reached_rests_whatever_becomes_of_policy(connection: Connection) -> None:
    failed(connection, A, ServiceUnavailableError("it is down"), NOW, random.Random(1).randbytes, 5)
    (turn,) = turns(Anchoring(CALENDARS[:1]), healths(connection, 9), NOW + 1, {})
    assert turn.waits(NOW + 1, 3_600).startswith("not before")


def test_the_first_services_are_used_a_calendar_and_an_authority_by_turns() -> None:
    every = Anchoring(CALENDARS, AUTHORITIES)
    assert used(every, {}) == [A, X, B, Y, C]
    assert used(Anchoring(CALENDARS, AUTHORITIES, use=3), {}) == [A, X, B]
    assert used(Anchoring(CALENDARS, (), use=2), {}) == [A, B]


def test_in_the_place_of_one_in_doubt_the_next_is_used() -> None:
    some = Anchoring(CALENDARS, use=2)
    assert used(some, {A: Health(failures=2)}) == [A, B]
    assert used(some, {A: Health(failures=3)}) == [B, C]
    assert used(some, {A: Health(failures=3), B: Health(failures=9)}) == [C, A]
    stale = Health(pending=1, oldest_pending=NOW - 3 * DAY)
    assert used(some, {B: stale}) == [A, C]
    assert used(some, {B: Health(pending=1, oldest_pending=NOW - DAY)}) == [A, B]
    assert used(some, {}, a="policy accepts none of its kind") == [B, C]


def test_a_service_in_reserve_waits_and_one_in_doubt_is_tried_once_a_day() -> None:
    some = Anchoring(CALENDARS, use=1)
    known = {A: Health(failures=3, tried_at=NOW - DAY // 2)}
    waits = {turn.clock.url: turn.waits(NOW, 3_600) for turn in turns(some, known, NOW, {})}
    assert waits[B] == ""
    assert waits[C] == "enough other services are used"
    assert waits[A].startswith("tried once a day")
    known = {A: Health(failures=3, tried_at=NOW - DAY)}
    assert turns(some, known, NOW, {})[-1].waits(NOW, 3_600) == ""


def test_a_service_with_a_stale_promise_is_given_a_checkpoint_once_a_day_even_where_it_is_needed() -> None:
    alone = Anchoring(CALENDARS[:1])
    stale = Health(pending=1, oldest_pending=NOW - 3 * DAY, stamped_at=NOW - DAY // 2, tried_at=NOW)
    (turn,) = turns(alone, {A: stale}, NOW, {})
    assert turn.is_used
    assert "asked every 86400 seconds" in turn.waits(NOW, 3_600)


def test_a_name_for_people_holds_no_user_and_no_password() -> None:
    assert shown_name("https://user:secret@tsa.example/tsr/") == "tsa.example/tsr"
    assert shown_name("https://a.example:8443") == "a.example:8443"
