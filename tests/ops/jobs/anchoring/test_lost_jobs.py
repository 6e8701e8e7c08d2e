"""The worker's database lost: what was under way is found again from the log, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ops.jobs.anchoring.giving_up import VAIN_LOOKS
from ops.jobs.working import opened_work
from tests.ops.jobs.anchoring.anchorages import HOUR, Anchorage, anchorage


@contextmanager
def forgetful(found: Anchorage) -> Iterator[Anchorage]:
    """Go on as a worker whose database was deleted."""
    found.work.database.close()
    for path in found.home.settings.data.glob("jobs.db*"):
        path.unlink()
    with opened_work(found.home, found.services) as work:
        yield replace(found, work=replace(work, random=found.work.random))


def test_promises_are_found_again_and_upgraded(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=2, authority=True) as found:
        found.run()
        found.keep_promises()
        with forgetful(found) as again:
            again.pass_time(HOUR)
            again.run()
            assert again.counted() == {"pending": 2, "confirmed": 3}
            assert all(sum(calendar.submitted.values()) == 1 for calendar in found.calendars)
            again.check()


def test_what_is_anchored_is_not_anchored_again(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=2, authority=True) as found:
        found.run()
        found.keep_promises()
        found.pass_time(HOUR)
        found.run()
        before = found.counted()
        with forgetful(found) as again:
            for _ in range(5):
                again.pass_time(HOUR)
                again.run()
            assert again.counted() == before == {"pending": 2, "confirmed": 3}
            assert again.owing("anchor") == again.owing("upgrade") == []
            again.check()


def test_what_was_given_up_is_not_said_again(tmp_path: Path) -> None:
    with anchorage(tmp_path, give_up_seconds=24 * HOUR, stale_seconds=HOUR) as found:
        found.calendars[0].switches.refusing = False
        found.run()
        found.calendars[0].switches.refusing = True
        for _ in range(VAIN_LOOKS):
            found.pass_time(24 * HOUR)
            found.run("upgrade")
        assert found.counted() == {"pending": 1, "failed": 1}
        with forgetful(found) as again:
            for _ in range(3):
                again.pass_time(24 * HOUR)
                again.run("upgrade")
            assert again.counted() == {"pending": 1, "failed": 1}


def test_a_record_that_was_stamped_is_not_stamped_again(tmp_path: Path) -> None:
    with anchorage(tmp_path, authority=True) as found:
        subject = found.paper()
        found.ask(subject)
        found.run("stamp")
        before = found.counted()
        with forgetful(found) as again:
            again.ask(subject)
            again.run("stamp")
            assert again.counted() == before == {"pending": 1, "confirmed": 1}
            again.check()


def test_the_time_of_the_last_checkpoint_is_found_again(tmp_path: Path) -> None:
    with anchorage(tmp_path, every_seconds=6 * HOUR) as found:
        found.run()
        found.event()
        with forgetful(found) as again:
            again.pass_time(HOUR)
            again.run()
            assert again.counted() == {"pending": 1}
            again.pass_time(5 * HOUR)
            again.run()
            assert again.counted() == {"pending": 2}
