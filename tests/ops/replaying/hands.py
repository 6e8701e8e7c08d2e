"""Workers' hands that fail as real ones do: killed in the middle of a range, by the signal that nobody can catch."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from ledger.ranges import Range
from ops.replaying.engines import in_processes


def echo(within: Range) -> int:
    return within.start


@dataclass(frozen=True)
class KilledOnce:
    """Kills its process at one range, unless a file says that this was done."""

    marks: str
    at: int

    def __call__(self, within: Range) -> int:
        if within.start == self.at:
            try:
                os.close(os.open(Path(self.marks) / str(self.at), os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return within.start


@dataclass(frozen=True)
class KilledAlways:
    """Kills its process whenever it comes to one range."""

    at: int

    def __call__(self, within: Range) -> int:
        if within.start == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return within.start


@dataclass(frozen=True)
class Named:
    """Leaves a file with the number of its process for each range it was given, and takes a while."""

    folder: str

    def __call__(self, within: Range) -> int:
        (Path(self.folder) / f"{within.start}.{os.getpid()}").touch()
        time.sleep(0.05)
        return within.start


def main(folder: str) -> None:
    """Go over ranges for ever on two processes, and say so; a test ends this process."""
    for start in in_processes(Named(folder), (Range(at * 256, at * 256 + 256) for at in range(1 << 20)), 2):
        print(start, flush=True)


if __name__ == "__main__":
    import sys

    main(sys.argv[1])
