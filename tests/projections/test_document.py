"""The record document: the published one where nothing else was said, and what changes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.addresses import served
from ledger.appending import Submission
from ledger.times import instant
from ops.home import Home
from projections import queries
from projections.rebuild import rebuild
from tests.builders import ALICE, BOB, NUMBER, OPENED, SHA256
from tests.logs import Log
from tests.ops.homes import BASE_URL, PUBLISHED, a_home, imported
from tests.projections.papers import listed, open_policy, shown

PUBLIC_HOST = "https://pith.science"
SEED = PUBLISHED[0].read_text()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    opened = a_home(tmp_path / "data")
    yield opened
    opened.close()


def text_of(home: Home, number: str) -> str:
    """Return a paper's document as JSON text, as it is served."""
    document = served(queries.record(home.projections, number, home.store.registry().anchored_size()), BASE_URL)
    return msgspec.json.encode(document).decode()


def at_home(published: str) -> Any:
    """Return a published document with its host replaced by ours, as pairs, so that order counts."""
    return json.loads(published.replace(PUBLIC_HOST, BASE_URL), object_pairs_hook=list)


def number_of(published: str) -> str:
    return str(json.loads(published)["pith_number"])


# Public documents.


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_an_imported_public_document_equals_the_published_one_key_for_key_in_order(home: Home, path: Path) -> None:
    published = path.read_text()
    imported(home, published.encode())
    assert json.loads(text_of(home, number_of(published)), object_pairs_hook=list) == at_home(published)


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_an_imported_public_document_equals_the_published_one_after_a_rebuild(home: Home, path: Path) -> None:
    published = path.read_text()
    imported(home, published.encode())
    rebuild(home.store, home.projections, [])
    assert json.loads(text_of(home, number_of(published)), object_pairs_hook=list) == at_home(published)


@pytest.mark.parametrize("part", ["receipt", "paper", "aliases", "graph_snapshot", "formal_canon", "inbound_citations"])
def test_a_part_of_a_public_document_keeps_every_byte(home: Home, part: str) -> None:
    published = PUBLISHED[1].read_text()
    imported(home, published.encode())
    texts = msgspec.json.decode(published, type=dict[str, msgspec.Raw])
    assert bytes(texts[part]).decode() in text_of(home, number_of(published))


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param('{"z":1,"a":2}', id="odd order"),
        pytest.param('{"ratio":1.50}', id="a trailing zero"),
        pytest.param('{"big":1e3,"huge":12345678901234567890123}', id="odd numbers"),
        pytest.param('{"name":"Caf\\u00e9 \\/ \\ud83d\\ude00"}', id="escapes"),
        pytest.param('{ "spaced" : [ 1 , 2 ] }', id="white space"),
    ],
)
def test_an_odd_spelling_in_the_graph_is_kept(home: Home, odd: str) -> None:
    published = SEED.replace('"graph_snapshot":{', f'"graph_snapshot":{{"odd":{odd},', 1)
    imported(home, published.encode())
    assert f'"odd":{odd}' in text_of(home, number_of(SEED))


def test_another_spelling_of_a_known_part_is_the_one_shown(home: Home) -> None:
    imported(home, SEED.encode())
    imported(home, SEED.replace('"headline":""', '"headline": ""', 1).encode())
    assert '"headline": ""' in text_of(home, number_of(SEED))


def test_a_public_document_that_changed_is_shown_as_it_is_now(home: Home) -> None:
    newer = SEED.replace('"paper_claims":[]', '"paper_claims":[{"claim":"C1"}]')
    imported(home, SEED.encode())
    imported(home, newer.encode())
    assert json.loads(text_of(home, number_of(SEED)), object_pairs_hook=list) == at_home(newer)


def test_published_counts_that_are_ours_too_are_not_repeated(home: Home) -> None:
    imported(home, SEED.encode())
    assert "source_status" not in json.loads(text_of(home, number_of(SEED)))


def test_published_counts_that_are_not_ours_are_shown_beside_ours(home: Home) -> None:
    flattering = SEED.replace('"weak_author_claims":0', '"weak_author_claims":5')
    imported(home, flattering.encode())
    found = json.loads(text_of(home, number_of(SEED)))
    assert (found["source_status"]["weak_author_claims"], found["verification_status"]["weak_author_claims"]) == (5, 0)


def test_a_document_imported_from_elsewhere_keeps_its_times(home: Home) -> None:
    imported(home, SEED.encode())
    found = json.loads(text_of(home, number_of(SEED)))
    assert (found["created_at"], found["updated_at"]) == (
        json.loads(SEED)["created_at"],
        json.loads(SEED)["updated_at"],
    )


def test_what_is_said_here_about_a_document_from_elsewhere_makes_it_newer(home: Home) -> None:
    imported(home, SEED.encode())
    evidence = {"identifier": ALICE.signer_id, "method": "crossref", "evidence": "seen", "proven_at": OPENED}
    event, texts = home.signatory("event").sign("identity_evidence", number_of(SEED), evidence)
    (appended,) = home.append([Submission(event, texts)])
    home.catch_up()
    assert json.loads(text_of(home, number_of(SEED)))["updated_at"] == instant(appended.entry.received_at)


def test_an_alias_added_to_a_document_from_elsewhere_stands_among_its_own(home: Home) -> None:
    imported(home, SEED.encode())
    alias = {"alias_kind": "acl", "alias_value": "P19-1234"}
    event, _ = home.signatory("event").sign("alias_added", number_of(SEED), alias)
    home.append([Submission(event)])
    home.catch_up()
    names = [row["alias_kind"] for row in json.loads(text_of(home, number_of(SEED)))["aliases"]]
    assert names == sorted(["acl", *(row["alias_kind"] for row in json.loads(SEED)["aliases"])])


# Records of our own.


def test_a_record_has_the_public_keys_in_their_order(log: Log) -> None:
    assert list(shown(log)) == list(json.loads(SEED))


def test_what_depends_on_the_server_is_left_to_it(log: Log) -> None:
    found = shown(log)
    assert [found[name] for name in ("schema_url", "links", "agent_actions")] == [None, None, None]


def test_a_record_was_created_and_updated_when_the_log_took_it(log: Log) -> None:
    taken = instant(log.store.entry(8).received_at)
    assert (shown(log)["created_at"], shown(log)["updated_at"]) == (taken, taken)


def test_a_record_was_updated_when_something_was_last_said_about_it(log: Log) -> None:
    log.clock.advance(60)
    entry = log.admit(log.world.citation())
    assert shown(log)["updated_at"] == instant(entry.received_at)


def test_a_record_is_not_updated_by_what_is_said_about_keys(log: Log) -> None:
    before = shown(log)["updated_at"]
    log.clock.advance(60)
    log.admit(log.world.proof_of_identity(ALICE))
    assert shown(log)["updated_at"] == before


def test_an_update_replaces_parts_of_the_paper_by_name(log: Log) -> None:
    log.admit(log.world.record_updated(paper={"headline": "Counted"}))
    log.admit(log.world.record_updated(paper={"headline": "Counted again"}))
    paper = shown(log)["paper"]
    assert (paper["headline"], paper["title"]) == ("Counted again", "On the Counting of Papers")


def test_an_update_does_not_change_the_hashed_record(log: Log) -> None:
    before = shown(log)["canonical_record"]
    log.admit(log.world.record_updated(paper={"license": "none"}))
    assert shown(log)["canonical_record"] == before


def test_a_receipt_issued_anew_is_the_one_shown(log: Log) -> None:
    newest = {**shown(log)["receipt"], "last_reissued_at": "2027-01-01T00:00:00.000000Z"}
    log.admit(log.world.record_updated(pith_receipt=newest))
    assert shown(log)["receipt"]["last_reissued_at"] == "2027-01-01T00:00:00.000000Z"


def test_an_added_alias_is_listed_with_the_time_it_was_added(log: Log) -> None:
    entry = log.admit(log.world.alias_added("acl", "P19-1234"))
    assert shown(log)["aliases"][0] == {
        "alias_kind": "acl",
        "alias_value": "P19-1234",
        "created_at": instant(entry.received_at),
    }


def test_an_alias_added_twice_is_listed_once(log: Log) -> None:
    log.admit(log.world.alias_added(), log.world.alias_added())
    assert [row["alias_kind"] for row in shown(log)["aliases"]].count("acl") == 1


def test_the_newest_graph_is_shown_block_by_block(log: Log) -> None:
    log.admit(log.world.graph_snapshot(graph_snapshot={"references": {"count": 1}}))
    log.admit(log.world.graph_snapshot(graph_snapshot={"references": {"count": 2}}))
    assert shown(log)["graph_snapshot"] == {"references": {"count": 2}}


def test_blocks_that_nobody_filled_have_the_public_empty_shape(log: Log) -> None:
    seed = json.loads(SEED)
    names = ("events", "event_summary", "paper_claims", "inbound_citations", "formal_canon")
    assert [shown(log)[name] for name in names] == [seed[name] for name in names]


def test_a_held_event_is_listed_without_its_payload(log: Log) -> None:
    log.admit(log.world.citation())
    (event,) = listed(log)
    assert (event["status"], "payload" in event) == ("held", False)


def test_an_event_that_counts_is_listed_with_its_payload(log: Log) -> None:
    citation = log.world.citation()
    log.admit(open_policy(log.world), citation)
    assert listed(log)[0]["payload"] == citation.value["payload"]


def test_an_event_that_was_accepted_is_listed_with_its_payload(log: Log) -> None:
    citation = log.world.citation()
    log.admit(citation, log.world.decision(citation))
    assert "payload" in listed(log)[0]


def test_events_are_listed_in_order_of_position(log: Log) -> None:
    said = [log.world.citation(), log.world.author(), log.world.citation(BOB)]
    log.admit(*said)
    assert [event["event_id"] for event in listed(log)] == [event.id_text for event in said]


def test_a_document_without_contradictions_has_no_key_for_them(log: Log) -> None:
    assert "equivocations" not in shown(log)


def test_a_contradiction_stands_in_the_document(log: Log) -> None:
    one, other = log.world.citation(), log.world.citation(relationship="refutes")
    log.admit(one, other)
    assert shown(log)["equivocations"] == [[one.id_text, other.id_text]]


def test_a_document_as_of_then_knows_nothing_of_now(log: Log) -> None:
    before = shown(log)
    size = log.store.head().size
    log.admit(log.world.record_updated(), log.world.citation(), log.world.graph_snapshot(), log.world.alias_added())
    assert shown(log, size) == before


def test_a_document_names_the_paper_by_number_and_hash(log: Log) -> None:
    found = shown(log)
    assert (found["pith_number"], found["short_pith_number"], found["canonical_sha256"]) == (
        NUMBER,
        f"pith:{NUMBER[10:18]}",
        SHA256,
    )
