"""Opening a worker over a data folder, and choosing what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.errors import LogCorruptedError, UsageError
from ops.checkpointing import checkpoint
from ops.counting import counted
from ops.home import Home
from ops.jobs.anchoring.outside import Outside
from ops.jobs.attending import Attending, attend, attending, leave
from ops.jobs.leases import Lease
from ops.jobs.resting import DAY, SECOND
from ops.jobs.telling import facts
from ops.jobs.telling_lines import lines
from ops.jobs.work import Job, Owing, Work
from ops.jobs.working import all_jobs, keep_working, named_jobs, opened_work, work_once
from ops.services import Anchoring, Services
from tests.logs import Ticking
from tests.ops.homes import a_home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = a_home(tmp_path / "registry", Ticking())
    yield found
    found.close()


def test_every_job_has_a_name_of_its_own_and_can_be_chosen_by_it(home: Home) -> None:
    jobs = all_jobs(Services(), Outside(Services().anchoring, home.clock))
    names = [job.name for job in jobs]
    assert names[:4] == ["checkpoint", "anchor", "stamp", "upgrade"]
    assert len(set(names)) == len(names)
    assert named_jobs(jobs, []) == jobs
    assert [job.name for job in named_jobs(jobs, ["upgrade", "anchor"])] == ["anchor", "upgrade"]
    with pytest.raises(UsageError, match="there is no job 'anchors'"):
        named_jobs(jobs, ["anchors"])


def test_a_worker_told_to_stop_begins_nothing_more(home: Home) -> None:
    with opened_work(home, Services()) as work:
        jobs = all_jobs(Services(), Outside(Services().anchoring, home.clock))
        work.stopped.set()
        assert work_once(work, jobs) == {}


def test_the_database_of_another_release_is_named_with_what_to_do(home: Home) -> None:
    with opened_work(home, Services()) as work, work.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE anchors DROP COLUMN said")
    with pytest.raises(UsageError, match="remove it") as caught, opened_work(home, Services()):
        pass
    assert caught.value.place == str(home.settings.jobs_path)


def test_only_its_owner_can_read_what_a_worker_keeps(home: Home) -> None:
    with opened_work(home, Services()):
        assert home.settings.jobs_path.stat().st_mode & 0o077 == 0


def test_a_log_that_is_no_continuation_of_what_was_signed_is_not_worked_on(home: Home, tmp_path: Path) -> None:
    other = a_home(tmp_path / "other", Ticking("2026-07-01T00:00:00Z"))
    checkpoint(other)
    home.settings.signed_path.write_bytes(other.settings.signed_path.read_bytes())
    other.close()
    with pytest.raises(LogCorruptedError), opened_work(home, Services()):
        pass


def test_what_is_told_of_jobs_is_the_same_in_lines_as_in_facts(home: Home) -> None:
    with opened_work(home, Services()) as work:
        jobs = all_jobs(Services(), Outside(Services().anchoring, home.clock))
        before = lines(facts(work, jobs))
        assert "checkpoint   nothing done so far" in before
        assert "             owed: 5 entries above the published checkpoint" in before
        assert any("no worker seems to run" in line for line in before)
        work_once(work, jobs)
        told = facts(work, jobs)
    assert not told["is_working"]  # who worked once does so no more
    assert told["nobody_runs"] == [job.name for job in jobs]
    (first, *_) = told["jobs"]
    assert first["last_run"]["said"] == "published the checkpoint of 5 entries"
    assert "published the checkpoint of 5 entries" in "\n".join(lines(told))
    assert any("[[anchoring.calendars]]" in line for line in lines(told))


def jobs_of(home: Home) -> list[Job]:
    return all_jobs(Services(), Outside(Services().anchoring, home.clock))


def test_looks_that_find_nothing_are_told_as_looks_and_no_time_that_is_over_as_the_next(home: Home) -> None:
    with opened_work(home, Services()) as work:
        jobs = jobs_of(home)
        work_once(work, jobs)
        attend(work.database, Attending("somebody", work.clock(), work.clock(), tuple(job.name for job in jobs)))
        work.home.clock.advance(100)  # type: ignore[attr-defined]
        told = facts(work, jobs)
        shown = lines(told)
    assert told["is_working"] and told["nobody_runs"] == []
    assert [job["next_run"] for job in told["jobs"]] == [None] * len(jobs)
    assert "stamp        nothing to do so far, looks every 2 s" in shown
    assert any(line.startswith("checkpoint   ") and line.endswith(", looks every 10 s") for line in shown)
    assert not any("nobody runs" in line or "no worker" in line for line in shown)


def test_jobs_that_nobody_runs_are_named(home: Home) -> None:
    with opened_work(home, Services()) as work:
        jobs = jobs_of(home)
        attend(work.database, Attending("somebody", work.clock(), work.clock(), ("checkpoint",)))
        told = facts(work, jobs)
    assert told["workers"][0]["worker"] == "somebody"
    assert told["nobody_runs"] == [job.name for job in jobs[1:]]
    names = "anchor, stamp, upgrade, preserve, check"
    assert f"nobody runs {names}: `pith work` without --job runs every job" in lines(told)


def test_a_worker_counts_while_it_says_that_it_goes_on(home: Home) -> None:
    with opened_work(home, Services()) as work:
        now = 10 * DAY
        attend(work.database, Attending("one", now - DAY, now - 100 * SECOND, ("anchor",)))
        attend(work.database, Attending("two", now, now, ("stamp",)))
        attend(work.database, Attending("two", now, now + SECOND, ("stamp",)))
        assert [worker.holder for worker in attending(work.database, now)] == ["one", "two"]
        assert [worker.holder for worker in attending(work.database, now + 100 * SECOND)] == ["two"]
        assert attending(work.database, now + 151 * SECOND) == []  # as after a kill
        assert attending(work.database, now - DAY) == []  # the clock was set back
        leave(work.database, "two")
        assert [worker.holder for worker in attending(work.database, now)] == ["one"]
        attend(work.database, Attending("three", now, now + 2 * DAY, ()))
        assert attending(work.database, now) == []  # what is a day old is forgotten


class Doing:
    """A job that tells what it works with."""

    every_seconds = 0.01

    def __init__(self, name: str, seen: Callable[[Work], None]) -> None:
        self.name = name
        self._seen = seen

    def run(self, work: Work, lease: Lease) -> str:
        self._seen(work)
        return ""

    def owing(self, work: Work) -> list[Owing]:
        return []


def test_a_worker_goes_on_with_other_services_in_the_same_process(home: Home) -> None:
    first, second = Services(), Services(Anchoring(depth=3))
    seen: list[Services] = []
    with opened_work(home, first) as work:

        def after_the_first(now: Work) -> None:
            seen.append(now.services)

        def after_the_second(now: Work) -> None:
            seen.append(now.services)
            if [worker.jobs for worker in attending(work.database, work.clock())] == [("other",)]:
                work.stopped.set()

        def renewed() -> tuple[Services, list[Job]] | None:
            return (second, [Doing("other", after_the_second)]) if seen else None

        assert keep_working(work, [Doing("doing", after_the_first)], renewed)
        assert seen[0] == first and seen[-1] == second
        assert attending(work.database, work.clock()) == []


def test_a_number_agrees_with_what_it_counts() -> None:
    assert [counted(number, "promise") for number in (0, 1, 2)] == ["0 promises", "1 promise", "2 promises"]
    assert counted(2, "copy", "copies") == "2 copies"
