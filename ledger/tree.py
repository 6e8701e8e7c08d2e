"""The stored Merkle tree of a log: grown inside the append transaction, read a tile at a time.

A full tile is kept with the nodes between its hashes and its root (`TileRow`), so a proof reads the few
tiles on its way and hashes next to nothing. The head row carries the frontier, which is all that growing needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from ledger.database import Database
from ledger.errors import LogCorruptedError, NotFoundError
from ledger.events import leaf_data
from ledger.merkle import (
    HASH_BYTES,
    Frontier,
    NodeReader,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    tree_root,
)
from ledger.tables import EVENTS, HEAD, TILES
from ledger.tiles import ENTRIES, HEIGHT, WIDTH, Tile, pack_entries

_NODES: Final = select(TILES.c.nodes).where(TILES.c.level == bindparam("tile"), TILES.c.number == bindparam("at"))
_LEAVES: Final = (
    select(EVENTS.c.received_at, EVENTS.c.event)
    .where(EVENTS.c.position >= bindparam("start"), EVENTS.c.position < bindparam("stop"))
    .order_by(EVENTS.c.position)
)
_STARTS: Final = [sum(WIDTH >> level for level in range(height)) for height in range(HEIGHT)]
"""Where each inner level begins in a full tile's nodes, counted in hashes."""


# --- growing -------------------------------------------------------------------------------


def frontier_of(connection: Connection) -> Frontier:
    """Return the right edge of the tree as the head row has it."""
    return Frontier.from_bytes(connection.execute(select(HEAD.c.frontier)).scalar_one())


def grow(connection: Connection, leaves: Sequence[bytes]) -> Frontier:
    """Take leaf hashes into the tree within the caller's transaction; return the new frontier.

    Raises:
        LogCorruptedError: the stored tiles do not go as far as the head.
    """
    frontier = frontier_of(connection)
    grown = frontier.extend(leaves)
    for tile_level, row in enumerate(grown[::HEIGHT]):
        number, offset = divmod(row.first, WIDTH)
        kept = stored_nodes(connection, tile_level, number) if offset else b""
        if len(kept) != offset * HASH_BYTES:
            raise LogCorruptedError(f"tile {number} of level {tile_level} has {len(kept)} bytes at width {offset}")
        known = [kept[at : at + HASH_BYTES] for at in range(0, len(kept), HASH_BYTES)] + row.hashes
        new = []
        for start in range(0, len(known), WIDTH):
            nodes = complete(known[start : start + WIDTH])
            if start or not offset:
                new.append({"level": tile_level, "number": number + start // WIDTH, "nodes": nodes})
            else:
                own = (TILES.c.level == tile_level) & (TILES.c.number == number)
                connection.execute(update(TILES).where(own).values(nodes=nodes))
        if new:
            connection.execute(insert(TILES), new)
    return frontier


def complete(hashes: Sequence[bytes]) -> bytes:
    """Return what is stored of a tile: its hashes and, if there are 256, the levels of nodes above them."""
    found = list(hashes)
    if len(found) == WIDTH:
        row = found
        while len(row) > 2:
            children = iter(row)
            row = [node_hash(left, right) for left, right in zip(children, children, strict=True)]
            found += row
    return b"".join(found)


# --- reading -------------------------------------------------------------------------------


def stored_nodes(connection: Connection, level: int, number: int) -> bytes:
    """Return what is kept of a tile, as `complete` lays it out; nothing where there is none."""
    found: bytes | None = connection.execute(_NODES, {"tile": level, "at": number}).scalar()
    return found or b""


def node_reader(connection: Connection) -> NodeReader:
    """Return a source of perfect nodes within one view of the database; it reads each tile once."""
    read: dict[tuple[int, int], bytes] = {}

    def node(level: int, index: int) -> bytes:
        tile_level, inside = divmod(level, HEIGHT)
        number, at = divmod(index, WIDTH >> inside)
        nodes = read.get((tile_level, number))
        if nodes is None:
            nodes = read[tile_level, number] = stored_nodes(connection, tile_level, number)
        if len(nodes) > WIDTH * HASH_BYTES:
            start = (_STARTS[inside] + at) * HASH_BYTES
            return nodes[start : start + HASH_BYTES]
        first, end = at << inside, (at + 1) << inside
        if len(nodes) < end * HASH_BYTES:
            raise LogCorruptedError(f"tile {number} of level {tile_level} lacks its hashes up to {end}")
        row = [nodes[byte : byte + HASH_BYTES] for byte in range(first * HASH_BYTES, end * HASH_BYTES, HASH_BYTES)]
        while len(row) > 1:
            children = iter(row)
            row = [node_hash(left, right) for left, right in zip(children, children, strict=True)]
        return row[0]

    return node


class Tree:
    """Proofs and tiles of a stored log; every call sees one consistent state of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def nodes(self) -> Iterator[NodeReader]:
        """Give the tree's perfect nodes for as long as several proofs are made of them."""
        with self._database.read() as connection:
            yield node_reader(connection)

    def root(self, size: int) -> bytes:
        """Return the root over the first `size` leaves."""
        with self.nodes() as node:
            return tree_root(size, node)

    def inclusion_proof(self, position: int, size: int) -> list[bytes]:
        """Return the audit path of an entry in the tree of `size` leaves.

        Raises:
            UsageError: the tree of this size has no such leaf.
        """
        with self.nodes() as node:
            return inclusion_proof(position, size, node)

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree of `new` leaves extends that of `old`.

        Raises:
            UsageError: the new size is smaller.
        """
        with self.nodes() as node:
            return consistency_proof(old, new, node)

    def tile(self, tile: Tile, size: int) -> bytes:
        """Return the bytes of a tile or entry bundle of the tree of `size` leaves.

        Raises:
            NotFoundError: that tree does not reach so far.
        """
        width = (size >> (HEIGHT * max(tile.level, 0))) - tile.index * WIDTH
        if tile.width > width:
            raise NotFoundError(f"there is no {tile.path()} in a log of {size} entries")
        with self._database.read() as connection:
            if tile.level == ENTRIES:
                start = tile.index * WIDTH
                rows = connection.execute(_LEAVES, {"start": start, "stop": start + tile.width}).all()
                if len(rows) != tile.width:
                    raise LogCorruptedError(f"entries are missing between positions {start} and {start + tile.width}")
                return pack_entries([leaf_data(received_at, event) for received_at, event in rows])
            found = stored_nodes(connection, tile.level, tile.index)[: tile.width * HASH_BYTES]
        if len(found) != tile.width * HASH_BYTES:
            raise LogCorruptedError(f"{tile.path()} is not whole")
        return found


def leaf_hashes(connection: Connection, start: int, stop: int) -> list[bytes]:
    """Hash the entries of a range of positions anew, from their bytes."""
    rows = connection.execute(_LEAVES, {"start": start, "stop": stop})
    return [leaf_hash(leaf_data(received_at, event)) for received_at, event in rows]
