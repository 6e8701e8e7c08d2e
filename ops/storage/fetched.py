"""Fetching a copy from a stranger: guarded, hashed while it comes, bounded in bytes and in time whatever happens.

What comes back tells apart what must never be mixed up. *Missing* is only what the server itself says is gone (404,
410). Everything that goes wrong on the way, a body cut short among it, is *unreachable*: no statement about the copy.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
import tempfile
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Final, Literal

import httpx

from ledger.appending import Clock
from ledger.errors import ServiceUnavailableError
from ops.fetching import no_cookies
from ops.services import Fetched
from ops.storage.guard import AddressRefusedError, Guard
from ops.storage.pinned import GuardedTransport

MAX_REDIRECTS: Final = 5
SILENCE_SECONDS: Final = 30.0
SPOOLED_BYTES: Final = 1 << 20
"""How much of a copy is held in memory; what is longer goes to a temporary file."""

Outcome = Literal["held", "missing", "unreachable", "refused"]

_OK: Final = 200
_GONE: Final = (404, 410)
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_GZIP_FORMAT: Final = 31
_UNPACKED_AT_ONCE: Final = 1 << 16
_MEDIA_TYPE: Final = re.compile(r"[!-.0-~]{1,60}/[!-.0-~]{1,39}")
_KEPT_HEADERS: Final = ("memento-datetime", "retry-after")
_HEADERS: Final = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "pith-ledger"}


@dataclass(slots=True)
class Copy:
    """What came of fetching one address; times in microseconds, UTC.

    `body` stands with `held` alone: the whole content, `length` bytes, at its beginning. `evidence` is the last
    answer's status line and headers as they came. `doubt` says why other bytes than were meant could have come on the
    way, empty where they could not; `is_redirected` that `final_url` is not what was asked for, `is_silent` that
    nobody answered at all.
    """

    outcome: Outcome
    started_at: int
    ended_at: int = 0
    reason: str = ""
    status: int | None = None
    final_url: str = ""
    sha256: str = ""
    length: int = 0
    media_type: str = ""
    evidence: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: IO[bytes] | None = None
    doubt: str = ""
    is_redirected: bool = False
    is_silent: bool = False

    @property
    def evidence_sha256(self) -> str:
        """Return the hash of the evidence in hex, empty where there was no answer."""
        return hashlib.sha256(self.evidence).hexdigest() if self.evidence else ""

    def __enter__(self) -> Copy:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Throw the content away."""
        if self.body is not None:
            self.body.close()


class CopyFetching:
    """Fetches copies from any thread; each ends by its deadline, wherever it hangs.

    Args:
        fetched: the limits of bytes and seconds.
        tls: takes the place of the usual authorities.
    """

    def __init__(self, guard: Guard, fetched: Fetched, clock: Clock, tls: ssl.SSLContext | None = None) -> None:
        self._guard = guard
        self._max_bytes = fetched.max_bytes
        self._seconds = float(fetched.seconds)
        self._silence = min(SILENCE_SECONDS, self._seconds)
        self._clock = clock
        self._loop = asyncio.new_event_loop()
        # A daemon: a server that hangs must not keep the process from ending.
        threading.Thread(target=self._loop.run_forever, name="fetching copies", daemon=True).start()
        self._client = httpx.AsyncClient(
            headers=_HEADERS,
            cookies=no_cookies(),
            timeout=httpx.Timeout(self._silence),
            follow_redirects=False,
            trust_env=False,
            transport=GuardedTransport(guard, tls),
        )

    def fetch(self, url: str) -> Copy:
        """Fetch an address and what it redirects to; whatever goes wrong is in the outcome. Close the copy."""
        copy = Copy("unreachable", self._clock(), final_url=url)
        future = asyncio.run_coroutine_threadsafe(self._fetch(url, copy), self._loop)
        try:
            future.result()
        except AddressRefusedError as error:
            copy.outcome, copy.reason = "refused", str(error)
        except _UnusableError as error:
            copy.outcome, copy.reason = "unreachable", str(error)
        except httpx.TimeoutException:
            copy.outcome, copy.reason = "unreachable", f"not a word from it for {self._silence:g} seconds"
            copy.is_silent = copy.status is None
        except TimeoutError:
            copy.outcome, copy.reason = "unreachable", f"not whole within {self._seconds:g} seconds"
            copy.is_silent = copy.status is None
        except ServiceUnavailableError as error:
            copy.outcome, copy.reason = "unreachable", error.message
            copy.is_silent = copy.status is None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            copy.outcome, copy.reason = "unreachable", _printable(str(error)) or type(error).__name__
            # Of an answer that is none, such as one that redirects nowhere, the client says so by this class.
            copy.is_silent = copy.status is None and not isinstance(error, httpx.RemoteProtocolError)
        except ValueError:
            # Such as a redirect to a host that is no name (idna.IDNAError).
            copy.outcome, copy.reason = "unreachable", "it answers with what cannot be read"
        except BaseException:
            copy.close()
            raise
        finally:
            # Nobody waits any more where the caller was interrupted.
            future.cancel()
        if copy.outcome != "held":
            copy.close()
            copy.body = None
        copy.ended_at = max(self._clock(), copy.started_at)
        return copy

    async def _fetch(self, url: str, copy: Copy) -> None:
        async with asyncio.timeout(self._seconds):
            for count in range(MAX_REDIRECTS + 1):
                target = self._guard.check(url)
                copy.final_url, copy.is_redirected = target.url, count > 0
                async with self._client.stream("GET", target.url) as answer:
                    _note(answer, copy)
                    if target.scheme == "http" and not self._guard.is_own(_address(answer)):
                        copy.doubt = "it came over plain http, where anybody on the way can answer"
                    if answer.status_code not in _REDIRECTS:
                        await self._read(answer, copy)
                        return
                    url = _redirected(answer)
            raise _UnusableError(f"it redirects more than {MAX_REDIRECTS} times")

    async def _read(self, answer: httpx.Response, copy: Copy) -> None:
        if answer.status_code in _GONE:
            copy.outcome, copy.reason = "missing", f"status {answer.status_code}"
            return
        if answer.status_code != _OK:
            raise _UnusableError(f"it answers with status {answer.status_code}")
        encoding = answer.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", ""):
            raise _UnusableError(f"it answers in the encoding {_printable(encoding)[:40]!r}")
        stated = answer.headers.get("content-length", "")
        if stated.isascii() and stated.isdigit() and int(stated[:20]) > self._max_bytes:
            raise self._too_long()
        body = copy.body = tempfile.SpooledTemporaryFile(max_size=SPOOLED_BYTES)  # noqa: SIM115
        digest, length = hashlib.sha256(), 0
        unpacking = _Unpacking() if encoding == "gzip" else None
        async for part in answer.aiter_raw():
            for piece in unpacking.pieces(part) if unpacking else (part,):
                length += len(piece)
                if length > self._max_bytes:
                    raise self._too_long()
                digest.update(piece)
                body.write(piece)
        if unpacking:
            unpacking.end()
        elif not stated and "transfer-encoding" not in answer.headers:
            copy.doubt = copy.doubt or "its answer does not say how long it is, so it may be cut off"
        body.seek(0)
        copy.outcome, copy.sha256, copy.length = "held", digest.hexdigest(), length
        copy.media_type = _media_type(answer.headers.get("content-type", ""))

    def _too_long(self) -> _UnusableError:
        return _UnusableError(f"it sends more than the {self._max_bytes} bytes a copy can have")


class _UnusableError(Exception):
    """Why no copy came of an answer, in words."""


class _Unpacking:
    """Unpacks gzip a little at a time, so that what it may grow to is counted before it is held."""

    def __init__(self) -> None:
        self._unpacking = zlib.decompressobj(_GZIP_FORMAT)

    def pieces(self, packed: bytes) -> Iterator[bytes]:
        if packed and self._unpacking.eof:
            raise _UnusableError("something stands behind the end of its gzip")
        piece = b""
        while packed or len(piece) == _UNPACKED_AT_ONCE:
            try:
                piece = self._unpacking.decompress(packed, _UNPACKED_AT_ONCE)
            except zlib.error as error:
                raise _UnusableError(f"what it sends is not gzip: {error}") from None
            if self._unpacking.unused_data:
                raise _UnusableError("something stands behind the end of its gzip")
            yield piece
            packed = self._unpacking.unconsumed_tail

    def end(self) -> None:
        if not self._unpacking.eof:
            raise _UnusableError("what it sends is cut off")


def _note(answer: httpx.Response, copy: Copy) -> None:
    """Keep what an answer's head says."""
    copy.status = answer.status_code
    copy.headers = {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers}
    lines = [f"HTTP {answer.status_code}".encode(), *(b": ".join(pair) for pair in answer.headers.raw), b""]
    copy.evidence = b"\r\n".join(lines)


def _address(answer: httpx.Response) -> str:
    """Return the network address that an answer came from, empty where that is not known."""
    stream = answer.extensions.get("network_stream")
    found = stream.get_extra_info("server_addr") if stream is not None else None
    return str(found[0]) if found else ""


def _redirected(answer: httpx.Response) -> str:
    """Return where an answer leads; from TLS it may not lead out of it."""
    location = answer.headers.get("location", "")
    if not location:
        raise _UnusableError(f"it redirects nowhere (status {answer.status_code})")
    try:
        url = answer.request.url.join(location)
    except (httpx.InvalidURL, ValueError):
        raise AddressRefusedError("it redirects to what is no address", place=_printable(location)[:100]) from None
    if answer.request.url.scheme == "https" and url.scheme == "http":
        raise AddressRefusedError("it redirects out of TLS", place=_printable(str(url))[:100], cure="")
    return str(url)


def _media_type(stated: str) -> str:
    essence = stated.partition(";")[0].strip().lower()
    return essence if _MEDIA_TYPE.fullmatch(essence) else "application/octet-stream"


def _printable(text: str) -> str:
    return re.sub(r"[^ -~]", "?", text[:200])
