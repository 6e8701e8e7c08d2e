"""Verifying entries that are not all of a log: each where it stands, with gaps between their positions."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.errors import VerificationError
from ledger.events import Entry
from ledger.record_state import RecordState, fold
from ledger.registry import Registry
from ledger.verification import Head, verify_entries


class SparseTargets:
    """What a file holds about its papers, growing as entries are checked."""

    def __init__(self) -> None:
        self._states: dict[str, RecordState] = {}

    def state(self, subject: str) -> RecordState:
        return self._states.setdefault(subject, fold(subject, ()))

    def add(self, entry: Entry) -> None:
        self.state(entry.event.subject).fold(entry)

    def record(self, subject: str) -> Entry | None:
        return self.state(subject).record(subject)

    def event(self, subject: str, event_id: bytes) -> Entry | None:
        return self.state(subject).event(subject, event_id)

    def about(self, event_id: bytes) -> Iterable[Entry]:
        return ()


def verify_sparse(entries: Iterable[Entry], registry: Registry, targets: SparseTargets) -> None:
    """Check entries in order of position, as `verify_entries` does, and take them into registry and targets.

    Raises:
        VerificationError: the step and the entry that failed.
    """
    received_at = 0
    last = -1
    seen: set[bytes] = set()
    for entry in sorted(entries, key=lambda entry: entry.position):
        if entry.position == last:
            raise VerificationError("position", f"two events claim position {last}")
        if entry.event.event_id in seen:
            raise VerificationError("position", f"{entry.event.id_text} stands at two positions")
        seen.add(entry.event.event_id)
        verify_entries([entry], registry, targets, Head(entry.position, received_at))
        last, received_at = entry.position, entry.received_at
