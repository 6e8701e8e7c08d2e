"""Workers to kill: a process that has loaded everything, and forks a fresh worker for each line it is told.

    python -m tests.ops.jobs.anchoring.forked_workers DATA EPOCH

`kill SECONDS SEED` lets a worker run for so long, kills it with SIGKILL, and answers `killed`, or what else became of
it. `start SEED` lets one run on, `stop` ends it with SIGTERM and answers its exit status. Workers do what `pith work`
does, look more often, and live by a clock that runs faster than ours.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from ops.ending import end_at_signals
from ops.home import now, open_home
from ops.jobs.anchoring.anchor import Anchor
from ops.jobs.anchoring.outside import Outside
from ops.jobs.anchoring.promises import Upgrade
from ops.jobs.anchoring.stamp import Stamp
from ops.jobs.checkpoints import Checkpoint
from ops.jobs.working import keep_working, opened_work
from ops.services_file import read_services
from ops.settings import Settings

FASTER = 600
LEASE_SECONDS = 60.0
LOOK_SECONDS = 0.03


class Fast:
    """A clock (microseconds, UTC) that gains ten minutes a second since some moment of ours."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch

    def __call__(self) -> int:
        return self._epoch + (now() - self._epoch) * FASTER


def work(data: Path, epoch: int, seed: int) -> None:
    """Work until SIGTERM."""
    settings, clock = Settings(data, "https://pith.example"), Fast(epoch)
    home = open_home(settings, clock)
    services = read_services(settings.services_path)
    with opened_work(home, services, LEASE_SECONDS) as found:
        mine = replace(found, random=random.Random(seed).randbytes)
        end_at_signals(mine.stopped.set)
        outside = Outside(services.anchoring, now, 10.0)
        looks = (Anchor(outside, LOOK_SECONDS), Stamp(outside, LOOK_SECONDS), Upgrade(outside, LOOK_SECONDS))
        keep_working(mine, [Checkpoint(LOOK_SECONDS), *looks])
    home.close()


def fork(data: Path, epoch: int, seed: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work(data, epoch, seed)
        os._exit(0)
    finally:
        os._exit(1)


def main() -> None:
    data, epoch = Path(sys.argv[1]), int(sys.argv[2])
    running = 0
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "kill":
            child = fork(data, epoch, int(arguments[1]))
            time.sleep(float(arguments[0]))
            os.kill(child, signal.SIGKILL)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            print("killed" if status == -signal.SIGKILL else f"ended by itself with {status}", flush=True)
        elif command == "start":
            running = fork(data, epoch, int(arguments[0]))
            print("started", flush=True)
        elif command == "stop":
            os.kill(running, signal.SIGTERM)
            print(os.waitstatus_to_exitcode(os.waitpid(running, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
