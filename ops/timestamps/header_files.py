"""Files of block headers: a JSON object of raw headers in hex by height, as anybody can write one from a node."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from ledger.block_headers import HEADER_BYTES
from ledger.errors import UsageError

MAX_FILE_BYTES: Final = 16 * 1024 * 1024
"""Enough for 90,000 headers."""

HEADER: Final = re.compile(rf"[0-9a-fA-F]{{{2 * HEADER_BYTES}}}")
HEIGHT: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_HIGHEST: Final = 1 << 31


def read_headers(path: Path) -> dict[int, bytes]:
    """Return the raw 80-byte headers of a file by height: a JSON object `{"358391": "02000000b963…"}` in hex.

    Raises:
        UsageError: the file cannot be read, is longer than MAX_FILE_BYTES, or is something else.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"the headers cannot be read: {error.strerror}", place=str(path)) from error
    if len(raw) > MAX_FILE_BYTES:
        raise UsageError(f"the file has more than {MAX_FILE_BYTES} bytes", place=str(path))
    try:
        told = json.loads(raw.decode(), object_pairs_hook=_headers)
    except RecursionError:
        raise _no_headers(path, "it is nested") from None
    except ValueError as error:
        raise _no_headers(path, str(error)[:160]) from None
    if not isinstance(told, dict):
        raise _no_headers(path, "it is no object")
    return told


def _headers(pairs: list[tuple[str, Any]]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for height, header in pairs:
        if not HEIGHT.fullmatch(height) or int(height) >= _HIGHEST:
            raise ValueError(f"{height[:40]!r} is no height of a block")
        if not isinstance(header, str) or not HEADER.fullmatch(header):
            raise ValueError(f"the header of block {height} is not {2 * HEADER_BYTES} hex digits")
        if int(height) in found:
            raise ValueError(f"block {height} stands more than once")
        found[int(height)] = bytes.fromhex(header)
    return found


def _no_headers(path: Path, reason: str) -> UsageError:
    cure = 'give a JSON object of block headers in hex by height, such as {"358391": "02000000b963…"}'
    return UsageError(f"this is no file of block headers: {reason}", place=str(path), cure=cure)
