"""Applications of a few addresses behind a real front, and requests that no client would send."""

from __future__ import annotations

import http.client
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from litestar import Litestar

from api.front.metrics import Metrics
from api.front.middleware import Front
from api.front.rates import Limits
from api.problems import HANDLERS
from tests.api.registry import Registry

MAX_BODY_BYTES = 100_000


class Moment:
    """A clock of seconds that stands still until it is moved on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True)
class Fronted:
    """A served application; `metrics` are its figures."""

    address: str
    metrics: Metrics


@contextmanager
def fronted(
    registry: Registry, *handlers: Any, limits: Mapping[str, int] | None = None, **options: Any
) -> Iterator[Fronted]:
    """Serve handlers behind a front of their own.

    Args:
        options: those of `Front`; `monotonic` is also the clock of the limits.
    """
    app = Litestar(
        [*handlers],
        openapi_config=None,
        logging_config=None,
        exception_handlers=HANDLERS,
        request_max_body_size=MAX_BODY_BYTES,
    )
    metrics = Metrics(registry.parts.present, registry.parts.clock)
    clock = {"monotonic": options["monotonic"]} if "monotonic" in options else {}
    app.asgi_handler = Front(app.asgi_handler, Limits(limits or {}, **clock), metrics, os.urandom, **options)
    with listening(app) as address:
        yield Fronted(address, metrics)


@contextmanager
def listening(app: Any, http: str = "httptools") -> Iterator[str]:
    """Serve an application to whom nobody is trusted to speak for others; yields its address.

    Args:
        http: which of the server's readers of HTTP/1.1.
    """
    listener = socket.socket(fileno=socket.create_server(("127.0.0.1", 0)).detach())
    config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", proxy_headers=False, http=http)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came; `status` is 0 where the connection was cut without one."""

    status: int
    headers: dict[str, str]
    content: bytes


class _Received:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._content)


def sent(address: str, request: bytes, *, then: bytes = b"", patience: float = 30.0) -> Answer:
    """Send bytes as they stand, and return the first answer.

    Args:
        then: sent again and again afterwards, until the server answers or hangs up.
    """
    host, _, port = urlsplit(address).netloc.rpartition(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=patience) as connection:
        try:
            connection.sendall(request)
            while then:
                connection.settimeout(0.01)
                try:
                    if not (part := connection.recv(65_536)):
                        break
                    received += part
                    break
                except TimeoutError:
                    connection.settimeout(patience)
                    connection.sendall(then)
            connection.settimeout(patience)
            while not _is_whole(received):
                if not (part := connection.recv(65_536)):
                    break
                received += part
        except (ConnectionError, BrokenPipeError):
            pass
    return parsed(received)


def parsed(received: bytes) -> Answer:
    """Read the first answer out of what was received."""
    if not received:
        return Answer(0, {}, b"")
    answer = http.client.HTTPResponse(_Received(received))  # type: ignore[arg-type]
    answer.begin()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    try:
        content = answer.read()
    except http.client.IncompleteRead as broken:
        content = broken.partial
    return Answer(answer.status, headers, content)


def _is_whole(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
        if line == b"transfer-encoding: chunked":
            return body.endswith(b"0\r\n\r\n")
    return False
