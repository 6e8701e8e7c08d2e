"""`verification_status`: twelve facts about a paper, each with one rule; and `attestation_state`.

The rules are those of `pith-ledger-merge-1`, written out in the README's protocol chapter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from ledger.errors import AnchorError, UnknownKeyError
from ledger.events import Entry
from ledger.payloads import AuthorAttestation, GraphSnapshot, IdentityEvidence, StorageAttestation
from ledger.signatures import parse_receipt
from projections.judged import Judged

State = Literal["computed", "anchored", "stored", "attested", "replicated"]


class VerificationStatus(msgspec.Struct, frozen=True):
    """The public protocol's twelve fields, in its order."""

    content_addressed: bool
    pith_receipt: bool
    author_attested: bool
    weak_author_claims: int
    strong_author_claims: int
    externally_anchored: bool
    storage_verified: bool
    citation_signatures: int
    replication_records: int
    graph_snapshot: bool
    references_resolved: bool
    formal_links_present: bool


def verification_status(judged: Judged, *, anchored_size: int = 0) -> VerificationStatus:
    """Derive the status of a paper.

    Args:
        anchored_size: the greatest tree size with a confirmed checkpoint anchor; a record below it is
            externally anchored. It is one value for the whole log, so stored views leave it 0 and
            readers join it.
    """
    weak, strong = author_claims(judged)
    graph = newest_graph(judged)
    references, formal = graph_block(graph, "graph_snapshot", "references"), graph_block(graph, "formal_canon")
    count = _count(references, "count")
    return VerificationStatus(
        content_addressed=True,  # a record that does not hash to its number is refused
        pith_receipt=any(_receipt_stands(judged, receipt) for receipt in _receipts(judged)),
        author_attested=bool(weak or strong),
        weak_author_claims=len(weak),
        strong_author_claims=len(strong),
        externally_anchored=judged.record.position < anchored_size
        or len(own_anchors(judged)) >= judged.registry.independent_clocks(judged.before),
        storage_verified=_storage_verified(judged),
        citation_signatures=len(
            {
                (*person(judged, entry), entry.event.payload.citing, entry.event.payload.relationship)
                for entry in judged.counted("citation_signature")
            }
        ),
        replication_records=len(
            {
                (*person(judged, entry), artefact)
                for entry in judged.counted("replication_record")
                for artefact in artefacts(entry)
            }
        ),
        graph_snapshot=graph is not None,
        references_resolved=count > 0 and _count(references, "resolved_work") >= count,
        formal_links_present=_count(formal, "evidence_count") > 0,
    )


def attestation_state(judged: Judged, status: VerificationStatus) -> State:
    """Return the highest rung a paper has reached; a replication that failed is no rung."""
    confirming = ("reproduced", "partly_reproduced", "proved")
    if any(entry.event.payload.outcome in confirming for entry in judged.counted("replication_record")):
        return "replicated"
    if status.author_attested:
        return "attested"
    if status.storage_verified:
        return "stored"
    return "anchored" if status.externally_anchored else "computed"


def person(judged: Judged, entry: Entry) -> tuple[str, str]:
    """Return who stands behind an event: the signer's proven identity or key line, and whom they spoke for."""
    signer = entry.event.signer
    on_behalf = signer.on_behalf_of
    whom = "" if isinstance(on_behalf, msgspec.UnsetType) else on_behalf.subject
    if signer.signer_type == "pith_registry":
        return signer.signer_id, whom  # under whichever of its keys
    return judged.registry.keys.person(signer.key_id, signer.signer_id, judged.before), whom


def artefacts(entry: Entry) -> list[str]:
    """Return what a replication produced, as hashes; a bare formal bridge stands for its own commit."""
    payload = entry.event.payload
    found = [artefact.sha256 for artefact in payload.artefacts]
    return found or [f"{payload.formal.system}:{payload.formal.commit}"]


def author_claims(judged: Judged) -> tuple[list[Entry], list[Entry]]:
    """Return the weak and the strong author attestations, one a person and author position.

    Strong: an identifier proven for the signer's key equals one that a source other than the claimant
    attached to an author. The same name alone is weak.
    """
    claims = judged.counted("author_attestation")
    attached = list(_attached_identifiers(judged)) if claims else []
    found: dict[tuple[object, ...], tuple[Entry, bool]] = {}
    for entry in claims:
        payload: AuthorAttestation = entry.event.payload
        position = payload.author_position if isinstance(payload.author_position, int) else None
        proven = judged.registry.keys.identifiers(entry.event.signer.key_id, judged.before)
        strong = any(
            identifier in proven and (position is None or at is None or position == at) for identifier, at in attached
        )
        found[*person(judged, entry), position] = (entry, strong)
    weak = [entry for entry, strong in found.values() if not strong]
    return weak, [entry for entry, strong in found.values() if strong]


def newest_graph(judged: Judged) -> GraphSnapshot | None:
    """Return the payload of the graph snapshot with the greatest position."""
    snapshots = judged.counted("graph_snapshot")
    payload: GraphSnapshot | None = snapshots[-1].event.payload if snapshots else None
    return payload


def graph_block(graph: GraphSnapshot | None, *path: str) -> Any:
    """Return a block of a snapshot by its path, read from the value or from the source's own text."""
    if graph is None:
        return None
    value: Any = getattr(graph, path[0])
    if value is msgspec.UNSET and isinstance(graph.source_text, dict) and path[0] in graph.source_text:
        value = msgspec.json.decode(graph.source_text[path[0]])
    for name in path[1:]:
        value = value.get(name) if isinstance(value, Mapping) else None
    return None if value is msgspec.UNSET else value


def _count(block: Any, name: str) -> int:
    value = block.get(name) if isinstance(block, Mapping) else None
    return value if isinstance(value, int) else 0


def _receipts(judged: Judged) -> Iterator[tuple[Mapping[str, Any], Entry]]:
    for entry in judged.counted("record_created", "record_updated"):
        if isinstance(entry.event.payload.pith_receipt, dict):
            yield entry.event.payload.pith_receipt, entry


def _receipt_stands(judged: Judged, found: tuple[Mapping[str, Any], Entry]) -> bool:
    receipt, entry = parse_receipt(found[0]), found[1]
    keys = judged.registry.keys
    try:
        key = keys.receipt_key(receipt.key_id, receipt.public_key_fingerprint, judged.before)
    except UnknownKeyError:
        return False
    return not keys.is_cut(key.key_id, entry.position, entry.received_at, judged.before)


def own_anchors(judged: Judged) -> dict[str, Entry]:
    """Return a paper's own confirmed anchors: the first of each independent clock, by the clock."""
    found: dict[str, Entry] = {}
    for entry in judged.counted("timestamp_anchor"):
        try:
            found.setdefault(judged.registry.confirmation(entry.event, judged.before).clock, entry)
        except AnchorError:
            continue  # pending, or under roots that policy no longer trusts
    return found


def _storage_verified(judged: Judged) -> bool:
    checkers = judged.registry.policy(judged.before).checkers
    newest: dict[tuple[str, str], str] = {}
    for entry in judged.counted("storage_attestation"):
        payload: StorageAttestation = entry.event.payload
        key = judged.registry.keys.find(entry.event.signer.key_id, judged.before)
        if key is None or key.role != "storage_checker" or payload.grade == "claimed":
            continue
        if not checkers or key.key_id in checkers:
            newest[payload.location.kind, payload.location.url] = payload.outcome
    return "stored" in newest.values()


def _attached_identifiers(judged: Judged) -> Iterator[tuple[str, int | None]]:
    matching = judged.registry.policy(judged.before).matching
    allowed = {"orcid": matching.orcid, "email": matching.email}
    authors = judged.paper().get("authors")
    for at, author in enumerate(authors if isinstance(authors, list) else (), 1):
        orcid = author.get("orcid") if isinstance(author, Mapping) else None
        if isinstance(orcid, str) and matching.orcid:
            yield f"orcid:{orcid}", at
    for entry in judged.counted("identity_evidence"):
        evidence: IdentityEvidence = entry.event.payload
        if allowed.get(evidence.identifier.partition(":")[0], False):
            yield evidence.identifier, evidence.author_position if isinstance(evidence.author_position, int) else None
