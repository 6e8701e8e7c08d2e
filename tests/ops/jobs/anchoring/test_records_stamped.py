"""Single records, as people ask for it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from ledger import canonical
from ledger.payloads import RecordCreated, TimestampAnchor
from ops.jobs.anchoring.things import Thing, record_thing
from ops.jobs.requests import open_here
from tests.ops.jobs.anchoring.anchorages import HOUR, Anchorage, anchorage
from tests.ops.jobs.workers import run_at_once
from tests.ops.timestamps.authorities import Authority


def record_of(found: Anchorage, subject: str) -> Thing:
    found.home.catch_up()
    return record_thing(found.home, subject)


def test_a_record_goes_to_every_clock_at_once_and_its_anchor_is_about_its_canonical_hash(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=2, authority=True) as found:
        assert found.authority is not None
        subject = found.paper()
        assert found.run("stamp")[0].outcome is None  # nobody asked
        found.ask(subject)
        found.run("stamp")
        assert found.counted() == {"pending": 2, "confirmed": 1}
        created = found.home.store.of_subjects([subject], 99)[subject][0].event
        record: RecordCreated = created.payload
        content = canonical.encode(record.canonical_record)
        for entry in found.anchors():
            told: TimestampAnchor = entry.event.payload
            assert entry.event.subject == subject
            assert entry.event.target == told.anchored.what == "record"
            assert told.anchored.sha256 == record.canonical_sha256 == hashlib.sha256(content).hexdigest()
        (digest,) = found.authority.stamped
        assert digest == record.canonical_sha256
        found.keep_promises()
        found.pass_time(HOUR)
        found.run("upgrade")
        assert found.counted() == {"pending": 2, "confirmed": 3}
        found.check()


def test_asking_twice_stamps_once(tmp_path: Path) -> None:
    with anchorage(tmp_path, authority=True) as found:
        subject = found.paper()
        for _ in range(3):
            found.ask(subject)
            found.run("stamp")
            found.pass_time(HOUR)
        assert found.counted() == {"pending": 1, "confirmed": 1}
        found.check()


def test_two_workers_at_once_stamp_once(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=2, authority=True) as found:
        found.ask(found.paper())
        run_at_once(found, "stamp", workers=4)
        assert found.counted() == {"pending": 2, "confirmed": 1}
        found.check()


def test_a_request_leaves_the_private_tables_only_when_it_stands_here(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        for calendar in found.calendars:
            calendar.switches.down = True
        found.ask(found.paper())
        found.run("stamp")
        assert found.asked() == []
        assert open_here(found.work.database, "timestamp") == []  # it became rows, one for each service
        (owed,) = found.owing("stamp")
        assert "503" in owed.waiting
        assert owed.what.startswith("1 record to ")
        found.calendars[0].switches.down = False
        found.pass_time(HOUR)
        found.run("stamp")
        assert found.counted() == {"pending": 1}
        assert found.owing("stamp") == []


def test_a_service_that_was_down_gets_the_record_later_and_the_others_not_again(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=2, authority=True) as found:
        found.calendars[1].switches.refusing = True
        found.ask(found.paper())
        found.run("stamp")
        assert found.counted() == {"pending": 1, "confirmed": 1}
        assert found.run("stamp")[0].outcome is None  # it rests
        found.calendars[1].switches.refusing = False
        found.pass_time(HOUR)
        found.run("stamp")
        assert found.counted() == {"pending": 2, "confirmed": 1}
        assert sum(found.calendars[0].submitted.values()) == 1


def test_a_record_that_was_refused_is_stamped_as_soon_as_policy_changes(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=0, authority=True) as found, Authority(tmp_path / "another") as another:
        found.policy(timestamp_roots=[base64.b64encode(another.root_der).decode()])
        found.ask(found.paper())
        found.run("stamp")
        assert found.anchors() == []
        found.pass_time(HOUR)
        assert found.run("stamp")[0].outcome is None  # it rests
        found.policy()
        found.run("stamp")
        assert found.counted() == {"confirmed": 1}


def test_only_as_many_services_as_are_used_get_a_record(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=3, authority=True, use=2) as found:
        found.ask(found.paper())
        found.run("stamp")
        assert found.counted() == {"pending": 1, "confirmed": 1}  # one of each kind


def test_a_request_for_a_paper_that_is_not_here_is_put_aside(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        found.ask("pith:2026:AAAAAAAAAAAAAAAAAAAAAAAAAA")
        (ran,) = found.run("stamp")
        assert ran.outcome == "done"
        assert open_here(found.work.database, "timestamp") == []
        assert found.run("stamp")[0].outcome is None
        assert found.anchors() == []
