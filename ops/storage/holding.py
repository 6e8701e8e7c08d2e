"""Holding copies: a folder of files, each known by its SHA-256, and answers to challenges about them over HTTP.

Files are hashed when they are first seen and again when their time, size or place on the disk changed; in memory stay
32 bytes for 64 KiB of each. A chunk is compared with its hash again before it is shown, so what the disk has lost in
silence is said to be lost. Links are not followed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import msgspec

from ledger.chunks import CHUNK_BYTES, Chunking, ChunkTree
from ledger.errors import NotFoundError
from ledger.keys import SecretKey
from ledger.merkle import leaf_hash
from ledger.possession import Deposit, answer
from ledger.records import Hex64
from ops.serving import Application

PATH: Final = "/possession"
MAX_ASKED_BYTES: Final = 1_024
BODY_SECONDS: Final = 10.0
AT_ONCE: Final = 8
"""How many answers, of up to 1.5 MB, are made or sent at the same time."""

SCAN_SECONDS: Final = 60.0
_PIECE_BYTES: Final = 1 << 20
_LOG: Final = logging.getLogger(__name__)


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    checkpoint_root: Hex64
    sha256: Hex64


@dataclass(frozen=True, slots=True)
class _Held:
    """A file as it was read: `mark` is by what a change is noticed."""

    path: Path
    mark: tuple[int, ...]
    deposit: Deposit
    tree: ChunkTree


@dataclass(frozen=True, slots=True)
class Scan:
    """What is in the folder: files that can be answered for, their bytes, and how much could not be read."""

    files: int
    bytes: int
    unreadable: int


class Holdings:
    """The files below a folder, for which a key answers; may be asked from several threads."""

    def __init__(self, folder: Path, key: SecretKey) -> None:
        self._folder = folder
        self._key = key
        self._by_path: dict[Path, _Held] = {}
        self._by_hash: dict[bytes, list[_Held]] = {}

    def scan(self) -> Scan:
        """Look for new, changed and removed files; reads those that were not read yet. From one thread at a time."""
        found: dict[Path, _Held] = {}
        unreadable = 0
        for path in self._paths():
            if path is None:
                unreadable += 1
                continue
            try:
                met = os.lstat(path)
                if not stat.S_ISREG(met.st_mode):
                    continue
                held = self._by_path.get(path)
                if held is None or held.mark != _mark(met):
                    held = _read(path)
            except OSError:
                held = None
            if held is None:
                unreadable += 1
            else:
                found[path] = held
        by_hash: dict[bytes, list[_Held]] = {}
        for held in found.values():
            by_hash.setdefault(held.deposit.sha256, []).append(held)
        self._by_path, self._by_hash = found, by_hash
        return Scan(len(found), sum(held.deposit.length for held in found.values()), unreadable)

    def answer(self, checkpoint_root: bytes, content_sha256: bytes) -> bytes:
        """Answer a challenge; both are 32 bytes.

        Raises:
            NotFoundError: there is no such file, or none that is whole.
        """
        for held in self._by_hash.get(content_sha256, ()):
            try:
                with _opened(held.path) as file:
                    if _mark(os.fstat(file)) != held.mark:
                        continue  # another file since; the next scan reads it
                    read = partial(_chunk, file, held.tree)
                    return answer(self._key, checkpoint_root, held.deposit, held.tree, read)
            except (OSError, _DamagedError) as error:
                _LOG.error("%s cannot be shown: %s", held.path, error)
        raise NotFoundError("there is no whole copy of this content here", place=content_sha256.hex(), cure="")

    def _paths(self) -> Iterator[Path | None]:
        """Yield what is below the folder, whatever it is; None for each folder that cannot be listed."""
        unlisted: list[OSError] = []
        for folder, _, names in os.walk(self._folder, onerror=unlisted.append):
            yield from (Path(folder, name) for name in names)
        yield from (None for _ in unlisted)


class _DamagedError(Exception):
    """A chunk is not what it was when its file was read."""


@contextmanager
def watching(holdings: Holdings, seconds: float = SCAN_SECONDS) -> Iterator[None]:
    """Scan again and again from a thread, until the end of the block."""
    ending = threading.Event()

    def scan() -> None:
        while not ending.wait(seconds):
            try:
                holdings.scan()
            except Exception:
                # What is known stays known, and the next scan may go well.
                _LOG.exception("the folder could not be looked through")

    # A daemon: a long file must not keep the process from ending.
    threading.Thread(target=scan, name="scanning", daemon=True).start()
    try:
        yield
    finally:
        ending.set()


def create_holder_app(holdings: Holdings) -> Application:
    """Return the application that answers `POST /possession`, in JSON, and refuses anything else in plain text."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        if scope["type"] != "http":
            return
        asked = await _asked(scope, receive)
        if isinstance(asked, _Asked):
            async with turns:
                await _send(send, *await asyncio.to_thread(_answered, holdings, asked))
        else:
            await _send(send, *asked)

    return app


async def _asked(scope: Any, receive: Any) -> _Asked | tuple[HTTPStatus, bytes]:
    """Return the challenge of a request, or how to refuse it."""
    if scope["path"] != PATH:
        return HTTPStatus.NOT_FOUND, b"challenges are answered at /possession\n"
    if scope["method"] != "POST":
        return HTTPStatus.METHOD_NOT_ALLOWED, b"challenges are sent with POST\n"
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return msgspec.json.decode(await _body(receive), type=_Asked)
    except TimeoutError:
        return HTTPStatus.REQUEST_TIMEOUT, b"the challenge did not come whole\n"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return HTTPStatus.BAD_REQUEST, b"a challenge is {checkpoint_root, sha256}, both of 64 hex digits\n"


def _answered(holdings: Holdings, asked: _Asked) -> tuple[HTTPStatus, bytes]:
    try:
        return HTTPStatus.OK, holdings.answer(bytes.fromhex(asked.checkpoint_root), bytes.fromhex(asked.sha256))
    except NotFoundError as error:
        return HTTPStatus.NOT_FOUND, f"{error.message}\n".encode()


async def _body(receive: Any) -> bytes:
    """Return a request's body; nothing of one that is longer than any challenge."""
    body, is_whole = b"", False
    while not is_whole:
        message = await receive()
        body += bytes(message.get("body", b""))
        if message["type"] != "http.request" or len(body) > MAX_ASKED_BYTES:
            return b""
        is_whole = not message.get("more_body", False)
    return body


async def _send(send: Any, status: HTTPStatus, content: bytes) -> None:
    kind = b"application/json" if status == HTTPStatus.OK else b"text/plain; charset=utf-8"
    headers = [(b"content-type", kind), (b"content-length", str(len(content)).encode())]
    headers += [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _live(receive: Any, send: Any) -> None:
    while True:
        phase = (await receive())["type"]
        await send({"type": f"{phase}.complete"})
        if phase == "lifespan.shutdown":
            return


def _mark(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open a file that is no link, and no device that would make us wait; yields its descriptor."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(path: Path) -> _Held | None:
    """Read a file; None where it is no ordinary one, or changes meanwhile."""
    content, chunking = sha256(), Chunking()
    with _opened(path) as file:
        before = os.fstat(file)
        if not stat.S_ISREG(before.st_mode):
            return None
        while piece := os.read(file, _PIECE_BYTES):
            content.update(piece)
            chunking.update(piece)
        if _mark(os.fstat(file)) != _mark(before):
            return None
    tree = chunking.tree()
    return _Held(path, _mark(before), Deposit(content.digest(), before.st_size, tree.root()), tree)


def _chunk(file: int, tree: ChunkTree, index: int) -> bytes:
    data = os.pread(file, CHUNK_BYTES, index * CHUNK_BYTES)
    if leaf_hash(data) != tree.leaf(index):
        raise _DamagedError(f"chunk {index} is damaged")
    return data
