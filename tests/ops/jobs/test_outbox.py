"""The outbox: what was decided reaches the log, once, whatever happens on the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from ledger.appending import Submission
from ledger.commitments import Disclosure
from ledger.errors import LeaseLostError, LogCorruptedError, UsageError
from ledger.events import Event
from ledger.registry import DEFAULT_POLICY
from ops.checkpointing import checkpoint
from ops.jobs.leases import Lease
from ops.jobs.outbox import AGAIN_SECONDS, BATCH, deliver, put, waiting, withdraw
from ops.jobs.tables import OUTBOX
from ops.jobs.work import Work
from ops.jobs.working import opened_work
from ops.rotation import rotate
from ops.services import Services
from tests.logs import Ticking
from tests.ops.homes import a_home
from tests.ops.shared import BOTH, registry_in


@pytest.fixture(params=BOTH)
def work(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Work]:
    with registry_in(request.param, tmp_path / "registry", request) as home, opened_work(home, Services()) as found:
        yield found


@pytest.fixture
def lease(work: Work) -> Lease:
    return taken(work)


def taken(work: Work, name: str = "anchor") -> Lease:
    lease = work.lease(name)
    assert lease.take()
    return lease


def a_policy(work: Work, skew: int = 300) -> Event:
    """Sign an event of the registry's own, a different one for each skew."""
    return work.signatory().sign("policy_set", "registry", {**DEFAULT_POLICY, "skew_seconds": skew})[0]


def store(lease: Lease, *events: Event) -> None:
    with lease.write() as connection:
        for event in events:
            put(connection, event, now=1)


def appended(work: Work, start: int = 5) -> list[bytes]:
    return [entry.event.event_id for entry in work.home.store.entries(start)]


def test_what_is_put_is_appended_in_order_and_removed(work: Work, lease: Lease) -> None:
    events = [a_policy(work, skew) for skew in (1, 2, 3)]
    store(lease, *events)
    assert waiting(work.database)[0] == 3
    assert deliver(work, lease) == 3
    assert appended(work) == [event.event_id for event in events]
    assert waiting(work.database) == (0, [])
    assert deliver(work, lease) == 0


def test_an_event_put_twice_is_one(work: Work, lease: Lease) -> None:
    event = a_policy(work)
    store(lease, event, event)
    store(lease, event)
    assert deliver(work, lease) == 1


def test_of_a_transaction_that_fails_no_event_remains(work: Work, lease: Lease) -> None:
    def fail_half_way() -> None:
        with lease.write() as connection:
            put(connection, a_policy(work))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert deliver(work, lease) == 0
    assert appended(work) == []


def test_an_event_that_reached_the_log_before_the_worker_died_is_not_appended_again(work: Work, lease: Lease) -> None:
    event = a_policy(work)
    store(lease, event)
    work.home.append([Submission(event)])  # and then it was killed
    assert deliver(work, lease) == 0
    assert appended(work) == [event.event_id]
    assert waiting(work.database)[0] == 0


def test_a_worker_that_lost_its_lease_removes_nothing_and_doubles_nothing(work: Work, lease: Lease) -> None:
    event = a_policy(work)
    store(lease, event)
    work.home.clock.advance(120)  # type: ignore[attr-defined]
    other = taken(work)
    with pytest.raises(LeaseLostError):
        deliver(work, lease)
    assert waiting(work.database)[0] == 1
    assert deliver(work, other) == 0  # the first had appended it
    assert appended(work) == [event.event_id]


def test_more_events_than_one_transaction_takes_are_delivered_too(work: Work, lease: Lease) -> None:
    store(lease, *(a_policy(work, skew) for skew in range(BATCH + 1)))
    assert deliver(work, lease) == BATCH + 1


def test_an_event_that_the_log_refuses_stays_with_its_reason_and_keeps_no_other_from_it(
    work: Work, lease: Lease
) -> None:
    clock: Ticking = work.home.clock  # type: ignore[assignment]
    small = {**DEFAULT_POLICY, "max_event_bytes": 16_384}
    work.home.append([Submission(work.signatory().sign("policy_set", "registry", small)[0])])
    blocks = {str(height): f"{height:064x}" for height in range(250)}
    bitcoin = [{"network": "regtest", "minimum_work_bits": 0, "checkpoints": blocks}]
    large = work.signatory().sign("policy_set", "registry", {**small, "bitcoin": bitcoin})[0]
    fine = work.signatory().sign("policy_set", "registry", {**small, "skew_seconds": 2})[0]
    store(lease, large, fine)
    assert deliver(work, lease) == 1
    assert appended(work, 6) == [fine.event_id]
    number, (refused,) = waiting(work.database)
    assert number == 1
    assert refused.event.event_id == large.event_id
    assert "policy allows 16384" in refused.reason
    assert refused.code == "too-large"

    work.home.append([Submission(a_policy(work, 3))])
    assert deliver(work, lease) == 0  # not offered again at once
    clock.advance(AGAIN_SECONDS)
    assert deliver(work, lease) == 1
    assert appended(work, 8) == [large.event_id]


def test_an_event_signed_by_a_clock_that_went_ahead_is_signed_again_when_it_is_right(work: Work, lease: Lease) -> None:
    clock: Ticking = work.home.clock  # type: ignore[assignment]
    clock.advance(400 * 86_400)
    early = a_policy(work, 1)
    clock.advance(-400 * 86_400)
    store(lease, early)
    assert deliver(work, lease) == 1
    (entry,) = work.home.store.entries(5)
    assert entry.event.event_id != early.event_id
    assert entry.event.value["payload"] == early.value["payload"]
    assert waiting(work.database) == (0, [])


def test_an_event_signed_before_its_key_was_rotated_is_signed_again_by_the_next_key(work: Work, lease: Lease) -> None:
    event = a_policy(work, 77)
    store(lease, event)
    old = work.signatory().key.key_id
    rotate(work.home, "event")
    before = work.home.store.head().size
    assert deliver(work, lease) == 1
    (entry,) = work.home.store.entries(before)
    assert entry.event.event_id != event.event_id
    assert entry.event.signer.key_id == work.signatory().key.key_id != old
    assert entry.event.payload == event.payload
    assert waiting(work.database) == (0, [])


def test_an_event_that_reached_the_log_before_the_rotation_is_not_signed_again(work: Work, lease: Lease) -> None:
    event = a_policy(work, 77)
    store(lease, event)
    work.home.append([Submission(event)])
    rotate(work.home, "event")
    before = work.home.store.head().size
    assert deliver(work, lease) == 0
    assert work.home.store.head().size == before
    assert waiting(work.database)[0] == 0


def test_private_texts_go_to_the_log_with_their_event(work: Work, lease: Lease) -> None:
    evidence = {
        "identifier": "orcid:0000-0002-1825-0097",
        "method": "a test",
        "evidence": "what was seen",
        "proven_at": "2026-06-19T16:00:00Z",
        "key_id": work.signatory().key.key_id,
    }
    event, disclosures = work.signatory().sign("identity_evidence", "registry", evidence)
    with lease.write() as connection:
        put(connection, event, disclosures)
    assert deliver(work, lease) == 1
    position = work.home.store.head().size - 1
    found: dict[str, Disclosure] = work.home.store.disclosures([position])[position]
    assert found["evidence"].text == "what was seen"


def test_an_event_that_is_taken_out_again_is_not_appended(work: Work, lease: Lease) -> None:
    event = a_policy(work)
    store(lease, event)
    with lease.write() as connection:
        withdraw(connection, event)
    assert deliver(work, lease) == 0


def test_a_mirror_appends_nothing_of_its_own(work: Work, lease: Lease) -> None:
    store(lease, a_policy(work))
    work.home.settings.followed_path.write_bytes(b"")
    with pytest.raises(UsageError, match="mirror"):
        deliver(work, lease)
    assert appended(work) == []


def test_nothing_is_appended_to_a_log_that_is_no_continuation_of_what_was_signed(
    work: Work, lease: Lease, tmp_path: Path
) -> None:
    store(lease, a_policy(work))
    other = a_home(tmp_path / "other", Ticking())
    other.append([Submission(a_policy(dataclasses.replace(work, home=other), 9))])
    checkpoint(other)
    work.home.settings.signed_path.write_bytes(other.settings.signed_path.read_bytes())
    other.close()
    with pytest.raises(LogCorruptedError):
        deliver(work, lease)
    assert appended(work) == []
    with work.database.read() as connection:
        assert len(connection.execute(select(OUTBOX)).all()) == 1
