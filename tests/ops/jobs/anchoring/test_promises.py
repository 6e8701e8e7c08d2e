"""Promises of calendars: asked about ever less often, kept when headers bear them out, given up in the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.payloads import TimestampAnchor
from ops.jobs.anchoring.rows import keep, revive
from ops.jobs.anchoring.things import checkpoint_thing, newest_checkpoint, payload, signed
from ops.jobs.outbox import put
from ops.rotation import rotate
from ops.services import Calendar, HeaderSource
from tests.ops.jobs.anchoring.anchorages import HOUR, REGTEST, Anchorage, anchorage
from tests.ops.jobs.workers import run_at_once
from tests.ops.timestamps.calendars import Explorer
from tests.ops.timestamps.chains import ToyChain

DAY = 24 * HOUR


def wait(found: Anchorage, seconds: float = 2 * HOUR) -> None:
    """Let some time pass and the promises be asked about."""
    found.pass_time(seconds)
    found.run("upgrade")


def why(found: Anchorage) -> str:
    (owed,) = found.owing("upgrade")
    return owed.waiting


def test_a_promise_counts_for_nothing_until_headers_bear_it_out(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        found.run("anchor")
        wait(found)
        assert found.counted() == {"pending": 1}
        assert found.home.store.registry().anchored_size() == 0
        assert why(found) == "promised; its block has not come yet"
        found.calendars[0].anchor()
        wait(found)  # the block is there, and not deep enough
        assert found.counted() == {"pending": 1}
        assert why(found) == "block 101 is 1 of 6 deep"
        assert [owed.what.split(" of ")[0] for owed in found.owing("upgrade")] == ["1 promise"]
        found.explorer.chain.grow(5)
        wait(found)
        assert found.counted() == {"pending": 1, "confirmed": 1}
        assert found.home.store.registry().anchored_size() == 7
        pending, confirmed = (entry.event for entry in found.anchors())
        told: TimestampAnchor = confirmed.payload
        assert told.upgrades == pending.id_text
        assert told.height == 101
        assert told.block_header == found.explorer.chain.header(101).hex()  # type: ignore[union-attr]
        wait(found, 100 * DAY)
        assert found.counted() == {"pending": 1, "confirmed": 1}
        found.check()


def test_a_calendar_is_asked_about_a_promise_first_after_minutes_then_hourly(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        found.run("anchor")
        asked = []
        for _ in range(24 * 12):
            wait(found, 300)
            asked.append(sum(found.calendars[0].asked.values()))
        assert asked[0] == 0
        assert asked[2] == 1
        assert 24 <= asked[-1] <= 60


def test_two_workers_at_once_confirm_once(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=3) as found:
        found.run("anchor")
        found.keep_promises()
        found.pass_time(HOUR)
        run_at_once(found, "upgrade", workers=4)
        assert found.counted() == {"pending": 3, "confirmed": 3}
        found.check()


@pytest.mark.parametrize("lie", ["digest", "block"])
def test_a_calendar_that_makes_up_its_upgrades_confirms_nothing(tmp_path: Path, lie: str) -> None:
    with anchorage(tmp_path) as found:
        found.run("anchor")
        found.calendars[0].lies = lie  # type: ignore[assignment]
        found.keep_promises()
        wait(found)
        assert found.counted() == {"pending": 1}
        assert "promised; its block" not in why(found)
        found.calendars[0].lies = ""
        wait(found, 2 * DAY)
        assert found.counted() == {"pending": 1, "confirmed": 1}
        found.check()


def test_sources_of_headers_that_do_not_agree_confirm_nothing(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found, Explorer(ToyChain(found.clock)) as liar:
        liar.chain.grow(10)
        sources = (*found.services.anchoring.headers, HeaderSource("esplora", liar.url))
        found = found.changed(headers=sources)
        found.run("anchor")
        found.keep_promises()
        wait(found)
        assert found.counted() == {"pending": 1}
        assert "not the same everywhere" in why(found)
        liar.switches.down = True
        wait(found)
        assert found.counted() == {"pending": 1, "confirmed": 1}


def test_a_header_that_policy_does_not_accept_waits_for_another_policy(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        found.policy(bitcoin=[{"network": "mainnet", "minimum_work_bits": 60, "checkpoints": {}}])
        found.run("anchor")
        found.keep_promises()
        wait(found)
        assert found.counted() == {"pending": 1}
        assert "hashes of work" in why(found)
        assert why(found).endswith("`pith anchor` asks at once")
        found.policy(bitcoin=REGTEST)
        found.run("upgrade")  # at once, however long it was to rest
        assert found.counted() == {"pending": 1, "confirmed": 1}


def test_a_reorganised_chain_is_waited_for(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        found.run("anchor")
        chain = found.explorer.chain
        assert isinstance(chain, ToyChain)
        found.keep_promises()
        kept = chain.header(101)
        chain.replace(101)
        wait(found)
        assert found.counted() == {"pending": 1}
        assert "block 101" in why(found)
        chain._headers[0] = kept  # type: ignore[call-overload]  # the first branch wins after all
        wait(found)
        assert found.counted() == {"pending": 1, "confirmed": 1}


def test_a_calendar_that_never_confirms_is_noticed_and_another_is_used(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=2, use=1, stale_seconds=2 * DAY, every_seconds=6 * HOUR) as found:
        bad, good = found.calendars
        bad.never_confirms = True
        for _ in range(24):
            found.event()
            found.run("anchor", "upgrade")
            found.pass_time(6 * HOUR)
            good.anchor()
            found.explorer.chain.grow(6)
        given = sum(bad.submitted.values())
        assert given == 8 + 4  # every six hours for two days; once a day since
        assert sum(good.submitted.values()) == 24 - 8
        assert found.home.store.registry().anchored_size() > 0
        stale = next(owed for owed in found.owing("upgrade") if "stale" in owed.waiting)
        assert stale.number == given
        found.check()


def test_a_promise_that_is_never_kept_is_given_up_once_and_taken_up_again_by_hand(tmp_path: Path) -> None:
    with anchorage(tmp_path, give_up_seconds=30 * DAY) as found:
        found.calendars[0].never_confirms = True
        found.run("anchor")
        for _ in range(31):
            wait(found, DAY)
        assert found.counted() == {"pending": 1, "failed": 1}
        pending, failed = (entry.event for entry in found.anchors())
        assert failed.payload.upgrades == pending.id_text
        for _ in range(5):
            wait(found, DAY)
        assert found.counted() == {"pending": 1, "failed": 1}
        (owed,) = found.owing("upgrade")
        assert owed.is_given_up and "pith anchor --again" in owed.waiting
        assert revived(found) == 1
        wait(found)
        for _ in range(31):
            wait(found, DAY)
        assert found.counted() == {"pending": 1, "failed": 1}  # said once
        assert revived(found) == 1
        found.calendars[0].never_confirms = False
        found.keep_promises()
        wait(found)
        assert found.counted() == {"pending": 1, "failed": 1, "confirmed": 1}
        found.check()


def test_a_promise_of_a_calendar_that_is_gone_is_confirmed_by_what_it_told_before(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        found.run("anchor")
        found.calendars[0].anchor()
        wait(found)  # the proof is complete; the block is not deep enough
        found.calendars[0].switches.refusing = True
        found.explorer.chain.grow(6)
        wait(found)
        assert found.counted() == {"pending": 1, "confirmed": 1}


def test_a_calendar_that_is_not_configured_any_more_is_not_asked(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=2) as found:
        found.run("anchor")
        gone, kept = found.calendars
        found.keep_promises()
        found = found.changed(calendars=(Calendar(kept.url),))
        wait(found)
        assert sum(gone.asked.values()) == 0
        assert found.counted() == {"pending": 2, "confirmed": 1}
        assert why(found) == "its service is not configured any more"
        for _ in range(31):
            wait(found, DAY)
        assert found.counted() == {"pending": 2, "confirmed": 1, "failed": 1}


def test_one_calendar_that_hangs_keeps_no_other_promise_waiting(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=2) as found:
        found.run("anchor")
        found.keep_promises()
        found.outside.seconds = 1.0
        found.outside.__dict__.pop("fetching", None)
        found.outside._calendars.clear()
        found.calendars[0].switches.hanging = True
        wait(found)
        assert found.counted() == {"pending": 2, "confirmed": 1}
        found.calendars[0].switches.hanging = False
        wait(found, DAY)
        assert found.counted() == {"pending": 2, "confirmed": 2}


def test_a_promise_whose_event_was_signed_before_a_rotation_is_upgraded_all_the_same(tmp_path: Path) -> None:
    """The event is signed again on its way to the log; the upgrade names the one that stands there."""
    with anchorage(tmp_path) as found:
        lease = found.work.lease("anchor")
        assert lease.take()
        thing = checkpoint_thing(found.home, newest_checkpoint(found.home))
        url = found.calendars[0].url
        proof = found.outside.calendar(url).stamp(thing.digest)
        stated = payload("checkpoint", thing.sha256, 7, thing.note, "opentimestamps", url, proof, "pending")
        event = signed(found.work, thing.subject, stated)
        with lease.write() as connection:  # as the job does, which was killed right then
            assert keep(connection, url, "opentimestamps", thing, proof, "pending", found.clock())
            put(connection, event)
        lease.release()
        rotate(found.home, "event")
        found.keep_promises()
        wait(found)
        wait(found)
        pending, confirmed = (entry.event for entry in found.anchors())
        assert pending.event_id != event.event_id
        assert confirmed.payload.upgrades == pending.id_text
        found.check()


def revived(found: Anchorage) -> int:
    """Take up again what was given up; return how much that was."""
    lease = found.work.lease("upgrade")
    assert lease.take()
    with lease.write() as connection:
        number = revive(connection, found.clock())
    lease.release()
    return number
