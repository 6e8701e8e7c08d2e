"""The stored Merkle tree of a log: grown inside the append transaction, read a tile at a time.

A tile is kept with the nodes above its hashes (see `complete`), so a proof reads the few tiles on its way and
hashes next to nothing. The head row carries the frontier, which is all that growing needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, LargeBinary, bindparam, func, insert, select, update

from ledger.database import Database
from ledger.errors import LogCorruptedError, NotFoundError, UsageError
from ledger.events import leaf_data
from ledger.merkle import (
    HASH_BYTES,
    Frontier,
    NodeReader,
    Row,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    tree_root,
)
from ledger.tables import EVENTS, HEAD, TILES
from ledger.tiles import ENTRIES, HEIGHT, WIDTH, Tile, pack_entries, pack_hashes, width_of

_NODES: Final = select(TILES.c.nodes).where(TILES.c.level == bindparam("tile"), TILES.c.number == bindparam("at"))
_FRONTIER: Final = select(HEAD.c.frontier)
_WIDEN: Final = (
    update(TILES)
    .where(TILES.c.level == bindparam("tile"), TILES.c.number == bindparam("at"))
    .values(nodes=bindparam("wider"))
)
_LENGTHEN: Final = (
    update(TILES)
    .where(
        TILES.c.level == bindparam("tile"),
        TILES.c.number == bindparam("at"),
        func.length(TILES.c.nodes) == bindparam("kept"),
    )
    .values(nodes=TILES.c.nodes.op("||")(bindparam("more", type_=LargeBinary)))
)
_LEAVES: Final = (
    select(EVENTS.c.received_at, EVENTS.c.event)
    .where(EVENTS.c.position >= bindparam("start"), EVENTS.c.position < bindparam("stop"))
    .order_by(EVENTS.c.position)
)


# --- growing -------------------------------------------------------------------------------


def frontier_of(connection: Connection) -> Frontier:
    """Return the right edge of the tree as the head row has it."""
    return Frontier.from_bytes(connection.execute(_FRONTIER).scalar_one())


def grow(connection: Connection, leaves: Sequence[bytes], frontier: Frontier | None = None) -> Frontier:
    """Take leaf hashes into the tree within the caller's transaction; return the new frontier.

    Args:
        frontier: the head row's, if it was read in this transaction already; it grows along.

    Raises:
        LogCorruptedError: the stored tiles do not go as far as the head.
    """
    if frontier is None:
        frontier = frontier_of(connection)
    grown = frontier.extend(leaves)
    for tile_level in range(-(-len(grown) // HEIGHT)):
        rows = grown[tile_level * HEIGHT : (tile_level + 1) * HEIGHT]
        first, end = rows[0].first, rows[0].first + len(rows[0].hashes)
        number, offset = divmod(first, WIDTH)
        if offset:
            stop = min(end, (number + 1) * WIDTH)
            _widen(connection, tile_level, number, offset, _in_order(rows, first, stop))
            first = stop
        new = [
            {"level": tile_level, "number": at // WIDTH, "nodes": _in_order(rows, at, min(end, at + WIDTH))}
            for at in range(first, end, WIDTH)
        ]
        if new:
            connection.execute(insert(TILES), new)
    return frontier


def _widen(connection: Connection, level: int, number: int, width: int, more: bytes) -> None:
    at, kept = {"tile": level, "at": number}, kept_bytes(width)
    # There the tile need not come here and go back; SQLite would make text of it.
    is_there = connection.dialect.name == "postgresql"
    if is_there and connection.execute(_LENGTHEN, {**at, "kept": kept, "more": more}).rowcount == 1:
        return
    found = stored_nodes(connection, level, number)
    if len(found) != kept:
        raise LogCorruptedError(f"tile {number} of level {level} has {len(found)} bytes at width {width}")
    connection.execute(_WIDEN, {**at, "wider": found + more})


def _in_order(rows: Sequence[Row], start: int, stop: int) -> bytes:
    """Return the nodes that the hashes [start, stop) complete within one tile, in the order of `complete`."""
    first, base = rows[0]
    found = []
    for index in range(start, stop):
        found.append(base[index - first])
        end = index + 1
        for level in range(1, min((end & -end).bit_length(), HEIGHT)):
            row = rows[level]
            found.append(row.hashes[(end >> level) - 1 - row.first])
    return b"".join(found)


def complete(hashes: Sequence[bytes]) -> bytes:
    """Return what is stored of a tile: after each of its hashes the nodes that this one completes.

    A tile thus only ever grows at its end, and what was stored of a partial one stays as it is. The node at
    the top of a full tile is not among them: it is a hash of the tile above.
    """
    found: list[bytes] = []
    waiting: list[bytes] = []
    for index, node in enumerate(hashes):
        found.append(node)
        while index & 1 and len(found) < FULL:
            node = node_hash(waiting.pop(), node)
            index >>= 1
            found.append(node)
        waiting.append(node)
    return b"".join(found)


FULL: Final = 2 * WIDTH - 2
"""How many nodes are stored of a full tile."""


def kept_bytes(width: int) -> int:
    """Return how many bytes are stored of a tile of this width."""
    return min(2 * width - width.bit_count(), FULL) * HASH_BYTES


def place_of(level: int, index: int) -> int:
    """Return where in a tile's stored bytes the node (level 0 to 7, index) of this tile begins."""
    last = ((index + 1) << level) - 1
    return (2 * last - last.bit_count() + level) * HASH_BYTES


_HASHES: Final = [place_of(0, index) for index in range(WIDTH)]


# --- reading -------------------------------------------------------------------------------


def stored_nodes(connection: Connection, level: int, number: int) -> bytes:
    """Return what is kept of a tile, as `complete` lays it out; nothing where there is none."""
    found: bytes | None = connection.execute(_NODES, {"tile": level, "at": number}).scalar()
    return found or b""


def hashes_of(nodes: bytes) -> list[bytes]:
    """Return a tile's own hashes from its stored bytes."""
    return [nodes[place : place + HASH_BYTES] for place in _HASHES if place < len(nodes)]


def tiles_above(positions: Iterable[int], size: int) -> dict[int, set[int]]:
    """Return which tiles stand above some leaves of the tree of `size`, by level."""
    found: dict[int, set[int]] = {}
    at, last = set(positions), size - 1
    while at and (last := last >> HEIGHT) >= 0:
        at = {position >> HEIGHT for position in at}
        found[len(found)] = at
        if last == 0:
            break
    return found


def _stored_tiles(connection: Connection, wanted: Mapping[int, set[int]]) -> dict[tuple[int, int], bytes]:
    """Read tiles in one statement: each costs more than the bytes in it."""
    # Their numbers are integers, and nobody's words.
    each = [f"(level = {level} AND number IN ({','.join(map(str, found))}))" for level, found in wanted.items()]
    statement = f"SELECT level, number, nodes FROM {TILES.name} WHERE {' OR '.join(each)}"  # noqa: S608
    return {(level, number): nodes for level, number, nodes in connection.exec_driver_sql(statement)}


def node_reader(
    connection: Connection,
    wanted: Mapping[int, set[int]] | None = None,
    known: Mapping[tuple[int, int], bytes] | None = None,
) -> NodeReader:
    """Return a source of perfect nodes within one view of the database; it reads each tile once.

    Args:
        wanted: tiles to read together before they are asked for, by level.
        known: nodes that need not be read, by (level, index).
    """
    read = _stored_tiles(connection, wanted) if wanted else {}
    edge = known or {}

    def node(level: int, index: int) -> bytes:
        if found := edge.get((level, index)):
            return found
        tile_level, inside = divmod(level, HEIGHT)
        number, at = divmod(index, WIDTH >> inside)
        nodes = read.get((tile_level, number))
        if nodes is None:
            nodes = read[tile_level, number] = stored_nodes(connection, tile_level, number)
        start = place_of(inside, at)
        found = nodes[start : start + HASH_BYTES]
        if len(found) != HASH_BYTES:
            raise LogCorruptedError(f"tile {number} of level {tile_level} lacks node {at} of its level {inside}")
        return found

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
        """Return the root over the first `size` leaves; raises UsageError where the log has fewer."""
        with self._within(size) as node:
            return tree_root(size, node)

    def inclusion_proof(self, position: int, size: int) -> list[bytes]:
        """Return the audit path of an entry in the tree of `size` leaves.

        Raises:
            UsageError: the tree of this size has no such leaf, or the log not this size.
        """
        with self._within(size, position) as node:
            return inclusion_proof(position, size, node)

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree of `new` leaves extends that of `old`.

        Raises:
            UsageError: the new size is smaller, or beyond the log.
        """
        with self._within(new, max(0, old - 1)) as node:
            return consistency_proof(old, new, node)

    @contextmanager
    def _within(self, size: int, *positions: int) -> Iterator[NodeReader]:
        with self._database.read() as connection:
            frontier = frontier_of(connection)
            if size > frontier.size:
                raise UsageError(f"the log has {frontier.size} entries, not {size}")
            # The head row has the right edge of the tree as it is: only what stands above the leaves is to be read.
            above = tiles_above((position for position in positions if 0 <= position < size), size)
            yield node_reader(connection, above, frontier.nodes() if size == frontier.size else None)

    def tile(self, tile: Tile, size: int) -> bytes:
        """Return the bytes of a tile or entry bundle of the tree of `size` leaves.

        Raises:
            NotFoundError: that tree does not reach so far.
        """
        if tile.width > width_of(tile, size):
            raise NotFoundError(f"there is no {tile.path()} in a log of {size} entries")
        with self._database.read() as connection:
            if tile.level == ENTRIES:
                start = tile.index * WIDTH
                rows = connection.execute(_LEAVES, {"start": start, "stop": start + tile.width}).all()
                if len(rows) != tile.width:
                    raise LogCorruptedError(f"entries are missing between positions {start} and {start + tile.width}")
                return pack_entries([leaf_data(received_at, event) for received_at, event in rows])
            hashes = hashes_of(stored_nodes(connection, tile.level, tile.index))[: tile.width]
        if len(hashes) != tile.width:
            raise LogCorruptedError(f"{tile.path()} is not whole")
        return pack_hashes(hashes)


def leaf_hashes(connection: Connection, start: int, stop: int) -> list[bytes]:
    """Hash the entries of a range of positions anew, from their bytes."""
    rows = connection.execute(_LEAVES, {"start": start, "stop": stop})
    return [leaf_hash(leaf_data(received_at, event)) for received_at, event in rows]
