"""The worker: its database and jobs, opened over a data folder, and kept going."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import api.submitting.requested  # noqa: F401  (with it, the table of people's requests is declared)
import ops.jobs.anchoring.tables  # noqa: F401  (with it, the tables of anchors are declared)
from api.private import create_private_tables
from ledger.database import Database, open_sqlite
from ledger.errors import StoreError, UsageError
from ops.checkpointing import check_continues
from ops.home import Home
from ops.jobs.anchoring.anchor import Anchor
from ops.jobs.anchoring.outside import Outside
from ops.jobs.anchoring.promises import Upgrade
from ops.jobs.anchoring.stamp import Stamp
from ops.jobs.checkpoints import Checkpoint
from ops.jobs.leases import LEASE_SECONDS
from ops.jobs.running import Ran, run
from ops.jobs.scheduler import scheduled
from ops.jobs.tables import open_jobs
from ops.jobs.work import Job, Work
from ops.services import Services
from ops.storage.jobs import storage_jobs


@contextmanager
def opened_work(home: Home, services: Services, lease_seconds: float = LEASE_SECONDS) -> Iterator[Work]:
    """Open what jobs work on.

    Raises:
        UsageError: this folder is a mirror, or something in it cannot be opened.
        LogCorruptedError: the log is no continuation of what was signed before.
    """
    home.check_own()
    check_continues(home)
    with ExitStack() as cleaning:
        database = _open_jobs(home.settings.jobs_path)
        cleaning.callback(database.close)
        private = open_sqlite(home.settings.private_path)
        cleaning.callback(private.close)
        create_private_tables(private, home.random)
        work = Work(home, services, database, private, home.clock, home.random, lease_seconds=lease_seconds)
        yield work


def _open_jobs(path: Path) -> Database:
    try:
        return open_jobs(path)
    except StoreError as error:
        cure = "stop the worker and remove it: what is owed is found again from the log"
        raise UsageError(
            f"the worker's database cannot be opened: {error.message}", place=str(path), cure=cure
        ) from error


def outside_of(work: Work) -> Outside:
    """Return the outside clocks of a worker, asked by its own clock."""
    return Outside(work.services.anchoring, work.clock)


def all_jobs(services: Services, outside: Outside) -> list[Job]:
    """Return every job of this worker, in the order in which one makes work for the next."""
    return [Checkpoint(), Anchor(outside), Stamp(outside), Upgrade(outside), *storage_jobs(services)]


def named_jobs(jobs: Sequence[Job], names: Sequence[str]) -> list[Job]:
    """Return the jobs of some names, all of them where none is named; raises UsageError for a name of none."""
    for name in names:
        if all(job.name != name for job in jobs):
            known = ", ".join(job.name for job in jobs)
            raise UsageError(f"there is no job {name!r}", place="--job", cure=f"use one of {known}")
    return [job for job in jobs if not names or job.name in names]


def work_once(work: Work, jobs: Sequence[Job]) -> dict[str, Ran]:
    """Run each job once, one after the other; return what became of each by name."""
    found: dict[str, Ran] = {}
    for job in jobs:
        if not work.stopped.is_set():
            found[job.name] = run(job, work)
    return found


def keep_working(work: Work, jobs: Sequence[Job]) -> bool:
    """Run jobs by their times until `work.stopped` is set; say whether all that was under way has ended by then."""
    with scheduled(jobs, work) as under_way:
        work.stopped.wait()
    return not under_way
