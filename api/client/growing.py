"""That a registry shows one log: each checkpoint it signs must continue those that it showed before.

The newest one is remembered for as long as the client lives. For any other the registry must prove that the smaller
tree is the beginning of the larger (RFC 6962, 2.1.2); where its proof does not show that, its own tiles decide. Two
checkpoints that cannot both be true become evidence that convinces everybody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from api.client.problems import FOR_NOW, RemoteError
from ledger.checkpoints import Checkpoint, parse
from ledger.errors import (
    ForkError,
    LedgerError,
    ProjectionError,
    SourceUnreadableError,
    StoreError,
    VerificationError,
)
from ledger.merkle import consistency_proof, tree_root, verify_consistency
from ledger.notes import parse as parse_note
from ledger.proofs.authority import Authority
from ledger.proofs.entry_rows import hashes_of_text, hashes_to_text
from ledger.proofs.steps import step
from ledger.tiles import Tile
from ledger.times import instant
from ledger.verified_tiles import VerifiedTiles

EVIDENCE: Final = {"evidence_type": "pith_fork_evidence", "evidence_version": "1.0"}


@dataclass(frozen=True, slots=True)
class Sighted:
    """A checkpoint whose log signed it, as its note says it."""

    checkpoint: Checkpoint
    note: bytes

    @classmethod
    def of(cls, note: bytes) -> Sighted:
        """Read a note whose signatures were verified already."""
        return cls(parse(parse_note(note).text), note)


class Source(Protocol):
    """Where proofs of growth come from: the registry itself, which is not believed."""

    def consistency(self, old: int, new: int) -> Mapping[str, Any]:
        """Return its proof that the log grew from one size to another; raises LedgerError."""

    def tile(self, tile: Tile) -> bytes:
        """Return a tile of its log; raises LedgerError."""


class Growth:
    """What was seen of one log.

    Args:
        clock: returns now, in microseconds since 1970, UTC.
    """

    def __init__(self, source: Source, clock: Callable[[], int]) -> None:
        self._source = source
        self._clock = clock
        self._lock = threading.Lock()
        self.newest: Sighted | None = None

    def see(self, sighted: Sighted, authority: Callable[[], Authority]) -> None:
        """Take in a checkpoint whose signature was verified.

        Args:
            authority: returns who may sign for the log, where evidence is to be written.

        Raises:
            ForkError: it contradicts the newest one that was seen; carries the evidence.
            VerificationError: step `consistency`; the registry does not show that it does not.
            SourceUnreadableError: the proof cannot be had now.
        """
        with self._lock:
            newest = self.newest
            if newest is not None and newest.checkpoint != sighted.checkpoint:
                old, new = sorted((newest, sighted), key=lambda known: known.checkpoint.size)
                self._check(old, new, authority)
            if newest is None or sighted.checkpoint.size > newest.checkpoint.size:
                self.newest = sighted

    def _check(self, old: Sighted, new: Sighted, authority: Callable[[], Authority]) -> None:
        size = old.checkpoint.size
        if size == new.checkpoint.size:
            if old.checkpoint.root != new.checkpoint.root:
                raise self._fork(old, new, new.checkpoint.root, [], authority)
            return
        try:
            self._check_proof(old.checkpoint, new.checkpoint)
        except LedgerError as error:
            unproven = _lasting(error)
        else:
            return
        try:
            tiles = VerifiedTiles(new.checkpoint.size, new.checkpoint.root, self._source.tile)
            prefix_root = tree_root(size, tiles.node)
        except LedgerError as error:
            _lasting(error)
            raise VerificationError(
                "consistency",
                f"the registry does not show that its log only grew from {size} to {new.checkpoint.size} entries:"
                f" {unproven.message}; {error.message}",
                cure="follow it with `pith monitor`",
            ) from error
        if prefix_root != old.checkpoint.root:
            proof = consistency_proof(size, new.checkpoint.size, tiles.node)
            raise self._fork(old, new, prefix_root, proof, authority)

    def _check_proof(self, old: Checkpoint, new: Checkpoint) -> None:
        found = self._source.consistency(old.size, new.size)
        with step("consistency"):
            verify_consistency(old.size, new.size, old.root, new.root, hashes_of_text(found["consistency_proof"]))

    def _fork(
        self, old: Sighted, new: Sighted, prefix_root: bytes, proof: list[bytes], authority: Callable[[], Authority]
    ) -> ForkError:
        by = authority()
        for sighted in (old, new):
            by.open(sighted.note)
        sizes = f"{old.checkpoint.size} and of {new.checkpoint.size}"
        evidence = {
            **EVIDENCE,
            **by.facts(),
            "checkpoints": [old.note.decode(), new.note.decode()],
            "prefix_root": hashes_to_text([prefix_root])[0],
            "consistency_proof": hashes_to_text(proof),
            "found_at": instant(self._clock()),
        }
        return ForkError(f"the log signed two histories, of {sizes} entries", evidence, place=by.origin)


def _lasting(error: LedgerError) -> LedgerError:
    """Return why there is no proof; raises SourceUnreadableError where there may well be one later."""
    for_now = isinstance(error, StoreError | ProjectionError) or (
        isinstance(error, RemoteError) and error.status in FOR_NOW
    )
    if isinstance(error, SourceUnreadableError):
        raise error
    if for_now:
        raise SourceUnreadableError(
            f"the proof that the log only grew cannot be had now: {error.message}", place=error.place
        ) from error
    return error
