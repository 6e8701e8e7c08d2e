"""Signed notes (C2SP signed-note): a text, a blank line, and lines `— name base64(key hash || signature)`.

Two kinds of signature are known: plain Ed25519 over the text, and cosignature/v1 (C2SP tlog-cosignature),
with which a witness states when it saw a checkpoint. Lines of other keys and kinds are carried along and
never trusted. Every note has one spelling: `parse(raw).format() == raw`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NoReturn

from ledger.errors import SubmissionError, UsageError, VerificationError
from ledger.keys import SecretKey, check_public_key, verify_note

MAX_NOTE_BYTES: Final = 1 << 20
MAX_SIGNATURES: Final = 100
MAX_TIME: Final = 2**63 - 1
ED25519: Final = 0x01
COSIGNATURE: Final = 0x04

_KINDS: Final = (ED25519, COSIGNATURE)
_COSIGNATURE_DOMAIN: Final = "cosignature/v1\n"
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_VERIFIER: Final = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: who is said to have signed, with which key (4 bytes of its hash), and the bytes."""

    name: str
    key_hash: bytes
    signature: bytes

    @property
    def time(self) -> int:
        """A cosignature's time in seconds since 1970; meaningful once a cosigner's key has verified it."""
        return int.from_bytes(self.signature[:8], "big")

    def format(self) -> str:
        return f"— {self.name} {base64.b64encode(self.key_hash + self.signature).decode()}\n"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text, which ends with a newline, and its signature lines in their order."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def format(self) -> bytes:
        """Return the note's bytes.

        Raises:
            VerificationError: step `checkpoint`; no reader would take these bytes for this note.
        """
        lines = "".join(signature.format() for signature in self.signatures)
        raw = f"{self.text}\n{lines}".encode("utf-8", "surrogatepass")
        if parse(raw) != self:
            _refuse("this note cannot be written")
        return raw


@dataclass(frozen=True, slots=True)
class Verifier:
    """A key that is trusted to sign notes, in one kind of signature (`ED25519` or `COSIGNATURE`), under one name.

    Raises:
        UsageError: no such kind, or no name that a note can carry.
        WeakKeyError: a key under which anybody could sign.
    """

    name: str
    kind: int
    public_key: bytes

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise UsageError(f"{self.name!r} is no key name: it needs characters, but neither spaces nor +")
        if self.kind not in _KINDS:
            raise UsageError(f"signatures of type {self.kind:#04x} are not supported")
        check_public_key(self.public_key)

    @property
    def key_hash(self) -> bytes:
        """The first 4 bytes of SHA-256(name, newline, kind, key)."""
        return sha256(f"{self.name}\n".encode() + bytes([self.kind]) + self.public_key).digest()[:4]

    def format(self) -> str:
        """Return the key as `name+hash+base64(kind || key)`."""
        return f"{self.name}+{self.key_hash.hex()}+{base64.b64encode(bytes([self.kind]) + self.public_key).decode()}"

    def verify(self, text: str, signature: NoteSignature) -> None:
        """Check one signature over a note's text.

        Raises:
            VerificationError: step `checkpoint`; another key's line, or not over this text.
        """
        if (signature.name, signature.key_hash) != (self.name, self.key_hash):
            _refuse(f"the line of {signature.name} is not by {self.format()}")
        message, raw = text, signature.signature
        if self.kind == COSIGNATURE:
            if len(raw) != 72 or signature.time > MAX_TIME:
                _refuse(f"the cosignature of {self.name} is not a time and 64 bytes")
            message, raw = _cosigned(text, signature.time), raw[8:]
        elif text.startswith(_COSIGNATURE_DOMAIN):
            _refuse("a note may not pass as what a witness signs")
        try:
            verify_note(self.public_key, message.encode("utf-8", "surrogatepass"), raw)
        except SubmissionError as error:
            _refuse(f"the signature of {self.name} does not hold: {error.message}")


def parse_verifier(text: str) -> Verifier:
    """Parse `name+hash+base64(kind || key)`.

    Raises:
        UsageError: another form, kind or hash.
        WeakKeyError: a key under which anybody could sign.
    """
    found = _VERIFIER.fullmatch(text)
    key = decode_base64(found[3]) if found else b""
    if not found or len(key) != 33:
        raise UsageError(f"{text[:100]!r} is no verifier key", cure="give it as name+hash+base64")
    verifier = Verifier(found[1], key[0], key[1:])
    if verifier.key_hash.hex() != found[2]:
        raise UsageError(f"the verifier key of {verifier.name} hashes to {verifier.key_hash.hex()}, not {found[2]}")
    return verifier


def parse(raw: bytes) -> SignedNote:
    """Parse a signed note; nothing of it is trustworthy before `open_note`.

    Raises:
        VerificationError: step `checkpoint`; not a note of at most 1 MiB with 1 to 100 signatures.
    """
    if len(raw) > MAX_NOTE_BYTES:
        _refuse(f"a note of {len(raw)} bytes, {MAX_NOTE_BYTES} are allowed")
    try:
        whole = raw.decode()
    except UnicodeDecodeError:
        _refuse("the note is not UTF-8")
    text, blank, lines = whole.rpartition("\n\n")
    if not blank:
        _refuse("no blank line parts the text from the signatures")
    text += "\n"
    check_text(text)
    if not lines.endswith("\n"):
        _refuse("the last signature line has no end")
    found = lines[:-1].split("\n", MAX_SIGNATURES)
    if len(found) > MAX_SIGNATURES:
        _refuse(f"more than {MAX_SIGNATURES} signatures")
    return SignedNote(text, tuple(map(_parse_line, found)))


def sign(text: str, name: str, key: SecretKey) -> NoteSignature:
    """Sign a note's text with plain Ed25519.

    Raises:
        UsageError: the name is none.
        VerificationError: step `checkpoint`; the text is no note's, or could pass as what a witness signs.
    """
    check_text(text)
    if text.startswith(_COSIGNATURE_DOMAIN):
        _refuse("a note may not pass as what a witness signs")
    verifier = Verifier(name, ED25519, key.public_key)
    return NoteSignature(name, verifier.key_hash, _signed(key, text))


def cosign(text: str, name: str, key: SecretKey, time: int) -> NoteSignature:
    """Sign a checkpoint's text as a witness that saw it at `time`, in seconds since 1970.

    Raises:
        UsageError: the name is none, or the time is out of range.
        VerificationError: step `checkpoint`; the text is no note's.
    """
    check_text(text)
    if not 0 <= time <= MAX_TIME:
        raise UsageError(f"{time} is no time for a cosignature")
    verifier = Verifier(name, COSIGNATURE, key.public_key)
    signature = _signed(key, _cosigned(text, time))
    return NoteSignature(name, verifier.key_hash, time.to_bytes(8, "big") + signature)


def open_note(raw: bytes, verifiers: Iterable[Verifier]) -> tuple[SignedNote, tuple[Verifier, ...]]:
    """Parse a note and check it; returns it with the keys that signed it, in the order of their lines.

    Raises:
        UsageError: two different keys share both name and key hash.
        VerificationError: step `checkpoint`; the note is malformed, no known key signed it, a known key's
            signature does not hold, or a known key signed twice.
    """
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_hash), verifier) != verifier:
            raise UsageError(f"two keys of {verifier.name} share the hash {verifier.key_hash.hex()}")
    note = parse(raw)
    verified: list[Verifier] = []
    for signature in note.signatures:
        signer = known.get((signature.name, signature.key_hash))
        if signer is None:
            continue
        if signer in verified:
            _refuse(f"{signer.name} signed twice with one key")
        signer.verify(note.text, signature)
        verified.append(signer)
    if not verified:
        _refuse("no known key signed the note")
    return note, tuple(verified)


def is_name(name: str) -> bool:
    """Say whether a note can carry this key name: not empty, no spaces, no plus, no control characters."""
    return bool(name) and not any(char == "+" or char.isspace() or _CONTROL.match(char) for char in name)


def check_text(text: str) -> None:
    """Refuse what cannot be a note's text.

    Raises:
        VerificationError: step `checkpoint`; no newline at its end, or control characters.
    """
    if not text.endswith("\n"):
        _refuse("the text does not end with a newline")
    if found := _CONTROL.search(text):
        _refuse(f"the text holds U+{ord(found[0]):04X}, which no note may")


def decode_base64(encoded: str) -> bytes:
    """Return the bytes of padded standard base64 in its one spelling; nothing for any other text."""
    try:
        found = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return found if base64.b64encode(found).decode() == encoded else b""


def _parse_line(line: str) -> NoteSignature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    signature = decode_base64(encoded)
    if dash != "—" or not is_name(name) or len(signature) < 5:
        _refuse(f"{line[:100]!r} is no signature line")
    return NoteSignature(name, signature[:4], signature[4:])


def _cosigned(text: str, time: int) -> str:
    return f"{_COSIGNATURE_DOMAIN}time {time}\n{text}"


def _signed(key: SecretKey, message: str) -> bytes:
    try:
        return key.sign_note(message.encode())
    except ValueError as error:
        _refuse(str(error))


def _refuse(reason: str) -> NoReturn:
    raise VerificationError("checkpoint", reason, cure="")
