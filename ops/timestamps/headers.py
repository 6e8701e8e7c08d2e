"""Block headers on which all configured sources agree, once their block lies deep enough.

A header says nothing of its chain by itself, so that a registry does well to ask its own node, or several
interfaces of others: one of them that lies is then found out, since those that answer must agree.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.block_headers import block_id
from ledger.errors import ServiceError, ServiceRefusedError, ServiceUnavailableError
from ops.fetching import Fetching
from ops.services import HeaderSource
from ops.timestamps.header_files import read_headers
from ops.timestamps.header_sources import Found, opened

__all__ = ["Headers", "read_headers"]


class Headers:
    """The configured sources of block headers, as one.

    Args:
        depth: how many blocks deep a block must lie, itself included, where a source can tell.
    """

    def __init__(self, sources: Sequence[HeaderSource], fetching: Fetching, depth: int) -> None:
        """Raise UsageError for a source whose address is none."""
        self._sources = [opened(source, fetching) for source in sources]
        self._depth = depth

    def header(self, height: int) -> bytes:
        """Return the raw 80-byte header of the block at a height, on which all sources that answer agree.

        A source that has no such block, cannot be reached or contradicts itself does not count. One that can tell
        how deep the block lies and finds it too shallow is waited for.

        Raises:
            ServiceUnavailableError: none answers, or the block does not lie deep enough yet.
            ServiceRefusedError: they do not agree.
        """
        answers: dict[str, Found] = {}
        reasons: list[str] = []
        for source in self._sources:
            try:
                answers[source.name] = source.find(height)
            except ServiceError as error:
                reasons.append(f"{source.name}: {error.message}")
        if not answers:
            why = "; ".join(reasons) or "no source is configured"
            raise ServiceUnavailableError(f"nobody gives the header of block {height}: {why}", place="headers")
        ids = {name: block_id(found.header) for name, found in answers.items()}
        if len(set(ids.values())) > 1:
            told = ", ".join(f"{name} says {id}" for name, id in ids.items())
            cure = "find out which of them follows the chain, and take the other out"
            raise ServiceRefusedError(f"block {height} is not the same everywhere: {told}", place="headers", cure=cure)
        for name, found in answers.items():
            if found.depth is not None and found.depth < self._depth:
                raise ServiceUnavailableError(f"block {height} is {found.depth} of {self._depth} deep", place=name)
        return next(iter(answers.values())).header
