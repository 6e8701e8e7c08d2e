"""The Merkle tree of RFC 6962, section 2.1, over SHA-256: growing, proving and checking.

A tree of n leaves is made of *perfect* subtrees, one for each bit of n. Node (level, index) is the
perfect subtree over the leaves [index << level, (index + 1) << level); level 0 are the leaf hashes.
Perfect nodes never change once complete, so they are all a log has to keep. The nodes on a ragged right
edge belong to one tree size only; they are composed when a proof needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple, NoReturn

from ledger.errors import LogCorruptedError, UsageError, VerificationError

HASH_BYTES: Final = 32
MAX_SIZE: Final = 2**63 - 1
EMPTY_ROOT: Final = sha256(b"").digest()

NodeReader = Callable[[int, int], bytes]
"""Returns the hash of the perfect subtree (level, index)."""


def leaf_hash(data: bytes) -> bytes:
    """Return the 32-byte hash of one leaf's data."""
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32-byte hash of an inner node from its two children's hashes."""
    return sha256(b"\1" + left + right).digest()


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """Compute a root by the recursive definition alone, sharing nothing with `Frontier`."""

    def subtree(start: int, end: int) -> bytes:
        if end - start == 1:
            return leaf_hashes[start]
        split = start + (1 << (end - start - 1).bit_length() - 1)
        return node_hash(subtree(start, split), subtree(split, end))

    return subtree(0, len(leaf_hashes)) if leaf_hashes else EMPTY_ROOT


# --- growing -------------------------------------------------------------------------------


class Row(NamedTuple):
    """Neighbouring perfect nodes of one level that one growth completed; `first` is the index of the first."""

    first: int
    hashes: list[bytes]


class Frontier:
    """All that a growing tree needs: its size and the roots of its perfect subtrees, largest first."""

    __slots__ = ("_roots", "size")

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Take in one leaf hash."""
        _refuse_other_lengths((leaf,))
        size, roots = self.size, self._roots
        while size & 1:
            leaf = sha256(b"\1" + roots.pop() + leaf).digest()
            size >>= 1
        roots.append(leaf)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> list[Row]:
        """Take in leaf hashes and return every perfect node they complete, as one row a level from level 0."""
        row = list(leaves)
        _refuse_other_lengths(row)
        first, count, roots = self.size, len(row), self._roots
        grown: list[Row] = []
        waiting: list[bytes] = []
        while row:
            grown.append(Row(first, row))
            if first & 1:
                row = [roots.pop(), *row]
            if len(row) & 1:
                waiting.append(row[-1])
            children = iter(row)
            row = [sha256(b"\1" + left + right).digest() for left, right in zip(children, children, strict=False)]
            first >>= 1
        roots.extend(reversed(waiting))
        self.size += count
        return grown

    def root(self) -> bytes:
        """Return the tree's root; `EMPTY_ROOT` for no leaves."""
        return _fold(self._roots)

    def nodes(self) -> dict[tuple[int, int], bytes]:
        """Return the perfect subtrees' roots by their places (level, index)."""
        found: dict[tuple[int, int], bytes] = {}
        start = 0
        for level, root in zip(_levels(self.size), self._roots, strict=True):
            found[level, start >> level] = root
            start += 1 << level
        return found

    def copy(self) -> Frontier:
        """Return a frontier that grows on its own."""
        twin = Frontier()
        twin.size, twin._roots = self.size, list(self._roots)
        return twin

    def to_bytes(self) -> bytes:
        """Return the size (8 bytes, big-endian) and the subtrees' roots, largest first."""
        return self.size.to_bytes(8, "big") + b"".join(self._roots)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Frontier:
        """Read what `to_bytes` wrote.

        Raises:
            LogCorruptedError: not exactly the roots that the size calls for.
        """
        size = int.from_bytes(raw[:8], "big")
        if len(raw) != 8 + HASH_BYTES * size.bit_count() or size > MAX_SIZE:
            raise LogCorruptedError(f"{len(raw)} bytes are no frontier of {size} leaves")
        frontier = cls()
        frontier.size = size
        frontier._roots = [raw[at : at + HASH_BYTES] for at in range(8, len(raw), HASH_BYTES)]
        return frontier


def _levels(size: int) -> list[int]:
    """Return the levels of the perfect subtrees that a tree is made of, highest first."""
    return [level for level in reversed(range(size.bit_length())) if size >> level & 1]


def _refuse_other_lengths(hashes: Sequence[bytes]) -> None:
    if not set(map(len, hashes)) <= {HASH_BYTES}:
        raise ValueError("a leaf hash has 32 bytes")


def _fold(roots: Sequence[bytes]) -> bytes:
    """Join the roots of adjoining perfect subtrees, largest first, into the root above them all."""
    if not roots:
        return EMPTY_ROOT
    found = roots[-1]
    for left in reversed(roots[:-1]):
        found = node_hash(left, found)
    return found


# --- proving -------------------------------------------------------------------------------


def tree_root(size: int, node: NodeReader) -> bytes:
    """Return the root over the first `size` leaves from at most log2(size) + 1 perfect nodes."""
    return _root_between(0, size, node)


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """Return the audit path of a leaf (RFC 6962, 2.1.1), its sibling first, from O(log size) perfect nodes.

    Raises:
        UsageError: the tree of this size has no such leaf.
    """
    if not 0 <= index < size:
        raise UsageError(f"a tree of {size} leaves has no leaf {index}")
    return _path(0, index, size, node)


def consistency_proof(old: int, new: int, node: NodeReader) -> list[bytes]:
    """Return the proof that a tree grew from `old` to `new` leaves (RFC 6962, 2.1.2), from O(log new) nodes.

    It is empty where nothing needs proving: for equal sizes, and from the empty tree.

    Raises:
        UsageError: the new size is smaller.
    """
    if not 0 <= old <= new:
        raise UsageError(f"no tree grows from {old} to {new} leaves")
    if old in (0, new):
        return []
    level = _trailing_zeros(old)
    last = (old >> level) - 1
    known = [] if last == 0 else [node(level, last)]
    return known + _path(level, last, new, node)


def _path(level: int, index: int, size: int, node: NodeReader) -> list[bytes]:
    """Return the siblings met on the way from a perfect node up to the root of `size` leaves."""
    path = []
    while (size - 1) >> level:
        start = (index ^ 1) << level
        if start < size:
            path.append(_root_between(start, min(start + (1 << level), size), node))
        index >>= 1
        level += 1
    return path


def _root_between(start: int, end: int, node: NodeReader) -> bytes:
    """Return the root over the leaves [start, end): one node, or on the right edge a composition of several."""
    roots = []
    while start < end:
        level = (end - start).bit_length() - 1
        roots.append(node(level, start >> level))
        start += 1 << level
    return _fold(roots)


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1


# --- checking ------------------------------------------------------------------------------


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf hash is leaf `index` of the tree with this size and root (RFC 9162, 2.1.3.2).

    The root alone does not fix the size (leaf 0 of 3 has the path of leaf 0 of 4): take both from one checkpoint.

    Raises:
        VerificationError: step `inclusion`, with the reason.
    """
    if not 0 <= index < size:
        _refuse("inclusion", f"a tree of {size} leaves has no leaf {index}")
    inner, border = _shape(index, size)
    _check_hashes("inclusion", proof, inner + border, leaf)
    found = leaf
    for sibling in proof[:inner]:
        found = sha256(b"\1" + (sibling + found if index & 1 else found + sibling)).digest()
        index >>= 1
    for sibling in proof[inner:]:
        found = sha256(b"\1" + sibling + found).digest()
    if found != root:
        _refuse("inclusion", f"the proof leads to the root {found.hex()}, not {root.hex()}")


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the new tree begins with all leaves of the old one (RFC 9162, 2.1.4.2).

    Every tree extends the empty one, so from size 0 the empty proof is accepted (as C2SP tlog-witness wants)
    and no other, provided that the old root is the empty tree's and the new root is a hash. That says
    nothing about the new root, which needs another proof, such as a signature. The RFC leaves size 0 out.

    Raises:
        VerificationError: step `consistency`, with the reason.
    """
    if not 0 <= old_size <= new_size:
        _refuse("consistency", f"no tree grows from {old_size} to {new_size} leaves")
    if old_size == 0:
        _check_hashes("consistency", proof, 0, new_root)
        if old_root != EMPTY_ROOT:
            _refuse("consistency", f"{old_root.hex()} is not the root of the empty tree")
    if old_size == new_size:
        _check_hashes("consistency", proof, 0)
        if old_root != new_root:
            _refuse("consistency", f"two roots for {new_size} leaves: {old_root.hex()} and {new_root.hex()}")
    if old_size in (0, new_size):
        return
    level = _trailing_zeros(old_size)
    index = (old_size >> level) - 1
    inner, border = _shape(index, (new_size - 1 >> level) + 1)
    _check_hashes("consistency", proof, inner + border + (index > 0), old_root)
    path = proof if index else (old_root, *proof)
    old = new = path[0]
    for sibling in path[1 : inner + 1]:
        if index & 1:
            old = sha256(b"\1" + sibling + old).digest()
            new = sha256(b"\1" + sibling + new).digest()
        else:
            new = sha256(b"\1" + new + sibling).digest()
        index >>= 1
    for sibling in path[inner + 1 :]:
        old = sha256(b"\1" + sibling + old).digest()
        new = sha256(b"\1" + sibling + new).digest()
    if old != old_root:
        _refuse("consistency", f"the proof leads to the old root {old.hex()}, not {old_root.hex()}")
    if new != new_root:
        _refuse("consistency", f"the proof leads to the new root {new.hex()}, not {new_root.hex()}")


def _shape(index: int, size: int) -> tuple[int, int]:
    """Return how many siblings a path has below and on the right edge.

    Below it, a sibling stands left or right as the index's bits say; on it, every sibling stands left.
    """
    inner = (index ^ (size - 1)).bit_length()
    return inner, (index >> inner).bit_count()


def _check_hashes(step: str, proof: Sequence[bytes], count: int, *others: bytes) -> None:
    if len(proof) != count:
        _refuse(step, f"{count} hashes lead there, the proof has {len(proof)}")
    if not set(map(len, (*proof, *others))) <= {HASH_BYTES}:
        _refuse(step, f"a hash has {HASH_BYTES} bytes, one here has not")


def _refuse(step: str, reason: str) -> NoReturn:
    raise VerificationError(step, reason, cure="")
