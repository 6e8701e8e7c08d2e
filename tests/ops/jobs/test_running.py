"""One run of one job: noted, logged once, and never the worker's end."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from ledger.errors import ServiceUnavailableError
from ops.jobs.leases import Lease
from ops.jobs.outbox import put
from ops.jobs.running import Ran, run, runs
from ops.jobs.scheduler import scheduled
from ops.jobs.tables import REQUESTS
from ops.jobs.work import Owing, Work
from ops.jobs.working import opened_work
from ops.services import Services
from tests.logs import Ticking
from tests.ops.homes import a_home
from tests.ops.jobs.test_outbox import a_policy


@dataclass
class Doing:
    """A job that does what it is told."""

    does: Callable[[Work, Lease], str] = lambda _work, _lease: "did it"
    name: str = "doing"
    every_seconds: float = 0.02
    times: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, work: Work, lease: Lease) -> str:
        with self._lock:
            self.times += 1
        return self.does(work, lease)

    def owing(self, work: Work) -> list[Owing]:
        return []


class Idle(Doing):
    def is_due(self, work: Work) -> bool:
        return False


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    home = a_home(tmp_path / "registry", Ticking())
    with opened_work(home, Services()) as found:
        yield found
    home.close()


def raising(error: Exception) -> Callable[[Work, Lease], str]:
    def does(_work: Work, _lease: Lease) -> str:
        raise error

    return does


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_is_noted_with_its_times_and_what_it_says(work: Work) -> None:
    assert run(Doing(every_seconds=60), work) == Ran("done", "did it")
    noted = runs(work.database)["doing"]
    assert (noted.outcome, noted.said, noted.failures, noted.holder) == ("done", "did it", 0, work.holder)
    assert noted.started_at < noted.ended_at
    assert noted.next_at == noted.ended_at + 60_000_000


def test_a_run_with_nothing_to_do_leaves_what_was_said_before(work: Work) -> None:
    run(Doing(), work)
    run(Doing(lambda _work, _lease: ""), work)
    assert runs(work.database)["doing"].said == "did it"


@pytest.mark.parametrize(
    "error",
    [
        ServiceUnavailableError("nobody is there", place="https://a.example"),
        ConnectionResetError(104, "Connection reset by peer"),
        OperationalError("INSERT", {"secret": "hunter2"}, sqlite3.OperationalError("disk I/O error")),
        ZeroDivisionError("a fault of ours"),
    ],
)
def test_whatever_goes_wrong_is_noted_and_ends_no_worker(work: Work, error: Exception) -> None:
    ran = run(Doing(raising(error)), work)
    assert ran.outcome == "failed"
    noted = runs(work.database)["doing"]
    assert (noted.outcome, noted.failures) == ("failed", 1)
    assert noted.said
    assert "hunter2" not in noted.said
    assert run(Doing(), work).outcome == "done"  # its lease was given back
    assert runs(work.database)["doing"].failures == 0


def test_a_failure_is_logged_once_until_it_is_another_or_over(work: Work, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(3):
        run(Doing(raising(ServiceUnavailableError("it is down"))), work)
    assert [record.getMessage() for record in caplog.records] == ["doing: it is down"]
    run(Doing(raising(ServiceUnavailableError("it is on fire"))), work)
    run(Doing(), work)
    messages = [record.getMessage() for record in caplog.records[1:]]
    assert messages == ["doing: it is on fire", "doing: it works again", "doing: did it"]
    assert runs(work.database)["doing"].failures == 0


def test_a_job_that_somebody_else_is_at_is_not_run(work: Work) -> None:
    other = Lease(work.database, "doing", work.clock, 60, "another")
    assert other.take()
    job = Doing()
    assert run(job, work) == Ran(None)
    assert job.times == 0
    other.release()
    assert run(job, work).outcome == "done"


def test_a_job_that_finds_nothing_to_do_writes_nothing(work: Work) -> None:
    job = Idle()
    assert run(job, work) == Ran(None)
    assert (job.times, runs(work.database)) == (0, {})


def test_a_run_that_lost_its_lease_notes_nothing_over_the_one_that_took_it(work: Work) -> None:
    def overtaken(work: Work, lease: Lease) -> str:
        clock: Ticking = work.home.clock  # type: ignore[assignment]
        clock.advance(120)
        assert run(Doing(lambda _work, _lease: "the second"), work).outcome == "done"
        with lease.write() as connection:
            connection.execute(REQUESTS.delete())
        return "the first"

    assert run(Doing(overtaken), work).outcome is None
    assert runs(work.database)["doing"].said == "the second"


def test_what_a_killed_worker_left_for_the_log_is_delivered_first(work: Work) -> None:
    lease = work.lease("doing")
    assert lease.take()
    event = a_policy(work)
    with lease.write() as connection:
        put(connection, event)
    lease.release()
    seen = []
    run(Doing(lambda work, _lease: str(seen.append(work.home.store.head().size))), work)
    assert seen == [6]
    assert work.home.store.find(event.event_id).position == 5


def test_a_scheduler_runs_each_job_again_and_again_and_ends_when_told(work: Work) -> None:
    first, second = Doing(name="first"), Doing(name="second")
    with scheduled([first, second], work) as under_way:
        until(lambda: first.times > 3 and second.times > 3)
    assert not under_way
    assert work.stopped.is_set()
    times = first.times, second.times
    run(Doing(), work)
    assert (first.times, second.times) == times


def test_a_job_that_takes_long_is_not_started_beside_itself_and_holds_up_no_other(work: Work) -> None:
    began, gate = threading.Event(), threading.Event()

    def wait(_work: Work, _lease: Lease) -> str:
        began.set()
        gate.wait(30)
        return ""

    slow, quick = Doing(wait, name="slow"), Doing(name="quick")
    with scheduled([slow, quick], work):
        began.wait(30)
        before = quick.times
        until(lambda: quick.times > before + 3)
        assert slow.times == 1
        gate.set()


def test_a_job_that_is_told_to_stop_gives_its_lease_back(work: Work) -> None:
    began = threading.Event()

    def wait(work: Work, _lease: Lease) -> str:
        began.set()
        work.stopped.wait(30)
        return "stopped"

    with scheduled([Doing(wait)], work):
        began.wait(30)
    assert runs(work.database)["doing"].said == "stopped"
    assert work.lease("doing").take()
