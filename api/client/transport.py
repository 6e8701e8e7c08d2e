"""One registry over HTTP, for synchronous callers: bounded in bytes and in time, whatever it does.

Requests run on an event loop with a thread of its own, where a deadline ends them wherever they hang. Nothing is sent
but what the caller gives: no cookies, no credentials from anywhere else. Redirects are followed within the registry's
own address only.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, TypeVar
from urllib.parse import urljoin, urlsplit

import httpx

from api.client.bodies import MAX_PROBLEM_BYTES, parts_of, whole
from api.client.exchange import Answer, BrokenOffError, OverdueError, Request
from ledger.errors import SourceUnreadableError, UsageError

MAX_REDIRECTS: Final = 3
_HEADERS: Final = {"accept-encoding": "gzip, identity", "user-agent": "pith-ledger"}
_IDLE_SECONDS: Final = 2.0
"""Shorter than servers keep idle connections, so that none is used in the moment in which it is closed."""

_REDIRECTS: Final = (301, 302, 307, 308)
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds: `whole` for a request with all of its answer, `silence` between two signs of life."""

    whole: float = 60.0
    silence: float = 20.0


class Transport:
    """Asks one registry; safe to share between threads.

    Args:
        url: http(s)://HOST[:PORT][/PATH].
        transport: takes the place of the network.

    Raises:
        UsageError: that is no address of a registry.
    """

    def __init__(self, url: str, timeouts: Timeouts, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = _checked(url)
        self._timeouts = timeouts
        self._loop = asyncio.new_event_loop()
        # A daemon: a registry that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._loop.run_forever, name="pith-client", daemon=True)
        self._thread.start()
        self._client = httpx.AsyncClient(
            headers=_HEADERS,
            timeout=httpx.Timeout(min(timeouts.silence, timeouts.whole)),
            limits=httpx.Limits(keepalive_expiry=_IDLE_SECONDS),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
            transport=transport,
        )

    @property
    def is_confidential(self) -> bool:
        """Whether nobody on the way can read what is sent."""
        parts = urlsplit(self.url)
        return parts.scheme == "https" or parts.hostname in _LOOPBACK

    def close(self) -> None:
        """Close every connection; nothing can be asked afterwards."""
        if self._loop.is_closed():
            return
        self._run(self._end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def ask(self, request: Request) -> Answer:
        """Return the registry's answer, whatever its status.

        Raises:
            BrokenOffError: it could not be reached, or the answer broke off or took too long.
            SourceUnreadableError: the answer is longer than it may be, or leads elsewhere.
        """
        with self._named(request):
            return self._run(self._ask(request))

    @contextmanager
    def stream(self, request: Request, silence: float) -> Iterator[tuple[Answer, Iterator[bytes]]]:
        """Ask for an answer that goes on: yields its head, and its parts as they arrive.

        An answer of another status than 200 is whole, and has no parts.

        Args:
            silence: for how many seconds nothing may come.

        Raises:
            BrokenOffError: it could not be reached in time; while iterating: it broke off or fell silent.
            SourceUnreadableError: it is compressed.
        """
        with self._named(request):
            response = self._run(self._begin(request, silence))
            try:
                if response.status_code != httpx.codes.OK:
                    yield self._run(self._end(response)), iter(())
                else:
                    parts = _Parts(response)
                    try:
                        yield Answer(response.status_code, response.headers, b""), self._parts(parts)
                    finally:
                        self._leave(parts.close())
            finally:
                self._leave(response.aclose())

    # --- on the caller's thread ------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop.is_closed():
            work.close()
            raise UsageError("this client was closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            # Nobody waits any more where the caller was interrupted.
            future.cancel()

    def _leave(self, work: Coroutine[Any, Any, None]) -> None:
        """Let go of something; where the client was closed, that has happened already."""
        if self._loop.is_closed():
            work.close()
        else:
            self._run(work)

    @contextmanager
    def _named(self, request: Request) -> Iterator[None]:
        """Say of which address it is that something about a request went wrong."""
        place = f"{self.url}{request.target.partition('?')[0]}"
        try:
            yield
        except TimeoutError:
            raise OverdueError(f"no whole answer within {self._timeouts.whole:g} seconds", place=place) from None
        except httpx.ReadTimeout:
            raise BrokenOffError("it fell silent", place=place) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise SourceUnreadableError(str(error), place=place) from error
        except (httpx.HTTPError, OSError) as error:
            raise BrokenOffError(str(error) or type(error).__name__, place=place) from error
        except SourceUnreadableError as error:
            error.place = error.place or place
            raise

    def _parts(self, parts: _Parts) -> Iterator[bytes]:
        while (part := self._run(parts.next())) is not None:
            yield part

    # --- on the loop -----------------------------------------------------------------------

    async def _ask(self, request: Request) -> Answer:
        address = f"{self.url}{request.target}"
        async with asyncio.timeout(self._timeouts.whole):
            for _ in range(MAX_REDIRECTS + 1):
                response = await self._client.send(self._built(request, address), stream=True)
                try:
                    led_to = response.headers.get("location")
                    if request.method != "GET" or response.status_code not in _REDIRECTS or led_to is None:
                        return await whole(response, request.limit)
                    address = _followed(address, led_to)
                finally:
                    await response.aclose()
        raise SourceUnreadableError("it redirects again and again")

    async def _begin(self, request: Request, silence: float) -> httpx.Response:
        asked = self._built(request, f"{self.url}{request.target}")
        quiet = min(self._timeouts.silence, self._timeouts.whole)
        asked.extensions["timeout"] = {"connect": quiet, "write": quiet, "pool": quiet, "read": silence}
        async with asyncio.timeout(self._timeouts.whole):
            response = await self._client.send(asked, stream=True)
        if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            await response.aclose()
            raise SourceUnreadableError("it compresses a stream")
        return response

    async def _end_all(self) -> None:
        """End what nobody waits for any more, and let go of every connection."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._client.aclose()
        await self._loop.shutdown_asyncgens()

    async def _end(self, response: httpx.Response) -> Answer:
        async with asyncio.timeout(self._timeouts.whole):
            return await whole(response, MAX_PROBLEM_BYTES)

    def _built(self, request: Request, address: str) -> httpx.Request:
        headers = {"accept": request.accept, **request.headers, **(request.signed() if request.signed else {})}
        return self._client.build_request(request.method, address, headers=headers, content=request.body)


class _Parts:
    """The parts of a body; it may be closed also while somebody who was interrupted still waits for one."""

    def __init__(self, response: httpx.Response) -> None:
        self._parts = parts_of(response)
        self._waiting: asyncio.Task[Any] | None = None

    async def next(self) -> bytes | None:
        """Return the next part; None at the end."""
        self._waiting = asyncio.current_task()
        try:
            return await anext(self._parts, None)
        finally:
            self._waiting = None

    async def close(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.wait((self._waiting,))
        await self._parts.aclose()


def _followed(address: str, led_to: str) -> str:
    """Return where a redirect leads, which must be the same server; raises SourceUnreadableError."""
    found = urljoin(address, led_to)
    if _origin(found) != _origin(address):
        cure = "redirects to other servers are not followed: give the address that is meant"
        raise SourceUnreadableError(f"it redirects to {found[:200]!r}", cure=cure)
    return found


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "?" in url or "#" in url or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"{url[:200]!r} is no address of a registry", cure="give http(s)://HOST/PATH")
    if "@" in parts.netloc:
        raise UsageError("the address holds a user's name or a password", cure="leave them out: nothing asks for them")
    return url.rstrip("/")
