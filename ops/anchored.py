"""Comparing what outside clocks attest with the log itself: an anchored checkpoint must be of this very tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from ledger.errors import VerificationError
from ledger.events import Entry
from ledger.proofs.outside import check_header, outside_word
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


def outside_words(registry: Registry, stream: Iterable[Entry], trust: Trust) -> list[str]:
    """Say how much of a log each outside clock vouches for, the one that reaches farthest first.

    Args:
        stream: the registry's stream, all of it taken into `registry`.

    Raises:
        VerificationError: step `anchor`; the block of some anchor is another one in the reader's headers.
    """
    farthest: dict[str, tuple[int, Entry]] = {}
    for entry in stream:
        checkpoint = registry.confirmed(entry)
        if checkpoint is None:
            continue
        check_header(entry, trust)
        clock = registry.confirmation(entry.event).clock
        if clock not in farthest or checkpoint.size > farthest[clock][0]:
            farthest[clock] = checkpoint.size, entry
    found = [
        outside_word(f"its first {size} entries stood in the log", anchor, registry.confirmation(anchor.event), trust)
        for size, anchor in sorted(farthest.values(), key=lambda one: -one[0])
    ]
    needed = registry.independent_clocks()
    if len(found) < needed:
        found.append(f"open: {needed} independent clocks must vouch for this log by its policy, {len(found)} do")
    return found
