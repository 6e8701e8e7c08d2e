"""The worker: its database and jobs, opened over a data folder, and kept going."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from ledger.database import Database
from ledger.errors import LedgerError, StoreError, UsageError
from ops.checkpointing import check_continues
from ops.databases import open_jobs, open_private, place_of
from ops.home import Home
from ops.jobs.anchoring.anchor import Anchor
from ops.jobs.anchoring.outside import Outside
from ops.jobs.anchoring.promises import Upgrade
from ops.jobs.anchoring.stamp import Stamp
from ops.jobs.attending import EVERY_SECONDS, Attending, attend, leave
from ops.jobs.checkpoints import Checkpoint
from ops.jobs.leases import LEASE_SECONDS
from ops.jobs.running import Ran, run
from ops.jobs.scheduler import scheduled
from ops.jobs.work import Job, Work
from ops.migrations.lines import JOBS
from ops.services import Services
from ops.settings import Settings
from ops.storage.checking import Check
from ops.storage.preserving import Preserve

LOOK_SECONDS: Final = 1.0
"""How often a worker looks whether its services have changed."""

Renewed = tuple[Services, Sequence[Job]]
"""Other services, and the jobs to go on with under them."""

_LOG: Final = logging.getLogger(__name__)


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
        database = _open_jobs(home.settings)
        cleaning.callback(database.close)
        private = open_private(home.settings, home.random)
        cleaning.callback(private.close)
        work = Work(home, services, database, private, home.clock, home.random, lease_seconds=lease_seconds)
        yield work


def _open_jobs(settings: Settings) -> Database:
    try:
        return open_jobs(settings)
    except StoreError as error:
        if settings.database_url:
            raise
        cure = "stop the worker and remove it: what is owed is found again from the log"
        place = place_of(settings, JOBS)
        raise UsageError(f"the worker's database cannot be opened: {error.message}", place=place, cure=cure) from error


def outside_of(work: Work) -> Outside:
    """Return the outside clocks of a worker, asked by its own clock."""
    return Outside(work.services.anchoring, work.clock)


def all_jobs(services: Services, outside: Outside) -> list[Job]:
    """Return every job of this worker, in the order in which one makes work for the next."""
    anchoring = Checkpoint(), Anchor(outside), Stamp(outside), Upgrade(outside)
    return [*anchoring, Preserve(services), Check(services)]


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


def keep_working(work: Work, jobs: Sequence[Job], renewed: Callable[[], Renewed | None] = lambda: None) -> bool:
    """Run jobs by their times until `work.stopped` is set; say whether all that was under way has ended by then.

    Args:
        renewed: asked now and then; the jobs that run end, and those it returns begin, each with a look at once.
    """
    begun, every_under_way = Attending(work.holder, work.clock(), 0, ()), []
    new: Renewed | None = (work.services, jobs)
    while new is not None and not work.stopped.is_set():
        services, jobs = new
        # Stopped apart from the worker, which goes on with others.
        mine = replace(work, services=services, stopped=threading.Event())
        with scheduled(jobs, mine) as under_way:
            every_under_way.append(under_way)
            new = _until_renewed(work, replace(begun, jobs=tuple(job.name for job in jobs)), renewed)
    _noted(lambda: leave(work.database, work.holder))
    return not any(every_under_way)


def _until_renewed(work: Work, worker: Attending, renewed: Callable[[], Renewed | None]) -> Renewed | None:
    """Wait for other jobs or, with None, for the end; say meanwhile that this worker goes on."""
    told_at = None
    while True:
        if told_at is None or time.monotonic() - told_at > EVERY_SECONDS:
            told_at = time.monotonic()
            _noted(lambda: attend(work.database, replace(worker, seen_at=work.clock())))
        if work.stopped.wait(LOOK_SECONDS):
            return None
        if (new := renewed()) is not None:
            return new


def _noted(note: Callable[[], None]) -> None:
    """Note something that only serves whoever looks: where that cannot be, the work goes on."""
    try:
        note()
    except (LedgerError, OSError, SQLAlchemyError) as error:
        _LOG.warning("that this worker runs cannot be noted: %s", error)
