"""What a request may be before anybody looks at what it asks: an address, some headers, a body that arrives.

Addresses are taken as they stand. Those that some readers would take for others (doubled slashes but in the name of a
paper, which may be a URL; dot segments, backslashes, control characters, bytes that are no UTF-8) are none here, so
that what is limited and cached by an address is what the router finds under it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from api.problems import RefusedError, UnsupportedMediaError
from ledger.errors import NotFoundError

MAX_PATH: Final = 8_192
MAX_QUERY: Final = 8_192
MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 64 * 1024
BODY_SECONDS: Final = 15.0
"""How long a body may take to arrive, and one second more for each so many bytes of it."""

BODY_BYTES_A_SECOND: Final = 32 * 1024
ANSWER_SECONDS: Final = 30.0
"""How long an answer may take to begin, and each part of it to be taken by who asked."""

_DRAINED_BYTES: Final = 256 * 1024
_DRAINED_SECONDS: Final = 0.5
_ODD: Final = re.compile("/\\.{1,2}(?:/|$)|[\\\\\ufffd\x00-\x1f\x7f]")
_SINGLE: Final = (b"host", b"content-type", b"content-encoding", b"authorization")
_PLAIN: Final = {b"content-encoding": (b"", b"identity"), b"transfer-encoding": (b"chunked",)}
_NAMES: Final = ("/pith/", "/paper/")


class AddressTooLongError(RefusedError):
    """The address is longer than any that there is."""

    code = "address-too-long"
    status = HTTPStatus.REQUEST_URI_TOO_LONG


class TooManyHeadersError(RefusedError):
    """The request has more header fields than are read."""

    code = "too-many-headers"
    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


class AmbiguousRequestError(RefusedError):
    """Two readers of this request could take it for two different ones."""

    code = "ambiguous-request"


class TooSlowError(RefusedError):
    """A body did not arrive in time."""

    code = "too-slow"
    status = HTTPStatus.REQUEST_TIMEOUT


class IncompleteError(RefusedError):
    """Whoever sent a body went away before its end."""

    code = "incomplete"


class OverdueError(RefusedError):
    """An answer took too long."""

    code = "overdue"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    headers: Mapping[str, str] = {"retry-after": "5"}


def check_address(path: str, raw_path: bytes, query: bytes) -> None:
    """Refuse an address that can be none.

    Raises:
        NotFoundError: it is not in the one form that addresses have.
        AddressTooLongError: it is longer than addresses are.
    """
    if len(raw_path) > MAX_PATH or len(query) > MAX_QUERY:
        raise AddressTooLongError(f"an address has at most {MAX_PATH} bytes, and {MAX_QUERY} after the question mark")
    if not path.startswith("/") or ("//" in path and not path.startswith(_NAMES)):
        raise _no_address(raw_path)
    # Most addresses are plain, and these tests cost less than one look by an expression.
    if ("/." in path or "\\" in path or "\ufffd" in path or not path.isprintable()) and _ODD.search(path):
        raise _no_address(raw_path)


def _no_address(raw_path: bytes) -> NotFoundError:
    return NotFoundError(f"{raw_path[:100].decode('latin-1')!r} is no address here", cure="")


def check_headers(http_version: str, headers: Sequence[tuple[bytes, bytes]], given: Mapping[bytes, bytes]) -> None:
    """Refuse what the header of a request makes unreadable.

    Args:
        given: the same headers by name.

    Raises:
        TooManyHeadersError: there are too many fields, or they are too long.
        AmbiguousRequestError: no host (RFC 9112, 3.2), or a field twice that has one value.
        UnsupportedMediaError: the body is compressed.
    """
    number = len(headers)
    if number > MAX_HEADERS or sum(map(len, given.values())) > MAX_HEADER_BYTES:
        raise TooManyHeadersError(
            f"a request has at most {MAX_HEADERS} header fields, and {MAX_HEADER_BYTES} bytes in them"
        )
    if b"host" not in given and http_version != "1.0":
        raise AmbiguousRequestError("a request names its host", place="host")
    if number != len(given):
        names = [name for name, _ in headers]
        for name in _SINGLE:
            if names.count(name) > 1:
                raise AmbiguousRequestError("this field is given once", place=name.decode())
    for name, plain in _PLAIN.items():
        if name in given and given[name].strip().lower() not in plain:
            raise UnsupportedMediaError(
                "a compressed body is not read here", place=name.decode(), cure="send the body as it is"
            )


class Body:
    """The body of one request while it arrives: it must do so in time and to its end.

    Args:
        now: seconds, from any beginning.
        seconds: how long it may take, plus one second for each `BODY_BYTES_A_SECOND` of it.
    """

    __slots__ = ("_receive", "_waits_for_continue", "deadline", "is_awaited", "is_complete")

    def __init__(
        self, receive: Callable[[], Awaitable[Any]], headers: Mapping[bytes, bytes], now: float, seconds: float
    ) -> None:
        self._receive = receive
        self._waits_for_continue = b"expect" in headers
        self.deadline = now + seconds
        self.is_awaited = False
        self.is_complete = False

    async def receive(self) -> Any:
        """Receive the next part (an ASGI message); after the last, that the asker has gone.

        Raises:
            IncompleteError: the rest of it never will come.
        """
        if self.is_complete:
            return await self._receive()
        self._waits_for_continue = False
        self.is_awaited = True
        message = await self._receive()
        self.is_awaited = False
        if message["type"] == "http.disconnect":
            raise IncompleteError("the body was broken off")
        self.deadline += len(message.get("body", b"")) / BODY_BYTES_A_SECOND
        self.is_complete = not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Read off what is left of a body that nobody asked for, if that is soon done.

        A connection that is closed over unread bytes is reset, and the answer on it may be lost.
        """
        if self.is_complete or self._waits_for_continue:
            return
        left = _DRAINED_BYTES
        try:
            async with asyncio.timeout(_DRAINED_SECONDS):
                while left > 0 and not self.is_complete:
                    left -= len((await self.receive()).get("body", b""))
        except (TimeoutError, IncompleteError):
            return
