"""`event_summary` and `equivocations`: how much was said about a paper, and who said both A and not A."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from ledger.events import ATTESTATIONS, CHALLENGES, FINDINGS, Entry
from ledger.times import instant
from projections.judged import Judged
from projections.status import artefacts, person

SUMMARISED: Final = ATTESTATIONS + CHALLENGES + FINDINGS


def event_summary(judged: Judged) -> dict[str, dict[str, Any]]:
    """Count the attestations, challenges and findings of a paper by type; `{}` when there are none.

    `count` is all of a type, `held` waits for a moderator, `rejected` is everything else that does not
    count (rejected, redacted, withdrawn, cut off with its key).
    """
    found: dict[str, dict[str, Any]] = {}
    for kind in SUMMARISED:
        of_kind = [j for j in judged.judgements if j.entry.event.event_type == kind and j.verdict.status != "refused"]
        if not of_kind:
            continue
        held = sum(j.verdict.status == "held" for j in of_kind)
        found[kind] = {
            "count": len(of_kind),
            "first_received_at": instant(of_kind[0].entry.received_at),
            "last_received_at": instant(of_kind[-1].entry.received_at),
            "last_event_id": of_kind[-1].entry.event.id_text,
            "held": held,
            "rejected": sum(not j.verdict.counts for j in of_kind) - held,
        }
    return found


def equivocations(judged: Judged) -> list[list[str]]:
    """Return groups of event ids in which one person contradicts themself, each in order of position.

    Later checks, snapshots and anchors never contradict earlier ones, and what was withdrawn is no longer said.
    """
    said: dict[tuple[object, ...], dict[object, list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for judgement in judged.judgements:
        if judgement.verdict.status not in ("refused", "withdrawn"):
            for topic, stance in _stances(judged, judgement.entry):
                said[topic][stance].append(judgement.entry)
    groups = []
    for stances in said.values():
        if len(stances) > 1:
            entries = {entry.position: entry for found in stances.values() for entry in found}
            groups.append([entries[position].event.id_text for position in sorted(entries)])
    return sorted(groups)


def _stances(judged: Judged, entry: Entry) -> Iterator[tuple[tuple[object, ...], object]]:
    """Yield what an entry speaks about, and what it says of it."""
    event, payload = entry.event, entry.event.payload
    match event.event_type:
        case "author_attestation":
            claims = tuple(payload.claims) if isinstance(payload.claims, list) else ()
            yield (event.event_type, *person(judged, entry), payload.author_position), (payload.author_name, claims)
        case "citation_signature" if payload.relationship in ("supports", "refutes"):
            yield (event.event_type, *person(judged, entry), payload.citing, payload.claim_id), payload.relationship
        case "replication_record":
            for artefact in artefacts(entry):
                yield (event.event_type, *person(judged, entry), artefact), payload.outcome
        case "record_created":
            yield (event.event_type, event.registry), payload.canonical_sha256
