"""What was measured, and what follows from it: medians, spans and ratios; kept as JSON, group by group."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from ledger.errors import UsageError
from ops.bench.machine import DISTURBED
from ops.whole_files import as_file, write_whole

Kind = Literal["ours", "peer", "limit"]


class Sample(msgspec.Struct, frozen=True):
    """One look: so many operations in so many seconds, while others took so many cores."""

    round: int
    operations: int
    seconds: float
    foreign: float = 0.0
    facts: dict[str, float] = {}
    """What else was seen, such as `cpu` (seconds of all our processes) or `peak_memory_mb`."""

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds


class Measured(msgspec.Struct, frozen=True):
    """One row: what was done, by whom, what it promises (`note`), and every sample that was taken of it."""

    key: str
    title: str
    kind: Kind
    note: str
    samples: list[Sample]
    version: str = ""
    beside: str = ""
    """The key of the row whose rate is divided by this one's; empty where nothing is compared."""

    @property
    def undisturbed(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.foreign < DISTURBED]

    @property
    def used(self) -> list[Sample]:
        """The samples that count: the undisturbed ones, or all where there is none."""
        return self.undisturbed or self.samples

    @property
    def rates(self) -> list[float]:
        return sorted(sample.rate for sample in self.used)

    @property
    def median(self) -> float:
        return statistics.median(self.rates)

    def fact(self, name: str) -> float | None:
        """Return the median of a further fact; None where no sample has it."""
        found = [sample.facts[name] for sample in self.used if name in sample.facts]
        return statistics.median(found) if found else None

    def microseconds(self, fact: str) -> float | None:
        """Return a fact that is in seconds as microseconds for each operation."""
        found = [sample.facts[fact] / sample.operations for sample in self.used if fact in sample.facts]
        return statistics.median(found) * 1e6 if found else None


class Curve(msgspec.Struct, frozen=True):
    """How something went with the length of a log: for each name its points, (events in the log, value)."""

    title: str
    unit: str
    lines: dict[str, list[tuple[int, float]]]


class Group(msgspec.Struct, frozen=True):
    """Rows that were measured in turns, so that they may be compared with one another, and with nothing else."""

    name: str
    title: str
    unit: str
    beside: str
    """What it means to divide a row's neighbour by it, such as `pith ÷ it`."""
    rows: list[Measured]
    left_out: list[str] = []
    curves: list[Curve] = []
    """Where there are any, a picture shows them instead of bars."""

    def row(self, key: str) -> Measured | None:
        return next((row for row in self.rows if row.key == key), None)


class Run(msgspec.Struct, frozen=True):
    """One run of the command: when (UTC), on what, how thoroughly, and the groups that were finished."""

    at: str
    quick: bool
    machine: dict[str, str]
    groups: list[Group] = []

    def group(self, name: str) -> Group | None:
        return next((group for group in self.groups if group.name == name), None)


class Ratio(msgspec.Struct, frozen=True):
    """One rate over another: of the medians, and the least and greatest of single rounds."""

    middle: float
    low: float
    high: float


def compared(group: Group, row: Measured) -> Ratio | None:
    """Return by what a row is compared with its neighbour; None where it has none."""
    other = group.row(row.beside) if row.beside else None
    return ratio(other, row) if other is not None and other.key != row.key else None


def ratio(over: Measured, under: Measured) -> Ratio:
    """Divide the rate of one row by that of another of the same group."""
    middle = over.median / under.median
    paired = sorted(_paired(over.used, under.used)) or [middle]
    return Ratio(middle, min(paired[0], middle), max(paired[-1], middle))


def _paired(over: Sequence[Sample], under: Sequence[Sample]) -> Iterator[float]:
    of_round = {sample.round: sample.rate for sample in under}
    return (sample.rate / of_round[sample.round] for sample in over if sample.round in of_round)


def write_run(path: Path, run: Run) -> None:
    """Write a run whole, in place of what stands there."""
    write_whole(path, as_file(run))


def read_run(path: Path) -> Run:
    """Read a run; raises UsageError where the file is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Run)
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError("this is no run that can be read", place=str(path), cure="measure anew") from error
