"""Witnesses that answer as no witness should, over real HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behaviour = Callable[["Exchange"], None]


class Exchange(BaseHTTPRequestHandler):
    """One request to a hostile server, whose body has been read, and the ways to answer it."""

    server: HostileServer
    body: bytes

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers["content-length"]))
        self.server.bodies.append(self.body)
        try:
            self.server.behave(self)
        except OSError:
            self.close_connection = True  # The client has had enough.

    def do_GET(self) -> None:
        self.server.bodies.append(b"GET " + self.path.encode())
        self.answer(200, b"you followed me\n")

    def answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"content-length": str(len(content)), "content-type": "text/plain", **named}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def start(self, **headers: str) -> None:
        """Begin an answer whose length is not told."""
        self.close_connection = True
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def wait_for_the_end(self) -> None:
        """Say nothing more until the test is over."""
        self.server.over.wait()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class HostileServer(ThreadingHTTPServer):
    """A server with one behaviour; `bodies` are the requests it got."""

    def __init__(self, behave: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.behave = behave
        self.bodies: list[bytes] = []
        self.over = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def hostile(behave: Behaviour) -> Iterator[HostileServer]:
    server = HostileServer(behave)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def closed_port() -> str:
    """Return an address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
