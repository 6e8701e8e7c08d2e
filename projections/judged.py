"""One paper's entries, folded and judged: what every view of the paper is computed from.

Folding is adding to a set, so any order gives the same state; everything that must choose, chooses by
position. Judging applies `ledger.verdicts` to each entry as of one position of the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ledger.events import Entry
from ledger.keyring import NOW
from ledger.registry import Registry
from ledger.verdicts import Verdict, verdict

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


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


@dataclass(frozen=True, slots=True)
class Judgement:
    """An entry and what became of it."""

    entry: Entry
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """A paper as of a position: its record, and every entry about it with its verdict."""

    subject: str
    record: Entry
    judgements: tuple[Judgement, ...]
    registry: Registry
    before: int
    _counted: dict[str, list[Entry]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for judgement in self.judgements:
            if judgement.verdict.counts:
                self._counted.setdefault(judgement.entry.event.event_type, []).append(judgement.entry)

    @property
    def suffix(self) -> str:
        return self.subject[10:]

    def paper(self) -> dict[str, Any]:
        """Return the paper's metadata as it stands now: each update's top-level keys replace the earlier ones."""
        found: dict[str, Any] = {}
        for entry in self.counted("record_created", "record_updated"):
            if isinstance(entry.event.payload.paper, dict):
                found |= entry.event.payload.paper
        return found

    def counted(self, *types: str) -> list[Entry]:
        """Return the entries of some types that count, in order of position."""
        present = [self._counted[kind] for kind in types if kind in self._counted]
        if len(present) < 2:
            return present[0] if present else []
        return sorted((entry for entries in present for entry in entries), key=lambda entry: entry.position)


def fold(subject: str, entries: Iterable[Entry]) -> RecordState:
    """Fold entries, in whatever order, into the state of one paper."""
    state = RecordState(subject)
    for entry in entries:
        state.fold(entry)
    return state


def judge(state: RecordState, registry: Registry, before: int = NOW) -> Judged | None:
    """Judge every entry below a position; None when the paper has no valid record there."""
    visible = fold(state.subject, (entry for entry in state if entry.position < before))
    judgements = tuple(Judgement(entry, verdict(entry, registry, visible, before)) for entry in visible)
    for judgement in judgements:
        if judgement.entry.event.event_type == "record_created" and judgement.verdict.status != "refused":
            return Judged(state.subject, judgement.entry, judgements, registry, before)
    return None


def instant(received_at: int) -> str:
    """Write microseconds since 1970 as the public documents do: `2026-05-26T02:04:46.737796+00:00`."""
    return (_EPOCH + timedelta(microseconds=received_at)).isoformat(timespec="microseconds")
