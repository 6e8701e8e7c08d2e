"""Signed notes: published notes open, every other spelling is refused, and only known keys' signatures count."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import notes
from ledger.errors import LedgerError, SignatureInvalidError, UsageError, VerificationError, WeakKeyError
from ledger.keys import EVENT_DOMAIN, KEY_DOMAIN, SecretKey, verify_note, verify_receipt
from ledger.notes import COSIGNATURE, ED25519, NoteSignature, SignedNote, Verifier, open_note, parse, parse_verifier
from tests.builders import key

# The example of C2SP signed-note, and the keys and notes of the tests of golang.org/x/mod/sumdb/note (BSD).
SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
PETER_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
ENOCH_KEY = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ENOCH_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)
SUNLIGHT = Path(__file__).parents[1] / "vectors" / "tlog-mirror-sunlight" / "witness"
LOG_FOLDER = "000de184301123b9278c086a7d9f68c9577e83872224c197058fd90784ea9706"
TIME = 1767139200

ALICE, BOB = key("alice"), key("bob")
TEXT = f"example.com/log\n15\n{base64.b64encode(bytes(32)).decode()}\n"
ALICE_VERIFIER = Verifier("alice.example", ED25519, ALICE.public_key)
BOB_VERIFIER = Verifier("bob.example", ED25519, BOB.public_key)
WITNESS = Verifier("witness.example", COSIGNATURE, BOB.public_key)
BY_ALICE = notes.sign(TEXT, "alice.example", ALICE)
BY_BOB = notes.sign(TEXT, "bob.example", BOB)
BY_WITNESS = notes.cosign(TEXT, "witness.example", BOB, TIME)


def note(*lines: NoteSignature, text: str = TEXT) -> bytes:
    """Return a note's bytes, unchecked."""
    return f"{text}\n{''.join(line.format() for line in lines)}".encode()


def refusal(raw: bytes, *verifiers: Verifier) -> str:
    """Return why a note is not opened."""
    with pytest.raises(VerificationError) as refused:
        open_note(raw, verifiers)
    assert refused.value.step == "checkpoint"
    return refused.value.message


# Published notes.


def test_the_specification_example_opens() -> None:
    verifier = parse_verifier(SPEC_KEY)
    found, signers = open_note(SPEC_NOTE.encode(), [verifier])
    assert found.text == "This is an example message.\n"
    assert signers == (verifier,)


def test_go_notes_open_and_are_signed_alike() -> None:
    peter, enoch = parse_verifier(PETER_KEY), parse_verifier(ENOCH_KEY)
    raw = (GO_TEXT + "\n" + PETER_LINE + ENOCH_LINE).encode()
    assert open_note(raw, [peter])[1] == (peter,)
    assert open_note(raw, [enoch, peter])[1] == (peter, enoch)
    assert notes.sign(GO_TEXT, "PeterNeumann", SecretKey(PETER_SEED)).format() == PETER_LINE


@pytest.mark.parametrize(("folder", "keys"), [(".", "witness.v0.json"), ("mirror", "mirror/mirror.v0.json")])
def test_sunlight_cosignatures_verify_and_say_when(folder: str, keys: str) -> None:
    raw = (SUNLIGHT / folder / LOG_FOLDER / "checkpoint").read_bytes()
    verifier = parse_verifier(json.loads((SUNLIGHT / keys).read_text())["verifier_keys"][0])
    assert verifier.kind == COSIGNATURE
    found, signers = open_note(raw, [verifier])
    assert signers == (verifier,)
    assert found.signatures[-1].time == TIME
    assert found.format() == raw


@pytest.mark.parametrize("text", [SPEC_KEY, PETER_KEY, ENOCH_KEY, WITNESS.format()])
def test_verifier_keys_round_trip_and_every_part_or_changed_character_is_refused(text: str) -> None:
    assert parse_verifier(text).format() == text
    parts = {text[at:end] for at in range(len(text)) for end in range(at, len(text) + 1)} - {text}
    changed = {text[:at] + chr(ord(text[at]) + 1) + text[at + 1 :] for at in range(len(text))}
    for wrong in (*parts, *changed, text + "=", text + "\n", " " + text, text.replace("+", " + ", 1)):
        with pytest.raises((UsageError, WeakKeyError)):
            parse_verifier(wrong)


def test_a_verifier_key_has_its_own_hash_a_known_kind_and_a_strong_key() -> None:
    def written(kind: int, public_key: bytes, name: str = "a") -> str:
        raw = bytes([kind]) + public_key
        digest = hashlib.sha256(f"{name}\n".encode() + raw).hexdigest()[:8]
        return f"{name}+{digest}+{base64.b64encode(raw).decode()}"

    assert parse_verifier(written(1, ALICE.public_key)) == Verifier("a", ED25519, ALICE.public_key)
    for kind in (0, 2, 5, 6, 255):
        with pytest.raises(UsageError, match="not supported"):
            parse_verifier(written(kind, ALICE.public_key))
    with pytest.raises(WeakKeyError):
        parse_verifier(written(1, bytes(32)))
    with pytest.raises(UsageError):
        parse_verifier(written(1, ALICE.public_key[:31]))
    with pytest.raises(UsageError, match="no key name"):
        parse_verifier(written(1, ALICE.public_key, "a b"))
    upper = written(1, ALICE.public_key, "abcde")
    with pytest.raises(UsageError):
        parse_verifier(upper.replace(upper[6:14], upper[6:14].upper()))


# Which signatures count.


def test_known_signatures_are_named_in_the_order_of_their_lines() -> None:
    verifiers = [WITNESS, ALICE_VERIFIER, BOB_VERIFIER]
    assert open_note(note(BY_ALICE, BY_BOB, BY_WITNESS), verifiers)[1] == (ALICE_VERIFIER, BOB_VERIFIER, WITNESS)
    assert open_note(note(BY_WITNESS, BY_ALICE), verifiers)[1] == (WITNESS, ALICE_VERIFIER)


def test_lines_of_unknown_keys_are_ignored_wherever_they_stand() -> None:
    raw = note(BY_BOB, BY_ALICE, BY_BOB, BY_WITNESS, NoteSignature("who", b"abcd", b"?"))
    assert open_note(raw, [ALICE_VERIFIER])[1] == (ALICE_VERIFIER,)


def test_a_note_that_no_known_key_signed_is_refused() -> None:
    assert refusal(note(BY_ALICE), BOB_VERIFIER) == "no known key signed the note"
    assert refusal(note(BY_ALICE)) == "no known key signed the note"


def test_a_known_key_signs_once() -> None:
    assert refusal(note(BY_ALICE, BY_ALICE), ALICE_VERIFIER) == "alice.example signed twice with one key"
    later = notes.cosign(TEXT, "witness.example", BOB, TIME + 1)
    assert "signed twice" in refusal(note(BY_WITNESS, BY_ALICE, later), ALICE_VERIFIER, WITNESS)


def test_a_bad_signature_of_a_known_key_spoils_the_note() -> None:
    bad = NoteSignature("bob.example", BY_BOB.key_hash, BY_ALICE.signature)
    assert "bob.example does not hold" in refusal(note(BY_ALICE, bad), ALICE_VERIFIER, BOB_VERIFIER)
    assert open_note(note(BY_ALICE, bad), [ALICE_VERIFIER])[1] == (ALICE_VERIFIER,)


@pytest.mark.parametrize("signature", [b"?", BY_ALICE.signature[:63], BY_ALICE.signature + b"\0", bytes(64)])
def test_a_known_key_signs_with_64_bytes_over_this_text(signature: bytes) -> None:
    raw = note(NoteSignature("alice.example", BY_ALICE.key_hash, signature))
    assert "does not hold" in refusal(raw, ALICE_VERIFIER)


def test_every_changed_byte_of_the_text_breaks_the_signature() -> None:
    raw = note(BY_ALICE)
    for at in range(len(TEXT.encode())):
        assert refusal(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :], ALICE_VERIFIER)


def test_a_key_hash_that_meets_another_name_is_another_key() -> None:
    borrowed = NoteSignature("mallory.example", BY_ALICE.key_hash, BY_ALICE.signature)
    assert refusal(note(borrowed), ALICE_VERIFIER) == "no known key signed the note"
    same_name = NoteSignature("alice.example", BY_BOB.key_hash, BY_BOB.signature)
    assert open_note(note(same_name, BY_ALICE), [ALICE_VERIFIER])[1] == (ALICE_VERIFIER,)


def test_two_keys_with_one_name_and_one_hash_cannot_be_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    twin = Verifier("alice.example", ED25519, BOB.public_key)
    monkeypatch.setattr(Verifier, "key_hash", b"same")
    with pytest.raises(UsageError, match="share the hash"):
        open_note(note(BY_ALICE), [ALICE_VERIFIER, twin])


def test_a_verifier_given_twice_is_one() -> None:
    assert open_note(note(BY_ALICE), [ALICE_VERIFIER, ALICE_VERIFIER])[1] == (ALICE_VERIFIER,)


def test_a_verifier_refuses_the_line_of_another_key() -> None:
    with pytest.raises(VerificationError, match=r"is not by alice\.example"):
        ALICE_VERIFIER.verify(TEXT, BY_BOB)


# Kinds of signature never pass as one another.


def test_a_cosignature_covers_its_time() -> None:
    changed = (TIME + 1).to_bytes(8, "big") + BY_WITNESS.signature[8:]
    assert "does not hold" in refusal(note(NoteSignature(WITNESS.name, WITNESS.key_hash, changed)), WITNESS)


@pytest.mark.parametrize("length", [1, 8, 64, 71, 73])
def test_a_cosignature_is_a_time_and_64_bytes(length: int) -> None:
    raw = note(NoteSignature(WITNESS.name, WITNESS.key_hash, (BY_WITNESS.signature + b"\0")[:length]))
    assert "not a time and 64 bytes" in refusal(raw, WITNESS)


def test_a_cosignature_from_beyond_time_is_refused() -> None:
    late = (2**63).to_bytes(8, "big") + BY_WITNESS.signature[8:]
    assert "not a time" in refusal(note(NoteSignature(WITNESS.name, WITNESS.key_hash, late)), WITNESS)
    for time in (-1, 2**63):
        with pytest.raises(UsageError):
            notes.cosign(TEXT, WITNESS.name, BOB, time)


def test_one_key_in_both_kinds_has_two_hashes_and_neither_signature_passes_as_the_other() -> None:
    plain, cosigner = Verifier("b", ED25519, BOB.public_key), Verifier("b", COSIGNATURE, BOB.public_key)
    signature, cosignature = notes.sign(TEXT, "b", BOB), notes.cosign(TEXT, "b", BOB, 1)
    assert plain.key_hash != cosigner.key_hash
    assert open_note(note(signature, cosignature), [plain, cosigner])[1] == (plain, cosigner)
    as_plain = NoteSignature("b", plain.key_hash, cosignature.signature[8:])
    assert "does not hold" in refusal(note(as_plain), plain, cosigner)
    as_cosignature = NoteSignature("b", cosigner.key_hash, bytes(8) + signature.signature)
    assert "does not hold" in refusal(note(as_cosignature), plain, cosigner)


def test_no_note_can_be_what_a_witness_signs() -> None:
    message = f"cosignature/v1\ntime 1\n{TEXT}"
    with pytest.raises(VerificationError, match="what a witness signs"):
        notes.sign(message, "b", BOB)
    forged = NoteSignature("b", Verifier("b", ED25519, BOB.public_key).key_hash, BOB.sign_note(message.encode()))
    assert "what a witness signs" in refusal(note(forged, text=message), Verifier("b", ED25519, BOB.public_key))


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\n",
        bytes(31) + b"\n",
        bytes(32),
        bytes(33),
        TEXT.encode()[:-1],
        EVENT_DOMAIN + bytes(31) + b"\n",
        KEY_DOMAIN + bytes(31) + b"\n",
    ],
)
def test_signing_a_note_never_makes_a_receipt_an_event_or_a_key_statement(message: bytes) -> None:
    with pytest.raises(ValueError, match="a note is a text"):
        ALICE.sign_note(message)


@given(st.binary(max_size=80))
def test_what_is_signed_as_a_note_is_longer_than_a_receipt_and_verifies_as_a_note_only(message: bytes) -> None:
    try:
        signature = ALICE.sign_note(message)
    except ValueError:
        assert len(message) <= 32 or not message.endswith(b"\n")
        return
    verify_note(ALICE.public_key, message, signature)
    with pytest.raises(SignatureInvalidError):
        verify_receipt(ALICE.public_key, message[:32], signature)


def test_texts_that_are_too_short_or_could_pass_as_an_event_are_not_signed() -> None:
    for text in ("short\n", EVENT_DOMAIN.decode() + "a" * 31 + "\n"):
        with pytest.raises(VerificationError, match="a note is a text"):
            notes.sign(text, "alice.example", ALICE)


# Spelling.

LINE = BY_ALICE.format()
ENCODED = LINE.split(" ")[2].rstrip("\n")
LOOSE_BITS = ENCODED[:-2] + chr(ord(ENCODED[-2]) + 1) + "="


def respelled(old: str, new: str) -> bytes:
    """Return Alice's note with something replaced in her signature line."""
    return f"{TEXT}\n{LINE.replace(old, new)}".encode()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "no blank line"),
        (b"\n", "no blank line"),
        (b"\n\n", "no end"),
        (TEXT.encode(), "no blank line"),
        (f"{TEXT}{LINE}".encode(), "no blank line"),
        (f"{TEXT}\n".encode(), "no end"),
        (f"{TEXT}\n\n".encode(), "no end"),
        (f"{TEXT}\n{LINE}\n".encode(), "no end"),
        (f"{TEXT}\n{LINE}\n{LINE}".encode(), "does not hold"),
        (f"{TEXT}\n{LINE[:-1]}".encode(), "no end"),
        (f"{TEXT}\n{LINE}trailing".encode(), "no end"),
        (f"{TEXT}\n{LINE}trailing\n".encode(), "no signature line"),
        (f"{TEXT}\n{LINE}\0\n".encode(), "no signature line"),
        (f"{TEXT}\n{LINE}".replace("\n", "\r\n").encode(), "no blank line"),
        (f"{TEXT}\n{LINE[:-1]}\r\n".encode(), "no signature line"),
        (f"a\rb{TEXT}\n{LINE}".encode(), "U+000D"),
        (f"a\tb{TEXT}\n{LINE}".encode(), "U+0009"),
        (f"a\0b{TEXT}\n{LINE}".encode(), "U+0000"),
        (b"\xff" + note(BY_ALICE), "not UTF-8"),
        (b"\xed\xa0\x80" + note(BY_ALICE), "not UTF-8"),
        (b"\xc1\x81" + note(BY_ALICE), "not UTF-8"),
        (respelled("—", "-"), "no signature line"),
        (respelled("— ", "—"), "no signature line"),
        (respelled("— ", "—  "), "no signature line"),
        (f"{TEXT}\n {LINE}".encode(), "no signature line"),
        (f"{TEXT}\n{LINE[:-1]} \n".encode(), "no signature line"),
        (respelled("alice.example", "alice+example"), "no signature line"),
        (respelled("alice.example", "alice\u00a0example"), "no signature line"),
        (respelled("alice.example", ""), "no signature line"),
        (respelled(ENCODED, ""), "no signature line"),
        (respelled(ENCODED, "AAAAAA=="), "no signature line"),
        (respelled(ENCODED, ENCODED.rstrip("=")), "no signature line"),
        (respelled(ENCODED, ENCODED + "="), "no signature line"),
        (respelled(ENCODED, ENCODED[:8] + " " + ENCODED[8:]), "no signature line"),
        (respelled(ENCODED, ENCODED[:8] + "-_==" + ENCODED[12:]), "no signature line"),
        (respelled(ENCODED, LOOSE_BITS), "no signature line"),
        (note(*[BY_ALICE] * 101), "more than 100 signatures"),
        (b"a" * (1 << 20) + note(BY_ALICE), "1048576 are allowed"),
    ],
)
def test_a_note_has_one_spelling(raw: bytes, reason: str) -> None:
    assert reason in refusal(raw, ALICE_VERIFIER)


def test_loose_bits_are_what_a_lenient_decoder_would_accept() -> None:
    assert base64.b64decode(LOOSE_BITS) == base64.b64decode(ENCODED)


def test_a_hundred_signatures_are_read() -> None:
    others = [NoteSignature(f"witness{number}", b"abcd", b"?") for number in range(99)]
    assert open_note(note(*others, BY_ALICE), [ALICE_VERIFIER])[1] == (ALICE_VERIFIER,)


def test_texts_may_hold_empty_lines() -> None:
    text = f"\n\n{TEXT}\n\n"
    signed = SignedNote(text, (notes.sign(text, "alice.example", ALICE),))
    found, signers = open_note(signed.format(), [ALICE_VERIFIER])
    assert (found, signers) == (signed, (ALICE_VERIFIER,))


@pytest.mark.parametrize(
    "wrong",
    [
        SignedNote("no newline", (BY_ALICE,)),
        SignedNote(TEXT, ()),
        SignedNote("\ud800\n", (BY_ALICE,)),
        SignedNote("a\0b\n", (BY_ALICE,)),
        SignedNote(TEXT, (NoteSignature("a b", b"abcd", b"?"),)),
        SignedNote(TEXT, (NoteSignature("a\n\n", b"abcd", b"?"),)),
        SignedNote(TEXT, (NoteSignature("a", b"abcd", b""),)),
        SignedNote(TEXT, (NoteSignature("a", b"abc", b"de"),)),
    ],
)
def test_a_note_that_could_not_be_read_back_is_not_written(wrong: SignedNote) -> None:
    with pytest.raises(VerificationError):
        wrong.format()


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\n", "a\u2003b", "\x85", "a\x00", "\ud800"])
def test_names_that_a_note_cannot_carry_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no key name"):
        Verifier(name, ED25519, ALICE.public_key)
    with pytest.raises(UsageError, match="no key name"):
        notes.sign(TEXT, name, ALICE)


names = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z"), exclude_characters="+"), min_size=1, max_size=8)
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.just("\n"), max_size=60).map(
    lambda text: text + "\n"
)
lines = st.builds(NoteSignature, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80))


@given(texts, st.lists(lines, min_size=1, max_size=5))
def test_notes_round_trip(text: str, signatures: list[NoteSignature]) -> None:
    signed = SignedNote(text, tuple(signatures))
    assert parse(signed.format()) == signed


@given(names, texts, st.integers(0, notes.MAX_TIME))
def test_whatever_is_signed_opens(name: str, text: str, time: int) -> None:
    text = "log\n" + text.rjust(40, ".")
    plain, cosigner = Verifier(name, ED25519, ALICE.public_key), Verifier(name, COSIGNATURE, ALICE.public_key)
    signed = SignedNote(text, (notes.sign(text, name, ALICE), notes.cosign(text, name, ALICE, time)))
    found, signers = open_note(signed.format(), [plain, cosigner])
    assert (found, signers, found.signatures[1].time) == (signed, (plain, cosigner), time)
    assert parse_verifier(cosigner.format()) == cosigner


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A note with pieces cut out, put in and moved."""
    raw = note(BY_ALICE, BY_WITNESS)
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted(draw(st.tuples(st.integers(0, len(raw)), st.integers(0, len(raw)))))
        piece = st.sampled_from([b"", b"\n", b"\n\n", b" ", "— ".encode(), b"\0", b"\xff", b"=", raw[:end]])
        raw = raw[:start] + draw(piece | st.binary(max_size=4)) + raw[draw(st.sampled_from([start, end])) :]
    return raw


@given(st.binary() | damaged())
def test_bytes_are_a_note_in_its_one_spelling_or_are_refused(raw: bytes) -> None:
    try:
        assert parse(raw).format() == raw
        found, signers = open_note(raw, [ALICE_VERIFIER, WITNESS])
    except VerificationError as error:
        assert error.step == "checkpoint"
        return
    assert found.text == TEXT and signers


@given(st.text())
def test_text_is_a_verifier_key_in_its_one_spelling_or_is_refused(text: str) -> None:
    try:
        assert parse_verifier(text).format() == text
    except LedgerError:
        return
