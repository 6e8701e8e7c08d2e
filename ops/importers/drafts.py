"""What a source says of a paper, in the one form that all readers produce.

A reader makes a `Paper`, the normal form of a description; `draft_of` computes from it the canonical
record, the Pith Number, the aliases and the `paper` block, ready to be compared with the log and signed.
Nothing here reads a clock, a file or the network.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ledger import canonical, records
from ledger.errors import InvalidFieldError, MissingFieldError, TooLargeError
from ledger.subjects import Alias, normal_source_id, source_aliases
from ops.importers.values import normal_orcid, one_line

EXCERPT_LENGTH: Final = 600
"""Characters of an abstract that public record documents show."""

MAX_DETAIL: Final = 2_000
MAX_TITLE: Final = 4_000
MAX_PAPER_BYTES: Final = 56 * 1024
"""Leaves the rest of an event (record, receipt, aliases, envelope, signature) its room."""

LISTED_AUTHORS: Final = 100
"""Authors listed one by one where a collaboration's whole list would not fit in an event."""

PRECISIONS: Final = ("year", "month", "day", "second")

_UNFIT = re.compile(r"[\x00-\x08\x0e-\x1f\ud800-\udfff]")


MAX_ALIASES: Final = 100


@dataclass(frozen=True, slots=True)
class Author:
    """One author; `name` is the name as shown, the parts are given where the source knows them."""

    name: str
    given: str = ""
    family: str = ""
    orcid: str = ""


@dataclass(frozen=True, slots=True)
class Paper:
    """The normal form between a source and a draft; texts are as the source has them.

    `authors_text` is the source's own author string where it has one; `details` holds further facts,
    strings or integers.
    """

    kind: str
    ident: str
    version: int
    title: str
    abstract: str
    authors: tuple[Author, ...]
    categories: tuple[str, ...]
    license: str
    date: str
    submitted_at: str
    date_precision: str
    other_aliases: tuple[Alias, ...] = ()
    details: Mapping[str, str | int] = field(default_factory=dict)
    authors_text: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a source says of one paper, ready to be compared with the log and signed.

    `pith_receipt` is a foreign registry's receipt, kept as it is (None: ours will be made); `graph` the
    payload of a graph_snapshot event; `source_text` the source's own JSON text of its parts, by name.
    """

    subject: str
    canonical_record: dict[str, Any]
    canonical_sha256: str
    paper: dict[str, Any]
    aliases: list[dict[str, str]]
    pith_receipt: dict[str, Any] | None = None
    graph: dict[str, Any] | None = None
    source_text: dict[str, str] | None = None
    notes: tuple[str, ...] = ()


def draft_of(paper: Paper) -> Draft:
    """Compute record, number, aliases and `paper` block of a description.

    Raises:
        MissingFieldError: no title.
        InvalidFieldError: a field that cannot stand in a record; `place` names it.
        TooLargeError: more text than an event can hold.
    """
    notes: list[str] = []
    title = one_line(_fit_text(paper.title, "title", notes))
    abstract = _fit_text(paper.abstract, "abstract", notes).strip()
    if not title:
        raise MissingFieldError("there is no title", place="title")
    if len(title) > MAX_TITLE:
        raise TooLargeError(f"{len(title)} characters, {MAX_TITLE} are allowed", place="title")
    if paper.date_precision not in PRECISIONS:
        raise InvalidFieldError(f"{paper.date_precision!r} is no precision of a date", place="date_precision")
    records.check_time(paper.submitted_at, "submitted_at")
    _fit_text(paper.license, "license", [])
    _fit_text(" ".join(paper.categories), "categories", [])
    if normal_source_id(paper.kind, paper.ident) != paper.ident:
        raise InvalidFieldError(f"{paper.ident[:80]!r} is not in the normal form of {paper.kind}", place="id")

    record = records.canonical_record(
        kind=paper.kind,
        ident=paper.ident,
        version=paper.version,
        title=title,
        abstract=abstract,
        categories=paper.categories,
        license=paper.license,
        submitted_at=paper.submitted_at,
    )
    try:
        msgspec.convert(record, records.CanonicalRecord)
    except msgspec.ValidationError as error:
        raise InvalidFieldError(str(error), place="canonical_record") from None
    identity = records.identify(record)
    aliases = {*source_aliases(paper.kind, paper.ident, paper.version, identity.suffix), *paper.other_aliases}
    if len(aliases) > MAX_ALIASES:
        raise TooLargeError(f"{len(aliases)} aliases, {MAX_ALIASES} are allowed", place="aliases")
    return Draft(
        subject=identity.number,
        canonical_record=record,
        canonical_sha256=identity.digest.hex(),
        paper=_paper_block(paper, record["metadata"], title, abstract, notes),
        aliases=alias_rows(aliases),
        notes=tuple(notes),
    )


def alias_rows(aliases: set[Alias]) -> list[dict[str, str]]:
    """Return aliases as the public documents list them, sorted by kind and value."""
    pairs = sorted((alias.kind, alias.value) for alias in aliases)
    return [{"alias_kind": kind, "alias_value": value} for kind, value in pairs]


def _paper_block(
    paper: Paper, metadata: Mapping[str, Any], title: str, abstract: str, notes: list[str]
) -> dict[str, Any]:
    authors = [_author_row(author, f"authors[{index}]") for index, author in enumerate(paper.authors)]
    authors_text = paper.authors_text or ", ".join(author["name"] for author in authors)
    # The public registry cuts its author string at ", " and sorts the pieces; so do we, to the letter.
    pieces = sorted(_fit_text(one_line(authors_text), "authors", []).split(", "))
    block: dict[str, Any] = {
        "title": title,
        "license": metadata["license"],
        "headline": "",
        "cross_cats": list(metadata["cross_cats_sorted"]),
        "primary_cat": metadata["primary_cat"],
        "authors_text": ", ".join(pieces),
        "submitted_at": paper.submitted_at,
        "abstract_excerpt": abstract[:EXCERPT_LENGTH],
        "abstract": abstract,
        "authors": authors,
        "date": paper.date,
        "date_precision": paper.date_precision,
    }
    if details := _details(paper.details, notes):
        block["details"] = details
    texts = len(title) + len(abstract) + 2 * len(authors_text) + sum(len(str(value)) for value in details.values())
    if 4 * (texts + EXCERPT_LENGTH) + 48 * len(authors) + 4096 > MAX_PAPER_BYTES:  # cheap bound before the exact one
        _shorten(block, notes)
    return block


def _details(details: Mapping[str, str | int], notes: list[str]) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    for name, value in details.items():
        if isinstance(value, str):
            value = value if value.isprintable() else one_line(_UNFIT.sub(" ", value))
            value = value.strip()
            if len(value) > MAX_DETAIL:
                value = value[:MAX_DETAIL]
                notes.append(f"{name} is cut after {MAX_DETAIL} characters")
        if value != "":
            found[name] = value
    if "doi" in found:
        notes.append("the doi field is no DOI and is kept as text only")
    return found


def _author_row(author: Author, place: str) -> dict[str, str]:
    name = one_line(_fit_text(author.name, place, []))
    if not name:
        raise MissingFieldError("an author without a name", place=place)
    if author.orcid:
        return {"name": name, "orcid": normal_orcid(author.orcid, f"{place}.orcid")}
    return {"name": name}


def _shorten(block: dict[str, Any], notes: list[str]) -> None:
    authors = block["authors"]
    if len(canonical.encode(block)) <= MAX_PAPER_BYTES:
        return
    if len(authors) > LISTED_AUTHORS:
        block["authors"] = authors[:LISTED_AUTHORS]
        block["details"] = {**block.get("details", {}), "authors_count": len(authors)}
        notes.append(f"the first {LISTED_AUTHORS} of {len(authors)} authors are listed one by one")
        if len(canonical.encode(block)) > MAX_PAPER_BYTES:
            block["authors_text"] = ", ".join(author["name"] for author in block["authors"])
            notes.append(f"authors_text names the first {LISTED_AUTHORS} of {len(authors)} authors")
    if (length := len(canonical.encode(block))) > MAX_PAPER_BYTES:
        raise TooLargeError(f"the description takes {length} bytes, {MAX_PAPER_BYTES} are allowed", place="paper")


def _fit_text(text: str, place: str, notes: list[str]) -> str:
    if text.isascii() and text.isprintable():
        return text
    if found := _UNFIT.search(text):
        raise InvalidFieldError(f"the control character U+{ord(found[0]):04X} stands in the {place}", place=place)
    normal = unicodedata.normalize("NFC", text)
    if normal != text:
        notes.append(f"NFC changed the {place}")
    return normal
