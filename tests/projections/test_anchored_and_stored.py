"""Anchors and storage in `verification_status`, and the ladder of `attestation_state`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.events import Entry
from tests.builders import ALICE, BOB, CHECKER, NUMBER, OPENED, Who, key
from tests.logs import Log
from tests.projections.papers import (
    confirmed_anchor,
    confirmed_checkpoint,
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
