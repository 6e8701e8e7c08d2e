"""What the logs of one registry share, and what belongs to one of them alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import ForeignLogError, InvalidFieldError, LogCorruptedError, MissingFieldError, SubmissionError
from ledger.events import Event
from ledger.shared import is_shared, standing
from tests.builders import ALICE, CAROL, OTHER_NUMBER, OTHER_PAPER, OTHER_RECORD, SUCCESSOR, World
from tests.logs import Log, fault
from tests.many_logs import LABEL, ORIGIN, TwoLogs, an_empty_log_beside, record_beside, two_logs
from tests.projections.papers import confirmed_checkpoint


@pytest.fixture
def logs(tmp_path: Path) -> TwoLogs:
    return two_logs(tmp_path)


def shared_ids(log: Log) -> list[bytes]:
    registry = log.store.registry()
    return [entry.event.event_id for entry in log.store.entries() if is_shared(entry.event, registry)]


# Copying.


def test_every_key_and_policy_event_is_copied_byte_for_byte_and_in_order(logs: TwoLogs) -> None:
    logs.first.admit(logs.world.citation(), logs.world.proof_of_identity(ALICE), logs.world.checkpoint_anchor())
    logs.beside.admit(logs.world.graph_snapshot(OTHER_NUMBER))
    logs.first.admit(logs.world.registration(CAROL), logs.world.rotation(ALICE, SUCCESSOR))
    logs.share()
    assert shared_ids(logs.beside) == shared_ids(logs.first)
    copied = {entry.event.event_id: entry.event.raw for entry in logs.beside.store.entries()}
    assert all(copied[entry.event.event_id] == entry.event.raw for entry in logs.first.store.of_registry(0, 9))


def test_a_copy_was_received_when_the_first_log_received_it(logs: TwoLogs) -> None:
    for entry in logs.beside.store.entries(0, 9):
        assert entry.received_at == logs.first.store.find(entry.event.event_id).received_at


def test_a_copy_that_comes_late_is_received_no_earlier_than_what_stands_before_it(logs: TwoLogs) -> None:
    late = logs.first.admit(logs.world.registration(CAROL))
    logs.first.clock.advance(60)
    before = logs.beside.admit(logs.world.graph_snapshot(OTHER_NUMBER))
    logs.share()
    copied = logs.beside.store.find(late.event.event_id)
    assert late.received_at < before.received_at == copied.received_at


def test_copying_again_changes_nothing(logs: TwoLogs) -> None:
    size = logs.beside.store.head().size
    logs.share()
    assert logs.beside.store.head().size == size


def test_anchors_of_checkpoints_are_not_shared(logs: TwoLogs) -> None:
    registry = logs.first.store.registry()
    assert not is_shared(logs.world.checkpoint_anchor(), registry)
    assert not is_shared(logs.world.record_created(), registry)
    assert not is_shared(logs.world.author_identity(), registry)
    assert is_shared(logs.world.proof_of_identity(ALICE), registry)


# What a log beside the first takes only as a copy.


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(lambda world: world.registration(CAROL), id="a key"),
        pytest.param(lambda world: world.rotation(ALICE, SUCCESSOR), id="a rotation"),
        pytest.param(lambda world: world.revocation(ALICE), id="a revocation"),
        pytest.param(lambda world: world.proof_of_identity(ALICE), id="a proof of identity"),
        pytest.param(lambda world: world.policy(), id="a policy"),
    ],
)
def test_keys_and_policies_are_taken_by_the_first_log_alone(logs: TwoLogs, event: Callable[[World], Event]) -> None:
    made = event(logs.world)
    assert type(logs.beside.refusal(made)) is ForeignLogError
    entry = logs.first.admit(made)
    # Once it is here as a copy, handing it in again is answered like any event that is known.
    logs.share()
    assert logs.beside.admit(made).event.event_id == entry.event.event_id


# What belongs to one log.


def test_a_record_is_taken_only_by_the_log_it_was_made_for(logs: TwoLogs) -> None:
    (created,) = (e.event for e in logs.beside.store.entries() if e.event.event_type == "record_created")
    assert fault(logs.first, created) == (ForeignLogError, "payload.log")
    (created,) = (e.event for e in logs.first.store.entries() if e.event.event_type == "record_created")
    assert fault(logs.beside, created) == (ForeignLogError, "payload.log")


def test_nothing_about_a_record_of_another_log_is_taken(logs: TwoLogs) -> None:
    error = logs.beside.refusal(logs.world.graph_snapshot())
    assert error.code == "record-missing"


def test_a_log_that_policy_does_not_name_takes_no_records(tmp_path: Path, log: Log) -> None:
    secret = an_empty_log_beside(tmp_path, log, "secret")
    secret.store.copy_shared(list(log.store.of_registry(0, 8)))
    error = secret.refusal(record_beside(log.world, "secret"))
    assert (type(error), error.message) == (ForeignLogError, "the registry's policy names no log 'secret'")


def test_the_anchor_of_another_logs_checkpoint_is_refused(logs: TwoLogs) -> None:
    of_first, of_beside = logs.first.checkpoint(), logs.beside.checkpoint()
    for log, signed in ((logs.beside, of_first), (logs.first, of_beside)):
        anchor = confirmed_checkpoint(logs.world, signed.size, signed.note.decode())
        assert fault(log, anchor) == (ForeignLogError, "payload.anchored.note")


def test_the_anchor_of_a_logs_own_checkpoint_counts_there_alone(logs: TwoLogs) -> None:
    signed = logs.beside.checkpoint()
    logs.beside.admit(confirmed_checkpoint(logs.world, signed.size, signed.note.decode()))
    assert logs.beside.store.registry().anchored_size() == signed.size
    assert logs.first.store.registry().anchored_size() == 0


def test_an_anchor_beside_the_first_log_says_by_its_note_whose_it_is(logs: TwoLogs) -> None:
    bare = logs.world.checkpoint_anchor()
    assert fault(logs.beside, bare) == (MissingFieldError, "payload.anchored.note")
    logs.first.admit(bare)


@pytest.mark.parametrize("label", ["", "A", "-a", "a-", "a/b", "a" * 32, "a b", "2027\n"])
def test_a_record_is_made_for_no_log_of_another_spelling(logs: TwoLogs, label: str) -> None:
    with pytest.raises(SubmissionError) as caught:
        logs.world.record_created(OTHER_RECORD, OTHER_PAPER, log=label)
    assert caught.value.place == "payload.log"


def test_a_policy_names_no_log_twice(logs: TwoLogs) -> None:
    assert fault(logs.first, logs.world.policy(logs=[LABEL, LABEL])) == (InvalidFieldError, "payload.logs")


def test_each_log_says_its_own_origin(logs: TwoLogs) -> None:
    assert logs.beside.checkpoint().note.startswith(f"{ORIGIN}\n".encode())
    assert logs.first.checkpoint().note.startswith(ORIGIN.removesuffix(f"/{LABEL}").encode() + b"\n")


# How a log stands.


def test_a_log_that_has_everything_stands_so(logs: TwoLogs) -> None:
    found = standing(list(logs.first.store.entries()), logs.beside.store.entries(), logs.first.store.registry())
    assert (found.held, found.behind, found.left_out) == (9, (), ())


def test_what_a_log_misses_is_told_in_order(logs: TwoLogs) -> None:
    missed = [logs.world.registration(CAROL), logs.world.policy(logs=[LABEL])]
    logs.first.admit(*missed)
    found = standing(list(logs.first.store.entries()), logs.beside.store.entries(), logs.first.store.registry())
    assert [entry.event.event_id for entry in found.behind] == [event.event_id for event in missed]


def test_what_came_too_late_is_left_out_and_what_follows_is_taken(logs: TwoLogs) -> None:
    brief = logs.world.registration(CAROL, not_after="2026-06-19T16:01:00Z")
    logs.first.admit(brief)
    logs.share()
    last_words, later = logs.world.revocation(CAROL), logs.world.proof_of_identity(ALICE)
    logs.first.admit(last_words, later)
    # The log beside went on meanwhile, past the end of the key.
    logs.first.clock.advance(3_600)
    logs.beside.admit(logs.world.graph_snapshot(OTHER_NUMBER))
    registry, entries = logs.first.store.registry(), list(logs.first.store.entries())
    behind = standing(entries, logs.beside.store.entries(), registry).behind
    refused, taken = logs.beside.store.copy_shared(behind)
    assert isinstance(refused, SubmissionError)
    assert not isinstance(taken, SubmissionError)
    found = standing(entries, logs.beside.store.entries(), registry)
    assert ([entry.event.event_id for entry in found.left_out], found.behind) == ([last_words.event_id], ())


def test_a_log_with_a_key_event_of_its_own_does_not_stand(logs: TwoLogs) -> None:
    own = logs.first.admit(logs.world.registration(CAROL))
    logs.beside.store.copy_shared([own])
    entries = list(logs.first.store.entries(0, own.position))
    with pytest.raises(LogCorruptedError, match="that the first log has not"):
        standing(entries, logs.beside.store.entries(), logs.first.store.registry())


def test_a_log_with_another_order_of_key_events_does_not_stand(logs: TwoLogs) -> None:
    one, other = logs.world.registration(CAROL), logs.world.proof_of_identity(ALICE)
    logs.first.admit(one, other)
    entries = list(logs.first.store.entries())
    logs.beside.store.copy_shared([entries[-1], entries[-2]])
    with pytest.raises(LogCorruptedError, match="in another order"):
        standing(entries, logs.beside.store.entries(), logs.first.store.registry())
