"""A paper at any moment of the past, and all that made it what it is, page by page."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from api.addresses import served
from ledger.events import Event
from ledger.times import seconds
from projections import queries
from tests.api.asking import IMMUTABLE, SHORT, SUFFIX, a_citation, a_paper, decided, exactly, known_alice
from tests.api.registry import BASE_URL, Registry, a_registry
from tests.builders import BOB, NUMBER


def as_of(registry: Registry, number: str, moment: int | str) -> dict[str, Any]:
    answer = registry.client.get(f"/api/records/{number[10:]}", params={"as_of": moment})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def citations(document: dict[str, Any]) -> int:
    count: int = document["verification_status"]["citation_signatures"]
    return count


# As of a moment.


def test_every_moment_of_the_past_can_be_asked_for(registry: Registry) -> None:
    known_alice(registry)
    number = a_paper(registry)
    begins = registry.home.store.head().size
    for at in range(4):
        registry.admit(a_citation(registry, number, citing=f"arxiv:2606.4000{at}"))
    for at in range(5):
        answer = registry.client.get(f"/api/records/{number[10:]}?as_of={begins + at}")
        assert citations(answer.json()) == at
        assert answer.headers["cache-control"] == IMMUTABLE


def test_the_past_is_what_the_log_gives(registry: Registry) -> None:
    store = registry.home.store
    found = as_of(registry, NUMBER, 9)
    expected = served(queries.record_as_of(store, NUMBER, 9, store.registry()), BASE_URL)
    assert list(found) == list(expected)
    assert (found["created_at"], found["events"]) == (expected["created_at"], [])


def test_the_past_stays_as_it_was(registry: Registry) -> None:
    known_alice(registry)
    number = a_paper(registry)
    event = a_citation(registry, number, BOB)
    held = registry.admit(event).position + 1
    path = f"/api/records/{number[10:]}?as_of={held}"
    before = registry.client.get(path)
    after = registry.admit(decided(registry, number, event, "accepted")).position + 1
    assert registry.client.get(path).content == before.content
    assert citations(before.json()) == 0
    assert citations(as_of(registry, number, after)) == 1
    assert "payload" not in before.json()["events"][0]


def test_the_head_is_the_past_already(registry: Registry) -> None:
    size = registry.home.store.head().size
    answer = registry.client.get(f"/api/records/{SUFFIX}?as_of={size}")
    assert answer.headers["cache-control"] == IMMUTABLE


@pytest.mark.parametrize("ahead", [1, 1_000, 2**53 - 1])
def test_more_entries_than_there_are_is_no_moment(registry: Registry, ahead: int) -> None:
    size = registry.home.store.head().size
    answer = registry.client.get(f"/api/records/{SUFFIX}?as_of={min(size + ahead, 2**53 - 1)}")
    assert (answer.status_code, answer.json()["place"]) == (400, "as_of")
    assert str(size) in answer.json()["detail"]


def test_a_time_is_a_moment_of_the_log(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        first = registry.home.store.entry(0).received_at
        before, after = seconds(first - 10_000_000), seconds(registry.home.clock() + 10_000_000)
        path = f"/api/records/{SUFFIX}"
        assert registry.client.get(path, params={"as_of": before}).status_code == 404
        answer = registry.client.get(path, params={"as_of": after})
        assert (answer.status_code, answer.headers["cache-control"]) == (200, SHORT)
        # The log's next entry is received in a later second than this one begins.
        registry.caught_up()
        now = seconds(registry.home.store.entry(8).received_at + 1_000_000)
        while registry.home.clock() // 1_000_000 * 1_000_000 <= registry.home.store.entry(8).received_at + 1_000_000:
            registry.client.get(path)
        registry.admit(registry.world.policy())
        answer = registry.client.get(path, params={"as_of": now})
        assert (answer.status_code, answer.headers["cache-control"]) == (200, IMMUTABLE)


@pytest.mark.parametrize("moment", ["0", "8", "2001-01-01T00:00:00Z"])
def test_before_its_record_there_is_no_paper(registry: Registry, moment: str) -> None:
    answer = registry.client.get(f"/api/records/{SUFFIX}?as_of={moment}")
    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")


@pytest.mark.parametrize(
    "moment",
    [
        "-1",
        "+1",
        "1.5",
        "1e3",
        "01",
        "0x10",
        "9" * 17,
        "9" * 5_000,
        "٣",
        "now",
        "yesterday",
        "2026-06-19",
        "2026-06-19T16:12:24",
        "2026-06-19T16:12:24+00:00",
        "2026-06-19T16:12:24.5Z",
        "2026-06-19 16:12:24Z",
        "2026-13-19T16:12:24Z",
        "2026-02-30T16:12:24Z",
        "2026-06-19T24:00:00Z",
        "0000-01-01T00:00:00Z",
        "%00",
        "8%00",
        "8%0a",
        "%ff",
    ],
)
def test_other_moments_are_refused(registry: Registry, moment: str) -> None:
    spelled = quote(moment, safe="%:+")
    status, headers, content = exactly(registry.address, f"/api/records/{SUFFIX}?as_of={spelled}")
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    assert b'"place": "as_of"' in content or b'"place":"as_of"' in content


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_the_ends_of_time_are_moments(registry: Registry, moment: str) -> None:
    assert registry.client.get(f"/api/records/{SUFFIX}?as_of={moment}").status_code in (200, 404)


# The history.


def pages(registry: Registry, number: str, limit: int) -> list[dict[str, Any]]:
    """Read a history page after page, by `next`."""
    found: list[dict[str, Any]] = []
    address = f"/api/records/{number[10:]}/events?limit={limit}"
    while address:
        answer = registry.client.get(address)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert list(page) == ["pith_number", "entries", "next"]
        assert 0 < len(page["entries"]) <= limit
        assert answer.links.get("next", {}).get("url") == page["next"]
        found += page["entries"]
        address = page["next"]
    return found


def a_past(registry: Registry) -> tuple[str, list[Event]]:
    """Give a paper some entries: counted, held, rejected, and the decision; return them after its record."""
    known_alice(registry)
    number = a_paper(registry)
    rejected = a_citation(registry, number, citing="arxiv:2606.50001")
    events = [
        rejected,
        a_citation(registry, number, BOB, citing="arxiv:2606.50002"),
        registry.world.graph_snapshot(number),
        decided(registry, number, rejected, "rejected"),
        a_citation(registry, number, citing="arxiv:2606.50003"),
    ]
    registry.admit(*events)
    registry.caught_up()
    return number, events


def test_a_history_has_every_entry_in_order_with_its_fate(registry: Registry) -> None:
    number, events = a_past(registry)
    created, *others = pages(registry, number, 50)
    assert created["event"]["event_type"] == "record_created"
    assert [entry["event"]["event_id"] for entry in others] == [event.id_text for event in events]
    assert [entry["status"] for entry in others] == ["rejected", "held", "counted", "counted", "counted"]
    assert [bool(entry["reason"]) for entry in others] == [True, True, False, False, False]
    store = registry.home.store
    for entry in (created, *others):
        assert list(entry) == ["position", "received_at", "status", "reason", "event"]
        known = store.entry(entry["position"])
        assert entry["received_at"] == known.received_at
        assert entry["event"] == {
            name: value for name, value in known.event.value.items() if name != "payload" or entry["status"] != "held"
        }


def test_events_stand_in_it_byte_for_byte(registry: Registry) -> None:
    number, events = a_past(registry)
    text = registry.client.get(f"/api/records/{number[10:]}/events").content
    for event, shown in zip(events, (True, False, True, True, True), strict=True):
        assert (event.raw in text) == shown


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7, 200])
def test_pages_of_any_size_give_the_whole_history(registry: Registry, limit: int) -> None:
    number, _ = a_past(registry)
    assert pages(registry, number, limit) == pages(registry, number, 200)


def test_a_page_that_was_read_goes_on_with_what_came_later(registry: Registry) -> None:
    number, _ = a_past(registry)
    address = registry.client.get(f"/api/records/{number[10:]}/events?limit=5").json()["next"]
    later = registry.admit(a_citation(registry, number, citing="arxiv:2606.60000"))
    found = registry.client.get(f"{address}&wait_for={later.position}").json()
    assert found["entries"][-1]["position"] == later.position
    assert len(found["entries"]) == 2


def test_a_history_may_be_kept_for_seconds(registry: Registry) -> None:
    answer = registry.client.get(f"/api/records/{SUFFIX}/events")
    assert answer.headers["cache-control"] == SHORT
    known = registry.client.get(f"/api/records/{SUFFIX}/events", headers={"if-none-match": answer.headers["etag"]})
    assert known.status_code == 304


def cursor_of(registry: Registry, number: str, limit: int = 1) -> str:
    address: str = registry.client.get(f"/api/records/{number[10:]}/events?limit={limit}").json()["next"]
    return address.partition("cursor=")[2].partition("&")[0]


def forged(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_a_cursor_of_another_paper_is_refused(registry: Registry) -> None:
    one, other = a_past(registry)[0], a_past(registry)[0]
    answer = registry.client.get(f"/api/records/{one[10:]}/events?cursor={cursor_of(registry, other)}")
    assert (answer.status_code, answer.json()["place"]) == (400, "cursor")


def test_only_cursors_that_a_page_gave_are_taken(registry: Registry) -> None:
    number, _ = a_past(registry)
    suffix, good = number[10:], cursor_of(registry, number)
    path = f"/api/records/{suffix}/events"
    assert registry.client.get(f"{path}?cursor={good}").status_code == 200
    position = registry.client.get(path).json()["entries"][0]["position"]
    assert forged(f"history/1 {suffix} {position}") == good
    bad = [
        "x",
        "AAAA",
        "====",
        good + "=",
        good + "AA",
        good[:-1],
        good.lower(),
        "A" + good[1:],
        f"%20{good}",
        good * 50,
        forged(f"history/2 {suffix} {position}"),
        forged(f"history/1 {suffix} {position + 1_000}"),
        forged(f"history/1 {suffix} -1"),
        forged(f"history/1 {suffix} 0{position}"),
        forged(f"history/1 {suffix} {2**70}"),
        forged(f"history/1 {suffix.lower()} {position}"),
        forged(f"history/1 {suffix} {position}\n"),
        forged(f"history/1 {suffix} ٣"),
        "%00",
        "%ff%fe",
    ]
    for cursor in bad:
        answer = registry.client.get(f"{path}?cursor={cursor}")
        assert (answer.status_code, answer.json()["place"]) == (400, "cursor"), cursor


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1.0", "1e1", "%31%00", "9" * 40])
def test_a_page_has_so_many_entries_and_no_others(registry: Registry, limit: str) -> None:
    answer = registry.client.get(f"/api/records/{SUFFIX}/events?limit={limit}")
    assert (answer.status_code, answer.json()["place"]) == (400, "limit")
