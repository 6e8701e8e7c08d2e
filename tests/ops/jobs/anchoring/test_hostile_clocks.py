"""Clocks and sources of headers that lie in ways of their own, among honest ones."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ops.home import now
from ops.jobs.anchoring.outside import Outside
from ops.jobs.anchoring.upgrading import MAX_HEIGHTS
from ops.services import Authority, Calendar
from ops.timestamps.proofs import heights
from tests.logs import Ticking
from tests.ops.jobs.anchoring.anchorages import HOUR, Anchorage, anchorage
from tests.ops.timestamps.chains import FIRST_HEIGHT, ToyChain

DAY = 24 * HOUR


@dataclass
class Surprised(Outside):
    """What asks clocks, where one answers what our parsers have never seen."""

    surprising: str = ""

    def stamp(self, clock: Calendar | Authority, content: bytes, digest: bytes, roots: Sequence[bytes]) -> bytes:
        if clock.url == self.surprising:
            raise TypeError("'NoneType' object is not subscriptable")
        return super().stamp(clock, content, digest, roots)


def surprised(found: Anchorage) -> Anchorage:
    assert found.authority is not None
    outside = Surprised(found.services.anchoring, now, 5.0, surprising=found.authority.url)
    return replace(found, outside=outside)


def test_an_answer_that_nobody_foresaw_loses_no_other_clocks_promise(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=3, authority=True) as plain:
        found = surprised(plain)
        (ran,) = found.run("anchor")
        assert ran.outcome == "done"
        assert found.counted() == {"pending": 3}
        (owed,) = found.owing("anchor")
        assert "nobody foresaw: TypeError" in owed.waiting
        found.paper()
        found.pass_time(2 * HOUR)
        (ran,) = found.run("anchor")
        assert "TypeError" not in ran.said  # it rests a day
        assert found.counted() == {"pending": 6}


def test_a_true_block_is_found_behind_many_false_ones(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        found.run("anchor")
        found.calendars[0].lies = "blocks"
        found.keep_promises()
        for _ in range(4):
            found.pass_time(2 * HOUR)
            found.run("upgrade")
        assert found.counted() == {"pending": 1, "confirmed": 1}
        told = found.anchors("confirmed")[0].event.payload
        assert told.height == FIRST_HEIGHT
        named = heights(base64.b64decode(told.proof_b64))
        assert named.index(FIRST_HEIGHT) >= MAX_HEIGHTS
        found.check()


def backdated(clock: Ticking, seconds: int) -> ToyChain:
    """Return a chain whose blocks say that they were made some time before they were."""
    return ToyChain(lambda: clock() - seconds * 1_000_000)


@pytest.mark.parametrize("what", ["checkpoint", "record"])
def test_a_block_from_long_before_what_it_holds_is_a_lie_and_is_not_signed(tmp_path: Path, what: str) -> None:
    clock = Ticking()
    with anchorage(tmp_path, clock=clock, chain=backdated(clock, 3 * DAY)) as found:
        if what == "record":
            found.ask(found.paper())
            found.run("stamp")
        else:
            found.run("anchor")
        found.keep_promises()
        found.pass_time(HOUR)
        found.run("upgrade")
        assert found.counted() == {"pending": 1}
        (owed,) = found.owing("upgrade")
        assert "was made on" in owed.waiting


def test_a_miners_clock_that_is_some_hours_behind_is_no_lie(tmp_path: Path) -> None:
    clock = Ticking()
    with anchorage(tmp_path, clock=clock, chain=backdated(clock, 3 * HOUR)) as found:
        found.run("anchor")
        found.keep_promises()
        found.pass_time(HOUR)
        found.run("upgrade")
        assert found.counted() == {"pending": 1, "confirmed": 1}
