"""Entries as rows of JSON files: the event's own fields with its place in the log beside them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ledger import canonical
from ledger.errors import VerificationError
from ledger.events import Entry, from_value
from ledger.keyring import Registration
from ledger.keys import key_id
from ledger.merkle import HASH_BYTES
from ledger.notes import decode_base64
from ledger.payloads import IdentityEvidence, KeyRegistered, KeyRevoked, KeyRotated

PROOFS = ("inclusion_proof", "consistency_proof")
PLACE = ("position", "received_at", *PROOFS)
"""What a row has beside the event's fields."""


def row_of(entry: Entry, **proofs: Sequence[bytes]) -> dict[str, Any]:
    """Return an entry as a row; proofs become lists of base64."""
    place = {"position": entry.position, "received_at": entry.received_at}
    return {**entry.event.value, **place, **{name: hashes_to_text(proof) for name, proof in proofs.items()}}


def entry_of_row(row: Mapping[str, Any]) -> Entry:
    """Read an entry back; proofs are read by `proof_of_row`.

    Raises:
        SubmissionError: the event is malformed.
        VerificationError: step `canonical form`; its place is.
    """
    value = {name: item for name, item in row.items() if name not in PLACE}
    return Entry(whole(row["position"]), whole(row["received_at"]), from_value(value))


def proof_of_row(row: Mapping[str, Any], name: str = "inclusion_proof") -> list[bytes]:
    """Read a row's proof; raises KeyError where it has none, and as `hashes_of_text` does."""
    return hashes_of_text(row[name])


def hashes_to_text(hashes: Iterable[bytes]) -> list[str]:
    """Write 32-byte hashes as padded standard base64."""
    return [base64.b64encode(found).decode() for found in hashes]


def hashes_of_text(texts: Any) -> list[bytes]:
    """Read a list of 32-byte hashes in the one spelling of base64.

    Raises:
        VerificationError: step `canonical form`; it is something else.
    """
    hashes = [decode_base64(text) if isinstance(text, str) else b"" for text in texts] if type(texts) is list else [b""]
    if any(len(found) != HASH_BYTES for found in hashes):
        raise VerificationError("canonical form", "a proof is a list of 32-byte hashes in base64")
    return hashes


def whole(value: Any) -> int:
    """Return a position, size or time; raises VerificationError (canonical form) for anything else."""
    if type(value) is not int or not 0 <= value <= canonical.MAX_INTEGER:
        raise VerificationError("canonical form", f"{str(value)[:40]} is no position, size or time")
    return value


def relied_on(entries: Sequence[Entry], stream: Sequence[Entry], others: Iterable[Registration] = ()) -> list[Entry]:
    """Return the entries of a registry's stream that verdicts about some entries depend on.

    These are the root, every policy, and all events about the keys that the entries speak of or that signed
    anything among these, receipts and checkpoints included; in order of position.

    Args:
        others: further keys that matter, such as the log's.
    """
    keys = {entry.event.signer.key_id for entry in entries} | {other.key_id for other in others}
    keys = keys.union(*map(_keys_of, entries))
    fingerprints = {
        receipt["public_key_fingerprint"]
        for entry in entries
        if isinstance(receipt := entry.event.value["payload"].get("pith_receipt"), Mapping)
    }
    found: dict[int, Entry] = {}
    while True:
        before = len(found)
        for entry in stream:
            concerned = _keys_of(entry)
            if (
                entry.position == 0
                or entry.event.event_type == "policy_set"
                or concerned & keys
                or {key[:32] for key in concerned} & fingerprints
            ):
                found[entry.position] = entry
                keys |= concerned | {entry.event.signer.key_id}
        if len(found) == before:
            return [found[position] for position in sorted(found)]


def _keys_of(entry: Entry) -> set[str]:
    """Return the keys that an entry of the registry's stream is about."""
    match entry.event.payload:
        case KeyRegistered(statement=statement):
            return {key_id(bytes.fromhex(statement.public_key))}
        case KeyRotated(rotation=rotation):
            return {rotation.old_key_id, key_id(bytes.fromhex(rotation.statement.public_key))}
        case KeyRevoked(key_id=about) | IdentityEvidence(key_id=str() as about):
            return {about}
    return set()
