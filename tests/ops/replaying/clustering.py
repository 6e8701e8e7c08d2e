"""A replay on a Dask cluster of two processes, one of which is killed in the middle: run as a module by a test.

It prints whether the outcome is that of one process, and whether other work came out whole although a worker was killed
while it was at it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from distributed import Client, LocalCluster

from ledger.database import open_read_only
from ledger.ranges import Range, ranges
from ledger.store import Store
from ops.replaying.checking import Course, Mode
from ops.replaying.engines import Here
from ops.replaying.on_dask import Dask, on_cluster
from ops.replaying.places import FilePlace
from ops.replaying.replay import replay
from ops.replaying.work import Done, Job
from tests.ops.replaying.hands import KilledOnce


class Killing(Dask):
    """Kills the process that did the first range as soon as that is known."""

    def run(self, job: Job, ranges: Iterable[Range]) -> Iterator[Done]:
        for number, done in enumerate(super().run(job, ranges)):
            if number == 0:
                assert done.process[0] != os.getpid()
                os.kill(done.process[0], signal.SIGKILL)
            yield done


def main(path: Path, marks: Path) -> None:
    log, found = open_read_only(path), []
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        address = cluster.scheduler_address
        for engine in (Here(log), Killing(FilePlace(str(path)), 2, address)):
            course = Course(log, Store(log), Mode.all, Store(log).head().size, tiles=1)
            found.append((replay(course, engine), course.sentences))
        with Client(address) as client:
            starts = list(on_cluster(client, KilledOnce(str(marks), 1_024), ranges(20 * 256, 1)))
    print(found[0] == found[1], starts == list(range(0, 20 * 256, 256)), any(marks.iterdir()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
