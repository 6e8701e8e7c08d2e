"""Fetching small answers from an address that need not be friendly: bounded in bytes and in time, whatever it does.

Requests run on an event loop with a thread of its own. There a deadline ends a request wherever it hangs:
while connecting, between two bytes of a header, or in a body that never ends.
"""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import httpx

from ledger.errors import NotFoundError, SourceUnreadableError

DEADLINE_SECONDS: Final = 60.0
SILENCE_SECONDS: Final = 15.0
PACKING_BYTES: Final = 1 << 12
"""How much longer than its content a body may be that gzip could not shorten."""

_HEADERS: Final = {"accept-encoding": "gzip, identity", "user-agent": "pith-ledger"}
_ANEW: Final = {"cache-control": "no-cache"}
_IDLE_SECONDS: Final = 2.0
"""Shorter than servers keep idle connections, so that none is used in the moment in which it is closed."""

_GZIP_FORMAT: Final = 31
_OK: Final = 200
_GONE: Final = (404, 410)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered: status, headers by lower-case name, and the whole body, unpacked."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Fetching:
    """Requests from any thread; redirects are not followed.

    Args:
        deadline: seconds until a request is given up, however much of the answer is there.
        transport: takes the place of the network.
    """

    def __init__(self, deadline: float = DEADLINE_SECONDS, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._deadline = deadline
        self._loop = asyncio.new_event_loop()
        # A daemon: a server that hangs must not keep the process from ending.
        threading.Thread(target=self._loop.run_forever, name="fetching", daemon=True).start()
        timeout = httpx.Timeout(min(SILENCE_SECONDS, deadline))
        limits = httpx.Limits(keepalive_expiry=_IDLE_SECONDS)
        self._client = httpx.AsyncClient(
            headers=_HEADERS,
            cookies=no_cookies(),
            timeout=timeout,
            limits=limits,
            follow_redirects=False,
            transport=transport,
        )

    def get(self, address: str, limit: int, *, anew: bool = False) -> bytes:
        """Return the content at an address.

        Args:
            limit: how many bytes it can have.
            anew: ask caches on the way to look whether it has changed.

        Raises:
            NotFoundError: there is nothing (404 or 410).
            SourceUnreadableError: it cannot be had, or is longer than that; says why.
        """
        return self._wait(self._ask("GET", address, limit, _ANEW if anew else {}, b"", _check_status), address).body

    def ask(
        self, method: str, address: str, limit: int, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Return what a server answers, whatever its status.

        Args:
            limit: how many bytes the answer's body can have.

        Raises:
            SourceUnreadableError: it cannot be had, or is longer than that; says why.
        """
        return self._wait(self._ask(method, address, limit, headers or {}, body, lambda *_: None), address)

    def _wait(self, asking: Coroutine[Any, Any, Answer], address: str) -> Answer:
        future = asyncio.run_coroutine_threadsafe(asking, self._loop)
        try:
            return future.result()
        except TimeoutError:
            raise SourceUnreadableError(f"no whole answer within {self._deadline:g} seconds", place=address) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise SourceUnreadableError(str(error) or type(error).__name__, place=address) from error
        except ValueError as error:
            # Such as a redirect to a host that is no name (idna.IDNAError).
            raise SourceUnreadableError("it answers with what cannot be read", place=address) from error
        finally:
            # Nobody waits any more where the caller was interrupted.
            future.cancel()

    async def _ask(
        self,
        method: str,
        address: str,
        limit: int,
        headers: Mapping[str, str],
        body: bytes,
        check: Callable[[int, str], None],
    ) -> Answer:
        request = self._client.stream(method, address, headers=headers, content=body or None)
        async with asyncio.timeout(self._deadline), request as response:
            check(response.status_code, address)
            encoding = response.headers.get("content-encoding", "identity").strip().lower()
            if encoding not in ("identity", "gzip"):
                raise SourceUnreadableError(f"it answers in the encoding {encoding[:40]!r}", place=address)
            longest = limit if encoding == "identity" else limit + limit // 1_000 + PACKING_BYTES
            received = bytearray()
            async for part in response.aiter_raw():
                received += part
                if len(received) > longest:
                    raise _too_long(limit, address)
        content = _unpacked(bytes(received), limit, address) if encoding == "gzip" else bytes(received)
        return Answer(response.status_code, response.headers, content)


def no_cookies() -> CookieJar:
    """Return a jar that takes none: what one server says is not carried to another, nor into a later request."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def _check_status(status: int, address: str) -> None:
    if status in _GONE:
        raise NotFoundError(f"there is nothing here (status {status})", place=address, cure="check the address")
    if 300 <= status < 400:
        cure = "redirects are not followed: give the address that is meant"
        raise SourceUnreadableError(f"it redirects (status {status})", place=address, cure=cure)
    if status != _OK:
        raise SourceUnreadableError(f"it answers with status {status}", place=address)


def _too_long(limit: int, address: str) -> SourceUnreadableError:
    return SourceUnreadableError(f"it sends more than the {limit} bytes this can have", place=address)


def _unpacked(body: bytes, limit: int, address: str) -> bytes:
    """Unpack gzip without ever holding more than the limit."""
    unpacking = zlib.decompressobj(_GZIP_FORMAT)
    try:
        content = unpacking.decompress(body, limit + 1)
    except zlib.error as error:
        raise SourceUnreadableError(f"what it sends is not gzip: {error}", place=address) from None
    if len(content) > limit:
        raise _too_long(limit, address)
    if not unpacking.eof:
        raise SourceUnreadableError("what it sends is cut off", place=address)
    return content
