"""Answers in gzip (RFC 1952) for those who take it, under a tag of their own, and compressed once where they have one.

The framework's own compression takes no weights, keeps one ETag for both forms and compresses at every request.
Tiles, streams of events and what may be for one asker only (`private`, cookies, an answer to credentials that is not
`public`) stay as they are: beside text of somebody else's choosing, a secret could be guessed from the length (BREACH).
"""

from __future__ import annotations

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

MIN_BYTES: Final = 1_024
LEVEL: Final = 6
CACHE_BYTES: Final = 32 * 1024 * 1024
"""How many bytes of compressed answers are kept."""

_GZIP_FORMAT: Final = 31
_ASIDE_BYTES: Final = 64 * 1024
"""From here on it takes longer than handing it to a thread."""

_ENTRY_BYTES: Final = 400
"""What an entry takes beside its bytes."""

_MARK: Final = b'-gzip"'
_TEXT_KINDS: Final = (b"json", b"javascript", b"xml")

RawHeaders = list[tuple[bytes, bytes]]
Key = tuple[str, bytes, bytes, bytes, int]
"""Path, query, tag, media type and length: what tells one answer from every other."""

_VARY: Final = (b"vary", b"accept-encoding")
_GZIP: Final = (b"content-encoding", b"gzip")


@lru_cache(256)
def is_accepted(accept_encoding: bytes) -> bool:
    """Say whether gzip may be sent for an Accept-Encoding (RFC 9110, 12.5.3)."""
    weights: dict[bytes, float] = {}
    for choice in accept_encoding.lower().split(b","):
        name, _, parameter = choice.partition(b";")
        parameter = parameter.strip()
        try:
            weight = float(parameter[2:]) if parameter.startswith(b"q=") else 1.0
        except ValueError:
            weight = 0.0
        weights[name.strip()] = weight
    gzip = max(weights.get(b"gzip", -1.0), weights.get(b"x-gzip", -1.0))
    if gzip < 0:
        gzip = weights.get(b"*", 0.0)
    return gzip > 0 and gzip >= weights.get(b"identity", 0.0)


@lru_cache(256)
def is_text(content_type: bytes) -> bool:
    """Say whether a media type is text that compresses; a stream of events (SSE) must not wait for more of it."""
    kind = content_type.partition(b";")[0].strip().lower()
    if kind.startswith(b"text/"):
        return kind != b"text/event-stream"
    return any(part in kind for part in _TEXT_KINDS)


def marked(tag: bytes) -> bytes:
    """Return the tag of the compressed form; strong tags of two forms must differ (RFC 9110, 8.8.3.3)."""
    return tag[:-1] + _MARK if tag.endswith(b'"') else tag


def unmarked(headers: RawHeaders) -> RawHeaders:
    """Return a request's headers with the tags in If-None-Match as handlers know them."""
    return [
        (name, value.replace(_MARK, b'"')) if name == b"if-none-match" and _MARK in value else (name, value)
        for name, value in headers
    ]


def is_eligible(told: Mapping[bytes, bytes], *, has_credentials: bool) -> bool:
    """Say whether an answer may be sent compressed, whatever its length.

    Args:
        told: its headers.
        has_credentials: the request says who asks, so that the answer may be for them alone.
    """
    if not is_text(told.get(b"content-type", b"")) or b"content-encoding" in told or b"set-cookie" in told:
        return False
    lifetime = told.get(b"cache-control", b"")
    return b"private" not in lifetime and (not has_credentials or b"public" in lifetime)


def unchanged(headers: RawHeaders, conditions: bytes) -> RawHeaders:
    """Return the headers of a 304 with the tag that the asker named, which may be that of the compressed form."""
    kept = [(name, marked(tag) if name == b"etag" and marked(tag) in conditions else tag) for name, tag in headers]
    return [*kept, _VARY]


class Compressed:
    """Compressed answers, the most recently asked for of them; for one event loop."""

    def __init__(self, most_bytes: int = CACHE_BYTES) -> None:
        self._most_bytes = most_bytes
        self.kept_bytes = 0
        self._found: OrderedDict[Key, bytes] = OrderedDict()

    async def answer(
        self, scope: Mapping[str, Any], headers: RawHeaders, body: bytes, *, is_accepted: bool
    ) -> tuple[RawHeaders, bytes]:
        """Return the head and body in which an eligible answer is sent to this asker."""
        told = dict(headers)
        is_head = scope["method"] == "HEAD"
        length = int(told.get(b"content-length", b"0")) if is_head else len(body)
        if length < MIN_BYTES:
            return headers, body
        if not is_accepted:
            return [*headers, _VARY], body
        tag = told.get(b"etag")
        changed = [(name, value) for name, value in headers if name not in (b"content-length", b"etag")]
        changed += [_VARY, _GZIP]
        if tag is not None:
            changed.append((b"etag", marked(tag)))
        if is_head:
            return changed, body
        key = None
        if tag is not None:
            key = (scope["path"], scope["query_string"], tag, told[b"content-type"], length)
        packed = await self._packed(body, key)
        return [*changed, (b"content-length", str(len(packed)).encode())], packed

    async def _packed(self, body: bytes, key: Key | None) -> bytes:
        if key is not None and (found := self._found.get(key)) is not None:
            self._found.move_to_end(key)
            return found
        found = await asyncio.to_thread(_gzip, body) if len(body) >= _ASIDE_BYTES else _gzip(body)
        if key is not None and key not in self._found and _size(key, found) <= self._most_bytes // 8:
            self._keep(key, found)
        return found

    def _keep(self, key: Key, found: bytes) -> None:
        self._found[key] = found
        self.kept_bytes += _size(key, found)
        while self.kept_bytes > self._most_bytes:
            self.kept_bytes -= _size(*self._found.popitem(last=False))


def _size(key: Key, found: bytes) -> int:
    return len(found) + sum(map(len, key[:4])) + _ENTRY_BYTES


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, LEVEL, _GZIP_FORMAT)
