"""What the ledger is meant to reach, as ratios taken in one run, and whether a run reached it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from ops.bench.groups import GROWTH
from ops.bench.results import Run, ratio

SMALL: Final = 10_000
LARGE: Final = 1_000_000
MEGABYTES: Final = 300

State = Literal["goal reached", "reached", "missed", "not measured"]


@dataclass(frozen=True, slots=True)
class Aim:
    """The rate of one row over that of another: at least `bound`, or at most where `at_most`; `goal` is the hope."""

    title: str
    group: str
    over: str
    under: str
    bound: float
    goal: float | None = None
    at_most: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run says about an aim: texts for people, and the state."""

    title: str
    wanted: str
    found: str
    state: State


AIMS: Final = (
    Aim(
        "bulk append, verified and durable, on SQLite ÷ bare verification on all cores",
        "bulk",
        "ours",
        "verify-all",
        0.75,
        0.85,
    ),
    Aim(
        "bulk append on PostgreSQL, sharing the cores ÷ bare verification on all cores",
        "bulk",
        "ours-pg",
        "verify-all",
        0.60,
    ),
    Aim("bulk append on PostgreSQL ÷ eventsourcing's unverified batches there", "bulk", "ours-pg", "es-pg", 1.5),
    Aim(
        "replay, every signature and rule, with projections ÷ bare verification on all cores",
        "replay",
        "ours",
        "verify-all",
        0.85,
        0.95,
    ),
    Aim(
        "replay against the checkpoint, with projections ÷ eventsourcing's pull into a dict",
        "replay",
        "checkpoint",
        "es",
        1.3,
    ),
    Aim("one event a call, 16 callers ÷ hypercore's unbatched append", "together", "ours", "hypercore-one", 1.0),
    Aim("the same ÷ hypercore's unbatched append from 16 callers too", "together", "ours", "hypercore", 1.0),
    *(
        Aim(
            f"cost of {what} at {LARGE:,} events ÷ at {SMALL:,}",
            GROWTH,
            f"{key}-{SMALL}",
            f"{key}-{LARGE}",
            bound,
            at_most=True,
        )
        for key, what, bound in (
            ("prove", "a proof", 1.15),
            ("view", "a record view", 1.15),
            ("as-of", "an as-of view", 1.15),
            ("append", "an append", 1.30),
        )
    ),
)


def outcomes(run: Run) -> Iterator[Outcome]:
    """Say of every aim what a run found."""
    for aim in AIMS:
        yield _outcome(aim, run)
    title = f"memory of a replay of {LARGE:,} events, every signature and rule"
    wanted = f"≤ {MEGABYTES} MB"
    group = run.group(GROWTH)
    row = group.row(f"replay-{LARGE}") if group else None
    peak = row.fact("peak_memory_mb") if row else None
    if peak is None:
        yield Outcome(title, wanted, "–", "not measured")
    else:
        yield Outcome(title, wanted, f"{peak:,.0f} MB", "reached" if peak <= MEGABYTES else "missed")


def _outcome(aim: Aim, run: Run) -> Outcome:
    sign = "≤" if aim.at_most else "≥"
    wanted = f"{sign} {aim.bound:.2f}" + (f", goal {aim.goal:.2f}" if aim.goal else "")
    group = run.group(aim.group)
    over, under = (group.row(aim.over), group.row(aim.under)) if group else (None, None)
    if over is None or under is None:
        return Outcome(aim.title, wanted, "–", "not measured")
    found = ratio(over, under)
    state: State = "missed"
    if found.middle <= aim.bound if aim.at_most else found.middle >= aim.bound:
        state = "goal reached" if aim.goal and found.middle >= aim.goal else "reached"
    return Outcome(aim.title, wanted, f"{found.middle:.2f} ({found.low:.2f} to {found.high:.2f})", state)
