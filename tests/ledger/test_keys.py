"""The pinned Ed25519 rule, held against three public corpora, and the domains that keep signatures apart."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import InvalidFieldError, SignatureInvalidError, SubmissionError, WeakKeyError
from ledger.keys import (
    EVENT_DOMAIN,
    KEY_DOMAIN,
    SecretKey,
    check_public_key,
    decode_signature,
    encode_signature,
    fingerprint,
    key_id,
    verify,
    verify_event,
    verify_receipt,
    verify_statement,
)
from tests.builders import key

VECTORS = Path(__file__).parents[1] / "vectors"
CCTV = json.loads((VECTORS / "cctv-ed25519" / "ed25519vectors.json").read_text())
DECISIONS = json.loads((VECTORS / "cctv-ed25519" / "decisions.json").read_text())
SPECCHECK = json.loads((VECTORS / "ed25519-speccheck" / "cases.json").read_text())
WYCHEPROOF = [
    (group["publicKey"]["pk"], test)
    for group in json.loads((VECTORS / "wycheproof-ed25519" / "ed25519_test.json").read_text())["testGroups"]
    for test in group["tests"]
]

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
SIGN_BIT = 2**255
ORDER_8 = (
    2707385501144840649318225287225658788936804267575313519463743609750303021022,
    55188659117513257062467267217118295137698188065244968500265048394206261417927,
)
SMALL_ORDER = [(y | sign).to_bytes(32, "little") for y in (0, 1, P - 1, *ORDER_8, P, P + 1) for sign in (0, SIGN_BIT)]
NON_CANONICAL = [(y | sign).to_bytes(32, "little") for y in range(P, 2**255) for sign in (0, SIGN_BIT)]

ALICE = key("alice")
DIGEST = hashlib.sha256(b"what is signed").digest()


def accepts(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        verify(public_key, message, signature)
    except SubmissionError:
        return False
    return True


def accepts_cctv(case: dict[str, Any]) -> bool:
    return accepts(bytes.fromhex(case["key"]), case["msg"].encode(), bytes.fromhex(case["sig"]))


def test_the_wycheproof_corpus_is_whole() -> None:
    assert len(WYCHEPROOF) == 151


@pytest.mark.parametrize(("public_key", "case"), WYCHEPROOF, ids=[f"tcId-{case['tcId']}" for _, case in WYCHEPROOF])
def test_verify_decides_as_wycheproof_does(public_key: str, case: dict[str, str]) -> None:
    decision = accepts(bytes.fromhex(public_key), bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
    assert decision == (case["result"] == "valid")


def test_verify_accepts_only_case_3_of_speccheck() -> None:
    decisions = [
        accepts(*(bytes.fromhex(case[name]) for name in ("pub_key", "message", "signature"))) for case in SPECCHECK
    ]
    assert decisions == [number == 3 for number in range(12)]


def test_verify_decides_the_disputed_signatures_as_frozen() -> None:
    assert [case["number"] for case in CCTV if accepts_cctv(case)] == DECISIONS["accepted"]


def test_the_frozen_decisions_count_as_many_as_libsodium_accepts() -> None:
    assert (len(CCTV), len(DECISIONS["accepted"]), DECISIONS["count"]) == (914, 43, 43)


@pytest.mark.parametrize(
    "flag", ["low_order_A", "low_order_R", "non_canonical_A", "non_canonical_R", "low_order_residue", "reencoded_k"]
)
def test_verify_accepts_no_signature_with_flag(flag: str) -> None:
    flagged = [case for case in CCTV if flag in (case["flags"] or [])]
    assert flagged
    assert [case["number"] for case in flagged if accepts_cctv(case)] == []


@pytest.mark.parametrize("public_key", SMALL_ORDER, ids=bytes.hex)
def test_check_public_key_refuses_a_small_order_point_in_every_encoding(public_key: bytes) -> None:
    with pytest.raises(WeakKeyError):
        check_public_key(public_key)


@pytest.mark.parametrize("public_key", SMALL_ORDER, ids=bytes.hex)
def test_verify_refuses_a_small_order_key_whatever_the_signature(public_key: bytes) -> None:
    with pytest.raises(WeakKeyError):
        verify(public_key, b"any message", bytes(64))


def test_check_public_key_refuses_every_non_canonical_encoding() -> None:
    for public_key in NON_CANONICAL:
        with pytest.raises(WeakKeyError):
            check_public_key(public_key)


def test_check_public_key_passes_an_honest_key() -> None:
    check_public_key(ALICE.public_key)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_check_public_key_refuses_another_length(length: int) -> None:
    with pytest.raises(WeakKeyError):
        check_public_key(ALICE.public_key.ljust(64, b"\x01")[:length])


def test_verify_refuses_a_key_that_is_no_point() -> None:
    not_on_curve = (2).to_bytes(32, "little")
    with pytest.raises(SignatureInvalidError):
        verify(not_on_curve, b"message", bytes(64))


@pytest.mark.parametrize("length", [0, 63, 65, 128])
def test_verify_refuses_a_signature_of_another_length(length: int) -> None:
    signature = ALICE.sign_receipt(DIGEST).ljust(128, b"\x00")[:length]
    with pytest.raises(SignatureInvalidError):
        verify_receipt(ALICE.public_key, DIGEST, signature)


def test_verify_refuses_s_plus_the_group_order() -> None:
    signature = ALICE.sign_receipt(DIGEST)
    s = int.from_bytes(signature[32:], "little")
    with pytest.raises(SignatureInvalidError):
        verify_receipt(ALICE.public_key, DIGEST, signature[:32] + (s + L).to_bytes(32, "little"))


@pytest.mark.parametrize("at", [0, 31, 32, 63])
def test_verify_refuses_a_signature_with_one_bit_flipped(at: int) -> None:
    signature = bytearray(ALICE.sign_receipt(DIGEST))
    signature[at] ^= 1
    with pytest.raises(SignatureInvalidError):
        verify_receipt(ALICE.public_key, DIGEST, bytes(signature))


def test_verify_refuses_another_holders_signature() -> None:
    with pytest.raises(SignatureInvalidError):
        verify_event(key("bob").public_key, DIGEST, ALICE.sign_event(DIGEST))


SIGNERS = {"event": SecretKey.sign_event, "statement": SecretKey.sign_statement, "receipt": SecretKey.sign_receipt}
VERIFIERS = {"event": verify_event, "statement": verify_statement, "receipt": verify_receipt}


@pytest.mark.parametrize("kind", SIGNERS)
def test_a_signature_verifies_as_the_kind_it_was_made_for(kind: str) -> None:
    VERIFIERS[kind](ALICE.public_key, DIGEST, SIGNERS[kind](ALICE, DIGEST))


@pytest.mark.parametrize(("made", "taken"), [(made, taken) for made in SIGNERS for taken in SIGNERS if made != taken])
def test_a_signature_never_passes_as_another_kind(made: str, taken: str) -> None:
    with pytest.raises(SignatureInvalidError):
        VERIFIERS[taken](ALICE.public_key, DIGEST, SIGNERS[made](ALICE, DIGEST))


@pytest.mark.parametrize("message", [b"", DIGEST[:31], DIGEST + b"\x00", EVENT_DOMAIN + DIGEST, KEY_DOMAIN + DIGEST])
def test_a_receipt_key_signs_32_bytes_and_nothing_else(message: bytes) -> None:
    with pytest.raises(ValueError, match="32-byte"):
        ALICE.sign_receipt(message)


@pytest.mark.parametrize("show", [repr, str, "{}".format])
def test_a_secret_key_shows_no_secret(show: Any) -> None:
    shown = show(ALICE)
    seed = ALICE.seed()
    assert not any(secret in shown for secret in (seed.hex(), repr(seed), base64.b64encode(seed).decode()))


def test_a_secret_key_comes_back_from_its_seed() -> None:
    assert SecretKey(ALICE.seed()).public_key == ALICE.public_key


def test_a_public_key_follows_from_its_seed_as_rfc_8032_publishes() -> None:
    secret = SecretKey(bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"))
    assert secret.public_key.hex() == "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"


def test_key_id_is_the_sha256_of_the_raw_key() -> None:
    assert key_id(ALICE.public_key) == hashlib.sha256(ALICE.public_key).hexdigest()


def test_the_fingerprint_of_the_public_registrys_key_is_as_published() -> None:
    public_key = bytes.fromhex("b2d552b68890857171a78b36a5dccf368a953413288c353f7c9d9d6f94b709b3")
    assert fingerprint(public_key) == "8d4b5ee74e4693bcd1df2446408b0d54"


SIGNATURE = ALICE.sign_receipt(DIGEST)
TEXT = encode_signature(SIGNATURE)


def test_decode_signature_reads_what_encode_signature_wrote() -> None:
    assert decode_signature(TEXT, "here") == SIGNATURE


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT.rstrip("="),
        TEXT + "=",
        TEXT + "\n",
        " " + TEXT,
        TEXT[:40] + "\n" + TEXT[40:],
        # 64 bytes leave four unused bits before the padding: set one of them.
        TEXT[:85]
        + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[1 + 16 * (SIGNATURE[63] & 3)]
        + "==",
        base64.urlsafe_b64encode(b"\xff" * 64).decode(),
        base64.b64encode(SIGNATURE[:63]).decode(),
        base64.b64encode(SIGNATURE + b"\x00").decode(),
        SIGNATURE.hex(),
        "é" * 88,
    ],
)
def test_decode_signature_refuses_every_other_spelling(text: str) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        decode_signature(text, "here")
    assert refused.value.place == "here"
