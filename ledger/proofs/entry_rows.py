"""Entries as rows of JSON files: the event's own fields with its place in the log beside them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ledger import canonical
from ledger.errors import VerificationError
from ledger.events import Entry, from_value
from ledger.merkle import HASH_BYTES
from ledger.notes import decode_base64

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
