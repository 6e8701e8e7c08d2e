"""Promises are given up where they were not kept, and not because somebody was silent at the wrong moment."""

from __future__ import annotations

from pathlib import Path

from ops.jobs.anchoring.giving_up import VAIN_LOOKS
from tests.ops.jobs.anchoring.anchorages import HOUR, Anchorage, anchorage

DAY = 24 * HOUR


def look(found: Anchorage, seconds: float) -> None:
    found.pass_time(seconds)
    found.run("upgrade")


def test_promises_that_were_kept_while_the_worker_was_off_survive_a_bad_moment_at_its_return(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        found.run("anchor")
        found.event()
        found.pass_time(2 * HOUR)
        found.run("anchor")
        found.keep_promises()
        found.pass_time(31 * DAY)
        found.calendars[0].switches.down = True
        found.run("upgrade")
        assert found.counted() == {"pending": 2}
        found.calendars[0].switches.down = False
        look(found, DAY)
        assert found.counted() == {"pending": 2, "confirmed": 2}
        found.check()


def test_a_promise_whose_block_is_named_is_not_given_up_while_no_headers_are_had(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        found.run("anchor")
        found.keep_promises()
        found.explorer.switches.down = True
        look(found, HOUR)
        found.calendars[0].switches.down = True
        for _ in range(2 * VAIN_LOOKS):
            look(found, 2 * DAY)
        assert found.counted() == {"pending": 1}
        found.explorer.switches.down = False
        look(found, DAY)
        assert found.counted() == {"pending": 1, "confirmed": 1}


def test_a_calendar_that_is_dead_for_good_is_given_up_after_many_looks_over_a_long_time(tmp_path: Path) -> None:
    with anchorage(tmp_path, give_up_seconds=30 * DAY) as found:
        found.run("anchor")
        found.calendars[0].switches.refusing = True
        found.pass_time(40 * DAY)  # nobody was there to ask
        for _ in range(2 * VAIN_LOOKS):
            look(found, 7 * HOUR)
        assert found.counted() == {"pending": 1}  # often enough, and not for long enough
        look(found, 10 * DAY)
        assert found.counted() == {"pending": 1, "failed": 1}


def test_a_calendar_that_answers_now_and_then_is_not_dead(tmp_path: Path) -> None:
    with anchorage(tmp_path, give_up_seconds=30 * DAY) as found:
        found.run("anchor")
        switches = found.calendars[0].switches
        for number in range(50):
            switches.refusing = number % 10 != 0 or number > 28
            look(found, DAY)
            if number <= 28:
                assert found.counted() == {"pending": 1}
        # At its 31st day it is silent, and was there only days before.
        assert found.counted() == {"pending": 1, "failed": 1}
        failed = found.anchors("failed")[0]
        pending = found.anchors("pending")[0]
        assert failed.received_at - pending.received_at > (20 + VAIN_LOOKS - 1) * DAY * 1_000_000
