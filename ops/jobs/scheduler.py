"""When jobs run: APScheduler in one process, with nothing in it that is not in the code.

It only wakes jobs up. What is owed stands in tables, and who does it is decided by leases; so its schedule may be lost
at any time, two processes may keep one each, and a look that comes late finds all that is due.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from apscheduler.executors.pool import ThreadPoolExecutor  # type: ignore[import-untyped]
from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]
from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-untyped]

from ops.jobs.running import run
from ops.jobs.work import Job, Work

JITTER: Final = 0.1
"""By which part of its rest a look may come earlier or later, so that several workers do not all look at once."""

MISFIRE_SECONDS: Final = 3_600
"""How late a look may still be made: after a machine slept, one comes at once."""

END_SECONDS: Final = 5.0
"""How long those under way have at the end."""


@contextmanager
def scheduled(jobs: Sequence[Job], work: Work) -> Iterator[set[str]]:
    """Run jobs by their times, each in a thread of its own, for as long as the block is open; the first looks are now.

    At the end no look begins any more; those under way see `work.stopped` and end. One that does not end in time stays
    in the set of names that is yielded, and is dropped with the process, as it may be at any point.
    """
    under_way: set[str] = set()

    def look(job: Job) -> None:
        under_way.add(job.name)
        try:
            run(job, work)
        finally:
            under_way.discard(job.name)

    # It speaks of every late or skipped look, which is no news: the next one does the same.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(max(1, len(jobs)))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": MISFIRE_SECONDS},
    )
    start = datetime.now(UTC)
    for number, job in enumerate(jobs):
        scheduler.add_job(
            look,
            IntervalTrigger(seconds=job.every_seconds, jitter=job.every_seconds * JITTER, timezone=UTC),
            args=(job,),
            id=job.name,
            name=job.name,
            replace_existing=True,
            next_run_time=start + timedelta(milliseconds=20 * number),
        )
    scheduler.start()
    try:
        yield under_way
    finally:
        work.stopped.set()
        scheduler.shutdown(wait=False)
        deadline = time.monotonic() + END_SECONDS
        while under_way and time.monotonic() < deadline:
            time.sleep(0.02)
