"""The event: its published layout, and what every type needs to be well formed."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import msgspec
import pytest
from nacl.signing import VerifyKey

from ledger.errors import NotCanonicalError, SignatureInvalidError, TooLargeError, WeakKeyError
from ledger.events import (
    ATTESTATIONS,
    CHALLENGES,
    MODERATED,
    TYPES,
    Entry,
    Event,
    from_value,
    parse,
    parse_stored,
    verify_signature,
)
from ledger.keys import SecretKey
from ledger.payloads import PAYLOADS
from tests.builders import ALICE, BOB, HASH, MODERATOR, NUMBER, World, a_record, contributor, key, seal
from tests.logs import samples

WORLD = World()
SAMPLES = samples(WORLD)
PEOPLE = [WORLD.registry.key, ALICE.key, BOB.key, MODERATOR.key, key("bob's second key")]
SIGNERS = {signer.key_id: signer for signer in PEOPLE}

every_type = pytest.mark.parametrize("event", SAMPLES.values(), ids=SAMPLES)


def body_of(event: Event) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(event.raw)
    return {name: item for name, item in value.items() if name not in ("event_id", "signature_b64")}


def test_there_is_a_sample_of_every_type() -> None:
    assert set(SAMPLES) == set(TYPES) == set(PAYLOADS)


# The layout, recomputed without the ledger's own code.


@every_type
def test_event_id_is_the_hash_of_the_canonical_body(event: Event) -> None:
    body = json.dumps(body_of(event), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert json.loads(event.raw)["event_id"] == "sha256:" + hashlib.sha256(body.encode()).hexdigest()


@every_type
def test_the_signature_is_over_the_domain_and_the_hash(event: Event) -> None:
    value = json.loads(event.raw)
    message = b"pith-event/1\n" + bytes.fromhex(value["event_id"][7:])
    public_key = SIGNERS[value["signer"]["key_id"]].public_key
    VerifyKey(public_key).verify(message, base64.b64decode(value["signature_b64"]))


@every_type
def test_the_key_id_is_the_hash_of_the_public_key(event: Event) -> None:
    signer = json.loads(event.raw)["signer"]
    digest = hashlib.sha256(SIGNERS[signer["key_id"]].public_key).hexdigest()
    assert (signer["key_id"], signer["public_key_fingerprint"]) == (digest, digest[:32])


@every_type
def test_raw_is_the_whole_event_in_canonical_form(event: Event) -> None:
    value = json.loads(event.raw)
    assert event.raw == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("event_type", "stated", "signature", "signer"),
    [
        ("key_registered", "statement", "statement_signature_b64", WORLD.registry.key),
        ("key_rotated", "rotation", "old_signature_b64", BOB.key),
        ("key_rotated", "rotation", "new_signature_b64", key("bob's second key")),
    ],
)
def test_a_key_statement_is_signed_over_its_own_domain(
    event_type: str, stated: str, signature: str, signer: SecretKey
) -> None:
    payload = json.loads(SAMPLES[event_type].raw)["payload"]
    statement = json.dumps(payload[stated], sort_keys=True, separators=(",", ":"))
    message = b"pith-key/1\n" + hashlib.sha256(statement.encode()).digest()
    VerifyKey(signer.public_key).verify(message, base64.b64decode(payload[signature]))


def test_fields_that_imitate_the_seal_are_hashed_with_the_body() -> None:
    seal_alike = {"event_id": f"sha256:{HASH}", "signature_b64": "A" * 86 + "==", "text": ',"signature_b64":"'}
    imitator = contributor("imitator", 'name:",\\","signature_b64":"' + "A" * 86 + '=="')
    for event in (WORLD.finding(evidence=seal_alike), WORLD.author(imitator, claims=[',"event_id":"'])):
        body = json.dumps(body_of(event), sort_keys=True, separators=(",", ":"))
        assert parse(event.raw).event_id == hashlib.sha256(body.encode()).digest()


def test_a_pith_receipt_is_signed_over_the_bare_canonical_hash() -> None:
    payload = json.loads(SAMPLES["record_created"].raw)["payload"]
    digest = bytes.fromhex(payload["canonical_sha256"])
    VerifyKey(WORLD.receipt.key.public_key).verify(digest, base64.b64decode(payload["pith_receipt"]["signature_b64"]))


def test_leaf_data_is_the_time_of_receipt_and_the_event() -> None:
    event = SAMPLES["citation_signature"]
    assert Entry(7, 0x0102030405060708, event).leaf() == bytes(range(1, 9)) + event.raw


# Reading back what was signed.


@every_type
def test_a_signed_event_reads_back_as_itself(event: Event) -> None:
    again = parse(event.raw)
    assert msgspec.structs.asdict(again.payload) == msgspec.structs.asdict(event.payload)
    assert (again.id_text, again.signature, again.raw) == (event.id_text, event.signature, event.raw)


@every_type
def test_stored_bytes_read_back_as_the_same_event(event: Event) -> None:
    assert parse_stored(event.raw).event_id == event.event_id


@every_type
@pytest.mark.parametrize(
    "spell",
    [
        lambda value: json.dumps(value, indent=1),
        lambda value: json.dumps(dict(reversed(value.items())), ensure_ascii=True),
        lambda value: json.dumps(value).replace("pith", "\\u0070ith"),
    ],
    ids=["indented", "reversed", "escaped"],
)
def test_another_spelling_gives_the_same_raw_bytes(event: Event, spell: Any) -> None:
    assert parse(spell(json.loads(event.raw)).encode()).raw == event.raw


@every_type
def test_a_decoded_object_gives_the_same_raw_bytes(event: Event) -> None:
    assert from_value(json.loads(event.raw)).raw == event.raw


def test_stored_bytes_must_be_canonical() -> None:
    with pytest.raises(NotCanonicalError):
        parse_stored(SAMPLES["challenge"].raw + b" ")


@every_type
def test_the_signature_verifies_under_the_signers_key(event: Event) -> None:
    verify_signature(event, SIGNERS[event.signer.key_id].public_key)


def test_the_signature_verifies_under_no_other_key() -> None:
    with pytest.raises(SignatureInvalidError):
        verify_signature(SAMPLES["citation_signature"], key("mallory").public_key)


def test_a_signature_is_never_checked_under_a_small_order_key() -> None:
    with pytest.raises(WeakKeyError):
        verify_signature(SAMPLES["citation_signature"], (1).to_bytes(32, "little"))


def test_what_was_signed_is_kept_when_the_body_is_changed_and_sealed_again() -> None:
    event = SAMPLES["citation_signature"]
    changed = parse(json.dumps(seal({**body_of(event), "nonce": "A" * 22}, ALICE.key)).encode())
    assert changed.event_id != event.event_id


# Sizes.


def test_the_largest_event_that_fits_a_leaf_is_taken() -> None:
    empty = WORLD.graph_snapshot(paper_claims=[""])
    largest = WORLD.graph_snapshot(paper_claims=["a" * (65_527 - len(empty.raw))])
    assert len(parse(largest.raw).raw) == 65_527


def test_sign_refuses_one_byte_more() -> None:
    empty = WORLD.graph_snapshot(paper_claims=[""])
    with pytest.raises(TooLargeError):
        WORLD.graph_snapshot(paper_claims=["a" * (65_528 - len(empty.raw))])


def test_parse_refuses_one_byte_more() -> None:
    body = body_of(WORLD.graph_snapshot())
    body["payload"]["paper_claims"] = ["a" * 65_500]
    with pytest.raises(TooLargeError):
        parse(json.dumps(seal(body, WORLD.registry.key)).encode())


def test_from_value_refuses_an_event_that_is_too_large() -> None:
    body = body_of(WORLD.graph_snapshot())
    body["payload"]["paper_claims"] = ["a" * 66_000]
    with pytest.raises(TooLargeError):
        from_value(seal(body, WORLD.registry.key))


# What the types say of themselves.


def test_only_attestations_and_challenges_are_moderated() -> None:
    assert frozenset(ATTESTATIONS + CHALLENGES) == MODERATED


def test_a_records_number_is_its_subject() -> None:
    record, paper = a_record(title="Another paper")
    assert WORLD.record_created(record, paper).subject != NUMBER


def test_a_claim_can_be_challenged_by_its_name() -> None:
    assert WORLD.challenge("C1").target == "C1"


def test_an_event_can_be_challenged_by_its_id() -> None:
    assert WORLD.challenge(f"sha256:{HASH}").target == f"sha256:{HASH}"
