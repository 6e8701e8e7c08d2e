"""A row that is of no use, however it came to be, is noted and keeps no other from its turn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ops.jobs.anchoring.rows import change, find, keep
from ops.jobs.anchoring.stamping import submit
from ops.jobs.anchoring.tables import PENDING
from ops.jobs.anchoring.things import checkpoint_thing, newest_checkpoint
from tests.ops.jobs.anchoring.anchorages import HOUR, anchorage
from tests.ops.jobs.anchoring.test_records_stamped import record_of


def test_what_cannot_be_said_is_the_failure_of_one_submission(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        good = record_of(found, found.paper())
        bad = replace(good, subject="nobody's paper")
        lease = found.work.lease("stamp")
        assert lease.take()
        (clock,) = found.services.anchoring.clocks
        came = submit(found.work, lease, found.outside, {clock: [bad, good]})
        assert [one.state for one in came] == ["owed", "pending"]
        assert "cannot be said in the log" in came[0].said
        assert found.counted() == {"pending": 1}


def test_what_cannot_be_said_of_one_promise_keeps_no_other_from_being_confirmed(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        url = found.calendars[0].url
        bad = replace(checkpoint_thing(found.home, newest_checkpoint(found.home)), subject="nobody's registry")
        lease = found.work.lease("anchor")
        assert lease.take()
        proof = found.outside.calendar(url).stamp(bad.digest)
        with lease.write() as connection:
            keep(connection, url, "opentimestamps", bad, proof, PENDING, found.clock())
            change(connection, url, bad.sha256, {"event_id": bytes(32)})
        lease.release()
        found.ask(found.paper())
        found.run("stamp")
        found.keep_promises()
        found.pass_time(HOUR)
        (ran,) = found.run("upgrade")
        assert ran.outcome == "done"
        assert found.counted() == {"pending": 1, "confirmed": 1}
        with found.work.database.read() as connection:
            row = find(connection, url, bad.sha256)
        assert row is not None
        assert row.state == "pending"
        assert "cannot be said in the log" in row.said
