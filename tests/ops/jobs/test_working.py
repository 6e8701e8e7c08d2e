"""Opening a worker over a data folder, and choosing what it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import LogCorruptedError, UsageError
from ops.checkpointing import checkpoint
from ops.home import Home
from ops.jobs.anchoring.outside import Outside
from ops.jobs.telling import facts, lines
from ops.jobs.working import all_jobs, named_jobs, opened_work, work_once
from ops.services import Services
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
        assert "checkpoint   has never run" in before
        assert any("no worker seems to run" in line for line in before)
        work_once(work, jobs)
        told = facts(work, jobs)
    assert told["is_working"]
    (first, *_) = told["jobs"]
    assert first["last_run"]["said"] == "published the checkpoint of 5 entries"
    assert "published the checkpoint of 5 entries" in "\n".join(lines(told))
    assert any("[[anchoring.calendars]]" in line for line in lines(told))
