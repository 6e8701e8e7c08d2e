"""The pinned Ed25519 rule held against its own definition, on signatures crafted to tell verifiers apart."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import SubmissionError, UnfitVerifierError
from ledger.keys import verify
from ledger.pinned_rule import KNOWN_ANSWERS, KnownAnswer, Verifier, check_verifier
from tests.edwards import (
    BASE,
    ORDER_8,
    SIGN_BIT,
    TORSION,
    Crafted,
    L,
    P,
    accepts_cofactored,
    accepts_exactly,
    challenge,
    craft,
    decode,
    encode,
    holds_exactly,
    times,
)

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors"
SECRET, NONCE = 0x5EC2E7 * 2**200 + 1, 0x40CE * 2**222 + 1
SCALARS = st.integers(min_value=1, max_value=L - 1)
STEPS = st.integers(min_value=0, max_value=7)
TORSIONS = [(of_key, of_r) for of_key in range(8) for of_r in range(8)]
SMALL_ORDER_Y = sorted({int.from_bytes(encode(point), "little") % SIGN_BIT for point in TORSION} | {P, P + 1})
SMALL_ORDER = [(y | sign).to_bytes(32, "little") for y in SMALL_ORDER_Y for sign in (0, SIGN_BIT)]
CLOSE_TO_P = [(y | sign).to_bytes(32, "little") for y in range(P, SIGN_BIT) for sign in (0, SIGN_BIT)]


def accepts(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        verify(public_key, message, signature)
    except SubmissionError:
        return False
    return True


@pytest.mark.parametrize(("of_key", "of_r"), TORSIONS)
def test_verify_accepts_a_signature_with_torsion_only_where_the_equation_holds_exactly(of_key: int, of_r: int) -> None:
    made = craft(SECRET, NONCE, b"any message", of_key, of_r)
    assert accepts(*made[:3]) == (made.residue == 0)


def test_a_cofactored_verifier_accepts_what_the_rule_refuses() -> None:
    made = [craft(SECRET, NONCE, b"any message", of_key, of_r) for of_key, of_r in TORSIONS]
    assert all(accepts_cofactored(*one[:3]) for one in made)
    assert 0 < sum(one.residue == 0 for one in made) < len(made) // 2


def test_the_rules_of_these_tests_decide_as_published() -> None:
    cases = json.loads((VECTORS / "ed25519-speccheck" / "cases.json").read_text())
    decoded = [tuple(bytes.fromhex(case[name]) for name in ("pub_key", "message", "signature")) for case in cases]
    assert [number for number, case in enumerate(decoded) if accepts_exactly(*case)] == [3]
    # The published row of Zebra; cases 6 and 7 carry an S that is not reduced, 8 to 10 encodings that change k.
    assert [number for number, case in enumerate(decoded[:8]) if accepts_cofactored(*case)] == [0, 1, 2, 3, 4, 5]


def test_verify_decides_a_sample_of_the_disputed_corpus_by_definition() -> None:
    cases = json.loads((VECTORS / "cctv-ed25519" / "ed25519vectors.json").read_text())[2::5]
    decoded = [(bytes.fromhex(case["key"]), case["msg"].encode(), bytes.fromhex(case["sig"])) for case in cases]
    decisions = [accepts(*case) for case in decoded]
    assert decisions == [accepts_exactly(*case) for case in decoded]
    assert any(decisions)


@pytest.mark.parametrize("r", SMALL_ORDER, ids=bytes.hex)
def test_verify_refuses_an_r_of_small_order_whose_equation_holds(r: bytes) -> None:
    public_key = encode(times(SECRET, BASE))
    signature = r + (challenge(r, public_key, b"") * SECRET % L).to_bytes(32, "little")
    assert accepts_cofactored(public_key, b"", signature)
    assert not accepts(public_key, b"", signature)


@pytest.mark.parametrize("raw", CLOSE_TO_P, ids=bytes.hex)
def test_verify_refuses_a_key_or_an_r_that_is_not_canonically_encoded(raw: bytes) -> None:
    made = craft(SECRET, NONCE, b"")
    assert not accepts(raw, b"", made.signature)
    assert not accepts(made.public_key, b"", raw + made.signature[32:])


@pytest.mark.parametrize("times_over", range(1, 16))
def test_verify_refuses_s_with_any_multiple_of_the_group_order_added(times_over: int) -> None:
    made = craft(SECRET, NONCE, b"")
    s = int.from_bytes(made.signature[32:], "little") + times_over * L
    assert not accepts(made.public_key, b"", made.signature[:32] + s.to_bytes(32, "little"))


@st.composite
def crafted(draw: st.DrawFn) -> Crafted:
    made = craft(draw(SCALARS), draw(SCALARS), draw(st.binary(max_size=80)), draw(STEPS), draw(STEPS))
    at, bit = draw(st.integers(0, 63)), draw(st.sampled_from([0, 0, 0, 1, 16, 128]))
    changed = bytearray(made.signature)
    changed[at] ^= bit
    return made._replace(signature=bytes(changed))


@given(crafted())
@settings(max_examples=150, deadline=None)
def test_verify_decides_every_crafted_signature_by_definition(made: Crafted) -> None:
    assert accepts(*made[:3]) == accepts_exactly(*made[:3])


def test_there_are_fourteen_encodings_of_small_order() -> None:
    assert len(set(SMALL_ORDER)) == 14


def test_the_torsion_of_these_tests_has_order_8() -> None:
    assert len({encode(point) for point in TORSION}) == 8
    assert encode(times(L, ORDER_8)) != encode(times(0, ORDER_8)) == encode(times(8, ORDER_8))
    assert decode(encode(times(L, BASE))) == decode(encode(times(0, BASE)))


@pytest.mark.parametrize("known", KNOWN_ANSWERS, ids=[known.what for known in KNOWN_ANSWERS])
def test_a_known_answer_follows_from_the_definition(known: KnownAnswer) -> None:
    assert accepts_exactly(known.public_key, b"", known.signature) == known.accepted
    assert accepts(known.public_key, b"", known.signature) == known.accepted


def without_limit_of_s(public_key: bytes, message: bytes, signature: bytes) -> bool:
    s = int.from_bytes(signature[32:], "little") % L
    return accepts_exactly(public_key, message, signature[:32] + s.to_bytes(32, "little"))


def with_any_r(public_key: bytes, message: bytes, signature: bytes) -> bool:
    return int.from_bytes(signature[32:], "little") < L and holds_exactly(public_key, message, signature)


def without_mixed_order(public_key: bytes, message: bytes, signature: bytes) -> bool:
    key = decode(public_key)
    assert key is not None
    in_group = encode(times(L, key)) == encode(TORSION[0])
    return in_group and accepts_exactly(public_key, message, signature)


@pytest.mark.parametrize(
    ("verifier", "reason"),
    [
        (accepts_cofactored, "accepts an R that is off by a point of order 8"),
        (without_limit_of_s, "accepts an S that is not below"),
        (with_any_r, "accepts an R that is the neutral point"),
        (without_mixed_order, "refuses a key and an R of mixed order"),
        (lambda *_: True, "accepts an S that is not below"),
        (lambda *_: False, "refuses an honest signature"),
    ],
)
def test_a_verifier_of_another_rule_is_found_out(verifier: Verifier, reason: str) -> None:
    with pytest.raises(UnfitVerifierError, match=f"^some library {reason}"):
        check_verifier(verifier, "some library")


def test_a_verifier_of_the_rule_passes() -> None:
    check_verifier(accepts_exactly, "some library")


OTHER_LIBSODIUM = """
import nacl.bindings
from nacl.exceptions import BadSignatureError
from tests.edwards import accepts_cofactored, accepts_exactly

def crypto_sign_open(signed, public_key):
    if not RULE(public_key, signed[64:], signed[:64]):
        raise BadSignatureError("no")
    return signed[64:]

nacl.bindings.crypto_sign_open = crypto_sign_open
from ledger.errors import LedgerError
from ledger.keys import verify
from tests.builders import key

try:
    verify(key("alice").public_key, b"a message", key("alice").sign_receipt(bytes(32)))
except LedgerError as error:
    print(error.code)
"""


@pytest.mark.parametrize(
    ("rule", "code"), [("accepts_cofactored", "unfit-verifier"), ("accepts_exactly", "signature-invalid")]
)
def test_nothing_is_verified_with_a_libsodium_of_another_rule(rule: str, code: str) -> None:
    program = OTHER_LIBSODIUM.replace("RULE", rule)
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == code
