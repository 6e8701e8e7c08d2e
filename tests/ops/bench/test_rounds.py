from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from ledger.errors import UsageError
from ops.bench.machine import cores, usage
from ops.bench.rounds import Answer, Care, measure

CARE = Care(3, 0.0, again=False)


@dataclass
class Noted:
    """A way that notes its name; it fails at its calls from a number on, where one is given."""

    name: str
    order: list[str]
    fails_at: int | None = None
    process: int = field(default_factory=os.getpid)
    server: int | None = None
    is_long: bool = False
    calls: int = 0

    def __call__(self) -> Answer:
        self.calls += 1
        if self.fails_at is not None and self.calls >= self.fails_at:
            raise UsageError("it has ended")
        self.order.append(self.name)
        return Answer(10, 0.5, {"p50_ms": 2.0})


def test_every_round_begins_with_another() -> None:
    order: list[str] = []
    found = measure({name: Noted(name, order) for name in "abc"}, CARE)
    assert "".join(order) == "abcbcacab"
    assert [sample.round for sample in found["a"]] == [0, 1, 2]
    assert found["a"][0].rate == 20
    assert found["a"][0].facts["p50_ms"] == 2.0


def test_the_others_go_on_without_a_way_that_fails() -> None:
    order: list[str] = []
    failed: dict[str, UsageError] = {}
    ways = {"a": Noted("a", order), "b": Noted("b", order, fails_at=2)}
    found = measure(ways, CARE, failed=lambda name, error: failed.update({name: error}))
    assert list(found) == ["a"]
    assert len(found["a"]) == 3
    assert list(failed) == ["b"]
    assert ways["b"].calls == 2


def test_a_failure_ends_everything_unless_it_is_taken() -> None:
    with pytest.raises(UsageError, match="it has ended"):
        measure({"a": Noted("a", [], fails_at=1)}, CARE)


def test_nothing_to_measure_gives_nothing() -> None:
    assert measure({}, CARE) == {}


@pytest.fixture
def spinning() -> Iterator[int]:
    """A child of this process that takes a whole core."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        yield process.pid
        process.kill()


@pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="only Linux says what processes use")
def test_the_work_of_children_is_ours_and_not_foreign(spinning: int) -> None:
    before = after = usage(spinning)
    while after.trees[1] - before.trees[1] < 0.3:
        after = usage(spinning)
    assert after.trees[0] - before.trees[0] >= 0.3
    assert after.busy - before.busy >= 0.3
    # All cores but the child's could have been taken by others, never the child's own.
    assert after.foreign_since(before) <= cores() - 0.3 / (after.at - before.at) + 0.1
