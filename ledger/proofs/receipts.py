"""Receipts and proofs: files by which a stranger checks, with nothing else, that the log holds an event.

A receipt is an event with its position, the path to a checkpoint, every key event that it and the checkpoint's
signature rely on, each with its own path, and the outside anchors over checkpoints that cover it.
"""

from __future__ import annotations

import json
from typing import Any, Final

from ledger.checkpoint_store import SignedCheckpoint
from ledger.errors import UsageError
from ledger.events import Entry
from ledger.keyring import Registration
from ledger.merkle import NodeReader, consistency_proof, inclusion_proof
from ledger.proofs.authority import identity
from ledger.proofs.entry_rows import hashes_to_text, row_of
from ledger.proofs.paths import Paths
from ledger.proofs.stream import Stream
from ledger.registry import Registry
from ledger.store import Store
from ledger.tlog_proof import LogProof

RECEIPT_TYPE: Final = "pith_log_receipt"
CONSISTENCY_TYPE: Final = "pith_consistency_proof"
VERSION: Final = "1.0"


class Receipts:
    """Receipts under one checkpoint, as JSON text; what several of them share is worked out once.

    Args:
        stream: the registry's stream, at least as far as the checkpoint goes.
        node: gives the tree's perfect nodes.
    """

    def __init__(self, stream: Stream, checkpoint: SignedCheckpoint, node: NodeReader) -> None:
        self._stream = stream
        self._size = checkpoint.size
        self._node = node
        self._paths = Paths(checkpoint.size, node)
        self._log_keys: list[Registration] = stream.registry.keys.of_role("log", checkpoint.size)
        self._anchored_size = stream.registry.stated_size()
        self._rows: dict[int, str] = {}
        self._key_events: dict[str, list[Entry]] = {}
        facts = {
            "receipt_type": RECEIPT_TYPE,
            "receipt_version": VERSION,
            "origin": stream.registry.origin,
            "registry": stream.registry.name,
            "root": stream.entries[0].event.id_text,
            "checkpoint": checkpoint.note.decode(),
        }
        self._head = json.dumps(facts, separators=(",", ":"))[:-1]

    def of(self, entry: Entry) -> str:
        """Return the receipt of an entry below the checkpoint as JSON text; raises UsageError for another."""
        is_vouched_for = entry.position < self._anchored_size
        anchors = self._stream.registry.first_anchors(entry.position, self._size) if is_vouched_for else []
        key_events = ",".join(
            self._row(known) for known in self._relied_on(entry, anchors) if known.position != entry.position
        )
        return (
            f'{self._head},"event":{entry.event.raw.decode()},"position":{entry.position}'
            f',"received_at":{entry.received_at},"inclusion_proof":{self._paths.text(entry.position)}'
            f',"anchors":[{",".join(map(self._row, anchors))}],"key_events":[{key_events}]}}'
        )

    def _relied_on(self, entry: Entry, anchors: list[Entry]) -> list[Entry]:
        event = entry.event
        if anchors or event.subject == self._stream.registry.subject or "pith_receipt" in event.value["payload"]:
            return self._stream.relied_on([entry, *anchors], self._log_keys, self._size)
        # What another event relies on follows from its signer's key.
        found = self._key_events.get(event.signer.key_id)
        if found is None:
            found = self._stream.relied_on([entry], self._log_keys, self._size)
            self._key_events[event.signer.key_id] = found
        return found

    def _row(self, entry: Entry) -> str:
        found = self._rows.get(entry.position)
        if found is None:
            found = (
                f'{entry.event.raw.decode()[:-1]},"position":{entry.position},"received_at":{entry.received_at}'
                f',"inclusion_proof":{self._paths.text(entry.position)}{self._growth(entry)}}}'
            )
            self._rows[entry.position] = found
        return found

    def _growth(self, entry: Entry) -> str:
        """Return, for an anchor of the log, the path from what it anchors to the checkpoint, as a further member."""
        anchored = self._stream.registry.confirmed(entry, self._size)
        if anchored is None:
            return ""
        proof = hashes_to_text(consistency_proof(anchored.size, self._size, self._node))
        return f',"consistency_proof":{json.dumps(proof)}'


def receipt(store: Store, entry: Entry, stream: Stream | None = None) -> dict[str, Any]:
    """Write the receipt of an entry, up to the published checkpoint.

    Args:
        stream: the registry's stream, where it is at hand and goes as far as that checkpoint.

    Raises:
        UsageError: no published checkpoint covers the entry yet.
    """
    published = covering(store, entry.position)
    with store.tree.nodes() as node:
        text = Receipts(stream or Stream.read(store, published.size), published, node).of(entry)
    found: dict[str, Any] = json.loads(text)
    return found


def inclusion(store: Store, entry: Entry) -> bytes:
    """Write the proof that an entry is in the log, as C2SP tlog-proof; its extra data is the leaf's.

    Raises:
        UsageError: no published checkpoint covers the entry yet.
    """
    published = covering(store, entry.position)
    path = store.tree.inclusion_proof(entry.position, published.size)
    return LogProof(entry.position, tuple(path), published.note, entry.leaf()).format()


def consistency(
    store: Store, old: SignedCheckpoint, new: SignedCheckpoint, stream: Stream | None = None
) -> dict[str, Any]:
    """Write the proof that the tree of one checkpoint begins with the whole tree of an earlier one."""
    facts = identity(store, stream)
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
