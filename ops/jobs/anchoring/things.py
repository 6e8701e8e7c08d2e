"""What is anchored, a checkpoint or a record, and the event that says what an outside clock made of it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from ledger import canonical, notes
from ledger.checkpoint_store import SignedCheckpoint
from ledger.errors import NotFoundError
from ledger.events import Event
from ledger.notes import SignedNote
from ledger.payloads import TimestampAnchor
from ledger.registry import confirm_anchor
from ledger.store import Store
from ledger.subjects import registry_subject
from ops.checkpointing import newest
from ops.home import Home
from ops.jobs.work import Work
from ops.services import Authority, Calendar
from projections import queries

MAX_NOTE: Final = 4_096
"""How long a note can be in an event (`ledger.payloads.Anchored`)."""

CHECKPOINT: Final = "checkpoint"
RECORD: Final = "record"


@dataclass(frozen=True, slots=True)
class Thing:
    """Something to anchor: `content` are the bytes whose SHA-256 is stamped.

    `subject` is a Pith Number or the registry's stream; `tree_size` and `note` are a checkpoint's, -1 and "" of a
    record.
    """

    what: Literal["checkpoint", "record"]
    subject: str
    content: bytes
    tree_size: int = -1
    note: str = ""

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.content).digest()

    @property
    def sha256(self) -> str:
        return self.digest.hex()


def checkpoint_thing(home: Home, signed: SignedCheckpoint) -> Thing:
    """Return a checkpoint as something to anchor; of a note that is too long the witnesses' signatures are left out."""
    note = signed.note
    if len(note) > MAX_NOTE:
        parsed = notes.parse(note)
        own = tuple(line for line in parsed.signatures if line.name == parsed.text.split("\n", 1)[0])
        note = SignedNote(parsed.text, own).format()
    return Thing(CHECKPOINT, registry_subject(home.store.registry_name), note, signed.size, note.decode())


def newest_checkpoint(home: Home) -> SignedCheckpoint:
    """Return the checkpoint to anchor: the published one, made new where that needs no witness.

    Raises:
        NotFoundError: none is published.
        LogCorruptedError: the log is no continuation of what was signed before.
    """
    return newest(home)


def record_thing(home: Home, suffix: str) -> Thing:
    """Return a paper's record as something to anchor.

    Args:
        suffix: all of the paper's, or whatever else names it.

    Raises:
        NotFoundError, AmbiguousError: it names no paper here, or several.
    """
    try:
        subject = queries.resolve(home.projections, suffix).subject
    except NotFoundError:
        home.catch_up()
        subject = queries.resolve(home.projections, suffix).subject
    for entry in home.store.of_subjects([subject], home.store.head().size)[subject]:
        if entry.event.event_type == "record_created":
            return Thing(RECORD, subject, canonical.encode_decoded(entry.event.value["payload"]["canonical_record"]))
    raise NotFoundError(f"the log holds no record of {subject}")


def made_at(store: Store, what: str, subject: str, tree_size: int) -> int:
    """Return when what is anchored came to be (microseconds): the newest entry of a checkpoint, or a record.

    Raises:
        NotFoundError: the log does not hold it.
    """
    if what == CHECKPOINT:
        return store.entry(tree_size - 1).received_at
    for entry in store.of_subjects([subject], store.head().size)[subject]:
        if entry.event.event_type == "record_created":
            return entry.received_at
    raise NotFoundError(f"the log holds no record of {subject}")


def method_of(clock: Calendar | Authority) -> Literal["opentimestamps", "rfc3161"]:
    return "rfc3161" if isinstance(clock, Authority) else "opentimestamps"


def payload(
    what: str, sha256: str, tree_size: int, note: str, method: str, service: str, proof: bytes, status: str
) -> dict[str, Any]:
    """Return the payload of a timestamp_anchor, without what only a confirmed or upgraded one has."""
    anchored: dict[str, Any] = {"what": what, "sha256": sha256}
    if what == CHECKPOINT:
        anchored |= {"tree_size": tree_size, "note": note}
    return {
        "anchored": anchored,
        "method": method,
        "service": service,
        "proof_b64": base64.b64encode(proof).decode(),
        "status": status,
    }


def confirmed(work: Work, anchored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of a confirmed anchor with the time its proof states, under the policy in force now.

    Args:
        anchored: the payload; of a Bitcoin proof with `block_header` and `height`.

    Raises:
        AnchorError: the proof does not hold, or not under this policy.
    """
    stated = {**anchored, "status": "confirmed"}
    found = confirm_anchor(msgspec.convert(stated, TimestampAnchor), work.policy())
    return {**stated, "attested_time": found.attested_time}


def signed(work: Work, subject: str, anchored: Mapping[str, Any]) -> Event:
    """Return the signed event of a payload; raises UsageError where the registry's key is not kept here."""
    return work.signatory().sign("timestamp_anchor", subject, anchored)[0]
