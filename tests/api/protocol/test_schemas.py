"""The schemas, held against the documents that the registry hands out; and the words of its JSON-LD."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from ledger.events import TYPES
from tests.api.asking import SUFFIX, a_citation, a_paper, a_public_paper, decided, exactly, known_alice, said
from tests.api.registry import BASE_URL, Registry, a_registry
from tests.builders import BOB, HASH, World, secret
from tests.logs import samples
from tests.ops.homes import PUBLISHED

PATHS = {
    "number": "/schemas/pith-number/v1.json",
    "event": "/schemas/pith-event/v1.json",
    "receipt": "/schemas/pith-receipt/v1.json",
}
CONTEXT = "/schemas/pith-context/v1.jsonld"
EVENTS = samples(World())
CHANGES: dict[str, Any] = {
    "schema": "pith-event/2",
    "event_type": "applause",
    "subject_pith_number": "pith:2026:short",
    "target": "nowhere",
    "registry": "No Registry",
    "nonce": "short",
    "created_at": "2026-06-19T16:00:00+00:00",
    "payload": {},
    "event_id": "sha256:" + "0" * 63,
    "signature_b64": "AAAA",
}


def schema(registry: Registry, name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(registry.client.get(PATHS[name]).json(), validate_formats=True)


@pytest.fixture(scope="module")
def validator(registry: Registry) -> jsonschema_rs.Draft202012Validator:
    return schema(registry, "event")


def faults(validator: jsonschema_rs.Draft202012Validator, document: Any) -> list[str]:
    return [f"{error.instance_path}: {error.message[:200]}" for error in validator.iter_errors(document)]


@pytest.mark.parametrize("name", PATHS)
def test_a_schema_is_one_and_lies_where_it_says(registry: Registry, name: str) -> None:
    answer = registry.client.get(PATHS[name])
    assert answer.headers["content-type"] == "application/schema+json"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    found = answer.json()
    assert found["$id"] == BASE_URL + PATHS[name]
    jsonschema_rs.meta.validate(found)
    again = registry.client.get(PATHS[name], headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_patterns_are_written_for_everybody(registry: Registry) -> None:
    for path in PATHS.values():
        assert "\\\\Z" not in registry.client.get(path).text


def test_the_index_names_every_schema(registry: Registry) -> None:
    for path in ("/schemas", "/schemas/"):
        listed = registry.client.get(path).json()["schemas"]
        assert [each["url"] for each in listed] == [BASE_URL + path for path in (*PATHS.values(), CONTEXT)]
        for each in listed:
            assert registry.client.get(each["url"].removeprefix(BASE_URL)).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/schemas/pith-number",
        "/schemas/pith-number/v2.json",
        "/schemas/pith-number/v1.json/",
        "/schemas/pith-number/v1.json/x",
        "/schemas/pith-event/v1",
        "/schemas/..%2f..%2fetc/passwd",
        "/schemas/%2e%2e/pith-log.json",
        "/schemas/pith%2Dnumber/v1.json",
        "/schemas/pith-number/v1%2ejson",
        "/schemas/pith-number/v1.json%00",
        "/schemas/x/" + "y" * 1_500,
    ],
)
def test_there_are_no_other_schemas(registry: Registry, path: str) -> None:
    for method in ("GET", "HEAD"):
        status, headers, _ = exactly(registry.address, path, method)
        assert (status, headers["content-type"]) == (404, "application/problem+json")


# Events.


@pytest.mark.parametrize("event_type", TYPES)
def test_events_of_every_type_fit(validator: jsonschema_rs.Draft202012Validator, event_type: str) -> None:
    assert faults(validator, EVENTS[event_type].value) == []


@pytest.mark.parametrize("name", CHANGES)
def test_an_event_with_one_thing_wrong_does_not_fit(validator: jsonschema_rs.Draft202012Validator, name: str) -> None:
    event = EVENTS["citation_signature"].value
    assert faults(validator, {**event, name: CHANGES[name]})
    assert faults(validator, {field: value for field, value in event.items() if field != name})


@pytest.mark.parametrize("event_type", TYPES)
def test_fields_that_nobody_knows_do_not_fit(validator: jsonschema_rs.Draft202012Validator, event_type: str) -> None:
    event = EVENTS[event_type].value
    for place in ((), ("payload",), ("signer",)):
        changed: Any = copy.deepcopy(event)
        inner = changed
        for name in place:
            inner = inner[name]
        inner["applause"] = 1
        assert faults(validator, changed), place


@pytest.mark.parametrize("event_type", TYPES)
def test_a_payload_belongs_to_its_type(validator: jsonschema_rs.Draft202012Validator, event_type: str) -> None:
    other = "withdrawal" if event_type not in ("withdrawal", "key_revoked") else "citation_signature"
    payload = {**EVENTS[other].value["payload"], "reason": HASH, "applause": 1}
    assert faults(validator, {**EVENTS[event_type].value, "payload": payload})


def test_who_may_not_sign_a_type_does_not_fit(validator: jsonschema_rs.Draft202012Validator) -> None:
    event = EVENTS["moderation_decision"].value
    assert faults(validator, {**event, "signer": {**event["signer"], "signer_type": "contributor"}})


def test_the_events_that_the_log_holds_fit(registry: Registry, validator: jsonschema_rs.Draft202012Validator) -> None:
    for entry in registry.home.store.entries():
        found = registry.client.get(f"/api/events/{entry.event.id_text}").json()
        assert faults(validator, found["event"]) == []


# Receipts.


def test_receipts_fit(registry: Registry) -> None:
    known_alice(registry)
    registry.admit(registry.world.checkpoint_anchor(), a_citation(registry, a_paper(registry)))
    registry.checkpoint()
    validator = schema(registry, "receipt")
    for entry in registry.home.store.entries():
        found = registry.client.get(f"/api/receipts/{entry.event.id_text}").json()
        assert faults(validator, found) == []
        for name in found:
            assert faults(validator, {field: value for field, value in found.items() if field != name}), name
        assert faults(validator, {**found, "applause": 1})
        assert faults(validator, {**found, "event": {**found["event"], "applause": 1}})
        for row in found["key_events"][:1]:
            assert faults(validator, {**found, "key_events": [{**row, "applause": 1}]})
            bare = {name: value for name, value in row.items() if name != "inclusion_proof"}
            assert faults(validator, {**found, "key_events": [bare]})


# Records.


def records_in_many_states(registry: Registry) -> Iterator[dict[str, Any]]:
    """Yield the record of one paper while more and more is said about it."""
    known_alice(registry)
    number = a_paper(registry)
    statement = {"author_name": "A. Author", "statement": secret("mine")}
    artefacts = [{"url": "https://example.org/run", "sha256": HASH}]
    replication = {"kind": "replication", "outcome": "reproduced", "artefacts": artefacts}
    held = said(registry, number, "replication_record", replication)
    for event in (
        None,
        registry.world.record_updated(number),
        registry.world.about("alias_added", {"alias_kind": "acl", "alias_value": "P19-1111"}, number),
        registry.world.graph_snapshot(number, graph_snapshot={"claims": {"count": 0}}),
        said(registry, number, "author_attestation", statement),
        said(registry, number, "author_attestation", statement, BOB),
        a_citation(registry, number, relationship="supports"),
        a_citation(registry, number, relationship="refutes"),
        held,
        decided(registry, number, held, "accepted"),
        decided(registry, number, held, "redacted"),
    ):
        params = {} if event is None else {"wait_for": registry.admit(event).position}
        answer = registry.client.get(f"/pith/{number[10:]}.json", params=params)
        yield answer.json()


def test_records_in_every_state_fit(registry: Registry) -> None:
    validator = schema(registry, "number")
    states = list(records_in_many_states(registry))
    for found in states:
        assert found["schema_url"] == BASE_URL + PATHS["number"]
        assert faults(validator, found) == []
    assert {event["status"] for event in states[-1]["events"]} == {"counted", "held", "redacted"}
    assert "equivocations" in states[-1]


def test_a_record_with_one_thing_wrong_does_not_fit(registry: Registry) -> None:
    validator = schema(registry, "number")
    found = list(records_in_many_states(registry))[-1]
    required = [name for name in found if name not in ("source_status", "equivocations")]
    for name in required:
        assert faults(validator, {field: value for field, value in found.items() if field != name}), name
        assert faults(validator, {**found, name: 1}), name
    assert faults(validator, {**found, "applause": 1})
    held = next(event for event in found["events"] if event["status"] == "held")
    assert faults(validator, {**found, "events": [{**held, "payload": {}}]})
    counted = next(event for event in found["events"] if event["status"] == "counted")
    assert faults(validator, {**found, "events": [{**counted, "status": "held"}]})


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda path: path.stem)
def test_records_of_public_papers_fit(tmp_path: Path, published: Path) -> None:
    with a_registry(tmp_path) as registry:
        number = a_public_paper(registry, published.read_bytes())
        assert faults(schema(registry, "number"), registry.client.get(f"/pith/{number[10:]}.json").json()) == []


# JSON-LD.


def words_of(value: Any) -> Iterator[str]:
    """Yield the words of a JSON-LD document that its context must define."""
    if isinstance(value, list):
        for item in value:
            yield from words_of(item)
    elif isinstance(value, dict):
        yield from (name for name in value if not name.startswith("@"))
        yield from ([value["@type"]] if "@type" in value else [])
        for name, item in value.items():
            if name not in ("@context", "canonical_record", "verification_status"):
                yield from words_of(item)


def test_the_context_defines_every_word_of_a_paper_in_json_ld(registry: Registry) -> None:
    answer = registry.client.get(CONTEXT)
    assert answer.headers["content-type"] == "application/ld+json"
    terms = answer.json()["@context"]
    paper = registry.client.get(f"/pith/{SUFFIX}", headers={"accept": "application/ld+json"}).json()
    assert paper["@context"] == ["https://schema.org", BASE_URL + CONTEXT]
    assert set(words_of(paper)) <= set(terms)
    assert set(paper["verification_status"]) == set(terms["verification_status"]["@context"])
    assert paper["attestation_state"] in terms


def test_every_word_of_the_context_leads_to_an_iri(registry: Registry) -> None:
    terms = registry.client.get(CONTEXT).json()["@context"]
    prefixes = {
        name: value for name, value in terms.items() if isinstance(value, str) and value.endswith(("/", ":", "#"))
    }
    assert set(prefixes) == {"schema", "term", "xsd"}
    for name, value in terms.items():
        if name.startswith("@") or name in prefixes:
            continue
        iri = value if isinstance(value, str) else value["@id"]
        assert iri.partition(":")[0] in prefixes, name
        kind = value.get("@type", "@id") if isinstance(value, dict) else "@id"
        assert kind.startswith("@") or kind.partition(":")[0] in prefixes
