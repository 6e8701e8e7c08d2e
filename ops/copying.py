"""Copying a log from where it is published into a store: every entry proven and checked before it is kept.

Mirrors, offline verification of an export and its audit all go this way. Tiles are proven against the
signed checkpoint from the root down, entries against the tiles, and each event is then judged as on its
first day. What was kept stays; the next run goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from itertools import islice

from ledger.canonical import MAX_INTEGER
from ledger.errors import SubmissionError, VerificationError
from ledger.events import Entry, parse_stored
from ledger.merkle import leaf_hash, tree_root
from ledger.publication import Publication
from ledger.store import Store
from ledger.tiles import ENTRIES, WIDTH, Tile, unpack_entries
from ledger.verified_tiles import VerifiedTiles

Progress = Callable[[int], None]
BUNDLES_AT_ONCE = 4
TIME_BYTES = 8


class PrefixError(VerificationError):
    """What a store holds is no prefix of a published tree, whose proven `tiles` these are."""

    code = "prefix"

    def __init__(self, message: str, tiles: VerifiedTiles) -> None:
        super().__init__("consistency", message, cure="")
        self.tiles = tiles


def copy(store: Store, publication: Publication, tiles: VerifiedTiles, workers: Executor, progress: Progress) -> None:
    """Bring a store up to the tree of a checkpoint, which the caller has opened.

    Args:
        workers: fetch bundles ahead and check signatures.
        progress: called with the number of entries kept since the last call.

    Raises:
        VerificationError: step `tile`, `inclusion`, or one of `verify_entries`; nothing of that page is kept.
        PrefixError: the store holds entries that the checkpoint's tree does not.
    """
    have = store.head().size
    if have > tiles.size:
        raise VerificationError("size", f"{have} entries are here already, the checkpoint has {tiles.size}")
    if have and store.tree.root(have) != tree_root(have, tiles.node):
        raise PrefixError(f"the {have} entries here are not those that the checkpoint's tree begins with", tiles)
    for page in _pages(publication, tiles, have, tiles.size, workers):
        store.adopt(page, workers)
        progress(len(page))


def _pages(
    publication: Publication, tiles: VerifiedTiles, start: int, size: int, workers: Executor
) -> Iterator[list[Entry]]:
    """Yield proven entries from a position on, a few bundles at a time, fetching the next ones meanwhile."""
    indices = iter(range(start // WIDTH, -(-size // WIDTH)))

    def fetch() -> list[tuple[Tile, Future[bytes]]]:
        group = [Tile(ENTRIES, at, min(size - at * WIDTH, WIDTH)) for at in islice(indices, BUNDLES_AT_ONCE)]
        return [(tile, workers.submit(publication.tile, tile)) for tile in group]

    ahead = fetch()
    while ahead:
        fetched, ahead = ahead, fetch()
        page = []
        for tile, data in fetched:
            page += read_bundle(tile, data.result(), tiles)
        yield [entry for entry in page if entry.position >= start]


def read_bundle(tile: Tile, data: bytes, tiles: VerifiedTiles) -> list[Entry]:
    """Read the entries of a bundle, each proven to be the leaf at its position.

    Raises:
        VerificationError: step `tile` (not a bundle of that many entries), `inclusion` (another leaf),
            or `canonical form` (no event); its place says where.
    """
    hashes = tiles.hashes(0, tile.index)
    entries = []
    for at, (leaf, expected) in enumerate(zip(unpack_entries(data, tile.width), hashes, strict=True)):
        position = tile.index * WIDTH + at
        if leaf_hash(leaf) != expected:
            raise VerificationError("inclusion", "the entry is not the leaf of the signed tree", place=_place(tile, at))
        try:
            event = parse_stored(leaf[TIME_BYTES:])
        except SubmissionError as error:
            raise VerificationError("canonical form", error.message, place=_place(tile, at)) from error
        received_at = int.from_bytes(leaf[:TIME_BYTES], "big")
        if received_at > MAX_INTEGER:
            raise VerificationError("canonical form", f"{received_at} is no time", place=_place(tile, at))
        entries.append(Entry(position, received_at, event))
    return entries


def _place(tile: Tile, at: int) -> str:
    return f"{tile.path()}, position {tile.index * WIDTH + at}"
