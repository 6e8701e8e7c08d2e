"""Authors, graph and receipt in `verification_status`: what counts, and what does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.events import Entry
from ledger.record_state import fold
from ledger.registry import Registry
from ledger.signatures import issue_receipt
from projections.judged import judge
from projections.status import verification_status
from tests.builders import (
    ALICE,
    BOB,
    HASH,
    MALLORY,
    MODERATOR,
    NUMBER,
    OPENED,
    SHA256,
    Who,
    a_record,
    contributor,
    key,
    secret,
)
from tests.logs import Log
from tests.projections.papers import ORCID, authors, judged, listed, status

MAIL = f"email:{HASH}"
POSTMAN = contributor("postman", MAIL)
OTHER = contributor("other", "orcid:0000-0001-5109-3700")


# Content address.


def test_a_record_is_content_addressed(log: Log) -> None:
    assert status(log).content_addressed


def test_a_record_that_hashes_to_another_number_makes_no_paper(log: Log) -> None:
    other, _ = a_record("Another Title")
    forged = log.world.record_created(other, {"title": "Another Title"}, subject=NUMBER)
    assert judge(fold(NUMBER, [Entry(8, 1, forged)]), log.store.registry()) is None


def test_a_paper_nobody_recorded_is_none() -> None:
    assert judge(fold(NUMBER, []), Registry("test.registry")) is None


# Author claims.


def test_a_paper_nobody_claims_is_not_author_attested(log: Log) -> None:
    found = status(log)
    assert (found.author_attested, found.weak_author_claims, found.strong_author_claims) == (False, 0, 0)


def test_a_proven_identifier_that_the_metadata_names_makes_a_claim_strong(log: Log) -> None:
    log.admit(log.world.proof_of_identity(ALICE), log.world.record_updated(paper=authors(ORCID)))
    log.admit(log.world.author())
    assert (status(log).strong_author_claims, status(log).weak_author_claims) == (1, 0)


def test_a_proven_identifier_that_a_source_attached_makes_a_claim_strong(log: Log) -> None:
    log.admit(log.world.proof_of_identity(ALICE), log.world.author_identity(), log.world.author())
    assert status(log).strong_author_claims == 1


def test_a_strong_claim_makes_the_paper_author_attested(log: Log) -> None:
    log.admit(log.world.proof_of_identity(ALICE), log.world.author_identity(), log.world.author())
    assert status(log).author_attested


def test_an_identifier_attached_after_the_claim_makes_it_strong(log: Log) -> None:
    log.admit(log.world.proof_of_identity(ALICE), log.world.author(), log.world.author_identity())
    assert status(log).strong_author_claims == 1


def test_a_proven_identifier_that_nobody_attached_is_a_weak_claim(log: Log) -> None:
    log.admit(log.world.proof_of_identity(ALICE), log.world.author())
    assert (status(log).strong_author_claims, status(log).weak_author_claims) == (0, 1)


def test_a_weak_claim_makes_the_paper_author_attested(log: Log) -> None:
    log.admit(log.world.proof_of_identity(ALICE), log.world.author())
    assert status(log).author_attested


def test_an_attached_identifier_that_the_signer_only_names_is_a_weak_claim(lenient: Log) -> None:
    lenient.admit(lenient.world.registration(MALLORY), lenient.world.author_identity(), lenient.world.author(MALLORY))
    assert (status(lenient).strong_author_claims, status(lenient).weak_author_claims) == (0, 1)


def test_another_identifier_than_the_attached_one_is_a_weak_claim(log: Log) -> None:
    log.admit(log.world.registration(OTHER), log.world.proof_of_identity(OTHER), log.world.author_identity())
    log.admit(log.world.author(OTHER))
    assert (status(log).strong_author_claims, status(log).weak_author_claims) == (0, 1)


def test_what_the_claimant_says_of_their_own_identity_is_a_weak_claim(log: Log) -> None:
    log.admit(log.world.registration(OTHER), log.world.proof_of_identity(OTHER), log.world.author_identity())
    log.admit(log.world.author(OTHER, identity={"orcid": ORCID}))
    assert status(log).strong_author_claims == 0


def test_a_matching_name_alone_is_a_weak_claim(log: Log) -> None:
    log.admit(log.world.proof_of_identity(BOB), log.world.record_updated(paper={"authors_text": "Ann Other, Bob"}))
    log.admit(log.world.author(BOB, author_name="Bob"))
    assert (status(log).strong_author_claims, status(log).weak_author_claims) == (0, 1)


@pytest.mark.parametrize(("name", "matches"), [("Bob", True), ("bOB", True), ("Rob", False), ("Bo", False)])
def test_a_claim_is_labelled_by_whether_its_name_stands_on_the_paper(log: Log, name: str, matches: bool) -> None:
    log.admit(log.world.proof_of_identity(BOB), log.world.record_updated(paper={"authors_text": "Ann Other, Bob"}))
    log.admit(log.world.author(BOB, author_name=name))
    assert listed(log)[0]["name_matches"] is matches


@pytest.mark.parametrize(("attached", "label"), [(True, "strong"), (False, "weak")])
def test_a_claim_is_labelled_strong_or_weak(log: Log, attached: bool, label: str) -> None:
    log.admit(log.world.proof_of_identity(ALICE), log.world.author())
    if attached:
        log.admit(log.world.author_identity())
    assert listed(log)[0]["claim"] == label


@pytest.mark.parametrize(("position", "strong"), [(1, 1), (2, 0), (None, 1)])
def test_a_claim_of_another_author_position_than_the_attached_one_is_weak(
    log: Log, position: int | None, strong: int
) -> None:
    named = {"author_position": position} if position else {}
    log.admit(log.world.proof_of_identity(ALICE), log.world.author_identity(), log.world.author(**named))
    assert status(log).strong_author_claims == strong


@pytest.mark.parametrize(("position", "strong"), [(1, 0), (2, 1)])
def test_the_place_in_the_author_list_is_the_attached_position(log: Log, position: int, strong: int) -> None:
    log.admit(log.world.proof_of_identity(ALICE), log.world.record_updated(paper=authors(None, ORCID)))
    log.admit(log.world.author(author_position=position))
    assert status(log).strong_author_claims == strong


def test_an_identifier_attached_to_no_position_fits_every_claim(log: Log) -> None:
    evidence = {
        "identifier": ALICE.signer_id,
        "method": "crossref",
        "evidence": secret("the deposit"),
        "proven_at": OPENED,
    }
    log.admit(log.world.proof_of_identity(ALICE), log.world.about("identity_evidence", evidence))
    log.admit(log.world.author(author_position=7))
    assert status(log).strong_author_claims == 1


def test_a_verified_mail_address_that_a_source_attached_makes_a_claim_strong(log: Log) -> None:
    log.admit(log.world.registration(POSTMAN), log.world.proof_of_identity(POSTMAN))
    log.admit(log.world.author_identity(MAIL), log.world.author(POSTMAN))
    assert status(log).strong_author_claims == 1


@pytest.mark.parametrize(("kind", "who"), [("orcid", OTHER), ("email", POSTMAN)])
def test_an_identifier_that_policy_does_not_match_by_is_a_weak_claim(log: Log, kind: str, who: Who) -> None:
    log.admit(log.world.policy(matching={"orcid": True, "email": True, kind: False}))
    log.admit(log.world.registration(who), log.world.proof_of_identity(who))
    log.admit(log.world.author_identity(who.signer_id), log.world.author(who))
    assert (status(log).strong_author_claims, status(log).weak_author_claims) == (0, 1)


def test_metadata_does_not_match_where_policy_excludes_its_kind(log: Log) -> None:
    log.admit(log.world.policy(matching={"orcid": False, "email": True}))
    log.admit(log.world.proof_of_identity(ALICE), log.world.record_updated(paper=authors(ORCID)), log.world.author())
    assert status(log).strong_author_claims == 0


def test_a_held_claim_does_not_count(log: Log) -> None:
    log.admit(log.world.author())
    assert not status(log).author_attested


def test_a_claim_that_a_moderator_accepted_counts(log: Log) -> None:
    claim = log.world.author()
    log.admit(claim, log.world.decision(claim, "accepted", MODERATOR))
    assert status(log).weak_author_claims == 1


@pytest.mark.parametrize("decision", ["rejected", "redacted"])
def test_a_claim_that_a_moderator_turned_down_does_not_count(log: Log, decision: str) -> None:
    claim = log.world.author()
    log.admit(log.world.proof_of_identity(ALICE), claim, log.world.decision(claim, decision))
    assert not status(log).author_attested


def test_a_withdrawn_claim_does_not_count(log: Log) -> None:
    claim = log.world.author()
    log.admit(log.world.proof_of_identity(ALICE), claim, log.world.withdrawal(claim))
    assert not status(log).author_attested


def test_a_claim_by_a_key_that_was_compromised_before_it_does_not_count(log: Log) -> None:
    log.admit(log.world.proof_of_identity(ALICE), log.world.author())
    log.admit(log.world.revocation(ALICE, compromised_from=OPENED))
    assert not status(log).author_attested


def test_a_claim_made_before_its_key_was_revoked_counts(log: Log) -> None:
    log.admit(log.world.proof_of_identity(ALICE), log.world.author())
    log.admit(log.world.revocation(ALICE))
    assert status(log).author_attested


# The graph.

REFERENCES = {"references": {"count": 3, "resolved_work": 3}}
FORMAL = {"evidence_count": 1, "sample": [], "anchors": []}


def snapshot(log: Log, as_text: bool, **blocks: Any) -> None:
    payload = {"source_text": {name: json.dumps(block) for name, block in blocks.items()}} if as_text else blocks
    log.admit(log.world.graph_snapshot(**payload))


def test_a_paper_without_a_snapshot_has_no_graph(log: Log) -> None:
    found = status(log)
    assert (found.graph_snapshot, found.references_resolved, found.formal_links_present) == (False, False, False)


def test_a_snapshot_is_a_graph_whatever_it_holds(log: Log) -> None:
    log.admit(log.world.graph_snapshot())
    found = status(log)
    assert (found.graph_snapshot, found.references_resolved, found.formal_links_present) == (True, False, False)


as_text = pytest.mark.parametrize("as_text", [False, True], ids=["as a value", "as the source's text"])


@as_text
def test_references_are_resolved_when_each_was_found(log: Log, as_text: bool) -> None:
    snapshot(log, as_text, graph_snapshot=REFERENCES)
    assert status(log).references_resolved


@as_text
@pytest.mark.parametrize(
    "references",
    [{"count": 3, "resolved_work": 2}, {"count": 0, "resolved_work": 0}, {"count": 3}, {"resolved_work": 3}, {}, []],
)
def test_references_are_not_resolved_while_one_is_missing_or_none_is_known(
    log: Log, as_text: bool, references: Any
) -> None:
    snapshot(log, as_text, graph_snapshot={"references": references})
    assert not status(log).references_resolved


@as_text
@pytest.mark.parametrize(("count", "present"), [(1, True), (0, False)])
def test_formal_links_are_present_when_there_is_evidence(log: Log, as_text: bool, count: int, present: bool) -> None:
    snapshot(log, as_text, formal_canon={**FORMAL, "evidence_count": count})
    assert status(log).formal_links_present is present


def test_only_the_newest_snapshot_speaks(log: Log) -> None:
    snapshot(log, False, graph_snapshot=REFERENCES, formal_canon=FORMAL)
    snapshot(log, True, graph_snapshot={"references": {"count": 4, "resolved_work": 3}})
    assert (status(log).references_resolved, status(log).formal_links_present) == (False, False)


# The receipt.


def test_a_receipt_by_the_registrys_receipt_key_stands(log: Log) -> None:
    assert status(log).pith_receipt


def test_a_receipt_by_a_key_that_was_compromised_before_it_falls(log: Log) -> None:
    log.admit(log.world.revocation(log.world.receipt, by=log.world.registry, compromised_from=OPENED))
    assert not status(log).pith_receipt


def test_a_receipt_received_before_its_key_was_revoked_stands(log: Log) -> None:
    log.admit(log.world.revocation(log.world.receipt, by=log.world.registry))
    assert status(log).pith_receipt


def test_a_receipt_issued_anew_with_another_key_stands_where_the_first_fell(log: Log) -> None:
    second = Who(key("second receipt key"), "pith_registry", log.world.receipt.signer_id)
    log.admit(log.world.revocation(log.world.receipt, by=log.world.registry, compromised_from=OPENED))
    log.admit(log.world.registration(second, "receipt", by=log.world.registry))
    log.admit(log.world.record_updated(pith_receipt=issue_receipt(second.key, bytes.fromhex(SHA256), OPENED)))
    assert status(log).pith_receipt


def test_a_receipt_stood_until_the_position_of_the_revocation(log: Log) -> None:
    revoked = log.admit(log.world.revocation(log.world.receipt, by=log.world.registry, compromised_from=OPENED))
    assert status(log, revoked.position).pith_receipt


def test_a_foreign_registrys_receipt_stands_under_its_registered_key(log: Log) -> None:
    record, paper = a_record("A Foreign Paper", ident="2606.00009")
    foreign = key("a foreign registry")
    log.admit(log.world.foreign_receipt_key(foreign, "foreign-v1"))
    created = log.world.record_created(record, paper)
    receipt = issue_receipt(foreign, bytes.fromhex(created.value["payload"]["canonical_sha256"]), OPENED)
    entry = log.admit(log.world.record_created(record, paper, pith_receipt={**receipt, "key_id": "foreign-v1"}))
    assert verification_status(judged(log, subject=entry.event.subject)).pith_receipt
