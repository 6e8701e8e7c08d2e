"""Which checkpoints are a registry's: its logs' origins, and the keys that may sign for them at which size.

A registry has one log, or several beside the first: one a year, say, or one a publisher. Each has a label (the first
one's is empty), its own origin, and its own copy of every key and policy event. So a log key is registered in the very
log it signs for, by the registry's event key: whoever trusts the root event that all of them begin with can tell which
key had to sign a checkpoint, and needs no other list of keys.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from ledger import notes
from ledger.checkpoints import Opened, parse
from ledger.errors import InvalidFieldError, SubmissionError, VerificationError
from ledger.keyring import NOW, KeyHistory, Registration, microseconds
from ledger.notes import ED25519, NoteSignature, SignedNote, Verifier
from ledger.subjects import LOG_LABEL

_LABEL: Final = re.compile(LOG_LABEL)


def check_label(label: str) -> None:
    """Refuse what no log beside the first is called; raises InvalidFieldError."""
    if not _LABEL.fullmatch(label):
        cure = "use 1 to 31 lower-case letters, digits, dots and hyphens, the first and last no dot or hyphen"
        raise InvalidFieldError(f"{label[:80]!r} is no label of a log", cure=cure)


def log_origin(registry: str, label: str = "") -> str:
    """Return the origin of a registry's log: the first line of its checkpoints, and its keys' name in notes."""
    return f"{registry}/log/{label}" if label else f"{registry}/log"


def label_of(origin: str, registry: str) -> str:
    """Return the label of the log with an origin.

    Raises:
        VerificationError: step `root`; that is no log of this registry.
    """
    first = log_origin(registry)
    if origin == first:
        return ""
    label = origin.removeprefix(f"{first}/")
    if label == origin or not _LABEL.fullmatch(label):
        raise VerificationError("root", f"{origin[:120]!r} is no log of {registry}", cure="")
    return label


def stated_origin(note: bytes) -> str:
    """Return the origin that a checkpoint states, whoever signed it; raises VerificationError (step `checkpoint`)."""
    return parse(notes.parse(note).text).origin


def stated_label(note: bytes, registry: str) -> str:
    """Return the label of the registry's log that a checkpoint states, whoever signed it.

    What states none of this registry's logs gives the first one's, under which it then does not open.
    """
    with suppress(VerificationError):
        return label_of(stated_origin(note), registry)
    return ""


def log_verifier(registry: str, public_key: bytes, label: str = "") -> Verifier:
    """Return a log key (32 raw bytes) as a signed note of one log knows it."""
    return Verifier(log_origin(registry, label), ED25519, public_key)


def open_log_checkpoint(
    raw: bytes,
    registry: str,
    keys: KeyHistory,
    *,
    label: str = "",
    known_at: int = 0,
    existed_by: int | None = None,
    before: int = NOW,
    others: Iterable[Verifier] = (),
) -> Opened:
    """Open a checkpoint of a registry's log with the keys that its stream registered.

    A key that may not sign this checkpoint is like an unknown one: its line is carried along beside a valid key's.

    Args:
        raw: the signed note.
        label: which of the registry's logs it must be of.
        known_at: a time (microseconds) before which it was surely not signed, such as when its newest known
            entry was received; 0 if nothing is known.
        existed_by: a time at which it surely was signed, such as an outside clock attests; None if nothing is
            known. A key stolen or expired later does not unmake it.
        before: only what was appended to the stream before this position is known.
        others: further keys, such as witnesses', whose signatures are checked where present.

    Raises:
        VerificationError: step `checkpoint` (malformed, of another log, a signature that does not hold) or
            `key validity` (signed by none of the log's keys, or by one that was not valid at this size).
    """
    parsed = notes.parse(raw)
    checkpoint = parse(parsed.text)
    origin = log_origin(registry, label)
    if checkpoint.origin != origin:
        message = f"this is a checkpoint of {checkpoint.origin!r}, not of {origin!r}"
        raise VerificationError("checkpoint", message, cure="")
    stated = [(signature.name, signature.key_hash) for signature in parsed.signatures]
    reasons: dict[Verifier, str | None] = {}
    for found in keys.of_role("log", before):
        verifier = log_verifier(registry, found.public_key, label)
        if (verifier.name, verifier.key_hash) in stated:
            reasons[verifier] = _reason(found, checkpoint.size, known_at, existed_by, keys, before)
    valid = [verifier for verifier, reason in reasons.items() if reason is None]
    if reasons and not valid:
        first = min(reasons, key=lambda verifier: stated.index((verifier.name, verifier.key_hash)))
        message = f"the log's key may not sign this checkpoint: {reasons[first]}"
        raise VerificationError("key validity", message, cure="")
    signers = _signers(parsed, [*valid, *others]) if valid else ()
    if not any(verifier in signers for verifier in valid):
        raise VerificationError("key validity", f"no key that {registry} registered signed the checkpoint", cure="")
    return Opened(checkpoint, parsed, signers)


def _signers(note: SignedNote, verifiers: Iterable[Verifier]) -> tuple[Verifier, ...]:
    """Return which keys signed a note, in the order of their lines; what `notes.open_note` does for hashes that differ.

    Two keys that share the 32 bits of a hash are found in a second, and a thief can have both registered.
    """
    sharing: dict[tuple[str, bytes], list[Verifier]] = defaultdict(list)
    for verifier in dict.fromkeys(verifiers):
        sharing[verifier.name, verifier.key_hash].append(verifier)
    signers: list[Verifier] = []
    for line in note.signatures:
        if same := sharing.get((line.name, line.key_hash)):
            signer = _signer(note.text, line, same)
            if signer in signers:
                raise VerificationError("checkpoint", f"{signer.name} signed twice with one key", cure="")
            signers.append(signer)
    return tuple(signers)


def _signer(text: str, line: NoteSignature, sharing: list[Verifier]) -> Verifier:
    for verifier in sharing[:-1]:
        with suppress(VerificationError):
            verifier.verify(text, line)
            return verifier
    sharing[-1].verify(text, line)
    return sharing[-1]


def _reason(
    key: Registration, size: int, known_at: int, existed_by: int | None, keys: KeyHistory, before: int
) -> str | None:
    """Return why a log key may not sign a checkpoint of this size; None if it may."""
    time = max(known_at, microseconds(key.statement.not_before))
    try:
        keys.usable(key.key_id, ("log",), size, time)
    except SubmissionError as error:
        return error.message
    if keys.is_cut(key.key_id, size - 1, known_at if existed_by is None else existed_by, before):
        return "it was revoked from an earlier time"
    return None
