"""Inclusion proofs of many entries in one tree, as JSON text: the way above a tile is worked out once."""

from __future__ import annotations

import base64

from ledger.merkle import NodeReader, inclusion_proof
from ledger.tiles import HEIGHT


class Paths:
    """The tree of one size; `node` gives its perfect nodes, each asked for once."""

    def __init__(self, size: int, node: NodeReader) -> None:
        self._size = size
        self._node = node
        self._nodes: dict[tuple[int, int], bytes] = {}
        self._above: dict[int, list[str]] = {}
        self._known: dict[int, str] = {}

    def text(self, position: int) -> str:
        """Return an entry's inclusion proof as a JSON list of base64; raises UsageError as `inclusion_proof` does."""
        found = self._known.get(position)
        if found is None:
            quoted = '","'.join(self._path(position))
            found = self._known[position] = f'["{quoted}"]' if quoted else "[]"
        return found

    def _path(self, position: int) -> list[str]:
        tile = position >> HEIGHT
        if (tile + 1) << HEIGHT > self._size:
            return [_base64(found) for found in inclusion_proof(position, self._size, self._read)]
        above = self._above.get(tile)
        if above is None:
            whole = inclusion_proof(position, self._size, self._read)
            above = self._above[tile] = [_base64(found) for found in whole[HEIGHT:]]
        within = [_base64(self._read(level, (position >> level) ^ 1)) for level in range(HEIGHT)]
        return within + above

    def _read(self, level: int, index: int) -> bytes:
        found = self._nodes.get((level, index))
        if found is None:
            found = self._nodes[level, index] = self._node(level, index)
        return found


def _base64(found: bytes) -> str:
    return base64.b64encode(found).decode()
