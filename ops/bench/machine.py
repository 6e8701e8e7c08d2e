"""What the processors did meanwhile: for us, for others, and for whoever owns the machine below this one.

Read from Linux's /proc; elsewhere nothing is known, and every sample counts as undisturbed.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DISTURBED: Final = 0.25
"""Cores that foreign work and stolen time may take before a sample is disturbed."""

LOOK_SECONDS: Final = 0.2
_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds up to a moment: of all processes, stolen by the host, and of the trees of some processes.

    A tree are a process, those below it, and those that any of them has waited for. The first tree is our own.
    """

    at: float
    busy: float
    stolen: float
    trees: tuple[float, ...]

    def foreign_since(self, before: Usage) -> float:
        """Return how many cores others took, on average, between two looks."""
        others = max(0.0, (self.busy - before.busy) - (self.trees[0] - before.trees[0]))
        return (others + self.stolen - before.stolen) / max(self.at - before.at, 1e-9)


def usage(*processes: int) -> Usage:
    """Look at the machine now, and at the trees of some processes; all zero where the system does not say."""
    at = time.perf_counter()
    roots = (os.getpid(), *processes)
    try:
        fields = [int(text) for text in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return Usage(at, 0.0, 0.0, (0.0,) * len(roots))
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = fields
    found = {number: (parent, ticks) for number, parent, ticks in _processes()}
    ticks = os.sysconf("SC_CLK_TCK")
    trees = tuple(_ticks_of(root, found) / ticks for root in roots)
    return Usage(at, (user + nice + system + interrupts + soft) / ticks, stolen / ticks, trees)


def _ticks_of(root: int, found: Mapping[int, tuple[int, int]]) -> int:
    total = 0
    for number, (_, ticks) in found.items():
        above: int | None = number
        while above is not None and above != root:
            above = found[above][0] if above in found else None
        total += ticks if above == root else 0
    return total


def wait_for_quiet(patience: float) -> None:
    """Wait until others take little of the machine, but no longer than so many seconds."""
    end = time.perf_counter() + patience
    while time.perf_counter() < end:
        before = usage()
        time.sleep(LOOK_SECONDS)
        if usage().foreign_since(before) < DISTURBED:
            return


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> dict[str, str]:
    """Return what a reader of figures wants to know of the machine and of what runs on it."""
    model = platform.processor() or platform.machine()
    for line in _lines(_PROC / "cpuinfo"):
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = next((line.split()[1] for line in _lines(_PROC / "meminfo") if line.startswith("MemTotal")), "0")
    return {
        "processor": f"{cores()} × {model}",
        "memory": f"{int(memory) // 1024**2} GB" if memory != "0" else "unknown",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
    }


def _processes() -> Iterator[tuple[int, int, int]]:
    """Yield number, parent and ticks (own and of children waited for) of every process there is."""
    try:
        numbers = [int(name) for name in os.listdir(_PROC) if name.isdigit()]
    except OSError:
        return
    for number in numbers:
        try:
            # The name stands in parentheses and may hold anything, even these.
            fields = (_PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        yield number, int(fields[1]), sum(int(text) for text in fields[11:15])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
