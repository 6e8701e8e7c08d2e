"""What asks to be appended to a log, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from ledger.checkpoint_store import SignedCheckpoint
from ledger.commitments import Disclosure
from ledger.errors import SubmissionError, VerificationError
from ledger.events import Entry, Event

Clock = Callable[[], int]
"""Returns now, in microseconds since 1970, UTC."""


class Submission(msgspec.Struct, frozen=True):
    """An event that asks to be appended, with the private texts it commits to.

    `verified` says that every signature was checked already (or just made by our own key), `formed` that
    `rules.check_form` was.
    """

    event: Event
    disclosures: Mapping[str, Disclosure] = msgspec.field(default_factory=dict)
    verified: bool = False
    formed: bool = False


class Appended(msgspec.Struct, frozen=True):
    """The entry of a submitted event; `created` is False when the log had it already."""

    entry: Entry
    created: bool


Outcome = Appended | SubmissionError


@dataclass(slots=True)
class Sealed:
    """Outcomes of one transaction, in order; `checkpoint` covers them, None where no key could sign one."""

    outcomes: list[Outcome]
    checkpoint: SignedCheckpoint | None = None
    unsigned: VerificationError | None = None


@dataclass(frozen=True, slots=True)
class Unanchored:
    """The first entry that owes an anchor: its position, and when it was received (microseconds)."""

    position: int
    received_at: int
