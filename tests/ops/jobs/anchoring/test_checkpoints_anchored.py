"""Checkpoints to outside clocks: when they are owed, and what the log says of it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.anchors import check_proof
from ledger.payloads import TimestampAnchor
from ledger.registry import proof_of
from ops.checkpointing import newest
from ops.home import now
from ops.jobs.anchoring.owed import NO_ROOTS
from ops.jobs.anchoring.rows import in_state
from ops.jobs.anchoring.things import MAX_NOTE, checkpoint_thing, newest_checkpoint
from ops.services import Services
from tests.ops.jobs.anchoring.anchorages import HOUR, anchorage
from tests.ops.jobs.workers import run_at_once
from tests.ops.timestamps.authorities import Authority


def test_a_new_checkpoint_goes_to_every_clock_at_once(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=2, authority=True) as found:
        found.run("anchor")
        assert found.counted() == {"pending": 2, "confirmed": 1}
        checkpoint = found.home.store.checkpoints.at(7)
        for entry in found.anchors():
            payload: TimestampAnchor = entry.event.payload
            assert entry.event.target == payload.anchored.what == "checkpoint"
            assert payload.anchored.note == checkpoint.note.decode()
            assert payload.anchored.tree_size == 7
            assert payload.anchored.sha256 == hashlib.sha256(checkpoint.note).hexdigest()
            check_proof(payload.method, bytes.fromhex(payload.anchored.sha256), proof_of(payload))
        services = {entry.event.payload.service for entry in found.anchors()}
        assert services == {clock.url for clock in found.services.anchoring.clocks}
        assert found.home.store.registry().anchored_size() == 7  # the authority's word counts at once
        found.check()


def test_an_idle_registry_anchors_nothing_since_anchors_owe_none(tmp_path: Path) -> None:
    with anchorage(tmp_path, authority=True) as found:
        found.run()
        found.keep_promises()
        for _ in range(48):
            found.pass_time(HOUR)
            found.run()
        assert found.counted() == {"pending": 1, "confirmed": 2}
        assert sum(found.calendars[0].submitted.values()) == 1
        assert found.owing("anchor") == []


def test_a_busy_registry_is_anchored_once_in_the_time_that_is_set(tmp_path: Path) -> None:
    with anchorage(tmp_path, every_seconds=6 * HOUR) as found:
        for hour in range(24):
            found.run("anchor")
            found.event()
            owing = found.owing("anchor")
            assert [owed.number for owed in owing] == [1], hour
            found.pass_time(HOUR)
        assert sum(found.calendars[0].submitted.values()) == 4
        assert "asked every 21600 seconds" in owing[0].waiting
        found.check()


def test_two_workers_at_once_anchor_once(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=2, authority=True) as found:
        outcomes = run_at_once(found, "anchor", workers=4)
        assert outcomes.count("done") >= 1
        assert found.counted() == {"pending": 2, "confirmed": 1}
        found.check()


def test_a_clock_that_jumps_doubles_nothing(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=2, authority=True) as found:
        found.run()
        for days in (20, -20, -400, 400, 25):
            found.pass_time(days * 86_400)
            found.run()
        found.check()
        assert found.counted() == {"pending": 2, "confirmed": 1}
        assert all(sum(calendar.submitted.values()) == 1 for calendar in found.calendars)


def test_an_authority_is_not_asked_while_policy_accepts_no_root(tmp_path: Path) -> None:
    with anchorage(tmp_path, authority=True) as found:
        assert found.authority is not None
        found.policy(timestamp_roots=[])
        found.run("anchor")
        assert found.counted() == {"pending": 1}
        assert found.authority.queries == []
        (owed,) = found.owing("anchor")
        assert owed.waiting == NO_ROOTS
        found.policy()
        found.pass_time(HOUR)
        found.run("anchor")
        assert found.counted()["confirmed"] == 1


def test_a_reply_under_a_root_that_policy_does_not_accept_is_no_anchor(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=0, authority=True) as found, Authority(tmp_path / "another") as another:
        found.policy(timestamp_roots=[base64.b64encode(another.root_der).decode()])
        found.run("anchor")
        assert found.anchors() == []
        (owed,) = found.owing("anchor")
        assert "give the root its certificate leads to: `pith policy --timestamp-root root.pem`" in owed.waiting
        found.pass_time(HOUR)
        found.run("anchor")
        assert len(found.authority.queries) == 1  # type: ignore[union-attr]  # it rests a day
        found.policy()
        found.run("anchor")  # and is asked at once, since other roots may be accepted now
        assert found.counted() == {"confirmed": 1}


def test_where_witnesses_have_to_sign_only_what_is_published_is_anchored(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        newest(found.home)
        policy = tmp_path / "policy"
        policy.write_text("quorum none\n")
        home = replace(found.home, settings=replace(found.home.settings, witness_policy=policy))
        found = replace(found, home=home, work=replace(found.work, home=home))
        found.run("anchor")
        assert [entry.event.payload.anchored.tree_size for entry in found.anchors()] == [7]
        found.event()
        found.pass_time(HOUR)
        found.run("anchor")  # nothing newer is published
        assert len(found.anchors()) == 1
        found.run("checkpoint")
        found.run("anchor")
        assert [entry.event.payload.anchored.tree_size for entry in found.anchors()] == [7, 9]
        found.check()


def test_a_note_too_long_for_an_event_is_anchored_without_the_signatures_of_others(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        signed = newest_checkpoint(found.home)
        own = signed.note.decode().splitlines()[-1]
        cosigned = b"".join(f"— witness.example/{number} {own.split()[-1]}\n".encode() for number in range(40))
        thing = checkpoint_thing(found.home, replace(signed, note=signed.note + cosigned))
        assert len(signed.note + cosigned) > MAX_NOTE
        assert thing.content == signed.note


def test_without_any_service_nothing_happens(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        bare = replace(found, services=Services(), work=replace(found.work, services=Services()))
        assert [ran.outcome for ran in bare.run("anchor", "stamp", "upgrade")] == ["done", None, "done"]
        assert bare.anchors() == []
        assert bare.owing("anchor") == []


@pytest.mark.parametrize("switch", ["down", "refusing", "hanging", "endless", "huge", "garbage"])
def test_a_service_that_fails_keeps_no_other_from_its_work(tmp_path: Path, switch: str) -> None:
    with anchorage(tmp_path, number=2, authority=True) as found:
        assert found.authority is not None
        found.outside.seconds = 1.0
        setattr(found.calendars[0].switches, switch, True)
        (ran,) = found.run("anchor")
        assert ran.outcome == "done"
        assert found.counted() == {"pending": 1, "confirmed": 1}
        (owed,) = found.owing("anchor")
        assert owed.waiting.startswith("not before")
        setattr(found.calendars[0].switches, switch, False)
        found.pass_time(86_401)
        found.run("anchor")
        assert found.counted() == {"pending": 2, "confirmed": 1}
        found.check()


def test_certificate_that_ends_soon_is_stamped_over_once_even_in_an_idle_registry(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=0, authority=True, renew_seconds=30 * 86_400) as found:
        # The authority's certificate holds for a hundred days of real time; this test's time is set beside it.
        found.clock.now = now()
        found.run("anchor")
        assert found.counted() == {"confirmed": 1}
        found.pass_time(60 * 86_400)
        found.run("anchor")
        assert found.counted() == {"confirmed": 1}
        found.pass_time(15 * 86_400)
        for _ in range(3):
            found.run("anchor")
            found.pass_time(2 * HOUR)
        assert found.counted() == {"confirmed": 2}
        sizes = [entry.event.payload.anchored.tree_size for entry in found.anchors()]
        assert sizes == [7, 8]
        assert [row.tree_size for row in in_state(found.work.database, "renewed")] == []  # it ends as soon
        assert found.authority is not None
        found.authority.renew(days=400)
        found.pass_time(26 * 86_400)
        found.run("anchor")
        assert found.counted() == {"confirmed": 3}
        assert len(in_state(found.work.database, "renewed")) == 2
        found.check()
