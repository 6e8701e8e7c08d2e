"""Looking at addresses again and again: what was found at one, and when to look next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from ledger.publication import Publication

LONGEST_PAUSE: Final = 900.0


class Status(StrEnum):
    """What was found at an address."""

    first = "first"
    grown = "grown"
    same = "same"
    stale = "stale"
    fork = "fork"
    failed = "failed"
    unreachable = "unreachable"


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at one address; `newest` is the newest known size after it, `trust` why its key is trusted."""

    time: str
    address: str
    status: Status
    message: str
    trust: str
    size: int | None = None
    root: str | None = None
    newest: int | None = None
    evidence: Path | None = None

    def facts(self) -> dict[str, Any]:
        """Return the observation for JSON output."""
        found = {
            "time": self.time,
            "address": self.address,
            "status": self.status.value,
            "message": self.message,
            "trust": self.trust,
            "size": self.size,
            "root_hash": self.root,
            "newest_size": self.newest,
            "evidence": str(self.evidence) if self.evidence else None,
        }
        return {name: value for name, value in found.items() if value is not None}


def follow(
    observe: Callable[[str, Publication], Observation],
    sources: Mapping[str, Publication],
    every: float,
    seconds: Callable[[], float],
    wait: Callable[[float], object],
    jitter: Callable[[], float],
) -> Iterator[list[Observation]]:
    """Look at each address again and again; yield the observations of those that were due together.

    Args:
        observe: looks once at an address and what is published there.
        every: seconds between two looks at an address; where it cannot be reached they double, up to 15 minutes.
        seconds, wait: a clock that only goes forward, and what waits for a number of its seconds.
        jitter: returns a number between 0 and 1, so that many monitors do not come back in step.
    """
    failures = dict.fromkeys(sources, 0)
    due = dict.fromkeys(sources, seconds())
    while True:
        now = seconds()
        found = []
        for address in [address for address in sources if due[address] <= now]:
            found.append(observe(address, sources[address]))
            failures[address] = failures[address] + 1 if found[-1].status is Status.unreachable else 0
            due[address] = seconds() + pause(every, failures[address], jitter())
        if found:
            yield found
        wait(max(0.0, min(due.values()) - seconds()))


def pause(every: float, failures: int, jitter: float) -> float:
    """Return how many seconds to wait after a number of failures in a row; jitter takes off up to a tenth."""
    return min(every * 2.0 ** min(failures, 32), max(every, LONGEST_PAUSE)) * (1 - 0.1 * jitter)
