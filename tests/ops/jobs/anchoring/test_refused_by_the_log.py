"""Anchors that the log refuses, mostly since policy changed between the check and the append: owed again, not lost."""

from __future__ import annotations

from pathlib import Path

from opentimestamps.core.notary import PendingAttestation  # type: ignore[import-untyped]
from opentimestamps.core.op import OpAppend, OpSHA256  # type: ignore[import-untyped]
from opentimestamps.core.timestamp import Timestamp  # type: ignore[import-untyped]

from ops.jobs.anchoring.rows import find, keep
from ops.jobs.anchoring.tables import CONFIRMED, PENDING
from ops.jobs.anchoring.things import Thing, checkpoint_thing, confirmed, newest_checkpoint, payload, signed
from ops.jobs.outbox import deliver, put, waiting
from ops.timestamps.proofs import begun
from tests.ops.jobs.anchoring.anchorages import HOUR, Anchorage, anchorage
from tests.ops.jobs.anchoring.test_records_stamped import record_of
from tests.ops.timestamps.calendars import written

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


def promised_in_the_outbox(found: Anchorage, thing: Thing, proof: bytes) -> None:
    """Leave a promise in the outbox, as a worker that was killed right then."""
    url = found.calendars[0].url
    stated = payload(thing.what, thing.sha256, thing.tree_size, thing.note, "opentimestamps", url, proof, "pending")
    lease = found.work.lease("anchor")
    assert lease.take()
    with lease.write() as connection:
        assert keep(connection, url, "opentimestamps", thing, proof, PENDING, found.clock())
        put(connection, signed(found.work, thing.subject, stated))
    lease.release()


def a_long_proof(digest: bytes, url: str) -> bytes:
    """Return a promise whose event is longer than the shortest limit that policy can set."""
    promise = Timestamp(digest)
    place = promise
    for _ in range(3):
        place = place.ops.add(OpAppend(bytes(4_000))).ops.add(OpSHA256())
    place.attestations.add(PendingAttestation(url))
    return begun(digest, written(promise))


def test_a_checkpoint_whose_event_is_too_long_for_another_policy_is_owed_again(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        thing = checkpoint_thing(found.home, newest_checkpoint(found.home))
        promised_in_the_outbox(found, thing, a_long_proof(thing.digest, found.calendars[0].url))
        found.policy(max_event_bytes=16_384)
        found.run("anchor")
        assert waiting(found.work.database) == (0, [])
        assert found.counted() == {}
        (owed,) = found.owing("anchor")
        assert "policy allows 16384" in owed.waiting  # its service is not asked again and again for the same
        assert sum(found.calendars[0].submitted.values()) == 0
        found.policy()
        found.run("anchor")
        assert found.counted() == {"pending": 1}
        found.check()


def test_a_record_that_the_log_does_not_know_is_owed_again_and_not_asked_for(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        ghost = Thing("record", "pith:2026:QKNOCXGU37VTEACJ427TX64VQJ", b"gone")
        promised_in_the_outbox(found, ghost, found.outside.calendar(found.calendars[0].url).stamp(ghost.digest))
        found.run("anchor")
        assert waiting(found.work.database) == (0, [])
        with found.work.database.read() as connection:
            row = find(connection, found.calendars[0].url, ghost.sha256)
        assert row is not None
        assert row.state == "owed"
        assert row.said


def test_a_promise_signed_by_a_clock_that_went_ahead_reaches_the_log_when_it_is_right(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        found.run("checkpoint")
        thing = checkpoint_thing(found.home, newest_checkpoint(found.home))
        proof = found.outside.calendar(found.calendars[0].url).stamp(thing.digest)
        found.pass_time(400 * DAY)
        promised_in_the_outbox(found, thing, proof)
        found.pass_time(-400 * DAY)
        found.run("anchor")
        found.keep_promises()
        found.pass_time(HOUR)
        found.run("upgrade")
        assert found.counted() == {"pending": 1, "confirmed": 1}
        found.check()
