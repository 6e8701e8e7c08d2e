"""Whom the registry signs for: one pseudonym a person, and none that anybody else could take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request, route

from api.identity.persons import person_of
from api.identity.sessions import close_session, open_session
from api.parts import Parts
from api.problems import HANDLERS
from api.settings import ApiSettings
from tests.api.identity.serving import Identities, identities
from tests.witnesses import served as served_app

SECRET = "A" * 43


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identities]:
    with identities(tmp_path_factory.mktemp("persons"), ApiSettings) as served:
        yield served


@contextmanager
def asked(parts: Parts) -> Iterator[httpx.Client]:
    """Serve an address that says who asks; `seed` comes from the query."""

    @route("/who", http_method=["GET", "POST"], sync_to_thread=True)
    def who(request: Request[Any, Any, Any]) -> dict[str, str | None]:
        found = person_of(request, parts, request.query_params.get("seed"))
        return {"kind": found.kind, "subject": found.subject, "secret": found.secret}

    app = Litestar([who], openapi_config=None, logging_config=None, exception_handlers=HANDLERS)
    with served_app(app) as address, httpx.Client(base_url=address) as client:
        yield client


@pytest.fixture
def client(served: Identities) -> Iterator[httpx.Client]:
    with asked(served.registry.parts) as client:
        yield client


def who(client: httpx.Client, method: str = "GET", seed: str = "", **headers: str) -> dict[str, Any]:
    answer = client.request(method, "/who", params={"seed": seed} if seed else {}, headers=headers)
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.json())


def session(served: Identities, identifier: str = "orcid:0000-0002-1825-0097") -> str:
    return f"pith-session={open_session(served.registry.parts, identifier)}"


def test_somebody_new_gets_a_secret_and_is_the_same_person_with_it(client: httpx.Client) -> None:
    first = who(client)
    again = who(client, **{"Pith-Person": first["secret"]})
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", first["secret"]) and re.fullmatch(r"[0-9a-f]{64}", first["subject"])
    assert again == {"kind": "anonymous", "subject": first["subject"], "secret": None}


def test_everybody_new_is_somebody_else(client: httpx.Client) -> None:
    assert len({who(client)["subject"] for _ in range(5)}) == 5


def test_a_repeated_request_is_the_same_persons(client: httpx.Client) -> None:
    one, same, other = who(client, seed="one"), who(client, seed="one"), who(client, seed="two")
    assert one == same
    assert one["secret"] != other["secret"]


def test_a_given_secret_counts_more_than_a_seed_or_a_session(served: Identities, client: httpx.Client) -> None:
    plain = who(client, **{"Pith-Person": SECRET})
    assert who(client, seed="one", **{"Pith-Person": SECRET}) == plain
    assert who(client, **{"Pith-Person": SECRET, "cookie": session(served)}) == plain


@pytest.mark.parametrize("secret", ["", "A", "A" * 42, "A" * 44, "A" * 42 + "B", "A" * 42 + "=", "+" * 43, "é" * 43])
def test_a_malformed_secret_is_refused(client: httpx.Client, secret: str) -> None:
    answer = client.get("/who", headers={"Pith-Person": secret.encode("latin-1")})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:pith:error:invalid-field")


def test_a_pseudonym_is_another_in_another_registry(client: httpx.Client, tmp_path: Path) -> None:
    with identities(tmp_path, ApiSettings) as other, asked(other.registry.parts) as elsewhere:
        header = {"Pith-Person": SECRET}
        assert who(client, **header)["subject"] != who(elsewhere, **header)["subject"]


def test_a_session_has_the_pseudonym_of_who_logged_in(served: Identities, client: httpx.Client) -> None:
    one, again = (who(client, cookie=session(served)) for _ in range(2))
    other = who(client, cookie=session(served, "orcid:0000-0001-5109-3700"))
    assert one == again == {"kind": "session", "subject": one["subject"], "secret": None}
    assert other["subject"] != one["subject"]


def test_nobody_is_anonymous_by_the_secret_that_is_somebodys_iD(served: Identities, client: httpx.Client) -> None:
    """Pseudonyms of the two kinds are derived apart."""
    token = open_session(served.registry.parts, SECRET)
    by_login = who(client, cookie=f"pith-session={token}")
    assert by_login["subject"] != who(client, **{"Pith-Person": SECRET})["subject"]


def test_an_ended_session_is_not_taken_for_nobodys(served: Identities, client: httpx.Client) -> None:
    cookie = session(served)
    close_session(served.registry.parts, cookie.partition("=")[2])
    for given in (cookie, "pith-session=x", f"pith-session={SECRET}"):
        answer = client.get("/who", headers={"cookie": given})
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:pith:error:unauthorized")
        assert re.match(r'pith-session="?"?;.*Max-Age=0', answer.headers["set-cookie"])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"sec-fetch-site": "same-origin"}, 201),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, 201),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://["}, 403),
        ({"sec-fetch-site": ""}, 403),
    ],
)
def test_another_sites_page_cannot_act_in_a_session(
    served: Identities, client: httpx.Client, headers: dict[str, str], status: int
) -> None:
    answer = client.post("/who", headers={"cookie": session(served), **headers})
    assert answer.status_code == status, answer.text


def test_our_own_page_can(served: Identities, client: httpx.Client) -> None:
    origin = str(client.base_url).rstrip("/")
    assert client.post("/who", headers={"cookie": session(served), "origin": origin}).status_code == 201
    base_url = served.registry.parts.settings.base_url
    assert client.post("/who", headers={"cookie": session(served), "origin": base_url}).status_code == 201


def test_over_tls_the_cookie_is_bound_to_the_host(served: Identities) -> None:
    """A sibling host, or somebody on the way, could plant one of another name."""
    parts = replace(served.registry.parts, settings=ApiSettings("https://pith.example"))
    token = open_session(parts, "orcid:0000-0002-1825-0097")
    with asked(parts) as client:
        assert who(client, cookie=f"pith-session={token}")["kind"] == "anonymous"
        assert who(client, cookie=f"__Host-pith-session={token}")["kind"] == "session"
        answer = client.get("/who", headers={"cookie": "__Host-pith-session=x"})
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(answer.headers["set-cookie"].split("; "))
    assert "Domain" not in answer.headers["set-cookie"]
