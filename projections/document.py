"""The record document: the public view of a paper, in the public protocol's shape and key order.

For a public record that was imported and about which nothing else was said, the document equals the
published one, part by part in the source's own spelling. What depends on where it is served (the
schema's address, links, actions) is left null here; whoever serves it fills it in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ledger.events import Entry
from ledger.times import instant
from projections.judged import Judged, Judgement
from projections.status import attestation_state, author_claims, graph_block, newest_graph, verification_status
from projections.summary import SUMMARISED, equivocations, event_summary
from projections.verbatim import payload_text, signer_text

SERVED: Final = ("schema_url", "links", "agent_actions")
"""Keys that stay null until somebody serves the document."""

_PAPER = (
    "title",
    "license",
    "headline",
    "cross_cats",
    "primary_cat",
    "authors_text",
    "submitted_at",
    "abstract_excerpt",
)
_METADATA = (
    "license",
    "primary_cat",
    "submitted_at",
    "cross_cats_sorted",
    "title_canon_sha256",
    "abstract_canon_sha256",
)
_RECEIPT = (
    "kind",
    "key_id",
    "algorithm",
    "signed_at",
    "signature_b64",
    "signed_message",
    "builder_version",
    "receipt_version",
    "canonical_sha256",
    "last_reissued_at",
    "signature_status",
    "first_computed_at",
    "public_key_fingerprint",
)
_IMPORTED = ("record_created", "record_updated", "graph_snapshot", "alias_added")
_NO_CITATIONS = {"count": 0, "internal_anchor_count": 0, "sample": []}
_NO_FORMAL = {"evidence_count": 0, "sample": [], "anchors": []}


def document(judged: Judged, *, anchored_size: int = 0) -> dict[str, Any]:
    """Build the record document; parts kept from a source stand in it as `msgspec.Raw` JSON text."""
    created = judged.record.event.payload
    record = created.canonical_record
    status = verification_status(judged, anchored_size=anchored_size)
    graph = newest_graph(judged)
    # A record whose registry's key was stolen does not count, but what it says of the paper is still shown.
    updates = judged.counted("record_created", "record_updated") or [judged.record]
    text = {name: part for entry in updates for name, part in _source_text(entry).items()}
    row_times = msgspec.json.decode(text["row_times"]) if "row_times" in text else {}
    created_at = instant(judged.record.received_at)
    found: dict[str, Any] = {
        "record_type": "pith_number_record",
        "schema_url": None,
        "pith_number": judged.subject,
        "short_pith_number": f"pith:{judged.suffix[:8]}",
        "schema_version": record["schema_version"],
        "canonical_sha256": created.canonical_sha256,
        "source": _ordered(record["source"], ("kind", "id", "version")),
        "attestation_state": attestation_state(judged, status),
        "paper": _newest_part(updates, "paper", "paper", _PAPER),
        "verification_status": msgspec.to_builtins(status),
        "canonical_record": {
            "source": _ordered(record["source"], ("id", "kind", "version")),
            "metadata": _ordered(record["metadata"], _METADATA),
            "schema_version": record["schema_version"],
        },
        "receipt": _newest_part(updates, "pith_receipt", "receipt", _RECEIPT),
        "graph_snapshot": _block(graph, "graph_snapshot", None),
        "aliases": _aliases(judged, text, created_at),
        "events": events(judged),
        "event_summary": event_summary(judged),
        "paper_claims": _block(graph, "paper_claims", []),
        "inbound_citations": _block(graph, "inbound_citations", _NO_CITATIONS),
        "formal_canon": _block(graph, "formal_canon", _NO_FORMAL),
        "links": None,
        "agent_actions": None,
        "created_at": row_times.get("created_at", created_at),
        "updated_at": _updated_at(judged, row_times),
    }
    if "verification_status" in text:
        # Compared without the log's anchored size, which readers join later: the same then as now.
        ours = msgspec.to_builtins(verification_status(judged))
        published = msgspec.json.decode(text["verification_status"])
        if any(ours.get(name) != value for name, value in published.items()):
            found["source_status"] = msgspec.Raw(text["verification_status"].encode())
    if contradictions := equivocations(judged):
        found["equivocations"] = contradictions
    return found


def events(judged: Judged) -> list[dict[str, Any]]:
    """List what was said about a paper, with each event's fate; held ones without their payload.

    Payloads and signer blocks stand in it as `msgspec.Raw` JSON text, just as they were signed.
    """
    strong = {entry.position for entry in author_claims(judged)[1]}
    return [
        _event(judged, judgement, strong)
        for judgement in judged.judgements
        if judgement.entry.event.event_type in SUMMARISED and judgement.verdict.status != "refused"
    ]


def _event(judged: Judged, judgement: Judgement, strong: set[int]) -> dict[str, Any]:
    entry, event = judgement.entry, judgement.entry.event
    found: dict[str, Any] = {
        "event_id": event.id_text,
        "event_type": event.event_type,
        "target": event.target,
        "position": entry.position,
        "created_at": event.created_at,
        "received_at": instant(entry.received_at),
        "status": judgement.verdict.status,
        "reason": judgement.verdict.reason,
        "signer": msgspec.Raw(signer_text(event)),
        "payload": msgspec.Raw(payload_text(event)),
    }
    if judgement.verdict.status == "held":
        del found["payload"]
    elif event.event_type == "author_attestation" and judgement.verdict.counts:
        found["claim"] = "strong" if entry.position in strong else "weak"
        found["name_matches"] = _name_matches(judged, event.payload.author_name)
    return found


def _name_matches(judged: Judged, name: str) -> bool:
    names = str(judged.paper().get("authors_text", "")).split(", ")
    return name.casefold() in (known.casefold() for known in names)


def _aliases(judged: Judged, text: Mapping[str, str], created_at: str) -> Any:
    added = [
        {**entry.event.value["payload"], "created_at": instant(entry.received_at)}
        for entry in judged.counted("alias_added")
    ]
    if "aliases" in text:
        if not added:
            return msgspec.Raw(text["aliases"].encode())
        known = msgspec.json.decode(text["aliases"])
    else:
        known = [
            {"alias_kind": alias.alias_kind, "alias_value": alias.alias_value, "created_at": created_at}
            for alias in judged.record.event.payload.aliases
        ]
    found = {(alias["alias_kind"], alias["alias_value"]): alias for alias in [*added, *known]}
    return [found[name] for name in sorted(found)]


def _newest_part(entries: list[Entry], part: str, name: str, order: tuple[str, ...]) -> Any:
    """Return the newest value of a part: the source's own text where that is the newest, else merged values."""
    merged: dict[str, Any] = {}
    raw: msgspec.Raw | None = None
    for entry in entries:
        value = getattr(entry.event.payload, part)
        if isinstance(value, dict):
            merged |= value
            text = _source_text(entry).get(name)
            raw = msgspec.Raw(text.encode()) if text is not None else None
    return raw if raw is not None else _ordered(merged, order)


def _source_text(entry: Entry) -> Mapping[str, str]:
    text = entry.event.payload.source_text
    return text if isinstance(text, dict) else {}


def _block(graph: Any, name: str, default: Any) -> Any:
    if graph is not None and isinstance(graph.source_text, dict) and name in graph.source_text:
        return msgspec.Raw(graph.source_text[name].encode())
    found = graph_block(graph, name)
    return default if found is None else found


def _updated_at(judged: Judged, row_times: Mapping[str, str]) -> str:
    said_here = [j.entry for j in judged.judgements if j.entry.event.event_type not in _IMPORTED]
    if "updated_at" in row_times and not said_here:
        return row_times["updated_at"]
    return instant(judged.judgements[-1].entry.received_at)


def _ordered(value: Mapping[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    first = {name: value[name] for name in order if name in value}
    return {**first, **{name: value[name] for name in sorted(value) if name not in first}}
