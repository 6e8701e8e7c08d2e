"""What a registry's files prove: receipts, bundles, proofs and checkpoints, under the keys that the caller trusts.

Without a root or a log key from elsewhere, a registry vouches for its own keys. The first root that was seen must then
stay the root.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from api.client.answers import Proven, ProvenCheckpoint, Submitted, Taken
from api.client.growing import Growth, Sighted
from ledger import tlog_proof
from ledger.checkpoints import Opened
from ledger.errors import UsageError, VerificationError
from ledger.events import Event, from_value, parse_stored
from ledger.log_keys import stated_origin
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.proofs.authority import Authority, authority_of
from ledger.proofs.steps import step
from ledger.proofs.trust import Trust, cosigned
from ledger.proofs.verify_receipt import verify_consistency_file, verify_receipt_file
from ledger.subjects import registry_subject
from projections.verify_bundle import verify_bundle


class Verifying:
    """Verifies what one registry hands out.

    Args:
        identity: returns the registry's `pith-log.json`, decoded; asked for only where a checkpoint comes alone.
    """

    def __init__(self, trust: Trust, growth: Growth, identity: Callable[[], Mapping[str, Any]]) -> None:
        self.trust = trust
        self._growth = growth
        self._identity = identity
        self._lock = threading.Lock()
        self._root = trust.root
        self._origin: str | None = None
        self._authority: Authority | None = None

    @property
    def is_pinned(self) -> bool:
        """Whether the keys rest on what the caller knows from elsewhere, not on the registry's own word."""
        return self.trust.root is not None or self.trust.log_key is not None

    def authority(self) -> Authority:
        """Return who may sign for the log, by its identity.

        Raises:
            VerificationError: the step that failed.
            LedgerError: the identity cannot be had.
        """
        with self._lock:
            if self._authority is None:
                self._authority = self._read_identity()
            return self._authority

    def registry_name(self) -> str:
        """Return the registry's stable name, by its identity; raises as `authority` does."""
        return self.authority().origin.partition("/log")[0]

    def receipt(self, value: Mapping[str, Any], event_id: str) -> Proven:
        """Verify the receipt of an event; raises VerificationError, ForkError."""
        checks = self._checked(verify_receipt_file, value)
        self._see(value)
        if value["event"]["event_id"] != event_id:
            raise VerificationError("inclusion", "this is the receipt of another event", place="event_id", cure="")
        return Proven(value, checks)

    def bundle(self, value: Mapping[str, Any], number: str) -> Proven:
        """Verify the bundle of a paper; raises VerificationError, ForkError."""
        checks = self._checked(verify_bundle, value)
        self._see(value)
        if value["pith_number"] != number:
            raise VerificationError("number", f"this is the bundle of another paper than {number}", cure="")
        return Proven(value, checks)

    def growth(self, value: Mapping[str, Any], sizes: tuple[int, int]) -> Proven:
        """Verify the proof that the log grew from one size to another; raises VerificationError, ForkError."""
        checks = self._checked(verify_consistency_file, value)
        found = [Sighted.of(note.encode()) for note in value["checkpoints"]]
        if tuple(sighted.checkpoint.size for sighted in found) != sizes:
            raise VerificationError("size", "it is about checkpoints of other sizes", place="checkpoints", cure="")
        self._check_root(value)
        # The smaller one is shown to be of the same tree by the proof itself.
        self._growth.see(found[1], lambda: self._vouching(value))
        return Proven(value, checks)

    def inclusion(self, raw: bytes, event_id: str) -> tuple[str, ...]:
        """Verify a C2SP tlog-proof of an event; return what holds, a sentence a check."""
        proof = tlog_proof.parse(raw)
        with step("canonical form"):
            event = parse_stored(proof.extra[8:])
        if event.id_text != event_id:
            raise VerificationError("inclusion", "this is the proof of another event", place="extra", cure="")
        opened, checks = self._opened(proof.checkpoint)
        checkpoint = opened.checkpoint
        verify_inclusion(leaf_hash(proof.extra), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
        said = f"inclusion: the event is leaf {proof.index} of the checkpoint's tree"
        return (*checks, said, "open: whose event it is; a receipt brings the key events that tell")

    def checkpoint(self, note: bytes) -> ProvenCheckpoint:
        """Verify a checkpoint that comes alone; raises VerificationError, ForkError."""
        opened, checks = self._opened(note)
        return ProvenCheckpoint(opened.checkpoint, note, tuple(checks))

    def submitted(self, event: Event, taken: Taken) -> Submitted:
        """Verify what a registry answers to a submission.

        Raises:
            VerificationError: it does not prove that the log holds this very event where it says.
        """
        if taken.event_id != event.id_text:
            raise VerificationError("inclusion", "the answer is about another event", place="event_id", cure="")
        receipt = None
        if taken.receipt is not None:
            receipt = self.receipt(taken.receipt, event.id_text)
            self._check_same(event, taken, receipt.value)
        return Submitted(event, taken.position, taken.received_at, taken.created, receipt)

    # --- inside ----------------------------------------------------------------------------

    def _checked(
        self, verify: Callable[[Mapping[str, Any], Trust], list[str]], value: Mapping[str, Any]
    ) -> tuple[str, ...]:
        try:
            return tuple(verify(value, self.trust))
        except UsageError as error:  # a version that is not known here; whoever asked did nothing wrong
            raise VerificationError("canonical form", error.message, place=error.place, cure=error.cure) from error

    def _check_same(self, event: Event, taken: Taken, receipt: Mapping[str, Any]) -> None:
        for name, step_name in (("position", "position"), ("received_at", "time")):
            if receipt[name] != getattr(taken, name):
                raise VerificationError(
                    step_name,
                    f"the answer says {getattr(taken, name)}, its receipt {receipt[name]}",
                    place=name,
                    cure="",
                )
        # Another signature over the same body is the same event: the log then holds the one that came first.
        if taken.created and from_value(receipt["event"]).raw != event.raw:
            raise VerificationError("inclusion", "the log holds other bytes than were sent", place="event", cure="")

    def _see(self, value: Mapping[str, Any]) -> None:
        self._check_root(value)
        self._growth.see(Sighted.of(value["checkpoint"].encode()), lambda: self._vouching(value))

    def _check_root(self, value: Mapping[str, Any]) -> None:
        with self._lock:
            if self._root not in (None, value["root"]):
                raise VerificationError("root", f"the log began with {self._root} before, now with {value['root']}")
            self._root = value["root"]
            self._check_origin(value.get("origin") or stated_origin(value["checkpoint"].encode()))

    def _check_origin(self, origin: str) -> None:
        """Refuse another log of the same registry: its trees do not continue those that were seen."""
        if self._origin not in (None, origin):
            raise VerificationError("root", f"this is of the log {origin}, what came before of {self._origin}", cure="")
        self._origin = origin

    def _vouching(self, value: Mapping[str, Any]) -> Authority:
        """Return who may sign for the log by the key events of a verified file."""
        rows = list(value["key_events"])
        event = value.get("event")
        if event is not None and event["subject_pith_number"] == registry_subject(value["registry"]):
            rows.append({**event, "position": value["position"], "received_at": value["received_at"]})
        stated = {"origin": stated_origin(value["checkpoint"].encode())} if "checkpoint" in value else {}
        return authority_of({**stated, **value, "key_events": rows}, self.trust.root, self.trust.log_key)

    def _opened(self, note: bytes) -> tuple[Opened, list[str]]:
        """Open a checkpoint by the identity that is known, or where its key is new by a newer one."""
        by = self.authority()
        try:
            opened = by.open(note, others=self.trust.witnesses)
        except VerificationError as error:
            if error.step != "key validity" or by.key:
                raise
            with self._lock:
                self._authority = by = self._read_identity()
            opened = by.open(note, others=self.trust.witnesses)
        said = (
            f"checkpoint: signed by the log's key over {opened.checkpoint.size} entries{cosigned(opened, self.trust)}"
        )
        self._growth.see(Sighted.of(note), lambda: by)
        return opened, [by.sentence(), said]

    def _read_identity(self) -> Authority:
        if self.trust.log_key is not None and self.trust.root is None:
            return authority_of({}, None, self.trust.log_key)
        found = authority_of(self._identity(), self.trust.root)
        if self._root not in (None, found.root):
            raise VerificationError("root", f"the log began with {self._root} before, now with {found.root}")
        self._root = found.root
        self._check_origin(found.origin)
        return found
