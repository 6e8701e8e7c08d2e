"""The registry as an adversary: it writes what no honest log would take, hashes it truly and signs it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.events import Entry, Event, leaf_data
from ledger.log_keys import log_origin
from ledger.merkle import consistency_proof, inclusion_proof, leaf_hash, root_of
from ledger.proofs import receipts
from ledger.proofs.entry_rows import hashes_to_text, row_of
from ledger.tiles import ENTRIES, HEIGHT, WIDTH, pack_entries, pack_hashes, tiles_written
from tests.builders import World
from tests.logs import Log
from tests.ops.false_notes import a_note
from tests.ops.proofs import as_read


@dataclass(frozen=True, slots=True)
class Forged:
    """A log by its leaf data alone, whatever that is; tree, proofs and checkpoint are truly made of it."""

    world: World
    leaves: tuple[bytes, ...]

    @classmethod
    def of(cls, world: World, entries: Iterable[Entry]) -> Forged:
        return cls(world, tuple(entry.leaf() for entry in entries))

    @classmethod
    def after(cls, log: Log, *events: Event, received_at: int | None = None) -> Forged:
        """Return a log's entries and then some events that its rules may not allow."""
        time = log.store.head().received_at if received_at is None else received_at
        leaves = [entry.leaf() for entry in log.store.entries()]
        return cls(log.world, (*leaves, *(leaf_data(time, event.raw) for event in events)))

    @property
    def size(self) -> int:
        return len(self.leaves)

    def node(self, level: int, index: int) -> bytes:
        return root_of([leaf_hash(leaf) for leaf in self.leaves[index << level : (index + 1) << level]])

    def root(self) -> bytes:
        return root_of([leaf_hash(leaf) for leaf in self.leaves])

    def note(self) -> str:
        return a_note(self.world, self.size, self.root())

    def proof(self, position: int) -> list[str]:
        return hashes_to_text(inclusion_proof(position, self.size, self.node))

    def growth(self, old: int) -> list[str]:
        return hashes_to_text(consistency_proof(old, self.size, self.node))

    def row(self, entry: Entry, anchored: int = 0) -> dict[str, Any]:
        """Return an entry as a row with its proofs; `anchored` is the size that it is said to anchor."""
        found = {**row_of(entry), "inclusion_proof": self.proof(entry.position)}
        return {**found, "consistency_proof": self.growth(anchored)} if anchored else found

    def receipt(self, entry: Entry, key_events: Iterable[Entry], *anchors: dict[str, Any]) -> dict[str, Any]:
        rows = [self.row(known) for known in key_events]
        return as_read(
            {
                "receipt_type": receipts.RECEIPT_TYPE,
                "receipt_version": receipts.VERSION,
                "origin": log_origin(self.world.name),
                "registry": self.world.name,
                "root": rows[0]["event_id"],
                "event": entry.event.value,
                "position": entry.position,
                "received_at": entry.received_at,
                "inclusion_proof": self.proof(entry.position),
                "checkpoint": self.note(),
                "anchors": list(anchors),
                "key_events": rows,
            }
        )

    def rewrite(self, folder: Path) -> Path:
        """Put this log's tiles and checkpoint in the place of an export's, and its size into the manifest."""
        for path in sorted((folder / "tile").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        for tile in tiles_written(0, self.size):
            path = folder / tile.path()
            path.parent.mkdir(parents=True, exist_ok=True)
            first = tile.index * WIDTH
            if tile.level == ENTRIES:
                path.write_bytes(pack_entries(self.leaves[first : first + tile.width]))
            else:
                level = tile.level * HEIGHT
                path.write_bytes(pack_hashes([self.node(level, at) for at in range(first, first + tile.width)]))
        (folder / "checkpoint").write_text(self.note())
        manifest = json.loads((folder / "manifest.json").read_bytes())
        (folder / "manifest.json").write_text(json.dumps({**manifest, "size": self.size}))
        return folder
