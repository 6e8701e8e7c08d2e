"""One paper's entries, judged as of one position of the log: what every view of the paper is computed from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ledger.events import Entry
from ledger.keyring import NOW
from ledger.record_state import RecordState, fold
from ledger.registry import Registry
from ledger.verdicts import Verdict, fate, verdict


class Judgement(NamedTuple):
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


def judge(state: RecordState, registry: Registry, before: int = NOW, *, admitted: bool = False) -> Judged | None:
    """Judge every entry below a position; None when the paper has no valid record there.

    Args:
        admitted: take it that every entry was fit to be appended, as whoever verified the log knows.
    """
    entries = list(state)
    visible = state
    if entries and entries[-1].position >= before:
        entries = [entry for entry in entries if entry.position < before]
        visible = fold(state.subject, entries)
    decide = fate if admitted else verdict
    judgements = tuple(Judgement(entry, decide(entry, registry, visible, before)) for entry in entries)
    for judgement in judgements:
        if judgement.entry.event.event_type == "record_created" and judgement.verdict.status != "refused":
            return Judged(state.subject, judgement.entry, judgements, registry, before)
    return None
