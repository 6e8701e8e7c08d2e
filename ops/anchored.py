"""Comparing what outside clocks attest with the log itself: an anchored checkpoint must be of this very tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from ledger.errors import VerificationError
from ledger.events import Entry
from ledger.proofs.outside import outside_word
from ledger.proofs.trust import Trust
from ledger.registry import Registry

LIE_CURE: Final = (
    "the log's key signed a root that its entries do not have: keep the note as evidence, stop serving this log, "
    "and compare the entries with a mirror's or an export's"
)


def check_anchored(registry: Registry, stream: Iterable[Entry], root: Callable[[int], bytes]) -> int:
    """Check every confirmed anchor of a log's checkpoints; return how many there are.

    Args:
        stream: the registry's stream, all of it taken into `registry`.
        root: gives the root over so many first entries of the log.

    Raises:
        VerificationError: step `anchor`; the log was rewritten since that checkpoint was signed.
    """
    count = 0
    for entry in stream:
        checkpoint = registry.confirmed(entry)
        if checkpoint is None:
            continue
        if root(checkpoint.size) != checkpoint.root:
            raise VerificationError(
                "anchor",
                f"what was anchored has the root {checkpoint.root.hex()} at {checkpoint.size} entries, this log has"
                f" {root(checkpoint.size).hex()}",
                place=f"position {entry.position}",
                cure=LIE_CURE,
            )
        count += 1
    return count


def outside_words(registry: Registry, before: int, trust: Trust) -> list[str]:
    """Say which outside clocks vouch for how much of a log below a position, one sentence a clock.

    Raises:
        VerificationError: step `anchor`; a block is another one in the headers that the reader trusts.
    """
    found = []
    for anchor in registry.deciding_anchors(before):
        what = f"its first {anchor.event.payload.anchored.tree_size} entries stood in the log"
        found.append(outside_word(what, anchor, registry.confirmation(anchor.event, before), trust))
    return found or ["open: no outside clock vouches for this log yet; the times in it are the registry's word"]
