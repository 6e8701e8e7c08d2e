"""What the registry says in the log of copies: that one was put somewhere (a claim), and what a checker found there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.payloads import Location
from ledger.store import Store
from ledger.times import seconds
from ops.storage.looking import Look


def claimed(store: Store, subject: str) -> list[Location]:
    """Return where the registry has claimed copies of a paper."""
    return [
        entry.event.payload.location
        for entry in store.of_subjects([subject], store.head().size)[subject]
        if entry.event.event_type == "storage_attestation" and entry.event.signer.signer_type == "pith_registry"
    ]


def claim(location: Location, captured_at: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of a claim.

    Args:
        captured_at: when the copy came to be there.
        content: of the original, as it was fetched here.
    """
    return {
        "location": {"kind": location.kind, "url": location.url},
        "captured_at": captured_at,
        "grade": "claimed",
        "outcome": "stored",
        "content": dict(content),
    }


def finding(location: Location, look: Look, outcome: str, software: str) -> dict[str, Any]:
    """Return the payload of a checker's `storage_attestation` about what a look found.

    Args:
        outcome: `stored`, `missing` or `changed`.
        software: which looked.
    """
    check: dict[str, Any] = {
        "started_at": seconds(look.started_at),
        "ended_at": seconds(look.ended_at),
        "software": software,
    }
    if look.final_url:
        check["final_url"] = look.final_url
    if look.status is not None:
        check["http_status"] = look.status
    if look.evidence_sha256:
        check["evidence_sha256"] = look.evidence_sha256
    found: dict[str, Any] = {
        "location": {"kind": location.kind, "url": location.url},
        "captured_at": look.captured_at or seconds(look.started_at),
        "grade": "fetched" if look.possession is None else "proved",
        "outcome": outcome,
        "check": check,
    }
    if outcome != "missing":
        found["content"] = dict(look.content)
    if look.possession is not None:
        found["possession"] = dict(look.possession)
    return found
