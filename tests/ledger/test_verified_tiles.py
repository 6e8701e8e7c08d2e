"""Tiles somebody else keeps: honest ones are read at every size, and none that does not lead to the root."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import checkpoints, notes
from ledger.errors import LedgerError, NotFoundError, UsageError, VerificationError
from ledger.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from ledger.tiles import Tile, TileReader
from ledger.verified_tiles import VerifiedTiles
from tests.leaves import Whole

MIRROR = Path(__file__).parents[1] / "vectors" / "tlog-mirror-sunlight" / "witness" / "mirror"
MIRROR /= "000de184301123b9278c086a7d9f68c9577e83872224c197058fd90784ea9706"

LARGE = 66_000
WHOLE = Whole.of_entries(LARGE)
SPOILED = 600
"""The size of the log that most tests spoil: two full tiles, a partial one, and one above them."""


def read(tile: Tile) -> bytes:
    """Return an honest tile, however great the log is."""
    return WHOLE.tile(tile)


def tiles_of(size: int) -> list[Tile]:
    """Return every hash tile of a log of some size."""
    counts = [(level, size >> 8 * level) for level in range(8)]
    starts = [(level, count, start) for level, count in counts for start in range(0, count, 256)]
    return [Tile(level, start // 256, min(256, count - start)) for level, count, start in starts]


def flipped(spoiled: Tile, at: int) -> TileReader:
    """Return a reader that flips a bit of one tile's byte."""

    def reader(tile: Tile) -> bytes:
        data = bytearray(read(tile))
        if tile == spoiled:
            data[at] ^= 1
        return bytes(data)

    return reader


def read_from(size: int, root: bytes, reader: TileReader, *tiles: Tile) -> None:
    """Open a log and read some of its tiles."""
    opened = VerifiedTiles(size, root, reader)
    for tile in tiles:
        opened.hashes(tile.level, tile.index)


def refusal(size: int, root: bytes, reader: TileReader, *tiles: Tile) -> VerificationError:
    """Read tiles of which one must be refused, as soon as the log is opened or later."""
    with pytest.raises(VerificationError) as refused:
        read_from(size, root, reader, *tiles)
    assert refused.value.step == "tile"
    return refused.value


# Honest tiles.


def test_honest_tiles_are_read_at_every_small_size() -> None:
    for size in range(701):
        tiles = VerifiedTiles(size, WHOLE.root(size), read)
        for tile in tiles_of(size):
            assert b"".join(tiles.hashes(tile.level, tile.index)) == read(tile)


@pytest.mark.parametrize("size", [65_279, 65_280, 65_535, 65_536, 65_537, 65_792, LARGE])
def test_honest_tiles_are_read_from_a_log_of_three_levels(size: int) -> None:
    tiles = VerifiedTiles(size, WHOLE.root(size), read)
    found = [b"".join(tiles.hashes(tile.level, tile.index)) for tile in tiles_of(size)]
    assert found == [read(tile) for tile in tiles_of(size)]


@settings(deadline=None)
@given(st.data())
def test_every_node_is_read(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 2_000))
    level = data.draw(st.integers(0, size.bit_length() - 1))
    index = data.draw(st.integers(0, (size >> level) - 1))
    assert VerifiedTiles(size, WHOLE.root(size), read).node(level, index) == WHOLE.node(level, index)


@settings(deadline=None)
@given(st.data())
def test_proofs_are_made_from_verified_tiles(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, LARGE))
    old, position = data.draw(st.integers(0, size)), data.draw(st.integers(0, size - 1))
    root = tree_root(size, WHOLE.node)
    node = VerifiedTiles(size, root, read).node
    verify_inclusion(WHOLE.node(0, position), position, size, inclusion_proof(position, size, node), root)
    verify_consistency(old, size, tree_root(old, WHOLE.node), root, consistency_proof(old, size, node))


def test_the_sunlight_mirrors_tiles_lead_to_the_root_it_cosigned() -> None:
    signed = checkpoints.parse(notes.parse((MIRROR / "checkpoint").read_bytes()).text)
    tiles = VerifiedTiles(signed.size, signed.root, lambda tile: (MIRROR / tile.path()).read_bytes())
    assert b"".join(tiles.hashes(0, 0)) == (MIRROR / "tile/0/000").read_bytes()


def test_the_empty_tree_has_the_empty_root() -> None:
    VerifiedTiles(0, EMPTY_ROOT, read)


def test_a_tile_is_read_once() -> None:
    asked: list[Tile] = []

    def reader(tile: Tile) -> bytes:
        asked.append(tile)
        return read(tile)

    tiles = VerifiedTiles(SPOILED, WHOLE.root(SPOILED), reader)
    for _ in range(3):
        for tile in tiles_of(SPOILED):
            tiles.hashes(tile.level, tile.index)
    assert sorted(asked, key=Tile.path) == sorted(tiles_of(SPOILED), key=Tile.path)


@pytest.mark.parametrize(("level", "index"), [(0, SPOILED), (1, 300), (9, 1), (10, 0), (-1, 0), (0, -1)])
def test_a_node_that_the_tree_lacks_is_not_read(level: int, index: int) -> None:
    with pytest.raises(UsageError, match="no complete node"):
        VerifiedTiles(SPOILED, WHOLE.root(SPOILED), read).node(level, index)


# Other tiles.


@settings(deadline=None)
@given(st.data())
def test_a_flipped_bit_is_refused_when_its_tile_is_read(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 1_500) | st.sampled_from([65_535, 65_536, 65_537, LARGE]))
    tile = data.draw(st.sampled_from(tiles_of(size)))
    at = data.draw(st.integers(0, tile.width * 32 - 1))
    refusal(size, tree_root(size, WHOLE.node), flipped(tile, at), tile)


def test_every_flipped_byte_of_a_small_log_is_refused() -> None:
    root = WHOLE.root(5)
    for at in range(5 * 32):
        refusal(5, root, flipped(Tile(0, 0, 5), at))


@pytest.mark.parametrize("tile", [Tile(0, 2, 88), Tile(1, 0, 2)])
def test_the_right_edge_is_refused_at_once(tile: Tile) -> None:
    with pytest.raises(VerificationError, match="the tiles lead to the root"):
        VerifiedTiles(SPOILED, WHOLE.root(SPOILED), flipped(tile, 0))


def test_a_full_tile_that_is_refused_is_named() -> None:
    error = refusal(SPOILED, WHOLE.root(SPOILED), flipped(Tile(0, 1), 0), Tile(0, 1))
    assert error.place == "tile/0/001"


def test_a_tile_under_a_spoiled_one_is_refused() -> None:
    error = refusal(LARGE, tree_root(LARGE, WHOLE.node), flipped(Tile(1, 0), 0), Tile(0, 255))
    assert error.place == "tile/1/000"


def test_a_refused_tile_is_refused_again() -> None:
    tiles = VerifiedTiles(SPOILED, WHOLE.root(SPOILED), flipped(Tile(0, 1), 0))
    for _ in range(2):
        with pytest.raises(VerificationError):
            tiles.hashes(0, 1)


def test_the_other_tiles_are_read_beside_a_spoiled_one() -> None:
    tiles = VerifiedTiles(SPOILED, WHOLE.root(SPOILED), flipped(Tile(0, 1), 0))
    assert b"".join(tiles.hashes(0, 0)) == read(Tile(0, 0))


def test_a_tile_in_the_place_of_another_is_refused() -> None:
    def swapped(tile: Tile) -> bytes:
        return read(Tile(0, 1) if tile == Tile(0, 0) else tile)

    refusal(SPOILED, WHOLE.root(SPOILED), swapped, Tile(0, 0))


@pytest.mark.parametrize("tile", [Tile(0, 0), Tile(0, 2, 88), Tile(1, 0, 2)])
@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data + b"\0", lambda _: b""], ids=["shorter", "longer", "empty"]
)
def test_a_tile_of_another_length_is_refused(tile: Tile, change: Callable[[bytes], bytes]) -> None:
    def reader(asked: Tile) -> bytes:
        return change(read(asked)) if asked == tile else read(asked)

    assert "are not the" in refusal(SPOILED, WHOLE.root(SPOILED), reader, tile).message


@settings(deadline=None)
@given(st.data())
def test_what_is_read_is_the_trees_or_refused(data: st.DataObject) -> None:
    """Whatever a stranger serves for the tiles of a log, no wrong hash comes out."""
    size = data.draw(st.integers(1, 1_500))
    served = {
        tile: data.draw(st.sampled_from(tiles_of(1_500)))
        for tile in data.draw(st.lists(st.sampled_from(tiles_of(size)), max_size=3, unique=True))
    }

    def reader(tile: Tile) -> bytes:
        return read(served.get(tile, tile))

    try:
        tiles = VerifiedTiles(size, WHOLE.root(size), reader)
    except LedgerError as error:
        assert isinstance(error, VerificationError)
        return
    for tile in tiles_of(size):
        try:
            assert b"".join(tiles.hashes(tile.level, tile.index)) == read(tile)
        except VerificationError as error:
            assert tile in served or error.place in {other.path() for other in served}


# Another root or size.


@pytest.mark.parametrize("root", [bytes(32), WHOLE.root(SPOILED - 1), EMPTY_ROOT, b""])
def test_another_root_is_refused(root: bytes) -> None:
    assert "the checkpoint says" in refusal(SPOILED, root, read).message


@pytest.mark.parametrize("size", [1, 256, 512, SPOILED - 1, SPOILED + 1, 65_536])
def test_another_size_is_refused(size: int) -> None:
    assert "the checkpoint says" in refusal(size, WHOLE.root(SPOILED), read).message


def test_an_empty_tree_with_another_root_is_refused() -> None:
    refusal(0, WHOLE.root(1), read)


def test_a_tile_that_cannot_be_had_is_no_matter_of_trust() -> None:
    def reader(tile: Tile) -> bytes:
        raise NotFoundError(f"no {tile.path()} here")

    with pytest.raises(NotFoundError):
        VerifiedTiles(SPOILED, WHOLE.root(SPOILED), reader)


@pytest.mark.parametrize(("size", "level", "index"), [(600, 0, 3), (600, 0, 5), (512, 0, 2), (600, 1, 1), (600, 2, 0)])
def test_a_tile_beyond_the_tree_is_refused(size: int, level: int, index: int) -> None:
    tiles = VerifiedTiles(size, WHOLE.root(size), read)
    with pytest.raises(UsageError, match="has no tile"):
        tiles.hashes(level, index)
