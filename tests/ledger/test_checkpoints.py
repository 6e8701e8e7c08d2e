"""Checkpoints: published ones open and are written alike; another log's, or another spelling, is refused."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import checkpoints, notes
from ledger.checkpoints import Checkpoint, open_checkpoint, parse
from ledger.errors import UsageError, VerificationError
from ledger.merkle import EMPTY_ROOT
from ledger.notes import COSIGNATURE, ED25519, SignedNote, Verifier, parse_verifier
from tests.builders import key

TESSERA = Path(__file__).parents[1] / "vectors" / "tlog-tiles-tessera" / "log"
TESSERA_ORIGIN = "example.com/log/testdata"
TESSERA_KEY = parse_verifier("example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx")

ORIGIN = "pith.example/log"
LOG, OTHER = key("log"), key("other log")
LOG_KEY = Verifier(ORIGIN, ED25519, LOG.public_key)
WITNESS = Verifier("witness.example", COSIGNATURE, key("witness").public_key)
ROOT = hashlib.sha256(b"root").digest()
ROOT_TEXT = base64.b64encode(ROOT).decode()
CHECKPOINT = Checkpoint(ORIGIN, 15, ROOT)
RAW = checkpoints.issue(CHECKPOINT, LOG).format()


def refusal(raw: bytes, origin: str = ORIGIN, log_key: Verifier = LOG_KEY) -> str:
    with pytest.raises(VerificationError) as refused:
        open_checkpoint(raw, origin, log_key, [WITNESS])
    assert refused.value.step == "checkpoint"
    return refused.value.message


@pytest.mark.parametrize("size", range(16))
def test_tessera_checkpoints_open_and_are_written_alike(size: int) -> None:
    raw = (TESSERA / f"checkpoint.{size}").read_bytes()
    opened = open_checkpoint(raw, TESSERA_ORIGIN, TESSERA_KEY)
    assert opened.checkpoint.size == size
    assert opened.checkpoint.format() == opened.note.text
    assert opened.signers == (TESSERA_KEY,)
    assert opened.note.format() == raw


def test_the_empty_log_has_the_empty_root() -> None:
    opened = open_checkpoint((TESSERA / "checkpoint.0").read_bytes(), TESSERA_ORIGIN, TESSERA_KEY)
    assert opened.checkpoint == Checkpoint(TESSERA_ORIGIN, 0, EMPTY_ROOT)


def test_a_checkpoint_is_its_lines() -> None:
    assert Checkpoint(ORIGIN, 15, ROOT, ("more", "lines")).format() == f"{ORIGIN}\n15\n{ROOT_TEXT}\nmore\nlines\n"


def test_an_issued_checkpoint_opens_and_its_signature_is_under_the_origin() -> None:
    opened = open_checkpoint(RAW, ORIGIN, LOG_KEY)
    assert opened.checkpoint == CHECKPOINT
    assert [line.name for line in opened.note.signatures] == [ORIGIN]


def test_witnesses_that_signed_are_named_beside_the_log() -> None:
    note = checkpoints.issue(CHECKPOINT, LOG)
    seen = notes.cosign(note.text, "witness.example", key("witness"), 1767139200)
    raw = SignedNote(note.text, (*note.signatures, seen)).format()
    assert open_checkpoint(raw, ORIGIN, LOG_KEY, [WITNESS]).signers == (LOG_KEY, WITNESS)
    assert open_checkpoint(raw, ORIGIN, LOG_KEY).signers == (LOG_KEY,)


def test_a_checkpoint_of_another_log_is_refused() -> None:
    assert refusal(RAW, origin="pith.example/log2") == f"this is a checkpoint of '{ORIGIN}', not of 'pith.example/log2'"
    foreign = checkpoints.issue(Checkpoint("pith.example/log2", 15, ROOT), LOG)
    renamed = SignedNote(foreign.text, (notes.sign(foreign.text, ORIGIN, LOG),)).format()
    assert "this is a checkpoint of 'pith.example/log2'" in refusal(renamed)


def test_a_checkpoint_by_another_key_is_refused() -> None:
    assert refusal(checkpoints.issue(CHECKPOINT, OTHER).format()) == "no known key signed the note"


def test_a_witness_alone_does_not_vouch_for_a_log() -> None:
    seen = notes.cosign(CHECKPOINT.format(), "witness.example", key("witness"), 1767139200)
    reason = refusal(SignedNote(CHECKPOINT.format(), (seen,)).format())
    assert reason == f"the log's key {LOG_KEY.format()} did not sign the checkpoint"


def test_a_signed_note_that_is_no_checkpoint_is_refused() -> None:
    text = "the origin\nno size, no root, yet properly signed\n"
    assert "three or more lines" in refusal(SignedNote(text, (notes.sign(text, ORIGIN, LOG),)).format())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "does not end with a newline"),
        ("\n", "three or more lines"),
        (f"{ORIGIN}\n15\n", "three or more lines"),
        (f"\n15\n{ROOT_TEXT}\n", "three or more lines"),
        (f"{ORIGIN}\n\n{ROOT_TEXT}\n", "three or more lines"),
        (f"{ORIGIN}\n15\n{ROOT_TEXT}\n\n", "three or more lines"),
        (f"{ORIGIN}\n15\n{ROOT_TEXT}\n\nextension\n", "three or more lines"),
        (f"{ORIGIN}\n15\n{ROOT_TEXT}", "does not end with a newline"),
        (f"{ORIGIN}\r\n15\r\n{ROOT_TEXT}\r\n", r"U\+000D"),
        (f"{ORIGIN}\n15\t\n{ROOT_TEXT}\n", r"U\+0009"),
        (f"{ORIGIN}\n015\n{ROOT_TEXT}\n", "no tree size"),
        (f"{ORIGIN}\n00\n{ROOT_TEXT}\n", "no tree size"),
        (f"{ORIGIN}\n+15\n{ROOT_TEXT}\n", "no tree size"),
        (f"{ORIGIN}\n-1\n{ROOT_TEXT}\n", "no tree size"),
        (f"{ORIGIN}\n 15\n{ROOT_TEXT}\n", "no tree size"),
        (f"{ORIGIN}\n15 \n{ROOT_TEXT}\n", "no tree size"),
        (f"{ORIGIN}\n1_5\n{ROOT_TEXT}\n", "no tree size"),
        (f"{ORIGIN}\n0xf\n{ROOT_TEXT}\n", "no tree size"),
        (f"{ORIGIN}\n\u0661\u0665\n{ROOT_TEXT}\n", "no tree size"),
        (f"{ORIGIN}\n{2**63}\n{ROOT_TEXT}\n", "no tree size"),
        (f"{ORIGIN}\n{10**30}\n{ROOT_TEXT}\n", "no tree size"),
        (f"{ORIGIN}\n15\n{ROOT_TEXT[:-1]}\n", "32-byte root"),
        (f"{ORIGIN}\n15\n{ROOT_TEXT} \n", "32-byte root"),
        (f"{ORIGIN}\n15\n {ROOT_TEXT}\n", "32-byte root"),
        (f"{ORIGIN}\n15\n{ROOT_TEXT}=\n", "32-byte root"),
        (f"{ORIGIN}\n15\n{ROOT_TEXT[:-2]}{chr(ord(ROOT_TEXT[-2]) + 1)}=\n", "32-byte root"),
        (f"{ORIGIN}\n15\n{base64.b64encode(bytes(31)).decode()}\n", "32-byte root"),
        (f"{ORIGIN}\n15\n{base64.b64encode(bytes(33)).decode()}\n", "32-byte root"),
        (f"{ORIGIN}\n15\n{base64.urlsafe_b64encode(bytes([255] * 32)).decode()}\n", "32-byte root"),
        (f"{ORIGIN}\n15\n{ROOT.hex()}\n", "32-byte root"),
    ],
)
def test_a_checkpoint_has_one_spelling(text: str, reason: str) -> None:
    with pytest.raises(VerificationError, match=reason) as refused:
        parse(text)
    assert refused.value.step == "checkpoint"


@pytest.mark.parametrize(
    "wrong",
    [
        Checkpoint("", 15, ROOT),
        Checkpoint("two\nlines", 15, ROOT),
        Checkpoint(ORIGIN, -1, ROOT),
        Checkpoint(ORIGIN, 2**63, ROOT),
        Checkpoint(ORIGIN, 15, ROOT[:31]),
        Checkpoint(ORIGIN, 15, ROOT, ("",)),
        Checkpoint(ORIGIN, 15, ROOT, ("two\nlines",)),
        Checkpoint("\ud800", 15, ROOT),
    ],
)
def test_a_checkpoint_that_could_not_be_read_back_is_not_written(wrong: Checkpoint) -> None:
    with pytest.raises(VerificationError):
        wrong.format()


def test_a_checkpoint_whose_origin_is_no_key_name_is_not_issued() -> None:
    with pytest.raises(UsageError, match="no key name"):
        checkpoints.issue(Checkpoint("my log", 15, ROOT), LOG)


printable = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1)


@given(printable, st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32), st.lists(printable, max_size=3))
def test_checkpoints_round_trip(origin: str, size: int, root: bytes, extensions: list[str]) -> None:
    checkpoint = Checkpoint(origin, size, root, tuple(extensions))
    assert parse(checkpoint.format()) == checkpoint


@given(st.text() | st.lists(st.sampled_from([ORIGIN, "15", "0", ROOT_TEXT, "", " "])).map("\n".join))
def test_text_is_a_checkpoint_in_its_one_spelling_or_is_refused(text: str) -> None:
    try:
        assert parse(text).format() == text
    except VerificationError as error:
        assert error.step == "checkpoint"


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_no_changed_byte_of_a_signed_checkpoint_is_accepted(at: int, change: int) -> None:
    assert refusal(RAW[:at] + bytes([RAW[at] ^ change]) + RAW[at + 1 :])


@given(st.integers(0, len(RAW) - 1))
def test_no_part_of_a_signed_checkpoint_is_accepted(length: int) -> None:
    assert refusal(RAW[:length])
