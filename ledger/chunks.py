"""The chunk tree of a file: by its root, any part of the file can be shown to belong to it.

A file is cut into chunks of 64 KiB, the last one shorter; an empty file is one empty chunk, so that there is always
something to show. Chunk i is leaf i of an RFC 6962 tree. Its root alone does not fix the number of leaves: take it
together with the file's length, from one statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from ledger.merkle import inclusion_proof, leaf_hash, node_hash, tree_root

CHUNK_BYTES: Final = 64 * 1024


def chunk_count(length: int) -> int:
    """Return how many chunks a file of so many bytes has; an empty one has one."""
    return max(1, -(-length // CHUNK_BYTES))


class Chunking:
    """Cuts bytes that come in pieces of any size into chunks, and keeps their leaf hashes: 32 bytes for 64 KiB."""

    __slots__ = ("_leaves", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._leaves: list[bytes] = []

    def update(self, piece: bytes) -> None:
        """Take in the next bytes of the file."""
        rest = self._rest
        rest += piece
        whole = len(rest) - len(rest) % CHUNK_BYTES
        self._leaves += (leaf_hash(bytes(rest[at : at + CHUNK_BYTES])) for at in range(0, whole, CHUNK_BYTES))
        del rest[:whole]

    def tree(self) -> ChunkTree:
        """Return the tree over everything taken in so far."""
        last = [leaf_hash(bytes(self._rest))] if self._rest or not self._leaves else []
        return ChunkTree([*self._leaves, *last])


class ChunkTree:
    """The tree over the chunks of one file, at least one."""

    __slots__ = ("_levels",)

    def __init__(self, leaves: Sequence[bytes]) -> None:
        level = list(leaves)
        self._levels = [level]
        while len(level) > 1:
            level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
            self._levels.append(level)

    def leaf(self, index: int) -> bytes:
        """Return the leaf hash of a chunk."""
        return self._levels[0][index]

    def root(self) -> bytes:
        """Return the chunk root."""
        return tree_root(len(self._levels[0]), self._node)

    def path(self, index: int) -> list[bytes]:
        """Return the inclusion proof of a chunk, its sibling first."""
        return inclusion_proof(index, len(self._levels[0]), self._node)

    def _node(self, level: int, index: int) -> bytes:
        return self._levels[level][index]


def chunk_tree(pieces: Iterable[bytes]) -> ChunkTree:
    """Return the tree over a file that comes in pieces of any size."""
    chunking = Chunking()
    for piece in pieces:
        chunking.update(piece)
    return chunking.tree()
