"""The second way to a root: the stored tree recomputed from the entries' bytes.

A registry does this for what is new before it signs a checkpoint, since a signed wrong root can never be
taken back; an audit does it for the whole log. It shares the hash function with how the tree grew, and
neither the frontier nor any node that was kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import Connection, select

from ledger.errors import LogCorruptedError, VerificationError
from ledger.merkle import EMPTY_ROOT, HASH_BYTES, consistency_proof, root_of, tree_root, verify_consistency
from ledger.tables import TILES
from ledger.tiles import WIDTH
from ledger.tree import complete, hashes_of, kept_bytes, leaf_hashes, node_reader, place_of, stored_nodes

PAGE_TILES = 16
Progress = Callable[[int], None]


def check_growth(
    connection: Connection,
    old_size: int,
    old_root: bytes,
    size: int,
    root: bytes,
    progress: Progress = lambda _: None,
) -> None:
    """Check that the stored tree holds exactly the log's entries from `old_size` on, and has this root.

    Args:
        old_size: the size of an earlier tree that is known to be right, 0 to check all.
        progress: called with the number of entries read since the last call.

    Raises:
        LogCorruptedError: names the tile or position that differs.
    """
    if size < old_size:
        raise LogCorruptedError(f"the log has {size} entries, and had {old_size}")
    if size == 0:
        if root != EMPTY_ROOT:
            raise LogCorruptedError("the frontier of the empty log has leaves")
        return
    level, first = 0, old_size // WIDTH * WIDTH
    roots = list(_check_tiles(connection, level, first, _pages(connection, first, size, progress)))
    while roots:
        level, first = level + 1, first // WIDTH
        # All at once: they begin anywhere within a tile, and each tile must be compared with all that it holds.
        roots = list(_check_tiles(connection, level, first, iter([roots])))
    node = node_reader(connection)
    found = tree_root(size, node)
    if found != root:
        raise LogCorruptedError(
            f"the tiles lead to the root {found.hex()} for {size} entries, the frontier to {root.hex()}"
        )
    try:
        verify_consistency(old_size, size, old_root, root, consistency_proof(old_size, size, node))
    except VerificationError as error:
        raise LogCorruptedError(
            f"the tree of {size} entries does not extend the one of {old_size}: {error.message}"
        ) from error


def check_no_more_tiles(connection: Connection, size: int) -> None:
    """Check that no tile is stored beyond those of a tree of `size` leaves.

    Raises:
        LogCorruptedError: names the first that is.
    """
    for level, number, nodes in connection.execute(select(TILES.c.level, TILES.c.number, TILES.c.nodes)):
        count = size >> (8 * level) if 0 <= level < 8 else 0
        width = min(count - number * WIDTH, WIDTH)
        if number < 0 or width <= 0 or len(nodes) != kept_bytes(width):
            raise LogCorruptedError(f"tile {number} of level {level} does not belong to a log of {size} entries")


def _pages(connection: Connection, start: int, stop: int, progress: Progress) -> Iterator[list[bytes]]:
    for at in range(start, stop, PAGE_TILES * WIDTH):
        end = min(at + PAGE_TILES * WIDTH, stop)
        page = leaf_hashes(connection, at, end)
        if len(page) != end - at:
            raise LogCorruptedError(f"entries are missing between positions {at} and {end}")
        progress(end - at)
        yield page


def _check_tiles(connection: Connection, level: int, first: int, pages: Iterator[list[bytes]]) -> Iterator[bytes]:
    """Compare tiles with the hashes they must hold from index `first` on; yield the roots of the full ones."""
    for page in pages:
        while page:
            number, offset = divmod(first, WIDTH)
            part, page = page[: WIDTH - offset], page[WIDTH - offset :]
            kept = stored_nodes(connection, level, number)
            expected = complete(hashes_of(kept)[:offset] + part)
            if kept[: len(expected)] != expected or len(kept) != len(expected):
                raise LogCorruptedError(_difference(level, number, kept, expected))
            first += len(part)
            if offset + len(part) == WIDTH:
                yield root_of(hashes_of(expected))


def _difference(level: int, number: int, kept: bytes, expected: bytes) -> str:
    if not kept:
        return f"tile {number} of level {level} is missing"
    at = next((at for at, (one, other) in enumerate(zip(kept, expected, strict=False)) if one != other), len(kept))
    before = hashes_of(kept[: at - at % HASH_BYTES])
    if level == 0 and at < len(expected) and place_of(0, len(before)) <= at:
        position = number * WIDTH + len(before)
        return f"the entry at position {position} does not hash to its leaf in tile 0/{number}"
    return f"tile {number} of level {level} differs at byte {at} from what lies below it"
