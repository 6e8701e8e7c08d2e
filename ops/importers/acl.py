"""ACL Anthology metadata: the XML collections of its public data folder.

    <collection id="2020.acl"><volume id="main"><meta>…<month>July</month><year>2020</year></meta>
      <paper id="1"><title>…</title><author><first>…</first><last>…</last></author>…</paper>

The licence follows the Anthology's own rule: CC BY 4.0 from 2016 on, CC BY-NC-SA 3.0 before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from xml.etree.ElementTree import Element

from ledger.errors import InvalidFieldError, MissingFieldError, SubmissionError
from ledger.subjects import normal_acl
from ops.importers.drafts import Author, Paper
from ops.importers.values import complete_date, doi_aliases
from ops.importers.xml_stream import XmlStream, flat_text

BY = "https://creativecommons.org/licenses/by/4.0/"
BY_NC_SA = "https://creativecommons.org/licenses/by-nc-sa/3.0/"
OPEN_SINCE = 2016

_OLD_COLLECTION = re.compile(r"[A-Z][0-9]{2}")
_YEAR = re.compile(r"[0-9]{4}")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = re.compile(rf"\b({'|'.join(_MONTHS)})[a-z]*", re.IGNORECASE)


def papers_from_collection(source: Path | BinaryIO) -> Iterator[Paper | SubmissionError]:
    """Read the papers of a collection one by one; a paper that cannot be read comes as its error.

    Raises:
        MalformedError: the XML itself cannot be read on.
    """
    if isinstance(source, Path):
        with source.open("rb") as opened:
            yield from papers_from_collection(opened)
        return
    stream = XmlStream(source)
    collection = volume_id = ""
    volume: Element | None = None
    meta: Element | None = None
    for event, element in stream.events():
        if event == "start" and element.tag == "collection":
            collection = element.get("id", "")
        elif event == "start" and element.tag == "volume":
            volume, volume_id, meta = element, element.get("id", ""), None
        elif event == "end" and element.tag == "meta":
            meta = element
        elif event == "end" and element.tag == "volume":
            stream.entry_done(element)
        elif event == "end" and element.tag == "paper" and volume is not None:
            found: Paper | SubmissionError
            try:
                found = _paper(collection, volume_id, meta, element)
            except SubmissionError as error:
                found = error
            stream.entry_done(volume)
            yield found


def anthology_id(collection: str, volume: str, paper: str) -> str:
    """Return the Anthology id of a paper: `2020.acl-main.1`, or `P18-1001` in collections before 2020.

    Raises:
        InvalidFieldError: the three do not make an Anthology id.
    """
    ident = f"{collection}-{volume}.{paper}"
    if _OLD_COLLECTION.fullmatch(collection) and volume.isdecimal() and paper.isdecimal():
        number = int(volume)
        # Workshops, and the two conferences that had too many volumes, give the volume two digits.
        wide = collection[0] == "W" or collection == "C69" or (collection == "D19" and number >= 5)
        ident = f"{collection}-{number:02d}{int(paper):02d}" if wide else f"{collection}-{number}{int(paper):03d}"
    normal = normal_acl(ident)
    if normal is None:
        raise InvalidFieldError(f"{ident[:80]!r} is no Anthology id", place="paper/@id")
    return normal


def _paper(collection: str, volume: str, meta: Element | None, paper: Element) -> Paper:
    def text(name: str) -> str:
        return flat_text(paper.find(name)) or ("" if meta is None else flat_text(meta.find(name)))

    ident = anthology_id(collection, volume, paper.get("id", ""))
    title = flat_text(paper.find("title"))
    if not title:
        raise MissingFieldError("there is no title", place=f"{ident}/title")
    year, named_month = text("year"), text("month")[:40]
    if not year:
        raise MissingFieldError("there is no year", place=f"{ident}/year")
    if not _YEAR.fullmatch(year):
        raise InvalidFieldError(f"{year[:40]!r} is no year", place=f"{ident}/year")
    month = month_number(named_month)
    submitted_at, precision = complete_date(f"{year}-{month:02d}" if month else year, f"{ident}/year")
    doi = flat_text(paper.find("doi"))
    aliases = doi_aliases(doi)
    url = paper.find("url")
    address = flat_text(url)
    return Paper(
        kind="acl",
        ident=ident,
        version=1,
        title=title,
        abstract=flat_text(paper.find("abstract")),
        authors=_authors(paper),
        categories=(),
        license=BY if int(year) >= OPEN_SINCE else BY_NC_SA,
        date=" ".join(filter(None, (named_month, year))),
        submitted_at=submitted_at,
        date_precision=precision,
        other_aliases=aliases,
        details={
            "venue": text("booktitle") or text("journal") or text("journal-title"),
            "publisher": text("publisher"),
            "pages": flat_text(paper.find("pages")),
            "url": address if address.startswith("http") else f"https://aclanthology.org/{ident}/",
            "file_crc32": "" if url is None else url.get("hash", ""),
            "revisions": len(paper.findall("revision")) or "",
            "errata": len(paper.findall("erratum")) or "",
            "doi": "" if aliases else doi,
        },
    )


def _authors(paper: Element) -> tuple[Author, ...]:
    found = []
    for author in paper.findall("author"):
        given, family = flat_text(author.find("first")), flat_text(author.find("last"))
        if name := f"{given} {family}".strip():
            found.append(Author(name, given, family, author.get("orcid", "")))
    return tuple(found)


def month_number(text: str) -> int | None:
    """Return the month that a volume names (1 to 12); of a range such as `July-August` the first."""
    if found := _MONTH.search(text):
        return _MONTHS.index(found[1].lower()) + 1
    return int(text) if text.isascii() and text.isdecimal() and 1 <= int(text) <= 12 else None
