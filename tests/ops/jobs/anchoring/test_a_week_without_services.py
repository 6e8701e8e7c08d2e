"""Every service down for a week, while the registry goes on; then back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ledger.payloads import TimestampAnchor
from tests.ops.jobs.anchoring.anchorages import HOUR, Anchorage, anchorage
from tests.ops.timestamps.serving import Served

WEEK_HOURS = 7 * 24


def everybody(found: Anchorage) -> list[Served]:
    assert found.authority is not None
    return [*found.calendars, found.authority, found.explorer]


def test_a_week_without_any_service_disturbs_nothing_and_is_made_up_for_at_once(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=2, authority=True) as found:
        found.run()
        promised = found.counted()
        assert promised == {"pending": 2, "confirmed": 1}
        for number, served in enumerate(everybody(found)):
            served.switches.down = number % 2 == 0
            served.switches.refusing = number % 2 == 1
            served.requests.clear()

        sizes = []
        for hour in range(WEEK_HOURS):
            found.pass_time(HOUR)
            if hour % 4 == 0:
                found.event()  # what is submitted is appended as ever
            found.run()
            sizes.append(found.home.store.head().size)
            assert found.home.store.checkpoints.published().size == sizes[-1]
        assert found.counted() == promised
        assert sizes[-1] - sizes[0] == WEEK_HOURS // 4 - 1  # nothing but those events
        asked = {served.url: len(served.requests) for served in everybody(found)}
        assert all(number <= 60 for number in asked.values()), asked
        assert all(found.owing("anchor")[at].waiting.startswith("not before") for at in range(3))

        for served in everybody(found):
            served.switches.down = served.switches.refusing = False
        found.keep_promises()
        given = Counter(served.url for served in everybody(found) for _ in stamps(served))
        for _ in range(7):  # the longest that anybody rests
            found.pass_time(HOUR)
            found.run()
        after = Counter(served.url for served in everybody(found) for _ in stamps(served))
        assert after - given == Counter({clock.url: 1 for clock in found.services.anchoring.clocks})
        found.keep_promises()
        found.pass_time(2 * HOUR)
        found.run()

        assert found.counted() == {"pending": 4, "confirmed": 6}
        for clock in found.services.anchoring.clocks:
            told: list[TimestampAnchor] = [entry.event.payload for entry in found.anchors("confirmed")]
            covered = max(one.anchored.tree_size for one in told if one.service == clock.url)  # type: ignore[type-var]
            assert found.home.store.unanchored(covered) is None  # type: ignore[arg-type]
        assert found.owing("anchor") == []
        size = found.home.store.head().size
        for _ in range(5):
            found.pass_time(HOUR)
            found.run()
        assert found.home.store.head().size == size  # and nothing else
        found.check()


def stamps(served: Served) -> list[str]:
    """Return the submissions that a service took."""
    counted: Counter[str] = getattr(served, "submitted", None) or getattr(served, "stamped", Counter())
    return list(counted.elements())
