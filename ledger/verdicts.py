"""Whether an entry counts, and why not: the rules of `pith-ledger-merge-1`.

`verdict` is one pure function, used alike when an event asks to be appended, when the log is folded,
and when a bundle is checked. What it refuses can never count, so admission stores none of it; the
other outcomes depend on entries that may come later (a revocation, a decision, a withdrawal).

Signatures are not checked here (see `signatures`): they depend on the event's bytes alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from ledger.errors import (
    ClockSkewError,
    ForeignRegistryError,
    RecordExistsError,
    RecordMissingError,
    SignerMismatchError,
    SubmissionError,
    TooLargeError,
)
from ledger.events import MODERATED, Entry
from ledger.key_rules import check_key_event
from ledger.keyring import NOW, Registration, microseconds
from ledger.keys import Role
from ledger.registry import Registry
from ledger.rules import RULES, RULES_OF_FORMED, Case, Targets

Status = Literal["counted", "held", "rejected", "redacted", "withdrawn", "revoked", "refused"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome for one entry; `reason` is for people, `error` only stands with `refused`."""

    status: Status
    reason: str = ""
    error: SubmissionError | None = None

    @property
    def counts(self) -> bool:
        return self.status == "counted"


COUNTED: Final = Verdict("counted")


def verdict(entry: Entry, registry: Registry, targets: Targets, before: int = NOW) -> Verdict:
    """Judge an entry by everything appended before a position.

    What the entry itself must fulfil is judged by what stood before it; whether it still counts, by what
    came since. `created_at` is the signer's claim and decides nothing but an impossible future.
    """
    try:
        check(entry, registry, targets)
    except SubmissionError as error:
        return Verdict("refused", str(error), error)
    return fate(entry, registry, targets, before)


def fate(entry: Entry, registry: Registry, targets: Targets, before: int = NOW) -> Verdict:
    """Say what became, before a position, of an entry that was fit to be appended."""
    event = entry.event
    # A key's revocation of itself stands, though its own signature is the first thing it voids.
    if event.event_type != "key_revoked" and not _stands(entry, registry, before):
        return Verdict("revoked", "received after the signer's key was compromised or revoked")
    if event.event_type not in MODERATED:
        return COUNTED
    decided: Entry | None = None
    for other in targets.about(event.event_id):
        if other.position >= before or not _stands(other, registry, before):
            continue
        if other.event.event_type == "withdrawal":
            return Verdict("withdrawn", "withdrawn by its signer")
        if decided is None or other.position > decided.position:
            decided = other
    if decided is not None:
        decision = decided.event.payload.decision
        return COUNTED if decision == "accepted" else Verdict(decision, f"{decision} by a moderator")
    return _held(entry, registry, before)


def check(entry: Entry, registry: Registry, targets: Targets, *, formed: bool = False) -> None:
    """Refuse what can never count at this position of this log.

    Args:
        formed: `rules.check_form` was asked about the event already, and refused nothing.

    Raises:
        SubmissionError: the child names the rule.
    """
    event = entry.event
    policy = registry.policy(entry.position)
    if len(event.raw) > policy.max_event_bytes:
        raise TooLargeError(f"{len(event.raw)} bytes, policy allows {policy.max_event_bytes}")
    if microseconds(event.created_at) > entry.received_at + policy.skew_seconds * 1_000_000:
        raise ClockSkewError(f"created_at {event.created_at} is in the future", place="created_at")
    if event.registry is not None and event.registry != registry.name:
        raise ForeignRegistryError(f"made for {event.registry}, this is {registry.name}", place="registry")
    if event.signer.signer_type == "pith_registry" and event.signer.signer_id != f"registry:{registry.name}":
        raise SignerMismatchError(f"a registry signs as registry:{registry.name}", place="signer.signer_id")
    if event.event_type in ("key_registered", "key_rotated", "key_revoked"):
        check_key_event(entry, registry)
        return
    key = signer_key(entry, registry)
    record: Entry | None = None
    if not event.subject.startswith("pith:registry:"):
        record = targets.record(event.subject)
        if event.event_type == "record_created":
            if record is not None and record.position < entry.position:
                raise RecordExistsError(f"{event.subject} was created at position {record.position}")
        elif record is None or record.position >= entry.position:
            raise RecordMissingError(f"{event.subject} has no record here", place="subject_pith_number")
    elif event.subject != registry.subject:
        raise ForeignRegistryError(f"{event.subject} is not this registry's stream", place="subject_pith_number")
    if rule := (RULES_OF_FORMED if formed else RULES).get(event.event_type):
        rule(Case(entry, key, record, registry, targets, formed))


_ROLES: Final[Mapping[str, tuple[Role, ...]]] = {
    "pith_registry": ("event",),
    "contributor": ("contributor",),
    "moderator": ("moderator",),
}


def signer_key(entry: Entry, registry: Registry) -> Registration:
    """Return the registration of the key that signed an entry.

    Raises:
        KeyNotValidError, SignerMismatchError: it could not sign this there and then.
    """
    event = entry.event
    roles = _ROLES[event.signer.signer_type]
    if event.event_type == "storage_attestation" and roles == ("contributor",):
        roles = ("contributor", "storage_checker")
    key = registry.keys.usable(event.signer.key_id, roles, entry.position, entry.received_at)
    if key.statement.signer_id != event.signer.signer_id:
        raise SignerMismatchError(f"the key was registered for {key.statement.signer_id}", place="signer.signer_id")
    return key


def _stands(entry: Entry, registry: Registry, before: int) -> bool:
    return not registry.keys.is_cut(entry.event.signer.key_id, entry.position, entry.received_at, before)


def _held(entry: Entry, registry: Registry, before: int) -> Verdict:
    event, policy = entry.event, registry.policy(entry.position, before).moderation
    if event.signer.on_behalf_of is not msgspec.UNSET and policy.server_signed == "held":
        return Verdict("held", "signed by the registry for someone without a key")
    if event.event_type == "replication_record" and policy.replications == "held":
        return Verdict("held", "replication records wait for a moderator")
    key = registry.keys.find(event.signer.key_id, before)
    if policy.unverified_keys == "accepted" or key is None or key.role != "contributor":
        return COUNTED
    if event.signer.signer_id in registry.keys.identifiers(key.key_id, before):
        return COUNTED
    return Verdict("held", "the identity was not proven for the signer's key")
