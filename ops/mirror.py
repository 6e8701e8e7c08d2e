"""A mirror: a ledger that follows somebody else's log, holds all of it and has checked all of it.

It is a data folder like any other, but without keys: it can be read, replayed, audited, exported and served,
and hands out the registry's own checkpoints. What it once took it never gives up; a registry that forks is
caught by the next run, with evidence.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from ledger.checkpoints import Checkpoint, Opened
from ledger.database import Database
from ledger.errors import ForkError, LogCorruptedError, UsageError, VerificationError
from ledger.merkle import NodeReader, tree_root
from ledger.notes import COSIGNATURE
from ledger.proofs.authority import Authority, authority_of
from ledger.proofs.steps import step
from ledger.proofs.trust import Trust, cosigned
from ledger.publication import Publication
from ledger.registry import Registry
from ledger.store import Store
from ledger.verified_tiles import VerifiedTiles
from ops.anchored import check_anchored
from ops.copying import PrefixError, Progress, copy
from ops.databases import has_log, open_log, place_of
from ops.evidence import evidence
from ops.home import now
from ops.importers.strict import decode_object
from ops.migrations.lines import LOG
from ops.new_databases import new_log
from ops.settings import Settings
from ops.signed_files import read_note
from ops.whole_files import alone, write_whole


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What one run did: `size` entries are here, `added` of them new; `checks` are sentences for the reader."""

    size: int
    added: int
    checks: tuple[str, ...]


def mirror(
    publication: Publication,
    settings: Settings,
    trust: Trust,
    progress: Progress,
    clock: Callable[[], int] = now,
) -> Mirrored:
    """Bring the mirror in a data folder up to a log's published checkpoint; make it where there is none.

    Interrupted, it keeps what it took, and the next run goes on there. Its first root event is the one that
    every later run must find again.

    Raises:
        ForkError: the log signed two histories; carries the evidence.
        VerificationError: the first check that failed, named; what was taken before it is kept.
        UsageError: the folder holds a registry of its own, or a mirror of another log.
        LedgerError: the log cannot be read.
    """
    raw, note = publication.identity(), publication.checkpoint()
    with step("canonical form"):
        identity = decode_object(raw)
        stated = Registry.of_origin(identity["registry"], identity["origin"])
    if (settings.keys / "event.json").exists():
        raise UsageError("this folder is a registry's own", place=str(settings.data), cure="choose another folder")
    # A registry's own log may stand in the database, and what is appended to it here nobody could take back.
    if settings.database_url and has_log(settings) and not settings.followed_path.exists():
        raise UsageError(
            "the database holds a log that this folder does not follow",
            place=place_of(settings, LOG),
            cure="give the mirror a PITH_DATABASE_SCHEMA of its own, or unset PITH_DATABASE_URL",
        )
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone(settings.data / "mirror.lock"):
        known_root = _known_root(settings, stated)
        if known_root and trust.root not in (None, known_root):
            raise VerificationError("root", f"this mirror begins with {known_root}, not {trust.root}")
        # Nothing is made here before somebody vouches for the log.
        authority = replace(authority_of(identity, trust.root or known_root), pinned=trust.root is not None)
        opened = authority.open(note, others=trust.witnesses)
        cosigners = cosigned(opened, trust)
        database = _open(settings, stated)
        try:
            store = Store(database)
            before = store.head().size
            following = _Following(store, settings.followed_path, authority, clock)
            size = following.run(publication, opened, progress)
        finally:
            database.close()
    entries = f"{size - before} more, each the leaf it should be, each signature holds, each was admissible"
    if size > opened.checkpoint.size:
        entries = f"nothing new: {size} are here, the log shows {opened.checkpoint.size} of them"
    checks = [
        authority.sentence(),
        f"checkpoint: signed by the log's key over {opened.checkpoint.size} entries{cosigners}",
        f"entries: {entries}",
    ]
    if before:
        checks.insert(2, f"consistency: it is of the same tree as the {before} entries that were here")
    return Mirrored(size, size - before, tuple(checks))


def _known_root(settings: Settings, stated: Registry) -> str | None:
    """Return the root event id of the mirror that is here; raises UsageError where it is another log's."""
    if not has_log(settings):
        return None
    database = open_log(settings)
    try:
        store = Store(database)
        here = Registry(store.registry_name, store.label)
        if here.origin != stated.origin:
            raise UsageError(f"this folder mirrors {here.origin}, not {stated.origin}", place=str(settings.data))
        return store.entry(0).event.id_text if store.head().size else None
    finally:
        database.close()


@dataclass(frozen=True, slots=True)
class _Following:
    """One run of a mirror: its store, and the file with the checkpoint it is on the way to."""

    store: Store
    path: Path
    authority: Authority
    clock: Callable[[], int]

    def run(self, publication: Publication, opened: Opened, progress: Progress) -> int:
        """Go to a checkpoint and keep it; return how many entries are here then."""
        store, checkpoint, note = self.store, opened.checkpoint, opened.note.format()
        for known in self._known():
            if known.size == checkpoint.size and known.root != checkpoint.root:
                raise self._fork(note, None)
        have = store.head().size
        if checkpoint.size < have:
            if store.tree.root(checkpoint.size) != checkpoint.root:
                with store.tree.nodes() as node:
                    raise self._fork(note, node)
            return have
        tiles = VerifiedTiles(checkpoint.size, checkpoint.root, publication.tile)
        known_sizes = [0]
        for known in self._known():
            if known.size <= checkpoint.size and tree_root(known.size, tiles.node) != known.root:
                raise self._fork(note, tiles.node)
            known_sizes.append(known.size)
        # Were the run broken off, a fork could not be proven without the checkpoint that its entries came by.
        if checkpoint.size > max(known_sizes) or not self.path.exists():
            write_whole(self.path, note)
        try:
            with ThreadPoolExecutor(os.cpu_count() or 1) as workers:
                copy(store, publication, tiles, workers, progress)
        except PrefixError as error:
            raise self._fork(note, error.tiles.node) from error
        registry = store.registry()
        others = [signer for signer in opened.signers if signer.kind == COSIGNATURE]
        strict = registry.open_checkpoint(note, known_at=store.head().received_at, others=others)
        check_anchored(registry, store.of_registry(0, checkpoint.size), store.tree.root)
        store.checkpoints.adopt(strict, self.clock())
        return checkpoint.size

    def _known(self) -> list[Checkpoint]:
        """Return the checkpoints that what is here came by, newest first."""
        return [self.authority.open(note).checkpoint for note in self._notes()]

    def _notes(self) -> list[bytes]:
        newest = self.store.checkpoints.newest()
        followed = [read_note(self.path)] if self.path.exists() else []
        return followed + ([newest.note] if newest else [])

    def _fork(self, note: bytes, node: NodeReader | None) -> VerificationError:
        """Return the error about a checkpoint that contradicts what is here, with evidence where that can be had."""
        for known in self._notes():
            try:
                found = evidence(self.authority, known, note, node, self.clock())
            except (VerificationError, LogCorruptedError):
                continue  # they can both be true, so the entries here came by another one
            sizes = " and ".join(str(self.authority.open(each).checkpoint.size) for each in (known, note))
            return ForkError(f"the log signed two histories, of {sizes} entries", found, place=self.authority.origin)
        return VerificationError(
            "consistency", "the checkpoint contradicts the entries here, of which no checkpoint was kept", cure=""
        )


def _open(settings: Settings, stated: Registry) -> Database:
    """Open the mirror's database; make it, with an empty log, where there is none."""
    if not has_log(settings):
        with new_log(settings, stated.name, stated.label):
            pass
    return open_log(settings)
