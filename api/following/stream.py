"""The log as it grows: server-sent events (WHATWG HTML, 9.2), each entry once and in order, from where the reader was.

    id: 7
    event: entry
    data: {"position":7,"received_at":1781884800000001,"event":{…}}

There is no hand-over from old to new: one loop reads on from the reader's own cursor, and only waits where it has come
to the head. An `id` alone moves the cursor of a reader that asked for one type past entries of others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Final

from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from api.following.entries import Bounds, Stretch, read_stretch
from api.parts import Parts
from api.present import Sight
from api.problems import SECURITY_HEADERS, RefusedError

EVENT_STREAM: Final = "text/event-stream"
MAX_STREAMS: Final = 100
PING_SECONDS: Final = 15.0
PATIENCE_SECONDS: Final = 20.0
RETRY_MILLISECONDS: Final = 2_000
"""How long readers are asked to wait before they come back."""

CHUNK_BYTES: Final = 64 * 1024
BOUNDS: Final = Bounds(lines=1_000, bytes=256 * 1024, looks=2_000)
READS_AT_ONCE: Final = 2
"""So that streams which catch up leave worker threads to everybody else."""

_LOG: Final = logging.getLogger(__name__)
_Wanted = tuple[int, int, str]


class TooManyStreamsError(RefusedError):
    """No further stream is opened here now."""

    code = "too-many-streams"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    default_cure = "read pages instead, or come back later"
    headers = {"retry-after": "5"}  # noqa: RUF012


class Streams:
    """The open streams of one application.

    Args:
        most: how many may be open together.
        ping_seconds: how often a silent stream says that it is alive.
        patience_seconds: how long a reader may take to accept what was written before its stream is ended.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        most: int = MAX_STREAMS,
        ping_seconds: float = PING_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._store = parts.store
        self._present = parts.present
        self._most = most
        self._ping = ping_seconds
        self._patience = patience_seconds
        self._count = 0
        self._sending: set[asyncio.Task[None]] = set()
        self._reading: dict[_Wanted, asyncio.Task[Stretch]] = {}
        self._turns = asyncio.Semaphore(READS_AT_ONCE)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False

    @property
    def open(self) -> int:
        """How many streams are open."""
        return self._count

    def end(self) -> None:
        """End every stream and open none any more; whoever stops the server calls this, from any thread.

        Servers wait for answers under way before they tell an application that they stop.
        """
        self._ended = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed, and every stream with it
                self._loop.call_soon_threadsafe(self._end_all)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Keep one of the places, as long as there are any.

        Raises:
            TooManyStreamsError: there is none, or the server is about to stop.
        """
        if self._ended:
            raise TooManyStreamsError("the server is being stopped")
        if self._count >= self._most:
            raise TooManyStreamsError(f"{self._most} streams are open already")
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    async def run(self, start: int, event_type: str, receive: Receive, send: Send) -> None:
        """Send entries from a position on until the reader is gone or too slow, or the streams are ended."""
        self._loop = asyncio.get_running_loop()
        over = asyncio.Event()
        sending = asyncio.create_task(self._send_all(start, event_type, send, over))
        listening = asyncio.create_task(_until_gone(receive))
        self._sending.add(sending)
        try:
            await asyncio.wait((sending, listening), return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Before Python 3.12 a wait that succeeds at this very moment loses the cancellation; then this ends it.
            over.set()
            sending.cancel()
            listening.cancel()
            outcome, _ = await asyncio.gather(sending, listening, return_exceptions=True)
            self._sending.discard(sending)
        if isinstance(outcome, TimeoutError):
            return  # a reader that is too slow would not take the end either; the server closes its connection
        if isinstance(outcome, Exception):
            _LOG.error("a stream ended, its reader may come back", exc_info=outcome)
        with suppress(TimeoutError):
            await self._send(send, b"", more=False)

    async def _send_all(self, start: int, event_type: str, send: Send, over: asyncio.Event) -> None:
        at = start
        await self._send(send, b"retry: %d\n\n" % RETRY_MILLISECONDS)
        while not (self._ended or over.is_set()):
            size = self._present.sight.size
            if at < size:
                stretch = await self._stretch((at, size, event_type))
                for chunk in _chunks(stretch):
                    await self._send(send, chunk)
                at = stretch.stop
            elif not await self._grown(at):
                await self._send(send, b": ping\n\n")

    async def _send(self, send: Send, body: bytes, *, more: bool = True) -> None:
        # The server takes a message only once the one before has left its buffer.
        async with asyncio.timeout(self._patience):
            await send({"type": "http.response.body", "body": body, "more_body": more})

    async def _grown(self, at: int) -> bool:
        """Wait until the log has an entry at a position; False where that takes long enough for a ping."""

        def reaches(sight: Sight) -> bool:
            return sight.size > at

        return await self._present.reach(reaches, self._ping)

    async def _stretch(self, wanted: _Wanted) -> Stretch:
        """Read a stretch of the log; readers that want the same at the same moment share one reading."""
        reading = self._reading.get(wanted)
        if reading is None:
            reading = self._reading[wanted] = asyncio.create_task(self._read(*wanted))
            reading.add_done_callback(lambda _: self._reading.pop(wanted))
        return await asyncio.shield(reading)

    async def _read(self, start: int, stop: int, event_type: str) -> Stretch:
        async with self._turns:
            return await asyncio.to_thread(read_stretch, self._store, start, stop, BOUNDS, event_type)

    def _end_all(self) -> None:
        for sending in self._sending:
            sending.cancel()


class EventStream(ASGIResponse):
    """An answer that goes on for as long as its reader listens."""

    _should_set_content_length = False

    def __init__(self, streams: Streams, start: int, event_type: str) -> None:
        # Some proxies gather what they pass on unless they are told not to (`x-accel-buffering`).
        headers = {"content-type": EVENT_STREAM, "cache-control": "no-store", "vary": "accept"}
        super().__init__(headers={**headers, "x-accel-buffering": "no", **SECURITY_HEADERS})
        self._streams = streams
        self._start = start
        self._event_type = event_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.is_head_response = scope.get("method") == "HEAD"
        with self._streams.place():
            await super().__call__(scope, receive, send)

    async def send_body(self, send: Send, receive: Receive) -> None:
        await self._streams.run(self._start, self._event_type, receive, send)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _chunks(stretch: Stretch) -> Iterator[bytes]:
    """Yield the events of a stretch in pieces of about `CHUNK_BYTES`, none of them broken."""
    pieces: list[bytes] = []
    size = 0
    told = -1
    for position, line in stretch.lines:
        pieces.append(b"id: %d\nevent: entry\ndata: %b\n\n" % (position, line))
        size += len(pieces[-1])
        told = position
        if size >= CHUNK_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    if told != stretch.stop - 1:
        pieces.append(b"id: %d\n\n" % (stretch.stop - 1))
    if pieces:
        yield b"".join(pieces)
