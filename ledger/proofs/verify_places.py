"""Verifying where entries stand: each a leaf under a signed checkpoint, and each anchor of an earlier part of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ledger.checkpoints import Checkpoint
from ledger.errors import VerificationError
from ledger.events import Entry
from ledger.merkle import leaf_hash, verify_consistency, verify_inclusion
from ledger.proofs.entry_rows import entry_of_row, proof_of_row
from ledger.proofs.steps import step
from ledger.registry import Registry


def verify_places(
    rows: Sequence[Mapping[str, Any]], checkpoint: Checkpoint, registry: Registry, what: str
) -> list[str]:
    """Check the proofs of rows whose events were verified already; return what holds, one sentence a check.

    Args:
        registry: knows every policy and log key among these rows.
        what: what the rows are, for the sentence.

    Raises:
        VerificationError: step `inclusion`, or for anchors of the log `consistency`.
    """
    anchored = 0
    for row in rows:
        entry = entry_of_row(row)
        verify_place(entry, row, checkpoint)
        if entry.event.subject == registry.subject:
            anchored += verify_anchored(entry, row, checkpoint, registry)
    done = [f"inclusion: the {len(rows)} {what} are leaves of the checkpoint's tree, where they say"]
    if anchored:
        done.append(f"consistency: what {anchored} of them anchor is an earlier state of the same tree")
    return done


def verify_place(entry: Entry, row: Mapping[str, Any], checkpoint: Checkpoint) -> None:
    """Check one entry's inclusion proof; raises VerificationError (step `inclusion`, or `canonical form`)."""
    place = f"position {entry.position}"
    with step("canonical form", place):
        proof = proof_of_row(row)
    try:
        verify_inclusion(leaf_hash(entry.leaf()), entry.position, checkpoint.size, proof, checkpoint.root)
    except VerificationError as error:
        raise VerificationError(error.step, error.message, place=place, cure="") from error


def verify_anchored(entry: Entry, row: Mapping[str, Any], checkpoint: Checkpoint, registry: Registry) -> bool:
    """Check that what an entry anchors is an earlier state of a checkpoint's tree; False if it confirms nothing.

    Raises:
        VerificationError: step `consistency`; the registry anchored another tree than it shows.
    """
    earlier = registry.confirmed(entry)
    if earlier is None:
        return False
    place = f"position {entry.position}"
    with step("canonical form", place):
        proof = proof_of_row(row, "consistency_proof")
    try:
        verify_consistency(earlier.size, checkpoint.size, earlier.root, checkpoint.root, proof)
    except VerificationError as error:
        raise VerificationError(
            error.step, f"what it anchors is another tree: {error.message}", place=place, cure=""
        ) from error
    return True
