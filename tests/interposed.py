"""A wire between a client and a PostgreSQL server that a test can cut, hold or change at a chosen message."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

SOCKET = ".s.PGSQL.5432"
Change = Callable[[bytes], bytes]


def _same(data: bytes) -> bytes:
    return data


@dataclass(slots=True)
class Wire:
    """Passes bytes on; `lose_answer_to` makes it pass one message on and cut the line before its answer arrives."""

    folder: Path
    server: Path
    to_client: Change = _same
    lose_answer_to: bytes = b""
    lost: threading.Event = field(default_factory=threading.Event)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self.folder), safe='')}"

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self.server / SOCKET))
            for one, other, is_client in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=(one, other, is_client), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if is_client and self.lose_answer_to and self.lose_answer_to in data:
                    self.lose_answer_to = b""
                    source.shutdown(socket.SHUT_RDWR)  # the client hears no answer, the server still has the question
                    target.sendall(data)
                    self.lost.set()
                    return
                target.sendall(data if is_client else self.to_client(data))
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire_to(server: Path) -> Iterator[Wire]:
    """Lay a wire to the server whose socket lies in a folder."""
    with tempfile.TemporaryDirectory(prefix="pith-wire-") as name, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(name, SOCKET))
        listener.listen()
        wire = Wire(Path(name), server)
        threading.Thread(target=wire.serve, args=(listener,), daemon=True).start()
        yield wire
        listener.shutdown(socket.SHUT_RDWR)
