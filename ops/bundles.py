"""Bundles and exports: a paper, or a whole log, in files that a stranger can check with nothing else.

A bundle has the public protocol's shape (canonical record, aliases, signed events) and adds what our
merge rules need: where each event stands in the log, every key event its verdicts rely on, and the
state that follows. An export is every entry of a log, in order.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from ledger.errors import UsageError
from ledger.events import Entry
from ledger.registry import Registry
from ledger.store import Store
from ops.entry_rows import relied_on, row_of
from projections.judged import Judged, instant
from projections.queries import judged_as_of
from projections.status import attestation_state, verification_status
from projections.summary import equivocations, event_summary

BUNDLE_TYPE: Final = "pith_open_graph_bundle"
EXPORT_TYPE: Final = "pith_ledger_export"
EXPORT_VERSION: Final = "1.0"
MERGE_VERSION: Final = "pith-ledger-merge-1"
ENTRIES_PER_FILE: Final = 10_000


def bundle(store: Store, subject: str) -> dict[str, Any]:
    """Gather everything the log holds about a paper, and the key events it relies on.

    Raises:
        NotFoundError: no such paper.
    """
    size = store.head().size
    stream = store.of_registry(0, size)
    registry = Registry(store.registry_name)
    for entry in stream:
        registry.add(entry)
    judged = judged_as_of(store, subject, size, registry)
    entries = [judgement.entry for judgement in judged.judgements]
    return bundle_of(judged, relied_on(entries, stream))


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


def export(store: Store, folder: Path, state_digest: str, progress: Callable[[int], None]) -> dict[str, Any]:
    """Write every entry of a log into a new folder, then its manifest.

    Raises:
        UsageError: the folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", cure="export into a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    size = store.head().size
    for start in range(0, size, ENTRIES_PER_FILE):
        stop = min(start + ENTRIES_PER_FILE, size)
        with (folder / f"entries-{start // ENTRIES_PER_FILE:06d}.jsonl").open("wb") as file:
            for position, received_at, raw in store.rows(start, stop):
                file.write(b'{"position":%d,"received_at":%d,"event":%s}\n' % (position, received_at, raw))
        progress(stop - start)
    manifest = {
        "export_type": EXPORT_TYPE,
        "export_version": EXPORT_VERSION,
        "merge_version": MERGE_VERSION,
        "registry": store.registry_name,
        "root": store.entry(0).event.id_text,
        "size": size,
        "state_digest": state_digest,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest
