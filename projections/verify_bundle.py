"""Offline verification of a bundle: every signature, rule and place of its events, and the state that follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger import canonical
from ledger.anchors import Confirmation
from ledger.errors import UsageError, VerificationError
from ledger.events import Entry
from ledger.log_keys import stated_label
from ledger.proofs.authority import Authority
from ledger.proofs.entry_rows import PROOFS, entry_of_row, whole
from ledger.proofs.outside import check_header, contradictions, outside_word
from ledger.proofs.sparse import SparseTargets, verify_sparse
from ledger.proofs.steps import step
from ledger.proofs.trust import Trust, cosigned, open_questions
from ledger.proofs.verify_places import verify_places
from ledger.records import Identity, check_digest, check_record
from ledger.registry import Registry
from projections.bundles import MERGE_VERSION, bundle_of
from projections.judged import Judged, judge
from projections.status import own_anchors


def verify_bundle(bundle: Mapping[str, Any], trust: Trust) -> list[str]:
    """Verify a bundle of this format; return what was found to hold, one sentence a check.

    Raises:
        VerificationError: the first check that failed, named.
    """
    identity = record_identity(bundle)
    done = [f"number: {identity.number} is the hash of the canonical record"]
    with step("canonical form"):
        if bundle.get("merge_version") != MERGE_VERSION or "key_events" not in bundle:
            raise UsageError("this bundle follows merge rules that nobody has published", place="merge_version")
        key_events = [entry_of_row(row) for row in bundle["key_events"]]
        entries = [entry_of_row(row) for row in bundle["events"]]
        note = bundle["checkpoint"].encode()
        registry = Registry.named(bundle["registry"], stated_label(note, bundle["registry"]))
        size = whole(bundle["log_size"])
        for entry in (*key_events, *entries):
            if entry.position >= size or entry.event.subject not in (identity.number, registry.subject):
                raise VerificationError("canonical form", f"position {entry.position} has no place in this bundle")
    done.append(f"canonical form: {len(entries)} events and {len(key_events)} key events are well formed")
    with step("root"):
        begins_with = key_events[0].event.id_text if key_events else ""
        if not key_events or key_events[0].position != 0 or begins_with != (trust.root or bundle["root"]):
            raise VerificationError("root", f"the log begins with {begins_with}, not {trust.root or bundle['root']}")
    authority = Authority(registry, begins_with, tuple(key_events), None, pinned=trust.root is not None)
    done.append(authority.sentence())
    targets = SparseTargets()
    verify_sparse([*key_events, *entries], registry, targets)
    done.append(f"signatures: all of them hold, and every event was admissible where it stands in {registry.name}")
    known_at = max(entry.received_at for entry in (*key_events, *entries))
    opened = authority.open(note, known_at=known_at, others=trust.witnesses)
    if opened.checkpoint.size != size:
        raise VerificationError("checkpoint", f"it covers {opened.checkpoint.size} entries, the bundle {size}")
    done.append(f"checkpoint: signed by the log's key over {size} entries{cosigned(opened, trust)}")
    done += verify_places([*bundle["key_events"], *bundle["events"]], opened.checkpoint, registry, "events")
    judged = _verify_state(bundle, identity, key_events, registry, targets)
    done.append(f"state: status, summary and verdicts follow from these events by {MERGE_VERSION}")
    done += _outside(judged, trust)
    done.append("open: that nothing else was appended about this paper")
    return done + open_questions(trust)


def record_identity(document: Mapping[str, Any]) -> Identity:
    """Check that a document's canonical record hashes to its number; raises VerificationError (step `number`)."""
    with step("number"):
        identity = check_record(document["canonical_record"], document["pith_number"])
        check_digest(document["canonical_sha256"], identity)
    return identity


def _verify_state(
    bundle: Mapping[str, Any],
    identity: Identity,
    key_events: list[Entry],
    registry: Registry,
    targets: SparseTargets,
) -> Judged:
    with step("state"):
        judged = judge(targets.state(identity.number), registry, whole(bundle["log_size"]))
        if judged is None:
            raise VerificationError("state", "the bundle holds no record_created that counts")
        rebuilt = {**bundle_of(judged, key_events), "checkpoint": bundle["checkpoint"]}
        for name in (*rebuilt, *bundle):
            if name not in rebuilt or _comparable(rebuilt[name]) != _comparable(bundle.get(name)):
                raise VerificationError("state", "it does not follow from the events", place=name)
    return judged


def _outside(judged: Judged, trust: Trust) -> list[str]:
    """Say which outside clocks vouch for the record: for its place in the log, and for its hash alone."""
    registry, found, vouched = judged.registry, list[str](), list[tuple[Confirmation, int]]()
    for anchor in registry.deciding_anchors(judged.before):
        check_header(anchor, trust)
    for anchor in registry.first_anchors(judged.record.position, judged.before):
        what = f"the record stood in the log, among its first {anchor.event.payload.anchored.tree_size} entries,"
        confirmed = registry.confirmation(anchor.event, judged.before)
        found.append(outside_word(what, anchor, confirmed, trust))
        vouched.append((confirmed, judged.record.received_at))
    for anchor in own_anchors(judged).values():
        confirmed = registry.confirmation(anchor.event, judged.before)
        found.append(outside_word("the canonical record existed", anchor, confirmed, trust))
    found += contradictions(vouched)
    return found or ["open: no outside clock vouches for this record yet; the times here are the registry's word"]


def _comparable(part: Any) -> bytes:
    """Return the canonical bytes of a part of a bundle; proofs, and the order of listed events, say nothing here."""
    if isinstance(part, list) and all(isinstance(item, Mapping) and "position" in item for item in part):
        rows = [{name: value for name, value in item.items() if name not in PROOFS} for item in part]
        part = sorted(rows, key=lambda item: whole(item["position"]))
    return canonical.encode(part)
