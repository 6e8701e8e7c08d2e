"""Readers of a stream of events, as browsers are, and applications whose streams a test sets the bounds of."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from api.app import create_app
from api.following.stream import Streams
from api.settings import ApiSettings
from ledger.store import Store
from ops.home import Home
from ops.registry_app import composed
from tests.api.registry import BASE_URL
from tests.witnesses import served

SECONDS = 60
"""How long a test waits for what must come."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a browser hands on: the id, the name and the data of one event."""

    id: str
    name: str
    data: bytes


@dataclass
class Reader:
    """Reads a stream by the rules of WHATWG HTML, 9.2.6; comes back with the last id that it was given.

    `connected` counts how often it came, `broken_off` how often it left in the middle of an event.
    """

    address: str
    query: str = ""
    last_id: str = ""
    events: list[Event] = field(default_factory=list)
    comments: list[bytes] = field(default_factory=list)
    retry: str = ""
    connected: int = 0
    broken_off: int = 0
    _connection: http.client.HTTPConnection | None = None
    _answer: http.client.HTTPResponse | None = None
    _text: bytes = b""
    _fields: list[tuple[str, bytes]] = field(default_factory=list)

    def connect(self) -> http.client.HTTPResponse:
        """Ask for the stream from where this reader is; return the answer, whatever it is."""
        self._text, self._fields = b"", []
        headers = {"accept": "text/event-stream", **({"last-event-id": self.last_id} if self.last_id else {})}
        self._connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=SECONDS)
        self._connection.request("GET", f"/api/events{self.query}", headers=headers)
        self._answer = self._connection.getresponse()
        self.connected += 1
        return self._answer

    def read(self, most: int = 65_536) -> bool:
        """Take what has arrived, or wait for something; False at the end of the stream."""
        assert self._answer is not None
        found = self._answer.read1(most)
        self._text += found
        self._parse()
        return found != b""

    def read_until(self, satisfied: Callable[[], bool], most: int = 65_536) -> None:
        """Read on until something is true; fails where the stream ends before."""
        while not satisfied():
            assert self.read(most), "the stream ended"

    @property
    def is_midway(self) -> bool:
        """Whether an event has begun to arrive and not ended."""
        return bool(self._text or self._fields)

    def drop(self) -> None:
        """Break the connection off without a word (RST)."""
        assert self._connection is not None and self._answer is not None
        self.broken_off += self.is_midway
        if (found := self._connection.sock) is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._answer.close()
        self._connection.close()

    def _parse(self) -> None:
        lines = self._text.splitlines(keepends=True)
        self._text = lines.pop() if lines and not lines[-1].endswith((b"\r", b"\n")) else b""
        for line in lines:
            self._take(line.rstrip(b"\r\n"))

    def _take(self, line: bytes) -> None:
        if line.startswith(b":"):
            self.comments.append(line)
        elif line:
            name, _, value = line.partition(b":")
            self._fields.append((name.decode(), value.removeprefix(b" ")))
        else:
            self._dispatch()

    def _dispatch(self) -> None:
        fields, self._fields = dict(self._fields), []
        self.retry = fields.get("retry", self.retry.encode()).decode()
        self.last_id = fields.get("id", self.last_id.encode()).decode()
        if "data" in fields:
            self.events.append(Event(self.last_id, fields.get("event", b"message").decode(), fields["data"]))


def a_reader(address: str, query: str = "", last_id: str = "") -> Reader:
    """Return a reader that is connected."""
    reader = Reader(address, query, last_id)
    answer = reader.connect()
    assert answer.status == 200, answer.read()
    return reader


def whole_log(store: Store) -> list[Event]:
    """Return what a reader must have got in the end: every entry of a log once, in order, byte for byte."""
    return [
        Event(str(position), "entry", b'{"position":%d,"received_at":%d,"event":%b}' % (position, received_at, raw))
        for position, received_at, raw in store.rows()
    ]


def reached(satisfied: Callable[[], bool]) -> None:
    """Wait until something is true; fails where it does not come true."""
    deadline = time.monotonic() + SECONDS
    while not satisfied():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


@contextmanager
def a_feed(home: Home, **bounds: float) -> Iterator[tuple[str, Streams]]:
    """Serve a registry's folder once more, with streams of other bounds; yields address and streams."""
    with composed(home, ApiSettings(BASE_URL)) as parts:
        streams = Streams(parts, **bounds)  # type: ignore[arg-type]
        with served(create_app(parts, streams)) as address:
            try:
                yield address, streams
            finally:
                streams.end()
