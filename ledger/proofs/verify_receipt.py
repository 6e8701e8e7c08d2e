"""Offline verification of receipts and proofs: one event, or one growth of the log, under signed checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger import tlog_proof
from ledger.anchors import Confirmation
from ledger.checkpoints import open_checkpoint
from ledger.errors import KeyNotValidError, SubmissionError, UsageError, VerificationError
from ledger.events import Entry, from_value, parse_stored
from ledger.merkle import leaf_hash, verify_consistency, verify_inclusion
from ledger.proofs.authority import Authority, authority_of, authority_of_events
from ledger.proofs.entry_rows import entry_of_row, hashes_of_text, whole
from ledger.proofs.outside import contradictions, outside_word
from ledger.proofs.receipts import VERSION
from ledger.proofs.sparse import SparseTargets, verify_sparse
from ledger.proofs.steps import step
from ledger.proofs.trust import Trust, cosigned, open_questions
from ledger.proofs.verify_places import verify_place, verify_places
from ledger.registry import Registry
from ledger.signatures import verify_signatures
from ledger.times import instant
from ledger.verdicts import signer_key

_MEMBERS = {"receipt_type", "receipt_version", "origin", "registry", "root", "event", "position", "received_at"} | {
    "inclusion_proof",
    "checkpoint",
    "anchors",
    "key_events",
}
_GROWTH_MEMBERS = {"proof_type", "proof_version", "origin", "registry", "root", "key_events"} | {
    "checkpoints",
    "consistency_proof",
}


def verify_receipt_file(receipt: Mapping[str, Any], trust: Trust) -> list[str]:
    """Verify a receipt; return what was found to hold, one sentence a check.

    Raises:
        VerificationError: the first check that failed, named.
    """
    with step("canonical form"):
        _check_form(receipt, "receipt_version", _MEMBERS)
        entry = Entry(whole(receipt["position"]), whole(receipt["received_at"]), from_value(receipt["event"]))
        anchors = [entry_of_row(row) for row in receipt["anchors"]]
        note = receipt["checkpoint"].encode()
    done = [f"canonical form: {entry.event.id_text} is the hash of the event"]
    authority = _authority(receipt, trust, entry)
    _check_stated(receipt, authority)
    registry = authority.registry
    assert registry is not None
    done.append(authority.sentence())
    _verify_event(entry, registry)
    done.append(f"signature: the event is signed by {entry.event.signer.key_id}")
    done.append(f"key validity: registered for {entry.event.signer.signer_id}, valid when the log took the event")
    verify_sparse(anchors, registry, SparseTargets())
    newest = max(known.received_at for known in (entry, *authority.key_events, *anchors))
    opened = authority.open(note, known_at=newest, others=trust.witnesses)
    checkpoint = opened.checkpoint
    done.append(f"checkpoint: signed by the log's key over {checkpoint.size} entries{cosigned(opened, trust)}")
    verify_place(entry, receipt, checkpoint)
    done.append(f"inclusion: the event is leaf {entry.position} of the checkpoint's tree")
    done += verify_places([*receipt["key_events"], *receipt["anchors"]], checkpoint, registry, "events it relies on")
    done += _verify_anchors(entry, anchors, registry, trust)
    if not anchors:
        done.append(f"open: that it was received at {instant(entry.received_at)} is the registry's word")
    return done + open_questions(trust)


def verify_inclusion_file(raw: bytes, trust: Trust) -> list[str]:
    """Verify an inclusion proof (C2SP tlog-proof) whose extra data is the leaf; raises VerificationError."""
    proof = tlog_proof.parse(raw)
    if trust.log_key is None:
        raise UsageError(
            "a proof does not say who may sign for its log",
            place="--log-key",
            cure="give the log's key (NAME+HASH+KEY, the log_key of its pith-log.json), or ask for a receipt instead",
        )
    with step("canonical form"):
        event = parse_stored(proof.extra[8:])
        entry = Entry(proof.index, whole(int.from_bytes(proof.extra[:8], "big")), event)
    opened = open_checkpoint(proof.checkpoint, trust.log_key.name, trust.log_key, trust.witnesses)
    checkpoint = opened.checkpoint
    verify_inclusion(leaf_hash(proof.extra), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return [
        f"canonical form: {event.id_text} is the hash of the event",
        f"checkpoint: signed by {trust.log_key.format()} over {checkpoint.size} entries{cosigned(opened, trust)}",
        f"inclusion: the event is leaf {proof.index} of its tree, received at {instant(entry.received_at)}",
        "open: whose event it is; a receipt brings the key events that tell",
    ]


def verify_consistency_file(proof: Mapping[str, Any], trust: Trust) -> list[str]:
    """Verify that one checkpoint's tree begins with the whole tree of an earlier one; raises VerificationError."""
    with step("canonical form"):
        _check_form(proof, "proof_version", _GROWTH_MEMBERS)
        old_note, new_note = (text.encode() for text in proof["checkpoints"])
        hashes = hashes_of_text(proof["consistency_proof"])
    authority = authority_of(proof, trust.root, trust.log_key)
    _check_stated(proof, authority)
    old = authority.open(old_note).checkpoint
    opened = authority.open(new_note, others=trust.witnesses)
    new = opened.checkpoint
    verify_consistency(old.size, new.size, old.root, new.root, hashes)
    return [
        authority.sentence(),
        f"checkpoint: both are signed by the log's key, over {old.size} and {new.size} entries"
        + cosigned(opened, trust),
        f"consistency: the first {old.size} entries are the same under both",
        *open_questions(trust),
    ]


def _authority(receipt: Mapping[str, Any], trust: Trust, entry: Entry) -> Authority:
    """Read the receipt's key events; an event of the registry's own stream takes its place among them."""
    with step("canonical form"):
        registry = Registry.of_origin(receipt["registry"], receipt["origin"])
        own = [entry] if entry.event.subject == registry.subject else []
        entries = sorted([*map(entry_of_row, receipt["key_events"]), *own], key=lambda known: known.position)
    return authority_of_events(registry, entries, trust.root, receipt.get("root"))


def _verify_event(entry: Entry, registry: Registry) -> None:
    place = f"position {entry.position}"
    if entry.event.subject != registry.subject:  # else verified among the key events, by every rule
        try:
            signer_key(entry, registry)
            verify_signatures(entry.event, registry.keys, entry.position)
        except KeyNotValidError as error:
            raise VerificationError("key validity", error.message, place=place) from error
        except SubmissionError as error:
            raise VerificationError("signature", error.message, place=place) from error
    # A key's revocation of itself stands, though its own signature is the first thing it voids.
    cut = registry.keys.is_cut(entry.event.signer.key_id, entry.position, entry.received_at)
    if cut and entry.event.event_type != "key_revoked":
        raise VerificationError("key validity", "the key was revoked from an earlier time", place=place)


def _verify_anchors(entry: Entry, anchors: list[Entry], registry: Registry, trust: Trust) -> list[str]:
    """Say what outside clocks vouch for: that the entry stood in a tree which existed at some time."""
    done, vouched = list[str](), list[tuple[Confirmation, int]]()
    for anchor in anchors:
        with step("anchor", f"position {anchor.position}"):
            earlier, confirmed = registry.anchored(anchor)
            if earlier.size <= entry.position:
                raise VerificationError("anchor", f"it covers {earlier.size} entries, not position {entry.position}")
        done.append(outside_word("it stood in the log", anchor, confirmed, trust))
        vouched.append((confirmed, entry.received_at))
    return done + contradictions(vouched)


def _check_stated(value: Mapping[str, Any], authority: Authority) -> None:
    with step("canonical form"):
        stated = value["origin"], value["root"]
    if stated != (authority.origin, authority.root if authority.registry else value["root"]):
        raise VerificationError("root", f"the file says {stated}, its key events {authority.root}", cure="")


def _check_form(value: Mapping[str, Any], version: str, members: set[str]) -> None:
    if value[version] != VERSION:
        raise UsageError(f"this file is of version {str(value[version])[:20]!r}, known is {VERSION}", place=version)
    for name in {"anchors", "key_events"} & members:
        if type(value[name]) is not list:
            raise VerificationError("canonical form", "it is no list", place=name)
    if unknown := sorted(set(value) - members):
        raise VerificationError("canonical form", "nothing proves what this says", place=unknown[0])
