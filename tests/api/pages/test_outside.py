"""What a paper's page tells of outside clocks, of copies, and of what the registry can be asked for."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from api.pages.outside import MAX_CLOCKS, MAX_COPIES
from api.pages.rendered import PAGE_POLICY
from api.settings import ApiSettings
from api.submitting.requested import open_requests
from ledger.events import Event
from ops.checkpointing import newest
from tests.api.html_pages import Element, check_manners, parse
from tests.api.pages.test_pages import BROWSER, as_curl
from tests.api.registry import BASE_URL, Registry, a_registry
from tests.builders import ALICE, CHECKER, HASH, NUMBER, SHA256
from tests.projections.papers import confirmed_anchor, confirmed_checkpoint, open_policy
from tests.simulators import TimestampAuthority

SUFFIX: Final = NUMBER[10:]
AT: Final = {"kind": "https", "url": "https://copies.example/paper.pdf"}
EVIL: Final = "https://evil.example/<script>alert(1)</script>\"'{{7*7}}&amp;"
OTHER: Final = hashlib.sha256(b"something else").hexdigest()


@dataclass(frozen=True, slots=True)
class Shown:
    """A registry that counts at once what anybody says, and the page of its paper."""

    registry: Registry

    def admit(self, *events: Event) -> None:
        self.registry.admit(*events)
        self.registry.caught_up()

    def page(self) -> Element:
        answer = self.registry.client.get(f"/pith/{SUFFIX}", headers={"accept": BROWSER})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-security-policy"] == PAGE_POLICY
        page = parse(answer.content)
        check_manners(page)
        return page

    def section(self, name: str) -> Element:
        return self.page().one("section", aria_labelledby=name)

    def rows(self, name: str) -> list[list[str]]:
        """Return the rows of a section's table: the words of each cell."""
        tables = self.section(name).all("table")
        if not tables:
            return []
        rows = tables[0].one("tbody").all("tr")
        return [[" ".join(cell.text.split()) for cell in (*row.all("th"), *row.all("td"))] for row in rows]

    def anchor_checkpoint(self) -> int:
        """Anchor all that the log holds; return how many entries that are."""
        signed = newest(self.registry.home)
        self.admit(confirmed_checkpoint(self.registry.world, signed.size, signed.note.decode()))
        return signed.size


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Shown]:
    with a_registry(tmp_path) as registry:
        shown = Shown(registry)
        shown.admit(open_policy(registry.world))
        yield shown


# Clocks.


def test_a_paper_that_no_clock_has_seen_says_so(shown: Shown) -> None:
    assert shown.rows("clocks") == []
    assert "no clock but this registry's own" in shown.section("clocks").text


def test_a_confirmed_anchor_says_by_when_whose_word_it_is_and_what_is_left_to_believe(shown: Shown) -> None:
    shown.admit(confirmed_anchor(shown.registry.world))
    ((what, state, said),) = shown.rows("clocks")
    assert (what, state) == ("this record", "confirmed")
    assert "It was there by 2026-06-19 16:00:00 UTC, says bitcoin regtest block 101" in said
    assert "https://calendar.example.org" in said and "nothing about time" in said


def test_a_promise_is_shown_as_one_with_the_day_it_was_given(shown: Shown) -> None:
    shown.admit(shown.registry.world.anchor())
    ((_, state, said),) = shown.rows("clocks")
    received = shown.registry.client.get(f"/pith/{SUFFIX}.json").json()["events"][-1]["received_at"]
    assert state == "promised"
    assert "promised by https://calendar.example.org since " + received[:10] in said and "proves nothing yet" in said


def test_a_promise_that_was_kept_is_not_shown_beside_what_came_of_it(shown: Shown) -> None:
    world, promise = shown.registry.world, shown.registry.world.anchor()
    shown.admit(promise, confirmed_anchor(world, upgrades=promise.id_text))
    assert [row[1] for row in shown.rows("clocks")] == ["confirmed"]


def test_a_promise_that_came_to_nothing_is_shown_as_that(shown: Shown) -> None:
    world, promise = shown.registry.world, shown.registry.world.anchor()
    shown.admit(promise, world.anchor(status="failed", upgrades=promise.id_text))
    ((_, state, said),) = shown.rows("clocks")
    assert state == "came to nothing" and "was given up" in said


def test_nobody_takes_the_promise_of_another_from_the_page(shown: Shown) -> None:
    world, promise = shown.registry.world, shown.registry.world.anchor()
    shown.admit(promise, world.anchor(ALICE, upgrades=promise.id_text, status="failed"))
    assert sorted(row[1] for row in shown.rows("clocks")) == ["came to nothing", "promised"]


def test_a_proof_that_policy_does_not_accept_any_more_is_shown_as_that(shown: Shown) -> None:
    world = shown.registry.world
    shown.admit(confirmed_anchor(world), open_policy(world, bitcoin=[]))
    ((_, state, said),) = shown.rows("clocks")
    assert state == "not accepted" and "policy does not accept this proof" in said and "It was there by" not in said


def test_what_is_held_or_rejected_says_nothing_of_clocks(shown: Shown) -> None:
    world = shown.registry.world
    rejected = world.anchor(ALICE)
    shown.admit(rejected, world.decision(rejected, "rejected"))
    assert shown.rows("clocks") == []


def test_a_checkpoint_with_the_record_in_it_speaks_for_the_record(shown: Shown) -> None:
    size = shown.anchor_checkpoint()
    ((what, state, said),) = shown.rows("clocks")
    assert what == f"the first {size} entries of the log, this record among them"
    assert state == "confirmed" and "by 2026-06-19 16:00:00 UTC, says bitcoin regtest block" in said


def test_of_the_checkpoints_of_one_clock_the_first_is_shown(shown: Shown) -> None:
    size = shown.anchor_checkpoint()
    shown.anchor_checkpoint()
    assert [row[0].split()[2] for row in shown.rows("clocks")] == [str(size)]


def test_each_clock_speaks_for_itself(shown: Shown, tmp_path: Path) -> None:
    (tmp_path / "authority").mkdir()
    authority, world = TimestampAuthority(tmp_path / "authority"), shown.registry.world
    root = base64.b64encode(authority.root_der).decode()
    shown.admit(open_policy(world, timestamp_roots=[root]))
    proof = base64.b64encode(authority.stamp(bytes.fromhex(SHA256))).decode()
    fields = {"method": "rfc3161", "service": "https://tsa.example/tsr", "proof_b64": proof, "status": "confirmed"}
    shown.admit(world.anchor(**fields))
    shown.anchor_checkpoint()
    own, of_log = shown.rows("clocks")
    assert "says rfc3161 CN=tsa" in own[2] and "https://tsa.example/tsr" in own[2]
    assert "says bitcoin" in of_log[2]


def test_a_checkpoint_before_the_record_does_not_speak_for_it(shown: Shown) -> None:
    world, position = shown.registry.world, shown.registry.parts.store.of_subjects([NUMBER], 100)[NUMBER][0].position
    shown.admit(confirmed_checkpoint(world, position))
    assert shown.rows("clocks") == []
    shown.admit(confirmed_checkpoint(world, position + 1))
    assert len(shown.rows("clocks")) == 1


def test_pages_stay_readable_however_many_anchors_there_are(shown: Shown) -> None:
    world = shown.registry.world
    shown.admit(*(world.anchor(service=f"https://calendar{at}.example") for at in range(MAX_CLOCKS + 5)))
    rows = shown.rows("clocks")
    assert len(rows) == MAX_CLOCKS and f"calendar{MAX_CLOCKS + 4}.example" in rows[-1][2]


def test_what_a_service_is_called_stays_text(shown: Shown) -> None:
    world = shown.registry.world
    at = {"kind": "https", "url": EVIL}
    shown.admit(world.anchor(service=EVIL), world.storage(CHECKER, grade="fetched", location=at))
    page = shown.page()
    assert EVIL in page.one("section", aria_labelledby="clocks").text
    assert EVIL in page.one("section", aria_labelledby="copies").text
    assert not page.one("section", aria_labelledby="clocks").all("script")


# Copies.


def seen(shown: Shown, day: int, outcome: str = "stored", *, at: Mapping[str, str] = AT, **changes: Any) -> Event:
    """Let the checker have looked at a copy on a day of June."""
    time = f"2026-06-{day:02}T12:00:00Z"
    fields: dict[str, Any] = {"grade": "fetched", "captured_at": time, "outcome": outcome, "location": at, **changes}
    return shown.registry.world.storage(CHECKER, **fields)


def test_a_paper_of_which_no_copy_is_known_says_so(shown: Shown) -> None:
    assert shown.rows("copies") == [] and "Nobody has told yet" in shown.section("copies").text


def test_a_copy_is_shown_with_the_place_the_look_the_grade_and_the_checker(shown: Shown) -> None:
    shown.admit(seen(shown, 10))
    ((where, look, held),) = shown.rows("copies")
    assert where == f"web server {AT['url']} {HASH} 12 bytes"
    assert look == f"there, 2026-06-10 12:00:00 UTC; fetched by {CHECKER.signer_id}"
    assert held == f"2026-06-10 12:00:00 UTC; fetched by {CHECKER.signer_id}"


@pytest.mark.parametrize(("outcome", "words"), [("missing", "not there"), ("changed", "something else there")])
def test_a_copy_that_is_gone_says_when_it_was_last_held(shown: Shown, outcome: str, words: str) -> None:
    content = {"sha256": OTHER, "bytes": 3, "media_type": "text/html"}
    shown.admit(seen(shown, 10), seen(shown, 11, outcome, content=content))
    ((where, look, held),) = shown.rows("copies")
    assert look.startswith(f"{words}, 2026-06-11 12:00:00 UTC") and held.startswith("2026-06-10 12:00:00 UTC")
    assert HASH in where and OTHER not in where


def test_a_copy_that_nobody_ever_saw_was_never_held(shown: Shown) -> None:
    shown.admit(seen(shown, 10, "missing"))
    assert shown.rows("copies")[0][2] == "never"


def test_each_place_has_its_newest_look_the_newest_first(shown: Shown) -> None:
    other = {"kind": "swh", "url": "https://archive.softwareheritage.org/x"}
    shown.admit(seen(shown, 1), seen(shown, 2, at=other), seen(shown, 3))
    rows = shown.rows("copies")
    assert [row[0].split(" https")[0] for row in rows] == ["web server", "Software Heritage"]
    assert "2026-06-03" in rows[0][1] and "2026-06-02" in rows[1][1]


def test_the_checkers_own_time_is_shown_where_it_says_so(shown: Shown) -> None:
    span = {"started_at": "2026-06-12T00:00:00Z", "ended_at": "2026-06-12T00:00:09Z", "software": "pith"}
    shown.admit(seen(shown, 10, check=span))
    assert "2026-06-12 00:00:09 UTC" in shown.rows("copies")[0][1]


def test_a_claim_is_not_dressed_up(shown: Shown) -> None:
    shown.admit(shown.registry.world.storage(ALICE))
    ((_, look, _),) = shown.rows("copies")
    assert f"claimed by {ALICE.signer_id}" in look
    assert "counts for nothing" in shown.section("copies").text


def test_the_three_grades_are_explained(shown: Shown) -> None:
    shown.admit(seen(shown, 1))
    for text in (shown.section("copies").text, parse(shown.registry.client.get("/about").content).text):
        assert all(word in text for word in ("claimed", "fetched", "proved", "computed their hash", "could foresee"))


def test_what_is_rejected_is_no_copy(shown: Shown) -> None:
    claim = shown.registry.world.storage(ALICE)
    shown.admit(claim, shown.registry.world.decision(claim, "rejected"))
    assert shown.rows("copies") == []


def test_pages_stay_readable_however_many_copies_there_are(shown: Shown) -> None:
    shown.admit(*(seen(shown, 1, at={**AT, "url": f"https://h.example/{at}"}) for at in range(MAX_COPIES + 5)))
    rows = shown.rows("copies")
    assert len(rows) == MAX_COPIES and f"/{MAX_COPIES + 4} " in rows[0][0]


def test_links_to_events_lead_to_what_the_page_shows(shown: Shown) -> None:
    shown.admit(seen(shown, 1), shown.registry.world.anchor())
    page = shown.page()
    links = {
        a.attributes["href"]
        for name in ("clocks", "copies")
        for a in page.one("section", aria_labelledby=name).all("a")
    }
    inside = {link.removeprefix("#") for link in links if link.startswith("#")}
    assert len(inside) == 2
    assert inside <= {item.attributes.get("id", "") for item in page.all("li")}


# What the registry can be asked for.


def test_a_registry_that_offers_nothing_shows_no_way_to_ask(shown: Shown) -> None:
    assert "Ask this registry" not in shown.page().text


@pytest.mark.parametrize(
    ("event_type", "wanted"), [("timestamp_anchor", ("timestamp", "")), ("storage_attestation", ("preserve", None))]
)
def test_each_example_of_a_request_is_taken(tmp_path: Path, event_type: str, wanted: tuple[str, str | None]) -> None:
    settings = ApiSettings(BASE_URL, stamps=True, preserves=("*.archive.example", "arxiv.org"))
    with a_registry(tmp_path, settings) as registry:
        page = parse(registry.client.get(f"/pith/{SUFFIX}", headers={"accept": BROWSER}).content)
        check_manners(page)
        details = page.one("section", aria_labelledby="take-part").all("details")
        (asking,) = [found for found in details if found.all("summary")[0].all("code")[0].text == event_type]
        assert "Ask this registry to" in asking.text
        _, address, body = as_curl(str(asking.all("pre")[1].one("code").children[0]), tmp_path)
        answer = registry.client.post(address, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 202, answer.text
        (found,) = open_requests(registry.parts.private, 10)
        assert found.kind == wanted[0] and wanted[1] in (None, found.url)
