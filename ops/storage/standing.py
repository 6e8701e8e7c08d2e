"""What a log says by now of one copy: whether its claim counts, what should be there, and what was last found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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
    """

    waits: str
    content: Content | None = None
    possession: Possession | None = None
    outcome: str = ""
    found: str = ""
    own_at: int = 0
    was_stored: bool = False


def standing(judged: Judged, kind: str, url: str, checker: str) -> Standing:
    """Return how a copy stands in a paper's judged entries.

    Args:
        checker: the signer id of whoever asks.
    """
    counted = [entry for entry in judged.counted("storage_attestation") if _is_about(entry, kind, url)]
    if not counted:
        return Standing(_why_none(judged, kind, url))
    trusted = [entry for entry in counted if _is_by_checker(judged, entry)]
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
    own = [entry.received_at for entry in trusted if entry.event.signer.signer_id == checker]
    return Standing(
        "",
        content,
        possession,
        newest.outcome if newest is not None else "",
        found,
        max(own, default=0),
        any(entry.event.payload.outcome == "stored" for entry in trusted),
    )


def _is_about(entry: Entry, kind: str, url: str) -> bool:
    if entry.event.event_type != "storage_attestation":
        return False
    location = entry.event.payload.location
    return bool(location.kind == kind and location.url == url)


def _is_by_checker(judged: Judged, entry: Entry) -> bool:
    """Say whether a statement is one that `storage_verified` follows from (see `projections.status`)."""
    key = judged.registry.keys.find(entry.event.signer.key_id, judged.before)
    if key is None or key.role != "storage_checker" or entry.event.payload.grade == "claimed":
        return False
    checkers = judged.registry.policy(judged.before).checkers
    return not checkers or key.key_id in checkers


def _why_none(judged: Judged, kind: str, url: str) -> str:
    about = [judgement for judgement in judged.judgements if _is_about(judgement.entry, kind, url)]
    statuses = [judgement.verdict.status for judgement in about]
    if "held" in statuses:
        return _WAITS["held"]
    return next(
        (_WAITS[status] for status in reversed(statuses) if status in _WAITS), "nothing that counts is said of it"
    )
