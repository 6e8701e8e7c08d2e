"""What `show`, `history` and `find` print of a registry elsewhere.

With a root or log key known from elsewhere, a record and its history are computed from the paper's verified bundle;
else they are the registry's word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ledger.commitments import Disclosure, check_disclosures
from ledger.errors import NotFoundError, UsageError
from ledger.proofs.steps import step
from ledger.subjects import is_number
from ledger.times import instant
from projections.queries import Citation, Hit

if TYPE_CHECKING:
    from api.client.answers import HistoryRow
    from api.client.client import Client
    from projections.judged import Judgement

MAX_HITS: Final = 100


@dataclass(frozen=True, slots=True)
class Shown:
    """A record document with what stands beside it for people."""

    document: Any
    incoming: list[Citation] = field(default_factory=list)
    outgoing: list[Citation] = field(default_factory=list)
    others: tuple[str, ...] = ()


def shown(registry: Client, subject: str, as_of: str | None) -> Shown:
    """Return a paper's record.

    Raises:
        UsageError: a moment of the past is asked for, and cannot be proven.
        LedgerError: as `Client.record` and `Client.bundle`.
    """
    others: tuple[str, ...] = ()
    if not is_number(subject):
        named = registry.resolve(subject)
        subject, others = named.pith_number, tuple(other.pith_number for other in named.other_versions)
    if registry.is_pinned:
        _refuse_past(as_of)
        from api.addresses import served
        from api.client.papers import proven_record

        return Shown(served(proven_record(registry.bundle(subject).value), registry.url), others=others)
    if as_of is not None:
        return Shown(msgspec.Raw(registry.record(subject, as_of=_moment(as_of)).raw))
    document = msgspec.Raw(registry.record(subject).raw)
    with step("canonical form", "graph.json"):
        edges = msgspec.convert(registry.graph(subject)["edges"], list[_Edge])
    incoming = [edge.citation() for edge in edges if edge.to == subject]
    outgoing = [edge.citation() for edge in edges if edge.to != subject]
    return Shown(document, incoming, outgoing, others)


def history_rows(registry: Client, subject: str, as_of: str | None, *, texts: bool) -> list[dict[str, Any]]:
    """Return every entry about a paper, with what became of it.

    Args:
        texts: with the private texts of what counts, as far as the registry shows them and they are the ones meant.

    Raises:
        UsageError: the registry does not list that.
        LedgerError: as `Client.history` and `Client.bundle`.
    """
    if subject == "registry":
        cure = "read the whole log with `pith --url URL follow`, or copy it with `pith mirror URL FOLDER`"
        raise UsageError("a registry does not list its own stream", place="SUBJECT", cure=cure)
    _refuse_past(as_of)
    if registry.is_pinned:
        from api.client.papers import judged_paper

        return [_judged_row(judgement) for judgement in judged_paper(registry.bundle(subject).value).judgements]
    rows = list(registry.history(subject))
    known = _texts(registry, subject) if texts else {}
    with step("canonical form"):
        return [_listed_row(row, known.get(row.position, {})) for row in rows]


def hits(registry: Client, text: str, limit: int) -> list[Hit]:
    """Find papers by identifier or by words; raises as `Client.resolve` and `Client.search`."""
    try:
        named = registry.resolve(text)
    except NotFoundError:
        if limit > MAX_HITS:
            raise UsageError(f"a registry names {MAX_HITS} papers at most", place="--limit") from None
        return [Hit(hit.pith_number, hit.title, hit.authors) for hit in registry.search(text, limit=limit)]
    return [_hit(registry, number) for number in (named.pith_number, *(v.pith_number for v in named.other_versions))]


class _Edge(msgspec.Struct, frozen=True, rename={"source": "from"}):
    source: str
    to: str
    relationship: str
    event_id: str
    claim_id: str | None

    def citation(self) -> Citation:
        return Citation(self.to, self.source, self.relationship, self.claim_id or "", self.event_id)


def _hit(registry: Client, number: str) -> Hit:
    paper = registry.record(number).value.get("paper")
    found = paper if isinstance(paper, Mapping) else {}
    return Hit(number, str(found.get("title", "")), str(found.get("authors_text", "")))


def _judged_row(judgement: Judgement) -> dict[str, Any]:
    entry, verdict = judgement.entry, judgement.verdict
    return _row(entry.position, entry.received_at, entry.event.value, verdict.status, verdict.reason)


def _listed_row(row: HistoryRow, texts: Mapping[str, Disclosure]) -> dict[str, Any]:
    found = _row(row.position, row.received_at, row.event, row.status, row.reason)
    if texts:
        check_disclosures(row.event["event_type"], row.event["payload"], texts)
        found["texts"] = {path: text.text for path, text in texts.items()}
    return found


def _row(position: int, received_at: int, event: Mapping[str, Any], status: str, reason: str) -> dict[str, Any]:
    return {
        "position": position,
        "received_at": instant(received_at),
        "event_type": event["event_type"],
        "event_id": event["event_id"],
        "target": event["target"],
        "signer_id": event["signer"]["signer_id"],
        "key_id": event["signer"]["key_id"],
        "status": status,
        "reason": reason,
    }


def _texts(registry: Client, subject: str) -> dict[int, dict[str, Disclosure]]:
    with step("canonical form", "events.json"):
        return {
            event["position"]: msgspec.convert(event["disclosures"], dict[str, Disclosure])
            for event in registry.paper_events(subject)["events"]
            if "disclosures" in event
        }


def _refuse_past(as_of: str | None) -> None:
    if as_of is not None:
        cure = "copy the log with `pith mirror URL FOLDER` and ask with PITH_DATA=FOLDER"
        raise UsageError("what was then cannot be had from elsewhere", place="--as-of", cure=cure)


def _moment(as_of: str) -> str:
    """Return a number of entries or a time as registries take it; raises UsageError for anything else."""
    if as_of.isascii() and as_of.isdigit():
        return as_of
    try:
        time = datetime.fromisoformat(as_of)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise UsageError(f"{as_of!r} is neither a position nor a time with its zone", place="--as-of")
    if time.microsecond:
        raise UsageError(
            "a registry is asked in whole seconds", place="--as-of", cure="give a position, or no fraction"
        )
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
