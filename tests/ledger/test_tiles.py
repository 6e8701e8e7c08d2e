"""Tiles: two public logs read back to their signed roots, and proofs come from the few tiles that must exist."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import checkpoints, notes
from ledger.errors import LedgerError, NotFoundError, TooLargeError, UsageError, VerificationError
from ledger.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from ledger.tiles import (
    ENTRIES,
    Tile,
    node_reader,
    pack_entries,
    pack_hashes,
    parse_tile_path,
    tile_node,
    tile_path,
    tiles_written,
    unpack_entries,
    unpack_hashes,
)

VECTORS = Path(__file__).parents[1] / "vectors"
TESSERA = VECTORS / "tlog-tiles-tessera" / "log"
MIRROR = VECTORS / "tlog-mirror-sunlight" / "witness" / "mirror"
MIRROR /= "000de184301123b9278c086a7d9f68c9577e83872224c197058fd90784ea9706"
LARGE = 70_000
LEAVES = [leaf_hash(number.to_bytes(4, "big")) for number in range(LARGE)]


def read_tessera(tile: Tile) -> bytes:
    return (TESSERA / tile.path()).read_bytes()


def read_mirror(tile: Tile) -> bytes:
    return (MIRROR / tile.path()).read_bytes()


def tessera_checkpoint(size: int) -> checkpoints.Checkpoint:
    return checkpoints.parse(notes.parse((TESSERA / f"checkpoint.{size}").read_bytes()).text)


class Files:
    """The tiles of a growing log under their addresses, written as `tiles_written` says; counts reads."""

    def __init__(self) -> None:
        self.frontier = Frontier()
        self.rows: dict[int, list[bytes]] = {}
        self.files: dict[str, bytes] = {}
        self.read_tiles: list[Tile] = []

    def grow(self, size: int) -> None:
        old = self.frontier.size
        for level, row in enumerate(self.frontier.extend(LEAVES[old:size])):
            if level % 8 == 0:
                self.rows.setdefault(level // 8, []).extend(row.hashes)
        for tile in tiles_written(old, size):
            if tile.level != ENTRIES:
                start = tile.index * 256
                hashes = self.rows[tile.level][start : start + tile.width]
                assert len(hashes) == tile.width
                assert self.files.setdefault(tile.path(), pack_hashes(hashes)) == pack_hashes(hashes)

    def read(self, tile: Tile) -> bytes:
        self.read_tiles.append(tile)
        return self.files[tile.path()]


# Published logs.


@pytest.mark.parametrize("size", range(16))
def test_tessera_roots_come_from_its_tiles_and_its_entries(size: int) -> None:
    root = tessera_checkpoint(size).root
    assert tree_root(size, node_reader(size, read_tessera)) == root
    if size:
        entries = unpack_entries(read_tessera(Tile(ENTRIES, 0, size)), size)
        hashes = [leaf_hash(entry) for entry in entries]
        assert pack_hashes(hashes) == read_tessera(Tile(0, 0, size))
        assert pack_entries(entries) == read_tessera(Tile(ENTRIES, 0, size))
        assert root_of(hashes) == root


def test_tessera_entries_and_growth_are_proven_from_its_tiles() -> None:
    for size in range(16):
        now, node = tessera_checkpoint(size), node_reader(size, read_tessera)
        for index in range(size):
            leaf = tile_node(0, index, size, read_tessera)
            verify_inclusion(leaf, index, size, inclusion_proof(index, size, node), now.root)
        for old in range(size + 1):
            before = tessera_checkpoint(old)
            verify_consistency(old, size, before.root, now.root, consistency_proof(old, size, node))


def test_tessera_has_exactly_the_tiles_that_growing_one_by_one_writes() -> None:
    written = {tile.path() for size in range(15) for tile in tiles_written(size, size + 1)}
    assert written == {str(path.relative_to(TESSERA)) for path in (TESSERA / "tile").rglob("*") if path.is_file()}
    assert all(parse_tile_path(path).path() == path for path in written)


def test_the_sunlight_mirror_holds_the_log_that_it_cosigned() -> None:
    raw = (MIRROR / "checkpoint").read_bytes()
    checkpoint = checkpoints.parse(notes.parse(raw).text)
    node = node_reader(300, read_mirror)
    assert checkpoint.size == 300
    assert tree_root(300, node) == checkpoint.root
    assert root_of([tile_node(0, index, 300, read_mirror) for index in range(300)]) == checkpoint.root
    for index in range(300):
        verify_inclusion(node(0, index), index, 300, inclusion_proof(index, 300, node), checkpoint.root)
    on_disk = {str(path.relative_to(MIRROR)) for path in (MIRROR / "tile").rglob("*") if path.is_file()}
    assert {tile.path() for tile in tiles_written(0, 300)} == on_disk


# Addresses.


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 0, 1), "tile/0/000.p/1"),
        (Tile(1, 999, 255), "tile/1/999.p/255"),
        (Tile(0, 1000), "tile/0/x001/000"),
        (Tile(63, 1234067, 8), "tile/63/x001/x234/067.p/8"),
        (Tile(ENTRIES, 1234067), "tile/entries/x001/x234/067"),
        (Tile(ENTRIES, 5, 44), "tile/entries/005.p/44"),
    ],
)
def test_tiles_have_the_addresses_of_the_specification(tile: Tile, path: str) -> None:
    assert tile.path() == tile_path(tile.level, tile.index, tile.width) == path
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/00/000",
        "tile/01/000",
        "tile/-1/000",
        "tile/64/000",
        "tile/100/000",
        "tile/Entries/000",
        "tile/data/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1000",
        "tile/0/x000/001",
        "tile/0/x001",
        "tile/0/001/000",
        "tile/0/X001/000",
        "tile/0/x001/x000",
        "tile/0/x009/x223/x372/x036/x854/x775/808",
        "tile/0/x001/x000/x000/x000/x000/x000/x000/000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/-1",
        "tile/0/000.p/1/2",
        "tile/0/000.P/1",
        "tile/0/000xp/1",
        "tile/0/../0/000",
        "tile/0/%30%30%30",
        "tile/0/\u0660\u0660\u0660",
    ],
)
def test_a_tile_has_one_address(path: str) -> None:
    with pytest.raises(NotFoundError):
        parse_tile_path(path)


@given(st.integers(ENTRIES, 63), st.integers(0, 2**63 - 1) | st.integers(0, 2000), st.integers(1, 256))
def test_addresses_round_trip(level: int, index: int, width: int) -> None:
    assert parse_tile_path(tile_path(level, index, width)) == Tile(level, index, width)


@given(st.text() | st.text("tile/x0123456789.p/entries-\n").map(lambda rest: f"tile/0/{rest}"))
def test_text_is_the_one_address_of_a_tile_or_is_not_found(path: str) -> None:
    try:
        assert parse_tile_path(path).path() == path
    except NotFoundError:
        return


@pytest.mark.parametrize(
    "tile", [Tile(-2, 0), Tile(64, 0), Tile(0, -1), Tile(0, 2**63), Tile(0, 0, 0), Tile(0, 0, 257)]
)
def test_what_is_no_tile_has_no_address(tile: Tile) -> None:
    with pytest.raises(UsageError):
        tile.path()


# Contents.


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=256))
def test_bundles_round_trip(entries: list[bytes]) -> None:
    assert unpack_entries(pack_entries(entries), len(entries)) == entries


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=256))
def test_hashes_round_trip(hashes: list[bytes]) -> None:
    assert unpack_hashes(pack_hashes(hashes), len(hashes)) == hashes


def test_a_bundle_is_lengths_and_entries() -> None:
    assert pack_entries([b"", b"ab", b"c" * 258]) == b"\0\0" + b"\0\2ab" + b"\1\2" + b"c" * 258


def test_the_longest_entry_fits_and_a_longer_one_does_not() -> None:
    assert unpack_entries(pack_entries([bytes(65_535)]), 1) == [bytes(65_535)]
    with pytest.raises(TooLargeError):
        pack_entries([b"", bytes(65_536)])


@pytest.mark.parametrize("count", [0, 257])
def test_a_tile_holds_1_to_256_parts(count: int) -> None:
    with pytest.raises(ValueError):
        pack_entries([b""] * count)
    with pytest.raises(ValueError):
        pack_hashes([bytes(32)] * count)


@pytest.mark.parametrize(
    ("data", "width"),
    [
        (b"", 1),
        (b"\0", 1),
        (b"\0\1", 1),
        (b"\0\2a", 1),
        (b"\0\1a\0", 1),
        (b"\0\1a\0\1b", 1),
        (b"\0\1a", 2),
        (b"\0\1a\0", 2),
        (b"\0\1a\0\2b", 2),
        (b"\0\0", 0),
    ],
)
def test_a_bundle_with_more_or_less_than_its_width_is_refused(data: bytes, width: int) -> None:
    with pytest.raises(VerificationError) as refused:
        unpack_entries(data, width)
    assert refused.value.step == "tile"


@pytest.mark.parametrize(("length", "width"), [(0, 1), (31, 1), (33, 1), (64, 1), (32, 2), (32, 0)])
def test_a_tile_with_more_or_less_than_its_width_is_refused(length: int, width: int) -> None:
    with pytest.raises(VerificationError) as refused:
        unpack_hashes(bytes(length), width)
    assert refused.value.step == "tile"


@given(st.binary(max_size=300), st.integers(1, 256))
def test_bytes_are_a_bundle_in_its_one_spelling_or_are_refused(data: bytes, width: int) -> None:
    try:
        assert pack_entries(unpack_entries(data, width)) == data
    except LedgerError as error:
        assert isinstance(error, VerificationError)


# Growing.


def test_the_specification_example_of_70_000_entries() -> None:
    tiles = list(tiles_written(0, 70_000))
    counted = {
        (level, width): sum((tile.level, tile.width) == (level, width) for tile in tiles)
        for level, width in {(tile.level, tile.width) for tile in tiles}
    }
    assert counted == {(ENTRIES, 256): 273, (ENTRIES, 112): 1, (0, 256): 273, (0, 112): 1} | {
        (1, 256): 1,
        (1, 17): 1,
        (2, 1): 1,
    }


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        (0, 0, []),
        (7, 7, []),
        (0, 1, ["tile/entries/000.p/1", "tile/0/000.p/1"]),
        (3, 5, ["tile/entries/000.p/5", "tile/0/000.p/5"]),
        (255, 256, ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]),
        (256, 257, ["tile/entries/001.p/1", "tile/0/001.p/1"]),
        (
            250,
            260,
            ["tile/entries/000", "tile/entries/001.p/4", "tile/0/000", "tile/0/001.p/4", "tile/1/000.p/1"],
        ),
        (65535, 65536, ["tile/entries/255", "tile/0/255", "tile/1/000", "tile/2/000.p/1"]),
    ],
)
def test_growing_writes_the_tiles_that_change(old: int, new: int, paths: list[str]) -> None:
    assert [tile.path() for tile in tiles_written(old, new)] == paths


@given(st.lists(st.integers(0, 900), min_size=1, max_size=6), st.data())
def test_every_published_size_is_provable_from_the_tiles_written_on_the_way(
    steps: list[int], data: st.DataObject
) -> None:
    files, sizes = Files(), [0]
    for step in steps:
        files.grow(sizes[-1] + step)
        sizes.append(sizes[-1] + step)
    size = data.draw(st.sampled_from(sizes))
    node = node_reader(size, files.read)
    root = root_of(LEAVES[:size])
    assert tree_root(size, node) == root
    if size:
        index = data.draw(st.integers(0, size - 1))
        verify_inclusion(LEAVES[index], index, size, inclusion_proof(index, size, node), root)
    old = data.draw(st.integers(0, size))
    verify_consistency(old, size, root_of(LEAVES[:old]), root, consistency_proof(old, size, node))


def test_a_proof_reads_each_tile_once_and_few_of_them() -> None:
    files = Files()
    files.grow(LARGE)
    root = files.frontier.root()
    for index in (0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, LARGE - 1):
        files.read_tiles.clear()
        proof = inclusion_proof(index, LARGE, node_reader(LARGE, files.read))
        verify_inclusion(LEAVES[index], index, LARGE, proof, root)
        assert len(set(files.read_tiles)) == len(files.read_tiles) <= 6
    assert tree_root(LARGE, node_reader(LARGE, files.read)) == root


@pytest.mark.parametrize(
    ("level", "index", "size", "tile"),
    [
        (0, 0, 1, Tile(0, 0, 1)),
        (0, 5, 300, Tile(0, 0)),
        (7, 1, 256, Tile(0, 0)),
        (3, 32, 300, Tile(0, 1, 44)),
        (8, 0, 300, Tile(1, 0, 1)),
        (8, 272, LARGE, Tile(1, 1, 17)),
        (12, 16, LARGE, Tile(1, 1, 17)),
        (16, 0, LARGE, Tile(2, 0, 1)),
    ],
)
def test_a_node_is_read_from_the_one_tile_that_a_log_of_this_size_must_have(
    level: int, index: int, size: int, tile: Tile
) -> None:
    files = Files()
    files.grow(size)
    expected = root_of(LEAVES[index << level : (index + 1) << level])
    assert tile_node(level, index, size, files.read) == expected
    assert files.read_tiles == [tile]


@pytest.mark.parametrize(
    ("level", "index", "size"), [(0, 0, 0), (0, 3, 3), (2, 0, 3), (1, 1, 3), (-1, 0, 3), (0, -1, 3)]
)
def test_a_node_that_is_not_complete_is_in_no_tile(level: int, index: int, size: int) -> None:
    files = Files()
    files.grow(3)
    with pytest.raises(UsageError, match="no complete node"):
        tile_node(level, index, size, files.read)


def test_a_tile_of_another_width_than_was_asked_for_is_refused() -> None:
    with pytest.raises(VerificationError, match="not the 3 hashes"):
        tile_node(0, 0, 3, lambda tile: bytes(32 * 4))


@pytest.mark.parametrize(("path", "index"), [("tile/0/000", 0), ("tile/0/001.p/44", 0), ("tile/1/000.p/1", 299)])
def test_a_tile_with_a_flipped_bit_gives_no_valid_proof(path: str, index: int) -> None:
    files = Files()
    files.grow(300)
    root = files.frontier.root()
    data = files.files[path]
    files.files[path] = data[:-1] + bytes([data[-1] ^ 1])
    proof = inclusion_proof(index, 300, node_reader(300, files.read))
    with pytest.raises(VerificationError):
        verify_inclusion(LEAVES[index], index, 300, proof, root)
