"""Anchors and storage in `verification_status`, and the ladder of `attestation_state`."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.checkpoints import Checkpoint, issue
from ledger.errors import AnchorError, VerificationError
from ledger.events import Entry, Event
from ledger.keyring import NOW, microseconds
from ledger.log_keys import log_origin
from ops import regtest
from tests.builders import ALICE, BOB, CHECKER, HASH, NUMBER, OPENED, REGISTRY, Who, World, key
from tests.logs import Log
from tests.projections.papers import (
    HEIGHT,
    confirmed_anchor,
    confirmed_checkpoint,
    proof_over,
    regtest_policy,
    state,
    status,
    strict_policy,
)

ARCHIVE = {"kind": "wayback", "url": "https://web.archive.org/web/2026/https://arxiv.org/abs/2606.00001"}
ELSEWHERE = {"kind": "https", "url": "https://example.org/paper.pdf"}
SECOND_CHECKER = Who(key("second checker"), "contributor", "name:second-checker")


def check(log: Log, outcome: str = "stored", who: Who = CHECKER, **changes: Any) -> Entry:
    return log.admit(log.world.storage(who, **{"grade": "fetched", "outcome": outcome, **changes}))


# Storage.


def test_an_unchecked_paper_is_not_storage_verified(log: Log) -> None:
    assert not status(log).storage_verified


@pytest.mark.parametrize("grade", ["fetched", "proved"])
def test_a_checker_who_saw_the_content_verifies_storage(log: Log, grade: str) -> None:
    check(log, grade=grade)
    assert status(log).storage_verified


def test_a_contributors_word_never_verifies_storage(lenient: Log) -> None:
    lenient.admit(lenient.world.storage(ALICE))
    assert not status(lenient).storage_verified


def test_a_registrys_word_never_verifies_storage(lenient: Log) -> None:
    lenient.admit(lenient.world.storage(lenient.world.registry))
    assert not status(lenient).storage_verified


def test_a_checkers_mere_claim_does_not_verify_storage(log: Log) -> None:
    check(log, grade="claimed")
    assert not status(log).storage_verified


def test_a_checkers_mere_claim_does_not_take_back_what_was_seen(log: Log) -> None:
    check(log)
    check(log, "missing", grade="claimed")
    assert status(log).storage_verified


@pytest.mark.parametrize("outcome", ["missing", "changed"])
def test_the_newest_check_of_a_location_takes_back_what_an_earlier_one_found(log: Log, outcome: str) -> None:
    check(log)
    check(log, outcome)
    assert not status(log).storage_verified


def test_the_newest_check_of_a_location_finds_again_what_was_missing(log: Log) -> None:
    check(log, "missing")
    check(log)
    assert status(log).storage_verified


def test_the_newest_check_decides_whichever_checker_made_it(log: Log) -> None:
    log.admit(log.world.registration(SECOND_CHECKER, "storage_checker", by=log.world.registry))
    check(log)
    check(log, "missing", SECOND_CHECKER)
    assert not status(log).storage_verified


def test_a_location_that_still_stands_verifies_storage_where_another_is_missing(log: Log) -> None:
    check(log, location=ELSEWHERE)
    check(log, location=ARCHIVE)
    check(log, "missing", location=ARCHIVE)
    assert status(log).storage_verified


def test_an_older_captured_at_does_not_make_a_check_older(log: Log) -> None:
    check(log, captured_at="2026-06-19T16:00:00Z")
    check(log, "missing", captured_at="2020-01-01T00:00:00Z")
    assert not status(log).storage_verified


@pytest.mark.parametrize(("trusted", "verified"), [(CHECKER, True), (SECOND_CHECKER, False)])
def test_a_policy_that_names_checkers_trusts_no_others(log: Log, trusted: Who, verified: bool) -> None:
    log.admit(log.world.policy(checkers=[trusted.key.key_id]))
    check(log)
    assert status(log).storage_verified is verified


def test_a_later_policy_takes_trust_from_a_checker(log: Log) -> None:
    check(log)
    log.admit(log.world.policy(checkers=[SECOND_CHECKER.key.key_id]))
    assert not status(log).storage_verified


def test_a_check_by_a_key_that_was_compromised_before_it_does_not_count(log: Log) -> None:
    check(log)
    log.admit(log.world.revocation(CHECKER, by=log.world.registry, compromised_from=OPENED))
    assert not status(log).storage_verified


def test_a_rejected_check_does_not_take_back_what_was_seen(log: Log) -> None:
    check(log)
    missing = check(log, "missing")
    log.admit(log.world.decision(missing.event, "rejected"))
    assert status(log).storage_verified


# Anchors of the record itself.


def test_a_paper_without_an_anchor_is_not_externally_anchored(log: Log) -> None:
    assert not status(log).externally_anchored


def test_a_confirmed_anchor_of_the_record_anchors_it(log: Log) -> None:
    log.admit(regtest_policy(log.world), confirmed_anchor(log.world))
    assert status(log).externally_anchored


def test_a_pending_anchor_does_not_anchor(log: Log) -> None:
    log.admit(log.world.anchor())
    assert not status(log).externally_anchored


def test_a_failed_anchor_does_not_anchor(log: Log) -> None:
    log.admit(log.world.anchor(status="failed"))
    assert not status(log).externally_anchored


def test_a_policy_that_trusts_the_network_no_longer_removes_the_anchor(log: Log) -> None:
    log.admit(regtest_policy(log.world), confirmed_anchor(log.world), strict_policy(log.world))
    assert not status(log).externally_anchored


def test_an_anchor_that_lost_trust_gains_it_back_with_the_policy(log: Log) -> None:
    log.admit(regtest_policy(log.world), confirmed_anchor(log.world))
    log.admit(strict_policy(log.world), regtest_policy(log.world))
    assert status(log).externally_anchored


def test_an_anchor_by_an_unproven_contributor_waits(log: Log) -> None:
    log.admit(regtest_policy(log.world), confirmed_anchor(log.world, who=BOB))
    assert not status(log).externally_anchored


def test_an_anchor_by_a_proven_contributor_anchors(log: Log) -> None:
    log.admit(regtest_policy(log.world), log.world.proof_of_identity(BOB), confirmed_anchor(log.world, who=BOB))
    assert status(log).externally_anchored


# Anchors of the log's checkpoints.


def test_a_confirmed_checkpoint_covers_a_record_below_its_size(log: Log) -> None:
    at = log.store.of_subjects([NUMBER], 9)[NUMBER][0].position
    log.admit(regtest_policy(log.world), confirmed_checkpoint(log.world, at + 1))
    assert status(log).externally_anchored


def test_a_confirmed_checkpoint_covers_no_record_at_its_size(log: Log) -> None:
    at = log.store.of_subjects([NUMBER], 9)[NUMBER][0].position
    log.admit(regtest_policy(log.world), confirmed_checkpoint(log.world, at))
    assert not status(log).externally_anchored


def test_a_checkpoint_that_claims_a_size_beyond_itself_covers_nothing_at_or_above_it(tmp_path: Path) -> None:
    log = Log.empty(tmp_path)
    log.admit(*log.world.opening(), *log.world.people(), regtest_policy(log.world))
    log.admit(confirmed_checkpoint(log.world, 1_000_000))
    log.admit(log.world.record_created())
    assert not status(log).externally_anchored


@pytest.mark.parametrize("note", ["another.registry\n5\nroot\n", "no note at all"])
def test_a_checkpoint_whose_note_states_another_size_covers_nothing(log: Log, note: str) -> None:
    log.admit(regtest_policy(log.world), confirmed_checkpoint(log.world, 9, note))
    assert not status(log).externally_anchored


def test_a_checkpoint_covers_only_from_where_it_was_appended(log: Log) -> None:
    anchor = log.admit(regtest_policy(log.world), confirmed_checkpoint(log.world, 9))
    assert not status(log, anchor.position).externally_anchored


def test_a_pending_checkpoint_covers_nothing(log: Log) -> None:
    log.admit(regtest_policy(log.world), log.world.checkpoint_anchor(9))
    assert not status(log).externally_anchored


def test_a_policy_that_trusts_the_network_no_longer_uncovers_a_checkpoints_records(log: Log) -> None:
    log.admit(regtest_policy(log.world), confirmed_checkpoint(log.world, 9), strict_policy(log.world))
    assert not status(log).externally_anchored


def test_a_smaller_later_checkpoint_leaves_the_greater_ones_cover(log: Log) -> None:
    log.admit(regtest_policy(log.world), confirmed_checkpoint(log.world, 9), confirmed_checkpoint(log.world, 1))
    assert status(log).externally_anchored


def test_a_checkpoint_by_a_key_that_was_compromised_before_it_covers_nothing(log: Log) -> None:
    second = Who(key("second event key"), "pith_registry", log.world.registry.signer_id)
    log.admit(regtest_policy(log.world), log.world.registration(second, "event", by=log.world.registry))
    first, log.world.registry = log.world.registry, second
    log.admit(confirmed_checkpoint(log.world, 9))
    log.admit(log.world.revocation(second, by=first, compromised_from=OPENED))
    assert not status(log).externally_anchored


# Whose notes count.

THEFT = "2026-06-19T16:00:30Z"
NEXT = Who(key("second log key"), "pith_registry", f"registry:{REGISTRY}")


def anchored_size(log: Log, before: int = NOW) -> int:
    return log.store.registry().anchored_size(before)


def signed_note(size: int, by: Who, registry: str = REGISTRY) -> str:
    """Return a checkpoint of some size in a registry's name, signed by whoever."""
    return issue(Checkpoint(log_origin(registry), size, bytes(32)), by.key).format().decode()


def attested_at(time: str, log: Log, note: str, size: int) -> Event:
    """Return an anchor of a note that a toy block of some time confirms."""
    sha256 = hashlib.sha256(note.encode())
    proof, header = regtest.stamp(sha256.digest(), microseconds(time) // 1_000_000, HEIGHT)
    confirmed = {
        "anchored": {"what": "checkpoint", "sha256": sha256.hexdigest(), "tree_size": size, "note": note},
        "proof_b64": base64.b64encode(proof).decode(),
        "block_header": header.hex(),
        "attested_time": time,
    }
    return log.world.checkpoint_anchor(size, **{**proof_over(sha256.hexdigest()), **confirmed})


def test_an_anchored_checkpoint_of_the_log_counts_with_its_size(log: Log) -> None:
    log.admit(regtest_policy(log.world), confirmed_checkpoint(log.world, 9))
    assert anchored_size(log) == 9


def test_what_was_anchored_is_told(log: Log) -> None:
    entry = log.admit(regtest_policy(log.world), confirmed_checkpoint(log.world, 9))
    checkpoint, confirmation = log.store.registry().anchored(entry)
    assert (checkpoint.origin, checkpoint.size, confirmation.attested_time) == (log_origin(REGISTRY), 9, OPENED)


NO_CHECKPOINTS: dict[str, tuple[Callable[[World], str], str]] = {
    "by the event key": (lambda world: signed_note(9, world.registry), "key validity"),
    "by the receipt key": (lambda world: signed_note(9, world.receipt), "key validity"),
    "by a contributor": (lambda _: signed_note(9, ALICE), "key validity"),
    "by an unknown key": (lambda _: signed_note(9, NEXT), "key validity"),
    "of another log": (lambda world: signed_note(9, world.log, "other.registry"), "checkpoint"),
    "of another size": (lambda world: signed_note(8, world.log), "anchor"),
    "unsigned": (lambda _: Checkpoint(log_origin(REGISTRY), 9, bytes(32)).format(), "checkpoint"),
    "no note": (lambda _: "9 entries, believe me", "checkpoint"),
}
"""Notes that are no checkpoint of this log with 9 entries, and the step that refuses each."""


@pytest.mark.parametrize(("note_of", "step"), NO_CHECKPOINTS.values(), ids=NO_CHECKPOINTS.keys())
def test_a_note_that_is_no_checkpoint_of_this_log_counts_for_nothing(
    log: Log, note_of: Callable[[World], str], step: str
) -> None:
    entry = log.admit(regtest_policy(log.world), confirmed_checkpoint(log.world, 9, note_of(log.world)))
    with pytest.raises(VerificationError) as refused:
        log.store.registry().anchored(entry)
    assert (refused.value.step, anchored_size(log)) == (step, 0)


def test_an_anchor_without_its_note_counts_for_nothing(log: Log) -> None:
    entry = log.admit(regtest_policy(log.world), log.world.checkpoint_anchor(9, **proof_over(HASH)))
    with pytest.raises(VerificationError, match="does not carry its note"):
        log.store.registry().anchored(entry)
    assert anchored_size(log) == 0


def test_an_anchor_that_is_not_confirmed_counts_for_nothing(log: Log) -> None:
    entry = log.admit(log.world.checkpoint_anchor(9))
    with pytest.raises(AnchorError):
        log.store.registry().anchored(entry)
    assert anchored_size(log) == 0


def test_a_checkpoint_of_more_entries_than_lie_before_its_anchor_counts_for_nothing(log: Log) -> None:
    entry = log.admit(regtest_policy(log.world), confirmed_checkpoint(log.world, 11))
    assert (entry.position, anchored_size(log)) == (10, 0)


def test_a_checkpoint_of_all_entries_before_its_anchor_counts(log: Log) -> None:
    entry = log.admit(regtest_policy(log.world), confirmed_checkpoint(log.world, 10))
    assert (entry.position, anchored_size(log)) == (10, 10)


def test_a_size_at_which_the_key_was_not_registered_counts_for_nothing(log: Log) -> None:
    log.admit(regtest_policy(log.world), confirmed_checkpoint(log.world, 2))
    assert anchored_size(log) == 0


@pytest.mark.parametrize(("by_next", "size", "counted"), [(False, 9, 9), (False, 10, 0), (True, 10, 10), (True, 9, 0)])
def test_the_key_that_was_the_logs_at_that_size_counts(log: Log, by_next: bool, size: int, counted: int) -> None:
    log.admit(log.world.rotation(log.world.log, NEXT, "log", by=log.world.registry), regtest_policy(log.world))
    note = signed_note(size, NEXT if by_next else log.world.log)
    log.admit(confirmed_checkpoint(log.world, size, note))
    assert anchored_size(log) == counted


@pytest.mark.parametrize(
    ("time", "counted"),
    [("2026-06-19T16:00:00Z", 9), ("2026-06-19T16:00:29Z", 9), (THEFT, 0), ("2026-06-19T16:05:00Z", 0)],
)
def test_what_a_stolen_log_key_signed_counts_if_it_surely_existed_before(log: Log, time: str, counted: int) -> None:
    log.clock.advance(3_600)
    note = signed_note(9, log.world.log)
    log.admit(regtest_policy(log.world), attested_at(time, log, note, 9))
    log.admit(log.world.revocation(log.world.log, by=log.world.registry, compromised_from=THEFT))
    assert anchored_size(log) == counted


def test_the_anchor_before_the_theft_counts_where_a_greater_later_one_fell(log: Log) -> None:
    log.clock.advance(3_600)
    log.admit(regtest_policy(log.world), attested_at(OPENED, log, signed_note(5, log.world.log), 5))
    log.admit(attested_at("2026-06-19T16:05:00Z", log, signed_note(9, log.world.log), 9))
    log.admit(log.world.revocation(log.world.log, by=log.world.registry, compromised_from=THEFT))
    assert anchored_size(log) == 5


def test_an_anchor_keeps_counting_when_its_key_is_revoked_from_now_on(log: Log) -> None:
    log.admit(regtest_policy(log.world), confirmed_checkpoint(log.world, 9))
    log.admit(log.world.revocation(log.world.log, by=log.world.registry))
    assert anchored_size(log) == 9


def test_a_checkpoint_that_a_revoked_key_signed_over_its_revocation_counts_for_nothing(log: Log) -> None:
    log.admit(regtest_policy(log.world), log.world.revocation(log.world.log, by=log.world.registry))
    log.admit(confirmed_checkpoint(log.world, 11))
    assert anchored_size(log) == 0


def test_a_theft_told_later_changes_no_earlier_view(log: Log) -> None:
    log.clock.advance(3_600)
    policy = log.admit(regtest_policy(log.world))
    anchor = log.admit(attested_at("2026-06-19T16:05:00Z", log, signed_note(9, log.world.log), 9))
    told = log.admit(log.world.revocation(log.world.log, by=log.world.registry, compromised_from=THEFT))
    views = [anchored_size(log, before) for before in (policy.position, anchor.position, anchor.position + 1)]
    assert [*views, anchored_size(log, told.position), anchored_size(log, told.position + 1)] == [0, 0, 9, 9, 0]


# The ladder.


def test_a_record_by_itself_is_computed(log: Log) -> None:
    assert state(log) == "computed"


def test_an_anchored_record_is_anchored(lenient: Log) -> None:
    lenient.admit(confirmed_anchor(lenient.world))
    assert state(lenient) == "anchored"


def test_a_record_under_an_anchored_checkpoint_is_anchored(lenient: Log) -> None:
    lenient.admit(confirmed_checkpoint(lenient.world, 9))
    assert state(lenient) == "anchored"


def test_storage_stands_above_an_anchor(lenient: Log) -> None:
    lenient.admit(confirmed_anchor(lenient.world))
    check(lenient)
    assert state(lenient) == "stored"


def test_an_authors_word_stands_above_storage(lenient: Log) -> None:
    lenient.admit(lenient.world.author())
    check(lenient)
    assert state(lenient) == "attested"


@pytest.mark.parametrize("outcome", ["reproduced", "partly_reproduced", "proved"])
def test_a_replication_that_confirms_stands_above_all(lenient: Log, outcome: str) -> None:
    lenient.admit(lenient.world.author(), lenient.world.replication(BOB, outcome=outcome))
    assert state(lenient) == "replicated"


@pytest.mark.parametrize("outcome", ["not_reproduced", "inconclusive"])
def test_a_replication_that_failed_is_no_rung(lenient: Log, outcome: str) -> None:
    lenient.admit(lenient.world.author(), lenient.world.replication(BOB, outcome=outcome))
    assert state(lenient) == "attested"


def test_a_replication_that_failed_counts_all_the_same(lenient: Log) -> None:
    lenient.admit(lenient.world.replication(outcome="not_reproduced"))
    assert status(lenient).replication_records == 1


def test_a_held_replication_is_no_rung(log: Log) -> None:
    log.admit(log.world.proof_of_identity(ALICE), log.world.replication())
    assert state(log) == "computed"


def test_a_citation_is_no_rung(lenient: Log) -> None:
    lenient.admit(lenient.world.citation())
    assert state(lenient) == "computed"
