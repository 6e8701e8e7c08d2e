"""Tiles (C2SP tlog-tiles): a log's tree and entries as files that never change.

A tile holds up to 256 neighbouring hashes; those of level L are the perfect nodes of tree level 8 L. An
entry bundle holds the entries under a tile of level 0; its level is `ENTRIES`. The last tile of a level
may be partial: it then exists beside narrower and wider ones, one for each size that was published.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NoReturn

from ledger.errors import NotFoundError, TooLargeError, UsageError, VerificationError
from ledger.merkle import HASH_BYTES, MAX_SIZE, NodeReader, node_hash

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
MAX_LEVEL: Final = 63
MAX_ENTRY_BYTES: Final = 2**16 - 1
ENTRIES: Final = -1

_PATH: Final = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Tile:
    """The first `width` (1 to 256) hashes, or entries at level `ENTRIES`, of a tile."""

    level: int
    index: int
    width: int = WIDTH

    def path(self) -> str:
        """Return the address below a log's prefix, such as `tile/0/x001/x234/067.p/8`."""
        return tile_path(self.level, self.index, self.width)


TileReader = Callable[[Tile], bytes]
"""Returns the bytes of a tile."""


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """Return a tile's address below a log's prefix.

    Raises:
        UsageError: no tile has this level, index or width.
    """
    if not (ENTRIES <= level <= MAX_LEVEL and 0 <= index <= MAX_SIZE and 1 <= width <= WIDTH):
        raise UsageError(f"there is no tile of level {level}, index {index} and width {width}")
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{'entries' if level == ENTRIES else level}/{name}{partial}"


def parse_tile_path(path: str) -> Tile:
    """Parse what `tile_path` returns; every tile has one address.

    Raises:
        NotFoundError: no tile has this address.
    """
    found = _PATH.fullmatch(path)
    if found:
        level = ENTRIES if found[1] == "entries" else int(found[1])
        tile = Tile(level, int(re.sub("[x/]", "", found[2])), int(found[3] or WIDTH))
        if tile.level <= MAX_LEVEL and tile.index <= MAX_SIZE and tile.width <= WIDTH and tile.path() == path:
            return tile
    raise NotFoundError(f"{path[:100]!r} is no tile", cure="tiles are at tile/<level or entries>/<index>[.p/<width>]")


def width_of(tile: Tile, size: int) -> int:
    """Return how wide the tile of this level and index is in a log of `size` entries; 0 or less beyond its end."""
    return min((size >> (HEIGHT * max(tile.level, 0))) - tile.index * WIDTH, WIDTH)


# --- contents ------------------------------------------------------------------------------


def pack_hashes(hashes: Sequence[bytes]) -> bytes:
    """Return a tile's bytes: its 1 to 256 hashes, one after the other."""
    _refuse_other_counts(hashes)
    return b"".join(hashes)


def unpack_hashes(data: bytes, width: int) -> list[bytes]:
    """Read a tile's hashes.

    Raises:
        VerificationError: step `tile`; not exactly `width` hashes.
    """
    if len(data) != width * HASH_BYTES:
        _refuse(f"{len(data)} bytes are not the {width} hashes of a tile")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def pack_entries(entries: Sequence[bytes]) -> bytes:
    """Return an entry bundle's bytes: each of 1 to 256 entries after its length in 2 bytes, big-endian.

    Raises:
        TooLargeError: an entry of more than 65,535 bytes.
    """
    _refuse_other_counts(entries)
    longest = max(map(len, entries))
    if longest > MAX_ENTRY_BYTES:
        raise TooLargeError(f"an entry of {longest} bytes, {MAX_ENTRY_BYTES} fit into a bundle")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unpack_entries(data: bytes, width: int) -> list[bytes]:
    """Read an entry bundle.

    Raises:
        VerificationError: step `tile`; not exactly `width` entries.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) < width:
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        entries.append(data[start:at])
    if at != len(data) or len(entries) != width:
        _refuse(f"{len(data)} bytes are not the {width} entries of a bundle")
    return entries


def _refuse_other_counts(parts: Sequence[bytes]) -> None:
    if not 1 <= len(parts) <= WIDTH:
        raise ValueError(f"a tile holds 1 to {WIDTH} parts, not {len(parts)}")


# --- growing and reading -------------------------------------------------------------------


def tiles_written(old: int, new: int) -> Iterator[Tile]:
    """Yield every tile and bundle that a log writes when it grows from `old` to `new` entries.

    Full ones come before the partial one of their level, entries first and then level by level.
    """
    for level in (ENTRIES, *range(MAX_LEVEL + 1)):
        shift = HEIGHT * max(level, 0)
        first, end = old >> shift, new >> shift
        if first >= end:
            return
        for index in range(first // WIDTH, end // WIDTH):
            yield Tile(level, index)
        if end % WIDTH:
            yield Tile(level, end // WIDTH, end % WIDTH)


def tile_node(level: int, index: int, size: int, read: TileReader) -> bytes:
    """Return the perfect node (level, index) of the tree of `size` leaves, from the one tile that has it.

    Of a partial tile, the width that belongs to `size` is read: the only one a log has to have.

    Raises:
        UsageError: no such perfect node at this size.
        VerificationError: step `tile`; the tile has not the right number of hashes.
    """
    if level < 0 or index < 0 or (index + 1) << level > size:
        raise UsageError(f"a tree of {size} leaves has no complete node {index} at level {level}")
    tile_level, inside = divmod(level, HEIGHT)
    first = index << inside
    number, offset = divmod(first, WIDTH)
    width = min((size >> (HEIGHT * tile_level)) - number * WIDTH, WIDTH)
    row = unpack_hashes(read(Tile(tile_level, number, width)), width)[offset : offset + (1 << inside)]
    while len(row) > 1:
        children = iter(row)
        row = [node_hash(left, right) for left, right in zip(children, children, strict=True)]
    return row[0]


def node_reader(size: int, read: TileReader) -> NodeReader:
    """Return a source of perfect nodes for one proof; it reads each tile it needs once."""
    once = cache(read)
    return lambda level, index: tile_node(level, index, size, once)


def _refuse(reason: str) -> NoReturn:
    raise VerificationError("tile", reason, cure="")
