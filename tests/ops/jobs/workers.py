"""Several workers at once, each with a database connection of its own, as processes have."""

from __future__ import annotations

import random
import threading
from dataclasses import replace

from ops.jobs.running import run
from ops.jobs.working import all_jobs, opened_work
from tests.ops.jobs.anchoring.anchorages import Anchorage


def run_at_once(found: Anchorage, name: str, workers: int) -> list[str | None]:
    """Let some workers run a job at the same moment; return each one's outcome."""
    start = threading.Barrier(workers)
    outcomes: list[str | None] = []

    def work(number: int) -> None:
        with opened_work(found.home, found.services) as mine:
            mine = replace(mine, random=random.Random(number).randbytes)
            job = next(job for job in all_jobs(found.services, found.outside) if job.name == name)
            start.wait()
            for _ in range(3):
                outcomes.append(run(job, mine).outcome)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
