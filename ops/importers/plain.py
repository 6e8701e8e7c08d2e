"""Plain JSON lines: one object a paper, for sources without a reader of their own.

{"source": "arxiv", "id": "arXiv:1903.08305", "title": "…", "abstract": "…", "date": "2019-03-19",
 "authors": [{"name": "…"}, {"given": "…", "family": "…", "orcid": "…"}], "categories": ["cs.IR"]}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ledger.errors import InvalidFieldError, MissingFieldError
from ledger.subjects import SOURCE_KINDS, normal_arxiv, normal_source_id
from ops.importers.drafts import Author, Paper
from ops.importers.strict import optional_list, optional_text, required_text
from ops.importers.values import complete_date, doi_aliases

_KINDS: Final = {"acl-anthology": "acl", **{kind: kind for kind in SOURCE_KINDS}}
_TEXT_DETAILS: Final = (
    "venue",
    "publisher",
    "pages",
    "url",
    "comments",
    "journal_ref",
    "updated",
    "acm_class",
    "file_crc32",
)


def paper_from_plain(found: Mapping[str, Any]) -> Paper:
    """Read one plain line; `source` (or `kind`) and `id` say which paper it is.

    Raises:
        MissingFieldError, InvalidFieldError: `place` names the field.
    """
    source = optional_text(found, "source") or required_text(found, "kind")
    kind = _KINDS.get(source)
    if kind is None:
        raise InvalidFieldError(
            f"unknown source {source[:40]!r}", place="source", cure=f"use one of {', '.join(sorted(_KINDS))}"
        )
    ident = _ident(kind, required_text(found, "id"))
    date = required_text(found, "date").strip()
    submitted_at, precision = complete_date(date)
    doi = optional_text(found, "doi")
    aliases = doi_aliases(doi)
    details: dict[str, str | int] = {name: optional_text(found, name) for name in _TEXT_DETAILS if name in found}
    for name in ("revisions", "errata"):
        if rows := optional_list(found, name):
            details[name] = len(rows)
    if doi and not aliases:
        details["doi"] = doi
    return Paper(
        kind=kind,
        ident=ident,
        version=_version(kind, found),
        title=required_text(found, "title"),
        abstract=optional_text(found, "abstract"),
        authors=tuple(_author(row, f"authors[{index}]") for index, row in enumerate(optional_list(found, "authors"))),
        categories=_categories(found),
        license=_license(kind, found),
        date=date,
        submitted_at=submitted_at,
        date_precision=precision,
        other_aliases=aliases,
        details=details,
    )


def _ident(kind: str, text: str) -> str:
    try:
        return normal_source_id(kind, text)
    except InvalidFieldError as error:
        raise InvalidFieldError(error.message, place="id", cure=error.cure) from None


def _version(kind: str, found: Mapping[str, Any]) -> int:
    stated = found.get("version")
    if stated is None:
        named = normal_arxiv(found["id"]) if kind == "arxiv" else None
        return (named and named[1]) or 1
    if type(stated) is not int or not 1 <= stated <= 9999:
        raise InvalidFieldError("a version is an integer from 1 to 9999", place="version")
    return stated


def _license(kind: str, found: Mapping[str, Any]) -> str:
    # Plain arXiv lines state the licence of the metadata; that of the paper is not known from them.
    if kind == "arxiv":
        return ""
    return (optional_text(found, "licence_url") or optional_text(found, "license")).strip()


def _categories(found: Mapping[str, Any]) -> tuple[str, ...]:
    categories = optional_list(found, "categories")
    if not all(isinstance(category, str) and category for category in categories):
        raise InvalidFieldError("a category is a string", place="categories")
    return tuple(categories)


def _author(row: Any, place: str) -> Author:
    if not isinstance(row, dict):
        raise InvalidFieldError("an author is an object", place=place)
    try:
        given, family = optional_text(row, "given").strip(), optional_text(row, "family").strip()
        name = optional_text(row, "name").strip() or f"{given} {family}".strip()
        orcid = optional_text(row, "orcid")
    except InvalidFieldError as error:
        raise InvalidFieldError(error.message, place=f"{place}.{error.place}") from None
    if not name:
        raise MissingFieldError("an author without a name", place=place)
    return Author(name, given, family, orcid)
