"""Writing files that are either there in full or not at all, also after a power cut."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec


def write_whole(path: Path, content: bytes) -> None:
    """Write or replace a file: on the disk under another name first, then renamed.

    Raises:
        OSError: it cannot be written; what was there is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own, since other processes may write the same file at this moment.
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        with unfinished.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Put the names in a folder on the disk."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock file, waiting until no other process does."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def as_file(value: Any) -> bytes:
    """Return a JSON value as the text of a file."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
