"""One paper's entries, folded: the set that verdicts about the paper are given by.

Folding is adding to a set, so any order gives the same state; everything that must choose, chooses by position.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ledger.events import Entry


@dataclass(slots=True)
class RecordState:
    """The set of entries about one paper; it serves as the `Targets` of their verdicts."""

    subject: str
    _entries: dict[int, Entry] = field(default_factory=dict)
    _by_id: dict[bytes, Entry] = field(default_factory=dict)
    _about: dict[str, dict[int, Entry]] = field(default_factory=dict)
    _record: Entry | None = None

    def fold(self, entry: Entry) -> RecordState:
        """Add an entry about this paper; the same entry again changes nothing."""
        event = entry.event
        if event.subject != self.subject:
            return self
        self._entries[entry.position] = entry
        known = self._by_id.get(event.event_id)
        if known is None or entry.position < known.position:
            self._by_id[event.event_id] = entry
        if event.event_type in ("moderation_decision", "withdrawal"):
            self._about.setdefault(event.target, {})[entry.position] = entry
        elif event.event_type == "record_created" and (self._record is None or entry.position < self._record.position):
            self._record = entry
        return self

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries in order of position."""
        return (self._entries[position] for position in sorted(self._entries))

    def record(self, subject: str) -> Entry | None:
        return self._record

    def event(self, subject: str, event_id: bytes) -> Entry | None:
        return self._by_id.get(event_id)

    def about(self, event_id: bytes) -> Iterable[Entry]:
        return self._about.get(f"sha256:{event_id.hex()}", {}).values()


def fold(subject: str, entries: Iterable[Entry]) -> RecordState:
    """Fold entries, in whatever order, into the state of one paper."""
    state = RecordState(subject)
    for entry in entries:
        state.fold(entry)
    return state
