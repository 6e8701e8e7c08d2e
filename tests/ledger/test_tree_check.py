"""The second way to a root: honest logs pass from every earlier size, and whatever differs is named."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ledger.errors import LogCorruptedError
from ledger.merkle import EMPTY_ROOT, leaf_hash
from ledger.tree import FULL
from ledger.tree_check import check_growth, check_no_more_tiles
from tests.leaves import Rows, Whole, copied, flip, unguarded

SIZE = 600
LARGE = 67_000

Spoil = Callable[[sqlite3.Connection], object]
"""Changes something in a log's file."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trees")


@pytest.fixture(scope="module")
def original(folder: Path) -> Path:
    """The file of a log with two full tiles, a partial one and one above them."""
    return Rows.at(folder / "original.sqlite").grow(255, 1, 44, SIZE - 300).close()


@pytest.fixture
def rows(original: Path, tmp_path: Path) -> Iterator[Rows]:
    """A log that a test may spoil."""
    with copied(original, tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def large_original(folder: Path) -> Path:
    """The file of a log with three levels of tiles."""
    return Rows.at(folder / "large.sqlite").grow(LARGE).close()


@pytest.fixture
def large(large_original: Path, tmp_path: Path) -> Iterator[Rows]:
    with copied(large_original, tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def whole() -> Whole:
    return Whole.of_entries(LARGE)


def check(rows: Rows, whole: Whole, old: int = 0, size: int = SIZE) -> int:
    """Check a log from an earlier size on; return how many entries were read."""
    read: list[int] = []
    with rows.database.read() as connection:
        check_growth(connection, old, whole.root(old), size, whole.root(size), read.append)
    return sum(read)


def finding(rows: Rows, whole: Whole, old: int = 0) -> str:
    """Check a log that must fail; return what was found."""
    with pytest.raises(LogCorruptedError) as found:
        check(rows, whole, old)
    return found.value.message


def spoiled(rows: Rows, spoil: Spoil) -> None:
    with unguarded(rows.path) as connection:
        spoil(connection)


def tile(level: int, number: int) -> str:
    return f"level = {level} AND number = {number}"


def flip_node(level: int, number: int, node: int) -> Spoil:
    """Flip a bit of a stored node, counted in the order in which a tile keeps them."""
    return lambda connection: flip(connection, "tiles", "nodes", tile(level, number), node * 32)


def run(statement: str) -> Spoil:
    return lambda connection: connection.execute(statement)


def cut(level: int, number: int, keep: int) -> Spoil:
    """Cut a tile short after so many bytes."""
    return run(f"UPDATE tiles SET nodes = substr(nodes, 1, {keep}) WHERE {tile(level, number)}")


def lengthen(level: int, number: int) -> Spoil:
    def spoil(connection: sqlite3.Connection) -> None:
        (nodes,) = connection.execute(f"SELECT nodes FROM tiles WHERE {tile(level, number)}").fetchone()
        connection.execute(f"UPDATE tiles SET nodes = ? WHERE {tile(level, number)}", (nodes + bytes(32),))

    return spoil


def swap_entries(one: int, other: int) -> Spoil:
    def spoil(connection: sqlite3.Connection) -> None:
        for old, new in ((one, -1), (other, one), (-1, other)):
            connection.execute("UPDATE events SET position = ? WHERE position = ?", (new, old))

    return spoil


# Honest logs.


def test_an_honest_log_passes_from_every_earlier_size(rows: Rows, whole: Whole) -> None:
    for old in range(SIZE + 1):
        check(rows, whole, old)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 513])
def test_an_honest_log_passes_at_every_size(folder: Path, tmp_path: Path, whole: Whole, size: int) -> None:
    rows = Rows.at(tmp_path / "log.sqlite").grow(size)
    for old in {0, 1, size // 2, size - 1, size}:
        check(rows, whole, old, size)


@pytest.mark.parametrize("old", [0, 255, 300, 65_279, 65_280, 65_535, 65_536, 65_537, LARGE - 1, LARGE])
def test_an_honest_log_of_three_levels_passes(large: Rows, whole: Whole, old: int) -> None:
    check(large, whole, old, LARGE)


def test_an_empty_log_passes(tmp_path: Path, whole: Whole) -> None:
    check(Rows.at(tmp_path / "log.sqlite"), whole, 0, 0)


@pytest.mark.parametrize(("old", "read"), [(0, 600), (1, 600), (255, 600), (256, 344), (512, 88), (599, 88), (600, 88)])
def test_only_tiles_that_gained_an_entry_are_read(rows: Rows, whole: Whole, old: int, read: int) -> None:
    assert check(rows, whole, old) == read


# Changed logs.

ENTRY = "the entry at position {} does not hash to its leaf in tile 0/{}"

CHANGES = {
    "the first event": (lambda c: flip(c, "events", "event", "position = 0", 3), ENTRY.format(0, 0)),
    "an event": (lambda c: flip(c, "events", "event", "position = 300", 0), ENTRY.format(300, 1)),
    "the last event": (lambda c: flip(c, "events", "event", "position = 599", -1), ENTRY.format(599, 2)),
    "a time": (run("UPDATE events SET received_at = 7 WHERE position = 256"), ENTRY.format(256, 1)),
    "an empty event": (run("UPDATE events SET event = x'' WHERE position = 511"), ENTRY.format(511, 1)),
    "two entries' order": (swap_entries(300, 301), ENTRY.format(300, 1)),
    "a lost entry": (run("DELETE FROM events WHERE position = 3"), "entries are missing between positions 0 and 600"),
    "the last entry": (run("DELETE FROM events WHERE position = 599"), "entries are missing between positions 0 and"),
    "the first leaf": (flip_node(0, 0, 0), ENTRY.format(0, 0)),
    "the second leaf": (flip_node(0, 0, 1), ENTRY.format(1, 0)),
    "the first inner node": (flip_node(0, 0, 2), "tile 0 of level 0 differs at byte 64"),
    "the leaf after an inner node": (flip_node(0, 0, 3), ENTRY.format(2, 0)),
    "the last node of a tile": (flip_node(0, 1, FULL - 1), f"tile 1 of level 0 differs at byte {(FULL - 1) * 32}"),
    "the last leaf": (flip_node(0, 2, 2 * 87 - (87).bit_count()), ENTRY.format(599, 2)),
    "a hash of the tile above": (flip_node(1, 0, 1), "tile 0 of level 1 differs at byte 32"),
    "a node of the tile above": (flip_node(1, 0, 2), "tile 0 of level 1 differs at byte 64"),
    "a lost tile": (run(f"DELETE FROM tiles WHERE {tile(0, 1)}"), "tile 1 of level 0 is missing"),
    "the lost tile above": (run(f"DELETE FROM tiles WHERE {tile(1, 0)}"), "tile 0 of level 1 is missing"),
    "a tile cut at a node": (cut(0, 2, 64), "tile 2 of level 0 differs at byte 64"),
    "a tile cut at a leaf": (cut(0, 2, 96), ENTRY.format(514, 2)),
    "a tile cut within a leaf": (cut(0, 2, 100), ENTRY.format(514, 2)),
    "a tile that is too long": (lengthen(0, 2), "tile 2 of level 0 differs at byte"),
    "a full tile that is too long": (lengthen(0, 0), "tile 0 of level 0 differs at byte"),
    "a tile above that is too long": (lengthen(1, 0), "tile 0 of level 1 differs at byte"),
}


@pytest.mark.parametrize(("spoil", "reason"), CHANGES.values(), ids=CHANGES.keys())
def test_what_differs_is_named(rows: Rows, whole: Whole, spoil: Spoil, reason: str) -> None:
    spoiled(rows, spoil)
    assert reason in finding(rows, whole)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda c: flip(c, "events", "event", "position = 512", 0), ENTRY.format(512, 2)),
        (flip_node(0, 1, FULL - 1), "tile 1 of level 0 differs"),
        (flip_node(1, 0, 1), "tile 0 of level 1 differs"),
        (flip_node(1, 0, 0), "tile 0 of level 1 differs"),
    ],
    ids=["an event", "an inner node", "a hash above", "an earlier hash above"],
)
def test_what_differs_since_an_earlier_size_is_named(rows: Rows, whole: Whole, spoil: Spoil, reason: str) -> None:
    spoiled(rows, spoil)
    assert reason in finding(rows, whole, old=400)


@pytest.mark.parametrize("position", [0, 300, 511, 512, 599])
def test_a_leaf_changed_together_with_its_event_is_found_by_the_root(rows: Rows, whole: Whole, position: int) -> None:
    forged = b"another event"

    def spoil(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE events SET event = ? WHERE position = ?", (forged, position))
        leaves = [leaf_hash(at.to_bytes(8, "big") + _event(connection, at)) for at in range(SIZE)]
        for (level, number), nodes in Whole.of(leaves).stored(SIZE).items():
            connection.execute(f"UPDATE tiles SET nodes = ? WHERE {tile(level, number)}", (nodes,))

    spoiled(rows, spoil)
    assert "the tiles lead to the root" in finding(rows, whole)


def _event(connection: sqlite3.Connection, position: int) -> bytes:
    (event,) = connection.execute("SELECT event FROM events WHERE position = ?", (position,)).fetchone()
    assert isinstance(event, bytes)
    return event


def test_a_tree_that_does_not_extend_the_earlier_root_is_found(rows: Rows, whole: Whole) -> None:
    with rows.database.read() as connection, pytest.raises(LogCorruptedError) as found:
        check_growth(connection, 200, whole.root(199), SIZE, whole.root(SIZE))
    assert "the tree of 600 entries does not extend the one of 200" in found.value.message


def test_another_root_for_the_same_size_is_found(rows: Rows, whole: Whole) -> None:
    with rows.database.read() as connection, pytest.raises(LogCorruptedError, match="two roots for 600 leaves"):
        check_growth(connection, SIZE, whole.root(SIZE - 1), SIZE, whole.root(SIZE))


@pytest.mark.parametrize("size", [0, SIZE - 1])
def test_a_log_that_is_smaller_than_it_was_is_found(rows: Rows, whole: Whole, size: int) -> None:
    with rows.database.read() as connection, pytest.raises(LogCorruptedError, match=f"{size} entries, and had {SIZE}"):
        check_growth(connection, SIZE, whole.root(SIZE), size, whole.root(size))


def test_a_frontier_with_another_root_is_found(rows: Rows, whole: Whole) -> None:
    with rows.database.read() as connection, pytest.raises(LogCorruptedError, match="the frontier to"):
        check_growth(connection, 0, EMPTY_ROOT, SIZE, whole.root(SIZE - 1))


def test_a_frontier_of_more_entries_than_there_are_is_found(rows: Rows, whole: Whole) -> None:
    with rows.database.read() as connection, pytest.raises(LogCorruptedError, match="entries are missing"):
        check_growth(connection, 0, EMPTY_ROOT, SIZE + 1, whole.root(SIZE + 1))


def test_a_frontier_of_the_empty_log_with_leaves_is_found(tmp_path: Path, whole: Whole) -> None:
    rows = Rows.at(tmp_path / "log.sqlite")
    with rows.database.read() as connection, pytest.raises(LogCorruptedError, match="empty log has leaves"):
        check_growth(connection, 0, EMPTY_ROOT, 0, whole.root(1))


def test_a_changed_node_of_the_third_level_is_found(large: Rows, whole: Whole) -> None:
    spoiled(large, flip_node(2, 0, 0))
    with pytest.raises(LogCorruptedError, match="tile 0 of level 2 differs at byte 0"):
        check(large, whole, 0, LARGE)


# Tiles beyond the tree.


def check_tiles(rows: Rows, size: int) -> None:
    with rows.database.read() as connection:
        check_no_more_tiles(connection, size)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 600])
def test_an_honest_log_has_no_more_tiles(tmp_path: Path, size: int) -> None:
    check_tiles(Rows.at(tmp_path / "log.sqlite").grow(size), size)


def test_an_honest_log_of_three_levels_has_no_more_tiles(large: Rows) -> None:
    check_tiles(large, LARGE)


@pytest.mark.parametrize("length", [0, 32, FULL * 32])
@pytest.mark.parametrize(
    ("level", "number"), [(0, 3), (0, 300), (0, -1), (1, 1), (2, 0), (7, 0), (8, 0), (63, 0), (64, 0), (-1, 0)]
)
def test_a_tile_beyond_the_tree_is_named(rows: Rows, level: int, number: int, length: int) -> None:
    spoiled(rows, run(f"INSERT INTO tiles VALUES ({level}, {number}, zeroblob({length}))"))
    with pytest.raises(LogCorruptedError, match=f"tile {number} of level {level} does not belong to a log of 600"):
        check_tiles(rows, SIZE)


@pytest.mark.parametrize("spoil", [lengthen(0, 2), cut(0, 2, 32), lengthen(1, 0), lengthen(0, 0)])
def test_a_tile_of_another_width_is_named(rows: Rows, spoil: Spoil) -> None:
    spoiled(rows, spoil)
    with pytest.raises(LogCorruptedError, match=r"tile \d of level \d does not belong to a log of 600"):
        check_tiles(rows, SIZE)


def test_the_tiles_of_a_greater_log_are_no_tiles_of_a_smaller_one(rows: Rows) -> None:
    for old, _ in pairwise((0, 255, 256, 512, 599, 600)):
        with pytest.raises(LogCorruptedError, match=f"a log of {old} entries"):
            check_tiles(rows, old)
