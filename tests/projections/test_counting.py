"""Who and what is counted once in `verification_status`: one person, one citation, one artefact."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    ALICE,
    BOB,
    HASH,
    MALLORY,
    SESSION,
    SHA256,
    Who,
    key,
    secret,
)
from tests.logs import Log
from tests.projections.papers import status

# One person counts once.


def test_equal_claims_by_one_person_count_once(lenient: Log) -> None:
    lenient.admit(lenient.world.author(), lenient.world.author())
    assert status(lenient).weak_author_claims == 1


def test_claims_of_two_author_positions_by_one_person_count_twice(lenient: Log) -> None:
    lenient.admit(lenient.world.author(author_position=1), lenient.world.author(author_position=2))
    assert status(lenient).weak_author_claims == 2


def test_equal_citations_by_one_person_count_once(lenient: Log) -> None:
    lenient.admit(lenient.world.citation(), lenient.world.citation())
    assert status(lenient).citation_signatures == 1


def test_equal_replications_by_one_person_count_once(lenient: Log) -> None:
    lenient.admit(lenient.world.replication(), lenient.world.replication())
    assert status(lenient).replication_records == 1


def test_two_people_count_twice(lenient: Log) -> None:
    lenient.admit(lenient.world.citation(), lenient.world.citation(BOB))
    assert status(lenient).citation_signatures == 2


def test_a_stranger_who_names_the_same_signer_is_another_person(lenient: Log) -> None:
    lenient.admit(lenient.world.registration(MALLORY), lenient.world.citation(), lenient.world.citation(MALLORY))
    assert status(lenient).citation_signatures == 2


def test_a_stranger_who_names_a_proven_signer_is_another_person(lenient: Log) -> None:
    lenient.admit(lenient.world.proof_of_identity(ALICE), lenient.world.registration(MALLORY))
    lenient.admit(lenient.world.citation(), lenient.world.citation(MALLORY))
    assert status(lenient).citation_signatures == 2


def test_two_keys_proven_for_one_identifier_are_one_person(lenient: Log) -> None:
    lenient.admit(lenient.world.registration(MALLORY))
    lenient.admit(lenient.world.proof_of_identity(ALICE), lenient.world.proof_of_identity(MALLORY))
    lenient.admit(lenient.world.citation(), lenient.world.citation(MALLORY))
    assert status(lenient).citation_signatures == 1


ALICE_NEXT = Who(key("alice's next key"), "contributor", ALICE.signer_id)


@pytest.mark.parametrize(
    "proven",
    [
        pytest.param((), id="neither key proven"),
        pytest.param((ALICE,), id="the old key proven"),
        pytest.param((ALICE_NEXT,), id="the new key proven"),
        pytest.param((ALICE, ALICE_NEXT), id="both keys proven"),
    ],
)
def test_a_key_and_its_successor_are_one_person(lenient: Log, proven: tuple[Who, ...]) -> None:
    lenient.admit(lenient.world.citation(), lenient.world.rotation(ALICE, ALICE_NEXT))
    lenient.admit(lenient.world.citation(ALICE_NEXT), *map(lenient.world.proof_of_identity, proven))
    assert status(lenient).citation_signatures == 1


def test_two_sessions_that_the_registry_signs_for_are_two_people(lenient: Log) -> None:
    registry = lenient.world.registry
    other = {"kind": "session", "subject": HASH}
    for session in (SESSION, other):
        lenient.admit(lenient.world.author(registry, on_behalf_of=session))
    assert status(lenient).weak_author_claims == 2


def test_one_session_that_the_registry_signs_for_twice_is_one_person(lenient: Log) -> None:
    for _ in range(2):
        lenient.admit(lenient.world.author(lenient.world.registry, on_behalf_of=SESSION))
    assert status(lenient).weak_author_claims == 1


def test_one_session_is_one_person_under_whichever_of_the_registrys_keys(lenient: Log) -> None:
    second = Who(key("second event key"), "pith_registry", lenient.world.registry.signer_id)
    lenient.admit(lenient.world.registration(second, "event", by=lenient.world.registry))
    for registry in (lenient.world.registry, second):
        lenient.admit(lenient.world.author(registry, on_behalf_of=SESSION))
    assert status(lenient).weak_author_claims == 1


# Citations and replications.


def test_a_paper_that_nobody_cites_or_replicates_counts_none(log: Log) -> None:
    assert (status(log).citation_signatures, status(log).replication_records) == (0, 0)


@pytest.mark.parametrize("change", [{"citing": "arxiv:2606.00003"}, {"relationship": "refutes"}])
def test_a_citation_from_elsewhere_or_of_another_kind_counts_beside_the_first(
    lenient: Log, change: dict[str, Any]
) -> None:
    lenient.admit(lenient.world.citation(), lenient.world.citation(**change))
    assert status(lenient).citation_signatures == 2


def test_a_citation_of_another_claim_is_the_same_citation(lenient: Log) -> None:
    lenient.admit(lenient.world.citation(claim_id="C1"), lenient.world.citation(claim_id="C2"))
    assert status(lenient).citation_signatures == 1


def test_a_held_citation_does_not_count(log: Log) -> None:
    log.admit(log.world.citation())
    assert status(log).citation_signatures == 0


def test_a_held_replication_does_not_count(log: Log) -> None:
    log.admit(log.world.proof_of_identity(ALICE), log.world.replication())
    assert status(log).replication_records == 0


def test_a_replication_that_a_moderator_accepted_counts(log: Log) -> None:
    replication = log.world.replication()
    log.admit(replication, log.world.decision(replication))
    assert status(log).replication_records == 1


def test_each_artefact_of_a_replication_counts(lenient: Log) -> None:
    made = [{"url": "https://example.org/a", "sha256": HASH}, {"url": "https://example.org/b", "sha256": SHA256}]
    lenient.admit(lenient.world.replication(artefacts=made))
    assert status(lenient).replication_records == 2


def test_one_artefact_at_two_addresses_counts_once(lenient: Log) -> None:
    made = [{"url": "https://example.org/a", "sha256": HASH}, {"url": "https://example.org/b", "sha256": HASH}]
    lenient.admit(lenient.world.replication(artefacts=made))
    assert status(lenient).replication_records == 1


def test_a_formal_bridge_without_artefacts_counts_by_its_commit(lenient: Log) -> None:
    formal = {"system": "lean4", "statement": secret("theorem"), "commit": "abc"}
    bridge = {"kind": "formal_bridge", "outcome": "proved", "artefacts": []}
    for commit in ("abc", "abc", "def"):
        lenient.admit(lenient.world.replication(**bridge, formal={**formal, "commit": commit}))
    assert status(lenient).replication_records == 2
