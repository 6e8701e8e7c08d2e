"""What people may say of papers and of each other's words: every rule refuses by its own name and place."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ledger.appending import Appended
from ledger.chunks import CHUNK_BYTES
from ledger.errors import (
    AnchorMalformedError,
    AnchorMismatchError,
    AnchorUntrustedError,
    HashMismatchError,
    InvalidFieldError,
    KeyRoleError,
    MissingFieldError,
    RuleViolationError,
    SignatureInvalidError,
    SubmissionError,
    TargetMissingError,
    WeakKeyError,
)
from ledger.events import Event
from ops.regtest import stamp
from tests.builders import (
    ALICE,
    BOB,
    CHECKER,
    HASH,
    MODERATOR,
    NUMBER,
    OTHER_NUMBER,
    OTHER_PAPER,
    OTHER_RECORD,
    SESSION,
    SHA256,
    key,
    nonce,
    secret,
)
from tests.holders import ADDRESS, proved
from tests.logs import Log, fault

# timestamp_anchor


@pytest.mark.parametrize(
    ("changes", "error", "place"),
    [
        ({"anchored": {"what": "checkpoint", "sha256": SHA256}}, InvalidFieldError, "payload.anchored.what"),
        ({"anchored": {"what": "record", "sha256": HASH}}, HashMismatchError, "payload.anchored.sha256"),
        ({"proof_b64": base64.b64encode(b"no proof").decode()}, AnchorMalformedError, None),
        ({"proof_b64": "AAAAA"}, AnchorMalformedError, "payload.proof_b64"),
        ({"status": "confirmed"}, AnchorMalformedError, None),
    ],
)
def test_an_anchor_is_refused_for(
    log: Log, changes: dict[str, Any], error: type[SubmissionError], place: str | None
) -> None:
    refused = log.refusal(log.world.anchor(**changes))
    assert isinstance(refused, error)
    assert place is None or refused.place == place


def test_a_pending_proof_of_another_hash_is_refused(log: Log) -> None:
    proof = log.world.checkpoint_anchor().value["payload"]["proof_b64"]
    assert isinstance(log.refusal(log.world.anchor(proof_b64=proof)), AnchorMismatchError)


def test_a_checkpoint_anchor_without_tree_size_is_refused(log: Log) -> None:
    event = log.world.checkpoint_anchor(anchored={"what": "checkpoint", "sha256": HASH})
    assert fault(log, event) == (MissingFieldError, "payload.anchored.tree_size")


def test_a_failed_anchor_is_taken_as_a_fact(log: Log) -> None:
    log.admit(log.world.anchor(status="failed"))


def _regtest(log: Log) -> Event:
    proof, header = stamp(bytes.fromhex(SHA256), 1_781_884_800, 7)
    changes = {"proof_b64": base64.b64encode(proof).decode(), "block_header": header.hex(), "height": 7}
    return log.world.anchor(status="confirmed", **changes)


def test_a_confirmed_anchor_that_policy_trusts_is_taken(log: Log) -> None:
    log.admit(log.world.policy(bitcoin=[{"network": "regtest", "minimum_work_bits": 0, "checkpoints": {}}]))
    log.admit(_regtest(log))


def test_a_confirmed_anchor_that_policy_does_not_trust_is_refused(log: Log) -> None:
    assert isinstance(log.refusal(_regtest(log)), AnchorUntrustedError)


def test_a_root_that_is_no_base64_breaks_no_anchor(log: Log) -> None:
    log.append(
        log.world.policy(
            timestamp_roots=["AAAAA"], bitcoin=[{"network": "regtest", "minimum_work_bits": 0, "checkpoints": {}}]
        )
    )
    # Either the policy was refused or the root is passed over: an anchor of another kind is judged all the same.
    (outcome,) = log.append(_regtest(log))
    assert isinstance(outcome, Appended | AnchorUntrustedError)


# storage_attestation


@pytest.mark.parametrize("grade", ["fetched", "proved"])
def test_only_a_storage_checker_says_that_it_fetched(log: Log, grade: str) -> None:
    assert fault(log, log.world.storage(ALICE, grade=grade)) == (KeyRoleError, "payload.grade")


@pytest.mark.parametrize("grade", ["fetched", "proved"])
def test_the_registry_does_not_say_that_it_fetched(log: Log, grade: str) -> None:
    assert fault(log, log.world.storage(log.world.registry, grade=grade)) == (KeyRoleError, "payload.grade")


@pytest.mark.parametrize("grade", ["claimed", "fetched", "proved"])
def test_a_storage_checker_gives_every_grade(log: Log, grade: str) -> None:
    log.admit(log.world.storage(CHECKER, grade=grade))


@pytest.mark.parametrize("outcome", ["stored", "changed"])
def test_what_is_stored_has_a_hash(log: Log, outcome: str) -> None:
    payload = {**log.world.storage().value["payload"], "outcome": outcome}
    del payload["content"]
    event = log.world.event(ALICE, "storage_attestation", payload)
    assert fault(log, event) == (MissingFieldError, "payload.content")


def test_what_is_missing_needs_no_hash(log: Log) -> None:
    payload = {**log.world.storage().value["payload"], "outcome": "missing"}
    del payload["content"]
    log.admit(log.world.event(ALICE, "storage_attestation", payload))


def test_a_capture_at_an_impossible_time_is_refused(log: Log) -> None:
    event = log.world.storage(captured_at="2026-02-30T00:00:00Z")
    assert fault(log, event) == (InvalidFieldError, "payload.captured_at")


CHECK = {"started_at": "2026-06-19T16:00:00Z", "ended_at": "2026-06-19T16:00:05Z", "software": "pith-ledger 0.1.0"}


@pytest.mark.parametrize("grade", ["claimed", "fetched", "proved"])
def test_a_checker_tells_how_it_checked(log: Log, grade: str) -> None:
    log.admit(log.world.storage(CHECKER, grade=grade, check=CHECK))
    log.admit(log.world.storage(CHECKER, grade=grade, check={**CHECK, "ended_at": CHECK["started_at"]}))


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"started_at": "2026-02-30T00:00:00Z"}, "payload.check.started_at"),
        ({"ended_at": "2026-06-31T00:00:00Z"}, "payload.check.ended_at"),
        ({"ended_at": "2026-06-19T15:59:59Z"}, "payload.check.ended_at"),
    ],
)
def test_a_check_at_impossible_times_is_refused(log: Log, changes: dict[str, str], place: str) -> None:
    event = log.world.storage(CHECKER, grade="fetched", check={**CHECK, **changes})
    assert fault(log, event) == (InvalidFieldError, place)


# storage_attestation with the grade proved


@pytest.mark.parametrize("length", [0, 12, CHUNK_BYTES, 40 * CHUNK_BYTES + 5])
def test_a_proof_of_possession_is_taken(log: Log, length: int) -> None:
    log.admit(log.world.storage(CHECKER, grade="proved", **proved(length)))


@pytest.mark.parametrize(
    ("part", "name"), [("possession", None), ("content", "chunk_root")], ids=["possession", "chunk_root"]
)
def test_a_proof_lacks_nothing(log: Log, part: str, name: str | None) -> None:
    payload = {**log.world.storage(CHECKER, grade="proved").value["payload"]}
    if name is None:
        del payload[part]
    else:
        payload[part] = {key: value for key, value in payload[part].items() if key != name}
    event = log.world.event(CHECKER, "storage_attestation", payload)
    assert fault(log, event) == (MissingFieldError, f"payload.{part}" + (f".{name}" if name else ""))


@pytest.mark.parametrize("grade", ["claimed", "fetched"])
def test_a_proof_stands_with_no_lower_grade(log: Log, grade: str) -> None:
    assert fault(log, log.world.storage(CHECKER, **{**proved(), "grade": grade})) == (
        InvalidFieldError,
        "payload.possession",
    )


@pytest.mark.parametrize("outcome", ["missing", "changed"])
def test_only_what_is_stored_is_proved(log: Log, outcome: str) -> None:
    event = log.world.storage(CHECKER, grade="proved", outcome=outcome)
    assert fault(log, event) == (RuleViolationError, "payload.outcome")


def test_only_a_holder_proves(log: Log) -> None:
    location = {"kind": "https", "url": proved()["location"]["url"]}
    event = log.world.storage(CHECKER, grade="proved", location=location)
    assert fault(log, event) == (RuleViolationError, "payload.location.kind")


@pytest.mark.parametrize(
    ("url", "error"),
    [
        (ADDRESS, InvalidFieldError),
        (f"{ADDRESS}#ed25519:{(1).to_bytes(32, 'little').hex()}", WeakKeyError),
    ],
)
@pytest.mark.parametrize("grade", ["claimed", "fetched", "proved"])
def test_a_holders_location_names_its_key(log: Log, grade: str, url: str, error: type[SubmissionError]) -> None:
    event = log.world.storage(CHECKER, grade=grade, location={"kind": "holder", "url": url})
    assert fault(log, event) == (error, "payload.location.url")


def _proof(**changes: Any) -> dict[str, Any]:
    return {**proved(40 * CHUNK_BYTES), "possession": {**proved(40 * CHUNK_BYTES)["possession"], **changes}}


@pytest.mark.parametrize(
    ("changes", "error", "name"),
    [
        ({"tree_size": 0}, RuleViolationError, "tree_size"),
        ({"tree_size": 1_000}, RuleViolationError, "tree_size"),
        ({"holder_key": key("another holder").public_key.hex()}, RuleViolationError, "holder_key"),
        ({"chunks": list(range(16))}, RuleViolationError, "chunks"),
        ({"chunks": [0]}, RuleViolationError, "chunks"),
        ({"checkpoint_root": HASH}, RuleViolationError, "chunks"),
        ({"answer_sha256": HASH}, SignatureInvalidError, "signature_b64"),
        ({"signature_b64": base64.b64encode(bytes(64)).decode()}, SignatureInvalidError, "signature_b64"),
        ({"signature_b64": "AAAA"}, InvalidFieldError, "signature_b64"),
    ],
)
def test_a_proof_that_contradicts_itself_is_refused(
    log: Log, changes: dict[str, Any], error: type[SubmissionError], name: str
) -> None:
    event = log.world.storage(CHECKER, grade="proved", **_proof(**changes))
    assert fault(log, event) == (error, f"payload.possession.{name}")


def test_the_proof_of_a_short_file_does_not_serve_another_checkpoint(log: Log) -> None:
    """All its chunks are chosen whatever the root: only the signature tells the challenges apart."""
    possession = {**proved()["possession"], "checkpoint_root": HASH}
    event = log.world.storage(CHECKER, grade="proved", possession=possession)
    assert fault(log, event) == (SignatureInvalidError, "payload.possession.signature_b64")


def test_the_proof_of_one_file_is_none_of_another(log: Log) -> None:
    content = {**proved()["content"], "sha256": HASH}
    event = log.world.storage(CHECKER, grade="proved", content=content)
    assert fault(log, event) == (SignatureInvalidError, "payload.possession.signature_b64")


def test_a_checkpoint_that_covers_the_whole_log_so_far_can_be_answered_to(log: Log) -> None:
    size = log.store.head().size
    later = log.world.storage(CHECKER, grade="proved", **proved(tree_size=size + 1))
    assert fault(log, later) == (RuleViolationError, "payload.possession.tree_size")
    log.admit(log.world.storage(CHECKER, grade="proved", **proved(tree_size=size)))


# citation_signature, replication_record, identity_evidence


@pytest.mark.parametrize(
    "citing", ["pith:2026:SHORT", "pith:registry:test.registry", "arxiv:arXiv:2606.00002", "doi:10.1000/ABC", "isbn:1"]
)
def test_a_citing_paper_is_named_in_normal_form(log: Log, citing: str) -> None:
    assert isinstance(log.refusal(log.world.citation(citing=citing)), InvalidFieldError)


@pytest.mark.parametrize("citing", [OTHER_NUMBER, "doi:10.1000/abc", "url:https://example.org/"])
def test_a_citing_paper_need_not_be_known(log: Log, citing: str) -> None:
    log.admit(log.world.citation(citing=citing))


def test_a_paper_does_not_cite_itself(log: Log) -> None:
    assert fault(log, log.world.citation(citing=NUMBER)) == (RuleViolationError, "payload.citing")


def test_a_formal_bridge_names_its_statement(log: Log) -> None:
    assert fault(log, log.world.replication(kind="formal_bridge")) == (MissingFieldError, "payload.formal")


def test_a_replication_shows_an_artefact(log: Log) -> None:
    assert fault(log, log.world.replication(artefacts=[])) == (MissingFieldError, "payload.artefacts")


def test_a_formal_bridge_needs_no_artefact(log: Log) -> None:
    formal = {"system": "lean4", "statement": secret("1 + 1 = 2"), "commit": "abc"}
    log.admit(log.world.replication(kind="formal_bridge", outcome="proved", artefacts=[], formal=formal))


def test_evidence_about_a_key_names_it(log: Log) -> None:
    payload = dict(log.world.author_identity().value["payload"])
    event = log.world.event(log.world.registry, "identity_evidence", payload, subject=log.world.subject)
    assert fault(log, event) == (MissingFieldError, "payload.key_id")


def test_evidence_about_an_unknown_key_is_refused(log: Log) -> None:
    event = log.world.proof_of_identity(ALICE, key_id=key("stranger").key_id)
    assert fault(log, event) == (TargetMissingError, "payload.key_id")


def test_evidence_about_a_papers_author_names_no_key(log: Log) -> None:
    event = log.world.author_identity(key_id=ALICE.key.key_id)
    assert fault(log, event) == (InvalidFieldError, "payload.key_id")


def test_evidence_proven_at_an_impossible_time_is_refused(log: Log) -> None:
    event = log.world.proof_of_identity(ALICE, proven_at="2026-02-30T00:00:00Z")
    assert fault(log, event) == (InvalidFieldError, "payload.proven_at")


# What speaks about other events.


def test_a_challenge_of_a_claim_needs_no_event(log: Log) -> None:
    log.admit(log.world.challenge("C1"))


@pytest.mark.parametrize("event_type", ["challenge", "response", "withdrawal", "decision"])
def test_what_is_not_in_the_log_cannot_be_spoken_about(log: Log, event_type: str) -> None:
    unseen = log.world.challenge()
    assert fault(log, getattr(log.world, event_type)(unseen)) == (TargetMissingError, "target")


@pytest.mark.parametrize("event_type", ["challenge", "response", "withdrawal", "decision"])
def test_what_is_said_of_another_paper_cannot_be_spoken_about(log: Log, event_type: str) -> None:
    log.admit(log.world.record_created(OTHER_RECORD, OTHER_PAPER))
    other = log.world.event(ALICE, "challenge", {"about": "x", "text": secret("y")}, subject=OTHER_NUMBER, target="C1")
    log.admit(other)
    assert fault(log, getattr(log.world, event_type)(other)) == (TargetMissingError, "target")


def test_an_event_of_the_registrys_stream_cannot_be_decided_on(log: Log) -> None:
    root = log.store.entry(0).event
    assert fault(log, log.world.decision(root)) == (TargetMissingError, "target")


def test_an_event_that_comes_later_in_the_batch_cannot_be_spoken_about(log: Log) -> None:
    challenge = log.world.challenge()
    assert isinstance(log.append(log.world.decision(challenge), challenge)[0], TargetMissingError)


def test_only_a_challenge_is_responded_to(log: Log) -> None:
    claim = log.world.author()
    log.admit(claim)
    assert fault(log, log.world.response(claim)) == (RuleViolationError, "target")


def test_a_response_is_taken(log: Log) -> None:
    challenge = log.world.challenge()
    log.admit(challenge, log.world.response(challenge, BOB))


def test_a_moderators_decision_names_our_registry(log: Log) -> None:
    challenge = log.world.challenge()
    log.admit(challenge)
    assert log.world.decision(challenge).registry == log.world.name
    assert log.admit(log.world.decision(challenge, who=MODERATOR)).event.signer.signer_id == MODERATOR.signer_id


def test_a_registrys_word_for_a_person_is_taken(log: Log) -> None:
    log.admit(log.world.author(log.world.registry, on_behalf_of=SESSION))


def test_equal_statements_with_other_nonces_are_two_events(log: Log) -> None:
    assert log.world.author().event_id != log.world.author().event_id
    assert nonce(0) != nonce(1)
