"""What the page of a paper shows of the outside: which clocks vouch for it, and where copies are kept.

Clocks say either that the record itself existed by a time, or that a state of the log did that has the record in it.
Proofs are checked again here, under the policy in force, so that nothing is shown for confirmed that is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from api.pages import wording
from ledger.errors import AnchorError
from ledger.events import Entry
from ledger.proofs.stream import Stream
from ledger.registry import Registry
from ledger.store import Store

MAX_CLOCKS: Final = 20
MAX_COPIES: Final = 20
"""Pages stay readable, and quick to make; all of it stands in the events."""

Events = Sequence[Mapping[str, Any]]
"""The `events` of a record document."""


@dataclass(frozen=True, slots=True)
class Clocked:
    """What one clock says: of the record itself, or of the first `tree_size` entries of the log.

    `time` is by when it existed (`confirmed`), or since when something is promised or given up. `authority` says whose
    word it is, `trust` what is left to believe; `position` is that of the event.
    """

    state: Literal["confirmed", "untrusted", "pending", "failed"]
    tree_size: int | None
    time: str
    authority: str
    service: str
    trust: str
    position: int


@dataclass(frozen=True, slots=True)
class Copy:
    """One place where a copy lies or lay: the newest look at it, and when and by whom it was last found there."""

    url: str
    kind: str
    outcome: str
    grade: str
    looked_at: str
    by: str
    last_held: str
    held_by: str
    held_grade: str
    sha256: str
    bytes: int | None
    position: int


def clocks(store: Store, stream: Stream, position: int, events: Events) -> list[Clocked]:
    """Return what clocks say about the record at a position: first of the record itself, then of the log.

    Args:
        stream: the registry's, as it is by now.
        events: all that the record's document lists.
    """
    own = [_own(store, stream.registry, event) for event in _newest_anchors(events)[-MAX_CLOCKS:]]
    return [*own, *_of_log(stream, position)]


def copies(events: Events) -> list[Copy]:
    """Return where copies are kept or were, by the newest look at each place, the newest first."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for event in _counted(events, "storage_attestation"):
        location = event["payload"]["location"]
        found.setdefault((location["kind"], location["url"]), []).append(event)
    newest = sorted(found.values(), key=lambda looks: -looks[-1]["position"])
    return [_copy(looks) for looks in newest[:MAX_COPIES]]


def _copy(looks: list[Mapping[str, Any]]) -> Copy:
    last, payload = looks[-1], looks[-1]["payload"]
    held = next((look for look in reversed(looks) if look["payload"]["outcome"] == "stored"), None)
    content = (held or last)["payload"].get("content", {})
    return Copy(
        url=payload["location"]["url"],
        kind=wording.ARCHIVES.get(payload["location"]["kind"], payload["location"]["kind"]),
        outcome=payload["outcome"],
        grade=payload["grade"],
        looked_at=_looked_at(payload),
        by=last["signer"]["signer_id"],
        last_held=_looked_at(held["payload"]) if held else "",
        held_by=held["signer"]["signer_id"] if held else "",
        held_grade=held["payload"]["grade"] if held else "",
        sha256=content.get("sha256", ""),
        bytes=content.get("bytes"),
        position=last["position"],
    )


def _looked_at(payload: Mapping[str, Any]) -> str:
    found: str = payload.get("check", {}).get("ended_at", payload["captured_at"])
    return found


def _counted(events: Events, kind: str) -> Iterator[Mapping[str, Any]]:
    return (event for event in events if event["event_type"] == kind and event["status"] == "counted")


def _newest_anchors(events: Events) -> list[Mapping[str, Any]]:
    """Return the anchors that still say something: not those that their own signer has followed up."""
    found = list(_counted(events, "timestamp_anchor"))
    followed = {(event["payload"].get("upgrades"), _who(event)) for event in found}
    return [event for event in found if (event["event_id"], _who(event)) not in followed]


def _who(event: Mapping[str, Any]) -> tuple[str, str]:
    signer = event["signer"]
    return signer["signer_id"], str(signer.get("on_behalf_of", ""))


def _own(store: Store, registry: Registry, event: Mapping[str, Any]) -> Clocked:
    payload, position = event["payload"], event["position"]
    if payload["status"] == "confirmed":
        try:
            return _confirmed(registry, store.find(bytes.fromhex(event["event_id"][7:])), None)
        except AnchorError as error:
            return Clocked("untrusted", None, "", error.message, payload["service"], "", position)
    state: Literal["pending", "failed"] = "pending" if payload["status"] == "pending" else "failed"
    return Clocked(
        state, None, event["received_at"], wording.METHODS[payload["method"]], payload["service"], "", position
    )


def _of_log(stream: Stream, position: int) -> list[Clocked]:
    """Return for each clock its first word on a state of the log that has an entry in it."""
    registry = stream.registry
    return [
        _confirmed(registry, entry, entry.event.payload.anchored.tree_size)
        for entry in registry.first_anchors(position)
    ]


def _confirmed(registry: Registry, entry: Entry, tree_size: int | None) -> Clocked:
    """Say what a confirmed anchor's proof says; raises AnchorError where it does not hold."""
    said = registry.confirmation(entry.event)
    service = entry.event.payload.service
    return Clocked("confirmed", tree_size, said.attested_time, said.authority, service, said.trust, entry.position)
