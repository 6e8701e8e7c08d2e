"""State digests: one hash over all that the projections say, the same for everybody who has the same log.

A projection's digest is the SHA-256 over the values of its rows, each after its length in 8 bytes, tables one after the
other, rows in an order that only their content decides: every row begins with its paper's suffix. So a digest can be
taken from tables, and as well from papers that come in any order and never stand in any table (`PaperDigest`).
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain, zip_longest
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Final, Self

from projections.folding import rows_of
from projections.judged import Judged
from projections.projectors import PROJECTORS

TABLES: Final = tuple(table.name for projector in PROJECTORS.values() for table in projector.tables)
_INDEX: Final = struct.Struct(f">Q{len(TABLES)}I")
_length: Final = struct.Struct(">Q").pack

Content = tuple[str, tuple[bytes, ...]]
"""A paper's suffix, and what of it goes into the digest of each of TABLES."""


def framed(values: Iterable[Any]) -> bytes:
    """Return what the values of rows, one after the other, add to a digest: text in UTF-8, numbers in decimal."""
    parts = [
        value.encode() if type(value) is str else value if type(value) is bytes else str(value).encode()
        for value in values
    ]
    return b"".join(chain.from_iterable(zip(map(_length, map(len, parts)), parts, strict=True)))


def joined(digests: Iterable[tuple[str, str]]) -> str:
    """Return the one digest (hex) over those of all projections, given with their names in order."""
    return hashlib.sha256("".join(f"{name}:{digest}\n" for name, digest in digests).encode()).hexdigest()


def content_of(judged: Judged) -> Content:
    """Return what one paper adds to the digest of the state; raises ProjectionError where it cannot be projected."""
    rows: dict[str, list[Any]] = {name: [] for name in TABLES}
    for name, row in rows_of(judged, PROJECTORS.values()):
        rows[name].append(row)
    return judged.suffix, tuple(framed(chain.from_iterable(sorted(found))) for found in rows.values())


class PaperDigest:
    """Takes the state's digest of papers in any order; holds some hundred bytes of each, and the rest in a file.

    Args:
        folder: where the file is; None leaves that to the system. It has no name there and is gone afterwards.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = TemporaryFile(dir=folder, prefix="pith-digest-")  # noqa: SIM115  (this class is the context manager)
        self._index: list[bytes] = []
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, papers: Iterable[Content]) -> None:
        """Take in papers, each for the only time."""
        for suffix, parts in papers:
            self._index.append(suffix.encode() + _INDEX.pack(self._end, *map(len, parts)))
            self._end += sum(map(len, parts))
            self._file.writelines(parts)

    def hexdigest(self) -> str:
        """Return the state digest of the papers so far, what `rebuild.state_digest` says of tables of them."""
        self._file.flush()
        self._index.sort()
        found = {name: hashlib.sha256() for name in PROJECTORS}
        # A projection's tables come one after the other, but those of several projections side by side.
        for tables in zip_longest(*(projector.tables for projector in PROJECTORS.values())):
            wanted = {
                TABLES.index(table.name): found[name]
                for name, table in zip(found, tables, strict=True)
                if table is not None
            }
            first = min(wanted)
            for starts, content in self._contents(first, max(wanted)):
                for table, digest in wanted.items():
                    digest.update(content[starts[table] - starts[first] : starts[table + 1] - starts[first]])
        return joined(sorted((name, digest.hexdigest()) for name, digest in found.items()))

    def _contents(self, first: int, last: int) -> Iterator[tuple[list[int], memoryview]]:
        """Yield, paper after paper in order, where the content of each table starts, and that of some of them."""
        descriptor = self._file.fileno()
        for entry in self._index:
            start, *lengths = _INDEX.unpack_from(entry, len(entry) - _INDEX.size)
            starts = list(accumulate(lengths, initial=start))
            yield starts, memoryview(os.pread(descriptor, starts[last + 1] - starts[first], starts[first]))
