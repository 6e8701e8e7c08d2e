"""What any event, and the registry's word on a paper, must fulfil: every rule refuses by its own name and place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.errors import (
    ClockSkewError,
    ForeignRegistryError,
    HashMismatchError,
    InvalidFieldError,
    MissingFieldError,
    NumberMismatchError,
    RecordExistsError,
    RecordMissingError,
    SignatureInvalidError,
    SubmissionError,
    TextMismatchError,
    TooLargeError,
    UnknownKeyError,
)
from ledger.records import identify
from ledger.signatures import issue_receipt
from ledger.subjects import registry_subject
from tests.builders import (
    ALICE,
    HASH,
    OPENED,
    OTHER_NUMBER,
    OTHER_PAPER,
    OTHER_RECORD,
    PAPER,
    SHA256,
    key,
    secret,
)
from tests.logs import Log, fault

# Every event.


def test_an_event_from_the_future_is_refused(log: Log) -> None:
    event = log.world.event(ALICE, "author_attestation", _claim(), created_at="2026-06-19T16:05:01Z")
    assert fault(log, event) == (ClockSkewError, "created_at")


def test_the_skew_that_policy_allows_is_taken(log: Log) -> None:
    log.admit(log.world.event(ALICE, "author_attestation", _claim(), created_at="2026-06-19T16:05:00Z"))


def test_an_event_from_long_ago_is_taken(log: Log) -> None:
    log.admit(log.world.event(ALICE, "author_attestation", _claim(), created_at="2000-01-01T00:00:00Z"))


def test_a_policy_without_skew_refuses_the_next_second(log: Log) -> None:
    log.admit(log.world.policy(skew_seconds=0))
    event = log.world.event(ALICE, "author_attestation", _claim(), created_at="2026-06-19T16:00:01Z")
    assert fault(log, event) == (ClockSkewError, "created_at")


def test_an_event_larger_than_policy_allows_is_refused(log: Log) -> None:
    log.admit(log.world.policy(max_event_bytes=16_384))
    assert isinstance(log.refusal(log.world.author(claims=["a" * 200] * 90)), TooLargeError)


def test_an_attestation_of_an_unknown_paper_is_refused(log: Log) -> None:
    event = log.world.event(ALICE, "author_attestation", _claim(), subject=OTHER_NUMBER)
    assert fault(log, event) == (RecordMissingError, "subject_pith_number")


def test_a_contributors_anchor_in_another_registrys_stream_is_refused(log: Log) -> None:
    anchored = {"what": "checkpoint", "sha256": HASH, "tree_size": 1}
    event = log.world.anchor(ALICE, subject=registry_subject("other.registry"), anchored=anchored)
    assert fault(log, event) == (ForeignRegistryError, "subject_pith_number")


def _claim() -> dict[str, Any]:
    return {"author_name": "A. Author", "statement": secret("I wrote this.")}


# record_created


def test_a_record_under_another_number_is_refused(log: Log) -> None:
    event = log.world.record_created(OTHER_RECORD, OTHER_PAPER, subject=f"pith:2026:{'A' * 26}")
    assert isinstance(log.refusal(event), NumberMismatchError)


def test_a_second_record_of_a_paper_is_refused(log: Log) -> None:
    assert isinstance(log.refusal(log.world.record_created()), RecordExistsError)


def test_a_second_record_in_the_same_batch_is_refused(log: Log) -> None:
    events = [log.world.record_created(OTHER_RECORD, OTHER_PAPER) for _ in range(2)]
    assert isinstance(log.append(*events)[1], RecordExistsError)


RECEIPT = issue_receipt(key("test.registry receipt"), identify(OTHER_RECORD).digest, OPENED)
OTHERS_RECEIPT = issue_receipt(key("test.registry receipt"), bytes.fromhex(SHA256), OPENED)


@pytest.mark.parametrize(
    ("changes", "error", "place"),
    [
        ({"canonical_sha256": SHA256}, HashMismatchError, "payload.canonical_sha256"),
        ({"pith_receipt": OTHERS_RECEIPT}, HashMismatchError, "payload.pith_receipt.canonical_sha256"),
        ({"pith_receipt": {}}, MissingFieldError, "payload.pith_receipt"),
        ({"pith_receipt": {**RECEIPT, "algorithm": "rsa"}}, InvalidFieldError, "payload.pith_receipt"),
        (
            {"pith_receipt": {**RECEIPT, "signature_b64": OTHERS_RECEIPT["signature_b64"]}},
            SignatureInvalidError,
            "payload.pith_receipt.signature_b64",
        ),
        (
            {"pith_receipt": {**RECEIPT, "signature_b64": RECEIPT["signature_b64"].rstrip("=")}},
            InvalidFieldError,
            "payload.pith_receipt.signature_b64",
        ),
        ({"pith_receipt": {**RECEIPT, "key_id": HASH}}, UnknownKeyError, "payload.pith_receipt.key_id"),
        (
            {"pith_receipt": {**RECEIPT, "public_key_fingerprint": "0" * 32}},
            UnknownKeyError,
            "payload.pith_receipt.key_id",
        ),
        ({"paper": {}}, MissingFieldError, "payload.paper.title"),
        ({"paper": {"title": None}}, MissingFieldError, "payload.paper.title"),
        ({"paper": {"title": 1}}, InvalidFieldError, "payload.paper.title"),
        ({"paper": {"title": "A third paper"}}, TextMismatchError, "payload.paper.title"),
        ({"paper": {**OTHER_PAPER, "abstract": "Other words."}}, TextMismatchError, "payload.paper.abstract"),
        ({"paper": {**OTHER_PAPER, "abstract": ["words"]}}, InvalidFieldError, "payload.paper.abstract"),
        ({"source_text": {"paper": "{"}}, InvalidFieldError, "payload.source_text.paper"),
        ({"source_text": {"paper": "{}"}}, InvalidFieldError, "payload.source_text.paper"),
        ({"source_text": {"receipt": "{}"}}, InvalidFieldError, "payload.source_text.receipt"),
        ({"source_text": {"aliases": "[]"}}, InvalidFieldError, "payload.source_text.aliases"),
    ],
)
def test_a_new_record_is_refused_for(
    log: Log, changes: dict[str, Any], error: type[SubmissionError], place: str
) -> None:
    assert fault(log, log.world.record_created(OTHER_RECORD, **{"paper": OTHER_PAPER, **changes})) == (error, place)


def test_a_new_record_with_an_alias_not_in_normal_form_is_refused(log: Log) -> None:
    aliases = [{"alias_kind": "doi", "alias_value": "10.1000/ABC"}]
    event = log.world.record_created(OTHER_RECORD, OTHER_PAPER, aliases=aliases)
    assert isinstance(log.refusal(event), InvalidFieldError)


@pytest.mark.parametrize("text", ["1", "null", "[1]", '["a"]', "[[]]"])
def test_a_source_text_that_holds_no_aliases_is_refused(log: Log, text: str) -> None:
    event = log.world.record_created(OTHER_RECORD, OTHER_PAPER, source_text={"aliases": text})
    assert fault(log, event) == (InvalidFieldError, "payload.source_text.aliases")


def test_a_source_text_that_is_nested_too_deep_is_refused(log: Log) -> None:
    event = log.world.graph_snapshot(source_text={"graph_snapshot": "[" * 30_000})
    assert fault(log, event) == (InvalidFieldError, "payload.source_text.graph_snapshot")


@pytest.mark.parametrize("signer", ["test.registry event", "test.registry log", "moderator", "stranger"])
def test_a_receipt_by_a_key_that_is_no_receipt_key_is_refused(log: Log, signer: str) -> None:
    event = log.world.record_created(OTHER_RECORD, OTHER_PAPER, receipt_key=key(signer))
    assert fault(log, event) == (UnknownKeyError, "payload.pith_receipt.key_id")


def test_a_receipt_of_a_known_foreign_registry_is_taken(log: Log) -> None:
    log.admit(log.world.foreign_receipt_key(key("foreign"), "pith-v1-2026-05"))
    receipt = {**issue_receipt(key("foreign"), identify(OTHER_RECORD).digest, OPENED), "key_id": "pith-v1-2026-05"}
    log.admit(log.world.record_created(OTHER_RECORD, OTHER_PAPER, pith_receipt=receipt))


def test_a_source_text_that_says_the_same_is_taken(log: Log) -> None:
    text = json.dumps(OTHER_PAPER, indent=2)
    log.admit(log.world.record_created(OTHER_RECORD, OTHER_PAPER, source_text={"paper": text}))


# record_updated, graph_snapshot, alias_added


def test_an_update_of_an_unknown_paper_is_refused(log: Log) -> None:
    assert fault(log, log.world.record_updated(OTHER_NUMBER)) == (RecordMissingError, "subject_pith_number")


def test_an_update_of_nothing_is_refused(log: Log) -> None:
    assert fault(log, log.world.about("record_updated", {})) == (MissingFieldError, "payload")


def test_an_update_to_another_title_is_refused(log: Log) -> None:
    event = log.world.record_updated(paper={"title": "A third paper"})
    assert fault(log, event) == (TextMismatchError, "payload.paper.title")


def test_an_update_to_another_abstract_is_refused(log: Log) -> None:
    event = log.world.record_updated(paper={**PAPER, "abstract": "Other words."})
    assert fault(log, event) == (TextMismatchError, "payload.paper.abstract")


def test_an_update_to_another_abstract_alone_is_refused(log: Log) -> None:
    event = log.world.record_updated(paper={"abstract": "Other words."})
    assert fault(log, event) == (TextMismatchError, "payload.paper.abstract")


def test_an_update_with_another_records_receipt_is_refused(log: Log) -> None:
    event = log.world.record_updated(pith_receipt=RECEIPT)
    assert fault(log, event) == (HashMismatchError, "payload.pith_receipt.canonical_sha256")


def test_an_update_with_the_records_own_receipt_is_taken(log: Log) -> None:
    log.admit(log.world.record_updated(pith_receipt=OTHERS_RECEIPT))


def test_an_empty_snapshot_is_refused(log: Log) -> None:
    assert fault(log, log.world.about("graph_snapshot", {})) == (MissingFieldError, "payload")


def test_a_snapshot_that_differs_from_its_source_is_refused(log: Log) -> None:
    event = log.world.graph_snapshot(paper_claims=[], source_text={"paper_claims": "[1]"})
    assert fault(log, event) == (InvalidFieldError, "payload.source_text.paper_claims")


def test_a_source_text_that_says_true_for_one_is_refused(log: Log) -> None:
    event = log.world.graph_snapshot(paper_claims=[1], source_text={"paper_claims": "[true]"})
    assert fault(log, event) == (InvalidFieldError, "payload.source_text.paper_claims")


def test_a_snapshot_in_source_text_alone_is_taken(log: Log) -> None:
    log.admit(log.world.graph_snapshot(source_text={"graph_snapshot": '{"claims": 1.5}'}))


def test_an_alias_not_in_normal_form_is_refused(log: Log) -> None:
    assert isinstance(log.refusal(log.world.alias_added("doi", "10.1000/ABC")), InvalidFieldError)
