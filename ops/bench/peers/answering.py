"""The other side of `ops.bench.programs`: reads tasks from standard input and answers them, line by line.

Only the standard library: programs beside this one run in whatever interpreter has the library they measure.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

Outcome = tuple[int, float] | tuple[int, float, Mapping[str, float]]
"""Operations, seconds, and perhaps further facts."""

Case = Callable[[int], Outcome]


class Pipe:
    """Standard input and output, kept from libraries that print: what they say goes to standard error."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self.settings: dict[str, Any] = json.loads(sys.stdin.readline())

    def answer(self, version: str, cases: Mapping[str, Case]) -> None:
        """Do what is asked until standard input is closed."""
        self._tell({"ready": True, "version": version})
        for line in sys.stdin:
            task = json.loads(line)
            try:
                operations, seconds, *facts = cases[task["case"]](task["count"])
                self._tell({"operations": operations, "seconds": seconds, "facts": dict(facts[0]) if facts else {}})
            except Exception as error:
                self._tell({"error": f"{task['case']}: {error!r}"[:400]})
                raise

    def _tell(self, value: Mapping[str, Any]) -> None:
        self._out.write(json.dumps(value) + "\n")
        self._out.flush()


def timed(what: Callable[[], int]) -> tuple[int, float]:
    """Time something that returns how many operations it did."""
    started = time.perf_counter()
    count = what()
    return count, time.perf_counter() - started


def read_events(path: str, count: int) -> list[bytes]:
    """Return the first events of a file of lines."""
    with open(path, "rb") as file:
        return [line[:-1] for line, _ in zip(file, range(count), strict=False)]


class Supply:
    """Events in order, from the first again where there are no more."""

    def __init__(self, events: list[Any]) -> None:
        self._events, self._next = events, 0

    def take(self, count: int) -> list[Any]:
        taken: list[Any] = []
        while len(taken) < count:
            if self._next == len(self._events):
                self._next = 0
            part = self._events[self._next : self._next + count - len(taken)]
            self._next += len(part)
            taken += part
        return taken
