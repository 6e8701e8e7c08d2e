"""Copying a log: what arrives is the log, wherever the copy began, stopped or was lied to."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.checkpoints import Checkpoint, parse
from ledger.database import open_sqlite
from ledger.errors import LedgerError, VerificationError
from ledger.merkle import tree_root
from ledger.notes import parse as parse_note
from ledger.publication import Publication
from ledger.store import Store, create_log
from ledger.tiles import ENTRIES, WIDTH, Tile, pack_entries, tile_path, unpack_entries
from ledger.verified_tiles import VerifiedTiles
from ops.copying import BUNDLES_AT_ONCE, PrefixError, Progress, copy, read_bundle
from ops.publications import FolderPublication, StorePublication
from projections.rebuild import replay
from tests.builders import REGISTRY
from tests.logs import Log
from tests.ops.forged import Forged
from tests.ops.proofs import an_export, failed_step, root_of_log, thiefs_log, with_citations

PAGE = BUNDLES_AT_ONCE * WIDTH
SIZE = 2 * PAGE + 300


def copied(
    store: Store, publication: Publication, checkpoint: Checkpoint, workers: Executor, progress: Progress
) -> VerifiedTiles:
    """Bring a store up to a checkpoint; return its proven tiles."""
    tiles = VerifiedTiles(checkpoint.size, checkpoint.root, publication.tile)
    copy(store, publication, tiles, workers, progress)
    return tiles


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A log of three pages, the last with a full bundle and a partial one."""
    log = Log.opened(tmp_path_factory.mktemp("log"))
    return with_citations(log, SIZE - log.store.head().size)


@pytest.fixture(scope="module")
def original(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return an_export(log, tmp_path_factory.mktemp("export"))


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A published folder that a test may spoil."""
    return Path(shutil.copytree(original, tmp_path / "folder"))


@pytest.fixture(scope="module")
def workers() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def an_empty_store(folder: Path, registry: str = REGISTRY) -> Store:
    folder.mkdir(parents=True, exist_ok=True)
    database = open_sqlite(folder / "copy.sqlite", durable=False)
    create_log(database, registry)
    return Store(database)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return an_empty_store(tmp_path / "copy")


def checkpoint_in(folder: Path) -> Checkpoint:
    return parse(parse_note((folder / "checkpoint").read_bytes()).text)


def bring_up(
    store: Store, folder: Path, workers: Executor, progress: Callable[[int], None] = lambda _: None
) -> VerifiedTiles:
    return copied(store, FolderPublication(folder), checkpoint_in(folder), workers, progress)


def prefix(log: Log, folder: Path, size: int) -> Store:
    """Return a store that holds the first entries of a log."""
    found = an_empty_store(folder)
    found.adopt(list(log.store.entries(0, size)))
    return found


def failure(store: Store, folder: Path, workers: Executor) -> LedgerError:
    with pytest.raises(LedgerError) as refused:
        bring_up(store, folder, workers)
    return refused.value


# A whole copy.


def test_a_copy_has_the_same_rows(log: Log, original: Path, store: Store, workers: Executor) -> None:
    bring_up(store, original, workers)
    assert list(store.rows()) == list(log.store.rows())


def test_a_copy_has_the_same_head_and_tree(log: Log, original: Path, store: Store, workers: Executor) -> None:
    bring_up(store, original, workers)
    assert (store.head(), store.tree.root(SIZE)) == (log.store.head(), log.store.tree.root(SIZE))


def test_a_copy_comes_to_the_same_state(log: Log, original: Path, store: Store, workers: Executor) -> None:
    bring_up(store, original, workers)
    assert replay(store, SIZE) == replay(log.store, SIZE)


def test_a_copy_serves_the_same_files(log: Log, original: Path, store: Store, workers: Executor) -> None:
    bring_up(store, original, workers)
    tiles = [Tile(ENTRIES, 0), Tile(ENTRIES, 9, 44), Tile(0, 3), Tile(0, 9, 44), Tile(1, 0, 9)]
    assert [store.tree.tile(tile, SIZE) for tile in tiles] == [(original / tile.path()).read_bytes() for tile in tiles]


def test_a_copy_of_a_store_is_like_one_of_its_export(log: Log, original: Path, store: Store, workers: Executor) -> None:
    copied(store, StorePublication(log.store), checkpoint_in(original), workers, lambda _: None)
    assert list(store.rows()) == list(log.store.rows())


def test_a_copy_gives_the_proven_tiles(log: Log, original: Path, store: Store, workers: Executor) -> None:
    tiles = bring_up(store, original, workers)
    assert tree_root(300, tiles.node) == log.store.tree.root(300)


def test_a_copy_tells_how_far_it_is(original: Path, store: Store, workers: Executor) -> None:
    steps: list[int] = []
    bring_up(store, original, workers, steps.append)
    assert steps == [PAGE, PAGE, 300]


def test_a_copy_that_is_up_to_date_adds_nothing(original: Path, store: Store, workers: Executor) -> None:
    bring_up(store, original, workers)
    steps: list[int] = []
    bring_up(store, original, workers, steps.append)
    assert sum(steps) == 0


def test_a_copy_takes_new_entries_of_its_log(log: Log, original: Path, store: Store, workers: Executor) -> None:
    bring_up(store, original, workers)
    Log(log.world, store, log.clock).admit(log.world.citation())
    assert store.head().size == SIZE + 1


# From anywhere.


@pytest.mark.parametrize(
    "start", [1, 9, WIDTH - 1, WIDTH, WIDTH + 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE + WIDTH, SIZE - 1, SIZE]
)
def test_a_copy_goes_on_from_any_position(
    log: Log, original: Path, tmp_path: Path, workers: Executor, start: int
) -> None:
    store = prefix(log, tmp_path / "copy", start)
    steps: list[int] = []
    bring_up(store, original, workers, steps.append)
    assert (sum(steps), list(store.rows())) == (SIZE - start, list(log.store.rows()))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=4).map(sorted))
def test_a_copy_by_way_of_any_checkpoints_is_the_same(
    log: Log, tmp_path_factory: pytest.TempPathFactory, workers: Executor, sizes: list[int]
) -> None:
    store = an_empty_store(tmp_path_factory.mktemp("copy"))
    for size in sizes:
        checkpoint = Checkpoint("test.registry/log", size, log.store.tree.root(size))
        copied(store, StorePublication(log.store), checkpoint, workers, lambda _: None)
    assert list(store.rows()) == list(log.store.rows(0, sizes[-1]))


def test_an_empty_log_is_copied_as_such(log: Log, store: Store, workers: Executor) -> None:
    copied(
        store, StorePublication(log.store), Checkpoint("test.registry/log", 0, log.store.tree.root(0)), workers, print
    )
    assert store.head().size == 0


# Interrupted.


class Interruption(Exception):  # noqa: N818  (it is no error)
    """Whoever watches the copy has seen enough."""


@pytest.mark.parametrize("pages", [1, 2, 3])
def test_a_copy_that_is_interrupted_keeps_its_pages_and_goes_on(
    log: Log, original: Path, store: Store, workers: Executor, pages: int
) -> None:
    steps: list[int] = []

    def interrupt(step: int) -> None:
        steps.append(step)
        if len(steps) == pages:
            raise Interruption

    with pytest.raises(Interruption):
        bring_up(store, original, workers, interrupt)
    kept = store.head().size
    bring_up(store, original, workers)
    assert (kept, list(store.rows())) == (min(pages * PAGE, SIZE), list(log.store.rows()))


def test_a_copy_that_is_opened_anew_goes_on(log: Log, original: Path, tmp_path: Path, workers: Executor) -> None:
    first = an_empty_store(tmp_path / "copy")

    def interrupt(step: int) -> None:
        raise Interruption

    with pytest.raises(Interruption):
        bring_up(first, original, workers, interrupt)
    again = Store(open_sqlite(tmp_path / "copy" / "copy.sqlite"))
    bring_up(again, original, workers)
    assert list(again.rows()) == list(log.store.rows())


# Lied to.


def flip(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("bundle", [0, 1, 3, 4, 5, 8, 9])
def test_a_spoiled_bundle_keeps_the_pages_before_it_and_nothing_of_its_own(
    log: Log, folder: Path, store: Store, workers: Executor, bundle: int
) -> None:
    name = tile_path(ENTRIES, bundle, 44 if bundle == 9 else WIDTH)
    flip(folder / name, 2_000)
    error = failure(store, folder, workers)
    assert name in str(error)
    assert list(store.rows()) == list(log.store.rows(0, bundle // BUNDLES_AT_ONCE * PAGE))


@pytest.mark.parametrize("bundle", [0, 4, 9])
def test_a_copy_goes_on_once_the_bundle_is_whole_again(
    log: Log, folder: Path, original: Path, store: Store, workers: Executor, bundle: int
) -> None:
    flip(folder / tile_path(ENTRIES, bundle, 44 if bundle == 9 else WIDTH), 2_000)
    failure(store, folder, workers)
    bring_up(store, original, workers)
    assert list(store.rows()) == list(log.store.rows())


@pytest.mark.parametrize("tile", [0, 3, 4, 8])
def test_a_spoiled_full_tile_is_named_and_keeps_the_pages_before_it(
    log: Log, folder: Path, store: Store, workers: Executor, tile: int
) -> None:
    flip(folder / tile_path(0, tile), 100)
    error = failure(store, folder, workers)
    assert (getattr(error, "step", ""), error.place) == ("tile", tile_path(0, tile))
    assert list(store.rows()) == list(log.store.rows(0, tile // BUNDLES_AT_ONCE * PAGE))


@pytest.mark.parametrize("name", [tile_path(0, 9, 44), tile_path(1, 0, 9)])
def test_a_spoiled_right_edge_keeps_nothing(folder: Path, store: Store, workers: Executor, name: str) -> None:
    flip(folder / name, 40)
    error = failure(store, folder, workers)
    assert (getattr(error, "step", ""), store.head().size) == ("tile", 0)


@pytest.mark.parametrize("bundle", [1, 5, 8])
def test_a_missing_bundle_keeps_the_pages_before_it(folder: Path, store: Store, workers: Executor, bundle: int) -> None:
    name = tile_path(ENTRIES, bundle)
    (folder / name).unlink()
    error = failure(store, folder, workers)
    assert (error.code, name in str(error)) == ("not-found", True)
    assert store.head().size == bundle // BUNDLES_AT_ONCE * PAGE


@pytest.mark.parametrize("bundle", [0, 5])
def test_two_exchanged_entries_are_named_by_position(
    folder: Path, store: Store, workers: Executor, bundle: int
) -> None:
    path = folder / tile_path(ENTRIES, bundle)
    leaves = unpack_entries(path.read_bytes(), WIDTH)
    leaves[20], leaves[30] = leaves[30], leaves[20]
    path.write_bytes(pack_entries(leaves))
    error = failure(store, folder, workers)
    place = f"{tile_path(ENTRIES, bundle)}, position {bundle * WIDTH + 20}"
    assert (getattr(error, "step", ""), error.place) == ("inclusion", place)


def test_a_checkpoint_of_another_tree_keeps_nothing(log: Log, original: Path, store: Store, workers: Executor) -> None:
    with pytest.raises(VerificationError) as refused:
        copied(store, FolderPublication(original), Checkpoint("x", SIZE, bytes(32)), workers, print)
    assert (refused.value.step, store.head().size) == ("tile", 0)


def test_an_event_that_breaks_the_rules_keeps_the_pages_before_it(
    log: Log, folder: Path, store: Store, workers: Executor
) -> None:
    """The tree is true, and so is every signature; but this paper had its record already."""
    Forged.after(log, log.world.record_created()).rewrite(folder)
    error = failure(store, folder, workers)
    assert (getattr(error, "step", ""), store.head().size) == ("rule", 2 * PAGE)


def test_a_time_that_no_database_holds_is_refused(log: Log, folder: Path, store: Store, workers: Executor) -> None:
    Forged.after(log, log.world.citation(), received_at=2**63).rewrite(folder)
    error = failure(store, folder, workers)
    assert (getattr(error, "step", ""), f"position {SIZE}" in error.place) == ("canonical form", True)


@pytest.mark.parametrize("at", [0, 7, 43])
def test_a_bundle_gives_the_entries_that_it_holds(log: Log, original: Path, at: int) -> None:
    publication = FolderPublication(original)
    tiles = VerifiedTiles(SIZE, checkpoint_in(original).root, publication.tile)
    tile = Tile(ENTRIES, 9, 44)
    entry = read_bundle(tile, publication.tile(tile), tiles)[at]
    kept = log.store.entry(9 * WIDTH + at)
    assert (entry.position, entry.received_at, entry.event.raw) == (kept.position, kept.received_at, kept.event.raw)


# Another log.


def another(log: Log, folder: Path, size: int) -> Store:
    """Return a store that has the same first entries as a log, and then one of its own."""
    store = prefix(log, folder, size - 1)
    Log(log.world, store).admit(log.world.author())
    return store


@pytest.mark.parametrize("size", [10, 300, PAGE + 1, SIZE])
def test_a_store_that_is_no_prefix_of_the_log_is_told_apart_and_left_alone(
    log: Log, original: Path, tmp_path: Path, workers: Executor, size: int
) -> None:
    store = another(log, tmp_path / "copy", size)
    before = list(store.rows())
    with pytest.raises(PrefixError) as refused:
        bring_up(store, original, workers)
    assert (refused.value.step, list(store.rows())) == ("consistency", before)


def test_a_store_of_somebody_elses_log_is_no_prefix(original: Path, tmp_path: Path, workers: Executor) -> None:
    store = thiefs_log(tmp_path).store
    with pytest.raises(PrefixError):
        bring_up(store, original, workers)


def test_what_is_no_prefix_comes_with_the_proven_tiles_of_the_log(
    log: Log, original: Path, tmp_path: Path, workers: Executor
) -> None:
    store = another(log, tmp_path / "copy", 300)
    with pytest.raises(PrefixError) as refused:
        bring_up(store, original, workers)
    assert tree_root(300, refused.value.tiles.node) == log.store.tree.root(300)


def test_a_store_that_is_further_than_the_checkpoint_is_left_alone(
    log: Log, original: Path, tmp_path: Path, workers: Executor
) -> None:
    store = prefix(log, tmp_path / "copy", 300)
    checkpoint = Checkpoint("test.registry/log", 200, log.store.tree.root(200))
    with pytest.raises(VerificationError) as refused:
        copied(store, StorePublication(log.store), checkpoint, workers, print)
    assert (refused.value.step, store.head().size) == ("size", 300)


def test_a_store_of_another_name_takes_nothing(original: Path, tmp_path: Path, workers: Executor) -> None:
    store = an_empty_store(tmp_path / "copy", "other.registry")
    error = failure(store, original, workers)
    assert (getattr(error, "step", ""), store.head().size) == ("rule", 0)


def test_what_was_copied_can_be_exported_and_verifies(
    log: Log, original: Path, store: Store, tmp_path: Path, workers: Executor
) -> None:
    bring_up(store, original, workers)
    again = an_export(Log(log.world, store, log.clock), tmp_path / "again")
    assert failed_step(again, root=root_of_log(log)) == "verified"
