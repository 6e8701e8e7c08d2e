"""Receipts and proofs: files by which a stranger checks, with nothing else, that the log holds an event.

A receipt is an event with its position, the path to a published checkpoint, every key event that it and the
checkpoint's signature rely on, each with its own path, and the outside anchors over checkpoints that cover it.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.checkpoint_store import SignedCheckpoint
from ledger.errors import UsageError
from ledger.events import Entry
from ledger.log_keys import log_origin
from ledger.merkle import NodeReader, consistency_proof, inclusion_proof
from ledger.proofs.authority import identity
from ledger.proofs.entry_rows import hashes_to_text, row_of
from ledger.proofs.stream import Stream
from ledger.registry import Registry
from ledger.store import Store
from ledger.tlog_proof import LogProof

RECEIPT_TYPE: Final = "pith_log_receipt"
CONSISTENCY_TYPE: Final = "pith_consistency_proof"
VERSION: Final = "1.0"


def receipt(store: Store, entry: Entry, stream: Stream | None = None) -> dict[str, Any]:
    """Write the receipt of an entry, up to the published checkpoint.

    Args:
        stream: the registry's stream, where it is at hand and goes as far as that checkpoint.

    Raises:
        UsageError: no published checkpoint covers the entry yet.
    """
    published = covering(store, entry.position)
    stream = stream or Stream.read(store, published.size)
    registry = stream.registry
    anchors = anchors_over(entry, stream, published.size)
    log_keys = registry.keys.of_role("log", published.size)
    key_events = stream.relied_on([entry, *anchors], log_keys, published.size)
    with store.tree.nodes() as node:
        return {
            "receipt_type": RECEIPT_TYPE,
            "receipt_version": VERSION,
            "origin": log_origin(store.registry_name),
            "registry": store.registry_name,
            "root": stream.entries[0].event.id_text,
            "event": entry.event.value,
            "position": entry.position,
            "received_at": entry.received_at,
            "inclusion_proof": hashes_to_text(inclusion_proof(entry.position, published.size, node)),
            "checkpoint": published.note.decode(),
            "anchors": [proven_row(anchor, published, registry, node) for anchor in anchors],
            "key_events": [
                proven_row(known, published, registry, node) for known in key_events if known.position != entry.position
            ],
        }


def inclusion(store: Store, entry: Entry) -> bytes:
    """Write the proof that an entry is in the log, as C2SP tlog-proof; its extra data is the leaf's.

    Raises:
        UsageError: no published checkpoint covers the entry yet.
    """
    published = covering(store, entry.position)
    path = store.tree.inclusion_proof(entry.position, published.size)
    return LogProof(entry.position, tuple(path), published.note, entry.leaf()).format()


def consistency(store: Store, old: SignedCheckpoint, new: SignedCheckpoint) -> dict[str, Any]:
    """Write the proof that the tree of one checkpoint begins with the whole tree of an earlier one."""
    facts = identity(store)
    return {
        "proof_type": CONSISTENCY_TYPE,
        "proof_version": VERSION,
        **{name: facts[name] for name in ("origin", "registry", "root", "key_events")},
        "checkpoints": [old.note.decode(), new.note.decode()],
        "consistency_proof": hashes_to_text(store.tree.consistency_proof(old.size, new.size)),
    }


def covering(store: Store, position: int) -> SignedCheckpoint:
    """Return the published checkpoint, which must cover a position.

    Raises:
        UsageError: it does not.
    """
    published = store.checkpoints.published()
    if position >= published.size:
        raise UsageError(
            f"the published checkpoint covers {published.size} entries, not position {position}",
            cure="run `pith checkpoint`, then ask again",
        )
    return published


def proven_row(entry: Entry, published: SignedCheckpoint, registry: Registry, node: NodeReader) -> dict[str, Any]:
    """Return an entry with its path to a checkpoint; an anchor of the log also with the path from what it anchors."""
    proofs = {"inclusion_proof": inclusion_proof(entry.position, published.size, node)}
    if entry.event.subject == registry.subject and (anchored := registry.confirmed(entry, published.size)):
        proofs["consistency_proof"] = consistency_proof(anchored.size, published.size, node)
    return row_of(entry, **proofs)


def anchors_over(entry: Entry, stream: Stream, before: int) -> list[Entry]:
    """Return, for each method, the first confirmed anchor below a position of a checkpoint that covers an entry."""
    found: dict[str, Entry] = {}
    for other in stream.anchors:
        checkpoint = stream.registry.confirmed(other, before) if other.position < before else None
        if checkpoint and checkpoint.size > entry.position:
            found.setdefault(other.event.payload.method, other)
    return list(found.values())
