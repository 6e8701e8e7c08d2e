"""What a longer log costs: the same work on logs of rising sizes, in turns, and appending while the longest grows."""

from __future__ import annotations

from msgspec import structs

from ops.bench.contestants import reader
from ops.bench.filling import fill
from ops.bench.groups import EVERY, GROWTH, WAL_FULL, Row
from ops.bench.results import Curve, Group, Measured, compared
from ops.bench.rounds import Care, measure
from ops.bench.suite import Stage, Task

CASES = (
    ("append", "append in bulk", "append", f"{WAL_FULL}; {EVERY}"),
    ("prove", "inclusion proof", "prove", "from tiles in SQLite"),
    ("view", "record view", "view", "document of ten events, as JSON"),
    ("as-of", "as-of view", "as of", "folded and judged anew from its entries"),
)


def run_growth(stage: Stage) -> Group:
    """Fill one log up to the greatest size, keep a copy at each, and measure the copies side by side."""
    workshop, effort = stage.workshop, stage.effort
    sizes = list(effort.growth)
    stage.watch(f"{GROWTH}: a log of {sizes[-1]:,} events is filled")
    made, rates = fill(workshop.scratch(GROWTH), workshop.events, sizes, lambda step: workshop.told("filling", step))
    workshop.keep(made)
    tasks: dict[str, Task] = {}
    replays: dict[str, Task] = {}
    titles: dict[str, tuple[str, str]] = {}
    for size in sizes:
        contestant = reader(size)
        program = stage.program(contestant)
        for key, words, case, note in CASES:
            name = f"{key}-{size}"
            titles[name] = (f"{words} at {size:,}", note)
            if case == "append":
                tasks[name] = Task(program, case, effort.growing)
            else:
                tasks[name] = stage.task(Row(name, words, contestant.name, case, note), contestant)
        name = f"replay-{size}"
        titles[name] = (f"replay, every signature, at {size:,}", "projections in SQLite")
        replays[name] = Task(program, "replay all", 0, is_long=True)
    watch = stage.watch
    found = measure(tasks, effort.care, lambda name, number: watch(f"{GROWTH}: round {number + 1}, {titles[name][0]}"))
    # Once: it takes minutes, and its memory, which is what is asked of it here, is the same each time.
    found |= measure(
        replays, Care(1, effort.care.patience, again=False), lambda name, _: watch(f"{GROWTH}: {titles[name][0]}")
    )
    rows = [
        Measured(name, titles[name][0], "ours", titles[name][1], found[name], beside=f"{key}-{sizes[0]}")
        for key in (*(case[0] for case in CASES), "replay")
        for name in (f"{key}-{size}" for size in sizes)
    ]
    beside = f"cost beside {sizes[0]:,}"
    group = Group(GROWTH, "The same at growing sizes of the log", "operations/s", beside, rows)
    costs = {words: [(size, _cost(group, f"{key}-{size}")) for size in sizes] for key, words, *_ in CASES}
    curves = [
        Curve("Appending in bulk while the log grows", "events/s", {"append in bulk": rates}),
        Curve(f"Cost at growing sizes of the log, beside {sizes[0]:,} events", "times", costs),
    ]
    return structs.replace(group, curves=curves)


def _cost(group: Group, key: str) -> float:
    row = group.row(key)
    ratio = compared(group, row) if row else None
    return ratio.middle if ratio else 1.0
