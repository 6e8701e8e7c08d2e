"""The feed as pages: every entry once, exactly as it is in the log, and what may be cached of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.following.entries import Bounds, read_stretch
from ledger.appending import Submission
from ledger.errors import LogCorruptedError
from ledger.events import TYPES
from ledger.store import Store
from tests.api.registry import Registry, a_registry
from tests.builders import ALICE, disclosed, secret
from tests.logs import Log

IMMUTABLE = "public, max-age=31536000, immutable"
SHORT = "public, max-age=5"
LINES = "application/x-ndjson"
SECRET = "a text that nobody but its readers should see"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with some 1,300 entries, one of them held with its private text; nobody appends to it."""
    with a_registry(tmp_path_factory.mktemp("registry")) as registry:
        world = registry.world
        registry.admit(*(world.citation(ALICE) for _ in range(600)), world.alias_added())
        held = Submission(world.author(statement=secret(SECRET)), {"statement": disclosed(SECRET)})
        registry.home.append([held])
        registry.admit(*(world.citation(ALICE) for _ in range(700)))
        yield registry


def rows(store: Store) -> list[bytes]:
    return [
        b'{"position":%d,"received_at":%d,"event":%b}' % (position, received_at, raw)
        for position, received_at, raw in store.rows()
    ]


def page(registry: Registry, **query: Any) -> dict[str, Any]:
    answer = registry.client.get("/api/events", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def walked(registry: Registry, **query: Any) -> Iterator[httpx.Response]:
    """Read from the beginning by `next` until a page comes to the head."""
    after = -1
    while True:
        answer = registry.client.get("/api/events", params={"after": after, **query})
        yield answer
        if "head" in answer.json():
            return
        after = answer.json()["next"]


# What is in a page.


@pytest.mark.parametrize("limit", [1, 7, 128, 129, 1_000])
def test_pages_together_are_the_log_byte_for_byte(registry: Registry, limit: int) -> None:
    read = [
        answer.content.removeprefix(b'{"entries":[').rpartition(b'],"next":')[0]
        for answer in walked(registry, limit=limit)
    ]
    assert b",".join(filter(None, read)) == b",".join(rows(registry.home.store))


def test_a_page_has_a_hundred_entries_unless_another_number_is_asked_for(registry: Registry) -> None:
    assert [row["position"] for row in page(registry)["entries"]] == list(range(100))


def test_after_is_exclusive(registry: Registry) -> None:
    assert [row["position"] for row in page(registry, after=41, limit=2)["entries"]] == [42, 43]


def test_next_is_the_last_position(registry: Registry) -> None:
    assert page(registry, after=41, limit=2)["next"] == 43


def test_a_row_has_the_times_of_the_log(registry: Registry) -> None:
    row = page(registry, after=8, limit=1)["entries"][0]
    assert row["received_at"] == registry.home.store.entry(9).received_at


def test_only_the_page_that_comes_to_the_head_names_it(registry: Registry) -> None:
    size = registry.home.store.head().size
    found = [answer.json().get("head") for answer in walked(registry, limit=1_000)]
    assert found == [None, size]


def test_a_full_page_that_ends_with_the_log_leads_to_an_empty_one(registry: Registry) -> None:
    size = registry.home.store.head().size
    assert "head" not in page(registry, after=size - 3, limit=2)
    assert page(registry, after=size - 1) == {"entries": [], "next": size - 1, "head": size}


def test_what_was_just_appended_is_in_the_next_answer(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        for _ in range(50):
            entry = registry.admit(registry.world.citation(ALICE))
            assert page(registry, after=entry.position - 1)["entries"][0]["event"]["event_id"] == entry.event.id_text


def test_lines_are_the_same_rows(registry: Registry) -> None:
    answer = registry.client.get("/api/events?after=600&limit=250", headers={"accept": LINES})
    assert answer.headers["content-type"] == LINES
    assert answer.content.splitlines() == rows(registry.home.store)[601:851]


def test_private_texts_are_not_in_the_feed(registry: Registry) -> None:
    held = registry.home.store.disclosures(range(registry.home.store.head().size))
    assert [texts["statement"].text for texts in held.values()] == [SECRET]
    assert all(SECRET not in answer.text for answer in walked(registry, limit=1_000))


# By type.


@pytest.mark.parametrize("event_type", ["key_registered", "alias_added", "author_attestation", "policy_set"])
def test_a_type_is_read_alone(registry: Registry, event_type: str) -> None:
    expected = [entry.position for entry in registry.home.store.entries() if entry.event.event_type == event_type]
    found = [
        row["position"] for answer in walked(registry, type=event_type, limit=3) for row in answer.json()["entries"]
    ]
    assert found == expected


def test_a_type_that_the_log_has_not_leads_to_the_head(registry: Registry) -> None:
    size = registry.home.store.head().size
    assert page(registry, type="key_revoked") == {"entries": [], "next": size - 1, "head": size}


def test_a_payload_that_speaks_of_a_type_is_not_of_it(log: Log) -> None:
    log.admit(log.world.record_updated(paper={"headline": "policy_set", "event_type": "policy_set"}))
    stretch = read_stretch(log.store, 0, log.store.head().size, Bounds(99, 1 << 20, 999), "policy_set")
    assert [position for position, _ in stretch.lines] == [3]


# What ends a stretch.


def test_a_stretch_ends_with_the_line_that_fills_it(log: Log) -> None:
    lines = rows(log.store)
    room = len(lines[0]) + len(lines[1])
    found = read_stretch(log.store, 0, len(lines), Bounds(99, room, 999))
    assert (found.lines, found.stop, found.is_cut) == (((0, lines[0]), (1, lines[1])), 2, True)
    assert read_stretch(log.store, 0, len(lines), Bounds(99, room + 1, 999)).stop == 3


def test_a_stretch_ends_where_enough_was_looked_at(log: Log) -> None:
    found = read_stretch(log.store, 1, log.store.head().size, Bounds(99, 1 << 20, 4), "alias_added")
    assert (found.lines, found.stop, found.is_cut) == ((), 5, True)


def test_a_stretch_of_nothing_is_empty(log: Log) -> None:
    size = log.store.head().size
    assert read_stretch(log.store, size, size, Bounds(1, 1, 1)).lines == ()


def test_a_log_that_is_shorter_than_it_was_is_no_end(log: Log) -> None:
    with pytest.raises(LogCorruptedError):
        read_stretch(log.store, 0, log.store.head().size + 1, Bounds(99, 1 << 20, 999))


def test_a_page_of_large_events_is_cut_and_leads_on(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        registry.admit(*(registry.world.record_updated(paper={"headline": "x" * 50_000}) for _ in range(120)))
        pages = list(walked(registry, limit=1_000))
        positions = [row["position"] for answer in pages for row in answer.json()["entries"]]
    assert len(pages) == 2 and len(pages[0].content) < 5 << 20
    assert positions == list(range(pages[-1].json()["head"]))


# Caching.


def test_a_full_page_is_for_ever(registry: Registry) -> None:
    answer = registry.client.get("/api/events?limit=5", headers={"accept-encoding": "identity"})
    assert answer.headers["cache-control"] == IMMUTABLE
    assert answer.headers["etag"] == f'"{sha256(answer.content).hexdigest()}"'


def test_the_last_page_is_for_seconds(registry: Registry) -> None:
    size = registry.home.store.head().size
    assert registry.client.get(f"/api/events?after={size - 3}").headers["cache-control"] == SHORT


def test_a_full_page_does_not_change_when_the_log_grows(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        address = "/api/events?after=1&limit=4"
        before = registry.client.get(address)
        registry.admit(registry.world.citation(ALICE))
        assert registry.client.get(address).content == before.content
        known = registry.client.get(address, headers={"if-none-match": before.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


def test_the_last_page_changes_when_the_log_grows(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        before = registry.client.get("/api/events")
        registry.admit(registry.world.citation(ALICE))
        after = registry.client.get("/api/events", headers={"if-none-match": before.headers["etag"]})
    assert after.status_code == 200 and len(after.json()["entries"]) == len(before.json()["entries"]) + 1


@pytest.mark.parametrize("accept", ["application/json", LINES])
def test_a_full_page_links_to_the_next(registry: Registry, accept: str) -> None:
    answer = registry.client.get("/api/events?after=10&limit=3&type=citation_signature", headers={"accept": accept})
    link = answer.links["next"]["url"]
    assert link == "/api/events?after=13&limit=3&type=citation_signature"
    assert "accept" in answer.headers["vary"].split(", ")


def test_the_last_page_links_nowhere(registry: Registry) -> None:
    size = registry.home.store.head().size
    assert "link" not in registry.client.get(f"/api/events?after={size - 3}").headers


@pytest.mark.parametrize("address", ["/api/events", "/api/events?limit=3", "/api/events?after=1300"])
@pytest.mark.parametrize("accept", ["application/json", LINES])
def test_head_says_what_get_would_without_the_content(registry: Registry, address: str, accept: str) -> None:
    headers = {"accept": accept, "accept-encoding": "identity", "pith-request-id": "the-same-for-both"}
    told = registry.client.head(address, headers=headers)
    expected = registry.client.get(address, headers=headers)
    assert (told.status_code, told.content) == (200, b"")
    assert {**told.headers, "date": ""} == {**expected.headers, "date": ""}


# Forms.


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("application/x-ndjson, application/json;q=0.5", LINES),
        ("application/*", "application/json"),
        ("application/json;q=0, application/*", LINES),
        ("q=1e999, */*;q=nan", "application/json"),
    ],
)
def test_the_form_is_the_one_that_the_reader_likes_best(registry: Registry, accept: str | None, form: str) -> None:
    with httpx.Client(base_url=registry.address) as client:
        del client.headers["accept"]
        answer = client.get("/api/events?limit=1", headers={"accept": accept} if accept else {})
    assert answer.headers["content-type"] == form


def test_other_forms_are_not_had(registry: Registry) -> None:
    answer = registry.client.get("/api/events", headers={"accept": "image/png"})
    assert (answer.status_code, answer.json()["type"]) == (406, "urn:pith:error:not-acceptable")


# What is refused.

MALFORMED = [
    "after=-2",
    "after=x",
    "after=1.5",
    "after=1e3",
    "after=+1",
    "after=%201",
    "after=1_000",
    "after=01",
    "after=0x10",
    "after=%d9%a1",
    "after=%00",
    "after=%ff",
    "after=1%0a",
    "after=" + "9" * 17,
    "after=" + "9" * 6_000,
    "limit=0",
    "limit=-1",
    "limit=1001",
    "limit=x",
    "limit=" + "9" * 6_000,
    "type=nothing",
    "type=citation_signature%00",
    "type=CITATION_SIGNATURE",
]


@pytest.mark.parametrize("query", MALFORMED)
@pytest.mark.parametrize("accept", ["application/json", LINES, "text/event-stream"])
def test_a_malformed_parameter_is_named(registry: Registry, query: str, accept: str) -> None:
    answer = registry.client.get(f"/api/events?{query}", headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    problem = answer.json()
    assert (problem["type"], problem["place"]) == ("urn:pith:error:invalid-field", query.partition("=")[0])
    assert len(answer.content) < 1_000


def test_an_unknown_type_is_answered_with_those_there_are(registry: Registry) -> None:
    cure = registry.client.get("/api/events?type=nothing").json()["cure"]
    assert all(name in cure for name in TYPES)


@pytest.mark.parametrize("beyond", [0, 1, 10**14])
def test_a_reader_who_has_seen_more_than_there_is_is_told(registry: Registry, beyond: int) -> None:
    size = registry.home.store.head().size
    answer = registry.client.get(f"/api/events?after={size + beyond}")
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:pith:error:beyond-head")
    assert f"{size} entries" in answer.json()["detail"]


def test_events_are_still_posted_to_the_same_address(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        posted = registry.post(registry.world.citation(ALICE))
        assert posted.status_code == 201, posted.text
        last = page(registry)["entries"][-1]
    assert last["position"] == json.loads(posted.content)["position"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_nothing_can_be_changed(registry: Registry, method: str) -> None:
    answer = registry.client.request(method, "/api/events")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
