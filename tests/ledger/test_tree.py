"""The stored tree: after any growth it holds, proves and serves what all leaf hashes together say."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from ledger import checkpoints, notes
from ledger.appending import Submission
from ledger.database import open_postgresql, open_sqlite
from ledger.errors import LogCorruptedError, NotFoundError, StoreError, SubmissionError, UsageError
from ledger.events import Event
from ledger.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from ledger.store import Store, create_log
from ledger.tiles import ENTRIES, Tile, pack_entries, tiles_written, unpack_hashes
from tests import writers
from tests.builders import REGISTRY, contributor
from tests.leaves import Rows, Stored, Whole, copied, execute, flip, leaf, rows_of, take, unguarded
from tests.logs import Log, Ticking
from tests.postgres import Server

VECTORS = Path(__file__).parents[1] / "vectors"
TESSERA = VECTORS / "tlog-tiles-tessera" / "log"
MIRROR = VECTORS / "tlog-mirror-sunlight" / "witness" / "mirror"
MIRROR /= "000de184301123b9278c086a7d9f68c9577e83872224c197058fd90784ea9706"

SIZE = 1_300
LARGE = 66_000
BATCHES = (255, 1, 1, 254, 1, 0, 300, 7, 481)
BORDERS = (1, 2, 255, 256, 257, 511, 512, 513, 1_023, 1_024, SIZE)
LARGE_SIZES = (65_535, 65_536, 65_537, LARGE)
LARGE_POSITIONS = (0, 1, 255, 256, 32_767, 65_279, 65_280, 65_534)

batches = st.lists(st.integers(0, 300) | st.sampled_from([1, 255, 256, 257, 512]), max_size=6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trees")


@pytest.fixture(scope="module")
def empty(folder: Path) -> Path:
    """The file of an empty log."""
    return Rows.at(folder / "empty.sqlite").close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def grown(request: pytest.FixtureRequest, folder: Path) -> Iterator[Rows]:
    """A log of 1,300 entries that came in batches around the borders of tiles."""
    if request.param == "sqlite":
        rows = Rows.at(folder / "grown.sqlite")
    else:
        server: Server = request.getfixturevalue("postgres")
        rows = Rows.on(open_postgresql(server.url(server.create()), writers.SCHEMA))
    yield rows.grow(*BATCHES)
    rows.close()


@dataclass(frozen=True, slots=True)
class Growth:
    """A log that grew, and what it kept at each size on the way."""

    rows: Rows
    stored: dict[int, Stored]


@pytest.fixture(scope="module")
def growth(folder: Path) -> Iterator[Growth]:
    rows = Rows.at(folder / "large.sqlite")
    steps = pairwise((0, *LARGE_SIZES))
    yield Growth(rows, {new: rows.grow(new - old).stored() for old, new in steps})
    rows.close()


@pytest.fixture(scope="module")
def large(growth: Growth) -> Rows:
    """A log with three levels of tiles."""
    return growth.rows


@pytest.fixture(scope="module")
def whole() -> Whole:
    return Whole.of_entries(LARGE)


@pytest.fixture
def path(log: Log, tmp_path: Path) -> Path:
    """The file of a log with 9 events."""
    return tmp_path / writers.LOG


def leaf_hashes_of(store: Store) -> list[bytes]:
    return [leaf_hash(entry.leaf()) for entry in store.entries()]


def kept(path: Path) -> list[Any]:
    """Return all that a log's file has of its tree."""
    return [rows_of(path, table) for table in ("tiles", "log_head")]


def stored(path: Path) -> Stored:
    """Return what a log's file has of its tiles."""
    return {(level, number): nodes for level, number, nodes in rows_of(path, "tiles")}


# Growing.


@settings(max_examples=25, deadline=None)
@example([255, 1, 1])
@example([257])
@example([511, 1, 1])
@example([255, 257])
@example([1, 512, 0, 300])
@given(batches)
def test_a_tree_grown_in_any_batches_holds_the_nodes_of_all_leaves(
    empty: Path, folder: Path, whole: Whole, steps: list[int]
) -> None:
    with copied(empty, folder) as rows:
        assert rows.grow(*steps).stored() == whole.stored(sum(steps))


@settings(max_examples=15, deadline=None)
@given(batches)
def test_a_tree_grown_in_any_batches_has_the_root_of_all_leaves(
    empty: Path, folder: Path, whole: Whole, steps: list[int]
) -> None:
    with copied(empty, folder) as rows:
        root = whole.root(sum(steps))
        assert (rows.grow(*steps).frontier_root(), rows.tree.root(sum(steps))) == (root, root)


def test_a_tree_grown_in_batches_around_the_borders_of_tiles_holds_their_nodes(grown: Rows, whole: Whole) -> None:
    assert (grown.stored(), grown.frontier_root()) == (whole.stored(SIZE), whole.root(SIZE))


@pytest.mark.parametrize("step", [1, 2, 4, 5, 15])
def test_growing_as_tessera_grew_gives_its_tiles(tmp_path: Path, step: int) -> None:
    hashes = unpack_hashes((TESSERA / "tile/0/000.p/15").read_bytes(), 15)
    rows = Rows.at(tmp_path / "log.sqlite")
    for size in range(step, 16, step):
        with rows.database.write() as connection:
            take(connection, hashes[size - step : size])
        tile = Tile(0, 0, size)
        assert rows.tree.tile(tile, size) == (TESSERA / tile.path()).read_bytes()


@pytest.mark.parametrize("size", range(16))
def test_every_size_has_the_root_that_tessera_signed(tmp_path: Path, size: int) -> None:
    rows = Rows.at(tmp_path / "log.sqlite")
    with rows.database.write() as connection:
        take(connection, unpack_hashes((TESSERA / "tile/0/000.p/15").read_bytes(), 15))
    signed = checkpoints.parse(notes.parse((TESSERA / f"checkpoint.{size}").read_bytes()).text)
    assert rows.tree.root(size) == signed.root


def test_a_tree_of_the_sunlight_mirrors_leaves_has_its_tiles_and_its_signed_root(tmp_path: Path) -> None:
    hashes = [(MIRROR / tile.path()).read_bytes() for tile in (Tile(0, 0), Tile(0, 1, 44))]
    rows = Rows.at(tmp_path / "log.sqlite")
    with rows.database.write() as connection:
        take(connection, unpack_hashes(b"".join(hashes), 300))
    signed = checkpoints.parse(notes.parse((MIRROR / "checkpoint").read_bytes()).text)
    above = Tile(1, 0, 1)
    assert rows.tree.tile(above, 300) == (MIRROR / above.path()).read_bytes()
    assert rows.tree.root(300) == signed.root


@pytest.mark.parametrize("size", LARGE_SIZES)
def test_a_tree_that_grew_over_the_border_of_65_536_leaves_holds_their_nodes(
    growth: Growth, whole: Whole, size: int
) -> None:
    assert growth.stored[size] == whole.stored(size)


def test_nothing_is_grown_where_the_stored_tiles_do_not_reach_the_head(empty: Path, folder: Path) -> None:
    with copied(empty, folder) as rows:
        rows.grow(300)
        with unguarded(rows.path) as connection:
            connection.execute("DELETE FROM tiles WHERE level = 0 AND number = 1")
        with pytest.raises(LogCorruptedError, match="tile 1 of level 0 has 0 bytes at width 44"):
            rows.grow(1)
        assert (0, 1) not in rows.stored()


def test_the_database_itself_refuses_to_grow_a_full_tile(empty: Path, folder: Path, whole: Whole) -> None:
    with copied(empty, folder) as rows:
        nodes = rows.grow(256).stored()[0, 0]
        with pytest.raises(StoreError, match="not once it is full"), rows.database.write() as connection:
            connection.exec_driver_sql("UPDATE tiles SET nodes = ? WHERE level = 0", (nodes + bytes(32),))
        assert rows.stored() == whole.stored(256)


# Proving.


@settings(deadline=None)
@given(st.integers(0, SIZE))
def test_every_earlier_size_has_its_root(grown: Rows, whole: Whole, size: int) -> None:
    assert grown.tree.root(size) == whole.root(size)


@settings(deadline=None)
@given(st.data())
def test_every_entry_is_proven_at_every_size(grown: Rows, whole: Whole, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, SIZE))
    position = data.draw(st.integers(0, size - 1))
    proof = grown.tree.inclusion_proof(position, size)
    assert proof == inclusion_proof(position, size, whole.node)
    verify_inclusion(leaf_hash(leaf(position)), position, size, proof, whole.root(size))


@settings(deadline=None)
@given(st.data())
def test_every_growth_is_proven(grown: Rows, whole: Whole, data: st.DataObject) -> None:
    new = data.draw(st.integers(0, SIZE))
    old = data.draw(st.integers(0, new))
    proof = grown.tree.consistency_proof(old, new)
    assert proof == consistency_proof(old, new, whole.node)
    verify_consistency(old, new, whole.root(old), whole.root(new), proof)


@pytest.mark.parametrize("size", LARGE_SIZES)
def test_a_tree_of_three_levels_has_the_root_of_all_leaves(large: Rows, whole: Whole, size: int) -> None:
    assert large.tree.root(size) == whole.root(size)


@pytest.mark.parametrize("size", LARGE_SIZES)
def test_entries_of_a_tree_of_three_levels_are_proven(large: Rows, whole: Whole, size: int) -> None:
    for position in (*LARGE_POSITIONS, size - 1):
        assert large.tree.inclusion_proof(position, size) == inclusion_proof(position, size, whole.node)


@pytest.mark.parametrize("size", LARGE_SIZES)
def test_growth_to_a_tree_of_three_levels_is_proven(large: Rows, whole: Whole, size: int) -> None:
    for old in (*LARGE_POSITIONS, 65_535, size):
        assert large.tree.consistency_proof(old, size) == consistency_proof(old, size, whole.node)


def test_several_proofs_are_made_from_one_view(grown: Rows, whole: Whole) -> None:
    with grown.tree.nodes() as node:
        found = [inclusion_proof(position, SIZE, node) for position in range(0, SIZE, 97)]
    assert found == [inclusion_proof(position, SIZE, whole.node) for position in range(0, SIZE, 97)]


@contextmanager
def reads_counted(rows: Rows) -> Iterator[list[tuple[int, int]]]:
    """Collect which tiles are looked up."""
    found: list[tuple[int, int]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM tiles" in statement:
            found.append(tuple(parameters))

    event.listen(rows.database.reader, "before_cursor_execute", note)
    yield found
    event.remove(rows.database.reader, "before_cursor_execute", note)


@pytest.mark.parametrize("position", [*LARGE_POSITIONS, LARGE - 1])
def test_a_proof_reads_each_tile_once_and_few_of_them(large: Rows, position: int) -> None:
    with reads_counted(large) as read:
        large.tree.inclusion_proof(position, LARGE)
    assert len(set(read)) == len(read) <= 5


@pytest.mark.parametrize(("position", "size"), [(0, 0), (300, 300), (-1, 300)])
def test_no_proof_is_made_for_an_entry_that_a_tree_lacks(grown: Rows, position: int, size: int) -> None:
    with pytest.raises(UsageError, match="has no leaf"):
        grown.tree.inclusion_proof(position, size)


def test_no_proof_is_made_that_a_tree_shrank(grown: Rows) -> None:
    with pytest.raises(UsageError, match="no tree grows"):
        grown.tree.consistency_proof(300, 299)


def test_a_tree_with_a_lost_tile_gives_no_proof_that_needs_it(empty: Path, folder: Path) -> None:
    with copied(empty, folder) as rows:
        rows.grow(600)
        with unguarded(rows.path) as connection:
            connection.execute("DELETE FROM tiles WHERE level = 0 AND number = 1")
        with pytest.raises(LogCorruptedError, match="tile 1 of level 0 lacks node"):
            rows.tree.inclusion_proof(300, 600)


# Tiles.


@pytest.mark.parametrize("size", BORDERS)
def test_a_size_has_the_hash_tiles_of_all_leaves(grown: Rows, whole: Whole, size: int) -> None:
    tiles = [tile for tile in tiles_written(0, size) if tile.level != ENTRIES]
    assert [grown.tree.tile(tile, size) for tile in tiles] == [whole.tile(tile) for tile in tiles]


@pytest.mark.parametrize("size", BORDERS)
def test_a_size_has_the_bundles_of_all_entries(grown: Rows, size: int) -> None:
    served = [grown.tree.tile(tile, size) for tile in tiles_written(0, size) if tile.level == ENTRIES]
    entries = [leaf(position) for position in range(size)]
    assert served == [pack_entries(entries[start : start + 256]) for start in range(0, size, 256)]


@settings(deadline=None)
@given(st.integers(0, 5), st.integers(1, 256))
def test_a_hash_tile_is_served_at_every_width(grown: Rows, whole: Whole, index: int, width: int) -> None:
    tile = Tile(0, index, min(width, SIZE - index * 256))
    assert grown.tree.tile(tile, SIZE) == whole.tile(tile)


@settings(deadline=None)
@given(st.integers(0, 5), st.integers(1, 256))
def test_a_bundle_is_served_at_every_width(grown: Rows, index: int, width: int) -> None:
    tile = Tile(ENTRIES, index, min(width, SIZE - index * 256))
    entries = [leaf(index * 256 + at) for at in range(tile.width)]
    assert grown.tree.tile(tile, SIZE) == pack_entries(entries)


@pytest.mark.parametrize("tile", [Tile(0, 255), Tile(0, 257, 208), Tile(1, 0), Tile(1, 1, 1), Tile(2, 0, 1)])
def test_tiles_of_all_levels_are_served(large: Rows, whole: Whole, tile: Tile) -> None:
    assert large.tree.tile(tile, LARGE) == whole.tile(tile)


@pytest.mark.parametrize(
    ("tile", "size"),
    [
        (Tile(0, 0, 1), 0),
        (Tile(ENTRIES, 0, 1), 0),
        (Tile(0, 0), 255),
        (Tile(ENTRIES, 0), 255),
        (Tile(1, 0, 1), 255),
        (Tile(0, 1, 1), 256),
        (Tile(0, 1, 2), 257),
        (Tile(ENTRIES, 1, 2), 257),
        (Tile(1, 0, 6), SIZE),
        (Tile(2, 0, 1), SIZE),
        (Tile(0, 300), SIZE),
        (Tile(63, 0, 1), SIZE),
    ],
)
def test_a_tile_beyond_the_size_is_not_found(grown: Rows, tile: Tile, size: int) -> None:
    with pytest.raises(NotFoundError, match=tile.path().split("/")[-1]):
        grown.tree.tile(tile, size)


def test_a_bundle_with_a_lost_entry_is_not_served(empty: Path, folder: Path) -> None:
    with copied(empty, folder) as rows:
        rows.grow(9)
        with unguarded(rows.path) as connection:
            connection.execute("DELETE FROM events WHERE position = 3")
        with pytest.raises(LogCorruptedError, match="between positions 0 and 9"):
            rows.tree.tile(Tile(ENTRIES, 0, 9), 9)


def test_a_lost_hash_tile_is_not_served(empty: Path, folder: Path) -> None:
    with copied(empty, folder) as rows:
        rows.grow(9)
        with unguarded(rows.path) as connection:
            connection.execute("DELETE FROM tiles")
        with pytest.raises(LogCorruptedError, match=r"tile/0/000\.p/9 is not whole"):
            rows.tree.tile(Tile(0, 0, 9), 9)


# With events.


def test_an_empty_log_has_the_empty_tree(tmp_path: Path) -> None:
    assert Log.empty(tmp_path).store.tree.root(0) == EMPTY_ROOT


def test_the_leaves_are_the_entries(log: Log) -> None:
    assert log.store.tree.root(log.store.head().size) == root_of(leaf_hashes_of(log.store))


def test_a_refused_event_leaves_no_leaf(log: Log) -> None:
    outcomes = log.append(log.world.author(), log.world.author(contributor("stranger")), log.world.citation())
    assert [isinstance(outcome, SubmissionError) for outcome in outcomes] == [False, True, False]
    assert log.store.tree.root(log.store.head().size) == root_of(leaf_hashes_of(log.store))


def test_a_batch_of_refused_events_leaves_the_tree_as_it_was(log: Log, path: Path) -> None:
    before = kept(path)
    log.append(log.world.author(contributor("stranger")))
    assert kept(path) == before


def test_the_same_event_again_leaves_the_tree_as_it_was(log: Log, path: Path) -> None:
    before = kept(path)
    log.append(log.store.entry(3).event)
    assert kept(path) == before


FAILING_HEAD = "CREATE TRIGGER full_disk BEFORE UPDATE ON log_head BEGIN SELECT RAISE(ABORT, 'no space'); END"


def test_an_append_that_is_rolled_back_leaves_the_tree_as_it_was(log: Log, path: Path) -> None:
    before = kept(path)
    execute(path, FAILING_HEAD)
    with pytest.raises(StoreError, match="no space"):
        log.append(log.world.author())
    assert kept(path) == before


def test_the_tree_is_right_once_the_rolled_back_append_is_repeated(log: Log, path: Path) -> None:
    claim = log.world.author()
    execute(path, FAILING_HEAD)
    with pytest.raises(StoreError):
        log.append(claim)
    execute(path, "DROP TRIGGER full_disk")
    log.admit(claim)
    assert log.store.tree.root(10) == root_of(leaf_hashes_of(log.store))


def test_nothing_is_appended_to_a_tree_with_another_number_of_leaves(log: Log, path: Path) -> None:
    with unguarded(path) as connection:
        connection.execute("UPDATE log_head SET size = 10")
    before = kept(path)
    with pytest.raises(LogCorruptedError, match="the tree has 10 leaves, the log 11 entries"):
        log.append(log.world.author())
    assert kept(path) == before


@pytest.mark.parametrize("page", [1, 4, 9])
def test_an_adopted_copy_grows_the_same_tree(log: Log, path: Path, page: int) -> None:
    database = open_sqlite(path.with_name("copy.sqlite"), durable=False)
    create_log(database, REGISTRY)
    copy = Store(database)
    entries = list(log.store.entries())
    for start in range(0, len(entries), page):
        copy.adopt(entries[start : start + page])
    assert kept(path.with_name("copy.sqlite")) == kept(path)


def test_threads_with_stores_of_their_own_grow_one_tree(log: Log, path: Path) -> None:
    stores = [Store(open_sqlite(path, durable=False)) for _ in range(4)]
    claims = [[log.world.author() for _ in range(80)] for _ in stores]

    def append(store: Store, mine: list[Event]) -> None:
        for start in range(0, len(mine), 5):
            store.append([Submission(claim) for claim in mine[start : start + 5]], Ticking())

    with ThreadPoolExecutor(len(stores)) as threads:
        list(threads.map(append, stores, claims))
    hashes = leaf_hashes_of(log.store)
    assert len(hashes) == 9 + 4 * 80
    assert stored(path) == Whole.of(hashes).stored(9 + 4 * 80)


def test_processes_grow_one_tree(log: Log, path: Path) -> None:
    rivals = [writers.start("race", path.parent, seed, 260) for seed in (1, 2)]
    for rival in rivals:
        assert rival.stdout is not None
        assert rival.stdout.readline() == "ready\n"
    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.write("go\n")
        rival.stdin.flush()
    for rival in rivals:
        rival.communicate(timeout=60)
    hashes = leaf_hashes_of(log.store)
    assert len(hashes) == 9 + 260
    assert stored(path) == Whole.of(hashes).stored(9 + 260)


def test_a_flipped_bit_in_a_tile_is_no_part_of_the_root_before_it(empty: Path, folder: Path, whole: Whole) -> None:
    with copied(empty, folder) as rows:
        rows.grow(300)
        with unguarded(rows.path) as connection:
            flip(connection, "tiles", "nodes", "level = 0 AND number = 1", 0)
        assert rows.tree.root(256) == whole.root(256)
        assert rows.tree.root(257) != whole.root(257)
