"""What a registry answers, as values: read from its JSON with the types they must have, and nothing believed yet.

Members that are not known here are passed over: registries may come to say more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from api.client.exchange import Answer
from ledger.checkpoints import Checkpoint
from ledger.commitments import Disclosure
from ledger.errors import LedgerError, SourceUnreadableError, SubmissionError, VerificationError
from ledger.events import Entry, Event, parse_stored
from ledger.proofs.entry_rows import whole

JSON: Final = "application/json"
LINES: Final = "application/x-ndjson"

_T = TypeVar("_T")


class OtherVersion(msgspec.Struct, frozen=True):
    pith_number: str


class Resolved(msgspec.Struct, frozen=True):
    """The paper that a name means; where the name has no version, the newest, and beside it the others."""

    pith_number: str
    other_versions: list[OtherVersion] = []


class Hit(msgspec.Struct, frozen=True):
    """A paper that holds all the words of a search."""

    pith_number: str
    title: str
    authors: str


class Found(msgspec.Struct, frozen=True):
    hits: list[Hit]


class HistoryRow(msgspec.Struct, frozen=True):
    """An entry about a paper and what became of it; `event` without its payload while it is held.

    `received_at` in microseconds since 1970, UTC.
    """

    position: int
    received_at: int
    status: str
    reason: str
    event: dict[str, Any]


class HistoryPage(msgspec.Struct, frozen=True):
    pith_number: str
    entries: list[HistoryRow]
    next: str | None


class Fate(msgspec.Struct, frozen=True):
    """What became of an event about a paper, and why."""

    status: str
    reason: str


class LogRow(msgspec.Struct, frozen=True):
    """An entry as the log hands it out; `event` are the exact signed bytes."""

    position: int
    received_at: int
    event: msgspec.Raw
    fate: Fate | None = None


class LogPage(msgspec.Struct, frozen=True):
    entries: list[LogRow]
    next: int


class Taken(msgspec.Struct, frozen=True):
    """What became of a submission, by the registry's word; `receipt` is null until a checkpoint covers it."""

    event_id: str
    position: int
    received_at: int
    created: bool
    receipt: dict[str, Any] | None = None


class Waiting(msgspec.Struct, frozen=True):
    """A statement as moderators see it; `payload` and `texts` only where the asker may read them."""

    event_id: str
    event_type: str
    subject: str
    target: str
    position: int
    received_at: str
    status: str
    signer: dict[str, Any]
    payload: dict[str, Any] | None = None
    texts: dict[str, Disclosure] | None = None


class Queue(msgspec.Struct, frozen=True):
    events: list[Waiting]
    next_cursor: str | None


class LoginBegun(msgspec.Struct, frozen=True):
    """A login that waits at the address `flow`, until `expires_at` (YYYY-MM-DDTHH:MM:SSZ)."""

    flow: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry, and what became of its event by the registry's word; None for events that are about no paper."""

    entry: Entry
    fate: Fate | None


@dataclass(frozen=True, slots=True)
class Document:
    """A paper's record document, and the very text that it came in."""

    value: Mapping[str, Any]
    raw: bytes


@dataclass(frozen=True, slots=True)
class Proven:
    """A file of a log that was verified; `checks` says what holds, and what it leaves open, a sentence each."""

    value: Mapping[str, Any]
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProvenCheckpoint:
    """A checkpoint that its log signed, its note, and what holds, a sentence a check."""

    checkpoint: Checkpoint
    note: bytes
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Submitted:
    """An event that the log holds; `created` says whether it was new.

    `receipt` proves it. It is None while the registry has published no checkpoint that covers the event, and all else
    is then its word alone.
    """

    event: Event
    position: int
    received_at: int
    created: bool
    receipt: Proven | None


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that the registry did not take, and why."""

    event: Event
    error: LedgerError


def decoded(answer: Answer, kind: type[_T], media_type: str = JSON) -> _T:
    """Read an answer's JSON.

    Raises:
        SourceUnreadableError: it is something else.
    """
    if answer.kind != media_type:
        raise SourceUnreadableError(f"it answers with {answer.kind[:80] or 'no content type'}, not {media_type}")
    return decoded_json(answer.content, kind)


def decoded_json(content: bytes, kind: type[_T]) -> _T:
    """Read JSON text; raises as `decoded` does."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SourceUnreadableError(f"it answers with something else than asked: {str(error)[:200]}") from None


def entry_of(row: LogRow) -> Entry:
    """Read an entry with the exact bytes of its event.

    Raises:
        VerificationError: step `canonical form`; it is no entry of a log.
    """
    place = f"position {row.position}"
    try:
        return Entry(whole(row.position), whole(row.received_at), parse_stored(bytes(row.event)))
    except SubmissionError as error:
        raise VerificationError("canonical form", error.message, place=error.place or place, cure="") from error
