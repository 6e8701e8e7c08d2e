"""The pages for people: what each one is about, gathered for its template; the same bytes for the same state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec

from api.addresses import links
from api.pages import outside, record_view, wording
from api.pages.actions_shown import examples, signed
from api.pages.jinja import render
from api.pages.record_view import Texts
from api.pages.wording import EVENTS, PROOFS, RELATIONSHIPS
from api.parts import Parts
from api.protocol.linked import linked
from ledger.errors import NotFoundError
from ledger.notes import parse as parse_note
from ledger.subjects import is_number
from ledger.times import instant
from projections import queries
from projections.queries import Citation, Document, Hit, judged_as_of

PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of pages: they take their style and icon from here, and run nothing."""

NEWEST: Final = 12
"""How many entries of the log the first page shows."""

MAX_CITATIONS: Final = 200


@dataclass(frozen=True, slots=True)
class Published:
    """The published checkpoint as a page shows it: `note` is the whole text, `witnesses` how many cosigned it."""

    size: int
    root: str
    signed_at: str
    witnesses: int
    note: str


@dataclass(frozen=True, slots=True)
class Newest:
    """An entry of the log as the first page lists it; `subject` is "" for one about the registry itself."""

    position: int
    received_at: str
    kind: str
    subject: str
    title: str


@dataclass(frozen=True, slots=True)
class Cited:
    """One end of a citation: `other` is a Pith Number or another name, `title` "" where it has no record here."""

    other: str
    title: str
    relationship: str
    claim_id: str


def record_page(parts: Parts, document: Document, citations: tuple[list[Citation], list[Citation]]) -> bytes:
    """Return the page of a paper.

    Args:
        document: as `queries.record` gives it, served or not.
        citations: of the paper and by it.
    """
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    number, paper, status = found["pith_number"], found["paper"], found["verification_status"]
    incoming, outgoing = ([*ends[:MAX_CITATIONS]] for ends in citations)
    titles = queries.known(
        parts.projections, [*(citation.citing for citation in incoming), *(citation.cited for citation in outgoing)]
    )
    base_url, suffix = parts.settings.base_url, number[10:]
    events = record_view.said(found["events"], _texts(parts, str(found["pith_number"]), found["events"]))
    authors = record_view.authors(paper)
    return render(
        "record.html",
        registry=parts.store.registry_name,
        record=found,
        title=record_view.text(paper.get("title")) or number,
        authors=authors[: record_view.MAX_AUTHORS],
        more_authors=max(0, len(authors) - record_view.MAX_AUTHORS),
        excerpt=record_view.excerpt(paper),
        headline=record_view.text(paper.get("headline")),
        metadata=found["canonical_record"]["metadata"],
        source_address=record_view.source_address(found["source"]),
        holdings=record_view.holdings(status),
        clocks=outside.clocks(parts.store, parts.present.sight.stream, _position(parts, number), found["events"]),
        copies=outside.copies(found["events"]),
        words=wording,
        differing=record_view.differing(status, found.get("source_status")),
        rungs=record_view.rungs(found["attestation_state"]),
        events=events,
        shown={event.position for event in events},
        earlier=len(found["events"]) - len(events),
        positions={event["event_id"]: event["position"] for event in found["events"]},
        incoming=[_cited(citation, citation.citing, titles) for citation in incoming],
        outgoing=[_cited(citation, citation.cited, titles) for citation in outgoing],
        more_citations=any(len(ends) > MAX_CITATIONS for ends in citations),
        equivocations=found.get("equivocations", []),
        aliases=record_view.aliases(found["aliases"]),
        receipt=list(record_view.facts(found["receipt"])),
        links=links(suffix, base_url),
        paths=links(suffix, ""),
        actions=examples(suffix, base_url, parts.settings),
        signing=signed(suffix, base_url),
        root=_root(parts),
        linked_data=linked(found, base_url),
    )


def home_page(parts: Parts) -> bytes:
    """Return the first page: what this registry is, how much it holds, and what came last."""
    size = parts.present.sight.size
    entries = list(parts.store.entries(max(0, size - NEWEST), size))[::-1]
    titles = queries.known(parts.projections, [entry.event.subject for entry in entries])
    return render(
        "home.html",
        registry=parts.store.registry_name,
        base_url=parts.settings.base_url,
        records=queries.count(parts.projections),
        size=size,
        published=_published(parts),
        newest=[
            Newest(
                entry.position,
                instant(entry.received_at),
                EVENTS[entry.event.event_type],
                entry.event.subject if is_number(entry.event.subject) else "",
                titles[entry.event.subject].title if entry.event.subject in titles else "",
            )
            for entry in entries
        ],
    )


def about_page(parts: Parts) -> bytes:
    """Return what a Pith Number is, what each field of a record proves, and how to take part."""
    return render(
        "about.html",
        registry=parts.store.registry_name,
        base_url=parts.settings.base_url,
        proofs=list(PROOFS.values()),
        grades=wording.GRADES_MEAN,
        root=_root(parts),
    )


def search_page(
    parts: Parts, query: str, hits: Sequence[Hit], *, is_cut: bool = False, is_ambiguous: bool = False
) -> bytes:
    """Return the form for searching and what was found; an empty query asks nothing.

    Args:
        is_cut: there may be more than these.
        is_ambiguous: the query is an identifier of each of these, not some words in them.
    """
    return render(
        "search.html",
        registry=parts.store.registry_name,
        query=query,
        hits=hits,
        is_cut=is_cut,
        is_ambiguous=is_ambiguous,
    )


def error_page(status: HTTPStatus, title: str, detail: str, choices: Sequence[str] = ()) -> bytes:
    """Return why something cannot be shown; `choices` are Pith Numbers that a name may mean."""
    return render("error.html", registry="", status=status.value, title=title, detail=detail, choices=choices)


def schema_page(title: str) -> bytes:
    """Return the page on which Swagger UI shows the API's description; it needs `SCHEMA_POLICY`."""
    return render("schema.html", registry="", title=title)


def _position(parts: Parts, number: str) -> int:
    """Return where a paper's record stands in the log; raises NotFoundError."""
    found = queries.stored(parts.projections, number[10:])
    if found is None:
        raise NotFoundError(f"there is no record of {number}")
    return found.position


def _root(parts: Parts) -> str:
    """Return the id of the log's first event; of an empty log, something to put it in the place of."""
    entries = parts.present.sight.stream.entries
    return entries[0].event.id_text if entries else "sha256:…"


def _texts(parts: Parts, subject: str, events: Sequence[Mapping[str, Any]]) -> Texts:
    """Return the private texts of the events that count: not before somebody has looked, not after they fell."""
    counted = [event["position"] for event in events[-record_view.MAX_EVENTS :] if event["status"] == "counted"]
    sight = parts.present.sight
    if counted and sight.cursor < sight.size:
        # The document is behind the log, which may say by now that a text must not be shown any more.
        judged = judged_as_of(parts.store, subject, sight.size, sight.registry)
        standing = {found.entry.position for found in judged.judgements if found.verdict.counts}
        counted = [position for position in counted if position in standing]
    held = parts.store.disclosures(counted) if counted else {}
    return {position: {path: found.text for path, found in texts.items()} for position, texts in held.items()}


def _cited(citation: Citation, other: str, titles: Mapping[str, Hit]) -> Cited:
    title = titles[other].title if other in titles else ""
    return Cited(other, title, RELATIONSHIPS.get(citation.relationship, citation.relationship), citation.claim_id)


def _published(parts: Parts) -> Published | None:
    try:
        found = parts.store.checkpoints.published()
    except NotFoundError:
        return None
    witnesses = len(parse_note(found.note).signatures) - 1
    return Published(found.size, found.root.hex(), instant(found.signed_at), witnesses, found.note.decode())
