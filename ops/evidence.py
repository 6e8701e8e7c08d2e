"""Evidence of a fork: two signed checkpoints of one log that cannot both be true, in one file.

`prefix_root` is the root over the first entries of the larger tree, as many as the smaller checkpoint states.
`consistency_proof` (RFC 6962, 2.1.2) leads from it to the larger checkpoint's root, so the larger tree is
proven to begin with other entries than the smaller checkpoint states. For equal sizes the proof is empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ledger.checkpoints import Opened
from ledger.errors import UsageError, VerificationError
from ledger.keyring import NOW
from ledger.keys import key_id
from ledger.merkle import HASH_BYTES, NodeReader, consistency_proof, tree_root, verify_consistency
from ledger.notes import Verifier, decode_base64
from ledger.proofs.authority import Authority, authority_of
from ledger.proofs.entry_rows import hashes_of_text, hashes_to_text
from ledger.proofs.steps import step
from ledger.registry import Registry
from ledger.times import instant

EVIDENCE_TYPE: Final = "pith_fork_evidence"
EVIDENCE_VERSION: Final = "1.0"
OTHER_EVENTS: Final = "other_key_events"

_OWN: Final = {
    "evidence_type",
    "evidence_version",
    "origin",
    "checkpoints",
    "prefix_root",
    "consistency_proof",
    "found_at",
}
_TRUSTED: Final = ({"log_key"}, {"registry", "root", "key_events"}, {"registry", "root", "key_events", OTHER_EVENTS})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def evidence(
    authority: Authority,
    first: bytes,
    second: bytes,
    node: NodeReader | None,
    now: int,
    other: Authority | None = None,
) -> dict[str, Any]:
    """Write evidence that a log signed two checkpoints that contradict each other.

    Args:
        authority: who may sign the first checkpoint.
        first, second: signed notes, in any order of size.
        node: perfect nodes of the larger one's tree; None where the sizes are equal.
        now: microseconds since 1970.
        other: who may sign the second, where the log has shown another history of its keys beside it.

    Raises:
        VerificationError: the step that failed; in particular `consistency` where both can be true.
    """
    signed = [(authority, first), (other or authority, second)]
    for one in (authority, other):
        # The fewer key events a file carries, the less its reader has to believe.
        if one is not None and _opens(one, first) and _opens(one, second):
            signed = [(one, first), (one, second)]
            break
    (smaller, old), (larger, new) = sorted(
        ((by.open(note).checkpoint, (by, note)) for by, note in signed), key=lambda known: known[0].size
    )
    prefix_root, proof = larger.root, []
    if smaller.size < larger.size:
        if node is None:
            raise VerificationError("consistency", f"the tree of {larger.size} entries is needed", cure="")
        prefix_root = tree_root(smaller.size, node)
        proof = consistency_proof(smaller.size, larger.size, node)
    found = {
        "evidence_type": EVIDENCE_TYPE,
        "evidence_version": EVIDENCE_VERSION,
        **old[0].facts(),
        "checkpoints": [old[1].decode(), new[1].decode()],
        "prefix_root": hashes_to_text([prefix_root])[0],
        "consistency_proof": hashes_to_text(proof),
        "found_at": instant(now),
    }
    if new[0] is not old[0]:
        found[OTHER_EVENTS] = new[0].facts()["key_events"]
    verify_evidence(found, authority.root or None, authority.key)
    return found


def verify_evidence(value: Mapping[str, Any], root: str | None, log_key: Verifier | None) -> list[str]:
    """Verify evidence of a fork; return what was found to hold, one sentence a check.

    Args:
        root: the event id the log must begin with, known from elsewhere; None takes the file's own word.
        log_key: the log's key known from elsewhere; decides instead of a root.

    Raises:
        VerificationError: the first check that failed, named; `consistency` where both checkpoints can be true.
    """
    with step("canonical form"):
        notes = _notes(value)
        prefix_root, proof = decode_base64(value["prefix_root"]), hashes_of_text(value["consistency_proof"])
        if len(prefix_root) != HASH_BYTES:
            raise VerificationError("canonical form", "it is not the base64 of a 32-byte hash", place="prefix_root")
        found_at = _time(value["found_at"])
    first, second = _authorities(value, root, log_key)
    opened = [by.open(note) for by, note in zip((first, second), notes, strict=True)]
    old, new = (found.checkpoint for found in opened)
    if first is not second and (_opens(first, notes[1]) or _opens(second, notes[0])):
        raise VerificationError("canonical form", "one history of the log's keys is enough here", place=OTHER_EVENTS)
    if old.size > new.size:
        raise VerificationError("consistency", "the smaller checkpoint does not come first", place="checkpoints")
    if old.root == (new.root if old.size == new.size else prefix_root):
        raise VerificationError(
            "consistency", f"both can be true: nothing here contradicts the root over {old.size} entries", cure=""
        )
    verify_consistency(old.size, new.size, prefix_root, new.root, proof)
    return [
        first.sentence(),
        f"checkpoints: the log's keys signed one of {old.size} and one of {new.size} entries of {old.origin}",
        f"consistency: of the first {old.size} entries the smaller states the root {old.root.hex()}, the larger proves"
        f" {prefix_root.hex()}: they cannot both be true"
        if old.size < new.size
        else f"consistency: they state two roots for {old.size} entries, {old.root.hex()} and {new.root.hex()}",
        *_open_about_keys(first, second, opened),
        f"open: that it was found at {found_at} is the finder's word",
    ]


def _notes(value: Mapping[str, Any]) -> Sequence[bytes]:
    if (value["evidence_type"], value["evidence_version"]) != (EVIDENCE_TYPE, EVIDENCE_VERSION):
        raise VerificationError("canonical form", "it is no evidence of a kind that is known", place="evidence_version")
    if set(value) not in [_OWN | trusted for trusted in _TRUSTED]:
        raise VerificationError("canonical form", "it has other members than evidence of a fork has")
    first, second = value["checkpoints"]
    return first.encode(), second.encode()


def _time(text: str) -> str:
    time = datetime.fromisoformat(text)
    if instant((time - _EPOCH) // timedelta(microseconds=1)) != text:
        raise VerificationError("canonical form", "it is no instant as `2026-06-19T16:12:24.000000+00:00`")
    return text


def _authorities(value: Mapping[str, Any], root: str | None, log_key: Verifier | None) -> tuple[Authority, Authority]:
    """Verify who may sign the first and the second checkpoint; mostly that is one and the same."""
    try:
        first = authority_of(value, root, log_key)
    except UsageError as error:
        raise VerificationError("canonical form", error.message, place="log_key", cure="") from error
    _check_facts(value, first)
    if OTHER_EVENTS not in value or first.key:
        return first, first
    own = {**value, "key_events": value[OTHER_EVENTS]}
    second = authority_of(own, first.root)
    _check_facts(own, second)
    return first, second


def _check_facts(value: Mapping[str, Any], authority: Authority) -> None:
    """Refuse members that say anything else than what was verified."""
    for name, fact in authority.facts().items():
        if name in value and value[name] != fact:
            step_name = {"root": "root", "log_key": "key validity", "origin": "checkpoint"}.get(name, "canonical form")
            raise VerificationError(step_name, "the file states another than was verified", place=name, cure="")


def _open_about_keys(first: Authority, second: Authority, opened: Sequence[Opened]) -> list[str]:
    """Say what of the log's keys is not proven here."""
    if first.key:
        return []
    found = ["open: where its key events stand in the log, and that no other one retired a key, is the file's word"]
    if first is not second:
        found.append(
            "open: this file shows two histories of the log's own keys, and each checkpoint is signed under one of"
            " them only; who holds a key that one of them retires could have signed the other's"
        )
    for by, found_in in zip((first, second), opened, strict=True):
        revoked = [signer for signer in found_in.signers if by.registry and _is_revoked(by.registry, signer)]
        if revoked:
            found.append(
                f"open: {revoked[0].format()}, which signed one of them, was revoked later; who held it by then"
                " could have signed this"
            )
            break
    return found


def _is_revoked(registry: Registry, signer: Verifier) -> bool:
    return registry.keys.is_cut(key_id(signer.public_key), NOW, NOW)


def _opens(authority: Authority, note: bytes) -> bool:
    try:
        authority.open(note)
    except VerificationError as error:
        if error.step != "key validity":
            raise
        return False
    return True
