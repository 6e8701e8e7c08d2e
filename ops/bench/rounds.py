"""Rounds: every way of doing a thing once a round, in turns, each round beginning with another.

Whatever the machine does meanwhile then meets all of them alike. A sample during which others took more than
a little of the processors is disturbed; it is kept, does not count, and is taken again a few times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from ledger.errors import UsageError
from ops.bench.machine import DISTURBED, usage, wait_for_quiet
from ops.bench.results import Sample

AGAIN: Final = 2
"""How many times as many rounds are made at most for the sake of disturbed samples."""

ENOUGH: Final = 3
"""With so many undisturbed samples of a way, no further round is made for it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What doing something took: the timed part alone, in seconds."""

    operations: int
    seconds: float
    facts: Mapping[str, float]


class Way(Protocol):
    """One way of doing a thing; `process` is whose tree does it, `server` a database server's that works for it."""

    @property
    def process(self) -> int: ...

    @property
    def server(self) -> int | None: ...

    @property
    def is_long(self) -> bool:
        """Whether it takes so long that it is never done again for the sake of quiet."""
        ...

    def __call__(self) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Care:
    """How carefully to measure: rounds, seconds of waiting for quiet before each sample, rounds made again or not."""

    rounds: int
    patience: float
    again: bool


def fail(_name: str, error: UsageError) -> None:
    raise error


def measure(
    ways: Mapping[str, Way],
    care: Care,
    done: Callable[[str, int], None] = lambda _name, _round: None,
    failed: Callable[[str, UsageError], None] = fail,
) -> dict[str, list[Sample]]:
    """Call every way in turns; return the samples of each, in order.

    Args:
        done: called after each sample with the name of the way and the number of the round.
        failed: called when a way fails; unless that raises, the others go on without it and without its samples.
    """
    names = list(ways)
    found: dict[str, list[Sample]] = {name: [] for name in names}
    for number in range(care.rounds * (AGAIN if care.again else 1)):
        first = number % max(len(names), 1)
        for name in names[first:] + names[:first]:
            if name in found and (number < care.rounds or _is_owed(found[name], care.rounds, ways[name])):
                wait_for_quiet(care.patience)
                try:
                    found[name].append(_sample(ways[name], number))
                except UsageError as error:
                    failed(name, error)
                    del found[name]
                else:
                    done(name, number)
    return found


def _is_owed(samples: list[Sample], rounds: int, way: Way) -> bool:
    return not way.is_long and sum(sample.foreign < DISTURBED for sample in samples) < min(ENOUGH, rounds)


def _sample(way: Way, number: int) -> Sample:
    processes = (way.process, *((way.server,) if way.server else ()))
    before = usage(*processes)
    answer = way()
    after = usage(*processes)
    taken = [later - earlier for later, earlier in zip(after.trees, before.trees, strict=True)]
    facts = {**answer.facts, **dict(zip(("cpu", "server_cpu"), taken[1:], strict=False))}
    return Sample(number, answer.operations, answer.seconds, after.foreign_since(before), facts)
