"""Serving an application over HTTP in the foreground, until the process is told to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ledger.errors import UsageError

DRAIN_SECONDS: Final = 10
"""How long answers under way may take once the process was told to stop."""

MAX_CONNECTIONS: Final = 400
"""Well below the usual limit of 1,024 open files, of which databases and answers need some too."""

REQUEST_SECONDS: Final = 10
"""How long a connection may take to send the head of a request; it is looked at so often."""

UNREAD_SECONDS: Final = 15
"""How long a client may leave unread what was sent to it, once the buffers on the way are full."""

MAX_HEAD_BYTES: Final = 64 * 1024
"""More than any client means; what comes with a head's end, such as the beginning of a body, is not counted."""

Application = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application, such as a Litestar."""

Announce = Callable[[str], None]
"""Takes the address, such as `http://127.0.0.1:8080`."""


def serve(
    app: Application,
    host: str,
    port: int,
    announce: Announce,
    trusted_proxies: Sequence[str] = (),
    ending: Callable[[], None] = lambda: None,
) -> None:
    """Serve an application until SIGINT or SIGTERM, then finish what is under way and return.

    Must be called from the main thread, which is where signals arrive.

    Args:
        port: 0 lets the system choose one.
        announce: called once, as soon as connections are answered, with the real address.
        trusted_proxies: addresses and networks that are believed about whom they speak for (X-Forwarded-For,
            X-Forwarded-Proto).
        ending: called once on the event loop when the process was told to stop, to end answers that have no end.

    Raises:
        UsageError: the address cannot be listened on.
    """
    with _listening(host, port) as listener:
        config = uvicorn.Config(
            app,
            access_log=False,
            log_config=None,
            lifespan="on",
            loop="auto",  # uvloop, where there is one
            http=_Bounded,
            ws="none",
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        server = _Server(config, announce, ending)
        with _stopped_by_signals(server):
            server.run(sockets=[listener])


class _Bounded(HttpToolsProtocol):
    """HTTP/1.1 for addresses that anybody may reach: so many connections, each of which soon says what it wants."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self._head_bytes = 0
        self._in_head = True
        self._silent_since = self.loop.time()
        self.loop.call_later(REQUEST_SECONDS, self._look)

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        # The parser takes a head of any length, and keeps all of it.
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        super().on_headers_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread.cancel()

    def on_response_complete(self) -> None:
        self._silent_since = self.loop.time()
        super().on_response_complete()

    def _look(self) -> None:
        """End the connection if it has asked for nothing whole in a while; look again later if not."""
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle
        is_answering = cycle is not None and not cycle.response_complete
        if not is_answering and self.loop.time() - self._silent_since >= REQUEST_SECONDS:
            self.transport.abort()
            return
        self.loop.call_later(REQUEST_SECONDS, self._look)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, announce: Announce, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce
        self._ending = ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            self._announce(_address(listener))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending()
        await super().shutdown(sockets)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # Made anew with its protocol named: asyncio sends small answers at once (TCP_NODELAY) only where it is.
        listener = socket.socket(fileno=socket.create_server((host, port), family=family).detach())
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot listen on {host} port {port}: {reason}", cure="choose another --host or --port"
        ) from None
    with listener:
        yield listener


@contextmanager
def _stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the server and nothing more.

    Uvicorn raises each signal again once it has stopped, for whoever was there before it; left to the
    defaults, that would end the process before its databases are closed.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
