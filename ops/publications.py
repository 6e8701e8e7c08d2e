"""The three places a log is read from: the registry's own store, a folder of files, an address.

They answer alike. What comes from a folder or an address is bounded in size, and not trusted: it is for the
caller to prove it against a checkpoint.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ledger.errors import NotFoundError, SourceUnreadableError, UsageError
from ledger.merkle import HASH_BYTES
from ledger.notes import MAX_NOTE_BYTES
from ledger.proofs.authority import identity
from ledger.proofs.stream import Stream
from ledger.publication import CHECKPOINT_PATH, IDENTITY_PATH, Publication
from ledger.store import Store
from ledger.tiles import ENTRIES, MAX_ENTRY_BYTES, WIDTH, Tile, pack_entries, unpack_entries, unpack_hashes
from ops.whole_files import as_file

if TYPE_CHECKING:
    from ops.fetching import Fetching

MAX_IDENTITY_BYTES: Final = 16 << 20
LENGTH_BYTES: Final = 2


class StorePublication:
    """What a registry's own store has published: nothing beyond the published checkpoint."""

    def __init__(self, store: Store, stream: Callable[[int], Stream | None] = lambda _: None) -> None:
        """Publish what is in a store.

        Args:
            stream: gives the registry's stream, where it is at hand, as far as so many entries at least.
        """
        self._store = store
        self._stream = stream
        self._lock = threading.Lock()
        self._identity: tuple[int, bytes] | None = None

    def checkpoint(self) -> bytes:
        """Return the published note; raises NotFoundError where there is none."""
        return self._store.checkpoints.published().note

    def tile(self, tile: Tile) -> bytes:
        """Return a tile of any width that the published tree reaches; raises NotFoundError beyond it."""
        return self._store.tree.tile(tile, self._store.checkpoints.published().size)

    def identity(self) -> bytes:
        """Return the identity as the store has it since the published checkpoint; raises as `checkpoint` does."""
        size = self._store.checkpoints.published().size
        with self._lock:
            if self._identity is None or self._identity[0] != size:
                self._identity = size, as_file(identity(self._store, self._stream(size)))
            return self._identity[1]


class FolderPublication:
    """A log as a folder of files: an export, or what a mirror keeps."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def checkpoint(self) -> bytes:
        """Return the file `checkpoint`; raises as `tile` does."""
        return self.file(CHECKPOINT_PATH, MAX_NOTE_BYTES)

    def identity(self) -> bytes:
        """Return the file `pith-log.json`; raises as `tile` does."""
        return self.file(IDENTITY_PATH, MAX_IDENTITY_BYTES)

    def tile(self, tile: Tile) -> bytes:
        """Return a tile, where need be the beginning of the full one that took the place of a partial one.

        Raises:
            NotFoundError: there is no such file in the folder.
            SourceUnreadableError: it cannot be read, or is longer than it can be.
            VerificationError: step `tile`; not as many hashes or entries as the tile has.
        """
        return _tile(self.file, tile)

    def file(self, path: str, limit: int) -> bytes:
        """Return a file of at most so many bytes; raises as `tile` does."""
        place = str(self._folder)
        missing = NotFoundError(f"there is no {path} in the folder", place=place, cure="check the folder")
        try:
            # Whoever made the folder may have put links into it that lead anywhere, or a pipe that never ends.
            found = Path(os.path.realpath(self._folder / path, strict=True))
            if not found.is_relative_to(os.path.realpath(self._folder)):
                raise missing
            with open(found, "rb", opener=_without_waiting) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise missing
                content = file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise missing from None
        except OSError as error:
            cure = "check the folder and its permissions"
            raise SourceUnreadableError(f"{path} cannot be read: {error.strerror}", place=place, cure=cure) from error
        if len(content) > limit:
            raise SourceUnreadableError(f"{path} has more than the {limit} bytes this can have", place=place, cure="")
        return content


class HttpPublication:
    """A log at an address, as C2SP tlog-tiles lays it out below it; safe to share between threads."""

    def __init__(self, url: str, fetching: Fetching) -> None:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable or "?" in url or "#" in url:
            raise UsageError(f"{url[:200]!r} is no address of a log", cure="give http(s)://HOST/PATH")
        # Loopback and private addresses are fine: the operator names this one, and no answer leads to another.
        self._url = url.rstrip("/")
        self._fetching = fetching

    def checkpoint(self) -> bytes:
        """Return what is at `/checkpoint`; raises as `tile` does."""
        return self._fetching.get(f"{self._url}/{CHECKPOINT_PATH}", MAX_NOTE_BYTES, anew=True)

    def identity(self) -> bytes:
        """Return what is at `/pith-log.json`; raises as `tile` does."""
        return self._fetching.get(f"{self._url}/{IDENTITY_PATH}", MAX_IDENTITY_BYTES, anew=True)

    def tile(self, tile: Tile) -> bytes:
        """Return a tile, where need be the beginning of the full one that took the place of a partial one.

        Raises:
            NotFoundError: there is no such file.
            SourceUnreadableError: it cannot be had, or is longer than it can be; names the address and says why.
            VerificationError: step `tile`; not as many hashes or entries as the tile has.
        """
        return _tile(self._get, tile)

    def _get(self, path: str, limit: int) -> bytes:
        return self._fetching.get(f"{self._url}/{path}", limit)


def open_publication(text: str) -> Publication:
    """Open what an operator named: an http(s) address, or a folder.

    Raises:
        UsageError: it is neither.
    """
    if "://" not in text:
        return open_folder(Path(text))
    from ops.fetching import Fetching  # only here, since the HTTP client takes a third of a second to load

    return HttpPublication(text, Fetching())


def open_folder(folder: Path) -> FolderPublication:
    """Open a folder with a log's files; raises UsageError where there is none."""
    if not folder.is_dir():
        raise UsageError("there is no such folder", place=str(folder), cure="give a log's folder, or http(s)://…")
    return FolderPublication(folder)


def _tile(read: Callable[[str, int], bytes], tile: Tile) -> bytes:
    """Read a tile's file; a partial one may be gone once the full one is there (C2SP tlog-tiles, partial tiles)."""
    try:
        return _checked(tile, read(tile.path(), _longest(tile)))
    except NotFoundError as error:
        if tile.width == WIDTH:
            raise
        missing = error
    full = Tile(tile.level, tile.index)
    try:
        data = read(full.path(), _longest(full))
    except NotFoundError:
        raise missing from None
    if tile.level == ENTRIES:
        return pack_entries(unpack_entries(data, WIDTH)[: tile.width])
    return _checked(full, data)[: tile.width * HASH_BYTES]


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def _longest(tile: Tile) -> int:
    return tile.width * (LENGTH_BYTES + MAX_ENTRY_BYTES if tile.level == ENTRIES else HASH_BYTES)


def _checked(tile: Tile, data: bytes) -> bytes:
    if tile.level == ENTRIES:
        unpack_entries(data, tile.width)
    else:
        unpack_hashes(data, tile.width)
    return data
