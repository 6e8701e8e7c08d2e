"""A paper in JSON-LD: schema.org's words for what everybody has a word for, our own for the rest.

`context` defines every word that `linked` uses, so that it can be read without fetching anything else; the words
of our own are `urn:pith:term:…`, which are the same wherever a paper is served.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from api.addresses import links
from api.pages.record_view import authors, is_web_address, source_address, text
from projections.queries import Document
from projections.status import VerificationStatus

CONTEXT_PATH: Final = "/schemas/pith-context/v1.jsonld"
SCHEMA_ORG: Final = "https://schema.org"
"""Where schema.org's own context is; it writes its words with http."""

_XSD: Final = "http://www.w3.org/2001/XMLSchema#"
_ADDRESSES: Final[Mapping[str, str]] = {
    "arxiv": "https://arxiv.org/abs/{}",
    "arxiv_version": "https://arxiv.org/abs/{}",
    "doi": "https://doi.org/{}",
}
_WORDS: Final = (
    "ScholarlyArticle",
    "PropertyValue",
    "Person",
    "DataDownload",
    "identifier",
    "propertyID",
    "value",
    "name",
    "author",
    "abstract",
    "version",
    "encodingFormat",
    "subjectOf",
)
_OF_ADDRESSES: Final = ("url", "license", "sameAs", "contentUrl")


def context() -> dict[str, Any]:
    """Return the JSON-LD context (1.1) of `linked`."""
    terms: dict[str, Any] = {
        "@version": 1.1,
        "schema": "http://schema.org/",
        "term": "urn:pith:term:",
        "xsd": _XSD,
    }
    terms |= {word: f"schema:{word}" for word in _WORDS}
    terms |= {word: {"@id": f"schema:{word}", "@type": "@id"} for word in _OF_ADDRESSES}
    terms["datePublished"] = {"@id": "schema:datePublished", "@type": "xsd:dateTime"}
    terms |= {word: f"term:{word}" for word in ("pith_number", "short_pith_number", "canonical_sha256")}
    terms["attestation_state"] = {"@id": "term:attestation_state", "@type": "@vocab"}
    terms |= {state: f"term:{state}" for state in ("computed", "anchored", "stored", "attested", "replicated")}
    terms["canonical_record"] = {"@id": "term:canonical_record", "@type": "@json"}
    fields = {
        field.name: {"@id": f"term:{field.name}", "@type": "xsd:boolean" if field.type is bool else "xsd:integer"}
        for field in msgspec.structs.fields(VerificationStatus)
    }
    terms["verification_status"] = {"@id": "term:verification_status", "@context": fields}
    return {"@context": terms}


def linked(document: Document, base_url: str) -> dict[str, Any]:
    """Describe a paper in JSON-LD, from its record document, served or not."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    paper, metadata = found["paper"], found["canonical_record"]["metadata"]
    address = links(found["pith_number"][10:], base_url)
    aliases = [alias for alias in found["aliases"] if not alias["alias_kind"].startswith("pith_short_")]
    described = {
        "@context": [SCHEMA_ORG, f"{base_url}{CONTEXT_PATH}"],
        "@id": address["html"],
        "@type": "ScholarlyArticle",
        "identifier": [
            _identifier("pith", found["pith_number"]),
            *(_identifier(alias["alias_kind"], alias["alias_value"]) for alias in aliases),
        ],
        "name": text(paper.get("title")),
        "author": [
            {"@type": "Person", "name": author.name}
            | ({"@id": f"https://orcid.org/{author.orcid}"} if author.orcid else {})
            for author in authors(paper)
        ],
        "abstract": text(paper.get("abstract")) or text(paper.get("abstract_excerpt")),
        "license": metadata["license"] if is_web_address(metadata["license"]) else "",
        "datePublished": metadata["submitted_at"],
        "version": found["source"]["version"],
        "url": address["html"],
        "sameAs": _same_as(found["source"], aliases),
        "subjectOf": {"@type": "DataDownload", "contentUrl": address["json"], "encodingFormat": "application/json"},
        "pith_number": found["pith_number"],
        "short_pith_number": found["short_pith_number"],
        "canonical_sha256": found["canonical_sha256"],
        "attestation_state": found["attestation_state"],
        "verification_status": found["verification_status"],
        "canonical_record": found["canonical_record"],
    }
    return {name: value for name, value in described.items() if value}


def _identifier(kind: str, value: str) -> dict[str, str]:
    return {"@type": "PropertyValue", "propertyID": kind, "value": value}


def _same_as(source: Mapping[str, Any], aliases: list[Mapping[str, str]]) -> list[str]:
    """Return the addresses of the paper elsewhere."""
    found = [source_address(source)]
    for alias in aliases:
        kind, value = alias["alias_kind"], alias["alias_value"]
        if kind == "url":
            found.append(value if is_web_address(value) else "")
        elif kind in _ADDRESSES:
            found.append(_ADDRESSES[kind].format(quote(value, safe="/:;().,-_~")))
    return sorted({address for address in found if address})
