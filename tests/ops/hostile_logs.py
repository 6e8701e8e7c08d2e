"""Servers that answer as no log should: each gets a raw connection and the request line, and may do anything."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass(slots=True)
class Connection:
    """One request to a hostile server; `over` is set when the test is."""

    socket: socket.socket
    path: str
    over: threading.Event

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def head(self, status: str, **headers: object) -> None:
        lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
        self.send(f"HTTP/1.1 {status}\r\nconnection: close\r\n{''.join(lines)}\r\n".encode())

    def answer(self, content: bytes, status: str = "200 OK", **headers: object) -> None:
        self.head(status, content_length=len(content), **headers)
        self.send(content)

    def dribble(self, part: bytes) -> None:
        """Send the same little for ever, each long before a client would call it silence."""
        while not self.over.wait(0.02):
            self.send(part)


Behaviour = Callable[[Connection], object]


@dataclass(slots=True)
class HostileLog:
    """A server with one behaviour; `paths` are what it was asked for."""

    address: str
    paths: list[str] = field(default_factory=list)


@contextmanager
def hostile_log(behave: Behaviour) -> Iterator[HostileLog]:
    """Run a hostile server for the length of a test."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        log = HostileLog(f"http://127.0.0.1:{listener.getsockname()[1]}")

        def answer(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                asked = b""
                while b"\r\n\r\n" not in asked and (part := connection.recv(65_536)):
                    asked += part
                path = asked.split(b" ")[1].decode() if asked else ""
                log.paths.append(path)
                behave(Connection(connection, path, over))

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield log
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
