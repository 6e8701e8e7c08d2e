"""From any identifier to the number, and what belongs to a number: the graph, and what was said with its texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ledger.appending import Submission
from ledger.commitments import Disclosure
from tests.api.asking import SHORT, SUFFIX, a_citation, a_paper, a_still_registry, decided, exactly, known_alice, said
from tests.api.registry import BASE_URL, Registry
from tests.builders import ALICE, BOB, NUMBER, disclosed, secret

RESOLVE = "/api/pith-number/resolve"


# Resolving.


@pytest.mark.parametrize(
    "query",
    [
        "arxiv=2606.00001",
        "arxiv=2606.00001v1",
        "arxiv=arXiv:2606.00001",
        "arxiv=https://arxiv.org/abs/2606.00001",
        "doi=10.48550/arxiv.2606.00001",
        "doi=10.48550/ARXIV.2606.00001",
        "doi=https%3A%2F%2Fdoi.org%2F10.48550%2Farxiv.2606.00001",
        f"pith={NUMBER}",
        f"pith={SUFFIX}",
        f"pith={SUFFIX[:8].lower()}",
        "q=2606.00001",
        f"q={SUFFIX[:12]}",
        "q=10.48550/arxiv.2606.00001&arxiv=",
    ],
)
def test_an_identifier_leads_to_the_number(registry: Registry, query: str) -> None:
    found = registry.client.get(f"{RESOLVE}?{query}&json=true").json()
    assert list(found) == ["pith_number", "short_pith_number", "links", "other_versions"]
    assert (found["pith_number"], found["short_pith_number"]) == (NUMBER, f"pith:{SUFFIX[:8]}")
    assert found["links"]["json"] == f"{BASE_URL}/pith/{SUFFIX}.json"
    answer = registry.client.get(f"{RESOLVE}?{query}")
    assert (answer.status_code, answer.headers["location"]) == (302, f"/pith/{SUFFIX}")


@pytest.mark.parametrize(
    ("kind", "ident", "asked"),
    [
        ("acl", "2019.test-1.7", "2019.test-1.7"),
        ("pmid", "31452104", "31452104"),
        ("openreview", "rJXMpikCZ", "rJXMpikCZ"),
        ("url", "https://example.org/a?b=c&d=e", "https://example.org/a?b=c&d=e"),
    ],
)
def test_every_source_has_its_identifiers(registry: Registry, kind: str, ident: str, asked: str) -> None:
    number = a_paper(registry, f"From {kind}", kind=kind, ident=ident)
    answer = registry.client.get(RESOLVE, params={kind: asked, "json": "true"})
    assert answer.json()["pith_number"] == number
    named = registry.client.get(f"/pith/{number[10:]}.json").json()["agent_actions"]["resolve_alias"]
    assert registry.client.get(named.removeprefix(BASE_URL)).json()["pith_number"] == number


def test_an_identifier_is_looked_up_as_its_own_kind_only(registry: Registry) -> None:
    a_paper(registry, "A Number", kind="pmid", ident="27654321")
    assert registry.client.get(f"{RESOLVE}?pmid=27654321&json=true").status_code == 200
    assert registry.client.get(f"{RESOLVE}?q=27654321&json=true").status_code == 404
    assert registry.client.get(f"{RESOLVE}?q=pmid:27654321&json=true").status_code == 200


def test_without_a_version_the_newest_is_meant_and_the_others_are_named(registry: Registry) -> None:
    old, new = (a_paper(registry, "Again", ident="2605.00888", version=version) for version in (1, 2))
    found = registry.client.get(f"{RESOLVE}?arxiv=2605.00888&json=true").json()
    assert found["pith_number"] == new
    assert [version["pith_number"] for version in found["other_versions"]] == [old]
    assert found["other_versions"][0]["links"]["html"] == f"{BASE_URL}/pith/{old[10:]}"
    found = registry.client.get(f"{RESOLVE}?arxiv=2605.00888v1&json=true").json()
    assert (found["pith_number"], found["other_versions"]) == (old, [])


def test_what_names_several_papers_is_answered_with_the_choices(registry: Registry) -> None:
    preprint = a_paper(registry, "Preprint", ident="2605.00999")
    published = a_paper(registry, "Published", kind="doi", ident="10.48550/arxiv.2605.00999")
    for ending in ("", "&json=true"):
        answer = registry.client.get(f"{RESOLVE}?doi=10.48550/arxiv.2605.00999{ending}")
        assert (answer.status_code, answer.headers["content-type"]) == (300, "application/problem+json")
        assert answer.json()["choices"] == sorted([preprint, published])


@pytest.mark.parametrize(
    ("accept", "query", "status"),
    [
        (None, "", 302),
        ("*/*", "", 302),
        ("text/html", "", 302),
        ("application/json", "", 200),
        ("application/json, */*", "", 200),
        ("text/html", "&json=true", 200),
        ("image/png", "&json=true", 200),
        ("application/json", "&json=false", 200),
        ("text/html", "&json=false", 302),
        ("image/png", "", 406),
    ],
)
def test_json_is_asked_for_by_parameter_or_header(
    registry: Registry, accept: str | None, query: str, status: int
) -> None:
    headers = {} if accept is None else {"accept": accept}
    answered, told, _ = exactly(registry.address, f"{RESOLVE}?arxiv=2606.00001{query}", headers=headers)
    assert answered == status
    assert "accept" in told["vary"].split(", ")
    assert status == 406 or told["cache-control"] == SHORT


@pytest.mark.parametrize(
    "query",
    [
        "",
        "json=true",
        "arxiv=",
        "q=%20",
        "arxiv=2606.00001&doi=10.48550/arxiv.2606.00001",
        "q=2606.00001&pith=" + SUFFIX,
        "isbn=9780262033848",
        "arxiv=nonsense",
        "arxiv=10.48550/arxiv.2606.00001",
        "doi=2606.00001",
        "pmid=x",
        "pmid=0",
        "acl=..",
        "openreview=a/b",
        "url=javascript:alert(1)",
        "url=/etc/passwd",
        "pith=2606.00001",
        "pith=QKNO",
        f"pith={SUFFIX}AA",
        "arxiv=2606.00001&json=yes",
        "arxiv=2606.00001&wait_for=x",
        "url=https://example.org/" + "x" * 3_000,
        "doi=%00",
        "arxiv=%ff%fe",
    ],
)
def test_a_question_that_cannot_be_meant_is_refused(registry: Registry, query: str) -> None:
    answer = registry.client.get(f"{RESOLVE}?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    "query",
    [
        "arxiv=2606.99999",
        "doi=10.1000/nothing",
        f"pith={'A' * 26}",
        "q=nothing",
        "q=%00",
        "q=%ed%a0%80",
        "q=" + "x" * 2_000,
        "url=https://example.org/nothing",
    ],
)
def test_what_names_nothing_is_not_found(registry: Registry, query: str) -> None:
    for ending in ("", "&json=true"):
        answer = registry.client.get(f"{RESOLVE}?{query}{ending}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_an_identifier_can_be_waited_for(registry: Registry) -> None:
    number = a_paper(registry)
    entry = registry.admit(
        registry.world.about("alias_added", {"alias_kind": "acl", "alias_value": "P19-4321"}, number)
    )
    answer = registry.client.get(f"{RESOLVE}?acl=P19-4321&json=true&wait_for={entry.position}")
    assert answer.json()["pith_number"] == number


# The graph.


def test_the_graph_has_the_snapshot_and_the_citations_of_both_directions(registry: Registry) -> None:
    known_alice(registry)
    cited, citing, other = (a_paper(registry, title) for title in ("Cited", "Citing", "Other"))
    events = [
        a_citation(registry, cited, citing=citing, relationship="extends", claim_id="C1"),
        a_citation(registry, cited, citing="doi:10.1000/elsewhere", relationship="refutes"),
        a_citation(registry, other, citing=cited, relationship="cites"),
        a_citation(registry, cited, BOB, citing="arxiv:2606.55555"),
    ]
    block = {"references": {"count": 2, "resolved_work": 1}}
    entry = registry.admit(*events, registry.world.graph_snapshot(cited, graph_snapshot=block))
    path = f"/api/pith-number/{cited[10:]}/graph.json"
    found = registry.client.get(path, params={"wait_for": entry.position}).json()
    assert found["graph_snapshot"] == block
    assert found["counts"] == {"incoming": 2, "outgoing": 1}
    assert [(edge["from"], edge["to"], edge["relationship"], edge["claim_id"]) for edge in found["edges"]] == [
        (citing, cited, "extends", "C1"),
        ("doi:10.1000/elsewhere", cited, "refutes", None),
        (cited, other, "cites", None),
    ]
    assert [edge["event_id"] for edge in found["edges"]] == [event.id_text for event in events[:3]]
    nodes = {node["id"]: node for node in found["nodes"]}
    assert list(nodes) == [cited, citing, "doi:10.1000/elsewhere", other]
    assert (nodes[citing]["title"], nodes[citing]["json"]) == ("Citing", f"{BASE_URL}/pith/{citing[10:]}.json")
    assert nodes["doi:10.1000/elsewhere"] == {"id": "doi:10.1000/elsewhere"}


def test_a_citation_under_another_name_of_the_paper_goes_out_from_it(registry: Registry) -> None:
    known_alice(registry)
    cited, citing = a_paper(registry, "Old"), a_paper(registry, "New", ident="2605.00321")
    entry = registry.admit(a_citation(registry, cited, citing="arxiv:2605.00321"))
    path = f"/api/pith-number/{citing[10:]}/graph.json"
    (edge,) = registry.client.get(path, params={"wait_for": entry.position}).json()["edges"]
    assert (edge["from"], edge["to"]) == (citing, cited)


def test_a_paper_without_a_graph_stands_alone(registry: Registry) -> None:
    number = a_paper(registry, "Alone")
    found = registry.client.get(f"/api/pith-number/{number[10:]}/graph.json").json()
    assert (found["graph_snapshot"], found["edges"]) == (None, [])
    assert [node["title"] for node in found["nodes"]] == ["Alone"]


# What was said.


def told(registry: Registry, number: str, after: int | None = None) -> list[dict[str, Any]]:
    params = {} if after is None else {"wait_for": after}
    found = registry.client.get(f"/api/pith-number/{number[10:]}/events.json", params=params).json()
    assert list(found) == ["pith_number", "events", "event_summary"]
    events: list[dict[str, Any]] = found["events"]
    return events


def stated(registry: Registry, number: str, **texts: Disclosure) -> tuple[Any, int]:
    """Let Bob, whose key nobody has proven, claim a paper and hand in his text; return the event and its position."""
    payload = {"author_name": "Bob", "statement": secret("I wrote this myself.")}
    event = said(registry, number, "author_attestation", payload, BOB)
    (appended,) = registry.home.append([Submission(event, texts or {"statement": disclosed("I wrote this myself.")})])
    return event, appended.entry.position


def test_events_are_those_of_the_record(registry: Registry) -> None:
    known_alice(registry)
    number = a_paper(registry)
    entry = registry.admit(a_citation(registry, number), a_citation(registry, number, BOB))
    found = registry.client.get(
        f"/api/pith-number/{number[10:]}/events.json", params={"wait_for": entry.position}
    ).json()
    record = registry.client.get(f"/pith/{number[10:]}.json").json()
    assert (found["events"], found["event_summary"]) == (record["events"], record["event_summary"])


def test_a_text_is_shown_once_and_as_long_as_its_event_counts(registry: Registry) -> None:
    number = a_paper(registry)
    event, position = stated(registry, number)
    (held,) = told(registry, number, position)
    assert (held["status"], "payload" in held, "disclosures" in held) == ("held", False, False)

    entry = registry.admit(decided(registry, number, event, "accepted"))
    (counted,) = told(registry, number, entry.position)
    assert counted["disclosures"] == {"statement": {"salt": disclosed("").salt, "text": "I wrote this myself."}}
    assert counted["payload"]["statement"] == secret("I wrote this myself.")

    entry = registry.admit(decided(registry, number, event, "rejected"))
    (rejected,) = told(registry, number, entry.position)
    assert (rejected["status"], "disclosures" in rejected) == ("rejected", False)


def test_a_redacted_text_is_gone_from_everywhere(registry: Registry) -> None:
    number = a_paper(registry)
    event, _ = stated(registry, number)

    def decide(decision: str) -> int:
        return registry.admit(decided(registry, number, event, decision)).position

    (counted,) = told(registry, number, decide("accepted"))
    assert "I wrote this myself." in str(counted)
    position = decide("redacted")
    (redacted,) = told(registry, number, position)
    assert redacted["status"] == "redacted"
    decide("accepted")
    registry.checkpoint()
    registry.caught_up()
    for path in ("/pith/{}", "/pith/{}.json", "/pith/{}/bundle.json", "/pith/{}/state.json", "/api/records/{}/events"):
        assert "I wrote this myself." not in registry.client.get(path.format(number[10:])).text
    assert "disclosures" not in str(told(registry, number))


def test_a_redacted_text_is_gone_though_the_projections_stand_still(tmp_path: Path) -> None:
    with a_still_registry(tmp_path, is_looked_at=True) as registry:
        event, _ = stated(registry, NUMBER)
        registry.admit(decided(registry, NUMBER, event, "accepted"))
        registry.home.catch_up()
        size = registry.home.store.head().size
        while registry.parts.present.sight.cursor < size:
            registry.client.get(f"/pith/{SUFFIX}.json")
        shown = [f"/api/pith-number/{SUFFIX}/events.json", f"/pith/{SUFFIX}"]
        assert all("I wrote this myself." in registry.client.get(path).text for path in shown)
        registry.admit(decided(registry, NUMBER, event, "redacted"))
        while registry.parts.present.sight.size == size:
            registry.client.get(f"/pith/{SUFFIX}.json")
        assert registry.parts.present.sight.cursor == size
        assert not any("I wrote this myself." in registry.client.get(path).text for path in shown)


def test_a_withdrawn_text_is_not_shown(registry: Registry) -> None:
    known_alice(registry)
    number = a_paper(registry)
    payload = {"author_name": "A. Author", "statement": secret("I wrote this.")}
    event = said(registry, number, "author_attestation", payload)
    registry.home.append([Submission(event, {"statement": disclosed("I wrote this.")})])
    registry.caught_up()
    assert "I wrote this." in str(told(registry, number))
    entry = registry.admit(registry.world.event(ALICE, "withdrawal", {}, subject=number, target=event.id_text))
    assert "I wrote this." not in str(told(registry, number, entry.position))


def test_what_proves_an_identity_is_never_shown(registry: Registry) -> None:
    number = a_paper(registry)
    payload = {
        "identifier": ALICE.signer_id,
        "method": "crossref",
        "evidence": secret("the deposit"),
        "proven_at": "2026-06-19T16:00:00Z",
        "author_name": "A. Author",
        "author_position": 1,
    }
    event = registry.world.about("identity_evidence", payload, number)
    (appended,) = registry.home.append([Submission(event, {"evidence": disclosed("the deposit")})])
    assert told(registry, number, appended.entry.position) == []
    for path in ("/pith/{}", "/pith/{}.json", "/pith/{}/state.json", "/api/records/{}/events"):
        assert "the deposit" not in registry.client.get(path.format(number[10:])).text


def test_a_text_that_was_never_handed_in_is_not_missed(registry: Registry) -> None:
    known_alice(registry)
    number = a_paper(registry)
    payload = {"author_name": "A. Author", "statement": secret("kept to myself")}
    entry = registry.admit(said(registry, number, "author_attestation", payload))
    (event,) = told(registry, number, entry.position)
    assert (event["status"], "disclosures" in event) == ("counted", False)


@pytest.mark.parametrize("spelled", [str.lower, lambda suffix: suffix[:8], lambda suffix: quote(f"pith:{suffix}")])
def test_graph_and_events_are_found_by_other_names(registry: Registry, spelled: Callable[[str], str]) -> None:
    for document in ("graph.json", "events.json"):
        answer = registry.client.get(f"/api/pith-number/{spelled(SUFFIX)}/{document}")
        assert (answer.status_code, answer.headers["location"]) == (302, f"/api/pith-number/{SUFFIX}/{document}")
