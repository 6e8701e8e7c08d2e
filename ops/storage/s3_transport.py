"""Requests to an object store: bounded in time wherever it hangs, and in bytes whatever it sends.

The library that signs requests and reads answers would wait for and hold whatever a server sends; so each request that
it has signed is sent here.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Final, Protocol

import httpx

from ledger.errors import ServiceRefusedError, ServiceUnavailableError

CONNECT_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 30.0
MAX_ANSWER_BYTES: Final = 1 << 18
"""Of every answer that is no object."""

SPOOLED_BYTES: Final = 1 << 20
PIECE_BYTES: Final = 1 << 16
_OK: Final = 200


class Signed(Protocol):
    """A signed request, as botocore prepares it."""

    method: str
    url: str
    headers: Mapping[str, Any]
    body: Any
    stream_output: bool


@dataclass(frozen=True, slots=True)
class Received:
    """A whole answer; the body stands at its beginning, in memory or, if long, in a temporary file."""

    status: int
    headers: dict[str, str]
    body: IO[bytes]

    def read(self, amount: int | None = None) -> bytes:
        return self.body.read() if amount is None else self.body.read(amount)

    def stream(self) -> Iterator[bytes]:
        with self.body:
            while piece := self.body.read(PIECE_BYTES):
                yield piece

    def close(self) -> None:
        self.body.close()


def send(request: Signed, max_bytes: int, seconds: float, place: str) -> Received:
    """Send a request and return the whole answer, whatever its status; redirects are not followed.

    Args:
        max_bytes: how long an object can be.
        seconds: until the request is given up, however much of the answer is there.
        place: names the service in errors, in place of the signed address.

    Raises:
        ServiceUnavailableError: it cannot be reached or does not answer in time.
        ServiceRefusedError: it sends more than that.
    """
    try:
        return asyncio.run(_send(request, max_bytes, seconds, place))
    except TimeoutError as error:
        raise ServiceUnavailableError(f"no whole answer within {seconds:g} seconds", place=place) from error
    except httpx.TimeoutException as error:
        raise ServiceUnavailableError("it keeps silent", place=place) from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        # Only its kind: the text can hold what the server sent, or the signed address.
        raise ServiceUnavailableError(f"it cannot be reached ({type(error).__name__})", place=place) from error


async def _send(request: Signed, max_bytes: int, seconds: float, place: str) -> Received:
    timeout = httpx.Timeout(min(SILENCE_SECONDS, seconds), connect=min(CONNECT_SECONDS, seconds))
    # The whole body is sent at once, so nothing waits for leave to send it; the signature does not cover this header.
    headers = {name: _text(value) for name, value in request.headers.items() if name.lower() != "expect"}
    headers.setdefault("accept-encoding", "identity")
    body = request.body if isinstance(request.body, bytes | None) else _pieces(request.body)
    async with (
        asyncio.timeout(seconds),
        httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=timeout) as client,
        client.stream(request.method, request.url, headers=headers, content=body) as answer,
    ):
        is_object = request.stream_output and answer.status_code == _OK
        limit = max_bytes if is_object else MAX_ANSWER_BYTES
        spooled: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=SPOOLED_BYTES)  # noqa: SIM115
        try:
            async for part in answer.aiter_raw():
                spooled.write(part)
                if spooled.tell() > limit:
                    raise ServiceRefusedError(f"it sends more than {limit} bytes", place=place)
        except BaseException:
            spooled.close()
            raise
        spooled.seek(0)
        return Received(answer.status_code, dict(answer.headers), spooled)


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield piece


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
