"""Following a log as it grows (server-sent events, WHATWG HTML, 9.2): each entry once, in order, with no gap.

Whatever ends a stream, it is taken up again after the last entry that came (`Last-Event-ID`), until several tries in a
row have brought nothing. What a stream says is the registry's word: a receipt proves an entry, a mirror all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from api.client.answers import LogRow, decoded_json, entry_of
from api.client.asking import Asking
from api.client.exchange import BrokenOffError, Request
from api.client.problems import FOR_NOW
from ledger.errors import LedgerError, SourceUnreadableError, VerificationError
from ledger.events import Entry

PATH: Final = "/api/events"
EVENT_STREAM: Final = "text/event-stream"
MAX_EVENT_BYTES: Final = 1 << 20
"""How long one event of a stream may be; an entry has up to 64 KiB."""

SILENCE_SECONDS: Final = 45.0
"""Three times as long as a registry is silent when all is well."""

MAX_FAILURES: Final = 10
_ENDS: Final = (b"\n", b"\r")
_LASTING: Final = 60_000_000
"""A stream that was open for so many microseconds was no failure, whatever came."""

_DIGITS: Final = re.compile(rb"[0-9]{1,9}")


@dataclass(slots=True)
class Events:
    """Reads the events of a stream from its parts; `retry` is how many seconds it asks readers to wait."""

    retry: float | None = None
    _rest: bytes = b""
    _length: int = 0
    _data: list[bytes] = field(default_factory=list)
    _name: bytes = b""

    def read(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the data of each event named `entry`.

        Raises:
            SourceUnreadableError: an event is longer than any can be.
        """
        for part in parts:
            lines = (self._rest + part).splitlines(keepends=True)
            # A line feed that belongs to a carriage return may come with the next part.
            is_cut = lines and (not lines[-1].endswith(_ENDS) or lines[-1].endswith(b"\r"))
            self._rest = lines.pop() if is_cut else b""
            self._check(len(self._rest))
            for line in lines:
                if text := line.rstrip(b"\r\n"):
                    self._take(text)
                elif (data := self._dispatched()) is not None:
                    yield data

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._length += len(value)
                self._check(self._length)
                self._data.append(value)
            case b"event":
                self._name = value
            case b"retry" if _DIGITS.fullmatch(value):
                self.retry = int(value) / 1_000

    def _dispatched(self) -> bytes | None:
        name, data = self._name, self._data
        self._name, self._data, self._length = b"", [], 0
        return b"\n".join(data) if name == b"entry" and data else None

    def _check(self, length: int) -> None:
        if length > MAX_EVENT_BYTES:
            raise SourceUnreadableError(f"it sends an event of more than {MAX_EVENT_BYTES} bytes")


class Following:
    """Where a reader of a log is.

    Args:
        after: the position of the last entry that it has; -1 for none.
    """

    def __init__(self, asking: Asking, after: int) -> None:
        self._asking = asking
        self._last = after
        self._received_at = 0

    def entries(self) -> Iterator[Entry]:
        """Yield entries as they come; ends only by an error.

        Raises:
            VerificationError: step `position`, `time` or `canonical form`; these are not the next entries of one log.
            LedgerError: the registry refuses the stream, or several tries in a row brought nothing.
        """
        failures = 0
        while True:
            events, before, opened = Events(), self._last, self._asking.clock()
            try:
                yield from self._stream(events)
                error: LedgerError = BrokenOffError("the stream ended", place=f"{self._asking.transport.url}{PATH}")
                pause = None
            except BrokenOffError as broken:
                error, pause = broken, None
            except _RefusedForNowError as refused:
                error, pause = refused.error, refused.retry_after
            was_fruitful = self._last > before or self._asking.clock() - opened > _LASTING
            failures = 0 if was_fruitful else failures + 1
            if failures >= MAX_FAILURES:
                raise error
            self._pause(pause, events.retry, max(failures, 1))

    def _stream(self, events: Events) -> Iterator[Entry]:
        last = {"last-event-id": str(self._last)} if self._last >= 0 else {}
        request = Request(PATH, MAX_EVENT_BYTES, EVENT_STREAM, headers=last)
        with self._asking.transport.stream(request, SILENCE_SECONDS) as (head, parts):
            if head.status != 200:
                error = self._asking.refusal(head, request)
                if head.status in FOR_NOW:
                    raise _RefusedForNowError(error, self._asking.retry_after(head))
                raise error
            if head.kind != EVENT_STREAM:
                raise SourceUnreadableError(f"it answers with {head.kind[:80] or 'no content type'}, not a stream")
            for data in events.read(parts):
                yield self._next(data)

    def _next(self, data: bytes) -> Entry:
        entry = entry_of(decoded_json(data, LogRow))
        if entry.position != self._last + 1:
            raise VerificationError(
                "position", f"after position {self._last} the registry sends position {entry.position}", cure=""
            )
        if entry.received_at < self._received_at:
            place = f"position {entry.position}"
            raise VerificationError("time", "it was received before its predecessor", place=place, cure="")
        self._last, self._received_at = entry.position, entry.received_at
        return entry

    def _pause(self, asked: float | None, retry: float | None, failures: int) -> None:
        patience, jitter = self._asking.patience, self._asking.jitter()
        if asked is None:
            asked = max(patience.pause(failures, 0.0), retry or 0.0)
        self._asking.wait(min(asked, patience.longest) * (1 - 0.5 * jitter))


class _RefusedForNowError(Exception):
    """A stream that the registry does not open at present; `retry_after` in seconds, where it says so."""

    def __init__(self, error: LedgerError, retry_after: float | None) -> None:
        super().__init__(error.message)
        self.error = error
        self.retry_after = retry_after
