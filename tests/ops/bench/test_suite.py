"""The whole way of a run in seconds: our side and the limits, with logs of a few papers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import UsageError
from ops.bench.contestants import Sizes
from ops.bench.groups import LIMITS, STEPS, Plan, Row
from ops.bench.growth import run_growth
from ops.bench.results import Run
from ops.bench.rounds import Care
from ops.bench.suite import Effort, Stage, run_plan, run_suite
from ops.bench.workshop import Workshop

TINY = Effort(Care(1, 0.0, again=False), 0.01, Sizes(200, 20), (100, 200), 10, 2_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that keeps the signed events from test to test."""
    return tmp_path_factory.mktemp("bench")


@pytest.fixture
def workshop(folder: Path) -> Iterator[Workshop]:
    with Workshop(folder, TINY.events) as found:
        yield found


def plan(*rows: Row) -> Plan:
    return Plan("some", "Some", "events/s", rows)


def ours(case: str, contestant: str = "pith", most: int = 100, step: int = 1) -> Row:
    return Row(case, case, contestant, case, "", 10, most, step)


def test_our_side_and_the_limits_are_measured(workshop: Workshop) -> None:
    cases = [
        *(ours(case, "pith on SQLite") for case in ("append one", "append together")),
        ours("append bulk", "pith on SQLite", step=50),
        *(ours(case) for case in ("verify proof", "parse")),
        ours("audit", most=0),
        *(ours(case, "bare") for case in ("verify on one core", "verify on all cores", "commit", "hash paths")),
    ]
    with Stage(workshop, TINY, lambda _: None) as stage:
        found = run_plan(plan(*cases), stage)
    assert [row.key for row in found.rows] == [row.key for row in cases]
    assert all(row.median > 0 and len(row.samples) == 1 for row in found.rows)
    assert found.left_out == []
    bare = found.row("commit")
    assert bare is not None
    assert bare.version.startswith("PyNaCl")


def test_postgresql_is_measured_with_its_own_processor_time(workshop: Workshop) -> None:
    cases = [ours("append one", "pith on PostgreSQL"), ours("append bulk", "pith on PostgreSQL")]
    with Stage(workshop, TINY, lambda _: None) as stage:
        found = run_plan(plan(*cases), stage)
    assert all("server_cpu" in row.samples[0].facts for row in found.rows)


def test_each_step_of_an_append_and_of_a_replay_is_measured(workshop: Workshop) -> None:
    with Stage(workshop, TINY, lambda _: None) as stage:
        found = run_plan(STEPS, stage)
    assert [row.key for row in found.rows] == [row.key for row in STEPS.rows]


def test_growth_is_measured_at_each_size(workshop: Workshop) -> None:
    with Stage(workshop, TINY, lambda _: None) as stage:
        found = run_growth(stage)
    keys = [f"{key}-{size}" for key in ("append", "prove", "view", "as-of", "replay") for size in TINY.growth]
    assert [row.key for row in found.rows] == keys
    assert found.curves[0].lines["append in bulk"][-1][0] == 200
    replays = [row for row in found.rows if row.key.startswith("replay")]
    assert [row.samples[0].operations > size for row, size in zip(replays, TINY.growth, strict=True)] == [True, True]
    assert all(row.fact("peak_memory_mb") for row in replays)
    assert [size for size, _ in found.curves[1].lines["record view"]] == [100, 200]


def test_a_peer_that_cannot_be_had_is_left_out_with_the_reason(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []
    with Stage(workshop, TINY, said.append) as stage:
        found = run_plan(plan(ours("hash paths", "bare"), ours("append one", "hypercore")), stage)
        again = run_plan(plan(ours("read", "hypercore")), stage)
    assert [row.key for row in found.rows] == ["hash paths"]
    assert found.left_out == again.left_out == ["hypercore: node is not installed"]
    assert len([line for line in said if "left out" in line]) == 1


def test_one_of_ours_that_fails_ends_the_group(workshop: Workshop) -> None:
    with Stage(workshop, TINY, lambda _: None) as stage, pytest.raises(UsageError, match="no such case"):
        run_plan(plan(ours("no such case", "pith on SQLite")), stage)


def test_finished_groups_are_kept_and_not_measured_again(workshop: Workshop) -> None:
    kept: list[Run] = []
    empty = Run("now", quick=True, machine={})
    found = run_suite([LIMITS.name], workshop, TINY, empty, kept.append, lambda _: None)
    assert [group.name for group in kept[-1].groups] == [LIMITS.name]
    assert run_suite([LIMITS.name], workshop, TINY, found, kept.append, lambda _: None) == found
    assert len(kept) == 1
