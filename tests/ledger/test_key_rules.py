"""Who may register, rotate and revoke which key: every refusal by its own name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import (
    InvalidFieldError,
    KeyExpiredError,
    KeyRevokedError,
    KeyRoleError,
    MissingFieldError,
    RuleViolationError,
    SignatureInvalidError,
    SignerMismatchError,
    SignerNotAllowedError,
    SubmissionError,
    TargetMissingError,
    UnknownKeyError,
    WeakKeyError,
)
from tests.builders import ALICE, BOB, CAROL, CHECKER, MALLORY, MODERATOR, SUCCESSOR, Who, as_signer, contributor, key
from tests.logs import Log, fault

# The root.


def test_a_log_begins_with_nothing_but_its_root(tmp_path: Path) -> None:
    log = Log.empty(tmp_path)
    assert isinstance(log.refusal(log.world.registration(ALICE)), RuleViolationError)


@pytest.mark.parametrize("role", ["receipt", "log"])
def test_the_root_is_an_event_key(tmp_path: Path, role: str) -> None:
    log = Log.empty(tmp_path)
    event = log.world.registration(log.world.registry, role)
    assert fault(log, event) == (RuleViolationError, "payload.statement.role")


def test_the_root_signs_as_a_registry(tmp_path: Path) -> None:
    log = Log.empty(tmp_path)
    event = log.world.root(by=as_signer(log.world.registry, "contributor"))
    assert isinstance(log.refusal(event), SubmissionError)


def test_a_policy_without_a_root_is_refused(tmp_path: Path) -> None:
    log = Log.empty(tmp_path)
    assert fault(log, log.world.policy()) == (UnknownKeyError, "signer.key_id")


# Registering.


def test_a_statement_signed_by_another_key_is_refused(log: Log) -> None:
    event = log.world.registration(CAROL, stated_by=key("mallory"))
    assert fault(log, event) == (SignatureInvalidError, "payload.statement_signature_b64")


def test_nobody_registers_a_key_that_they_do_not_hold(log: Log) -> None:
    event = log.world.registration(CAROL, "storage_checker", stated_by=log.world.registry.key)
    assert fault(log, event) == (SignatureInvalidError, "payload.statement_signature_b64")


@pytest.mark.parametrize("y", [0, 1, 2**255 - 20, 2**255 - 19, 2**255 + 1], ids=["0", "1", "p-1", "p", "1 signed"])
def test_a_small_order_key_in_a_statement_is_refused(log: Log, y: int) -> None:
    event = log.world.registration(CAROL, by=log.world.registry, public_key=y.to_bytes(32, "little").hex())
    assert isinstance(log.refusal(event), WeakKeyError)


def test_a_small_order_foreign_receipt_key_is_refused(log: Log) -> None:
    event = log.world.foreign_receipt_key(key("foreign"), "foreign")
    payload = json.loads(event.raw)["payload"]
    payload["statement"]["public_key"] = (1).to_bytes(32, "little").hex()
    weak = log.world.event(log.world.registry, "key_registered", payload)
    assert isinstance(log.refusal(weak), WeakKeyError)


@pytest.mark.parametrize("role", ["contributor", "storage_checker", "moderator"])
def test_an_unsigned_statement_is_refused(log: Log, role: str) -> None:
    payload = {"statement": log.world.statement(CAROL, role), "statement_signature_b64": None}
    event = log.world.event(log.world.registry, "key_registered", payload)
    assert fault(log, event) == (MissingFieldError, "payload.statement_signature_b64")


def test_a_key_is_registered_once(log: Log) -> None:
    assert fault(log, log.world.registration(ALICE)) == (RuleViolationError, "payload.statement")


def test_a_key_has_one_role(log: Log) -> None:
    assert fault(log, log.world.registration(ALICE, "moderator")) == (RuleViolationError, "payload.statement")


def test_a_revoked_key_cannot_be_registered_again(log: Log) -> None:
    log.admit(log.world.revocation(ALICE))
    assert fault(log, log.world.registration(ALICE)) == (RuleViolationError, "payload.statement")


@pytest.mark.parametrize("not_after", ["2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"])
def test_a_key_does_not_end_before_it_begins(log: Log, not_after: str) -> None:
    event = log.world.registration(CAROL, not_after=not_after)
    assert fault(log, event) == (InvalidFieldError, "payload.statement.not_after")


@pytest.mark.parametrize("name", ["not_before", "not_after"])
def test_a_key_does_not_begin_or_end_at_an_impossible_time(log: Log, name: str) -> None:
    event = log.world.registration(CAROL, **{name: "2027-02-30T00:00:00Z"})
    assert fault(log, event) == (InvalidFieldError, f"payload.statement.{name}")


@pytest.mark.parametrize("role", ["moderator", "storage_checker"])
def test_only_the_registry_gives_a_role(log: Log, role: str) -> None:
    event = log.world.registration(CAROL, role, by=CAROL)
    assert fault(log, event) == (SignerNotAllowedError, "signer.signer_type")


@pytest.mark.parametrize("role", ["contributor", "moderator", "storage_checker"])
def test_a_contributor_registers_nobody_else(log: Log, role: str) -> None:
    event = log.world.registration(CAROL, role, by=ALICE)
    assert fault(log, event) == (SignerNotAllowedError, "signer.signer_type")


def test_a_moderator_registers_no_moderator(log: Log) -> None:
    event = log.world.registration(CAROL, "moderator", by=MODERATOR)
    assert fault(log, event) == (SignerNotAllowedError, "signer.signer_type")


def test_a_key_registers_itself_as_a_contributor_only(log: Log) -> None:
    event = log.world.registration(CAROL, by=as_signer(CAROL, "moderator"))
    assert fault(log, event) == (SignerNotAllowedError, "signer.signer_type")


def test_a_key_registers_itself_under_the_name_it_states(log: Log) -> None:
    event = log.world.registration(CAROL, signer_id="name:somebody")
    assert fault(log, event) == (SignerMismatchError, "signer.signer_id")


def test_nobody_takes_the_registrys_name(log: Log) -> None:
    impostor = contributor("mallory", log.world.registry.signer_id)
    assert fault(log, log.world.registration(impostor)) == (SignerMismatchError, "payload.statement.signer_id")


@pytest.mark.parametrize("role", ["event", "receipt", "log"])
def test_nobody_else_holds_a_registrys_role(log: Log, role: str) -> None:
    event = log.world.registration(CAROL, role)
    assert fault(log, event) == (SignerMismatchError, "payload.statement.signer_id")


def test_the_registry_registers_a_contributor_who_asks(log: Log) -> None:
    log.admit(log.world.registration(CAROL, by=log.world.registry), log.world.citation(CAROL))


def test_the_registry_introduces_a_second_event_key(log: Log) -> None:
    second = Who(key("second"), "pith_registry", log.world.registry.signer_id)
    log.admit(log.world.registration(second, "event"), log.world.policy(by=second))


@pytest.mark.parametrize(
    ("changes", "error", "place"),
    [
        ({"statement_signature_b64": "AAAA"}, InvalidFieldError, "payload.statement_signature_b64"),
        ({"source": None}, InvalidFieldError, "payload.source"),
    ],
)
def test_a_foreign_receipt_key_is_refused_with(
    log: Log, changes: dict[str, Any], error: type[SubmissionError], place: str
) -> None:
    with pytest.raises(error) as refused:
        log.admit(log.world.foreign_receipt_key(key("foreign"), "foreign", **changes))
    assert refused.value.place == place


def test_a_foreign_receipt_key_comes_with_its_source(log: Log) -> None:
    payload = json.loads(log.world.foreign_receipt_key(key("foreign"), "foreign").raw)["payload"]
    del payload["source"]
    event = log.world.event(log.world.registry, "key_registered", payload)
    assert fault(log, event) == (MissingFieldError, "payload.source")


def test_a_foreign_receipt_key_makes_no_statement(log: Log) -> None:
    foreign = Who(key("foreign"), "pith_registry", "receipt-key:foreign")
    event = log.world.registration(foreign, "foreign_receipt", label="foreign")
    assert fault(log, event) == (InvalidFieldError, "payload.statement_signature_b64")


def test_a_foreign_receipt_key_has_a_label(log: Log) -> None:
    payload = json.loads(log.world.foreign_receipt_key(key("foreign"), "foreign").raw)["payload"]
    del payload["statement"]["label"]
    event = log.world.event(log.world.registry, "key_registered", payload)
    assert fault(log, event) == (InvalidFieldError, "payload.statement.label")


def test_no_other_key_has_a_label(log: Log) -> None:
    event = log.world.registration(CAROL, label="carol")
    assert fault(log, event) == (InvalidFieldError, "payload.statement.label")


def test_a_contributor_registers_no_foreign_receipt_key(log: Log) -> None:
    payload = json.loads(log.world.foreign_receipt_key(key("foreign"), "foreign").raw)["payload"]
    event = log.world.event(ALICE, "key_registered", payload)
    assert fault(log, event) == (SignerNotAllowedError, "signer.signer_type")


# Rotating.


@pytest.mark.parametrize("by", ["old", "new", "registry"])
def test_a_rotation_is_signed_by_either_key_or_the_registry(log: Log, by: str) -> None:
    signers = {"old": ALICE, "new": SUCCESSOR, "registry": log.world.registry}
    log.admit(log.world.rotation(ALICE, SUCCESSOR, by=signers[by]), log.world.citation(SUCCESSOR))


def test_a_rotation_by_a_stranger_is_refused(log: Log) -> None:
    event = log.world.rotation(ALICE, SUCCESSOR, by=BOB)
    assert fault(log, event) == (SignerNotAllowedError, "signer.key_id")


def test_a_rotation_without_the_new_keys_consent_is_refused(log: Log) -> None:
    event = log.world.rotation(ALICE, SUCCESSOR, new_consent=ALICE.key)
    assert fault(log, event) == (SignatureInvalidError, "payload.new_signature_b64")


def test_a_rotation_without_the_old_keys_consent_is_refused(log: Log) -> None:
    payload = json.loads(log.world.rotation(ALICE, SUCCESSOR).raw)["payload"]
    payload["old_signature_b64"] = payload["new_signature_b64"]
    event = log.world.event(SUCCESSOR, "key_rotated", payload)
    assert fault(log, event) == (SignatureInvalidError, "payload.old_signature_b64")


def test_the_registry_rotates_no_key_without_its_holder(log: Log) -> None:
    payload = json.loads(log.world.rotation(ALICE, SUCCESSOR).raw)["payload"]
    payload["old_signature_b64"] = payload["new_signature_b64"]
    event = log.world.event(log.world.registry, "key_rotated", payload)
    assert fault(log, event) == (SignatureInvalidError, "payload.old_signature_b64")


def test_a_rotation_to_another_identity_is_refused(log: Log) -> None:
    event = log.world.rotation(ALICE, CAROL)
    assert fault(log, event) == (SignerMismatchError, "payload.rotation.statement")


def test_a_rotation_to_another_role_is_refused(log: Log) -> None:
    assert isinstance(log.refusal(log.world.rotation(ALICE, SUCCESSOR, "moderator")), KeyRoleError)


def test_a_rotation_of_an_unknown_key_is_refused(log: Log) -> None:
    event = log.world.rotation(CAROL, Who(key("carol 2"), "contributor", CAROL.signer_id))
    assert isinstance(log.refusal(event), UnknownKeyError)


def test_a_rotation_to_a_registered_key_is_refused(log: Log) -> None:
    log.admit(log.world.registration(MALLORY))
    assert isinstance(log.refusal(log.world.rotation(ALICE, MALLORY)), RuleViolationError)


def test_a_key_is_rotated_once(log: Log) -> None:
    log.admit(log.world.rotation(ALICE, SUCCESSOR))
    third = Who(key("third"), "contributor", ALICE.signer_id)
    assert isinstance(log.refusal(log.world.rotation(ALICE, third)), KeyExpiredError)


def test_a_revoked_key_is_not_rotated(log: Log) -> None:
    log.admit(log.world.revocation(ALICE))
    assert isinstance(log.refusal(log.world.rotation(ALICE, SUCCESSOR)), KeyRevokedError)


def test_the_registrys_event_key_rotates(log: Log) -> None:
    new = Who(key("new event key"), "pith_registry", log.world.registry.signer_id)
    log.admit(log.world.rotation(log.world.registry, new, "event"), log.world.policy(by=new))
    assert isinstance(log.refusal(log.world.policy()), KeyExpiredError)


def test_the_registrys_receipt_key_is_rotated_by_its_event_key(log: Log) -> None:
    new = Who(key("new receipt key"), "pith_registry", log.world.registry.signer_id)
    log.admit(log.world.rotation(log.world.receipt, new, "receipt", by=log.world.registry))


def test_a_receipt_key_signs_no_rotation_of_its_own(log: Log) -> None:
    new = Who(key("new receipt key"), "pith_registry", log.world.registry.signer_id)
    event = log.world.rotation(log.world.receipt, new, "receipt")
    assert isinstance(log.refusal(event), SignerNotAllowedError)


@pytest.mark.parametrize(("who", "role"), [(CHECKER, "storage_checker"), (MODERATOR, "moderator")])
def test_a_trusted_key_rotates_within_its_role(log: Log, who: Who, role: str) -> None:
    log.admit(log.world.rotation(who, Who(key("new"), who.signer_type, who.signer_id), role))


# Revoking.


@pytest.mark.parametrize("who", [ALICE, CHECKER, MODERATOR])
def test_a_key_revokes_itself(log: Log, who: Who) -> None:
    log.admit(log.world.revocation(who))


@pytest.mark.parametrize("who", [ALICE, CHECKER, MODERATOR])
def test_the_registry_revokes_any_key(log: Log, who: Who) -> None:
    log.admit(log.world.revocation(who, by=log.world.registry))


@pytest.mark.parametrize("by", [BOB, CHECKER, MODERATOR])
def test_nobody_else_revokes_a_key(log: Log, by: Who) -> None:
    assert fault(log, log.world.revocation(ALICE, by=by)) == (SignerNotAllowedError, "signer")


def test_a_revocation_of_an_unknown_key_is_refused(log: Log) -> None:
    event = log.world.revocation(CAROL, by=log.world.registry)
    assert fault(log, event) == (TargetMissingError, "payload.key_id")


def test_a_key_is_not_compromised_at_an_impossible_time(log: Log) -> None:
    event = log.world.revocation(ALICE, compromised_from="2026-02-30T00:00:00Z")
    assert fault(log, event) == (InvalidFieldError, "payload.compromised_from")


def test_a_successor_revokes_its_predecessor(log: Log) -> None:
    log.admit(log.world.rotation(ALICE, SUCCESSOR), log.world.revocation(ALICE, by=SUCCESSOR))


def test_another_key_proven_for_the_same_identity_revokes(log: Log) -> None:
    log.admit(log.world.registration(SUCCESSOR))
    log.admit(log.world.proof_of_identity(ALICE), log.world.proof_of_identity(SUCCESSOR))
    log.admit(log.world.revocation(ALICE, by=SUCCESSOR))
