"""Pages for people: what they show and do not, that nothing foreign gets out of its place, and how they are served."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.addresses import served
from api.pages import static_files
from api.pages.jinja import moment, neutral
from api.pages.record_view import MAX_EVENTS
from api.pages.rendered import MAX_CITATIONS, PAGE_POLICY, home_page, record_page
from api.settings import ApiSettings
from ledger import records
from ledger.appending import Submission
from ledger.commitments import Disclosure, hide
from ledger.events import Event
from ledger.payloads import CitationSignature
from ops.registry_app import composed
from projections import queries
from projections.queries import Citation
from tests.api.html_pages import Element, check_manners, led_to, loaded, parse
from tests.api.registry import BASE_URL, Registry, a_home, a_registry
from tests.builders import (
    ALICE,
    BOB,
    CHECKER,
    HASH,
    NUMBER,
    OTHER_NUMBER,
    OTHER_PAPER,
    OTHER_RECORD,
    SALT,
    SHA256,
    World,
    a_record,
    disclosed,
    secret,
)

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
IMMUTABLE = "public, max-age=31536000, immutable"
SUFFIX = NUMBER[10:]
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \"'>{{7*7}} \u202egpj.exe\u202c &amp;"
SHOWN_EVIL = EVIL.replace("\u202e", "\ufffd").replace("\u202c", "\ufffd")
SPAM = "https://spam.example/buy"
TWINS = (213_515, 628_842)
"""Papers of the title `Twin NUMBER` whose suffixes share their first eight characters; found by trying."""


@dataclass(frozen=True, slots=True)
class Told:
    """A registry in which much was said about one paper, and a paper whose every word is hostile."""

    registry: Registry
    events: dict[str, Event]
    evil: str
    twins: tuple[str, str]

    def page(self, path: str = f"/pith/{SUFFIX}") -> Element:
        answer = self.registry.client.get(path, headers={"accept": BROWSER})
        assert answer.status_code == 200, answer.text
        return parse(answer.content)

    def said(self, name: str) -> Element:
        """Return what the paper's page shows of an event."""
        position = self.registry.parts.store.find(self.events[name].event_id).position
        return self.page().one("li", id=f"event-{position}")


def admit(registry: Registry, event: Event, **texts: str) -> None:
    disclosures: dict[str, Disclosure] = {path: disclosed(text) for path, text in texts.items()}
    registry.home.append([Submission(event, disclosures)])


def record(registry: Registry, title: str, **source: Any) -> str:
    """Record another paper and return its number."""
    found, paper = a_record(title, "", **source)
    registry.admit(registry.world.record_created(found, paper))
    return records.identify(found).number


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with a_registry(tmp_path_factory.mktemp("told")) as registry:
        world = registry.world
        evil, evil_paper = a_record(EVIL, f"An abstract: {EVIL}", ident="2606.00009")
        people = [{"name": EVIL, "orcid": "0000-0002-1825-0097"}, "مؤلف", {"name": "C. Third", "orcid": EVIL}, 7, {}]
        registry.admit(world.record_created(evil, {**evil_paper, "authors": people, "headline": EVIL}))
        registry.admit(world.record_created(OTHER_RECORD, OTHER_PAPER))
        registry.admit(world.proof_of_identity(ALICE), world.author_identity(), world.alias_added())
        events = {
            "strong": world.author(ALICE, statement=secret("I wrote all of it.")),
            "weak": world.author(BOB, author_name="Held Person", statement=secret("The held words.")),
            "anchor": world.anchor(),
            "storage": world.storage(CHECKER, grade="fetched"),
            "supports": world.citation(ALICE, citing=OTHER_NUMBER),
            "refutes": world.citation(ALICE, citing=OTHER_NUMBER, relationship="refutes", quote=secret(EVIL)),
            "elsewhere": world.citation(ALICE, citing="doi:10.1000/else", claim_id="C7"),
            "rejected": world.replication(BOB, artefacts=[{"url": SPAM, "sha256": HASH}]),
            "accepted": world.replication(ALICE),
            "withdrawn": world.citation(ALICE, relationship="extends"),
            "redacted": world.challenge("C1", ALICE, text=secret("The redacted words.")),
            "finding": world.finding(),
        }
        texts = {
            "strong": {"statement": "I wrote all of it."},
            "weak": {"statement": "The held words."},
            "refutes": {"quote": EVIL},
            "redacted": {"text": "The redacted words."},
        }
        for name, event in events.items():
            admit(registry, event, **texts.get(name, {}))
        registry.admit(
            world.decision(events["rejected"], "rejected"),
            world.decision(events["accepted"]),
            world.withdrawal(events["withdrawn"]),
            world.decision(events["redacted"], "redacted"),
        )
        registry.admit(world.record_updated(records.identify(evil).number, paper={"headline": EVIL}))
        twins = [record(registry, f"Twin {at}", ident="2606.00077") for at in TWINS]
        registry.checkpoint()
        registry.caught_up()
        yield Told(registry, events, records.identify(evil).number, (twins[0], twins[1]))


# What every page owes.

PAGES = ["/", "/about", "/search", "/search?q=counting", "/search?q=nothing+of+the+kind", f"/pith/{SUFFIX}"]


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_well_made(told: Told, path: str) -> None:
    page = told.page(path)
    check_manners(page)
    assert len(page.all("h1")) == 1
    assert [element.tag for element in page.one("body").children if isinstance(element, Element)] == [
        "a",
        "header",
        "main",
        "footer",
    ]


@pytest.mark.parametrize("path", PAGES)
def test_pages_may_run_nothing_and_load_nothing_foreign(told: Told, path: str) -> None:
    answer = told.registry.client.get(path, headers={"accept": BROWSER})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == PAGE_POLICY
    assert "script-src" not in PAGE_POLICY and "unsafe" not in PAGE_POLICY and "'none'" in PAGE_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers
    addresses = loaded(parse(answer.content))
    assert addresses and all(address.startswith(f"/static/{static_files.VERSION}/") for address in addresses)


@pytest.mark.parametrize("path", PAGES)
def test_every_link_leads_somewhere(told: Told, path: str) -> None:
    page = told.page(path)
    for address in (*led_to(page), *loaded(page)):
        assert told.registry.client.get(address).status_code in (200, 302), address


@pytest.mark.parametrize("path", PAGES)
def test_a_page_that_is_known_is_not_sent_again(told: Told, path: str) -> None:
    headers = {"accept": BROWSER, "accept-encoding": "identity"}
    known = told.registry.client.get(path, headers=headers).headers["etag"]
    answer = told.registry.client.get(path, headers={**headers, "if-none-match": known})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["content-security-policy"] == PAGE_POLICY


@pytest.mark.parametrize("path", PAGES)
def test_head_says_what_get_would(told: Told, path: str) -> None:
    headers = {"accept": BROWSER, "accept-encoding": "identity"}
    got, headed = (told.registry.client.request(method, path, headers=headers) for method in ("GET", "HEAD"))
    assert headed.content == b""
    for name in ("etag", "content-length", "content-type", "content-security-policy"):
        assert headed.headers[name] == got.headers[name]


# The page of a paper.


def test_a_paper_is_named_in_every_way(told: Told) -> None:
    page = told.page()
    assert page.one("h1").text == "On the Counting of Papers"
    assert [item.text for item in page.one("ul", aria_label="Authors").all("li")] == ["A. Author", "B. Author"]
    copied = [code.text for code in page.all("code") if "copy" in code.attributes.get("class", "").split()]
    for name in (NUMBER, SHA256, f"{BASE_URL}/pith/{SUFFIX}", f"pith:{SUFFIX[:8]}", "2606.00001v1", "P19-1234"):
        assert name in copied
    assert page.one("a", href="https://arxiv.org/abs/2606.00001v1")
    assert "We count papers, and then we count again." in page.text
    assert page.one("link", rel="canonical").attributes["href"] == f"{BASE_URL}/pith/{SUFFIX}"


def test_what_holds_is_said_with_what_it_proves(told: Told) -> None:
    document = told.registry.client.get(f"/pith/{SUFFIX}.json").json()
    rows = {row.all("th")[0].text: row for row in told.page().one("table", class_="holds").one("tbody").all("tr")}
    status = document["verification_status"]
    for name, field in {
        "Content addressed": "content_addressed",
        "Receipt": "pith_receipt",
        "Timestamp": "externally_anchored",
        "Storage": "storage_verified",
        "Author claims, strong": "strong_author_claims",
        "Author claims, weak": "weak_author_claims",
        "Citations": "citation_signatures",
        "Replications": "replication_records",
    }.items():
        mark, proof = rows[name].all("td")
        value = status[field]
        assert mark.text == ({True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value))
        assert "Left to believe: " in proof.text
    assert told.page().one("li", aria_current="step").text == document["attestation_state"] == "replicated"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("strong", "counts"),
        ("weak", "held for a moderator"),
        ("rejected", "rejected"),
        ("redacted", "redacted"),
        ("withdrawn", "withdrawn"),
    ],
)
def test_each_event_is_shown_with_its_fate(told: Told, name: str, status: str) -> None:
    said = told.said(name)
    assert said.all("span")[0].text == status
    assert said.one("code", class_="copy").text == told.events[name].id_text


def test_a_strong_claim_is_told_from_others(told: Told) -> None:
    assert [span.text for span in told.said("strong").all("span")] == ["counts", "strong claim"]
    told.registry.admit(claim := told.registry.world.author(ALICE, author_position=2))
    told.registry.caught_up()
    position = told.registry.parts.store.find(claim.event_id).position
    assert "weak claim" in told.page().one("li", id=f"event-{position}").text


def test_what_is_held_is_seen_to_be_there_and_not_what_it_says(told: Told) -> None:
    said = told.said("weak")
    assert "It waits for a moderator" in said.text
    assert "the identity was not proven for the signer's key" in said.text
    for words in ("Held Person", "The held words."):
        assert words not in told.page().text


def test_a_private_text_is_shown_while_its_event_counts(told: Told) -> None:
    assert told.said("strong").one("blockquote").all("p")[0].text == "I wrote all of it."
    assert not told.said("redacted").all("blockquote")
    assert "The redacted words." not in told.page().text
    assert "only the commitment is known" in told.said("redacted").text


def test_a_text_goes_with_the_decision_against_it(registry: Registry) -> None:
    world = registry.world
    event = world.author(BOB, statement=secret("Soon rejected."))
    admit(registry, event, statement="Soon rejected.")
    for decision, is_shown in (("accepted", True), ("rejected", False), ("accepted", True), ("redacted", False)):
        registry.admit(world.decision(event, decision))
        registry.caught_up()
        answer = registry.client.get(f"/pith/{SUFFIX}", headers={"accept": BROWSER})
        assert ("Soon rejected." in answer.text) is is_shown


def test_addresses_in_what_does_not_count_are_no_links(told: Told) -> None:
    assert SPAM in told.said("rejected").text
    assert all(link.attributes["href"] != SPAM for link in told.page().all("a"))
    assert told.said("accepted").one("a", href="https://example.org/run.tar")


def test_citations_are_shown_from_both_ends(told: Told) -> None:
    rows = _rows(told.page(), "Papers that say something of this one")
    assert [f"Another paper {OTHER_NUMBER}", "supports", "–"] in rows
    assert [f"Another paper {OTHER_NUMBER}", "refutes", "–"] in rows
    assert ["doi:10.1000/else", "supports", "C7"] in rows
    assert told.page().one("a", href="/search?q=doi%3A10.1000/else")
    rows = _rows(told.page(f"/pith/{OTHER_NUMBER[10:]}"), "What this paper says of others")
    assert ["supports", f"On the Counting of Papers {NUMBER}", "–"] in rows


def _rows(page: Element, caption: str) -> list[list[str]]:
    (table,) = [table for table in page.all("table") if table.one("caption").text == caption]
    return [[cell.text for cell in row.all("td")] for row in table.one("tbody").all("tr")]


def test_a_contradiction_is_shown_with_both_its_sides(told: Told) -> None:
    section = told.page().one("section", aria_labelledby="contradictions")
    groups = [{link.text for link in item.all("a")} for item in section.all("li")]
    assert {told.events["supports"].id_text, told.events["refutes"].id_text} in groups


def test_the_receipt_is_all_there(told: Told) -> None:
    receipt = told.registry.client.get(f"/pith/{SUFFIX}.json").json()["receipt"]
    text = told.page().one("section", aria_labelledby="receipt").text
    assert all(str(value) in text for value in receipt.values())


def test_what_a_source_says_otherwise_is_shown_beside_ours(told: Told) -> None:
    document = document_of(told)
    source = {**document["verification_status"], "citation_signatures": 12, "unknown": 1}
    page = parse(record_page(told.registry.parts, {**document, "source_status": source}, ([], [])))
    caption = "The source published these values; they do not follow from what this log holds"
    (table,) = [table for table in page.all("table") if table.one("caption").text == caption]
    ours = str(document["verification_status"]["citation_signatures"])
    assert [cell.text for cell in table.one("tbody").all("th", "td")] == ["citation_signatures", "12", ours]


def test_pages_stay_readable_however_much_was_said(told: Told) -> None:
    document = document_of(told)
    event = next(event for event in document["events"] if event["status"] == "counted")
    many = [{**event, "position": 10_000 + at} for at in range(MAX_EVENTS + 7)]
    citations = [Citation(NUMBER, f"doi:10.1000/{at}", "cites", "", event["event_id"]) for at in range(900)]
    page = parse(record_page(told.registry.parts, {**document, "events": many}, (citations, [])))
    assert f"all {MAX_EVENTS + 7} as JSON" in page.text
    assert len(page.one("ol", class_="events").all("details")) == MAX_EVENTS
    assert len(_rows(page, "Papers that say something of this one")) == MAX_CITATIONS


# Verifying and taking part, as the page says.


def test_the_shell_lines_recompute_the_hash_and_name_the_root(told: Told) -> None:
    lines = told.page().one("section", aria_labelledby="verify").one("pre").one("code").children
    fetch, recompute, verify = (shlex.split(line, comments=True) for line in str(lines[0]).splitlines())
    assert fetch[:3] == ["curl", "-o", "bundle.json"] and fetch[3].startswith(BASE_URL)
    bundle = told.registry.client.get(fetch[3].removeprefix(BASE_URL)).json()
    # What `jq -cjS` prints of a record: sorted keys, no white space, no newline.
    assert recompute[:3] == ["jq", "-cjS", ".canonical_record"]
    printed = json.dumps(bundle["canonical_record"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(printed.encode()).hexdigest() == SHA256
    assert verify == ["pith", "verify", "bundle.json", "--root", told.registry.parts.store.entry(0).event.id_text]


@pytest.mark.parametrize(
    "event_type",
    [
        "timestamp_anchor",
        "storage_attestation",
        "author_attestation",
        "citation_signature",
        "replication_record",
    ],
)
def test_each_example_of_an_action_is_taken(registry: Registry, event_type: str, tmp_path: Path) -> None:
    page = parse(registry.client.get(f"/pith/{SUFFIX}", headers={"accept": BROWSER}).content)
    details = page.one("section", aria_labelledby="take-part").all("details")
    (shown,) = [found for found in details if found.all("summary")[0].all("code")[0].text == event_type]
    proof = registry.world.anchor().value["payload"]["proof_b64"]
    (tmp_path / "record.ots").write_bytes(base64.b64decode(proof))
    header, address, body = as_curl(str(shown.one("pre").one("code").children[0]), tmp_path)
    assert header == "content-type: application/json"
    answer = registry.client.post(address, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 201, answer.text
    if event_type == "timestamp_anchor":
        assert registry.parts.store.entry(answer.json()["position"]).event.payload.proof_b64 == proof


def as_curl(command: str, folder: Path) -> tuple[str, str, str]:
    """Let a shell read a command as it stands; return the header, path and body that curl is given."""
    script = f"curl() {{ printf '%s\\0' \"$@\"; }}\n{command}"
    told = subprocess.run(["/bin/sh", "-c", script], cwd=folder, capture_output=True, check=True, text=True)
    first, header, second, body, address, rest = told.stdout.split("\0")
    assert (first, second, rest) == ("-H", "-d", "") and address.startswith(BASE_URL)
    return header, address.removeprefix(BASE_URL), body


def test_the_example_of_signing_makes_a_payload_that_is_taken(told: Told) -> None:
    section = told.page().one("section", aria_labelledby="take-part")
    (code,) = [code for code in section.all("code") if "sign citation_signature" in code.text]
    command = shlex.split(code.text)  # the backslash before the line's end has gone with it
    assert command[:4] == ["pith", "--url", BASE_URL, "sign"] and command[4:6] == ["citation_signature", SUFFIX]
    payload, _ = hide("citation_signature", json.loads(command[6]), lambda: SALT)
    assert msgspec.convert(payload, CitationSignature).relationship == "supports"


# Foreign text.


def test_foreign_text_stays_text(told: Told) -> None:
    page = told.page(f"/pith/{told.evil[10:]}")
    check_manners(page)
    assert page.one("h1").text == SHOWN_EVIL
    (data,) = page.all("script")
    assert json.loads(str(data.children[0]))["name"] == EVIL
    assert page.all("img") == page.one("header", class_="top").all("img")
    authors = [item.text for item in page.one("ul", aria_label="Authors").all("li")]
    assert authors == [f"{SHOWN_EVIL} ORCID", "مؤلف", "C. Third"]
    assert "49" not in page.one("h1").text


@pytest.mark.parametrize("path", ["/", "/search?q=alert", f"/pith/{SUFFIX}"])
def test_foreign_text_stays_text_wherever_it_is_shown(told: Told, path: str) -> None:
    page = told.page(path)
    check_manners(page)
    assert SHOWN_EVIL in page.text
    assert page.all("img") == page.one("header", class_="top").all("img")


def test_nothing_reorders_or_hides_what_stands_beside_it(told: Told) -> None:
    for path in (f"/pith/{told.evil[10:]}", "/search?q=alert", f"/search?q={EVIL}", "/"):
        text = told.registry.client.get(path, headers={"accept": BROWSER}).text
        assert not re.search("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\x00-\x08\x0e-\x1f\x7f-\x9f]", text), path


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a\ufffdb"),
        ("a\u2066b\u2069", "a\ufffdb\ufffd"),
        ("a\u200fb\u061c\ufeff", "ab"),
        ("a\x00b\x1bc\x9d", "a\ufffdb\ufffdc\ufffd"),
        ("a\ud800b", "a\ufffdb"),
        ("a\tb\nc\r\nd", "a\tb\nc\r\nd"),
        ("नमस्ते مرحبا 👩‍🔬 é", "नमस्ते مرحبا 👩‍🔬 é"),
    ],
)
def test_only_what_hides_or_reorders_is_taken_out(text: str, shown: str) -> None:
    assert neutral(text) == shown
    assert neutral(7) == 7


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        ("2026-11-22T12:54:15.027264+00:00", "2026-11-22 12:54:15 UTC"),
        ("2026-05-25T09:20:41Z", "2026-05-25 09:20:41 UTC"),
        ("2026-05-25T09:20:41+02:00", "2026-05-25T09:20:41+02:00"),
        ("yesterday", "yesterday"),
        (None, "None"),
    ],
)
def test_times_are_written_for_people_where_they_are_utc(time: Any, shown: str) -> None:
    assert moment(time) == shown


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=40) | st.just(EVIL),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
PAPERS = st.dictionaries(
    st.sampled_from(["title", "authors", "authors_text", "abstract", "abstract_excerpt", "headline", "orcid"]),
    JSON_VALUES | st.lists(st.fixed_dictionaries({"name": JSON_VALUES, "orcid": JSON_VALUES}), max_size=3),
)


def document_of(told: Told, number: str = NUMBER) -> dict[str, Any]:
    found = queries.record(told.registry.parts.projections, number, 0)
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))
    return document


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(paper=PAPERS, receipt=st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=4), status=JSON_VALUES)
def test_metadata_of_any_shape_makes_a_page(
    told: Told, paper: dict[str, Any], receipt: dict[str, Any], status: Any
) -> None:
    document = {**document_of(told), "paper": paper, "receipt": receipt, "source_status": status}
    check_manners(parse(record_page(told.registry.parts, document, ([], []))))


def test_a_document_makes_the_same_page_served_or_not(told: Told) -> None:
    parts = told.registry.parts
    raw, cited = queries.record(parts.projections, NUMBER, 0), queries.citations(parts.projections, NUMBER)
    assert any(isinstance(value, msgspec.Raw) for value in raw.values())
    page = record_page(parts, raw, cited)
    assert page == record_page(parts, served(raw, BASE_URL), cited) == record_page(parts, document_of(told), cited)


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ({"kind": "acl", "ident": "P19-1234"}, "https://aclanthology.org/P19-1234/"),
        ({"kind": "doi", "ident": "10.1000/a<b>&c"}, "https://doi.org/10.1000/a%3Cb%3E%26c"),
        ({"kind": "pmid", "ident": "12345"}, "https://pubmed.ncbi.nlm.nih.gov/12345/"),
        ({"kind": "openreview", "ident": "aB3_x-Z9"}, "https://openreview.net/forum?id=aB3_x-Z9"),
        ({"kind": "url", "ident": "https://example.org/a?b=c&d='e'"}, "https://example.org/a?b=c&d='e'"),
    ],
)
def test_each_kind_of_source_is_linked_to(registry: Registry, source: dict[str, str], address: str) -> None:
    number = record(registry, "Somewhere else", **source)
    registry.caught_up()
    page = parse(registry.client.get(f"/pith/{number[10:]}", headers={"accept": BROWSER}).content)
    assert page.one("a", href=address).text == address


# The first page.


def test_the_first_page_says_how_much_there_is_and_what_came_last(told: Told) -> None:
    store, page = told.registry.parts.store, told.page("/")
    size = store.head().size
    figures = [figure.text for figure in page.one("dl", class_="figures").all("dd")]
    papers = queries.count(told.registry.parts.projections)
    assert figures == [str(papers), str(size), str(store.checkpoints.published().size)]
    rows = [[cell.text for cell in row.all("td")] for row in page.one("tbody").all("tr")]
    assert [row[0] for row in rows] == [str(at) for at in range(size - 1, size - 13, -1)]
    assert page.one("pre").text.split() == store.checkpoints.published().note.decode().split()


def test_the_first_page_follows_the_log_and_its_checkpoints(registry: Registry) -> None:
    def home() -> httpx.Response:
        return registry.client.get("/", headers={"accept-encoding": "identity"})

    before = home().headers["etag"]
    assert home().headers["etag"] == before
    registry.admit(registry.world.citation(ALICE))
    registry.caught_up()
    grown = home()
    assert grown.headers["etag"] != before
    registry.checkpoint()
    assert home().headers["etag"] != grown.headers["etag"]
    assert registry.parts.store.checkpoints.published().note.decode().splitlines()[2] in home().text


def test_a_registry_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    home = a_home(tmp_path, World())
    (home.settings.keys / "log.json").unlink()  # so nobody signs one
    home.catch_up()
    with composed(home, ApiSettings(BASE_URL)) as parts:
        page = parse(home_page(parts))
    home.close()
    check_manners(page)
    assert "No checkpoint was published yet." in page.text


# Searching.


def search(told: Told, query: str) -> httpx.Response:
    return told.registry.client.get("/search", params={"q": query}, headers={"accept": BROWSER})


@pytest.mark.parametrize(
    "query", [NUMBER, SUFFIX, f"pith:{SUFFIX[:8]}", " arXiv:2606.00001v1 ", "10.48550/arXiv.2606.00001", "P19-1234"]
)
def test_an_identifier_leads_straight_to_its_paper(told: Told, query: str) -> None:
    answer = search(told, query)
    assert (answer.status_code, answer.headers["location"]) == (302, f"/pith/{SUFFIX}")


def test_words_find_papers(told: Told) -> None:
    page = parse(search(told, "counting papers").content)
    assert page.one("h2").text == "1 paper"
    (hit,) = page.one("ol", class_="hits").all("li")
    assert hit.one("a").attributes["href"] == f"/pith/{SUFFIX}"
    assert page.one("input").attributes["value"] == "counting papers"


def test_a_name_of_several_papers_offers_all_of_them(told: Told) -> None:
    page = parse(search(told, told.twins[0][10:18]).content)
    assert "Several papers are called" in page.one("h2").text
    hits = {hit.one("a").attributes["href"]: hit.one("a").text for hit in page.one("ol", class_="hits").all("li")}
    assert hits == {f"/pith/{twin[10:]}": f"Twin {at}" for twin, at in zip(told.twins, TWINS, strict=True)}


@pytest.mark.parametrize("query", ["", "  ", "\u3000"])
def test_no_query_asks_nothing(told: Told, query: str) -> None:
    page = parse(search(told, query).content)
    assert not page.all("h2") and "autofocus" in page.one("input").attributes


HOSTILE = [
    "nothing at all",
    '"',
    "title:x",
    "a OR b",
    "NEAR(a b)",
    "*",
    "^a",
    "-",
    "_",
    "²",
    "\x00",
    "\x00zebra",
    EVIL,
]


@pytest.mark.parametrize("query", HOSTILE)
def test_what_is_not_found_is_said_with_the_query(told: Told, query: str) -> None:
    answer = search(told, query)
    assert answer.status_code == 200
    page = parse(answer.content)
    check_manners(page)
    assert "Nothing here holds all of" in page.text or query == EVIL
    assert page.one("input").attributes["value"] == neutral(query.strip())


@pytest.mark.parametrize("query", ["q=%ED%A0%80", "q=%FF%FE", "q=%", "q", "q=a&q=b", "q[]=a", "=", "q=%00"])
def test_a_query_of_any_bytes_has_an_answer(told: Told, query: str) -> None:
    answer = told.registry.client.get(f"/search?{query}", headers={"accept": BROWSER})
    assert answer.status_code == 200
    check_manners(parse(answer.content))


@pytest.mark.parametrize("query", ["x" * 501, "a " * 33])
def test_nobody_searches_for_that_much(told: Told, query: str) -> None:
    answer = search(told, query)
    assert answer.status_code == 400
    assert "That is too much to search for." in parse(answer.content).text


# Refusals, for people and for programs.


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("text/html;q=0.9, application/json;q=0.8", True),
        ("text/*", True),
        ("*/*", False),
        ("", False),
        ("application/json", False),
        ("application/problem+json, text/html", False),
        ("text/html;q=0.5, application/json", False),
        ("text/html;q=0", False),
        ("text/html;q=inf", False),
        ("text/html;q=nan, */*", False),
        ("image/png", False),
        (";;;,,,q=", False),
    ],
)
def test_who_prefers_a_page_gets_one(told: Told, accept: str, is_page: bool) -> None:
    answer = told.registry.client.get("/nothing", headers={"accept": accept})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == ("text/html; charset=utf-8" if is_page else "application/problem+json")
    assert "accept" in answer.headers["vary"]
    assert answer.headers["cache-control"] == "no-store"
    if is_page:
        assert answer.headers["content-security-policy"] == PAGE_POLICY
        page = parse(answer.content)
        check_manners(page)
        assert page.one("h1").text == "Not Found" and page.one("form")
    else:
        assert answer.json()["status"] == 404


@pytest.mark.parametrize(
    "path", ["/pith/AAAAAAAAAAAAAAAAAAAAAAAAAA", "/schema/nothing", "/static/x/y", "/tile/0/999", "/api/nothing"]
)
def test_what_is_not_there_is_said_on_a_page(told: Told, path: str) -> None:
    answer = told.registry.client.get(path, headers={"accept": BROWSER})
    assert answer.status_code == 404
    check_manners(parse(answer.content))


def test_a_page_keeps_what_its_problem_tells_programs(told: Told) -> None:
    answer = told.registry.client.put("/checkpoint", headers={"accept": BROWSER})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert parse(answer.content).one("p", class_="over").text == "405"


def test_choices_are_links(told: Told) -> None:
    answer = told.registry.client.get(f"/pith/{told.twins[0][10:18]}", headers={"accept": BROWSER})
    assert answer.status_code == 300
    links = [link.attributes["href"] for link in parse(answer.content).one("main").all("a")]
    assert sorted(links) == sorted(f"/pith/{twin[10:]}" for twin in told.twins)


def test_an_address_that_was_never_there_is_not_repeated_as_markup(told: Told) -> None:
    answer = told.registry.client.get("/pith/%3Cscript%3Ealert(1)%3C%2Fscript%3E", headers={"accept": BROWSER})
    assert answer.status_code == 404
    assert not parse(answer.content).all("script")


# Files.


@pytest.mark.parametrize("name", sorted(static_files.FILES))
def test_files_may_be_kept_for_ever(told: Told, name: str) -> None:
    answer = told.registry.client.get(static_files.address(name))
    assert answer.content == static_files.FILES[name] == (files("api.pages") / "static").joinpath(name).read_bytes()
    assert answer.headers["cache-control"] == IMMUTABLE
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == static_files.kind_of(name)


@pytest.mark.parametrize(
    "path",
    [
        "/static",
        "/static/",
        "/static/pages.css",
        "/static/0000000000000000/pages.css",
        "/static/{}/",
        "/static/{}/nothing.css",
        "/static/{}/swagger-ui",
        "/static/{}/swagger-ui/NOTE.md",
        "/static/{}/../pages.py",
        "/static/{}/..%2fpages.py",
        "/static/{}/%2e%2e/%2e%2e/etc/passwd",
        "/static/{}//pages.css",
        "/static/{}/pages.css%00",
    ],
)
def test_no_other_file_is_served(told: Told, path: str) -> None:
    assert told.registry.client.get(path.format(static_files.VERSION)).status_code == 404


def test_templates_and_style_ask_for_nothing_from_elsewhere() -> None:
    for folder in ("templates", "static"):
        for entry in (files("api.pages") / folder).iterdir():
            if entry.name.endswith((".html", ".css", ".js", ".svg")):
                text = entry.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
                text = text.replace("https://orcid.org/", "")  # what a link leads to is not loaded
                assert "http:" not in text and "https:" not in text and "url(" not in text, entry.name


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance of `#rrggbb`."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("behind", ["paper", "panel"])
@pytest.mark.parametrize("text", ["ink", "soft", "link", "mark", "yes", "wait", "bad"])
def test_every_colour_can_be_read(theme: int, behind: str, text: str) -> None:
    style = static_files.FILES["frame.css"].decode()
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", style.split("@media")[theme]))
    lighter, darker = sorted((luminance(colours[text]), luminance(colours[behind])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5
