"""Asking a registry for papers: new ones for a test to change, and requests that no client tidies up first."""

from __future__ import annotations

import http.client
import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from litestar import Litestar

from api.app import create_app
from api.problems import HANDLERS
from api.reading.handlers import reading_handlers
from api.reading.remembered import Remembered
from api.settings import ApiSettings
from ledger import records
from ledger.events import Event
from ledger.signing import foreign_key
from ops.checkpointing import newest
from ops.home import PUBLISHED_KEYS
from ops.registry_app import composed
from tests.api.registry import BASE_URL, Registry, a_home
from tests.builders import ALICE, MODERATOR, NUMBER, OPENED, Who, World, a_record
from tests.ops.homes import imported
from tests.witnesses import served

SUFFIX: Final = NUMBER[10:]
IMMUTABLE: Final = "public, max-age=31536000, immutable"
SHORT: Final = "public, max-age=5"

_IDENTS: Final = itertools.count(10_000)


def a_paper(
    registry: Registry,
    title: str = "A Paper of Its Own",
    abstract: str = "Abstract.",
    *,
    is_awaited: bool = True,
    **source: Any,
) -> str:
    """Record a new paper and return its number, where `is_awaited` once it is shown."""
    record, paper = a_record(title, abstract, **{"ident": f"2605.{next(_IDENTS)}", **source})
    registry.admit(registry.world.record_created(record, {**paper, "authors_text": "Kurt Gödel"}))
    if is_awaited:
        registry.caught_up()
    return records.identify(record).number


def a_public_paper(registry: Registry, published: bytes) -> str:
    """Import a public registry's record document, whose receipt key is registered first; return its number."""
    world = registry.world
    for label, public_key, source in PUBLISHED_KEYS:
        payload = foreign_key(label, public_key, world.name, source, OPENED, world.next_nonce())
        registry.admit(world.event(world.registry, "key_registered", payload))
    imported(registry.home, published)
    registry.caught_up()
    return str(json.loads(published)["pith_number"])


def said(registry: Registry, number: str, event_type: str, payload: Mapping[str, Any], who: Who = ALICE) -> Event:
    """Sign something about a paper, as anybody."""
    return registry.world.event(who, event_type, payload, subject=number)


def a_citation(registry: Registry, number: str, who: Who = ALICE, **changes: Any) -> Event:
    payload = {"citing": "arxiv:2606.00002", "relationship": "supports", **changes}
    return said(registry, number, "citation_signature", payload, who)


def decided(registry: Registry, number: str, about: Event, decision: str) -> Event:
    """Let the moderator decide on something said about a paper."""
    payload = {"decision": decision}
    return registry.world.event(MODERATOR, "moderation_decision", payload, subject=number, target=about.id_text)


def known_alice(registry: Registry) -> None:
    """Prove who Alice is, so that what she says counts."""
    registry.admit(registry.world.proof_of_identity(ALICE))
    registry.caught_up()


@contextmanager
def a_still_registry(folder: Path, *, is_looked_at: bool) -> Iterator[Registry]:
    """Serve a registry whose projections stand still, and what is known of its log too unless it `is_looked_at`."""
    world = World()
    home = a_home(folder, world)
    home.catch_up()
    settings = ApiSettings(BASE_URL)
    try:
        with composed(home, settings) as parts:
            newest(home)
            parts.present.look()
            handlers = reading_handlers(parts, Remembered(parts.present))
            app = create_app(parts) if is_looked_at else Litestar(handlers, exception_handlers=HANDLERS)
            with served(app) as address, httpx.Client(base_url=address, timeout=30) as client:
                yield Registry(home, parts, world, address, client)
    finally:
        home.close()


def exactly(
    address: str, path: str, method: str = "GET", headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Ask for a path as it stands, which most clients would tidy up first."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        names = dict.fromkeys(name.lower() for name, _ in answer.getheaders())
        return answer.status, {name: ", ".join(answer.headers.get_all(name)) for name in names}, answer.read()
    finally:
        connection.close()
