"""What an event can be about, and the other names a paper goes by.

A subject is a Pith Number (`pith:2026:QKNOCXGU37VTEACJ427TX64VQJ`) or a registry's own stream
(`pith:registry:pith.example`). An alias is another identifier of the same paper: `alias_kind` with
`alias_value` in the normal form of its kind, so that equal names are equal strings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from ledger.errors import InvalidFieldError

NUMBER: Final = r"pith:[0-9]{4}:[A-Z2-7]{26}"
REGISTRY_NAME: Final = r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?"
LOG_LABEL: Final = "[a-z0-9](?:[a-z0-9.-]{0,29}[a-z0-9])?"
"""How the logs beside a registry's first one are called, such as `2027` or `elsevier`."""

SHORT_LENGTHS: Final = (8, 12, 16)

_NUMBER = re.compile(NUMBER)
_SUFFIX = re.compile(r"(?:pith:)?(?:[0-9]{4}:)?([A-Z2-7]{8,26})", re.IGNORECASE | re.ASCII)
_REGISTRY = re.compile(f"pith:registry:({REGISTRY_NAME})")
_ARXIV = re.compile(
    r"(?:arxiv:|https?://(?:www\.|export\.)?arxiv\.org/(?:abs|pdf)/)?"
    r"([0-9]{4}\.[0-9]{4,5}|[a-z-]+(?:\.[a-z]{2})?/[0-9]{7})(?:v([1-9][0-9]{0,3}))?(?:\.pdf)?",
    re.IGNORECASE | re.ASCII,
)
_DOI_RESOLVER = re.compile(r"https?://(?:dx\.)?doi\.org/", re.IGNORECASE | re.ASCII)
_DOI = re.compile(r"(?:doi:)?(10\.[0-9]{4,9}(?:\.[0-9]+)*/[\x21-\x7e]+)", re.IGNORECASE | re.ASCII)
_ACL = re.compile(
    r"(?:acl:|https?://(?:www\.aclweb\.org/anthology|aclanthology\.org)/)?"
    r"([0-9]{4}\.[a-z0-9]+-[a-z0-9]+\.[0-9]+|[A-Z][0-9]{2}-[0-9]{4,5})(?:/|\.pdf)?",
    re.IGNORECASE | re.ASCII,
)
_PMID = re.compile(r"(?:pmid:)?([1-9][0-9]{0,8})", re.IGNORECASE | re.ASCII)
_OPENREVIEW = re.compile(r"(?:https://openreview\.net/forum\?id=|openreview:)([A-Za-z0-9_-]{6,16})")
_URL = re.compile(r"https?://[!-~]{1,2000}")


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name of a paper; `value` is in the normal form of `kind`."""

    kind: str
    value: str


def parse_number(text: str) -> tuple[int, str]:
    """Split a full Pith Number into its year and its 26-character suffix.

    Raises:
        InvalidFieldError: the text is no Pith Number.
    """
    if not _NUMBER.fullmatch(text):
        raise InvalidFieldError(f"{text[:80]!r} is not a Pith Number", cure="the form is pith:YEAR:SUFFIX26")
    return int(text[5:9]), text[10:]


@lru_cache(maxsize=64)
def registry_subject(name: str) -> str:
    """Return the subject of a registry's own stream (its keys, policy and checkpoint anchors)."""
    subject = f"pith:registry:{name}"
    if not _REGISTRY.fullmatch(subject):
        raise InvalidFieldError(
            f"{name!r} is no registry name", cure="use lower-case letters, digits, dots and hyphens"
        )
    return subject


def is_number(subject: str) -> bool:
    return _NUMBER.fullmatch(subject) is not None


def parse_suffix(text: str) -> str | None:
    """Return the suffix (8 to 26 characters) that a number, short number or bare suffix names."""
    found = _SUFFIX.fullmatch(text.strip())
    return found.group(1).upper() if found else None


def normal_arxiv(text: str) -> tuple[str, int | None] | None:
    """Return an arXiv id without prefix or subject class, and its version if it names one."""
    found = _ARXIV.fullmatch(text.strip())
    if not found:
        return None
    ident = found.group(1).lower()
    if "/" in ident:
        archive, number = ident.split("/")
        ident = f"{archive.split('.')[0]}/{number}"
    return ident, int(found.group(2)) if found.group(2) else None


def normal_doi(text: str) -> str | None:
    """Return a DOI in lower case without resolver or prefix (DOIs compare without case)."""
    text = text.strip()
    if resolver := _DOI_RESOLVER.match(text):
        text = unquote(text[resolver.end() :])
    found = _DOI.fullmatch(text)
    return found.group(1).lower() if found else None


def normal_acl(text: str) -> str | None:
    """Return an ACL Anthology id in the Anthology's own spelling."""
    found = _ACL.fullmatch(text.strip())
    if not found:
        return None
    ident = found.group(1)
    return ident.upper() if ident[1:3].isdigit() and "." not in ident else ident.lower()


def normal_source_id(kind: str, text: str) -> str:
    """Return a source id in the normal form of its kind.

    Kinds: `arxiv`, `acl`, `doi`, `pmid`, `openreview`, `url`.

    Raises:
        InvalidFieldError: unknown kind, or the text has not the form of its kind.
    """
    text = text.strip()
    found: str | None
    match kind:
        case "arxiv":
            arxiv = normal_arxiv(text)
            found = arxiv[0] if arxiv else None
        case "acl":
            found = normal_acl(text)
        case "doi":
            found = normal_doi(text)
        case "pmid":
            pmid = _PMID.fullmatch(text)
            found = pmid.group(1) if pmid else None
        case "openreview":
            forum = _OPENREVIEW.fullmatch(text if ":" in text else f"openreview:{text}")
            found = forum.group(1) if forum else None
        case "url":
            found = text if _URL.fullmatch(text) else None
        case _:
            raise InvalidFieldError(f"unknown source kind {kind!r}", cure=f"use one of {', '.join(SOURCE_KINDS)}")
    if found is None:
        raise InvalidFieldError(f"{text[:80]!r} is not an identifier of kind {kind}")
    return found


SOURCE_KINDS: Final = ("arxiv", "acl", "doi", "pmid", "openreview", "url")
ALIAS_KINDS: Final = (*SOURCE_KINDS, "arxiv_version", *(f"pith_short_{n}" for n in SHORT_LENGTHS))


def source_aliases(kind: str, ident: str, version: int, suffix: str) -> list[Alias]:
    """Return the aliases that follow from a record's source and suffix, in published order."""
    found = {Alias(f"pith_short_{n}", suffix[:n]) for n in SHORT_LENGTHS}
    found.add(Alias(kind, ident))
    if kind == "arxiv":
        found.add(Alias("arxiv_version", f"{ident}v{version}"))
        found.add(Alias("doi", f"10.48550/arxiv.{ident}"))
    return sorted(found, key=lambda alias: (alias.kind, alias.value))


def check_alias(kind: str, value: str) -> None:
    """Refuse an alias of an unknown kind or not in its kind's normal form.

    Raises:
        InvalidFieldError: the alias could never be looked up as it stands.
    """
    if kind.startswith("pith_short_") and kind in ALIAS_KINDS:
        valid = re.fullmatch(f"[A-Z2-7]{{{kind[11:]}}}", value) is not None
    elif kind == "arxiv_version":
        arxiv = normal_arxiv(value)
        valid = arxiv is not None and value == f"{arxiv[0]}v{arxiv[1]}"
    else:
        valid = normal_source_id(kind, value) == value
    if not valid:
        raise InvalidFieldError(f"{value[:80]!r} is not the normal form of a {kind} alias")


def interpret(text: str) -> list[Alias]:
    """Return the aliases that a text typed by a person may mean, likeliest first."""
    text = text.strip()
    found: list[Alias] = []
    if arxiv := normal_arxiv(text):
        ident, version = arxiv
        found.append(Alias("arxiv_version", f"{ident}v{version}") if version else Alias("arxiv", ident))
    if doi := normal_doi(text):
        found.append(Alias("doi", doi))
    if acl := normal_acl(text):
        found.append(Alias("acl", acl))
    if text.lower().startswith("pmid:") and (pmid := _PMID.fullmatch(text)):
        found.append(Alias("pmid", pmid.group(1)))
    if forum := _OPENREVIEW.fullmatch(text):
        found.append(Alias("openreview", forum.group(1)))
    if _URL.fullmatch(text):
        found.append(Alias("url", text))
    return found
