"""When jobs run: APScheduler in one process, with nothing in it that is not in the code.

It only wakes jobs up. What is owed stands in tables, and who does it is decided by leases; so its schedule may be lost
at any time, two processes may keep one each, and a look that comes late finds all that is due. APScheduler goes by the
wall clock; where that is set, every job looks at once.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from apscheduler.executors.pool import ThreadPoolExecutor  # type: ignore[import-untyped]
from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]
from apscheduler.triggers.base import BaseTrigger  # type: ignore[import-untyped]

from ops.jobs.running import run
from ops.jobs.work import Job, Work

JITTER: Final = 0.1
"""By which part of its rest a look may come earlier or later, so that several workers do not all look at once."""

WATCH_SECONDS: Final = 1.0
DRIFT_SECONDS: Final = 5.0
"""How often it is seen whether the wall clock was set, and by how much it must have been: less only delays a look."""

END_SECONDS: Final = 5.0
"""How long those under way have at the end."""

_LOG: Final = logging.getLogger(__name__)


class Resting(BaseTrigger):  # type: ignore[misc]
    """A look a rest from now on, whenever the one before should have been: what was missed is not caught up.

    APScheduler's own interval counts on from the time before, one rest after the other; after the clock was set far
    forward that is a list of millions.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        chance = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  (nobody gains by guessing it)
        return now + timedelta(seconds=self.seconds * chance)


@contextmanager
def scheduled(jobs: Sequence[Job], work: Work) -> Iterator[set[str]]:
    """Run jobs by their times, each in a thread of its own, for as long as the block is open; the first looks are now.

    At the end no look begins any more; those under way see `work.stopped` and end. One that does not end in time stays
    in the set of names that is yielded, and is dropped with the process, as it may be at any point.
    """
    under_way: set[str] = set()
    has_ended = threading.Event()

    def look(job: Job) -> None:
        under_way.add(job.name)
        try:
            if not work.stopped.is_set():
                run(job, work)
        finally:
            under_way.discard(job.name)
            has_ended.set()

    # It speaks of every late or skipped look, which is no news: the next one does the same.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(max(1, len(jobs)))},
        # However late a look is, it is made: after a machine slept, or its clock was set forward.
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    start = datetime.now(UTC)
    for number, job in enumerate(jobs):
        scheduler.add_job(
            look,
            Resting(job.every_seconds),
            args=(job,),
            id=job.name,
            name=job.name,
            replace_existing=True,
            next_run_time=start + timedelta(milliseconds=20 * number),
        )
    scheduler.start()
    watcher = threading.Thread(target=_watch, args=(scheduler, work.stopped), name="clock")
    watcher.start()
    try:
        yield under_way
    finally:
        work.stopped.set()
        watcher.join()
        scheduler.shutdown(wait=False)
        deadline = time.monotonic() + END_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            has_ended.clear()
            if not under_way:
                break
            has_ended.wait(left)


def _watch(scheduler: BackgroundScheduler, stopped: threading.Event) -> None:
    """Have every job look at once when the wall clock was set, back or forward, or the machine slept."""
    before = _clock_apart()
    while not stopped.wait(WATCH_SECONDS):
        apart = _clock_apart()
        if abs(apart - before) > DRIFT_SECONDS:
            _LOG.warning("the clock was set by %+.0f s: every job looks now", apart - before)
            before = apart
            for job in scheduler.get_jobs():
                job.modify(next_run_time=datetime.now(UTC))


def _clock_apart() -> float:
    """Return by how many seconds the wall clock is ahead of the one that nobody sets."""
    return datetime.now(UTC).timestamp() - time.monotonic()
