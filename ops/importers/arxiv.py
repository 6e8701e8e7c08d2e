"""arXiv metadata: JSON lines of the OAI snapshot on Kaggle, and Atom feeds of the arXiv API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree.ElementTree import Element

from ledger.errors import InvalidFieldError, MissingFieldError, SubmissionError
from ledger.records import check_time
from ledger.subjects import normal_arxiv
from ops.importers.drafts import Author, Paper
from ops.importers.strict import optional_list, optional_text, required_text
from ops.importers.values import complete_date, doi_aliases
from ops.importers.xml_stream import XmlStream, flat_text

ATOM = "{http://www.w3.org/2005/Atom}"
ARXIV = "{http://arxiv.org/schemas/atom}"

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CREATED = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), +([0-9]{1,2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}:[0-9]{2}:[0-9]{2}) GMT"
)
_VERSION = re.compile(r"v([1-9][0-9]{0,3})")
_CATEGORY = re.compile(r"[a-z]+(?:-[a-z]+)*(?:\.[A-Za-z]+(?:-[A-Za-z]+)*)?")


def paper_from_kaggle(found: Mapping[str, Any]) -> Paper:
    """Read one line of the OAI snapshot.

    `submitted_at` is the first version's instant and `version` the last one's number. A line without
    `versions` is taken as version 1 of its `update_date`.

    Raises:
        MissingFieldError, InvalidFieldError: `place` names the field.
    """
    ident = _ident(required_text(found, "id"))[0]
    version, date, submitted_at, precision = _history(found)
    authors, authors_text = _kaggle_authors(found)
    doi = optional_text(found, "doi")
    aliases = doi_aliases(doi)
    details = {
        "url": f"https://arxiv.org/abs/{ident}",
        "comments": optional_text(found, "comments"),
        "journal_ref": optional_text(found, "journal-ref"),
        "report_no": optional_text(found, "report-no"),
        "updated": optional_text(found, "update_date"),
        "doi": "" if aliases else doi,
    }
    return Paper(
        kind="arxiv",
        ident=ident,
        version=version,
        title=required_text(found, "title"),
        abstract=optional_text(found, "abstract"),
        authors=authors,
        categories=tuple(optional_text(found, "categories").split()),
        license=optional_text(found, "license").strip(),
        date=date,
        submitted_at=submitted_at,
        date_precision=precision,
        other_aliases=aliases,
        details=details,
        authors_text=authors_text,
    )


def _ident(text: str) -> tuple[str, int | None]:
    found = normal_arxiv(text)
    if found is None:
        raise InvalidFieldError(f"{text[:80]!r} is no arXiv identifier", place="id")
    return found


def _history(found: Mapping[str, Any]) -> tuple[int, str, str, str]:
    versions = optional_list(found, "versions")
    if not versions:
        date = required_text(found, "update_date").strip()
        return 1, date, *complete_date(date, "update_date")
    numbers: dict[int, str] = {}
    for index, entry in enumerate(versions):
        place = f"versions[{index}]"
        if not isinstance(entry, dict):
            raise InvalidFieldError("a version is an object", place=place)
        number = _VERSION.fullmatch(optional_text(entry, "version"))
        if not number:
            raise InvalidFieldError("a version is written v1, v2, …", place=f"{place}.version")
        numbers[int(number[1])] = optional_text(entry, "created").strip()
    if 1 not in numbers:
        raise MissingFieldError("there is no first version", place="versions")
    date = numbers[1]
    return max(numbers), date, _instant(date), "second"


def _instant(text: str) -> str:
    found = _CREATED.fullmatch(text)
    if not found or found[2] not in _MONTHS:
        raise InvalidFieldError(f"{text[:60]!r} is no date of a version", place="versions[0].created")
    instant = f"{found[3]}-{_MONTHS.index(found[2]) + 1:02d}-{int(found[1]):02d}T{found[4]}Z"
    check_time(instant, "versions[0].created")
    return instant


def _kaggle_authors(found: Mapping[str, Any]) -> tuple[tuple[Author, ...], str]:
    text = " ".join(optional_text(found, "authors").split())
    authors = []
    for index, row in enumerate(optional_list(found, "authors_parsed")):
        # A row is [family, given, suffix, affiliation…]; only the first three are the name.
        if not isinstance(row, list) or not all(isinstance(piece, str) for piece in row):
            raise InvalidFieldError("an author is a list of strings", place=f"authors_parsed[{index}]")
        family, given, suffix = (" ".join(piece.split()) for piece in (*row[:3], "", "", "")[:3])
        if name := " ".join(filter(None, (given, family, suffix))):
            authors.append(Author(name, given, family))
    if not authors:
        authors = [Author(name.strip()) for name in text.split(", ") if name.strip()]
    return tuple(authors), text


def papers_from_atom(source: Path | BinaryIO) -> Iterator[Paper | SubmissionError]:
    """Read the entries of an Atom feed one by one; an entry that cannot be read comes as its error.

    Raises:
        MalformedError: the XML itself cannot be read on.
    """
    if isinstance(source, Path):
        with source.open("rb") as opened:
            yield from papers_from_atom(opened)
        return
    stream = XmlStream(source)
    root: Element | None = None
    for event, element in stream.events():
        if root is None:
            root = element
        if event == "end" and element.tag == f"{ATOM}entry":
            found: Paper | SubmissionError
            try:
                found = _paper_from_entry(element)
            except SubmissionError as error:
                found = error
            stream.entry_done(root)
            yield found


def _paper_from_entry(entry: Element) -> Paper:
    def text(name: str) -> str:
        return flat_text(entry.find(name))

    if not text(f"{ATOM}id"):
        raise MissingFieldError("there is no id", place="id")
    ident, version = _ident(text(f"{ATOM}id"))
    if not text(f"{ATOM}title"):
        raise MissingFieldError("there is no title", place="title")
    date = text(f"{ATOM}published")
    if not date:
        raise MissingFieldError("there is no date", place="published")
    submitted_at, precision = complete_date(date, "published")
    categories, classes = _categories(entry)
    doi = text(f"{ARXIV}doi")
    aliases = doi_aliases(doi)
    summary = entry.find(f"{ATOM}summary")
    names = (flat_text(author.find(f"{ATOM}name")) for author in entry.findall(f"{ATOM}author"))
    return Paper(
        kind="arxiv",
        ident=ident,
        version=version or 1,
        title=text(f"{ATOM}title"),
        abstract="" if summary is None else "".join(summary.itertext()),
        authors=tuple(Author(name) for name in names if name),
        categories=categories,
        license=_license(entry),
        date=date,
        submitted_at=submitted_at,
        date_precision=precision,
        other_aliases=aliases,
        details={
            "url": f"https://arxiv.org/abs/{ident}",
            "comments": text(f"{ARXIV}comment"),
            "journal_ref": text(f"{ARXIV}journal_ref"),
            "updated": text(f"{ATOM}updated"),
            "classes": "; ".join(classes),
            "doi": "" if aliases else doi,
        },
    )


def _categories(entry: Element) -> tuple[tuple[str, ...], list[str]]:
    primary = entry.find(f"{ARXIV}primary_category")
    terms = [] if primary is None else [primary.get("term", "").strip()]
    terms += [category.get("term", "").strip() for category in entry.findall(f"{ATOM}category")]
    known = dict.fromkeys(filter(None, terms))
    # The API lists ACM and MSC classes among the categories; records hold arXiv's own categories only.
    categories = tuple(term for term in known if _CATEGORY.fullmatch(term))
    return categories, [term for term in known if term not in categories]


def _license(entry: Element) -> str:
    for link in entry.findall(f"{ATOM}link"):
        if link.get("rel") == "license":
            return link.get("href", "").strip()
    rights = flat_text(entry.find(f"{ATOM}rights"))
    return rights if rights.startswith(("http://", "https://")) else ""
