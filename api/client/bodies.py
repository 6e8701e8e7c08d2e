"""Bodies of answers, read to their end and never held longer than they may be."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, cast

import httpx

from api.client.exchange import Answer
from ledger.errors import SourceUnreadableError

MAX_PROBLEM_BYTES: Final = 256 * 1024
PACKING_BYTES: Final = 1 << 12
"""How much longer than its content a body may be that gzip could not shorten."""

_GZIP_FORMAT: Final = 31


def parts_of(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """Return a body as it comes; to be closed, or the loop finds it open when it ends."""
    return cast("AsyncGenerator[bytes, None]", response.aiter_raw())


async def whole(response: httpx.Response, limit: int) -> Answer:
    """Read an answer to its end, never holding more than the limit."""
    if response.status_code >= httpx.codes.BAD_REQUEST:
        return Answer(response.status_code, response.headers, await _problem(response))
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise SourceUnreadableError(f"it answers in the encoding {encoding[:40]!r}")
    longest = limit if encoding == "identity" else limit + limit // 1_000 + PACKING_BYTES
    body = bytearray()
    async with aclosing(parts_of(response)) as parts:
        async for part in parts:
            body += part
            if len(body) > longest:
                raise _too_long(limit)
    content = _unpacked(bytes(body), limit) if encoding == "gzip" else bytes(body)
    return Answer(response.status_code, response.headers, content)


async def _problem(response: httpx.Response) -> bytes:
    """Read what a refusal says; nothing where it says too much, or in a form of its own."""
    body = bytearray()
    async with aclosing(parts_of(response)) as parts:
        async for part in parts:
            body += part
            if len(body) > MAX_PROBLEM_BYTES:
                return b""
    return bytes(body)


def _unpacked(body: bytes, limit: int) -> bytes:
    """Unpack gzip without ever holding more than the limit."""
    unpacking = zlib.decompressobj(_GZIP_FORMAT)
    try:
        content = unpacking.decompress(body, limit + 1)
    except zlib.error as error:
        raise SourceUnreadableError(f"what it sends is not gzip: {error}") from None
    if len(content) > limit:
        raise _too_long(limit)
    if not unpacking.eof:
        raise SourceUnreadableError("what it sends is cut off")
    return content


def _too_long(limit: int) -> SourceUnreadableError:
    return SourceUnreadableError(f"it sends more than the {limit} bytes this can have")
