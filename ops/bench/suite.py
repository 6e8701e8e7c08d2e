"""One run: group after group, each with its contestants side by side; what is finished is kept as it goes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from msgspec import structs

from ledger.errors import UsageError
from ops.bench.contestants import CONTESTANTS, Contestant, Sizes, start
from ops.bench.groups import GROWTH, NAMES, PLANS, Plan, Row
from ops.bench.programs import Program
from ops.bench.results import Group, Measured, Run
from ops.bench.rounds import AGAIN, Answer, Care, measure
from ops.bench.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to measure: how carefully, how long a sample lasts (seconds), and how large the logs are."""

    care: Care
    sample_seconds: float
    sizes: Sizes
    growth: tuple[int, ...]
    growing: int
    """How many events one sample appends to the logs whose growth is measured."""

    events: int
    """How many events all other groups use up at most."""

    def most(self, names: Collection[str]) -> int:
        """Return how many events the named groups need."""
        samples = self.care.rounds * AGAIN + 1
        growing = self.growth[-1] + samples * self.growing if GROWTH in names else 0
        return max(self.events, growing)


QUICK: Final = Effort(Care(3, 0.4, again=False), 0.25, Sizes(5_000, 300), (1_000, 5_000), 500, 60_000)
FULL: Final = Effort(Care(5, 2.0, again=True), 1.5, Sizes(100_000, 5_000), (10_000, 100_000, 1_000_000), 5_000, 650_000)

PLAN_OF: Final = {plan.name: plan for plan in PLANS}

Watch = Callable[[str], None]
"""Told what is being done now, a line each time."""


@dataclass(frozen=True, slots=True)
class Task:
    """A case that a running program does so many times; a `Way` for rounds."""

    program: Program
    case: str
    count: int
    server: int | None = None
    is_long: bool = False

    @property
    def process(self) -> int:
        return self.program.process

    def __call__(self) -> Answer:
        return self.program.ask(self.case, self.count)


class Stage:
    """The contestants of a run: each is started once, when it is first asked for, and kept until the end."""

    def __init__(self, workshop: Workshop, effort: Effort, watch: Watch) -> None:
        self.workshop, self.effort, self.watch = workshop, effort, watch
        self._running = ExitStack()
        self._programs: dict[str, Program] = {}
        self._left_out: dict[str, UsageError] = {}

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def program(self, contestant: Contestant) -> Program:
        """Return a contestant's running program.

        Raises:
            UsageError: it cannot be had, or has failed before.
        """
        if error := self._left_out.get(contestant.name):
            raise error
        if contestant.name not in self._programs:
            self.watch(f"{contestant.name} gets ready")
            program = start(contestant, self.workshop, self.effort.sizes)
            self._programs[contestant.name] = self._running.enter_context(program)
        return self._programs[contestant.name]

    def leave_out(self, contestant: Contestant, error: UsageError) -> None:
        """Do without a contestant from here on; raises the error where it is one of ours."""
        if contestant.name not in self._left_out:
            self._left_out[contestant.name] = error
            self.watch(f"{contestant.name} is left out: {reason(error)}")
        if contestant.kind == "ours" and not self._lacks_server(contestant):
            raise error

    def task(self, row: Row, contestant: Contestant) -> Task:
        """Find out how many operations make a sample of the wanted length; that also warms everything up."""
        program = self.program(contestant)
        server = self.workshop.server.process if contestant.on_server else None
        if row.is_whole:
            return Task(program, row.case, 0, server, is_long=True)
        first = program.ask(row.case, row.first)
        wanted = round(first.operations * self.effort.sample_seconds / first.seconds)
        count = min(max(wanted, row.first), row.most)
        return Task(program, row.case, max(row.step, count // row.step * row.step), server)

    def _lacks_server(self, contestant: Contestant) -> bool:
        """Tell whether a contestant cannot be measured because there is no PostgreSQL here."""
        if not contestant.on_server:
            return False
        try:
            return self.workshop.server.process == 0
        except UsageError:
            return True


def run_plan(plan: Plan, stage: Stage) -> Group:
    """Measure a group.

    A contestant that cannot be had is left out with its reason.

    Raises:
        UsageError: one of ours failed.
    """
    rows = {row.key: row for row in plan.rows}
    tasks: dict[str, Task] = {}
    left_out: dict[str, str] = {}

    def failed(key: str, error: UsageError) -> None:
        contestant = CONTESTANTS[rows[key].contestant]
        left_out[contestant.name] = reason(error)
        stage.leave_out(contestant, error)

    for key, row in rows.items():
        try:
            tasks[key] = stage.task(row, CONTESTANTS[row.contestant])
        except UsageError as error:
            failed(key, error)
    found = measure(
        tasks,
        stage.effort.care,
        lambda key, number: stage.watch(f"{plan.name}: round {number + 1}, {rows[key].title}"),
        failed,
    )
    measured = [
        Measured(
            key,
            row.title,
            row.kind or CONTESTANTS[row.contestant].kind,
            row.note,
            found[key],
            tasks[key].program.version,
            (row.beside or plan.rows[0].key) if plan.is_contest else "",
        )
        for key, row in rows.items()
        if key in found
    ]
    left = [f"{name}: {why}" for name, why in left_out.items()]
    return Group(plan.name, plan.title, plan.unit, "pith ÷ it" if plan.is_contest else "", measured, left)


def reason(error: UsageError) -> str:
    return f"{error.message} ({error.cure})" if error.cure else error.message


def run_suite(
    names: Collection[str], workshop: Workshop, effort: Effort, run: Run, keep: Callable[[Run], None], watch: Watch
) -> Run:
    """Measure the named groups that a run does not have yet, and add them to it.

    Args:
        names: of `groups.NAMES`; whatever their order, the groups are measured in that of the list.
        keep: given the run after each group, to write it down.

    Raises:
        UsageError: one of ours failed; what was finished before was kept.
    """
    # Imported here: growth is a group made of what stands above.
    from ops.bench.growth import run_growth

    with Stage(workshop, effort, watch) as stage:
        for name in NAMES:
            if name in names and run.group(name) is None:
                group = run_growth(stage) if name == GROWTH else run_plan(PLAN_OF[name], stage)
                machine = {**run.machine, **workshop.describe()}
                run = structs.replace(run, groups=[*run.groups, group], machine=machine)
                keep(run)
    return run
