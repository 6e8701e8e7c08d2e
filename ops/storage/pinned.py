"""HTTP to guarded addresses: each request is checked, its host resolved once, and that very address connected to.

TLS still checks the certificate against the name. No proxy is asked, whatever the environment says, and no connection
is kept: the next request is checked and resolved anew.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import httpcore
import httpx

from ops.storage.guard import Guard

MAX_TRIED: Final = 4
"""How many of a host's addresses are tried before it counts as unreachable."""

_FAILURES: Final = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects to what the guard has looked at, and to nothing else."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await asyncio.to_thread(self._guard.addresses, host, port)
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses[:MAX_TRIED]:
            try:
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._response.aiter_stream():
                yield part
        except _FAILURES as error:
            raise _translated(error) from error

    async def aclose(self) -> None:
        await self._response.aclose()


class GuardedTransport(httpx.AsyncBaseTransport):
    """A transport for `httpx` (also for `ops.fetching.Fetching`) that keeps to a guard.

    What is not allowed raises AddressRefusedError, a name without address ServiceUnavailableError.

    Args:
        tls: takes the place of the usual authorities.
    """

    def __init__(self, guard: Guard, tls: ssl.SSLContext | None = None) -> None:
        self._guard = guard
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or httpx.create_ssl_context(trust_env=False),
            max_keepalive_connections=0,
            network_backend=_Backend(guard),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        target = self._guard.check(str(request.url))
        asked = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=request.url.raw_path
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            response = await self._pool.handle_async_request(asked)
        except _FAILURES as error:
            raise _translated(error) from error
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


def _translated(error: Exception) -> httpx.TransportError:
    """Say in `httpx`'s classes what went wrong below it."""
    reason = str(error) or type(error).__name__
    if isinstance(error, httpcore.TimeoutException):
        return httpx.TimeoutException(reason)
    return httpx.TransportError(reason)
