"""A registry as a Python object: every call is one question over HTTP, and what can be proven is verified.

    with Client("https://pith.example", Trust(root="sha256:…")) as registry:
        done = registry.submit(event)            # returns once the log holds it; its receipt is verified
        record = registry.record(done.event.subject, wait_for=done.position)
        bundle = registry.bundle(done.event.subject)

Verified, under the keys that the caller trusts: `submit`, `submit_all`, `receipt`, `bundle`, `proof`, `growth` and
`checkpoint`. All else is the registry's word as far as it does not contradict itself; `api.client.papers` computes a
record from a verified bundle instead.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import msgspec

from api.client.answers import (
    JSON,
    LINES,
    Document,
    Found,
    HistoryPage,
    HistoryRow,
    Hit,
    Logged,
    LoginBegun,
    LogPage,
    LogRow,
    Proven,
    ProvenCheckpoint,
    Queue,
    Refused,
    Resolved,
    Submitted,
    Taken,
    Waiting,
    decoded,
    entry_of,
)
from api.client.asking import Asking, Patience
from api.client.following import Following
from api.client.growing import Growth
from api.client.log_files import MAX_FILE_BYTES, LogFiles
from api.client.problems import RemoteError
from api.client.proving import Verifying
from api.client.submitting import batches, body_of, results_of
from api.client.transport import Answer, Request, Timeouts, Transport
from ledger.commitments import Disclosure
from ledger.errors import LedgerError, NotFoundError, SourceUnreadableError, UsageError, VerificationError
from ledger.events import Entry, Event, from_value
from ledger.proofs.steps import step
from ledger.proofs.trust import Trust
from ledger.signed_requests import signed_request
from ledger.signing import Signatory
from ledger.store import Submission
from ledger.subjects import is_number
from projections.verify_bundle import record_identity

MAX_ANSWERS_BYTES: Final = 256 << 20
"""What the receipts of a thousand events may take."""

PAGE: Final = 100
NO_TRUST: Final = Trust()
TIMEOUTS: Final = Timeouts()
PATIENCE: Final = Patience()

_EVENT_ID: Final = re.compile(r"sha256:[0-9a-f]{64}")
_T = TypeVar("_T")


def _now() -> int:
    return time.time_ns() // 1_000


class Client:
    """One registry at an address. It remembers the newest checkpoint it saw, and every later one must continue it.

    Args:
        url: http(s)://HOST[:PORT][/PATH].
        trust: what is known of the registry from elsewhere; without a root or a log key its own word is taken.
        transport: takes the place of the network.
        wait, jitter: what waits for some seconds, and what gives numbers between 0 and 1 to vary them by.
        clock: returns now, in microseconds since 1970, UTC.

    Raises:
        UsageError: that is no address of a registry.
    """

    def __init__(
        self,
        url: str,
        trust: Trust = NO_TRUST,
        *,
        timeouts: Timeouts = TIMEOUTS,
        patience: Patience = PATIENCE,
        transport: httpx.AsyncBaseTransport | None = None,
        wait: Callable[[float], object] = time.sleep,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], int] = _now,
    ) -> None:
        self._transport = Transport(url, timeouts, transport)
        self._asking = Asking(self._transport, patience, wait, jitter, clock)
        self._files = LogFiles(self._asking)
        self._growth = Growth(self._files, clock)
        self._verifying = Verifying(trust, self._growth, self._files.identity)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()

    @property
    def url(self) -> str:
        """The address, without a final slash."""
        return self._transport.url

    @property
    def is_pinned(self) -> bool:
        """Whether what is verified rests on a root or key from elsewhere, not on the registry's own word."""
        return self._verifying.is_pinned

    # --- papers, by the registry's word ----------------------------------------------------

    def resolve(self, name: str, *, wait_for: int | None = None) -> Resolved:
        """Find the paper that a name means (a Pith Number or a part of it, an arXiv id, a DOI, …).

        Raises:
            NotFoundError, AmbiguousError: it names none, or several.
        """
        return self._read("/api/pith-number/resolve", Resolved, q=name, json="true", wait_for=wait_for)

    def record(self, name: str, *, as_of: int | str | None = None, wait_for: int | None = None) -> Document:
        """Return a paper's record document, now or as it was.

        Args:
            as_of: a number of entries, or a time (`YYYY-MM-DDTHH:MM:SSZ`).
            wait_for: a position; the answer waits until the entry there is in it. So everywhere.

        Raises:
            NotFoundError, AmbiguousError: there is no such paper, or several.
            VerificationError: step `number`; the record does not hash to its number, or is another paper's.
        """
        number = self._number(name)
        answer = self._ask(f"/api/records/{number[10:]}", as_of=as_of, wait_for=wait_for)
        document = Document(decoded(answer, dict[str, Any]), answer.content)
        identity = record_identity(document.value)
        if identity.number != number:
            raise VerificationError("number", f"this is the record of {identity.number}, not of {number}", cure="")
        return document

    def history(self, name: str, *, wait_for: int | None = None) -> Iterator[HistoryRow]:
        """Yield every entry about a paper in order, with what became of it; raises as `record` does."""
        number, cursor, last = self._number(name), None, -1
        while True:
            target = f"/api/records/{number[10:]}/events"
            page = self._read(target, HistoryPage, cursor=cursor, limit=2 * PAGE, wait_for=wait_for)
            for row in page.entries:
                if row.position <= last:
                    raise VerificationError("position", f"{row.position} comes after {last}", place=target, cure="")
                last = row.position
                if "payload" in row.event:
                    with step("canonical form", f"position {row.position}"):
                        from_value(row.event)
                yield row
            if page.next is None:
                return
            cursor = _cursor_of(page.next)

    def search(self, words: str, *, limit: int = 20, wait_for: int | None = None) -> list[Hit]:
        """Return the papers that hold all the words, the best match first."""
        return self._read("/api/search", Found, q=words, limit=limit, wait_for=wait_for).hits

    def state(self, name: str, *, wait_for: int | None = None) -> Mapping[str, Any]:
        """Return what the merge rules make of a paper's events."""
        return self._read(f"/pith/{self._number(name)[10:]}/state.json", dict[str, Any], wait_for=wait_for)

    def paper_events(self, name: str, *, wait_for: int | None = None) -> Mapping[str, Any]:
        """Return what was said about a paper, with the private texts of what counts."""
        target = f"/api/pith-number/{self._number(name)[10:]}/events.json"
        return self._read(target, dict[str, Any], wait_for=wait_for)

    def graph(self, name: str, *, wait_for: int | None = None) -> Mapping[str, Any]:
        """Return a paper's newest graph snapshot, and the counted citations of it and by it."""
        target = f"/api/pith-number/{self._number(name)[10:]}/graph.json"
        return self._read(target, dict[str, Any], wait_for=wait_for)

    def wait_for(self, position: int) -> None:
        """Wait until the registry's views have an entry in them; raises ProjectionBehindError where that takes long."""
        self._read("/api/search", Found, q="pith", limit=1, wait_for=position)

    # --- the log ---------------------------------------------------------------------------

    def event(self, event_id: str, *, wait_for: int | None = None) -> Logged:
        """Return the entry of an event, by the registry's word, with what became of it.

        Raises:
            NotFoundError: the log has no such event.
            VerificationError: step `canonical form`; the answer is no event, or another one.
        """
        _check_event_id(event_id)
        row = self._read(f"/api/events/{event_id}", LogRow, wait_for=wait_for)
        entry = entry_of(row)
        if entry.event.id_text != event_id:
            raise VerificationError("canonical form", f"this is the event {entry.event.id_text}", cure="")
        return Logged(entry, row.fate)

    def entry(self, position: int) -> Entry:
        """Return the entry at a position, by the registry's word; raises NotFoundError beyond the end of the log."""
        missing = NotFoundError(f"there is no entry at position {position}", cure="positions are counted from 0")
        try:
            page = self._read("/api/events", LogPage, after=position - 1, limit=1)
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

    def receipt(self, event_id: str) -> Proven:
        """Return the verified receipt of an event.

        Raises:
            NotFoundError: the log has no such event.
            VerificationError: the check that failed; ForkError where the log was shown otherwise before.
            RemoteError: `not-yet-proven`, no published checkpoint covers it yet.
        """
        _check_event_id(event_id)
        return self._verifying.receipt(self._files.receipt(event_id), event_id)

    def proof(self, event_id: str) -> tuple[bytes, tuple[str, ...]]:
        """Return the verified C2SP tlog-proof of an event, and what holds; raises as `receipt` does."""
        _check_event_id(event_id)
        raw = self._files.inclusion(event_id)
        return raw, self._verifying.inclusion(raw, event_id)

    def growth(self, old: int, new: int) -> Proven:
        """Return the verified proof that the log grew from one checkpoint to another; raises as `receipt` does."""
        return self._verifying.growth(self._files.consistency(old, new), (old, new))

    def bundle(self, name: str) -> Proven:
        """Return the verified bundle of a paper; raises as `record` and `receipt` do."""
        number = self._number(name)
        return self._verifying.bundle(self._files.bundle(number[10:]), number)

    def checkpoint(self) -> ProvenCheckpoint:
        """Return the newest published checkpoint, verified; raises VerificationError, ForkError."""
        return self._verifying.checkpoint(self._files.note())

    def registry_name(self) -> str:
        """Return the registry's stable name, by its log's identity under the pinned root; raises VerificationError."""
        return self._verifying.registry_name()

    # --- making statements -----------------------------------------------------------------

    def submit(self, event: Event, disclosures: Mapping[str, Disclosure] | None = None) -> Submitted:
        """Hand in a signed event, and return once the log holds it; the same event again is the same entry.

        Args:
            disclosures: the private texts that it commits to, by their paths in the payload.

        Raises:
            SubmissionError: why it is refused.
            VerificationError: the answer does not prove what it says; ForkError where the log was shown otherwise.
            UsageError: private texts would be readable on the way.
        """
        submission = Submission(event, disclosures or {})
        self._check_confidential(bool(submission.disclosures), "private texts")
        taken = decoded(self._asking.ask(_posting(body_of(submission))), Taken)
        return self._verifying.submitted(event, taken)

    def submit_all(self, submissions: Iterable[Submission]) -> Iterator[Submitted | Refused]:
        """Hand in many signed events, and yield what became of each, in order.

        Interrupted, it is simply run again: what the log took already is the same entry.

        Raises:
            VerificationError, UsageError: as `submit` does.
        """
        for group, body in batches(submissions):
            self._check_confidential(any(submission.disclosures for submission in group), "private texts")
            answer = self._asking.ask(_posting(body, LINES, MAX_ANSWERS_BYTES))
            for submission, result in zip(group, results_of(answer, group), strict=True):
                if isinstance(result, LedgerError):
                    yield Refused(submission.event, result)
                else:
                    yield self._verifying.submitted(submission.event, result)

    # --- as the holder of a key ------------------------------------------------------------

    def moderation_queue(self, signatory: Signatory | None = None, status: str = "held") -> Iterator[Waiting]:
        """Yield the statements of a status, oldest first.

        Args:
            signatory: a moderator, who sees what they say too; None sees that they exist.
        """
        self._check_confidential(signatory is not None, "what moderators read")
        cursor: str | None = None
        while True:
            page = self._read("/api/moderation/queue", Queue, signatory, status=status, limit=PAGE, cursor=cursor)
            yield from page.events
            if page.next_cursor is None:
                return
            cursor = page.next_cursor

    def begin_login(self, signatory: Signatory, *, consent: bool = False) -> LoginBegun:
        """Begin to prove by a login whose key this is; return the address to open in a browser.

        Args:
            consent: the proof may be published in the log.

        Raises:
            RemoteError: the registry offers no logins, or not to this key.
        """
        self._check_confidential(needed=True, what="an address that only the holder of a key may open")
        body = msgspec.json.encode({"consent": consent})
        request = _posting(body, target="/api/identity/openid", repeatable=False)
        found = decoded(self._asking.ask(self._signed(request, signatory)), LoginBegun)
        if urlsplit(found.flow).scheme not in ("http", "https"):
            raise VerificationError("canonical form", "that is no address to open", place="flow", cure="")
        return found

    # --- inside ----------------------------------------------------------------------------

    def _read(self, path: str, kind: type[_T], signatory: Signatory | None = None, **query: str | int | None) -> _T:
        return decoded(self._ask(path, signatory, **query), kind)

    def _ask(self, path: str, signatory: Signatory | None = None, **query: str | int | None) -> Answer:
        asked = urlencode({name: value for name, value in query.items() if value is not None})
        request = Request(f"{path}?{asked}" if asked else path, MAX_FILE_BYTES)
        return self._asking.ask(self._signed(request, signatory))

    def _signed(self, request: Request, signatory: Signatory | None) -> Request:
        if signatory is None:
            return request
        target = f"{urlsplit(self.url).path}{request.target}"

        def signed() -> Mapping[str, str]:
            made = signed_request(
                signatory.key,
                signatory.held.registry,
                request.method,
                target,
                request.body or b"",
                signatory.now(),
                signatory.nonce(),
            )
            return {"authorization": made}

        return replace(request, signed=signed)

    def _number(self, name: str) -> str:
        name = name.strip()
        if is_number(name):
            return name
        found = self.resolve(name).pith_number
        if not is_number(found):
            raise VerificationError("number", f"the registry names {found[:80]!r}, which is no number", cure="")
        return found

    def _check_confidential(self, needed: bool, what: str) -> None:
        if needed and not self._transport.is_confidential:
            raise UsageError(f"{what} could be read on the way", place=self.url, cure="use an https:// address")


def _posting(
    body: bytes,
    kind: str = JSON,
    limit: int = MAX_FILE_BYTES,
    target: str = "/api/events",
    *,
    repeatable: bool = True,  # a signed event that is sent twice is one entry
) -> Request:
    named = {"content-type": kind}
    return Request(target, limit, f"{LINES}, {JSON}", "POST", headers=named, body=body, repeatable=repeatable)


def _check_event_id(text: str) -> None:
    if not _EVENT_ID.fullmatch(text):
        raise UsageError(f"{text[:80]!r} is no event id", cure='an event id is "sha256:" and 64 lower-case hex digits')


def _cursor_of(address: str) -> str:
    """Return the cursor in the address of a next page; the address itself is not followed."""
    found = parse_qs(urlsplit(address[:2_000]).query).get("cursor", [])
    if len(found) != 1:
        raise SourceUnreadableError("it names a next page that has no address")
    return found[0]
