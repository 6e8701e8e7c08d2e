"""What the registry says in the log of copies: that one was put somewhere (a claim), and what a checker found there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from ledger.events import Entry
from ledger.payloads import Location, StorageAttestation
from ledger.store import Store
from ledger.times import seconds
from ops.storage.looking import Look
from projections.judged import Judged


def claimed(judged: Judged) -> list[Location]:
    """Return where the registry has claimed copies of a paper by claims of its own that count."""
    return [entry.event.payload.location for entry in judged.counted("storage_attestation") if _is_own(entry)]


def claims(store: Store, subject: str) -> list[StorageAttestation]:
    """Return what the registry has said of copies of a paper on nobody's behalf, whatever became of it since."""
    entries = store.of_subjects([subject], store.head().size)[subject]
    return [entry.event.payload for entry in entries if _is_own(entry)]


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


def _is_own(entry: Entry) -> bool:
    """Say whether an entry is the registry's own word; what it signed for somebody else is theirs."""
    event = entry.event
    is_registry = event.signer.signer_type == "pith_registry" and event.signer.on_behalf_of is UNSET
    return event.event_type == "storage_attestation" and is_registry


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
