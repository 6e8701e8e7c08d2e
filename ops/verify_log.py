"""Checking a whole log in its store before it is folded: by everything, by its signatures, or by a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

from ledger.errors import NotFoundError, VerificationError
from ledger.events import leaf_data
from ledger.merkle import Frontier, leaf_hash
from ledger.proofs.authority import authority_of_events
from ledger.registry import Registry
from ledger.store import Store
from ledger.verification import Head, verify_entries, verify_signers
from ops.anchored import check_anchored

PAGE = 1_000
Advance = Callable[[int], None]


def verify_all(store: Store, stop: int, workers: Executor | None, advance: Advance) -> None:
    """Check every entry below a position as on its first day; raises VerificationError at the first that fails."""
    store.check_unique()
    registry, head = Registry(store.registry_name), Head(0, 0)
    for start in range(0, stop, PAGE):
        entries = store.checked_entries(start, min(start + PAGE, stop))
        with store.targets_of(entries) as targets:
            head = verify_entries(entries, registry, targets, head, workers)
        advance(len(entries))
    check_anchored(registry, store.of_registry(0, stop), store.tree.root)


def verify_all_signers(store: Store, stop: int, workers: Executor | None, advance: Advance) -> None:
    """Check every signature below a position, and no rule; raises VerificationError at the first that fails."""
    registry = Registry(store.registry_name)
    for start in range(0, stop, PAGE):
        entries = list(store.entries(start, min(start + PAGE, stop)))
        verify_signers(entries, registry, workers)
        advance(len(entries))


def verify_by_checkpoint(store: Store, stop: int, workers: Executor | None, advance: Advance) -> None:
    """Check that the entries below a position are leaves of the newest signed checkpoint, and nothing they say.

    Whoever trusts the checkpoint, because witnesses cosigned it or an earlier audit went over it, needs no more.

    Raises:
        VerificationError: step `checkpoint` where the entries have another root, or not all are covered.
        NotFoundError: no checkpoint was signed.
    """
    signed = store.checkpoints.newest()
    if signed is None:
        raise NotFoundError("no checkpoint was signed yet", cure="run `pith checkpoint`, or verify by all or signers")
    if signed.size < stop:
        raise VerificationError(
            "checkpoint", f"it covers {signed.size} of {stop} entries", cure="run `pith checkpoint` first"
        )
    registry, stream = Registry(store.registry_name), store.of_registry(0, signed.size)
    # Whose word the checkpoint is must not rest on what the checkpoint alone vouches for.
    checkpoint = authority_of_events(registry, stream, stream[0].event.id_text).open(signed.note).checkpoint
    frontier = Frontier()
    for start in range(0, checkpoint.size, PAGE):
        rows = list(store.rows(start, min(start + PAGE, checkpoint.size)))
        frontier.extend(leaf_hash(leaf_data(received_at, raw)) for _, received_at, raw in rows)
        advance(len(rows))
    if frontier.root() != checkpoint.root:
        raise VerificationError(
            "checkpoint", f"the entries have the root {frontier.root().hex()}, it says {checkpoint.root.hex()}"
        )
