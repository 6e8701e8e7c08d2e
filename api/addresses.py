"""The public addresses of a paper, and the parts of its document that name them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from projections.queries import Document

ACTIONS = {
    "anchor_timestamp": "timestamp_anchor",
    "attest_storage": "storage_attestation",
    "attest_author": "author_attestation",
    "sign_citation": "citation_signature",
    "submit_replication": "replication_record",
}


def served(document: Document, base_url: str) -> Document:
    """Fill in what depends on where a document is served; key order stays that of the public protocol.

    Args:
        base_url: scheme and host without a final slash, such as `https://pith.example`.
    """
    number = _plain(document["pith_number"])
    return {
        **document,
        "schema_url": f"{base_url}/schemas/pith-number/v1.json",
        "links": links(number[10:], base_url),
        "agent_actions": agent_actions(number[10:], _plain(document["source"]), base_url),
    }


def links(suffix: str, base_url: str) -> dict[str, str]:
    """Return the `links` block of a paper's document."""
    page = f"{base_url}/pith/{suffix}"
    data = f"{base_url}/api/pith-number/{suffix}"
    return {
        "html": page,
        "json": f"{page}.json",
        "graph_json": f"{data}/graph.json",
        "events_json": f"{data}/events.json",
        "paper": f"{base_url}/paper/{suffix[:8]}",
    }


def agent_actions(suffix: str, source: dict[str, Any], base_url: str) -> dict[str, Any]:
    """Return the `agent_actions` block: what a program can do with a paper, and where."""
    found = links(suffix, base_url)
    ident = quote(source["id"], safe="/:.-_")
    return {
        "view_html": found["html"],
        "download_json": found["json"],
        "view_paper": found["paper"],
        "resolve_alias": f"{base_url}/api/pith-number/resolve?{source['kind']}={ident}&json=true",
        "fetch_graph": found["graph_json"],
        "fetch_events": found["events_json"],
        "actions": {name: f"{found['html']}/action/{event_type}" for name, event_type in ACTIONS.items()},
    }


def _plain(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
