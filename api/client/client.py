"""A registry as a Python object: every call is one question over HTTP, and what can be proven is verified.

    with Client("https://pith.example", Trust(root="sha256:…")) as registry:
        done = registry.submit(event)            # returns once the log holds it; its receipt is verified
        record = registry.record(done.event.subject, wait_for=done.position)
        bundle = registry.bundle(done.event.subject)

Verified, under the keys that the caller trusts: `submit`, `submit_all`, `receipt`, `bundle`, `proof`, `growth` and
`checkpoint`. All else is the registry's word (see `api.client.reading`); `api.client.papers` computes a record from a
verified bundle instead.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec

from api.client.answers import (
    JSON,
    LINES,
    LoginBegun,
    Proven,
    ProvenCheckpoint,
    Queue,
    Refused,
    Submitted,
    Taken,
    Waiting,
    decoded,
)
from api.client.asking import Asking, Patience
from api.client.exchange import Request
from api.client.growing import Growth
from api.client.log_files import MAX_FILE_BYTES, LogFiles
from api.client.proving import Verifying
from api.client.reading import Reading, check_event_id, reading
from api.client.submitting import batches, body_of, results_of
from api.client.transport import Timeouts, Transport
from ledger.appending import Submission
from ledger.commitments import Disclosure
from ledger.errors import LedgerError, SourceUnreadableError, UsageError, VerificationError
from ledger.events import Event
from ledger.proofs.trust import Trust
from ledger.signed_requests import signed_request
from ledger.signing import Signatory

MAX_ANSWERS_BYTES: Final = 256 << 20
"""What the receipts of a thousand events may take."""

PAGE: Final = 100
NO_TRUST: Final = Trust()
TIMEOUTS: Final = Timeouts()
PATIENCE: Final = Patience()


def _now() -> int:
    return time.time_ns() // 1_000


class Client(Reading):
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
        super().__init__(Asking(self._transport, patience, wait, jitter, clock))
        self._files = LogFiles(self._asking)
        self._verifying = Verifying(trust, Growth(self._files, clock), self._files.identity)

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

    # --- what the log proves ---------------------------------------------------------------

    def receipt(self, event_id: str) -> Proven:
        """Return the verified receipt of an event.

        Raises:
            NotFoundError: the log has no such event.
            VerificationError: the check that failed; ForkError where the log was shown otherwise before.
            RemoteError: `not-yet-proven`, no published checkpoint covers it yet.
        """
        check_event_id(event_id)
        return self._verifying.receipt(self._files.receipt(event_id), event_id)

    def proof(self, event_id: str) -> tuple[bytes, tuple[str, ...]]:
        """Return the verified C2SP tlog-proof of an event, and what holds; raises as `receipt` does."""
        check_event_id(event_id)
        raw = self._files.inclusion(event_id)
        return raw, self._verifying.inclusion(raw, event_id)

    def growth(self, old: int, new: int) -> Proven:
        """Return the verified proof that the log grew from one checkpoint to another; raises as `receipt` does."""
        return self._verifying.growth(self._files.consistency(old, new), (old, new))

    def bundle(self, name: str) -> Proven:
        """Return the verified bundle of a paper; raises as `record` and `receipt` do."""
        number = self.number(name)
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
            request = reading("/api/moderation/queue", status=status, limit=PAGE, cursor=cursor)
            page = decoded(self._asking.ask(self._signed(request, signatory) if signatory else request), Queue)
            yield from page.events
            if page.next_cursor is None:
                return
            if not page.events or page.next_cursor == cursor:
                raise SourceUnreadableError("its pages lead nowhere", place=f"{self.url}/api/moderation/queue")
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

    def _signed(self, request: Request, signatory: Signatory) -> Request:
        """Return a request that each try signs anew, as a key's holder."""
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
