"""Limits by cost class: who is charged, for what, and how much; no two limits share a counter."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Request, get, post
from litestar.datastructures import CacheControlHeader
from litestar.params import FromQuery
from litestar.routes import HTTPRoute

from api.app import create_app
from api.front.rates import COST_CLASSES, IDENTITY, READ, SEARCH, SUBMIT, Limit, Limits, charge, client_of, cost_of
from api.problems import TooManyRequestsError, UnauthorizedError
from api.settings import ApiSettings
from ledger.errors import UsageError
from tests.api.fronts import Fronted, Moment, fronted
from tests.api.registry import BASE_URL, Registry, a_registry

# One limit.


def taken(limit: Limit, client: str, most: int = 1_000) -> int:
    """Take until nothing is left; return how often that went."""
    for number in range(most):
        try:
            limit.take(client)
        except TooManyRequestsError:
            return number
    return most


def test_a_client_has_a_minutes_worth_at_once_and_no_more() -> None:
    assert taken(Limit(READ, 7, Moment()), "a") == 7


def test_what_is_left_is_told() -> None:
    limit = Limit(READ, 3, Moment())
    assert [limit.take("a") for _ in range(3)] == [2, 1, 0]


def test_a_bucket_fills_evenly() -> None:
    clock = Moment()
    limit = Limit(READ, 6, clock)
    taken(limit, "a")
    clock.now += 9.99
    assert taken(limit, "a") == 0
    clock.now += 0.01
    assert taken(limit, "a") == 1
    clock.now += 30
    assert taken(limit, "a") == 3
    clock.now += 3_600
    assert taken(limit, "a") == 6


def test_who_waits_as_long_as_told_is_granted_one() -> None:
    clock = Moment()
    limit = Limit(READ, 7, clock)
    taken(limit, "a")
    with pytest.raises(TooManyRequestsError) as refusal:
        limit.take("a")
    clock.now += int(refusal.value.headers["retry-after"])
    assert limit.take("a") == 0


def test_to_be_refused_costs_nothing() -> None:
    clock = Moment()
    limit = Limit(READ, 1, clock)
    limit.take("a")
    for _ in range(50):
        clock.now += 1
        assert taken(limit, "a") == 0
    clock.now += 10
    assert taken(limit, "a") == 1


def test_clients_are_charged_apart() -> None:
    limit = Limit(READ, 2, Moment())
    taken(limit, "a")
    assert taken(limit, "b") == 2


def test_a_large_charge_is_granted_and_waited_for_afterwards() -> None:
    clock = Moment()
    limit = Limit(SUBMIT, 60, clock)
    limit.take("a", 300)
    with pytest.raises(TooManyRequestsError) as refusal:
        limit.take("a")
    assert refusal.value.headers["retry-after"] == "241"
    clock.now += 241
    assert limit.take("a") == 0


def test_a_debt_ends_within_an_hour() -> None:
    clock = Moment()
    limit = Limit(SUBMIT, 1, clock)
    limit.take("a", 1_000_000)
    clock.now += 3_600
    assert limit.take("a") == 0


def test_what_is_spent_counts_whatever_is_left() -> None:
    limit = Limit(READ, 2, Moment())
    for _ in range(5):
        limit.spend("a")
    with pytest.raises(TooManyRequestsError):
        limit.check("a")
    limit.check("b")


def test_to_check_charges_nothing() -> None:
    limit = Limit(READ, 2, Moment())
    for _ in range(9):
        limit.check("a")
    assert taken(limit, "a") == 2


def test_only_so_many_clients_are_remembered_and_the_newest_of_them() -> None:
    limit = Limit(READ, 1, Moment(), clients=100)
    for number in range(1_000):
        limit.take(f"client {number}")
    assert taken(limit, "client 999") == 0
    assert taken(limit, "client 900") == 0
    assert taken(limit, "client 0") == 1


def test_no_request_slips_through_between_threads() -> None:
    limit = Limit(READ, 500, Moment())
    granted: list[int] = []
    threads = [threading.Thread(target=lambda: granted.append(taken(limit, "a"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 500


@pytest.mark.parametrize("settings", [{"reading": 5}, {"read": 0}, {"search": -1}])
def test_limits_that_cannot_be_meant_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        Limits(settings)


def test_a_class_that_is_left_out_has_no_limit() -> None:
    assert set(Limits({SEARCH: 1}).by_cost) == {SEARCH}


# Who is charged.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("2001:db8:1:2::1", "2001:DB8:1:2::99%eth0"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_these_are_one_client(one: str, other: str) -> None:
    assert client_of((one, 1)) == client_of((other, 2))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "192.0.2.2"),
        ("2001:db8:1:2::1", "2001:db8:1:3::1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2"),
        ("not: an address", "nor: this"),
    ],
)
def test_these_are_two_clients(one: str, other: str) -> None:
    assert client_of((one, 1)) != client_of((other, 1))


def test_a_local_socket_is_one_client() -> None:
    assert client_of(None) == client_of(None) != client_of(("192.0.2.1", 1))


# What is charged.

SUFFIX = "QKNOCXGU37VTEACJ427TX64VQJ"


@pytest.mark.parametrize(
    ("cost", "method", "address"),
    [
        (READ, "GET", "/"),
        (READ, "GET", "/checkpoint"),
        (READ, "GET", "/tile/entries/000"),
        (READ, "GET", f"/pith/{SUFFIX}"),
        (READ, "HEAD", f"/pith/{SUFFIX}.json"),
        (READ, "GET", f"/pith/{SUFFIX}?wait_for=7"),
        (READ, "GET", "/api/pith-number/resolve?url=https%3A%2F%2Farxiv.org%2Fabs%2F1"),
        (READ, "GET", "/health/ready"),
        (READ, "GET", "/api"),
        (READ, "GET", "/nothing"),
        (SEARCH, "GET", "/api/search?q=papers"),
        (SEARCH, "HEAD", "/api/search"),
        (SEARCH, "GET", "/api/events?after=7"),
        (SEARCH, "GET", "/api/receipts/sha256:00"),
        (SEARCH, "GET", "/api/proof/inclusion?position=7"),
        (SEARCH, "GET", "/api/moderation/queue"),
        (SEARCH, "GET", f"/pith/{SUFFIX}/bundle.json"),
        (SEARCH, "GET", f"/.well-known/pith/{SUFFIX}/bundle.json"),
        (SEARCH, "GET", f"/pith/{SUFFIX}/state.json"),
        (SEARCH, "GET", f"/api/pith-number/{SUFFIX}/events.json"),
        (SEARCH, "GET", f"/api/pith-number/{SUFFIX}/graph.json"),
        (SEARCH, "GET", "/search?q=papers"),
        (SEARCH, "GET", f"/api/records/{SUFFIX}/events"),
        (SEARCH, "GET", f"/api/records/{SUFFIX}?as_of=7"),
        (SEARCH, "GET", f"/api/records/{SUFFIX}?as%5fof=7"),
        (SUBMIT, "POST", "/api/events"),
        (SUBMIT, "POST", f"/pith/{SUFFIX}/action/citation_signature"),
        (SUBMIT, "POST", "/api/moderation/sha256:00"),
        (SUBMIT, "POST", "/nothing"),
        (SUBMIT, "DELETE", "/checkpoint"),
        (IDENTITY, "GET", "/api/session"),
        (IDENTITY, "POST", "/api/session/logout"),
        (IDENTITY, "POST", "/api/identity/openid"),
    ],
)
def test_each_address_belongs_to_the_class_of_what_it_costs(cost: str, method: str, address: str) -> None:
    path, _, query = address.partition("?")
    assert cost_of(method, path, query.encode()) == cost


def test_whoever_sends_something_is_charged_for_more_than_reading(registry: Registry) -> None:
    routes = [route for route in create_app(registry.parts).routes if isinstance(route, HTTPRoute)]
    taking = [route.path_format for route in routes if "POST" in route.methods]
    assert len(taking) >= 5
    assert {path: cost_of("POST", path, b"") for path in taking}.items() <= {
        (path, cost) for path in taking for cost in (SUBMIT, IDENTITY)
    }


# Over HTTP.


@get("/checkpoint", cache_control=CacheControlHeader(public=True, max_age=5))
async def cheap() -> str:
    return "cheap"


@get("/api/search")
async def costly() -> str:
    return "costly"


@post("/api/events", sync_to_thread=True, status_code=200)
def submit(request: Request[Any, Any, Any], number: FromQuery[int] = 0) -> str:
    charge(request, number - 1)
    return "taken"


@get("/locked")
async def locked() -> None:
    raise UnauthorizedError("who is it?")


HANDLERS = (cheap, costly, submit, locked)


def statuses(app: Fronted, path: str, number: int, method: str = "GET", **options: Any) -> list[int]:
    with httpx.Client(base_url=app.address) as client:
        return [client.request(method, path, **options).status_code for _ in range(number)]


def test_beyond_a_limit_the_answer_is_a_problem_that_says_how_long_to_wait(registry: Registry) -> None:
    with fronted(registry, *HANDLERS, limits={SEARCH: 2}, monotonic=Moment()) as app:
        assert statuses(app, "/api/search", 2) == [200, 200]
        answer = httpx.get(f"{app.address}/api/search")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["ratelimit-policy"] == '"search";q=2;w=60'
    assert answer.headers["ratelimit"] == '"search";r=0;t=30'
    problem = answer.json()
    assert (problem["type"], problem["cure"]) == ("urn:pith:error:too-many-requests", "wait 30 seconds")
    assert problem["request_id"] == answer.headers["pith-request-id"]


def test_what_is_left_stands_on_answers_that_no_cache_keeps_for_all(registry: Registry) -> None:
    with fronted(registry, *HANDLERS, limits={SEARCH: 2, READ: 2}, monotonic=Moment()) as app:
        costly = httpx.get(f"{app.address}/api/search").headers
        cheap = httpx.get(f"{app.address}/checkpoint").headers
    assert (costly["ratelimit-policy"], costly["ratelimit"]) == ('"search";q=2;w=60', '"search";r=1')
    assert "ratelimit" not in cheap


def test_one_limit_used_up_leaves_the_others_as_they_are(registry: Registry) -> None:
    limits = dict.fromkeys(COST_CLASSES, 3)
    with fronted(registry, *HANDLERS, limits=limits, monotonic=Moment()) as app:
        assert statuses(app, "/api/search", 5) == [200, 200, 200, 429, 429]
        assert statuses(app, "/checkpoint", 5) == [200, 200, 200, 429, 429]
        assert statuses(app, "/api/events?number=1", 5, "POST") == [200, 200, 200, 429, 429]


def test_addresses_of_one_class_share_its_limit(registry: Registry) -> None:
    with fronted(registry, *HANDLERS, limits={READ: 3}, monotonic=Moment()) as app:
        assert statuses(app, "/checkpoint", 2) + statuses(app, "/nothing", 2) == [200, 200, 404, 429]


def test_a_batch_costs_what_is_in_it(registry: Registry) -> None:
    clock = Moment()
    with fronted(registry, *HANDLERS, limits={SUBMIT: 60}, monotonic=clock) as app:
        assert statuses(app, "/api/events?number=100", 2, "POST") == [200, 429]
        clock.now += 40.9
        assert statuses(app, "/api/events?number=1", 1, "POST") == [429]
        clock.now += 0.1
        assert statuses(app, "/api/events?number=1", 2, "POST") == [200, 429]


def test_a_charge_beyond_the_limit_is_the_same_problem(registry: Registry) -> None:
    with fronted(registry, *HANDLERS, limits={SUBMIT: 1}, monotonic=Moment()) as app:
        answer = httpx.post(f"{app.address}/api/events?number=2")
    assert (answer.status_code, answer.json()["type"]) == (429, "urn:pith:error:too-many-requests")
    assert answer.headers["retry-after"] == "60"


@pytest.mark.parametrize("header", ["x-forwarded-for", "x-real-ip", "forwarded", "cf-connecting-ip", "true-client-ip"])
def test_nobody_gets_more_by_naming_other_addresses(registry: Registry, header: str) -> None:
    with fronted(registry, *HANDLERS, limits={READ: 2}, monotonic=Moment()) as app, httpx.Client() as client:
        found = [
            client.get(f"{app.address}/checkpoint", headers={header: f"198.51.100.{number}"}).status_code
            for number in range(4)
        ]
    assert found == [200, 200, 429, 429]


@pytest.mark.parametrize("path", ["/api/search/", "/api/search?", "/api/search?x=1", "/api/s%65arch", "/api%2fsearch"])
def test_nobody_gets_more_by_spelling_an_address_differently(registry: Registry, path: str) -> None:
    with fronted(registry, *HANDLERS, limits={SEARCH: 1, READ: 100}, monotonic=Moment()) as app:
        assert statuses(app, "/api/search", 1) == [200]
        assert statuses(app, path, 1) == [429]


def test_who_fails_to_show_who_they_are_may_try_so_often(registry: Registry) -> None:
    secret = {"authorization": "Pith-Key wrong"}
    with fronted(registry, *HANDLERS, limits={"admin": 3}, monotonic=Moment()) as app:
        assert statuses(app, "/locked", 5, headers=secret) == [401, 401, 401, 429, 429]
        # Whoever shows nothing is not kept out by it, and guesses nothing either.
        assert statuses(app, "/checkpoint", 5) == [200] * 5
        assert statuses(app, "/locked", 5) == [401] * 5
        assert statuses(app, "/checkpoint", 1, headers={"cookie": "pith-session=1"}) == [429]


def test_the_limits_of_the_settings_hold_for_the_whole_application(tmp_path: Path) -> None:
    with a_registry(tmp_path, ApiSettings(BASE_URL, rate_limits={"read": 2})) as registry:
        found = [registry.client.get("/checkpoint").status_code for _ in range(3)]
        assert found == [200, 200, 429]
        assert registry.client.get("/api/events").status_code == 200
