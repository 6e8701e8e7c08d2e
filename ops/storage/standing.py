"""What a log says by now of one copy: whether its claim counts, what should be there, and what was last found."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import UNSET

from ledger.events import Entry
from ledger.payloads import Content, Possession, StorageAttestation
from projections.judged import Judged

_WAITS: Final = {
    "held": "its claim is held until a moderator accepts it",
    "withdrawn": "its claim was withdrawn",
    "rejected": "its claim was rejected by a moderator",
    "redacted": "its claim was redacted by a moderator",
    "revoked": "its claim was signed by a key that was revoked",
}
_DECIDED: Final = ("held", "withdrawn", "rejected", "redacted")
"""What only another decision or statement changes."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What counts of the statements about a location.

    Attributes:
        waits: why nothing is looked at; empty where a statement counts.
        content: what should be there: what a checker first found, else what the first claim says; None if nobody said.
        possession: by which holder's key the copy was first proved, None where it was not.
        outcome: what the newest statement of any trusted checker says, empty where there is none.
        found: the SHA-256 that statement found, empty where it found nothing.
        own_at: when the log took this checker's own newest statement (microseconds), 0 if there is none.
        was_stored: a checker found the copy there at some time.
        read: what a trusted checker stated of this very content that it fetched, here or elsewhere; None where none
            did.
        is_decided_on: it waits, and nothing but a decision or another statement ends that.
    """

    waits: str
    content: Content | None = None
    possession: Possession | None = None
    outcome: str = ""
    found: str = ""
    own_at: int = 0
    was_stored: bool = False
    read: Content | None = None
    is_decided_on: bool = False


class Standings:
    """How the copies of one paper stand in its judged entries, which are gone through once.

    Args:
        checker: the signer id of whoever asks.
    """

    def __init__(self, judged: Judged, checker: str) -> None:
        self._checker = checker
        self._counted: dict[tuple[str, str], list[Entry]] = {}
        self._uncounted: dict[tuple[str, str], list[str]] = {}
        self._trusted: set[int] = set()
        self._read: dict[tuple[str, int], Content] = {}
        checkers = judged.registry.policy(judged.before).checkers
        for judgement in judged.judgements:
            entry = judgement.entry
            if entry.event.event_type != "storage_attestation":
                continue
            payload: StorageAttestation = entry.event.payload
            place = payload.location.kind, payload.location.url
            if not judgement.verdict.counts:
                self._uncounted.setdefault(place, []).append(judgement.verdict.status)
                continue
            self._counted.setdefault(place, []).append(entry)
            if _is_by_checker(judged, entry, checkers):
                self._trusted.add(entry.position)
                if payload.grade == "fetched" and payload.outcome == "stored" and isinstance(payload.content, Content):
                    self._read.setdefault((payload.content.sha256, payload.content.bytes), payload.content)

    def of(self, kind: str, url: str) -> Standing:
        """Return how the copy at a location stands."""
        counted = self._counted.get((kind, url), [])
        if not counted:
            return _waiting(self._uncounted.get((kind, url), []))
        trusted = [entry for entry in counted if entry.position in self._trusted]
        content: Content | None = None
        possession: Possession | None = None
        for entry in [*trusted, *counted]:
            payload: StorageAttestation = entry.event.payload
            if content is None and payload.outcome == "stored" and isinstance(payload.content, Content):
                content = payload.content
            if possession is None and isinstance(payload.possession, Possession):
                possession = payload.possession
        newest: StorageAttestation | None = trusted[-1].event.payload if trusted else None
        found = newest.content.sha256 if newest is not None and isinstance(newest.content, Content) else ""
        own = [entry.received_at for entry in trusted if entry.event.signer.signer_id == self._checker]
        return Standing(
            "",
            content,
            possession,
            newest.outcome if newest is not None else "",
            found,
            max(own, default=0),
            any(entry.event.payload.outcome == "stored" for entry in trusted),
            read=self._read_of(content),
        )

    def _read_of(self, content: Content | None) -> Content | None:
        """Return what a checker stated of a content that it read whole, if that is all that is claimed of it."""
        read = self._read.get((content.sha256, content.bytes)) if content is not None else None
        if content is None or read is None:
            return None
        is_same = content.chunk_root is UNSET or content.chunk_root == read.chunk_root
        return read if is_same else None


def _is_by_checker(judged: Judged, entry: Entry, checkers: Collection[str]) -> bool:
    """Say whether a statement is one that `storage_verified` follows from (see `projections.status`)."""
    key = judged.registry.keys.find(entry.event.signer.key_id, judged.before)
    if key is None or key.role != "storage_checker" or entry.event.payload.grade == "claimed":
        return False
    return not checkers or key.key_id in checkers


def _waiting(statuses: Sequence[str]) -> Standing:
    """Return how a copy stands of which no statement counts."""
    if "held" in statuses:
        return Standing(_WAITS["held"], is_decided_on=True)
    status = next((status for status in reversed(statuses) if status in _WAITS), "")
    return Standing(_WAITS.get(status, "nothing that counts is said of it"), is_decided_on=status in _DECIDED)
