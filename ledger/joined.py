"""Ranges put together again: what none of them can decide alone.

That time does not fall from one range to the next, and the tree over all of them. Taken in order, they give the first
error of the log, whichever of them found it first.
"""

from __future__ import annotations

from collections.abc import Collection

from ledger.errors import VerificationError
from ledger.merkle import Frontier
from ledger.ranges import Verified
from ledger.tiles import WIDTH


class Joined:
    """Ranges put together in order of position, from the first of a log on.

    Args:
        sizes: sizes of the log at which its tree is asked for.
    """

    def __init__(self, sizes: Collection[int]) -> None:
        self.size = 0
        self.signatures = 0
        self._received_at = 0
        self._tiles = Frontier()
        self._sizes = sorted(size for size in sizes if size)
        self._frontiers: dict[int, Frontier] = {}

    def add(self, found: Verified) -> None:
        """Take in the next range.

        Raises:
            VerificationError, LogCorruptedError: the first thing in the log that does not hold.
        """
        if found.range.start != self.size:
            raise ValueError(f"the range from {self.size} on comes next, not that from {found.range.start}")
        if found.first is not None and found.first[0] < self._received_at:
            place = f"position {found.range.start}, {found.first[1]}"
            raise VerificationError("time", "it was received before its predecessor", place=place, cure="")
        if found.failure is not None:
            raise found.failure.error()
        for root in found.tiles:
            self._keep_edges(found)
            self._tiles.append(root)
            self._keep_whole()
        self._keep_edges(found)
        self.size, self._received_at = found.range.stop, found.last
        self.signatures += found.signatures

    def frontier(self, size: int) -> Frontier:
        """Return the edge of the tree over the first `size` entries, one of the sizes that were asked for."""
        return self._frontiers[size] if size else Frontier()

    @property
    def received_at(self) -> int:
        """When the last entry so far was received (microseconds); 0 for none."""
        return self._received_at

    def _keep_whole(self) -> None:
        size = self._tiles.size * WIDTH
        if size in self._sizes:
            self._frontiers[size] = _joined(self._tiles, Frontier())

    def _keep_edges(self, found: Verified) -> None:
        below = self._tiles.size * WIDTH
        for size, leaves in found.edges.items():
            if below < size < below + WIDTH:
                edge = Frontier()
                edge.extend(leaves)
                self._frontiers[size] = _joined(self._tiles, edge)


def _joined(tiles: Frontier, edge: Frontier) -> Frontier:
    """Return the edge of a tree from that over its tiles' roots and that over the leaves behind them.

    A tree splits at the greatest power of two below its size (RFC 6962, 2.1), so above the tiles' roots it is the tree
    over these.
    """
    size = tiles.size * WIDTH + edge.size
    return Frontier.from_bytes(size.to_bytes(8, "big") + tiles.to_bytes()[8:] + edge.to_bytes()[8:])
