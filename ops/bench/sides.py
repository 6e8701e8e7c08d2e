"""Timing several ways of doing the same thing in turn."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence


def side_by_side(ways: Mapping[str, Callable[[int], object]], rounds: int) -> dict[str, float]:
    """Call every way once a round, each round beginning with another; return the median seconds of each.

    Args:
        ways: by name, what to time; it is given the number of the round.
    """
    names = list(ways)
    taken: dict[str, list[float]] = {name: [] for name in names}
    gc.disable()
    try:
        for number in range(rounds):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                way = ways[name]
                started = time.perf_counter()
                way(number)
                taken[name].append(time.perf_counter() - started)
    finally:
        gc.enable()
    return {name: statistics.median(times) for name, times in taken.items()}


def table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """Return lines for people: a title, then names and figures in two columns."""
    width = max(len(name) for name, _ in rows)
    return "\n".join([title, *(f"  {name:{width}}  {figure}" for name, figure in rows)])
