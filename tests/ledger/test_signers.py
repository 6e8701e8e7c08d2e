"""Whose signature is taken: keys in time and in their role, for this registry, and nobody under another's name."""

from __future__ import annotations

import json

import pytest

from ledger.errors import (
    ForeignRegistryError,
    KeyExpiredError,
    KeyRevokedError,
    KeyRoleError,
    SignatureInvalidError,
    SignerMismatchError,
    SignerNotAllowedError,
    UnknownKeyError,
)
from ledger.events import from_value
from tests.builders import (
    ALICE,
    BOB,
    CAROL,
    CHECKER,
    MALLORY,
    MODERATOR,
    SUCCESSOR,
    Who,
    World,
    as_signer,
    key,
    seal,
)
from tests.logs import Log, fault

# Which key may sign.


def test_a_key_that_nobody_registered_is_refused(log: Log) -> None:
    assert fault(log, log.world.citation(CAROL)) == (UnknownKeyError, "signer.key_id")


def test_a_signature_by_another_key_than_the_named_one_is_refused(log: Log) -> None:
    body = json.loads(log.world.citation().raw)
    del body["event_id"], body["signature_b64"]
    forged = from_value(seal(body, key("mallory")))
    assert fault(log, forged) == (SignatureInvalidError, "signature_b64")


def test_a_key_is_refused_after_its_end(log: Log) -> None:
    log.admit(log.world.registration(CAROL, not_after="2026-06-19T17:00:00Z"))
    log.clock.set("2026-06-19T17:00:00Z")
    assert fault(log, log.world.citation(CAROL)) == (KeyExpiredError, "signer.key_id")


def test_a_key_is_taken_up_to_its_end(log: Log) -> None:
    log.admit(log.world.registration(CAROL, not_after="2026-06-19T17:00:00Z"))
    log.clock.set("2026-06-19T17:00:00Z")
    log.clock.now -= 1
    log.admit(log.world.citation(CAROL))


def test_a_key_is_refused_before_its_beginning(log: Log) -> None:
    log.admit(log.world.registration(CAROL, not_before="2026-06-19T17:00:00Z"))
    assert fault(log, log.world.citation(CAROL)) == (KeyExpiredError, "signer.key_id")


def test_a_key_is_taken_from_its_beginning_on(log: Log) -> None:
    log.admit(log.world.registration(CAROL, not_before="2026-06-19T17:00:00Z"))
    log.clock.set("2026-06-19T17:00:00Z")
    log.admit(log.world.citation(CAROL))


def test_a_rotated_key_is_refused(log: Log) -> None:
    log.admit(log.world.rotation(ALICE, SUCCESSOR))
    assert fault(log, log.world.citation()) == (KeyExpiredError, "signer.key_id")


def test_a_successor_key_is_taken(log: Log) -> None:
    log.admit(log.world.rotation(ALICE, SUCCESSOR), log.world.citation(SUCCESSOR))


def test_a_revoked_key_is_refused(log: Log) -> None:
    log.admit(log.world.revocation(ALICE))
    assert fault(log, log.world.citation()) == (KeyRevokedError, "signer.key_id")


@pytest.mark.parametrize(
    "who", [CHECKER, as_signer(MODERATOR, "contributor")], ids=["storage checker", "moderator as contributor"]
)
def test_a_key_of_another_role_signs_no_citation(log: Log, who: Who) -> None:
    assert fault(log, log.world.citation(who)) == (KeyRoleError, "signer.key_id")


@pytest.mark.parametrize("who", [as_signer(ALICE, "moderator"), as_signer(CHECKER, "moderator")])
def test_a_key_of_another_role_decides_nothing(log: Log, who: Who) -> None:
    challenge = log.world.challenge()
    log.admit(challenge)
    assert fault(log, log.world.decision(challenge, who=who)) == (KeyRoleError, "signer.key_id")


@pytest.mark.parametrize("name", ["receipt", "log"])
def test_the_registrys_other_keys_sign_no_events(log: Log, name: str) -> None:
    assert fault(log, log.world.policy(by=getattr(log.world, name))) == (KeyRoleError, "signer.key_id")


def test_a_moderators_key_does_not_sign_as_the_registry(log: Log) -> None:
    impostor = Who(MODERATOR.key, "pith_registry", log.world.registry.signer_id)
    assert fault(log, log.world.policy(by=impostor)) == (KeyRoleError, "signer.key_id")


def test_a_registry_signs_under_its_own_name(log: Log) -> None:
    renamed = Who(log.world.registry.key, "pith_registry", "registry:other.registry")
    assert fault(log, log.world.policy(by=renamed)) == (SignerMismatchError, "signer.signer_id")


def test_a_key_signs_under_the_name_it_was_registered_with(log: Log) -> None:
    renamed = Who(BOB.key, "contributor", ALICE.signer_id)
    assert fault(log, log.world.citation(renamed)) == (SignerMismatchError, "signer.signer_id")


# What was made for another registry.


def test_an_event_for_another_registry_is_refused(log: Log) -> None:
    other = World("other.registry")
    event = other.challenge(who=ALICE)
    assert fault(log, event) == (ForeignRegistryError, "registry")


def test_another_registrys_key_event_is_refused(log: Log) -> None:
    assert fault(log, World("other.registry").registration(CAROL)) == (ForeignRegistryError, "registry")


def test_a_statement_for_another_registry_is_refused(log: Log) -> None:
    event = log.world.registration(CAROL, registry="other.registry")
    assert fault(log, event) == (ForeignRegistryError, "payload.statement.registry")


def test_a_rotation_for_another_registry_is_refused(log: Log) -> None:
    event = log.world.rotation(ALICE, SUCCESSOR, made_for="other.registry")
    assert fault(log, event) == (ForeignRegistryError, "payload.rotation.registry")


def test_a_rotation_to_a_statement_for_another_registry_is_refused(log: Log) -> None:
    event = log.world.rotation(ALICE, SUCCESSOR, registry="other.registry")
    assert fault(log, event) == (ForeignRegistryError, "payload.rotation.statement.registry")


# A stranger under somebody's name.


def test_a_stranger_may_name_anybodys_identifier(log: Log) -> None:
    log.admit(log.world.registration(MALLORY), log.world.citation(MALLORY))


@pytest.mark.parametrize("proven", [[], [ALICE]], ids=["nobody proven", "owner proven"])
def test_a_stranger_under_somebodys_name_withdraws_nothing_of_theirs(log: Log, proven: list[Who]) -> None:
    attestation = log.world.citation()
    log.admit(attestation, log.world.registration(MALLORY), *(log.world.proof_of_identity(who) for who in proven))
    assert isinstance(log.refusal(log.world.withdrawal(attestation, MALLORY)), SignerNotAllowedError)


@pytest.mark.parametrize("proven", [[], [ALICE]], ids=["nobody proven", "owner proven"])
def test_a_stranger_under_somebodys_name_revokes_none_of_their_keys(log: Log, proven: list[Who]) -> None:
    log.admit(log.world.registration(MALLORY), *(log.world.proof_of_identity(who) for who in proven))
    assert isinstance(log.refusal(log.world.revocation(ALICE, by=MALLORY)), SignerNotAllowedError)


def test_a_stranger_proven_for_another_identifier_withdraws_nothing(log: Log) -> None:
    attestation = log.world.citation()
    log.admit(attestation, log.world.registration(MALLORY))
    log.admit(log.world.proof_of_identity(ALICE), log.world.proof_of_identity(MALLORY, "orcid:0000-0001-0000-0009"))
    assert isinstance(log.refusal(log.world.withdrawal(attestation, MALLORY)), SignerNotAllowedError)
