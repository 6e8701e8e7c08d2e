"""Tiles of a log that somebody else keeps, each proven against a signed root before it is used."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from ledger.errors import UsageError, VerificationError
from ledger.merkle import root_of, tree_root
from ledger.tiles import HEIGHT, WIDTH, Tile, TileReader, node_reader, tile_node, unpack_hashes

REMEMBERED: Final = 64


class VerifiedTiles:
    """Reads tiles of the tree with a given size and root; what does not lead to that root is refused.

    A full tile's root stands in the tile above it; what is on the ragged right edge is proven all at once.

    Raises:
        VerificationError: step `tile`; the right edge does not lead to the root.
    """

    def __init__(self, size: int, root: bytes, read: TileReader) -> None:
        self.size = size
        self._read = read
        self._edge: dict[int, list[bytes]] = {}
        found = tree_root(size, node_reader(size, self._read_edge))
        if found != root:
            raise VerificationError(
                "tile", f"the tiles lead to the root {found.hex()} for {size} entries, the checkpoint says {root.hex()}"
            )
        self._hashes = lru_cache(REMEMBERED)(self._verified)

    def hashes(self, level: int, index: int) -> list[bytes]:
        """Return the hashes of a tile, as many as the tree has there.

        Raises:
            UsageError: this tree has no such tile.
            VerificationError: step `tile`; its bytes are not that tile of this tree.
        """
        if not (level >= 0 and 0 <= index * WIDTH < self.size >> (HEIGHT * level)):
            raise UsageError(f"a tree of {self.size} leaves has no tile {index} of level {level}")
        return self._hashes(level, index)

    def node(self, level: int, index: int) -> bytes:
        """Return a perfect node of the tree; raises as `hashes` does."""
        return tile_node(level, index, self.size, lambda tile: b"".join(self.hashes(tile.level, tile.index)))

    def _read_edge(self, tile: Tile) -> bytes:
        data = self._read(tile)
        self._edge[tile.level] = unpack_hashes(data, tile.width)
        return data

    def _verified(self, level: int, index: int) -> list[bytes]:
        width = min((self.size >> (HEIGHT * level)) - index * WIDTH, WIDTH)
        if width < WIDTH:
            # All hashes of the right edge went into the root.
            return self._edge[level]
        tile = Tile(level, index)
        hashes = unpack_hashes(self._read(tile), WIDTH)
        above, at = divmod(index, WIDTH)
        if root_of(hashes) != self.hashes(level + 1, above)[at]:
            raise VerificationError("tile", "its hashes do not lead to the checkpoint's root", place=tile.path())
        return hashes
