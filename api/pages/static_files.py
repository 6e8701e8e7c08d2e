"""The files that pages need, read once from the package: each under an address that changes when any of them does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import Final

KINDS: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    "LICENSE": "text/plain; charset=utf-8",
    "NOTICE": "text/plain; charset=utf-8",
}
"""Media types by the end of a file's name, or by its name where it has none; what is not here is not served."""


def _read(folder: Traversable, place: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        name = f"{place}{entry.name}"
        if entry.is_dir():
            yield from _read(entry, f"{name}/")
        elif _ending(name) in KINDS:
            yield name, entry.read_bytes()


def _ending(name: str) -> str:
    path = PurePosixPath(name)
    return path.suffix or path.name


def _version(found: Mapping[str, bytes]) -> str:
    lines = (f"{sha256(found[name]).hexdigest()} {name}\n" for name in sorted(found))
    return sha256("".join(lines).encode()).hexdigest()[:16]


FILES: Final[Mapping[str, bytes]] = dict(_read(files("api.pages") / "static"))
VERSION: Final = _version(FILES)
"""One for all, so that files find each other by relative addresses."""


def address(name: str) -> str:
    """Return where a file is served; raises KeyError for one that there is not."""
    FILES[name]
    return f"/static/{VERSION}/{name}"


def kind_of(name: str) -> str:
    """Return the media type of a file."""
    return KINDS[_ending(name)]
