"""A paper at its public addresses: page, record, linked data, bundle and state; what may be cached; other names."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from api.addresses import served
from ledger import records
from ledger.proofs.trust import Trust
from projections import queries
from projections.verify_bundle import verify_bundle
from tests.api.asking import (
    IMMUTABLE,
    SHORT,
    SUFFIX,
    a_citation,
    a_paper,
    a_public_paper,
    a_still_registry,
    exactly,
    known_alice,
    said,
)
from tests.api.registry import BASE_URL, Registry, a_registry
from tests.builders import ALICE, BOB, HASH, NUMBER, secret
from tests.ops.homes import PUBLISHED

TWINS = (213_515, 628_842)
"""Papers of the title `Twin NUMBER` whose suffixes share their first eight characters; found by trying."""

JSON = {"accept": "application/json"}
JSON_LD = {"accept": "application/ld+json"}
HTML = {"accept": "text/html"}
DOCUMENTS = [
    "/pith/{}",
    "/pith/{}.json",
    "/pith/{}/bundle.json",
    "/pith/{}/state.json",
    "/.well-known/pith/{}/bundle.json",
    "/api/pith-number/{}/graph.json",
    "/api/pith-number/{}/events.json",
    "/api/records/{}",
    "/api/records/{}/events",
]


# The record.


def test_the_record_is_the_projected_document_with_its_addresses(registry: Registry) -> None:
    registry.caught_up()
    sight = registry.parts.present.sight
    expected = served(queries.record(registry.parts.projections, NUMBER, sight.anchored_size), BASE_URL)
    answer = registry.client.get(f"/pith/{SUFFIX}.json")
    assert answer.content == msgspec.json.encode(expected)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == SHORT


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda path: path.stem)
def test_a_public_record_is_served_as_it_was_published_but_for_addresses(tmp_path: Path, published: Path) -> None:
    with a_registry(tmp_path) as registry:
        number = a_public_paper(registry, published.read_bytes())
        served_text = registry.client.get(f"/pith/{number[10:]}.json").text
    public_text = published.read_text().replace("https://pith.science", BASE_URL)
    ours, public = (json.loads(text, object_pairs_hook=list) for text in (served_text, public_text))
    assert ours == public


def test_anybody_can_recompute_the_number(registry: Registry) -> None:
    found = registry.client.get(f"/pith/{SUFFIX}.json").json()
    assert records.identify(found["canonical_record"]).number == found["pith_number"] == NUMBER


@pytest.mark.parametrize("name", ["html", "json", "graph_json", "events_json", "paper"])
def test_the_addresses_in_a_record_lead_to_documents(registry: Registry, name: str) -> None:
    address = registry.client.get(f"/pith/{SUFFIX}.json").json()["links"][name]
    assert address.startswith(BASE_URL)
    assert registry.client.get(address.removeprefix(BASE_URL), follow_redirects=True).status_code == 200


def test_what_is_said_and_counts_shows_at_once_to_who_waits_for_it(registry: Registry) -> None:
    known_alice(registry)
    number = a_paper(registry)
    for count in range(1, 6):
        entry = registry.admit(a_citation(registry, number, citing=f"arxiv:2606.1000{count}"))
        found = registry.client.get(f"/pith/{number[10:]}.json", params={"wait_for": entry.position}).json()
        assert found["verification_status"]["citation_signatures"] == count


def test_a_reader_can_wait_for_what_is_appended_later(registry: Registry) -> None:
    known_alice(registry)
    number = a_paper(registry)
    position = registry.home.store.head().size
    with ThreadPoolExecutor() as pool:
        path = f"/pith/{number[10:]}.json?wait_for={position}"
        waiting = pool.submit(registry.client.get, path)
        registry.admit(a_citation(registry, number))
        assert waiting.result().json()["verification_status"]["citation_signatures"] == 1


def test_who_waits_in_vain_is_told_to_come_back(registry: Registry) -> None:
    beyond = registry.home.store.head().size + 100_000
    addresses = [*(path.format(SUFFIX) for path in DOCUMENTS), "/api/search?q=papers", "/api/pith-number/resolve?q=x"]
    with ThreadPoolExecutor(len(addresses)) as pool:
        paths = [f"{path}{'&' if '?' in path else '?'}wait_for={beyond}" for path in addresses]
        for answer in pool.map(registry.client.get, paths):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["type"] == "urn:pith:error:projection-behind"


@pytest.mark.parametrize("path", DOCUMENTS)
@pytest.mark.parametrize("wait_for", ["-1", "x", "1.5", "01", "1e3", "٣", "9" * 40, "%00", "1%20"])
def test_only_a_position_can_be_waited_for(registry: Registry, path: str, wait_for: str) -> None:
    answer = registry.client.get(f"{path.format(SUFFIX)}?wait_for={wait_for}")
    assert (answer.status_code, answer.json()["place"]) == (400, "wait_for")


def test_a_held_statement_is_there_without_its_content(registry: Registry) -> None:
    number = a_paper(registry)
    event = a_citation(registry, number, BOB, citing="arxiv:2606.77777")
    entry = registry.admit(event)
    for path in DOCUMENTS:
        if "bundle" in path:
            continue
        for headers in (JSON, JSON_LD, HTML) if path == "/pith/{}" else (JSON,):
            answer = registry.client.get(path.format(number[10:]), params={"wait_for": entry.position}, headers=headers)
            assert answer.status_code == 200
            assert "2606.77777" not in answer.text
    found = registry.client.get(f"/pith/{number[10:]}.json").json()
    assert [(listed["event_id"], listed["status"]) for listed in found["events"]] == [(event.id_text, "held")]


# Which of them: by Accept.


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/json", "application/json"),
        ("application/json, */*", "application/json"),
        ("application/ld+json", "application/ld+json"),
        ("application/ld+json;q=0.9, application/json;q=0.8", "application/ld+json"),
    ],
)
def test_the_address_of_a_paper_gives_what_is_asked_for(registry: Registry, accept: str | None, kind: str) -> None:
    headers = {} if accept is None else {"accept": accept}
    status, told, content = exactly(registry.address, f"/pith/{SUFFIX}", headers=headers)
    assert (status, told["content-type"]) == (200, kind)
    assert "accept" in told["vary"].split(", ")
    assert told["etag"] == f'"{sha256(content).hexdigest()}"'


def test_several_accept_headers_are_one(registry: Registry) -> None:
    answer = registry.client.get(
        f"/pith/{SUFFIX}", headers=[("accept", "text/html;q=0.5"), ("accept", "application/json")]
    )
    assert answer.headers["content-type"] == "application/json"


def test_json_is_the_record_wherever_it_is_asked_for(registry: Registry) -> None:
    record = registry.client.get(f"/pith/{SUFFIX}.json").content
    assert registry.client.get(f"/pith/{SUFFIX}", headers=JSON).content == record
    assert registry.client.get(f"/api/records/{SUFFIX}").content == record


def test_the_record_itself_does_not_depend_on_what_is_accepted(registry: Registry) -> None:
    status, headers, content = exactly(registry.address, f"/pith/{SUFFIX}.json", headers=HTML)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert "accept" not in headers.get("vary", "").split(", ")
    assert json.loads(content)["pith_number"] == NUMBER


@pytest.mark.parametrize("accept", ["image/png", "text/plain", "text/html;q=0, image/*", "*/*;q=0"])
def test_what_is_not_offered_is_not_acceptable(registry: Registry, accept: str) -> None:
    answer = registry.client.get(f"/pith/{SUFFIX}", headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (406, "application/problem+json")
    assert "accept" in answer.headers["vary"].split(", ")
    assert answer.json()["cure"] == "accept text/html, application/json, application/ld+json"


def test_the_page_names_the_paper_and_runs_no_script(registry: Registry) -> None:
    answer = registry.client.get(f"/pith/{SUFFIX}", headers=HTML)
    assert "On the Counting of Papers" in answer.text
    assert "script-src" not in answer.headers["content-security-policy"]
    assert f'<{BASE_URL}/pith/{SUFFIX}>; rel="cite-as"' in answer.headers["link"]


def test_the_page_shows_who_cites_a_paper(registry: Registry) -> None:
    known_alice(registry)
    number = a_paper(registry)
    page = f"/pith/{number[10:]}"
    assert "arxiv:2606.44444" not in registry.client.get(page, headers=HTML).text
    entry = registry.admit(a_citation(registry, number, citing="arxiv:2606.44444"))
    assert "arxiv:2606.44444" in registry.client.get(page, params={"wait_for": entry.position}, headers=HTML).text


@pytest.mark.parametrize("license", ["http://arxiv.org/licenses/nonexclusive-distrib/1.0/", "all rights reserved", ""])
def test_linked_data_has_a_licence_that_is_an_address(registry: Registry, license: str) -> None:
    number = a_paper(registry, license=license)
    found = registry.client.get(f"/pith/{number[10:]}", headers=JSON_LD).json()
    assert found.get("license") == (license if license.startswith("http") else None)


def test_linked_data_describes_the_paper_in_words_of_schema_org(registry: Registry) -> None:
    found = registry.client.get(f"/pith/{SUFFIX}", headers=JSON_LD).json()
    assert (found["@type"], found["@id"]) == ("ScholarlyArticle", f"{BASE_URL}/pith/{SUFFIX}")
    assert found["name"] == "On the Counting of Papers"
    assert [author["name"] for author in found["author"]] == ["A. Author", "B. Author"]
    assert {"@type": "PropertyValue", "propertyID": "arxiv", "value": "2606.00001"} in found["identifier"]
    assert "https://doi.org/10.48550/arxiv.2606.00001" in found["sameAs"]


# What may be cached.


@pytest.mark.parametrize("path", DOCUMENTS)
@pytest.mark.parametrize("accept", ["application/json", "*/*"])
def test_a_tag_is_strong_and_from_the_content(registry: Registry, path: str, accept: str) -> None:
    registry.caught_up()
    _, headers, content = exactly(registry.address, path.format(SUFFIX), headers={"accept": accept})
    assert headers["etag"] == f'"{sha256(content).hexdigest()}"'
    assert headers["cache-control"] == SHORT


@pytest.mark.parametrize("path", DOCUMENTS)
@pytest.mark.parametrize("condition", ["{}", '"other", {}', "W/{}", "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_it_is_told_so(registry: Registry, path: str, condition: str, method: str) -> None:
    registry.caught_up()
    _, known, _ = exactly(registry.address, path.format(SUFFIX), headers=JSON)
    conditional = {**JSON, "if-none-match": condition.format(known["etag"])}
    status, headers, content = exactly(registry.address, path.format(SUFFIX), method, conditional)
    assert (status, content) == (304, b"")
    for name in ("etag", "cache-control"):
        assert headers[name] == known[name]
    assert ("accept" in headers.get("vary", "").split(", ")) == (path == "/pith/{}")


@pytest.mark.parametrize("condition", ['"other"', "{}x", '""', "nonsense", "'{}'", "{}"])
def test_who_has_something_else_gets_it(registry: Registry, condition: str) -> None:
    tag = registry.client.get(f"/pith/{SUFFIX}.json").headers["etag"].strip('"')
    answer = registry.client.get(f"/pith/{SUFFIX}.json", headers={"if-none-match": condition.format(tag)})
    assert answer.status_code == 200


def test_representations_differ_in_their_tags(registry: Registry) -> None:
    found = {
        registry.client.get(f"/pith/{SUFFIX}", headers=headers).headers["etag"] for headers in (JSON, JSON_LD, HTML)
    }
    assert len(found) == 3


@pytest.mark.parametrize("path", DOCUMENTS)
def test_head_says_what_get_would_without_the_content(registry: Registry, path: str) -> None:
    registry.caught_up()
    status, told, content = exactly(registry.address, path.format(SUFFIX), "HEAD", JSON)
    expected_status, expected, _ = exactly(registry.address, path.format(SUFFIX), "GET", JSON)
    assert (status, content) == (expected_status, b"")
    changing = {"date": "", "pith-request-id": ""}
    assert {**told, **changing} == {**expected, **changing}


def test_a_tag_outlives_what_does_not_concern_the_paper(registry: Registry) -> None:
    known_alice(registry)
    number = a_paper(registry)
    tags = {
        path: registry.client.get(path.format(number[10:])).headers["etag"]
        for path in DOCUMENTS
        if "bundle" not in path
    }
    entry = registry.admit(a_citation(registry, a_paper(registry)))
    for path, tag in tags.items():
        headers = {"if-none-match": tag}
        answer = registry.client.get(path.format(number[10:]), params={"wait_for": entry.position}, headers=headers)
        assert answer.status_code == 304, path


def test_every_document_changes_with_the_paper(registry: Registry) -> None:
    known_alice(registry)
    number = a_paper(registry)
    registry.checkpoint()
    paths = [path.format(number[10:]) for path in DOCUMENTS]
    before = {path: registry.client.get(path).headers["etag"] for path in paths}
    entry = registry.admit(a_citation(registry, number))
    registry.checkpoint()
    for path, tag in before.items():
        answer = registry.client.get(path, params={"wait_for": entry.position}, headers={"if-none-match": tag})
        assert answer.status_code == 200, path
        assert answer.headers["etag"] != tag


def test_many_readers_at_once_get_one_and_the_same(registry: Registry) -> None:
    known_alice(registry)
    number = a_paper(registry)
    entry = registry.admit(*(a_citation(registry, number, citing=f"arxiv:2606.2000{at}") for at in range(5)))
    with ThreadPoolExecutor(16) as pool:
        path = f"/pith/{number[10:]}.json?wait_for={entry.position}"
        answers = list(pool.map(registry.client.get, [path] * 64))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["verification_status"]["citation_signatures"] == 5


def test_nobody_sees_an_older_state_than_before_while_the_paper_changes(registry: Registry) -> None:
    known_alice(registry)
    number = a_paper(registry)
    stopped = threading.Event()

    def read() -> list[int]:
        counts = []
        with httpx.Client(base_url=registry.address) as client:
            while not stopped.is_set():
                found = client.get(f"/pith/{number[10:]}.json").json()
                counts.append(found["verification_status"]["citation_signatures"])
        return counts

    with ThreadPoolExecutor() as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for at in range(12):
                registry.admit(a_citation(registry, number, citing=f"arxiv:2606.300{at:02}"))
                registry.caught_up()
        finally:
            stopped.set()
        seen = [reader.result() for reader in readers]
    assert all(counts == sorted(counts) for counts in seen)
    assert max(map(max, seen)) > 1


# The bundle.


def test_the_bundle_verifies_offline(registry: Registry) -> None:
    root = registry.home.store.entry(0).event.id_text
    for path in (f"/pith/{SUFFIX}/bundle.json", f"/.well-known/pith/{SUFFIX}/bundle.json"):
        found = registry.client.get(path).json()
        assert f"number: {NUMBER} is the hash of the canonical record" in verify_bundle(found, Trust(root))


def test_a_bundle_has_held_statements_whole(registry: Registry) -> None:
    number = a_paper(registry)
    event = a_citation(registry, number, BOB, citing="arxiv:2606.88888")
    registry.admit(event)
    registry.checkpoint()
    found = registry.client.get(f"/pith/{number[10:]}/bundle.json").json()
    assert found["state"]["verdicts"][event.id_text] == "held"
    assert found["events"][-1]["payload"]["citing"] == "arxiv:2606.88888"
    verify_bundle(found, Trust(registry.home.store.entry(0).event.id_text))


def test_there_is_no_bundle_before_a_checkpoint_covers_the_record(registry: Registry) -> None:
    number = a_paper(registry)
    answer = registry.client.get(f"/pith/{number[10:]}/bundle.json")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert answer.json()["type"] == "urn:pith:error:not-yet-proven"
    registry.checkpoint()
    assert registry.client.get(f"/pith/{number[10:]}/bundle.json").json()["pith_number"] == number


def test_a_bundle_goes_as_far_as_the_newest_checkpoint(registry: Registry) -> None:
    registry.checkpoint()
    registry.client.get(f"/pith/{SUFFIX}/bundle.json")
    registry.admit(registry.world.policy())
    registry.checkpoint()
    found = registry.client.get(f"/pith/{SUFFIX}/bundle.json").json()
    assert found["log_size"] == registry.home.store.head().size
    verify_bundle(found, Trust(registry.home.store.entry(0).event.id_text))


# The state.


def test_the_state_is_what_the_merge_rules_make_of_the_events(registry: Registry) -> None:
    known_alice(registry)
    number = a_paper(registry)
    alias = {"alias_kind": "acl", "alias_value": "P19-9999"}
    entry = registry.admit(
        registry.world.graph_snapshot(number, graph_snapshot={"claims": {"count": 0}}),
        registry.world.about("alias_added", alias, number),
        a_citation(registry, number, relationship="supports"),
        a_citation(registry, number, relationship="refutes"),
        a_citation(registry, number, BOB),
    )
    found = registry.client.get(f"/pith/{number[10:]}/state.json", params={"wait_for": entry.position}).json()
    assert list(found)[:4] == ["state_type", "state_version", "pith_number", "merge_version"]
    assert (found["state_type"], found["state_version"]) == ("pith_open_graph_state", "1.0")
    counts = [found[f"{what}_count"] for what in ("event", "valid_event", "invalid_event", "equivocation")]
    assert counts == [6, 6, 0, 1]
    current = found["current"]
    assert records.identify(current["canonical_record"]).number == number
    assert alias in [{name: known[name] for name in alias} for known in current["source_aliases"]]
    (snapshot,) = current["graph_snapshots"]
    assert list(snapshot) == ["event_id", "target", "created_at", "signer", "payload"]
    assert snapshot["payload"] == {"graph_snapshot": {"claims": {"count": 0}}}
    assert sorted(current["verdicts"].values()) == ["counted"] * 5 + ["held"]
    record = registry.client.get(f"/pith/{number[10:]}.json").json()
    for name in ("attestation_state", "verification_status", "event_summary", "equivocations"):
        assert current[name] == record[name]


def test_events_of_a_stolen_key_are_counted_as_invalid(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        known_alice(registry)
        number = a_paper(registry)
        registry.admit(a_citation(registry, number))
        entry = registry.admit(registry.world.revocation(ALICE, compromised_from="2026-01-01T00:00:00Z"))
        found = registry.client.get(f"/pith/{number[10:]}/state.json", params={"wait_for": entry.position}).json()
    assert (found["valid_event_count"], found["invalid_event_count"]) == (1, 1)


def test_what_the_server_has_not_looked_at_yet_is_shown_all_the_same(tmp_path: Path) -> None:
    with a_still_registry(tmp_path, is_looked_at=False) as registry:
        number = a_paper(registry, is_awaited=False)
        registry.admit(registry.world.proof_of_identity(ALICE), a_citation(registry, number))
        registry.home.catch_up()
        size = registry.home.store.head().size
        assert registry.parts.present.sight.size < size
        state = registry.client.get(f"/pith/{number[10:]}/state.json").json()
        assert state["current"]["verification_status"]["citation_signatures"] == 1
        record = registry.client.get(f"/api/records/{number[10:]}?as_of={size}").json()
        assert record["verification_status"]["citation_signatures"] == 1
        assert len(registry.client.get(f"/api/records/{number[10:]}/events").json()["entries"]) == 2


# Other names.


@pytest.mark.parametrize(
    "name",
    [
        SUFFIX[:8],
        SUFFIX[:12],
        SUFFIX[:25],
        SUFFIX.lower(),
        SUFFIX[:8].lower(),
        f"pith:{SUFFIX[:8]}",
        NUMBER,
        NUMBER.lower(),
        "2606.00001",
        "2606.00001v1",
        "arXiv:2606.00001",
        "10.48550/arXiv.2606.00001",
        f"%{ord(SUFFIX[0]):02x}{SUFFIX[1:]}",
        f"%20{SUFFIX}",
    ],
)
@pytest.mark.parametrize(
    "path", ["/pith/{}", "/pith/{}.json", "/pith/{}/bundle.json", "/pith/{}/state.json", "/paper/{}"]
)
def test_another_name_leads_to_the_one_address(registry: Registry, path: str, name: str) -> None:
    status, headers, content = exactly(registry.address, path.format(name))
    target = "/pith/{}" if path.startswith("/paper") else path
    assert (status, headers["location"], content) == (302, target.format(SUFFIX), b"")
    assert headers["cache-control"] == SHORT
    assert "content-type" not in headers


def test_an_old_arxiv_id_with_a_slash_is_a_name_too(registry: Registry) -> None:
    number = a_paper(registry, "An Old Paper", ident="hep-th/9901001", submitted_at="1999-01-01T00:00:00Z")
    for ending in ("", ".json", "/bundle.json", "/state.json"):
        answer = registry.client.get(f"/pith/hep-th/9901001{ending}")
        assert (answer.status_code, answer.headers["location"]) == (302, f"/pith/{number[10:]}{ending}")
    for path in ("/pith/hep-th/9901001/", "/paper/hep-th/9901001", "/paper/hep-th/9901001/"):
        assert registry.client.get(path).headers["location"] == f"/pith/{number[10:]}"


def test_a_url_is_a_name_too(registry: Registry) -> None:
    number = a_paper(registry, "On the Web", kind="url", ident="https://example.org/a/paper/")
    for name in ("https://example.org/a/paper/", "https:%2f%2fexample.org%2Fa%2fpaper%2F"):
        status, headers, _ = exactly(registry.address, f"/pith/{name}")
        assert (status, headers["location"]) == (302, f"/pith/{number[10:]}")
    for name in ("https:/example.org/a/paper/", "https://example.org/a/paper"):
        assert exactly(registry.address, f"/paper/{name}")[0] == 404


def test_an_escaped_slash_is_another_spelling(registry: Registry) -> None:
    status, headers, _ = exactly(registry.address, f"/pith/{SUFFIX}%2Fbundle.json")
    assert (status, headers["location"]) == (302, f"/pith/{SUFFIX}/bundle.json")


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path.startswith(("/api/", "/.well"))])
def test_every_document_is_found_by_other_names(registry: Registry, path: str) -> None:
    answer = registry.client.get(path.format("2606.00001"))
    assert (answer.status_code, answer.headers["location"]) == (302, path.format(SUFFIX))


def test_a_question_goes_along(registry: Registry) -> None:
    answer = registry.client.get(f"/api/records/{SUFFIX[:8]}?as_of=9&wait_for=3")
    assert answer.headers["location"] == f"/api/records/{SUFFIX}?as_of=9&wait_for=3"
    assert registry.client.get(answer.headers["location"]).headers["cache-control"] == IMMUTABLE


def test_a_trailing_slash_is_another_spelling(registry: Registry) -> None:
    status, headers, _ = exactly(registry.address, f"/pith/{SUFFIX}/")
    assert (status, headers["location"]) == (302, f"/pith/{SUFFIX}")


def test_an_unversioned_name_leads_to_the_newest_version(registry: Registry) -> None:
    old = a_paper(registry, "Twice", ident="2605.00777", version=1)
    new = a_paper(registry, "Twice", ident="2605.00777", version=2)
    assert registry.client.get("/pith/2605.00777").headers["location"] == f"/pith/{new[10:]}"
    assert registry.client.get("/pith/2605.00777v1").headers["location"] == f"/pith/{old[10:]}"


def test_a_short_form_may_come_to_mean_several_papers(registry: Registry) -> None:
    one = a_paper(registry, f"Twin {TWINS[0]}", "", ident="2606.00077")
    first = registry.client.get(f"/pith/{one[10:18]}")
    assert (first.status_code, first.headers["location"]) == (302, f"/pith/{one[10:]}")
    other = a_paper(registry, f"Twin {TWINS[1]}", "", ident="2606.00077")
    for path in ("/pith/{}", "/pith/{}.json", "/pith/{}/bundle.json", "/paper/{}", "/api/records/{}"):
        answer = registry.client.get(path.format(one[10:18]))
        assert (answer.status_code, answer.headers["cache-control"]) == (300, "no-store")
        assert sorted(answer.json()["choices"]) == sorted([one, other])


UNKNOWN = [
    "A" * 26,
    "a" * 26,
    SUFFIX[:25] + ("A" if SUFFIX[25] != "A" else "B"),
    SUFFIX + "A",
    "AAAAAAAA",
    "7",
    "2606.99999",
    "10.1000/nothing",
    "hep-th/9900000",
    "nonsense",
    "..",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fledger.db",
    "%00",
    f"{SUFFIX}%00",
    f"{SUFFIX}%0a",
    f"{SUFFIX}%0d%0aset-cookie:%20a=b",
    f"{SUFFIX};a=b",
    f"{SUFFIX}.json.json",
    f"{SUFFIX}.xml",
    "%ff%fe",
    "%ed%a0%80",
    "%f0%9f%92%a9",
    "%d9%a0" * 13,
    "{}",
    "%25",
    "%7B7*7%7D",
    "'%20OR%201=1--",
    "%3Cscript%3Ealert(1)%3C%2fscript%3E",
    "x" * 1_000,
    "A" * 2_020,
    "pith:registry:test.registry",
]


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("path", [*DOCUMENTS, "/paper/{}"])
def test_what_names_no_paper_is_not_found(registry: Registry, path: str, name: str) -> None:
    for method in ("GET", "HEAD"):
        status, headers, content = exactly(registry.address, path.replace("{}", name), method, JSON)
        assert (status, headers["content-type"]) == (404, "application/problem+json")
        assert "set-cookie" not in headers
        assert method == "HEAD" or json.loads(content)["status"] == 404


def test_a_name_longer_than_any_is_refused(registry: Registry) -> None:
    for length in (2_200, 30_000, 60_000):
        assert exactly(registry.address, "/pith/" + "A" * length)[0] in (404, 414)


@pytest.mark.parametrize("path", DOCUMENTS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_done_but_reading(registry: Registry, path: str, method: str) -> None:
    status, headers, _ = exactly(registry.address, path.format(SUFFIX), method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")


# The graph around a paper, and what was said about it, are asked for in `test_resolving`.


def test_statements_of_every_kind_show_in_the_record(registry: Registry) -> None:
    known_alice(registry)
    number = a_paper(registry)
    payloads: dict[str, dict[str, Any]] = {
        "author_attestation": {"author_name": "A. Author", "statement": secret("mine")},
        "citation_signature": {"citing": "arxiv:2606.00002", "relationship": "extends"},
        "replication_record": {
            "kind": "replication",
            "outcome": "reproduced",
            "artefacts": [{"url": "https://example.org/run", "sha256": HASH}],
        },
    }
    events = [said(registry, number, kind, payload) for kind, payload in payloads.items()]
    entry = registry.admit(*events)
    found = registry.client.get(f"/pith/{number[10:]}.json", params={"wait_for": entry.position}).json()
    assert [event["event_type"] for event in found["events"]] == list(payloads)
    assert {name: count["count"] for name, count in found["event_summary"].items()} == dict.fromkeys(payloads, 1)
    assert [event["status"] for event in found["events"]] == ["counted", "counted", "held"]
