"""A closed-loop load of HTTP/1.1 requests: so many connections, each of which asks again once it was answered.

It writes bytes that were prepared beforehand and reads no more of an answer than where it ends, so that it takes little
of the machine it shares with the server.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

import uvloop

CONNECTIONS: Final = 32
PATIENCE_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load found: answers a second, latencies in seconds, and how many answers had which status."""

    rate: float
    p50: float
    p99: float
    statuses: Counter[int]


def load(port: int, requests: Sequence[bytes], connections: int = CONNECTIONS) -> Loaded:
    """Send requests to a port of this machine over so many connections, each request once; wait for every answer."""
    return uvloop.run(_load(port, requests, connections))


async def _load(port: int, requests: Sequence[bytes], connections: int) -> Loaded:
    loop = asyncio.get_running_loop()
    waiting = iter(requests)
    found: list[tuple[float, int]] = []
    ended = [loop.create_future() for _ in range(connections)]
    started = time.perf_counter()
    for end in ended:
        await loop.create_connection(lambda end=end: _Asking(waiting, found, end), "127.0.0.1", port)  # type: ignore[misc]
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*ended)
    elapsed = time.perf_counter() - started
    latencies = sorted(latency for latency, _ in found)
    return Loaded(
        rate=len(found) / elapsed,
        p50=statistics.median(latencies),
        p99=latencies[len(latencies) * 99 // 100],
        statuses=Counter(status for _, status in found),
    )


class _Asking(asyncio.Protocol):
    """One connection."""

    def __init__(self, waiting: Iterator[bytes], found: list[tuple[float, int]], end: asyncio.Future[None]) -> None:
        self._waiting = waiting
        self._found = found
        self._end = end
        self._got = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, separator, body = self._got.partition(b"\r\n\r\n")
        if not separator:
            return
        if len(body) < _length(head):
            return
        self._found.append((time.perf_counter() - self._sent, int(head[9:12])))
        self._got = b""
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._end.done():
            self._end.set_exception(error or ConnectionError("the server closed a connection"))

    def _ask(self) -> None:
        request = next(self._waiting, None)
        if request is None:
            self._end.set_result(None)
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)


def _length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    return int(lower[at + 17 :].partition(b"\r\n")[0])
