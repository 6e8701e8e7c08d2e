"""What becomes of an entry that was taken: counted, held, decided on, withdrawn, revoked; and as seen when."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import RuleViolationError, SignerNotAllowedError
from ledger.events import FINDINGS, Entry
from ledger.verdicts import Verdict
from tests.builders import ALICE, BOB, CHECKER, MODERATOR, SESSION, Who, a_record, contributor, key
from tests.logs import Log, history

OTHER_SESSION = {**SESSION, "kind": "anonymous"}
ALICE_AGAIN = Who(key("alice's new key"), "contributor", ALICE.signer_id)


# Held or counted from the start.


def test_an_attestation_by_a_proven_key_counts(log: Log) -> None:
    log.admit(log.world.proof_of_identity(ALICE))
    assert log.verdict(log.admit(log.world.citation())) == Verdict("counted")


def test_a_verdict_that_counts_says_so(log: Log) -> None:
    assert log.verdict(log.store.entry(0)).counts


def test_an_attestation_by_an_unproven_key_is_held(log: Log) -> None:
    assert log.verdict(log.admit(log.world.citation())).status == "held"


def test_a_key_that_is_proven_later_frees_what_was_held(log: Log) -> None:
    held = log.world.citation()
    log.admit(held, log.world.proof_of_identity(ALICE))
    assert log.status(held) == "counted"


def test_an_unproven_key_counts_where_policy_accepts_it(log: Log) -> None:
    log.admit(log.world.moderation_policy(unverified_keys="accepted"))
    assert log.verdict(log.admit(log.world.citation())).status == "counted"


def test_what_the_registry_signs_for_someone_is_held(log: Log) -> None:
    entry = log.admit(log.world.author(log.world.registry, on_behalf_of=SESSION))
    assert log.verdict(entry).status == "held"


def test_what_the_registry_signs_for_someone_counts_where_policy_accepts_it(log: Log) -> None:
    log.admit(log.world.moderation_policy(server_signed="accepted"))
    entry = log.admit(log.world.author(log.world.registry, on_behalf_of=SESSION))
    assert log.verdict(entry).status == "counted"


def test_a_replication_is_held_even_by_a_proven_key(log: Log) -> None:
    log.admit(log.world.proof_of_identity(ALICE))
    assert log.verdict(log.admit(log.world.replication())).status == "held"


def test_a_replication_counts_where_policy_accepts_it(log: Log) -> None:
    log.admit(log.world.proof_of_identity(ALICE), log.world.moderation_policy(replications="accepted"))
    assert log.verdict(log.admit(log.world.replication())).status == "counted"


def test_the_policy_of_the_day_decides_not_a_later_one(log: Log) -> None:
    held = log.world.citation()
    log.admit(held, log.world.moderation_policy(unverified_keys="accepted"))
    assert log.status(held) == "held"


def test_a_storage_checkers_word_counts_unproven(log: Log) -> None:
    assert log.verdict(log.admit(log.world.storage(CHECKER, grade="fetched"))).status == "counted"


def test_a_records_anchor_by_the_registry_counts(log: Log) -> None:
    assert log.verdict(log.admit(log.world.anchor())).status == "counted"


def test_an_anchor_by_an_unproven_contributor_is_held(log: Log) -> None:
    assert log.verdict(log.admit(log.world.anchor(ALICE))).status == "held"


# Decided on.


@pytest.mark.parametrize(
    ("decision", "status"), [("accepted", "counted"), ("rejected", "rejected"), ("redacted", "redacted")]
)
def test_a_decision_gives_its_outcome(log: Log, decision: str, status: str) -> None:
    attestation = log.world.replication()
    log.admit(attestation, log.world.decision(attestation, decision))
    assert log.status(attestation) == status


@pytest.mark.parametrize("first", ["accepted", "rejected", "redacted"])
@pytest.mark.parametrize(("last", "status"), [("accepted", "counted"), ("rejected", "rejected")])
def test_the_latest_decision_by_position_wins(log: Log, first: str, last: str, status: str) -> None:
    attestation = log.world.replication()
    log.admit(attestation, log.world.decision(attestation, first), log.world.decision(attestation, last))
    assert log.status(attestation) == status


def test_the_latest_decision_wins_whatever_time_it_claims(log: Log) -> None:
    attestation = log.world.replication()
    earlier = log.world.event(
        MODERATOR,
        "moderation_decision",
        {"decision": "rejected"},
        target=attestation.id_text,
        created_at="2020-01-01T00:00:00Z",
    )
    log.admit(attestation, log.world.decision(attestation, "accepted"), earlier)
    assert log.status(attestation) == "rejected"


def test_a_challenge_can_be_decided_on(log: Log) -> None:
    challenge = log.world.challenge()
    log.admit(challenge, log.world.decision(challenge, "accepted"))
    assert log.status(challenge) == "counted"


def test_a_decision_counts_itself(log: Log) -> None:
    attestation = log.world.replication()
    log.admit(attestation)
    assert log.verdict(log.admit(log.world.decision(attestation))).status == "counted"


@pytest.mark.parametrize(
    "event_type",
    ["record_created", "record_updated", "graph_snapshot", "alias_added", *FINDINGS, "moderation_decision"],
)
def test_what_the_registry_says_cannot_be_decided_on(tmp_path: Path, event_type: str) -> None:
    log = Log.empty(tmp_path)
    events = history(log.world)
    log.admit(*events[:-2])
    said = next(event for event in events if event.event_type == event_type)
    assert isinstance(log.refusal(log.world.decision(said)), RuleViolationError)


# Withdrawn.


def test_a_withdrawn_attestation_is_withdrawn(log: Log) -> None:
    attestation = log.world.citation()
    log.admit(attestation, log.world.withdrawal(attestation))
    assert log.status(attestation) == "withdrawn"


def test_no_decision_brings_back_what_was_withdrawn(log: Log) -> None:
    attestation = log.world.citation()
    log.admit(attestation, log.world.withdrawal(attestation), log.world.decision(attestation, "accepted"))
    assert log.status(attestation) == "withdrawn"


def test_what_was_rejected_can_still_be_withdrawn(log: Log) -> None:
    attestation = log.world.citation()
    log.admit(attestation, log.world.decision(attestation, "rejected"), log.world.withdrawal(attestation))
    assert log.status(attestation) == "withdrawn"


def test_a_challenge_can_be_withdrawn(log: Log) -> None:
    challenge = log.world.challenge()
    log.admit(challenge, log.world.withdrawal(challenge))
    assert log.status(challenge) == "withdrawn"


def test_a_successor_key_withdraws_what_its_predecessor_signed(log: Log) -> None:
    attestation = log.world.citation()
    log.admit(attestation, log.world.rotation(ALICE, ALICE_AGAIN), log.world.withdrawal(attestation, ALICE_AGAIN))
    assert log.status(attestation) == "withdrawn"


def test_another_key_proven_for_the_same_identity_withdraws(log: Log) -> None:
    attestation = log.world.citation()
    log.admit(attestation, log.world.registration(ALICE_AGAIN))
    log.admit(log.world.proof_of_identity(ALICE), log.world.proof_of_identity(ALICE_AGAIN))
    log.admit(log.world.withdrawal(attestation, ALICE_AGAIN))
    assert log.status(attestation) == "withdrawn"


def test_another_contributor_withdraws_nothing(log: Log) -> None:
    attestation = log.world.citation()
    log.admit(attestation)
    assert isinstance(log.refusal(log.world.withdrawal(attestation, BOB)), SignerNotAllowedError)


def test_the_registry_withdraws_no_contributors_statement(log: Log) -> None:
    attestation = log.world.citation()
    log.admit(attestation)
    withdrawal = log.world.withdrawal(attestation, log.world.registry, on_behalf_of=SESSION)
    assert isinstance(log.refusal(withdrawal), SignerNotAllowedError)


def test_a_person_without_a_key_withdraws_through_the_registry(log: Log) -> None:
    attestation = log.world.author(log.world.registry, on_behalf_of=SESSION)
    log.admit(attestation, log.world.withdrawal(attestation, log.world.registry, on_behalf_of=SESSION))
    assert log.status(attestation) == "withdrawn"


def test_a_person_without_a_key_withdraws_nobody_elses_statement(log: Log) -> None:
    attestation = log.world.author(log.world.registry, on_behalf_of=SESSION)
    log.admit(attestation)
    withdrawal = log.world.withdrawal(attestation, log.world.registry, on_behalf_of=OTHER_SESSION)
    assert isinstance(log.refusal(withdrawal), SignerNotAllowedError)


def test_a_record_cannot_be_withdrawn(log: Log) -> None:
    created = next(entry for entry in log.store.entries() if entry.event.event_type == "record_created")
    withdrawal = log.world.withdrawal(created.event, ALICE)
    assert isinstance(log.refusal(withdrawal), RuleViolationError)


# Revoked.


def test_what_a_key_signed_before_its_revocation_still_counts(log: Log) -> None:
    attestation = log.world.citation()
    log.admit(log.world.proof_of_identity(ALICE), attestation)
    log.admit(log.world.revocation(ALICE))
    assert log.status(attestation) == "counted"


def test_compromised_from_cuts_retroactively(log: Log) -> None:
    log.admit(log.world.proof_of_identity(ALICE))
    before, after = log.world.citation(), log.world.citation(relationship="extends")
    log.admit(before)
    log.clock.advance(3600)
    log.admit(after)
    log.admit(log.world.revocation(ALICE, compromised_from="2026-06-19T16:30:00Z"))
    assert (log.status(before), log.status(after)) == ("counted", "revoked")


def test_what_was_received_at_the_very_moment_of_compromise_is_cut(log: Log) -> None:
    log.clock.set("2026-06-19T17:00:00Z")
    log.clock.now -= 1
    attestation = log.world.citation()
    log.admit(attestation)
    log.admit(log.world.revocation(ALICE, compromised_from="2026-06-19T17:00:00Z"))
    assert log.status(attestation) == "revoked"


def test_the_earliest_of_two_cuts_holds(log: Log) -> None:
    attestation = log.world.citation()
    log.admit(attestation)
    log.admit(log.world.revocation(ALICE, by=log.world.registry, compromised_from="2026-06-19T18:00:00Z"))
    log.admit(log.world.revocation(ALICE, by=log.world.registry, compromised_from="2026-06-19T10:00:00Z"))
    assert log.status(attestation) == "revoked"


def test_a_cut_decision_no_longer_decides(log: Log) -> None:
    attestation = log.world.replication()
    log.admit(attestation, log.world.decision(attestation, "accepted"))
    log.admit(log.world.revocation(MODERATOR, by=log.world.registry, compromised_from="2026-06-19T16:00:00Z"))
    assert log.status(attestation) == "held"


def test_behind_a_cut_decision_the_one_before_decides_again(log: Log) -> None:
    other = Who(key("other moderator"), "moderator", "name:other")
    attestation = log.world.replication()
    log.admit(log.world.registration(other, "moderator"), attestation)
    log.admit(log.world.decision(attestation, "rejected"), log.world.decision(attestation, "accepted", other))
    log.admit(log.world.revocation(other, by=log.world.registry, compromised_from="2026-06-19T16:00:00Z"))
    assert log.status(attestation) == "rejected"


def test_a_withdrawal_by_a_stolen_key_is_undone_by_the_cut(log: Log) -> None:
    attestation = log.world.citation()
    log.admit(log.world.proof_of_identity(ALICE), attestation)
    log.clock.advance(3600)
    log.admit(log.world.withdrawal(attestation))
    log.admit(log.world.revocation(ALICE, compromised_from="2026-06-19T16:30:00Z"))
    assert log.status(attestation) == "counted"


def test_a_decision_does_not_bring_back_what_a_stolen_key_signed(log: Log) -> None:
    attestation = log.world.citation()
    log.admit(attestation, log.world.decision(attestation, "accepted"))
    log.admit(log.world.revocation(ALICE, compromised_from="2026-06-19T16:00:00Z"))
    assert log.status(attestation) == "revoked"


def test_a_revocation_by_the_key_itself_counts(log: Log) -> None:
    assert log.verdict(log.admit(log.world.revocation(ALICE))).status == "counted"


# Refused, when judged again.


def test_an_entry_at_a_position_before_its_record_is_refused(log: Log) -> None:
    record, paper = a_record(title="Another paper", ident="2606.00003")
    created = log.world.record_created(record, paper)
    log.admit(created)
    updated = log.admit(log.world.record_updated(created.subject))
    moved = Entry(log.store.find(created.event_id).position, updated.received_at, updated.event)
    assert log.verdict(moved).status == "refused"


def test_a_refused_verdict_carries_its_error(log: Log) -> None:
    citation = log.admit(log.world.citation())
    verdict = log.verdict(Entry(0, citation.received_at, citation.event))
    assert (verdict.status, verdict.error and verdict.error.code) == ("refused", "unknown-key")


# As seen from an earlier position.


def test_every_earlier_view_stays_as_it_was(log: Log) -> None:
    attestation = log.world.citation()
    log.admit(log.world.proof_of_identity(ALICE))
    at = log.admit(attestation).position
    log.admit(log.world.decision(attestation, "rejected"))
    log.admit(log.world.decision(attestation, "accepted"))
    log.admit(log.world.withdrawal(attestation))
    log.admit(log.world.revocation(ALICE, compromised_from="2026-06-19T16:00:00Z"))
    views = [log.status(attestation, before) for before in range(at + 1, log.store.head().size + 1)]
    assert views == ["counted", "rejected", "counted", "withdrawn", "revoked"]


def test_a_proof_of_identity_frees_only_from_its_position_on(log: Log) -> None:
    attestation = log.world.citation()
    log.admit(attestation)
    at = log.admit(log.world.proof_of_identity(ALICE)).position
    assert (log.status(attestation, at), log.status(attestation, at + 1)) == ("held", "counted")


def test_every_event_of_a_whole_history_is_taken_and_none_refused(tmp_path: Path) -> None:
    log = Log.empty(tmp_path)
    log.admit(*history(log.world))
    assert "refused" not in {log.verdict(entry).status for entry in log.store.entries()}


# Persons.


def test_a_stranger_with_somebodys_signer_id_is_another_person(log: Log) -> None:
    mallory = contributor("mallory", ALICE.signer_id)
    log.admit(log.world.registration(mallory), log.world.proof_of_identity(ALICE))
    keys = log.store.registry().keys
    assert keys.person(mallory.key.key_id, ALICE.signer_id) != keys.person(ALICE.key.key_id, ALICE.signer_id)


def test_two_unproven_keys_of_one_signer_id_are_two_persons(log: Log) -> None:
    mallory = contributor("mallory", ALICE.signer_id)
    log.admit(log.world.registration(mallory))
    keys = log.store.registry().keys
    assert keys.person(mallory.key.key_id, ALICE.signer_id) != keys.person(ALICE.key.key_id, ALICE.signer_id)


def test_two_proven_keys_of_one_signer_id_are_one_person(log: Log) -> None:
    log.admit(log.world.registration(ALICE_AGAIN))
    log.admit(log.world.proof_of_identity(ALICE), log.world.proof_of_identity(ALICE_AGAIN))
    keys = log.store.registry().keys
    assert keys.person(ALICE_AGAIN.key.key_id, ALICE.signer_id) == keys.person(ALICE.key.key_id, ALICE.signer_id)


def test_a_rotated_key_and_its_successor_are_one_person(log: Log) -> None:
    log.admit(log.world.rotation(ALICE, ALICE_AGAIN))
    keys = log.store.registry().keys
    assert keys.person(ALICE_AGAIN.key.key_id, ALICE.signer_id) == keys.person(ALICE.key.key_id, ALICE.signer_id)


def test_a_proven_key_and_its_successor_are_one_person(log: Log) -> None:
    log.admit(log.world.proof_of_identity(ALICE), log.world.rotation(ALICE, ALICE_AGAIN))
    keys = log.store.registry().keys
    assert keys.same_person(ALICE_AGAIN.key.key_id, ALICE.key.key_id, ALICE.signer_id)
    assert keys.person(ALICE_AGAIN.key.key_id, ALICE.signer_id) == keys.person(ALICE.key.key_id, ALICE.signer_id)
