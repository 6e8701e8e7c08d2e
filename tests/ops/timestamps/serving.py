"""A small HTTP server on this machine for counterparts of outside clocks, and the ways in which it fails."""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

HTML = b"<!doctype html><title>Welcome</title><p>Your \x1b[31mfree\x00 trial has ended.</p>"
HUGE = 10_000_000


@dataclass(slots=True)
class Switches:
    """What goes wrong, from the next request on; all can be set and taken back while the server runs.

    `down` answers 503, `refusing` closes the connection without a word, `hanging` never answers, `endless` answers a
    body without end, `huge` one of 10 MB, `garbage` a page of HTML with status 200, and `status` any other status.
    """

    down: bool = False
    refusing: bool = False
    hanging: bool = False
    endless: bool = False
    huge: bool = False
    garbage: bool = False
    status: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status, content type and body."""

    status: int
    body: bytes
    type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, with the headers by lower-case name."""

    method: str
    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Served:
    """A server on 127.0.0.1, at a port of the system's choice; a context manager.

    `prefix` is a path that everything stands below. Children answer in `answer`, which several threads may call.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.switches = Switches()
        self.requests: list[Request] = []
        self.paths: Counter[str] = Counter()
        self._over = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def answer(self, request: Request) -> Reply:
        """Return the answer to a request whose path stands below the prefix."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.prefix}"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def wait_for_the_end(self) -> None:
        self._over.wait()

    @property
    def over(self) -> bool:
        return self._over.is_set()

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, served: Served) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.served = served

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no event."""


class _Exchange(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def _handle(self) -> None:
        served, switches = self.server.served, self.server.served.switches
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        served.paths[self.path] += 1
        served.requests.append(Request(self.command, self.path, body, headers))
        if switches.refusing:
            # Lingering for no time at all resets the connection.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        if switches.hanging:
            served.wait_for_the_end()
            return
        if switches.endless:
            self._never_end()
            return
        self._send(self._failure() or self._answer(body, headers))

    def _failure(self) -> Reply | None:
        switches = self.server.served.switches
        if switches.down:
            return Reply(503, b"Down for maintenance", "text/plain")
        if switches.status:
            return Reply(switches.status, b"Not today\n", "text/plain")
        if switches.garbage:
            return Reply(200, HTML, "text/html")
        if switches.huge:
            return Reply(200, bytes(HUGE))
        return None

    def _answer(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        served = self.server.served
        if not self.path.startswith(served.prefix):
            return Reply(404, b"Nothing here", "text/plain")
        return served.answer(Request(self.command, self.path.removeprefix(served.prefix), body, headers))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("content-type", reply.type)
        self.send_header("content-length", str(len(reply.body)))
        if 300 <= reply.status < 400:
            self.send_header("location", f"{self.server.served.url}/elsewhere")
        self.end_headers()
        self.wfile.write(reply.body)

    def _never_end(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        while not self.server.served.over:
            self.wfile.write(bytes(4096))

    def log_message(self, *_: object) -> None:
        pass
