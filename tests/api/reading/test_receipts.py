"""Single entries of the log with their receipts, and the proofs by which a stranger checks the log."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from api.reading.covering import NotYetProvenError, covering
from ledger import tlog_proof
from ledger.checkpoints import parse as parse_checkpoint
from ledger.events import Event
from ledger.log_keys import log_verifier
from ledger.merkle import verify_inclusion
from ledger.notes import parse as parse_note
from ledger.proofs.trust import Trust
from ledger.proofs.verify_receipt import verify_consistency_file, verify_inclusion_file, verify_receipt_file
from projections.verify_bundle import verify_bundle
from tests.api.asking import IMMUTABLE, SHORT, a_citation, a_paper, a_still_registry, decided, exactly, known_alice
from tests.api.registry import Registry, a_registry
from tests.builders import ALICE, BOB, CAROL, NUMBER
from tests.logs import Log


def root_of(registry: Registry) -> str:
    return registry.home.store.entry(0).event.id_text


def trust(registry: Registry) -> Trust:
    return Trust(root_of(registry))


def a_receipt(registry: Registry, event: Event) -> dict[str, Any]:
    answer = registry.client.get(f"/api/receipts/{event.id_text}")
    assert answer.status_code == 200, answer.text
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("application/json", SHORT)
    found: dict[str, Any] = answer.json()
    return found


# Receipts.


def test_a_receipt_verifies_offline(registry: Registry) -> None:
    registry.checkpoint()
    for entry in registry.home.store.entries():
        found = a_receipt(registry, entry.event)
        assert found["event"] == entry.event.value
        verify_receipt_file(found, trust(registry))


def test_there_is_no_receipt_before_a_checkpoint_covers_the_event(registry: Registry) -> None:
    event = a_citation(registry, a_paper(registry))
    position = registry.admit(event).position
    answer = registry.client.get(f"/api/receipts/{event.id_text}")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert answer.json()["type"] == "urn:pith:error:not-yet-proven"
    assert registry.client.get(f"/api/proof/inclusion?position={position}").status_code == 503
    registry.checkpoint()
    verify_receipt_file(a_receipt(registry, event), trust(registry))


def test_nothing_is_proven_before_the_first_checkpoint(log: Log) -> None:
    with pytest.raises(NotYetProvenError):
        covering(log.store, 0)
    log.checkpoint()
    assert covering(log.store, 0).size == log.store.head().size


def test_a_receipt_relies_on_what_the_stream_says_by_its_checkpoint(registry: Registry) -> None:
    # Again and again, so that some checkpoints are published between two looks of the server at the log.
    for _ in range(5):
        event = a_citation(registry, NUMBER)
        registry.admit(event, registry.world.policy())
        registry.checkpoint()
        found = a_receipt(registry, event)
        verify_receipt_file(found, trust(registry))
        policies = [row for row in found["key_events"] if row["event_type"] == "policy_set"]
        head = parse_checkpoint(parse_note(found["checkpoint"].encode()).text).size
        stream = registry.home.store.of_registry(0, head)
        assert len(policies) == sum(entry.event.event_type == "policy_set" for entry in stream)


def test_a_proof_has_all_of_the_stream_though_nobody_has_looked_at_it(tmp_path: Path) -> None:
    with a_still_registry(tmp_path, is_looked_at=False) as registry:
        event, policy = a_citation(registry, NUMBER), registry.world.policy()
        registry.admit(event, policy)
        registry.checkpoint()
        assert registry.parts.present.sight.size < registry.home.store.head().size
        bundle = registry.client.get(f"/pith/{NUMBER[10:]}/bundle.json").json()
        for found in (a_receipt(registry, event), bundle):
            assert policy.id_text in [row["event_id"] for row in found["key_events"]]
        verify_bundle(bundle, trust(registry))
        verify_receipt_file(a_receipt(registry, event), trust(registry))


def test_a_held_event_is_whole_in_its_receipt(registry: Registry) -> None:
    event = a_citation(registry, a_paper(registry), BOB, citing="arxiv:2606.98765")
    registry.admit(event)
    registry.checkpoint()
    assert a_receipt(registry, event)["event"]["payload"]["citing"] == "arxiv:2606.98765"


def test_a_receipt_has_a_tag_as_long_as_nothing_is_signed(registry: Registry) -> None:
    registry.checkpoint()
    path = f"/api/receipts/{root_of(registry)}"
    tag = registry.client.get(path).headers["etag"]
    assert registry.client.get(path, headers={"if-none-match": tag}).status_code == 304
    registry.admit(a_citation(registry, NUMBER))
    registry.checkpoint()
    assert registry.client.get(path, headers={"if-none-match": tag}).status_code == 200


# Single entries.


def test_an_entry_is_the_event_byte_for_byte_with_its_place_and_fate(registry: Registry) -> None:
    known_alice(registry)
    number = a_paper(registry)
    counted, held = a_citation(registry, number), a_citation(registry, number, BOB)
    registry.admit(counted, held)
    position = registry.admit(decided(registry, number, held, "rejected")).position
    for event, status, is_explained in ((counted, "counted", False), (held, "rejected", True)):
        answer = registry.client.get(f"/api/events/{event.id_text}", params={"wait_for": position})
        assert event.raw in answer.content
        found, known = answer.json(), registry.home.store.find(event.event_id)
        assert list(found) == ["position", "received_at", "event", "fate"]
        assert (found["position"], found["received_at"]) == (known.position, known.received_at)
        assert (found["fate"]["status"], bool(found["fate"]["reason"])) == (status, is_explained)
        assert answer.headers["cache-control"] == SHORT


def test_an_entry_is_there_as_soon_as_it_is_appended(registry: Registry) -> None:
    for _ in range(20):
        event = a_citation(registry, NUMBER, BOB)
        registry.admit(event)
        assert registry.client.get(f"/api/events/{event.id_text}").json()["fate"]["status"] == "held"


def test_what_is_about_no_paper_has_no_fate(registry: Registry) -> None:
    found = registry.client.get(f"/api/events/{root_of(registry)}").json()
    assert (found["position"], found["fate"]) == (0, None)
    assert found["event"]["event_type"] == "key_registered"


def test_an_id_may_leave_out_what_kind_of_hash_it_is(registry: Registry) -> None:
    ident = root_of(registry)
    for path in ("/api/events/", "/api/receipts/"):
        whole, bare = (registry.client.get(path + text) for text in (ident, ident.removeprefix("sha256:")))
        assert (whole.status_code, whole.content) == (200, bare.content)


@pytest.mark.parametrize("path", ["/api/events/{}", "/api/receipts/{}", "/api/proof/inclusion?event_id={}"])
@pytest.mark.parametrize(
    "ident",
    [
        "sha256:" + "0" * 64,
        "0" * 64,
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "F" * 64,
        "SHA256:" + "0" * 64,
        "md5:" + "0" * 32,
        "sha256:",
        "x",
        "-1",
        "0",
        "%00",
        "sha256:" + "0" * 64 + "%0a",
        "sha256:" + "0" * 64 + "%00",
        "%ff",
        "%d9%a0" * 64,
        "x" * 1_500,
    ],
)
def test_an_event_that_is_not_there_is_not_found(registry: Registry, path: str, ident: str) -> None:
    for method in ("GET", "HEAD"):
        status, headers, _ = exactly(registry.address, path.format(ident), method)
        assert (status, headers["content-type"]) == (404, "application/problem+json")


# Proofs of inclusion.


def test_the_proof_of_inclusion_verifies_offline(registry: Registry) -> None:
    registry.checkpoint()
    log_key = log_verifier(registry.world.name, registry.world.log.key.public_key)
    for entry in registry.home.store.entries():
        by_position = registry.client.get(f"/api/proof/inclusion?position={entry.position}")
        by_id = registry.client.get(f"/api/proof/inclusion?event_id={entry.event.id_text}")
        assert by_position.content == by_id.content
        assert by_position.headers["content-type"] == "text/plain; charset=utf-8"
        assert by_position.headers["cache-control"] == SHORT
        proof = tlog_proof.parse(by_position.content)
        assert (proof.index, proof.extra) == (entry.position, entry.leaf())
        verify_inclusion_file(by_position.content, Trust(log_key=log_key))


def test_the_path_in_a_tree_of_any_size_never_changes(registry: Registry) -> None:
    store = registry.home.store
    for size in range(1, store.head().size + 1):
        for position in {0, size // 2, size - 1}:
            answer = registry.client.get(f"/api/proof/inclusion?position={position}&size={size}")
            assert answer.headers["cache-control"] == IMMUTABLE
            found = answer.json()
            assert list(found) == ["position", "tree_size", "leaf_hash", "inclusion_proof", "root"]
            leaf, root, *path = (
                base64.b64decode(text) for text in (found["leaf_hash"], found["root"], *found["inclusion_proof"])
            )
            verify_inclusion(leaf, position, size, path, root)
            assert root == store.tree.root(size)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("position=", 400),
        ("position=0&event_id=sha256:" + "0" * 64, 400),
        ("position=-1", 400),
        ("position=x", 400),
        ("position=00", 400),
        ("position=1.0", 400),
        ("position=%00", 400),
        ("position=" + "9" * 20, 400),
        ("position=9007199254740991", 404),
        ("position=1000000", 404),
        ("position=0&size=0", 400),
        ("position=0&size=-1", 400),
        ("position=0&size=x", 400),
        ("position=0&size=9007199254740991", 404),
        ("position=3&size=3", 400),
        ("position=3&size=2", 400),
    ],
)
def test_other_proofs_of_inclusion_are_refused(registry: Registry, query: str, status: int) -> None:
    answer = registry.client.get(f"/api/proof/inclusion?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


# Proofs of consistency.


def test_the_proof_of_consistency_verifies_offline(registry: Registry) -> None:
    sizes = []
    for _ in range(3):
        registry.admit(a_citation(registry, NUMBER), registry.world.policy())
        registry.checkpoint()
        sizes.append(registry.home.store.head().size)
    for at, older in enumerate(sizes):
        for newer in sizes[at:]:
            answer = registry.client.get(f"/api/proof/consistency?from={older}&to={newer}")
            assert answer.status_code == 200, answer.text
            found = answer.json()
            verify_consistency_file(found, trust(registry))
            stated = [parse_checkpoint(parse_note(note.encode()).text).size for note in found["checkpoints"]]
            assert stated == [older, newer]


def test_a_size_without_a_checkpoint_is_answered_with_those_near_it(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        first = registry.home.store.head().size
        registry.admit(*(a_citation(registry, NUMBER) for _ in range(3)))
        registry.checkpoint()
        second = registry.home.store.head().size
        for size, near in (
            (first + 1, f"{first} and of {second} entries"),
            (first - 1, f"{first} entries"),
            (second + 1, f"{second} entries"),
            (2**53 - 1, f"{second} entries"),
        ):
            answer = registry.client.get(f"/api/proof/consistency?from=1&to={size}")
            assert answer.status_code == 404
            place = "from" if size > 1 else "to"
            assert answer.json()["place"] == place
            answer = registry.client.get(f"/api/proof/consistency?from={min(first, size)}&to={max(first, size)}")
            assert answer.status_code == 404
            assert answer.json()["cure"] == f"there are checkpoints of {near}"


def test_a_checkpoint_that_is_not_published_is_not_there(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        published = registry.home.store.head().size
        registry.admit(a_citation(registry, NUMBER))
        signed = registry.home.store.checkpoints.sign(registry.world.log.key, registry.home.clock())
        answer = registry.client.get(f"/api/proof/consistency?from={published}&to={signed.size}")
        assert (answer.status_code, answer.json()["place"]) == (404, "to")
        assert answer.json()["cure"] == f"there are checkpoints of {published} entries"


@pytest.mark.parametrize("query", ["", "from=9", "to=9", "from=9&to=8", "from=0&to=9", "from=x&to=9", "from=9&to=%00"])
def test_other_proofs_of_consistency_are_refused(registry: Registry, query: str) -> None:
    answer = registry.client.get(f"/api/proof/consistency?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["place"] in ("from", "to")


def test_a_receipt_of_a_key_that_was_just_registered_verifies(registry: Registry) -> None:
    registration = registry.world.registration(CAROL)
    registry.admit(registration)
    citation = a_citation(registry, NUMBER, CAROL)
    registry.admit(citation)
    registry.checkpoint()
    for event in (registration, citation, a_citation(registry, NUMBER, ALICE)):
        registry.admit(event)
    registry.checkpoint()
    for event in (registration, citation):
        verify_receipt_file(a_receipt(registry, event), trust(registry))
