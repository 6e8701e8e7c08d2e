"""When a monitor looks next: in turn, later where nobody answers, never in a storm."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.publication import Publication
from ops.observing import LONGEST_PAUSE, Observation, Status, follow, pause
from ops.publications import FolderPublication

NOWHERE = FolderPublication(Path("/nowhere"))


class Time:
    """Seconds that pass only where somebody waits; looking takes one."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


def looks(statuses: Mapping[str, Status], every: float, rounds: int) -> list[tuple[float, str]]:
    """Return when each address was looked at, by the status it always has."""
    time, found = Time(), []

    def observe(address: str, _publication: Publication) -> Observation:
        found.append((time.now, address))
        return Observation("", address, statuses[address], "", "")

    sources = dict.fromkeys(statuses, NOWHERE)
    for _ in islice(follow(observe, sources, every, time, time.wait, lambda: 0.0), rounds):
        pass
    return found


def test_each_address_is_looked_at_in_turn_after_the_time_asked_for() -> None:
    found = looks({"a": Status.same, "b": Status.grown}, 60, 3)
    assert found == [(0, "a"), (0, "b"), (60, "a"), (60, "b"), (120, "a"), (120, "b")]


def test_an_address_that_cannot_be_reached_is_looked_at_less_and_less() -> None:
    found = looks({"down": Status.unreachable}, 60, 8)
    assert [at for at, _ in found] == [0, 120, 360, 840, 1_740, 2_640, 3_540, 4_440]


def test_one_that_is_down_does_not_hold_up_the_others() -> None:
    found = looks({"down": Status.unreachable, "up": Status.same}, 60, 4)
    assert found == [(0, "down"), (0, "up"), (60, "up"), (120, "down"), (120, "up"), (180, "up")]


def test_one_that_is_back_is_looked_at_as_before() -> None:
    time, answers, found = Time(), iter([Status.unreachable, Status.unreachable, Status.same, Status.same]), []

    def observe(address: str, _publication: Publication) -> Observation:
        found.append(time.now)
        return Observation("", address, next(answers), "", "")

    for _ in islice(follow(observe, {"a": NOWHERE}, 60, time, time.wait, lambda: 0.0), 4):
        pass
    assert found == [0, 120, 360, 420]


@given(st.floats(0.05, 10_000), st.integers(0, 10_000), st.floats(0, 1))
def test_a_pause_is_neither_short_nor_endless(every: float, failures: int, jitter: float) -> None:
    found = pause(every, failures, jitter)
    assert every * 0.9 <= found + 1e-9
    assert found <= max(every, LONGEST_PAUSE)


def test_an_observation_leaves_out_what_there_is_not() -> None:
    found = Observation("t", "a", Status.unreachable, "m", "nothing yet").facts()
    assert found == {"time": "t", "address": "a", "status": "unreachable", "message": "m", "trust": "nothing yet"}


@pytest.mark.parametrize("status", Status)
def test_a_status_is_its_own_name(status: Status) -> None:
    assert status.value == status.name
