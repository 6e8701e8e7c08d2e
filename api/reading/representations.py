"""A paper's record as it is served: JSON, JSON-LD and a page for people, each made from its current view."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec

from api.addresses import links, served
from api.answers import HTML, JSON, JSON_LD, Answer
from api.caching import SHORT
from api.pages.rendered import PAGE_POLICY, record_page
from api.parts import Parts
from api.present import Sight
from api.protocol.linked import linked
from api.reading.names import found
from api.reading.remembered import Made
from projections.queries import Stored, citations


def record_json(parts: Parts, suffix: str, sight: Sight, before: Made | None) -> Made:
    """Make the record document; raises NotFoundError."""
    return _record(parts, suffix, sight, before, negotiated=False)


def negotiated_json(parts: Parts, suffix: str, sight: Sight, before: Made | None) -> Made:
    """Make the record document as the paper's own address gives it to who asks for JSON; raises NotFoundError."""
    return _record(parts, suffix, sight, before, negotiated=True)


def negotiated_linked_data(parts: Parts, suffix: str, sight: Sight, before: Made | None) -> Made:
    """Make the paper's description in JSON-LD; raises NotFoundError."""
    stored = found(parts, suffix)
    source = _source(stored, sight)
    if before is not None and before.source == source:
        return before
    described = linked(stored.opened(sight.anchored_size), parts.settings.base_url)
    headers = _negotiated(parts, suffix)
    return Made(Answer(msgspec.json.encode(described), JSON_LD, SHORT, headers), source)


def negotiated_page(parts: Parts, suffix: str, sight: Sight, _before: Made | None) -> Made:
    """Make the paper's page; raises NotFoundError."""
    stored = found(parts, suffix)
    document = served(stored.opened(sight.anchored_size), parts.settings.base_url)
    page = record_page(parts, document, citations(parts.projections, stored.subject))
    headers = {**_negotiated(parts, suffix), "content-security-policy": PAGE_POLICY}
    return Made(Answer(page, HTML, SHORT, headers), None)


def _record(parts: Parts, suffix: str, sight: Sight, before: Made | None, *, negotiated: bool) -> Made:
    stored = found(parts, suffix)
    source = _source(stored, sight)
    if before is not None and before.source == source:
        return before
    document = served(stored.opened(sight.anchored_size), parts.settings.base_url)
    headers = _negotiated(parts, suffix) if negotiated else None
    return Made(Answer(msgspec.json.encode(document), JSON, SHORT, headers), source)


def _source(stored: Stored, sight: Sight) -> tuple[bytes, bool]:
    """Return what a document is made from, in short: the stored view, and whether outside clocks vouch for it."""
    return sha256(stored.document).digest(), stored.position < sight.anchored_size


def _negotiated(parts: Parts, suffix: str) -> dict[str, str]:
    """Return the headers of an address with several representations: its name (RFC 8574), and the data about it."""
    named = links(suffix, parts.settings.base_url)
    link = f'<{named["html"]}>; rel="cite-as", <{named["json"]}>; rel="describedby"; type="{JSON}"'
    return {"vary": VARY, "link": link}


VARY: Final = "accept"
