"""Anchors that the log refuses, because policy changed between the check and the append: owed again, not lost."""

from __future__ import annotations

from pathlib import Path

from ops.jobs.anchoring.rows import find, keep
from ops.jobs.anchoring.tables import CONFIRMED
from ops.jobs.anchoring.things import Thing, checkpoint_thing, confirmed, newest_checkpoint, payload, signed
from ops.jobs.outbox import deliver, put, waiting
from tests.ops.jobs.anchoring.anchorages import HOUR, Anchorage, anchorage
from tests.ops.jobs.anchoring.test_records_stamped import record_of

DAY = 24 * HOUR


def left_in_the_outbox(found: Anchorage, thing: Thing) -> None:
    """Leave a confirmed anchor in the outbox, as a worker that was killed right then, and change the policy."""
    (clock,) = found.services.anchoring.authorities
    assert found.authority is not None
    proof = found.outside.stamp(clock, thing.content, thing.digest, [found.authority.root_der])
    stated = payload(thing.what, thing.sha256, thing.tree_size, thing.note, "rfc3161", clock.url, proof, "pending")
    lease = found.work.lease("anchor")
    assert lease.take()
    with lease.write() as connection:
        assert keep(connection, clock.url, "rfc3161", thing, proof, CONFIRMED, found.clock())
        put(connection, signed(found.work, thing.subject, confirmed(found.work, stated)))
    found.policy(timestamp_roots=[])
    assert deliver(found.work, lease) == 0
    lease.release()
    assert waiting(found.work.database)[1][0].code == "anchor-untrusted"


def test_a_checkpoint_whose_anchor_was_refused_is_anchored_under_the_next_policy(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=0, authority=True) as found:
        left_in_the_outbox(found, checkpoint_thing(found.home, newest_checkpoint(found.home)))
        found.run("anchor")
        assert waiting(found.work.database) == (0, [])
        assert [owed.number for owed in found.owing("anchor")] == [1]
        found.policy()
        found.pass_time(2 * DAY)
        found.run("anchor")
        assert found.counted() == {"confirmed": 1}
        found.check()


def test_a_record_whose_anchor_was_refused_is_owed_again(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=0, authority=True) as found:
        thing = record_of(found, found.paper())
        left_in_the_outbox(found, thing)
        found.run("anchor")  # looks at what became of anchors, as every job does
        with found.work.database.read() as connection:
            row = find(connection, found.services.anchoring.authorities[0].url, thing.sha256)
        assert row is not None
        assert row.state == "owed"
        found.policy()
        found.pass_time(2 * DAY)
        found.run("stamp")
        assert found.counted()["confirmed"] >= 1
        found.check()
