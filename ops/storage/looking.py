"""Looking at one location: fetching what is there, in the way of its kind, and hashing it. Nothing is judged here.

A web archive is asked for the bytes as they were captured, and only the capture of that very second is an answer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import msgspec

from ledger.appending import Clock
from ledger.checkpoints import Checkpoint
from ledger.errors import (
    HashMismatchError,
    LedgerError,
    NotFoundError,
    ServiceRefusedError,
    ServiceUnavailableError,
    SourceUnreadableError,
    SubmissionError,
    VerificationError,
)
from ledger.payloads import Content, Location
from ledger.possession import deposit_of, is_shown_whole
from ops.fetching import Answer, Fetching
from ops.services import Services
from ops.storage.fetched import SPOOLED_BYTES, Copy, CopyFetching, Outcome
from ops.storage.guard import Guard, Resolver, resolved
from ops.storage.holder import challenge
from ops.storage.hosts import host_group
from ops.storage.ids import identifiers, resolve
from ops.storage.mementos import Memento, is_elsewhere, not_this_capture, parse_memento
from ops.storage.pinned import GuardedTransport
from ops.storage.s3 import S3Copies

ANY_TYPE: Final = "application/octet-stream"
"""The type of bytes of which nobody that is believed said another."""

_NOWHERE: Final = "no kind of place that this registry can look at"


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a location found; times in microseconds, UTC.

    `content` (with `held` alone) is what a `storage_attestation` states of it. `captured_at` is when the copy came to
    be there, where the location says so. `is_silent` says that nobody answered at all, `doubt` why other bytes than the
    copy's could have come on the way.
    """

    outcome: Outcome
    started_at: int
    ended_at: int
    reason: str = ""
    content: Mapping[str, Any] = field(default_factory=dict)
    status: int | None = None
    final_url: str = ""
    evidence: bytes = b""
    evidence_sha256: str = ""
    captured_at: str = ""
    possession: Mapping[str, Any] | None = None
    is_silent: bool = False
    doubt: str = ""

    @property
    def sha256(self) -> str:
        """Return the hash of what was found, empty where nothing was."""
        return str(self.content.get("sha256", ""))


class Looking:
    """Looks at locations over the network that a configuration allows; safe to use from several threads.

    Args:
        clock: by which the looks are timed.
        resolve: takes the place of the system's resolver.
    """

    def __init__(self, services: Services, clock: Clock, resolve: Resolver = resolved) -> None:
        self._clock = clock
        self._seconds = float(services.fetched.seconds)
        replays = [archive.replay for archive in services.storing.archives]
        self._replays = tuple(f"{replay.rstrip('/')}/" for replay in replays)
        guard = Guard.of(services.fetched, *replays, resolve=resolve)
        self._guard = guard
        self._fetching = CopyFetching(guard, services.fetched, clock)
        self._buckets = [
            S3Copies(bucket, clock, services.fetched.max_bytes, float(services.fetched.seconds))
            for bucket in services.storing.buckets
        ]

    def look(
        self, location: Location, content: Content, checkpoint: Checkpoint | None, read: Content | None = None
    ) -> Look:
        """Look at a location; whatever goes wrong is in the outcome.

        Args:
            content: what should be there, which a holder is challenged about.
            read: what a checker that read all of that very content stated of it; None where none did. Nothing else
                is repeated of what others state.
            checkpoint: this log's newest, from which challenges are made; None where there is none.
        """
        url = location.url
        try:
            match location.kind:
                case "wayback":
                    memento = parse_memento(url)
                    if memento is None:
                        return self._refused("it names no capture of one second: …/YYYYMMDDhhmmss/URL")
                    if not url.startswith(self._replays):
                        return self._refused("it is at no web archive of this registry (services.toml)")
                    return self._capture(memento)
                case "memento":
                    memento = parse_memento(url)
                    return self._capture(memento) if memento else self._fetched(url)
                case "https":
                    return self._fetched(url)
                case "swh" | "ipfs" as kind:
                    return self._identified(kind, url)
                case "s3":
                    return self._stored(url, read)
                case "holder":
                    return self._challenged(url, content, read, checkpoint)
                case kind:
                    return self._refused(f"{kind} is {_NOWHERE}")
        except LedgerError as error:
            return self._failed(error)

    def host(self, location: Location) -> str:
        """Return what is asked for a location, so that the same is not asked twice at once."""
        return host_group(location.url) or location.kind

    def _fetched(self, url: str) -> Look:
        with self._fetching.fetch(url) as copy:
            return _look(copy)

    def _capture(self, memento: Memento) -> Look:
        with self._fetching.fetch(memento.raw) as copy:
            if copy.outcome == "held":
                if other := not_this_capture(memento, copy.final_url, copy.headers):
                    return _look(copy, "unreachable", other)
                return _look(copy, captured_at=memento.captured_at)
            if copy.outcome == "missing" and is_elsewhere(memento, copy.final_url):
                return _look(copy, "unreachable", "the archive sends elsewhere for it, where nothing is")
            return _look(copy)

    def _identified(self, kind: Any, url: str) -> Look:
        found = resolve(kind, url)
        with self._fetching.fetch(found.address) as copy:
            look = _look(copy)
        if look.outcome == "held":
            try:
                found.check(look.content)
            except HashMismatchError:
                # A gateway that hands out other bytes says nothing about those that the identifier names.
                return Look("unreachable", look.started_at, look.ended_at, "what came does not have this identifier")
        return look

    def _stored(self, url: str, read: Content | None) -> Look:
        started = self._clock()
        for bucket in self._buckets:
            digest = bucket.digest_of(url)
            if digest is None:
                continue
            with tempfile.SpooledTemporaryFile(max_size=SPOOLED_BYTES) as file:
                try:
                    bucket.read(digest, into=file)
                except NotFoundError:
                    return Look("missing", started, self._clock(), "the bucket has no such copy")
                # A bucket is told no type; what was put there had one.
                content = {**identifiers(file), "media_type": read.media_type if read else ANY_TYPE}
            return Look("held", started, self._clock(), content=content)
        return self._refused("it is in no bucket of this registry")

    def _challenged(self, url: str, content: Content, read: Content | None, checkpoint: Checkpoint | None) -> Look:
        started = self._clock()
        if read is None and not is_shown_whole(content.bytes):
            # Whoever claims it may have chosen any chunks for this SHA-256, and hold those alone.
            return self._refused("no checker has read this content whole, so what its chunks are is only claimed")
        if checkpoint is None:
            return Look("unreachable", started, started, "no checkpoint was published yet, so nobody can be challenged")
        try:
            proved = challenge(url, deposit_of(read or content), checkpoint, self._ask)
        except NotFoundError as error:
            return Look("missing", started, self._clock(), error.message)
        except VerificationError as error:
            # What is no answer at all says nothing; one that does not hold shows that the bytes were not there.
            return Look("unreachable" if error.step == "answer" else "missing", started, self._clock(), str(error))
        shown = {"sha256": content.sha256, "bytes": content.bytes, "chunk_root": content.chunk_root}
        return Look(
            "held",
            started,
            self._clock(),
            content=msgspec.to_builtins(read) if read is not None else {**shown, "media_type": ANY_TYPE},
            status=proved.http_status,
            evidence_sha256=proved.evidence_sha256,
            possession=proved.possession,
        )

    def _ask(self, method: str, address: str, limit: int, body: bytes) -> Answer:
        try:
            return self._asking.ask(method, address, limit, headers={"content-type": "application/json"}, body=body)
        except SourceUnreadableError as error:
            raise ServiceUnavailableError(error.message, place=address) from error

    @cached_property
    def _asking(self) -> Fetching:
        return Fetching(self._seconds, GuardedTransport(self._guard))

    def _refused(self, reason: str) -> Look:
        now = self._clock()
        return Look("refused", now, now, reason)

    def _failed(self, error: LedgerError) -> Look:
        now = self._clock()
        outcome: Outcome = "refused" if isinstance(error, SubmissionError | ServiceRefusedError) else "unreachable"
        return Look(outcome, now, now, error.message, is_silent=isinstance(error, ServiceUnavailableError))


def _look(copy: Copy, outcome: Outcome | None = None, reason: str = "", captured_at: str = "") -> Look:
    """Return what a fetched copy says, or another outcome in its place."""
    outcome = outcome or copy.outcome
    # Where a redirect leads may be signed for whoever was sent there: that is nobody else's.
    final_url = copy.final_url.partition("?")[0] if copy.is_redirected else copy.final_url
    content: dict[str, Any] = {}
    if outcome == "held" and copy.body is not None:
        content = {**identifiers(copy.body), "media_type": copy.media_type}
    return Look(
        outcome,
        copy.started_at,
        copy.ended_at,
        reason or copy.reason,
        content,
        copy.status,
        final_url,
        copy.evidence,
        copy.evidence_sha256,
        captured_at,
        is_silent=copy.is_silent,
        doubt=copy.doubt,
    )
