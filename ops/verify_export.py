"""Offline verification of an exported log: every file read, every entry judged again, the state recomputed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from ledger.database import open_sqlite
from ledger.errors import NotFoundError, UsageError, VerificationError
from ledger.log_keys import label_of
from ledger.proofs.authority import Authority, authority_of, identity
from ledger.proofs.entry_rows import whole
from ledger.proofs.steps import step
from ledger.proofs.trust import Trust, cosigned
from ledger.publication import CHECKPOINT_PATH, IDENTITY_PATH
from ledger.store import Store, create_log
from ledger.subjects import registry_subject
from ledger.tiles import parse_tile_path, width_of
from ledger.verified_tiles import VerifiedTiles
from ops.anchor_files import FOLDER as ANCHORS
from ops.anchor_files import check_anchor_files
from ops.anchored import check_anchored, outside_words
from ops.copying import Progress, copy
from ops.export import EXPORT_TYPE, EXPORT_VERSION, MANIFEST_PATH
from ops.importers.strict import decode_object
from ops.publications import FolderPublication
from projections.bundles import MERGE_VERSION
from projections.rebuild import replay

MAX_MANIFEST_BYTES: Final = 1 << 16


def verify_export(folder: Path, trust: Trust, progress: Progress) -> list[str]:
    """Verify an exported log from its root event to its state digest; return what was found to hold.

    Raises:
        VerificationError: the first check that failed, named, with the file or position.
    """
    publication = FolderPublication(folder)
    with step("canonical form", MANIFEST_PATH):
        manifest = _manifest(folder, decode_object(publication.file(MANIFEST_PATH, MAX_MANIFEST_BYTES)))
    with step("canonical form", IDENTITY_PATH):
        stated = decode_object(publication.identity())
    authority = authority_of(stated, trust.root, trust.log_key)
    with step("checkpoint", CHECKPOINT_PATH):
        note = publication.checkpoint()
    opened = authority.open(note, others=trust.witnesses)
    size, cosigners = opened.checkpoint.size, cosigned(opened, trust)
    _check_files(folder, size)
    with TemporaryDirectory(prefix="pith-verify-") as scratch, ThreadPoolExecutor(os.cpu_count()) as workers:
        database = open_sqlite(Path(scratch) / "ledger.db", durable=False)
        try:
            create_log(database, manifest["registry"], label_of(opened.checkpoint.origin, manifest["registry"]))
            store = Store(database)
            with step("tile"):
                tiles = VerifiedTiles(size, opened.checkpoint.root, publication.tile)
                copy(store, publication, tiles, workers, progress)
            _check_facts(store, manifest, authority)
            registry = store.registry()
            registry.open_checkpoint(note, known_at=store.head().received_at)
            check_anchored(registry, store.of_registry(0, size), store.tree.root)
            store.checkpoints.adopt(opened, now=0)
            if msgspec.to_builtins(identity(store)) != stated:
                raise VerificationError("root", "it is not what the log says of its keys", place=IDENTITY_PATH)
            vouched = outside_words(registry, store.of_registry(0, size), trust)
            files = check_anchor_files(store, folder, size)
            digest = replay(store, size, Path(scratch))
        finally:
            database.close()
    if digest != manifest["state_digest"]:
        raise VerificationError("state", f"replaying gives {digest}, the manifest says {manifest['state_digest']}")
    return [
        authority.sentence(),
        f"checkpoint: signed by the log's key over {size} entries{cosigners}",
        f"tiles: all of them lead to its root {opened.checkpoint.root.hex()}",
        f"entries: {size} in order, each is the leaf it should be, each signature holds, each was admissible",
        *vouched,
        *files,
        f"state: replaying gives {digest}, as stated",
    ]


def _manifest(folder: Path, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    if manifest.get("export_type") != EXPORT_TYPE:
        raise UsageError("the manifest is none of an export", place=str(folder))
    if (manifest["export_version"], manifest["merge_version"]) != (EXPORT_VERSION, MERGE_VERSION):
        raise UsageError(f"this export follows other rules than {MERGE_VERSION}", place="merge_version")
    registry_subject(manifest["registry"])  # refuses what is no registry's name
    return {name: manifest[name] for name in ("registry", "root", "size", "state_digest")}


def _check_files(folder: Path, size: int) -> None:
    """Refuse files that are no part of an export: whoever passes them on could not tell what they say."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if (path.is_symlink() or not path.is_dir()) and not _belongs(name, size):
            raise VerificationError("canonical form", "no part of an export of this size", place=str(path))


def _belongs(name: str, size: int) -> bool:
    if name in (IDENTITY_PATH, MANIFEST_PATH, CHECKPOINT_PATH) or name.startswith(f"{ANCHORS}/"):
        return True  # which of the latter belong here, the log tells
    try:
        tile = parse_tile_path(name)
    except NotFoundError:
        return False
    return tile.width == width_of(tile, size)


def _check_facts(store: Store, manifest: Mapping[str, Any], authority: Authority) -> None:
    begins_with = store.entry(0).event.id_text
    if begins_with != manifest["root"] or (authority.registry and begins_with != authority.root):
        raise VerificationError("root", f"the log begins with {begins_with}, the manifest says {manifest['root']}")
    if store.head().size != whole(manifest["size"]):
        raise VerificationError("size", f"{store.head().size} entries, the manifest says {manifest['size']}")
