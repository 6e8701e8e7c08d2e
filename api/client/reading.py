"""What a registry says of papers and of its log: by its own word, as far as that does not contradict itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

from api.client.answers import (
    Document,
    Found,
    HistoryPage,
    HistoryRow,
    Hit,
    Logged,
    LogPage,
    LogRow,
    Resolved,
    decoded,
    entry_of,
)
from api.client.asking import Asking
from api.client.exchange import Answer, Request
from api.client.following import Following
from api.client.log_files import MAX_FILE_BYTES
from api.client.problems import RemoteError
from ledger.errors import NotFoundError, SourceUnreadableError, UsageError, VerificationError
from ledger.events import Entry, from_value
from ledger.proofs.steps import step
from ledger.subjects import is_number
from projections.verify_bundle import record_identity

PAGE: Final = 200

_EVENT_ID: Final = re.compile(r"sha256:[0-9a-f]{64}")
_T = TypeVar("_T")


class Reading:
    """Reads from one registry; only that a record hashes to its number, and an event to its id, is checked here."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    # --- papers ----------------------------------------------------------------------------

    def resolve(self, name: str, *, wait_for: int | None = None) -> Resolved:
        """Find the paper that a name means (a Pith Number or a part of it, an arXiv id, a DOI, …).

        Raises:
            NotFoundError, AmbiguousError: it names none, or several.
        """
        return self.read("/api/pith-number/resolve", Resolved, q=name, json="true", wait_for=wait_for)

    def record(self, name: str, *, as_of: int | str | None = None, wait_for: int | None = None) -> Document:
        """Return a paper's record document, now or as it was.

        Args:
            as_of: a number of entries, or a time (`YYYY-MM-DDTHH:MM:SSZ`).
            wait_for: a position; the answer waits until the entry there is in it. So everywhere.

        Raises:
            NotFoundError, AmbiguousError: there is no such paper, or several.
            VerificationError: step `number`; the record does not hash to its number, or is another paper's.
        """
        number = self.number(name)
        answer = self.ask(f"/api/records/{number[10:]}", as_of=as_of, wait_for=wait_for)
        document = Document(decoded(answer, dict[str, Any]), answer.content)
        identity = record_identity(document.value)
        if identity.number != number:
            raise VerificationError("number", f"this is the record of {identity.number}, not of {number}", cure="")
        return document

    def history(self, name: str, *, wait_for: int | None = None) -> Iterator[HistoryRow]:
        """Yield every entry about a paper in order, with what became of it; raises as `record` does."""
        number, cursor, last = self.number(name), None, -1
        while True:
            target = f"/api/records/{number[10:]}/events"
            page = self.read(target, HistoryPage, cursor=cursor, limit=PAGE, wait_for=wait_for)
            for row in page.entries:
                if row.position <= last:
                    raise VerificationError("position", f"{row.position} comes after {last}", place=target, cure="")
                last = row.position
                if "payload" in row.event:
                    with step("canonical form", f"position {row.position}"):
                        subject = from_value(row.event).subject
                    if subject != number:
                        raise VerificationError("number", f"the event is about {subject}", place=target, cure="")
                yield row
            if page.next is None:
                return
            if not page.entries:
                raise SourceUnreadableError("its pages lead nowhere", place=target)
            cursor = _cursor_of(page.next)

    def search(self, words: str, *, limit: int = 20, wait_for: int | None = None) -> list[Hit]:
        """Return the papers that hold all the words, the best match first."""
        return self.read("/api/search", Found, q=words, limit=limit, wait_for=wait_for).hits

    def state(self, name: str, *, wait_for: int | None = None) -> Mapping[str, Any]:
        """Return what the merge rules make of a paper's events."""
        return self.read(f"/pith/{self.number(name)[10:]}/state.json", dict[str, Any], wait_for=wait_for)

    def paper_events(self, name: str, *, wait_for: int | None = None) -> Mapping[str, Any]:
        """Return what was said about a paper, with the private texts of what counts."""
        target = f"/api/pith-number/{self.number(name)[10:]}/events.json"
        return self.read(target, dict[str, Any], wait_for=wait_for)

    def graph(self, name: str, *, wait_for: int | None = None) -> Mapping[str, Any]:
        """Return a paper's newest graph snapshot, and the counted citations of it and by it."""
        target = f"/api/pith-number/{self.number(name)[10:]}/graph.json"
        return self.read(target, dict[str, Any], wait_for=wait_for)

    def wait_for(self, position: int) -> None:
        """Wait until the registry's views have an entry in them; raises ProjectionBehindError where that takes long."""
        self.read("/api/search", Found, q="pith", limit=1, wait_for=position)

    # --- the log ---------------------------------------------------------------------------

    def event(self, event_id: str, *, wait_for: int | None = None) -> Logged:
        """Return the entry of an event, by the registry's word, with what became of it.

        Raises:
            NotFoundError: the log has no such event.
            VerificationError: step `canonical form`; the answer is no event, or another one.
        """
        check_event_id(event_id)
        row = self.read(f"/api/events/{event_id}", LogRow, wait_for=wait_for)
        entry = entry_of(row)
        if entry.event.id_text != event_id:
            raise VerificationError("canonical form", f"this is the event {entry.event.id_text}", cure="")
        return Logged(entry, row.fate)

    def entry(self, position: int) -> Entry:
        """Return the entry at a position, by the registry's word; raises NotFoundError beyond the end of the log."""
        missing = NotFoundError(f"there is no entry at position {position}", cure="positions are counted from 0")
        try:
            page = self.read("/api/events", LogPage, after=position - 1, limit=1)
        except RemoteError as error:
            raise (missing if error.code == "beyond-head" else error) from None
        if not page.entries:
            raise missing
        entry = entry_of(page.entries[0])
        if entry.position != position:
            raise VerificationError("position", f"the registry gives {entry.position} for {position}", cure="")
        return entry

    def follow(self, after: int = -1) -> Iterator[Entry]:
        """Yield the entries after a position, and then each new one as it is appended; goes on until it is closed.

        Raises:
            VerificationError: what comes are not the next entries of one log.
            LedgerError: the registry refuses, or cannot be reached any more.
        """
        return Following(self._asking, after).entries()

    # --- inside ----------------------------------------------------------------------------

    def number(self, name: str) -> str:
        """Return the number of the paper that a name means; raises as `resolve` does."""
        name = name.strip()
        if is_number(name):
            return name
        found = self.resolve(name).pith_number
        if not is_number(found):
            raise VerificationError("number", f"the registry names {found[:80]!r}, which is no number", cure="")
        return found

    def read(self, path: str, kind: type[_T], **query: str | int | None) -> _T:
        """Return what is at an address; query parameters that are None are left out."""
        return decoded(self.ask(path, **query), kind)

    def ask(self, path: str, **query: str | int | None) -> Answer:
        """Return an answer as it came; raises as `Asking.ask` does."""
        return self._asking.ask(reading(path, **query))


def reading(path: str, **query: str | int | None) -> Request:
    """Return the request that reads an address."""
    asked = urlencode({name: value for name, value in query.items() if value is not None})
    return Request(f"{path}?{asked}" if asked else path, MAX_FILE_BYTES)


def check_event_id(text: str) -> None:
    """Refuse what cannot be an event id; raises UsageError."""
    if not _EVENT_ID.fullmatch(text):
        raise UsageError(f"{text[:80]!r} is no event id", cure='an event id is "sha256:" and 64 lower-case hex digits')


def _cursor_of(address: str) -> str:
    """Return the cursor in the address of a next page; the address itself is not followed."""
    found = parse_qs(urlsplit(address[:2_000]).query).get("cursor", [])
    if len(found) != 1:
        raise SourceUnreadableError("it names a next page that has no address")
    return found[0]
