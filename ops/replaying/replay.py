"""Replay and rebuild: a log verified and folded in the same pass."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ledger.database import Database
from ledger.ranges import Range
from ops.replaying.checking import Advance, Course
from ops.replaying.engines import Engine, Here, Processes
from ops.replaying.on_dask import Dask
from ops.replaying.places import Place
from projections.digests import PaperDigest
from projections.folding import Rows

FEW: Final = 16_384
"""A log of fewer entries is done in one process sooner than others are started."""


class EngineName(StrEnum):
    """Who does the work."""

    processes = "processes"
    dask = "dask"


@dataclass(frozen=True, slots=True)
class Crew:
    """Who does the work, as it was asked for; `workers` is None where nobody said how many."""

    engine: EngineName = EngineName.processes
    workers: int | None = None
    scheduler: str = ""

    def at(self, place: Place, log: Database, size: int) -> Engine:
        """Return the engine for a log of some size; for what one process does soonest, this one and its database."""
        workers = self.workers or os.cpu_count() or 1
        if self.engine is EngineName.dask:
            return Dask(place, workers, self.scheduler)
        if workers == 1 or (self.workers is None and size < FEW):
            return Here(log)
        return Processes(place, workers)


def replay(course: Course, engine: Engine, advance: Advance = lambda _: None) -> str:
    """Verify and fold a log as a course says; return the state digest (hex). Raises as `Course.run` does."""
    with PaperDigest() as digest:
        for done in course.run(engine, "digest", advance):
            digest.add(done.digest)
        return digest.hexdigest()


def verify(course: Course, engine: Engine, advance: Advance = lambda _: None) -> None:
    """Verify a log as a course says, and fold nothing; raises as `Course.run` does."""
    for _ in course.run(engine, "nothing", advance):
        pass


def rows_of_log(course: Course, engine: Engine, names: Collection[str]) -> Iterator[tuple[Range, Rows]]:
    """Verify and fold a log as a course says; yield the rows of some projections, range after range.

    Only where it ends without an error do the rows follow from a log that holds; raises as `Course.run` does.
    """
    for done in course.run(engine, "rows", projections=tuple(names)):
        within = done.verified.range
        if within.start < course.stop:
            yield Range(within.start, min(within.stop, course.stop)), done.rows
