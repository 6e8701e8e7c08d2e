"""What a registry's own stream says: its keys, its policies and how far outside clocks vouch for the log.

Like `KeyHistory`, a `Registry` is a set of facts by position: entries may be added in any order, and
every question names the position it is asked for.
"""

from __future__ import annotations

import base64
import hashlib
from bisect import insort
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from ledger.anchors import BitcoinRules, Confirmation, confirm
from ledger.checkpoints import Checkpoint, Opened
from ledger.errors import (
    AnchorError,
    AnchorMalformedError,
    AnchorMismatchError,
    AnchorUntrustedError,
    VerificationError,
)
from ledger.events import Entry, Event
from ledger.keyring import NOW, KeyHistory, microseconds
from ledger.log_keys import label_of, log_origin, open_log_checkpoint
from ledger.notes import Verifier
from ledger.payloads import PolicySet, TimestampAnchor
from ledger.subjects import registry_subject

DEFAULT_POLICY: Final[Mapping[str, Any]] = {
    "timestamp_roots": [],
    "bitcoin": [{"network": "mainnet", "minimum_work_bits": 76, "checkpoints": {}}],
    "moderation": {"server_signed": "held", "replications": "held", "unverified_keys": "held"},
    "matching": {"orcid": True, "email": True},
    "checkers": [],
    "max_event_bytes": 65_527,
    "skew_seconds": 300,
}
"""In force until the stream says otherwise; `pith init` appends it as the first policy_set."""

MAX_CONFIRMATIONS: Final = 4_096
"""Of how many proofs it is remembered what they say."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why a proof does not hold."""

    kind: type[AnchorError]
    message: str
    place: str
    cure: str

    def error(self) -> AnchorError:
        return self.kind(self.message, place=self.place, cure=self.cure)


@dataclass(slots=True)
class Registry:
    """A registry by its stable name, and every fact of its stream, in one of its logs, that has been added.

    `label` says in which log; the first log's is empty.
    """

    name: str
    label: str = ""
    keys: KeyHistory = field(default_factory=KeyHistory)
    _policies: dict[int, Entry] = field(default_factory=dict)
    _anchors: dict[int, Entry] = field(default_factory=dict)
    _confirmations: dict[tuple[bytes, int | None], Confirmation | _Fault] = field(default_factory=dict)
    _by_size: list[tuple[int, int]] = field(default_factory=list)  # (-tree size, position) of each anchor
    _last: int = -1
    # What anchors confirm by everything that is known of policies and keys, the newest of which is `_last_fact`.
    _settled: dict[int, tuple[Checkpoint, Confirmation] | None] = field(default_factory=dict)
    _last_fact: int = -1
    _deciding: list[Entry] | None = None  # by everything that is known; None where that was not worked out

    @classmethod
    def named(cls, name: str, label: str = "") -> Registry:
        """Return a registry of which nothing is known yet; raises InvalidFieldError for what is no registry's name."""
        return cls(registry_subject(name).removeprefix("pith:registry:"), label)

    @classmethod
    def of_origin(cls, name: str, origin: str) -> Registry:
        """Return a registry of which nothing is known yet, as the log with an origin will tell of it.

        Raises:
            InvalidFieldError: that is no registry's name.
            VerificationError: step `root`; the origin is not of one of its logs.
        """
        return cls.named(name, label_of(origin, name))

    @property
    def subject(self) -> str:
        return registry_subject(self.name)

    @property
    def origin(self) -> str:
        return log_origin(self.name, self.label)

    def copy(self) -> Registry:
        """Return a registry that knows the same and learns on its own from here."""
        return replace(
            self,
            keys=self.keys.copy(),
            _policies=dict(self._policies),
            _anchors=dict(self._anchors),
            _confirmations=dict(self._confirmations),
            _by_size=list(self._by_size),
            _settled=dict(self._settled),
        )

    def add(self, entry: Entry) -> None:
        """Take in an entry of the registry's stream; entries of other subjects are passed over."""
        if entry.event.subject != self.subject:
            return
        self._last, self._deciding = max(self._last, entry.position), None
        if entry.event.event_type != "timestamp_anchor":
            self._last_fact = max(self._last_fact, entry.position)
            self._settled.clear()
        match entry.event.event_type:
            case "policy_set":
                self._policies[entry.position] = entry
            case "timestamp_anchor":
                payload: TimestampAnchor = entry.event.payload
                size = payload.anchored.tree_size
                if entry.position not in self._anchors and payload.status == "confirmed" and isinstance(size, int):
                    insort(self._by_size, (-size, entry.position))
                self._anchors[entry.position] = entry
            case _:
                self.keys.add(entry)

    def policy(self, position: int = NOW, before: int | None = None) -> PolicySet:
        """Return the policy in force for an entry at a position, by what is known before another (or the same)."""
        at = self._policy_at(position, position if before is None else before)
        return _DEFAULT if at is None else self._policies[at].event.payload

    def _policy_at(self, position: int, before: int) -> int | None:
        below, found = min(position, before), -1
        for at, entry in self._policies.items():
            if found < at < below and not self.keys.is_cut(entry.event.signer.key_id, at, entry.received_at, before):
                found = at
        return found if found >= 0 else None

    def has_log(self, before: int = NOW) -> bool:
        """Say whether policy names this log among the registry's, by what is known before a position."""
        if not self.label:
            return True
        logs = self.policy(before).logs
        return isinstance(logs, list) and self.label in logs

    def open_checkpoint(
        self,
        raw: bytes,
        *,
        known_at: int = 0,
        existed_by: int | None = None,
        before: int = NOW,
        others: Iterable[Verifier] = (),
    ) -> Opened:
        """Open a checkpoint of this log by the keys of the registry's stream; arguments as of `open_log_checkpoint`.

        Raises:
            VerificationError: step `checkpoint` or `key validity` as there; step `checkpoint` too where this log is
                none that the registry's policy names: who keeps a log in secret could show it to some alone.
        """
        opened = open_log_checkpoint(
            raw,
            self.name,
            self.keys,
            label=self.label,
            known_at=known_at,
            existed_by=existed_by,
            before=before,
            others=others,
        )
        if not self.has_log(min(before, opened.checkpoint.size)):
            raise VerificationError("checkpoint", f"the policy of {self.name} names no log {self.label!r}", cure="")
        return opened

    def confirmation(self, anchor: Event, before: int = NOW) -> Confirmation:
        """Verify an anchor's proof offline under the policy in force before a position.

        Raises:
            AnchorError: the anchor is not confirmed, or its proof does not hold under this policy.
        """
        asked = anchor.event_id, self._policy_at(before, before)
        known = self._confirmations.get(asked)
        if known is None:
            # Proofs are costly to check, and the outcome depends on nothing but these two.
            try:
                known = confirm_anchor(anchor.payload, self.policy(before))
            except AnchorError as error:
                # Not the error itself: each time it was raised it would keep the stack of whoever asked.
                known = _Fault(type(error), error.message, error.place, error.cure)
            # Most of those that are asked about may be refused, and never stand in the log.
            if len(self._confirmations) >= MAX_CONFIRMATIONS:
                self._confirmations = {}
            self._confirmations[asked] = known
        if isinstance(known, _Fault):
            raise known.error()
        return known

    def independent_clocks(self, before: int = NOW) -> int:
        """Return how many independent clocks must vouch for something before it is anchored."""
        asked = self.policy(before).independent_clocks
        return asked if isinstance(asked, int) else 1

    def anchored_size(self, before: int = NOW) -> int:
        """Return the greatest tree size that enough independent clocks vouch for; 0 if there is none.

        A clock vouches for a tree and for every earlier state of it.
        """
        deciding = self.deciding_anchors(before)
        size: int = deciding[-1].event.payload.anchored.tree_size if deciding else 0
        return size

    def stated_size(self) -> int:
        """Return the greatest tree size that any anchor says is confirmed, whether or not its proof holds."""
        return -self._by_size[0][0] if self._by_size else 0

    def deciding_anchors(self, before: int = NOW) -> list[Entry]:
        """Return the anchors from which the anchored size follows, the greatest checkpoint first.

        They are, of as many clocks as policy asks for, each one's first anchor of the greatest checkpoint that it
        confirms; none at all where there are fewer clocks.
        """
        if before > self._last:
            if self._deciding is None:
                self._deciding = self._decide(before)
            return self._deciding
        return self._decide(before)

    def first_anchors(self, position: int, before: int = NOW) -> list[Entry]:
        """Return which anchors of the log vouched first for an entry at a position, one of each independent clock.

        Of one address only the first that confirms is looked at: a log has thousands of anchors.
        """
        found: dict[str, Entry] = {}
        asked: set[str] = set()
        for at in sorted(at for size, at in self._by_size if -size > position and at < before):
            entry = self._anchors[at]
            service = entry.event.payload.service
            if service not in asked and (said := self._said(entry, before)):
                asked.add(service)
                found.setdefault(said[1].clock, entry)
        return list(found.values())

    def _decide(self, before: int) -> list[Entry]:
        needed = self.independent_clocks(before)
        found: dict[str, Entry] = {}
        for _, position in self._by_size:
            entry = self._anchors[position]
            if position < before and (said := self._said(entry, before)):
                found.setdefault(said[1].clock, entry)
                if len(found) == needed:
                    return list(found.values())
        return []

    def confirmed(self, entry: Entry, before: int = NOW) -> Checkpoint | None:
        """Return the checkpoint of this log that an entry of the stream anchors; None where it confirms none."""
        said = self._said(entry, before)
        return said[0] if said else None

    def _said(self, entry: Entry, before: int) -> tuple[Checkpoint, Confirmation] | None:
        """Return what an entry of the stream confirms, and by whom; None where it confirms nothing."""
        is_settled = before > self._last_fact
        if is_settled and entry.position in self._settled:
            return self._settled[entry.position]
        found: tuple[Checkpoint, Confirmation] | None = None
        with suppress(AnchorError, VerificationError):  # pending, or under roots that policy no longer trusts
            found = self.anchored(entry, before)
        if is_settled:
            self._settled[entry.position] = found
        return found

    def anchored(self, entry: Entry, before: int = NOW) -> tuple[Checkpoint, Confirmation]:
        """Return the checkpoint that an anchor in the stream confirms, and what its proof says.

        Raises:
            AnchorError: the proof does not hold under the policy in force before a position.
            VerificationError: what was anchored is no checkpoint that this log's key signed, or not this one; or the
                entry is no anchor by the registry, or by a key that was revoked from before it.
        """
        event, signer = entry.event, entry.event.signer
        if event.event_type != "timestamp_anchor" or signer.signer_type != "pith_registry":
            raise VerificationError("anchor", "only the registry anchors its checkpoints")
        anchored = event.payload.anchored
        confirmed = self.confirmation(event, before)
        if self.keys.is_cut(signer.key_id, entry.position, entry.received_at, before):
            raise VerificationError("anchor", "the key that signed the anchor was revoked from an earlier time")
        if not isinstance(anchored.note, str):
            raise VerificationError("anchor", "the anchor does not carry its note: anything could be anchored")
        # The proof says when the note existed at the latest: a key stolen later does not unmake it.
        existed = microseconds(confirmed.attested_time)
        note = anchored.note.encode()
        checkpoint = self.open_checkpoint(note, existed_by=existed, before=before).checkpoint
        # No checkpoint covers the anchor that names it.
        if checkpoint.size != anchored.tree_size or checkpoint.size > entry.position:
            raise VerificationError("anchor", f"the note is of {checkpoint.size} entries, not {anchored.tree_size}")
        return checkpoint, confirmed


def confirm_anchor(payload: TimestampAnchor, policy: PolicySet) -> Confirmation:
    """Verify a confirmed anchor offline, under what a policy trusts.

    Raises:
        AnchorError: the proof does not hold, or not under this policy.
    """
    if payload.status != "confirmed":
        raise AnchorUntrustedError(f"the anchor is {payload.status}", place="payload.status")
    note = payload.anchored.note
    if isinstance(note, str) and hashlib.sha256(note.encode()).hexdigest() != payload.anchored.sha256:
        raise AnchorMismatchError("the note does not hash to the anchored sha256", place="payload.anchored.note")
    return confirm(
        payload.method,
        bytes.fromhex(payload.anchored.sha256),
        proof_of(payload),
        block_header=bytes.fromhex(payload.block_header) if isinstance(payload.block_header, str) else None,
        height=payload.height if isinstance(payload.height, int) else None,
        bitcoin=[
            BitcoinRules(
                rule.network, rule.minimum_work_bits, {int(at): block for at, block in rule.checkpoints.items()}
            )
            for rule in policy.bitcoin
        ],
        roots=[base64.b64decode(root) for root in policy.timestamp_roots],  # checked when the policy was admitted
    )


def proof_of(payload: TimestampAnchor) -> bytes:
    """Return the raw proof of an anchor: an `.ots` file or an RFC 3161 reply.

    Raises:
        AnchorMalformedError: it is not base64.
    """
    try:
        return base64.b64decode(payload.proof_b64, validate=True)
    except ValueError:
        raise AnchorMalformedError("not base64", place="payload.proof_b64") from None


_DEFAULT: Final = msgspec.convert(DEFAULT_POLICY, PolicySet)
