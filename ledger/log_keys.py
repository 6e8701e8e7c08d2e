"""Which checkpoints are a registry's: the log's origin, and the keys that may sign for it at which size.

A log key is registered in the very log it signs for, by the registry's event key, so whoever trusts the
log's root event can tell which key had to sign a checkpoint, and needs no other list of keys.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger import notes
from ledger.checkpoints import Opened, parse
from ledger.errors import SubmissionError, VerificationError
from ledger.keyring import NOW, KeyHistory, Registration, microseconds
from ledger.notes import ED25519, Verifier


def log_origin(registry: str) -> str:
    """Return the origin of a registry's log: the first line of its checkpoints, and its keys' name in notes."""
    return f"{registry}/log"


def log_verifier(registry: str, public_key: bytes) -> Verifier:
    """Return a log key (32 raw bytes) as a signed note knows it."""
    return Verifier(log_origin(registry), ED25519, public_key)


def open_log_checkpoint(
    raw: bytes,
    registry: str,
    keys: KeyHistory,
    *,
    known_at: int = 0,
    existed_by: int | None = None,
    before: int = NOW,
    others: Iterable[Verifier] = (),
) -> Opened:
    """Open a checkpoint of a registry's log with the keys that its stream registered.

    Args:
        raw: the signed note.
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
    registered = keys.of_role("log", before)
    verifiers = {log_verifier(registry, found.public_key): found for found in registered}
    parsed = notes.parse(raw)
    checkpoint = parse(parsed.text)
    if checkpoint.origin != log_origin(registry):
        raise VerificationError(
            "checkpoint", f"this is a checkpoint of {checkpoint.origin!r}, not of {log_origin(registry)!r}", cure=""
        )
    stated = {(signature.name, signature.key_hash) for signature in parsed.signatures}
    if not any((verifier.name, verifier.key_hash) in stated for verifier in verifiers):
        raise VerificationError("key validity", f"no key that {registry} registered signed the checkpoint", cure="")
    note, signers = notes.open_note(raw, (*verifiers, *others))
    reasons = [
        _reason(verifiers[signer], checkpoint.size, known_at, existed_by, keys, before)
        for signer in signers
        if signer in verifiers
    ]
    if None not in reasons:
        raise VerificationError("key validity", f"the log's key may not sign this checkpoint: {reasons[0]}", cure="")
    return Opened(checkpoint, note, signers)


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
