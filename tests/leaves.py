"""A log under test whose entries are no events, and its tree written down whole: what the tree's own tests need."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from ledger.database import Database, open_sqlite
from ledger.merkle import leaf_hash, node_hash, root_of
from ledger.store import create_log
from ledger.tables import EVENTS, HEAD, TILES
from ledger.tiles import HEIGHT, WIDTH, Tile
from ledger.tree import Tree, frontier_of, grow
from tests.builders import REGISTRY

Stored = dict[tuple[int, int], bytes]
"""What is kept of each tile, by level and number."""


def leaf(position: int) -> bytes:
    """Return the leaf data of a made-up entry: the time it was received at, and its bytes."""
    return position.to_bytes(8, "big") + b"entry %d" % position


@dataclass(frozen=True, slots=True)
class Whole:
    """Every perfect node over some leaf hashes, by pairing alone."""

    rows: list[list[bytes]]

    @classmethod
    def of(cls, hashes: Sequence[bytes]) -> Whole:
        rows = [list(hashes)]
        while len(rows[-1]) > 1:
            row = rows[-1]
            rows.append([node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)])
        return cls(rows)

    @classmethod
    def of_entries(cls, size: int) -> Whole:
        return cls.of([leaf_hash(leaf(position)) for position in range(size)])

    def node(self, level: int, index: int) -> bytes:
        return self.rows[level][index]

    def root(self, size: int) -> bytes:
        return root_of(self.rows[0][:size])

    def tile(self, tile: Tile) -> bytes:
        """Return a hash tile's bytes, as C2SP tlog-tiles has them."""
        start = tile.index * WIDTH
        hashes = self.rows[8 * tile.level][start : start + tile.width]
        assert len(hashes) == tile.width
        return b"".join(hashes)

    def stored(self, size: int) -> Stored:
        """Return what a log of some size keeps: each hash of a tile and, after it, the nodes that it completes."""
        found: Stored = {}
        for base in range(0, 64, HEIGHT):
            count = size >> base
            for start in range(0, count, WIDTH):
                kept = (place for place in _PLACES if start + place.completed_by < count)
                nodes = [self.rows[base + place.level][(start >> place.level) + place.number] for place in kept]
                found[base // HEIGHT, start // WIDTH] = b"".join(nodes)
        return found


@dataclass(frozen=True, slots=True)
class _Place:
    level: int
    number: int
    completed_by: int


_PLACES: Final = [
    _Place(level, last >> level, last)
    for last in range(WIDTH)
    for level in range(HEIGHT)
    if (last + 1) % (1 << level) == 0
]
"""The nodes of a full tile below its root, in the order in which its hashes complete them."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A log's database, filled with made-up entries; each growth is one transaction, as an append is."""

    path: Path
    database: Database

    @classmethod
    def at(cls, path: Path) -> Rows:
        """Open a log, or make one."""
        is_new = not path.exists()
        database = open_sqlite(path, durable=False)
        if is_new:
            create_log(database, REGISTRY)
        return cls(path, database)

    @classmethod
    def on(cls, database: Database) -> Rows:
        """Make a log in an empty database that is no file."""
        create_log(database, REGISTRY)
        return cls(Path(), database)

    @property
    def tree(self) -> Tree:
        return Tree(self.database)

    def grow(self, *counts: int) -> Rows:
        for count in counts:
            with self.database.write() as connection:
                first = connection.execute(select(HEAD.c.size)).scalar_one()
                positions = range(first, first + count)
                if count:
                    connection.execute(insert(EVENTS), [_row(position) for position in positions])
                take(connection, [leaf_hash(leaf(position)) for position in positions])
        return self

    def stored(self) -> Stored:
        with self.database.read() as connection:
            return {(row.level, row.number): row.nodes for row in connection.execute(select(TILES))}

    def frontier_root(self) -> bytes:
        with self.database.read() as connection:
            return frontier_of(connection).root()

    def close(self) -> Path:
        """Close the log, so that its file is all there is of it."""
        self.database.close()
        return self.path


@contextmanager
def copied(original: Path, folder: Path) -> Iterator[Rows]:
    """Open a copy of a closed log in another folder; it is gone afterwards."""
    path = Path(shutil.copy(original, folder / "copy.sqlite"))
    rows = Rows.at(path)
    try:
        yield rows
    finally:
        rows.close().unlink()


def take(connection: Connection, hashes: Sequence[bytes]) -> None:
    """Grow a log's tree by leaf hashes alone."""
    frontier = grow(connection, hashes)
    head = {"size": frontier.size, "received_at": frontier.size, "frontier": frontier.to_bytes()}
    connection.execute(update(HEAD).values(**head))


def rows_of(path: Path, table: str) -> list[Any]:
    """Return all rows of a table in a log's file."""
    connection = sqlite3.connect(path)
    found = connection.execute(f"SELECT * FROM {table}").fetchall()
    connection.close()
    return found


def execute(path: Path, statement: str) -> None:
    """Do something to a log's file beside the program, under its guards."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()


@contextmanager
def unguarded(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a log's file beside the program, with its guards taken away."""
    connection = sqlite3.connect(path, isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    yield connection
    connection.close()


def flip(connection: sqlite3.Connection, table: str, column: str, where: str, at: int) -> None:
    """Flip one bit of a byte in a log's file."""
    (data,) = connection.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()
    changed = bytearray(data)
    changed[at] ^= 1
    connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (bytes(changed),))


def _row(position: int) -> dict[str, object]:
    return {
        "position": position,
        "received_at": position,
        "event_key": position,
        "subject_key": 0,
        "event_type": "",
        "event_id": position.to_bytes(32, "big"),
        "event": leaf(position)[8:],
    }
