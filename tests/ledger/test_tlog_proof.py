"""Proofs as text files: one proves a public log's entry, each has one spelling, and nothing cut or moved passes."""

from __future__ import annotations

import base64
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoints import open_checkpoint
from ledger.errors import VerificationError
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.notes import parse_verifier
from ledger.tlog_proof import MAX_BYTES, LogProof, is_proof, parse

TESSERA = Path(__file__).parents[1] / "vectors" / "tlog-tiles-tessera" / "log"
ORIGIN = "example.com/log/testdata"
LOG_KEY = parse_verifier("example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx")

HEAD = """c2sp.org/tlog-proof@v1
extra dGhyZWV0ZW4=
index 12
tslOYb2zF+CS8vTUSUrg6kkGne80hk455cjPZXeaSV8=
N4bcGOdfRQ1JnxGcHq7iDdgpPyH8nQhxShjXKxzWDrU=
3cFRCtyHVxAUTugFyRgo30efbl+BVxdTQDIGg5H61SA=
bC+VwvrJbalNVjfkdI8kUgs7mJoXrqiXCE7bgnD28pY=
"""
"""The path of entry 12 of Tessera's log of 15, as tlog-scales 0.0.3 computes it from Tessera's tiles."""

CHECKPOINT = (TESSERA / "checkpoint.15").read_bytes()
RAW = HEAD.encode() + b"\n" + CHECKPOINT
HASH = base64.b64encode(bytes(32)).decode()


def verify(raw: bytes) -> None:
    """Check a proof that is to show the entry it carries in Tessera's log."""
    proof = parse(raw)
    checkpoint = open_checkpoint(proof.checkpoint, ORIGIN, LOG_KEY).checkpoint
    verify_inclusion(leaf_hash(proof.extra), proof.index, checkpoint.size, proof.hashes, checkpoint.root)


def refusal(raw: bytes) -> str:
    with pytest.raises(VerificationError) as refused:
        parse(raw)
    assert refused.value.step == "canonical form"
    return refused.value.message


def with_head(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + CHECKPOINT


# One public example.


def test_a_proof_of_a_public_log_verifies() -> None:
    verify(RAW)


def test_a_proof_is_read_as_its_lines_say() -> None:
    proof = parse(RAW)
    assert (proof.index, proof.extra, proof.checkpoint) == (12, b"threeten", CHECKPOINT)
    assert [base64.b64encode(found).decode() for found in proof.hashes] == HEAD.splitlines()[3:]


def test_a_proof_is_written_as_it_was_read() -> None:
    assert parse(RAW).format() == RAW


def test_without_extra_data_there_is_no_line_of_it() -> None:
    assert LogProof(0, (), b"checkpoint\n", b"").format() == b"c2sp.org/tlog-proof@v1\nindex 0\n\ncheckpoint\n"


def test_an_entry_alone_in_its_log_has_an_empty_path() -> None:
    proof = parse(b"c2sp.org/tlog-proof@v1\nextra b25l\nindex 0\n\n" + (TESSERA / "checkpoint.1").read_bytes())
    assert (proof.index, proof.hashes, proof.extra) == (0, (), b"one")


def test_the_checkpoint_is_carried_verbatim() -> None:
    assert (
        parse(with_head("c2sp.org/tlog-proof@v1", "index 7") + b"\n\nmore\n").checkpoint == CHECKPOINT + b"\n\nmore\n"
    )


@pytest.mark.parametrize(("raw", "found"), [(RAW, True), (b"", False), (CHECKPOINT, False), (b'{"a": 1}', False)])
def test_a_proof_is_told_by_its_first_line(raw: bytes, found: bool) -> None:
    assert is_proof(raw) is found


# One spelling.

hashes = st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple)


@given(st.integers(0, 2**63 - 1), hashes, st.binary(max_size=300), st.binary(max_size=300))
def test_proofs_round_trip(index: int, path: tuple[bytes, ...], checkpoint: bytes, extra: bytes) -> None:
    proof = LogProof(index, path, checkpoint, extra)
    assert parse(proof.format()) == proof


texts = st.lists(st.sampled_from([*HEAD.splitlines(), "", "extra ", "index 0", "index 00", HASH, HASH[:-1]]))


@given(st.binary() | texts.map(lambda lines: "\n".join(["c2sp.org/tlog-proof@v1", *lines]).encode()))
def test_bytes_are_a_proof_in_its_one_spelling_or_are_refused(raw: bytes) -> None:
    try:
        assert parse(raw).format() == raw
    except VerificationError as error:
        assert error.step == "canonical form"


V1 = "c2sp.org/tlog-proof@v1"
NO_HEADER = "the first line is not c2sp.org/tlog-proof@v1"
NO_EXTRA = "the extra line is not base64 in its one spelling"
NO_INDEX = "there is no index line"
NO_HASH = "the path is at most 63 lines"
NO_BLANK = "no blank line parts the proof from its checkpoint"

SPELLINGS = [
    (b"", NO_BLANK),
    (b"\n\n", NO_HEADER),
    (CHECKPOINT, NO_HEADER),
    (b"\xef\xbb\xbf" + RAW, NO_BLANK),
    (RAW.replace(b"\n", b"\r\n"), NO_BLANK),
    (b" " + RAW, NO_HEADER),
    (b"\n" + RAW, NO_HEADER),
    (with_head("c2sp.org/tlog-proof@v2", "index 12"), NO_HEADER),
    (with_head("C2SP.org/tlog-proof@v1", "index 12"), NO_HEADER),
    (with_head(f"{V1} ", "index 12"), NO_HEADER),
    (with_head(V1), NO_INDEX),
    (with_head(V1, "index"), NO_INDEX),
    (with_head(V1, "index "), NO_INDEX),
    (with_head(V1, "index 012"), NO_INDEX),
    (with_head(V1, "index 00"), NO_INDEX),
    (with_head(V1, "index +12"), NO_INDEX),
    (with_head(V1, "index -1"), NO_INDEX),
    (with_head(V1, "index 1_2"), NO_INDEX),
    (with_head(V1, "index 0xc"), NO_INDEX),
    (with_head(V1, "index  12"), NO_INDEX),
    (with_head(V1, "index 12 "), NO_INDEX),
    (with_head(V1, "index\t12"), NO_INDEX),
    (with_head(V1, "INDEX 12"), NO_INDEX),
    (with_head(V1, "index \u0661\u0662"), NO_BLANK),
    (with_head(V1, f"index {2**63}"), NO_INDEX),
    (with_head(V1, f"index {10**30}"), NO_INDEX),
    (with_head(V1, "index 12", "index 12"), NO_HASH),
    (with_head(V1, "index 12", "extra dGhyZWV0ZW4="), NO_HASH),
    (with_head(V1, "extra dGhyZWV0ZW4="), NO_INDEX),
    (with_head(V1, "extra dGhyZWV0ZW4=", "extra dGhyZWV0ZW4=", "index 12"), NO_INDEX),
    (with_head(V1, "extra", "index 12"), NO_INDEX),
    (with_head(V1, "extra ", "index 12"), NO_EXTRA),
    (with_head(V1, "extra dGhyZWV0ZW4", "index 12"), NO_EXTRA),
    (with_head(V1, "extra dGhyZWV0ZW5=", "index 12"), NO_EXTRA),
    (with_head(V1, "extra dGhyZWV0ZW4==", "index 12"), NO_EXTRA),
    (with_head(V1, "extra  dGhyZWV0ZW4=", "index 12"), NO_EXTRA),
    (with_head(V1, "extra __4=", "index 12"), NO_EXTRA),
    (with_head(V1, "index 12", HASH[:-1]), NO_HASH),
    (with_head(V1, "index 12", f"{HASH}="), NO_HASH),
    (with_head(V1, "index 12", f" {HASH}"), NO_HASH),
    (with_head(V1, "index 12", f"{HASH} "), NO_HASH),
    (with_head(V1, "index 12", f"{HASH[:-2]}B="), NO_HASH),
    (with_head(V1, "index 12", bytes(32).hex()), NO_HASH),
    (with_head(V1, "index 12", base64.b64encode(bytes(31)).decode()), NO_HASH),
    (with_head(V1, "index 12", base64.b64encode(bytes(33)).decode()), NO_HASH),
    (with_head(V1, "index 12", *[HASH] * 64), NO_HASH),
    (RAW + bytes(MAX_BYTES), f"a proof has at most {MAX_BYTES} bytes"),
]


@pytest.mark.parametrize(("raw", "reason"), SPELLINGS)
def test_another_spelling_is_refused(raw: bytes, reason: str) -> None:
    assert reason in refusal(raw)


def test_the_greatest_proof_is_read() -> None:
    proof = LogProof(2**63 - 1, (bytes(32),) * 63, b"", bytes(65_535))
    assert parse(proof.format()) == proof


# Damage.


def test_a_proof_cut_before_its_checkpoint_is_refused() -> None:
    assert {refusal(RAW[:length]) for length in range(len(HEAD) + 1)} == {NO_BLANK}


def test_a_proof_cut_within_its_checkpoint_does_not_verify() -> None:
    for length in range(len(HEAD) + 1, len(RAW)):
        with pytest.raises(VerificationError) as refused:
            verify(RAW[:length])
        assert refused.value.step == "checkpoint"


@pytest.mark.parametrize("lost", range(len(HEAD.splitlines())))
def test_a_proof_that_lost_a_line_does_not_verify(lost: int) -> None:
    lines = HEAD.splitlines()
    with pytest.raises(VerificationError):
        verify(with_head(*lines[:lost], *lines[lost + 1 :]))


def test_a_proof_with_its_lines_in_another_order_does_not_verify() -> None:
    lines = HEAD.splitlines()
    for order in permutations(lines):
        if list(order) != lines:
            with pytest.raises(VerificationError):
                verify(with_head(*order))


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_no_changed_byte_is_accepted(at: int, change: int) -> None:
    with pytest.raises(VerificationError):
        verify(RAW[:at] + bytes([RAW[at] ^ change]) + RAW[at + 1 :])


def test_a_proof_under_another_size_of_the_log_does_not_verify() -> None:
    with pytest.raises(VerificationError) as refused:
        verify(HEAD.encode() + b"\n" + (TESSERA / "checkpoint.14").read_bytes())
    assert refused.value.step == "inclusion"
