"""Bundles: a paper in one file that a stranger can check with nothing else.

A bundle has the public protocol's shape (canonical record, aliases, signed events) and adds what our
merge rules need: where each event stands in the log and the path from there to a signed checkpoint, every
key event its verdicts rely on, and the state that follows.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ledger.events import Entry
from ledger.proofs.entry_rows import row_of
from ledger.proofs.receipts import proven_row
from ledger.proofs.stream import Stream
from ledger.store import Store
from ledger.times import instant
from projections.judged import Judged
from projections.queries import judged_as_of
from projections.status import attestation_state, verification_status
from projections.summary import equivocations, event_summary

BUNDLE_TYPE: Final = "pith_open_graph_bundle"
MERGE_VERSION: Final = "pith-ledger-merge-1"


def bundle(store: Store, subject: str, stream: Stream | None = None) -> dict[str, Any]:
    """Gather all that the log holds about a paper up to the published checkpoint, and the key events it relies on.

    Args:
        stream: the registry's stream, where it is at hand and goes as far as that checkpoint.

    Raises:
        NotFoundError: no such paper, or no checkpoint was published.
    """
    published = store.checkpoints.published()
    stream = stream or Stream.read(store, published.size)
    registry = stream.registry
    judged = judged_as_of(store, subject, published.size, registry)
    entries = [judgement.entry for judgement in judged.judgements]
    # What decides is new as a rule, what tells most is old: by when the record was there already.
    vouching = [
        *registry.deciding_anchors(published.size),
        *registry.first_anchors(judged.record.position, published.size),
    ]
    anchors = list({anchor.position: anchor for anchor in vouching}.values())
    log_keys = registry.keys.of_role("log", published.size)
    key_events = stream.relied_on([*entries, *anchors], log_keys, published.size)
    key_events = sorted([*key_events, *anchors], key=lambda entry: entry.position)
    found = bundle_of(judged, key_events)
    with store.tree.nodes() as node:
        for name, rows in (("events", entries), ("key_events", key_events)):
            found[name] = [proven_row(entry, published, registry, node) for entry in rows]
    return {**found, "checkpoint": published.note.decode()}


def bundle_of(judged: Judged, key_events: list[Entry]) -> dict[str, Any]:
    """Write a judged paper and the key events it relies on as a bundle; nothing in it comes from elsewhere."""
    created = judged.record.event.payload
    return {
        "bundle_type": BUNDLE_TYPE,
        "bundle_version": "1.0",
        "pith_number": judged.subject,
        "short_pith_number": f"pith:{judged.suffix[:8]}",
        "canonical_record": created.canonical_record,
        "canonical_sha256": created.canonical_sha256,
        "source": created.canonical_record["source"],
        "source_aliases": [
            {**msgspec.to_builtins(alias), "created_at": instant(judged.record.received_at)}
            for alias in created.aliases
        ],
        "events": [row_of(judgement.entry) for judgement in judged.judgements],
        "merge_version": MERGE_VERSION,
        "registry": judged.registry.name,
        "root": key_events[0].event.id_text,
        "log_size": judged.before,
        "key_events": [row_of(entry) for entry in key_events],
        "state": state(judged),
    }


def state(judged: Judged) -> dict[str, Any]:
    """Return what the merge rules make of a paper's entries: the part that a reader recomputes."""
    status = verification_status(judged, anchored_size=judged.registry.anchored_size(judged.before))
    return {
        "attestation_state": attestation_state(judged, status),
        "verification_status": msgspec.to_builtins(status),
        "event_summary": event_summary(judged),
        "equivocations": equivocations(judged),
        "verdicts": {j.entry.event.id_text: j.verdict.status for j in judged.judgements},
    }
