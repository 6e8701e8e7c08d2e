"""What the log says about a paper, as the public protocol writes it: state, events, graph and bundle.

All but the bundle are of the log as it is by now, whether or not the projections have got so far: a text that was
redacted is gone from here at once. The bundle goes as far as the published checkpoint, which proves it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from api.addresses import links
from api.answers import JSON, Answer
from api.caching import SHORT
from api.parts import Parts
from api.present import Sight
from api.reading.covering import covering
from api.reading.names import found
from api.reading.remembered import Made
from ledger.errors import NotFoundError
from projections import queries
from projections.bundles import MERGE_VERSION, bundle
from projections.bundles import state as merged_state
from projections.document import document, events
from projections.judged import Judged
from projections.queries import judged_as_of
from projections.summary import event_summary

STATE_TYPE: Final = "pith_open_graph_state"
GRAPH_TYPE: Final = "pith_citation_graph"
MAX_CITATIONS: Final = 1_000
"""How many citations of each direction a graph shows; `counts` says how many there are."""

_INVALID: Final = ("refused", "revoked")


def paper_state(parts: Parts, suffix: str, sight: Sight, _before: Made | None) -> Made:
    """Make the merged state of a paper; raises NotFoundError."""
    judged = judged_now(parts, suffix, sight)
    merged = merged_state(judged)
    fates = [judgement.verdict.status for judgement in judged.judgements]
    invalid = sum(status in _INVALID for status in fates)
    shown = document(judged)
    made = {
        "state_type": STATE_TYPE,
        "state_version": "1.0",
        "pith_number": judged.subject,
        "merge_version": MERGE_VERSION,
        "event_count": len(fates),
        "valid_event_count": len(fates) - invalid,
        "invalid_event_count": invalid,
        "equivocation_count": len(merged["equivocations"]),
        "current": {
            "canonical_record": shown["canonical_record"],
            "source_aliases": shown["aliases"],
            "graph_snapshots": [
                {
                    "event_id": entry.event.id_text,
                    "target": entry.event.target,
                    "created_at": entry.event.created_at,
                    "signer": entry.event.value["signer"],
                    "payload": entry.event.value["payload"],
                }
                for entry in judged.counted("graph_snapshot")
            ],
            **merged,
        },
    }
    return _made(made)


def paper_events(parts: Parts, suffix: str, sight: Sight, _before: Made | None) -> Made:
    """Make the list of what was said about a paper, with the private texts of what counts; raises NotFoundError.

    `disclosures` holds text and salt by the path of their commitment in the payload. They are shown while their event
    counts: not before somebody has looked, not after it fell.
    """
    judged = judged_now(parts, suffix, sight)
    said = events(judged)
    counted = [event["position"] for event in said if event["status"] == "counted"]
    texts = parts.store.disclosures(counted) if counted else {}
    for event in said:
        if event["position"] in texts:
            event["disclosures"] = msgspec.to_builtins(texts[event["position"]])
    return _made({"pith_number": judged.subject, "events": said, "event_summary": event_summary(judged)})


def paper_graph(parts: Parts, suffix: str, sight: Sight, _before: Made | None) -> Made:
    """Make the graph around a paper: its newest snapshot, who cites it and whom it cites; raises NotFoundError."""
    stored = found(parts, suffix)
    shown = stored.opened(sight.anchored_size)
    incoming, outgoing = queries.citations(parts.projections, stored.subject)
    counts = {"incoming": len(incoming), "outgoing": len(outgoing)}
    incoming, outgoing = incoming[:MAX_CITATIONS], outgoing[:MAX_CITATIONS]
    others = [citation.citing for citation in incoming] + [citation.cited for citation in outgoing]
    titles = queries.known(parts.projections, [stored.subject, *others])
    base_url = parts.settings.base_url
    edges = [
        {
            "from": citation.citing if at < len(incoming) else stored.subject,
            "to": citation.cited,
            "relationship": citation.relationship,
            "claim_id": citation.claim_id or None,
            "event_id": citation.event_id,
        }
        for at, citation in enumerate([*incoming, *outgoing])
    ]
    made = {
        "graph_type": GRAPH_TYPE,
        "graph_version": "1.0",
        "pith_number": stored.subject,
        **{name: shown[name] for name in ("graph_snapshot", "inbound_citations", "paper_claims", "formal_canon")},
        "counts": counts,
        "nodes": [_node(name, titles, base_url) for name in dict.fromkeys([stored.subject, *others])],
        "edges": edges,
    }
    return _made(made)


def paper_bundle(parts: Parts, suffix: str, sight: Sight, before: Made | None) -> Made:
    """Make the bundle of a paper.

    Raises:
        NotFoundError: no such paper.
        NotYetProvenError: no published checkpoint covers its record yet.
    """
    stored = found(parts, suffix)
    published = covering(parts.store, stored.position)
    if before is not None and before.source == published.note:
        return before
    made = bundle(parts.store, stored.subject, sight.stream)
    if made["log_size"] > sight.size:
        # A checkpoint was published since the look, over more of the registry's stream than is at hand.
        made = bundle(parts.store, stored.subject)
    return Made(Answer(msgspec.json.encode(made), JSON, SHORT), made["checkpoint"].encode())


def judged_now(parts: Parts, suffix: str, sight: Sight) -> Judged:
    """Return every entry about a paper by now, with what became of it; raises NotFoundError."""
    subject = found(parts, suffix).subject
    try:
        return judged_as_of(parts.store, subject, sight.size, sight.registry)
    except NotFoundError:
        # The projections are of more than this look saw, which the next one sees.
        return judged_as_of(parts.store, subject, parts.store.head().size, parts.store.registry())


def _node(name: str, titles: dict[str, queries.Hit], base_url: str) -> dict[str, Any]:
    known = titles.get(name)
    if known is None:
        return {"id": name}
    addresses = links(name[10:], base_url)
    return {"id": name, "title": known.title, "html": addresses["html"], "json": addresses["json"]}


def _made(value: dict[str, Any]) -> Made:
    return Made(Answer(msgspec.json.encode(value), JSON, SHORT), None)
