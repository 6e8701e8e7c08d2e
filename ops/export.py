"""An export: a whole log as a folder of files that never change (C2SP tlog-tiles), for others to check and serve.

    checkpoint       the published signed note
    pith-log.json    who may sign it, from the root event on
    tile/…           hash tiles; tile/entries/… the entries, 256 to a bundle
    anchors/…        what outside clocks say of it, as files that their own programs judge (`anchor_files`)
    manifest.json    what the log amounts to: size, root event, state digest

It holds all that a registry publishes and no private texts. The checkpoint is written last.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ledger.checkpoint_store import SignedCheckpoint
from ledger.errors import UsageError
from ledger.proofs.authority import identity
from ledger.publication import CHECKPOINT_PATH, IDENTITY_PATH
from ledger.store import Store
from ledger.tiles import ENTRIES, tiles_written
from ops.anchor_files import write_anchor_files
from ops.whole_files import as_file
from projections.bundles import MERGE_VERSION

EXPORT_TYPE: Final = "pith_ledger_export"
EXPORT_VERSION: Final = "2.0"
MANIFEST_PATH: Final = "manifest.json"


def export(
    store: Store, folder: Path, published: SignedCheckpoint, state_digest: str, progress: Callable[[int], None]
) -> dict[str, Any]:
    """Write a log, up to a published checkpoint, into a new folder; return its manifest.

    Args:
        state_digest: what replaying it up to there gives.
        progress: called with the number of entries written since the last call.

    Raises:
        UsageError: the folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", cure="export into a new folder")
    for tile in tiles_written(0, published.size):
        path = folder / tile.path()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.tree.tile(tile, published.size))
        if tile.level == ENTRIES:
            progress(tile.width)
    write_anchor_files(store, folder, published.size)
    manifest = {
        "export_type": EXPORT_TYPE,
        "export_version": EXPORT_VERSION,
        "merge_version": MERGE_VERSION,
        "registry": store.registry_name,
        "root": store.entry(0).event.id_text,
        "size": published.size,
        "state_digest": state_digest,
    }
    (folder / IDENTITY_PATH).write_bytes(as_file(identity(store)))
    (folder / MANIFEST_PATH).write_text(json.dumps(manifest, indent=2) + "\n")
    (folder / CHECKPOINT_PATH).write_bytes(published.note)
    return manifest
