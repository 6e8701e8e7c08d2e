"""Looks by their times, while the wall clock is set under them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import apscheduler.executors.base  # type: ignore[import-untyped]
import apscheduler.schedulers.base  # type: ignore[import-untyped]
import pytest

from ops.home import Home
from ops.jobs import scheduler
from ops.jobs.leases import Lease
from ops.jobs.scheduler import Resting, scheduled
from ops.jobs.work import Owing, Work
from ops.jobs.working import opened_work
from ops.services import Services
from tests.logs import Ticking
from tests.ops.homes import a_home

DAY = timedelta(days=1)


class Wall(datetime):
    """The clock on the wall, which a test sets."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:  # type: ignore[override]
        return datetime.now(tz) + cls.ahead  # type: ignore[return-value]


class Looking:
    """A job that counts its looks."""

    name = "looking"

    def __init__(self, every_seconds: float) -> None:
        self.every_seconds = every_seconds
        self.looks = 0

    def run(self, work: Work, lease: Lease) -> str:
        self.looks += 1
        return ""

    def owing(self, work: Work) -> list[Owing]:
        return []


@pytest.fixture(autouse=True)
def wall(monkeypatch: pytest.MonkeyPatch) -> type[Wall]:
    monkeypatch.setattr(Wall, "ahead", timedelta())
    for module in (apscheduler.executors.base, apscheduler.schedulers.base, scheduler):
        monkeypatch.setattr(module, "datetime", Wall)
    return Wall


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = a_home(tmp_path / "registry", Ticking())
    yield found
    found.close()


def until(is_so: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about"
        threading.Event().wait(0.02)


@pytest.mark.parametrize("by", [-DAY, 3_650 * DAY], ids=["back", "far forward"])
def test_looks_go_on_after_the_clock_was_set(home: Home, wall: type[Wall], by: timedelta) -> None:
    job = Looking(0.5)
    with opened_work(home, Services()) as work, scheduled([job], work):
        until(lambda: job.looks >= 2)
        wall.ahead = by
        before = job.looks
        until(lambda: job.looks >= before + 3)


def test_a_job_that_rests_for_long_looks_at_once_when_the_clock_was_set(home: Home, wall: type[Wall]) -> None:
    job = Looking(3_600)
    with opened_work(home, Services()) as work, scheduled([job], work):
        until(lambda: job.looks == 1)
        wall.ahead = -timedelta(minutes=10)
        until(lambda: job.looks == 2)


def test_the_next_look_is_a_rest_from_now_however_much_was_missed() -> None:
    now = datetime(2036, 1, 1, tzinfo=UTC)
    found = Resting(10.0).get_next_fire_time(now - 3_650 * DAY, now)
    assert timedelta(seconds=9) <= found - now <= timedelta(seconds=11)
