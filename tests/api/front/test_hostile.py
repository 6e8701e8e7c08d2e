"""Everything that no honest client sends, to every address that there is: it is refused and changes nothing.

The addresses are those of the application itself, so that a new one is tried as soon as it is there.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from litestar.routes import HTTPRoute
from sqlalchemy import select

from api.app import create_app
from api.private import PrivateTable
from tests.api import corpus
from tests.api.fronts import Answer, sent
from tests.api.registry import Registry
from tests.builders import ALICE, NUMBER

Address = tuple[str, str]
"""A method and the template of a path."""

BODILESS = {"/api/session/logout"}
"""What takes a POST and looks at no body, whatever it is."""

NOT_IMPLEMENTED = 501
"""An honest refusal of what this registry was not set up for."""


class Wire:
    """One client that sends what it is told to."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._connection = http.client.HTTPConnection(urlsplit(registry.address).netloc, timeout=60)

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
        named = dict(headers or {})
        try:
            skipped = {"skip_host": "host" in named, "skip_accept_encoding": True}
            self._connection.putrequest(method, path, **skipped)
            if body is not None:
                self._connection.putheader("content-length", str(len(body)))
            for name, value in named.items():
                self._connection.putheader(name, value.encode("latin-1"))
            self._connection.endheaders(body)
            answer = self._connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, told, answer.read())
        except (OSError, http.client.BadStatusLine):
            self._connection.close()
            return Answer(0, {}, b"")

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def wire(registry: Registry) -> Iterator[Wire]:
    wire = Wire(registry)
    before = standing(registry)
    yield wire
    wire.close()
    assert standing(registry) == before, "something was changed"
    assert registry.client.get("/health/live").status_code == 200


@pytest.fixture(scope="module")
def addresses(registry: Registry) -> list[Address]:
    routes = [route for route in create_app(registry.parts).routes if isinstance(route, HTTPRoute)]
    return [(method, route.path_format) for route in routes for method in sorted(route.methods - {"OPTIONS"})]


@pytest.fixture(scope="module")
def reading_bodies(registry: Registry, addresses: list[Address]) -> list[str]:
    """The paths of those addresses that read what is sent to them."""
    templates = [template for method, template in addresses if method == "POST"]
    return [filled(registry, template) for template in templates if template not in BODILESS]


@pytest.fixture(scope="module")
def queries(registry: Registry) -> list[tuple[str, str]]:
    """The path and the name of every parameter of a query that the schema tells of."""
    paths = registry.client.get("/schema/openapi.json").json()["paths"]
    return [
        (path, parameter["name"])
        for path, item in paths.items()
        for parameter in item.get("get", {}).get("parameters", [])
        if parameter["in"] == "query"
    ]


def standing(registry: Registry) -> Any:
    """Return all that may not change: the head of the log and every private row."""
    with registry.parts.private.read() as connection:
        rows = [
            (table.name, tuple(row))
            for table in PrivateTable.metadata.sorted_tables
            for row in connection.execute(select(table))
        ]
    return registry.home.store.head(), sorted(map(repr, rows))


def filled(registry: Registry, template: str, value: str | None = None) -> str:
    """Put a value into each variable part of a path; without one, such as name something that there is."""
    known = {
        "suffix": NUMBER[10:],
        "first": NUMBER[10:18],
        "event_id": registry.home.store.entry(4).event.id_text,
        "key_id": ALICE.key.key_id,
        "path": "/0/000.p/1",
    }
    return re.sub(r"/?\{(\w+)\}", lambda part: "/" + (value or known.get(part[1], "x").lstrip("/")), template)


def is_refused(answer: Answer) -> bool:
    """Say whether an answer is a problem document."""
    if not (400 <= answer.status < 500 or answer.status == NOT_IMPLEMENTED):
        return False
    kind = answer.headers.get("content-type", "")
    # What is no HTTP at all is answered before there is a request.
    return kind == "application/problem+json" or (answer.status == 400 and answer.content.startswith(b"Invalid HTTP"))


def is_cut(answer: Answer) -> bool:
    """Say whether the server hung up, which it may on who does not stop talking."""
    return answer.status == 0


def is_sent_on(answer: Answer) -> bool:
    """Say whether somebody who named a paper oddly is told its address; nothing else is forgiven."""
    return answer.status == 302 and answer.headers["location"].startswith("/pith/")


def is_safe(answer: Answer) -> bool:
    """Say whether an answer is none of our failures, and has no header that somebody else wrote."""
    return (100 <= answer.status < 500 or answer.status == NOT_IMPLEMENTED) and "x-injected" not in answer.headers


def told(method: str, path: str, what: object, answer: Answer) -> str:
    return f"{method} {path[:100]} {str(what)[:100]!r}: {answer.status} {answer.content[:200]!r}"


@pytest.mark.parametrize("name", corpus.HEADS)
def test_a_head_of_no_kind_is_refused(registry: Registry, wire: Wire, name: str) -> None:
    answer = sent(registry.address, corpus.HEADS[name])
    assert is_refused(answer) or is_cut(answer), told("", name, "", answer)


def test_a_smuggled_request_is_not_answered(registry: Registry, wire: Wire) -> None:
    answer = sent(
        registry.address, corpus.HEADS["length and chunks"] + b"GET /pith-log.json HTTP/1.1\r\nhost: x\r\n\r\n"
    )
    assert is_refused(answer) or is_cut(answer)
    assert b"pith_log_identity" not in answer.content


def test_an_address_that_names_nothing_is_not_found(registry: Registry, wire: Wire, addresses: list[Address]) -> None:
    found = []
    for method, template in addresses:
        if "{" not in template or method == "HEAD":
            continue
        for segment in corpus.SEGMENTS:
            path = filled(registry, template, segment)
            answer = wire.ask(method, path, body=b"" if method == "POST" else None)
            if not is_refused(answer):
                found.append(told(method, path, segment, answer))
    assert found == [], "\n".join(found[:40])


def test_a_path_is_not_read_as_another(registry: Registry, wire: Wire, addresses: list[Address]) -> None:
    found = []
    for _, template in addresses:
        path = filled(registry, template)
        if path == "/":
            continue
        changed = [f"/{path}", f"/.{path}", f"/x/..{path}", f"/%2e%2e{path}", f"{path}/..", f"{path}/.", f"{path}%00"]
        changed += [f"{path}//", f"/\\{path}", f"{path}%5c", f"{path};x=1", f"{path}%ff"]
        for other in changed:
            answer = wire.ask("GET", other)
            if not is_refused(answer) and not is_sent_on(answer):
                found.append(told("GET", other, "", answer))
    assert found == [], "\n".join(found[:40])


def test_a_parameter_of_no_kind_breaks_nothing(registry: Registry, wire: Wire, queries: list[tuple[str, str]]) -> None:
    found = []
    for template, name in queries:
        path = filled(registry, template)
        for value in corpus.VALUES:
            for query in (f"{name}={value}", f"{name}={value}&{name}={value}"):
                answer = wire.ask("GET", f"{path}?{query}")
                if not is_safe(answer):
                    found.append(told("GET", path, query, answer))
    assert len(queries) >= 10
    assert found == [], "\n".join(found[:40])


@pytest.mark.parametrize(
    "query",
    ["a" * 8_000, "&" * 5_000, "a&" * 4_000, "=", "%", "%zz=%zz", "a[]=1&a[b]=2", ";a=1;b", "%00=%00", "%ff=%ff"],
)
def test_a_query_of_no_kind_breaks_nothing(
    registry: Registry, wire: Wire, addresses: list[Address], query: str
) -> None:
    found = []
    for method, template in addresses:
        path = filled(registry, template)
        answer = wire.ask(method, f"{path}?{query}", body=b"" if method == "POST" else None)
        if not is_safe(answer):
            found.append(told(method, path, query, answer))
    assert found == [], "\n".join(found[:40])


def test_a_body_of_no_kind_is_refused(wire: Wire, reading_bodies: list[str]) -> None:
    found = []
    for path in reading_bodies:
        for kind, body in corpus.BODIES:
            answer = wire.ask("POST", path, {"content-type": kind}, body)
            if answer.status == 200 and kind == corpus.LINES:
                lines = [json.loads(line) for line in answer.content.splitlines()]
                refused = all(line["type"].startswith("urn:pith:error:") for line in lines)
            else:
                refused = is_refused(answer)
            if not refused:
                found.append(told("POST", path, (kind, body[:50]), answer))
    assert found == [], "\n".join(found[:40])


def test_a_body_that_is_too_long_is_refused(registry: Registry, wire: Wire, reading_bodies: list[str]) -> None:
    found = []
    for path in reading_bodies:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        for answer in (
            sent(registry.address, f"{head}content-length: {corpus.HUGE}\r\n\r\n".encode(), then=b" " * 65_536),
            sent(
                registry.address,
                f"{head}transfer-encoding: chunked\r\n\r\n".encode(),
                then=b"10000\r\n" + b" " * 65_536 + b"\r\n",
            ),
        ):
            if not is_refused(answer) and not is_cut(answer):
                found.append(told("POST", path, head, answer))
    assert found == [], "\n".join(found[:40])


def test_a_header_of_no_kind_breaks_nothing(registry: Registry, wire: Wire, addresses: list[Address]) -> None:
    found = []
    for method, template in addresses:
        path = filled(registry, template)
        for headers in corpus.HEADERS:
            answer = wire.ask(method, path, headers, b"" if method == "POST" else None)
            if not is_safe(answer):
                found.append(told(method, path, headers, answer))
    assert found == [], "\n".join(found[:40])


def test_a_method_that_an_address_does_not_have_is_refused(
    registry: Registry, wire: Wire, addresses: list[Address]
) -> None:
    found = []
    for path in {filled(registry, template) for _, template in addresses}:
        for method in corpus.METHODS:
            answer = wire.ask(method, path, body=b"{}")
            if not is_refused(answer):
                found.append(told(method, path, "", answer))
    assert found == [], "\n".join(found[:40])


def test_a_bomb_is_not_opened(wire: Wire, reading_bodies: list[str]) -> None:
    headers = {"content-type": corpus.JSON, "content-encoding": "gzip"}
    bomb = {body[:3]: body for _, body in corpus.BODIES}[b"\x1f\x8b\x08"]
    assert {wire.ask("POST", path, headers, bomb).status for path in reading_bodies} == {415}
