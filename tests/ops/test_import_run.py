"""Importing: what each source adds to the log, once, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.addresses import served
from ledger.appending import Submission
from ledger.errors import TooLargeError
from ledger.signing import foreign_key
from ops.home import Home
from ops.importers.run import Report
from projections import queries
from tests.builders import OPENED, World, nonce
from tests.logs import Log
from tests.ops.homes import BASE_URL, PUBLISHED, a_home, a_line, added, as_lines, imported
from tests.ops.proofs import a_document

SEED = PUBLISHED[0].read_bytes()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    opened = a_home(tmp_path / "data")
    yield opened
    opened.close()


def respelled(**changes: Any) -> bytes:
    """Return the published document with some parts changed."""
    return json.dumps({**json.loads(SEED), **changes}).encode()


# What a source adds.


def test_a_new_paper_is_one_event(home: Home) -> None:
    assert added(home, as_lines([a_line(1)])) == ["record_created"]


def test_a_new_public_document_is_its_record_and_its_graph(home: Home) -> None:
    assert added(home, SEED) == ["record_created", "graph_snapshot"]


@pytest.mark.parametrize("content", [as_lines(map(a_line, range(3))), SEED], ids=["lines", "document"])
def test_the_same_source_again_adds_nothing(home: Home, content: bytes) -> None:
    imported(home, content)
    assert added(home, content) == []


def test_what_is_known_is_reported_as_unchanged(home: Home) -> None:
    imported(home, as_lines(map(a_line, range(3))))
    report = imported(home, as_lines(map(a_line, range(5))))
    assert (report.lines, report.created, report.unchanged) == (5, 2, 3)


@pytest.mark.parametrize(
    ("change", "types"),
    [
        pytest.param({"venue": "A Venue"}, ["record_updated"], id="another venue"),
        pytest.param({"authors": [{"name": "Ada Author"}]}, ["record_updated"], id="other authors"),
        pytest.param({"doi": "10.1000/182"}, ["alias_added"], id="a DOI"),
        pytest.param({"doi": "10.1000/182", "venue": "V"}, ["record_updated", "alias_added"], id="a DOI and a venue"),
        pytest.param({"title": "Another"}, ["record_created"], id="another title, another paper"),
        pytest.param({"version": 2}, ["record_created"], id="another version, another paper"),
    ],
)
def test_a_changed_line_adds_exactly_what_changed(home: Home, change: dict[str, Any], types: list[str]) -> None:
    imported(home, as_lines([a_line(1)]))
    assert added(home, as_lines([a_line(1, **change)])) == types


@pytest.mark.parametrize(
    ("change", "types"),
    [
        pytest.param({"paper_claims": [{"claim": "C1"}]}, ["graph_snapshot"], id="a claim"),
        pytest.param({"updated_at": "2027-01-01T00:00:00.000000+00:00"}, ["record_updated"], id="another row time"),
        pytest.param({"links": {}, "agent_actions": {}}, [], id="other links"),
    ],
)
def test_a_changed_public_document_adds_exactly_what_changed(
    home: Home, change: dict[str, Any], types: list[str]
) -> None:
    canonical = json.dumps(json.loads(SEED)).encode()
    imported(home, canonical)
    assert added(home, respelled(**change)) == types


def test_a_public_document_with_another_alias_adds_the_alias(home: Home) -> None:
    imported(home, respelled())
    aliases = json.loads(SEED)["aliases"]
    more = [*aliases, {**aliases[0], "alias_kind": "doi", "alias_value": "10.1000/182"}]
    assert added(home, respelled(aliases=more)) == ["record_updated", "alias_added"]


def test_an_update_that_was_imported_is_known_the_next_time(home: Home) -> None:
    imported(home, as_lines([a_line(1)]))
    imported(home, as_lines([a_line(1, venue="A Venue", doi="10.1000/182")]))
    assert added(home, as_lines([a_line(1, venue="A Venue", doi="10.1000/182")])) == []


def test_a_plain_line_about_a_public_paper_does_not_replace_its_receipt(home: Home) -> None:
    imported(home, SEED)
    document = json.loads(SEED)
    stored = queries.record(home.projections, document["pith_number"], home.store.registry().anchored_size())
    assert json.loads(msgspec.json.encode(stored["receipt"])) == document["receipt"]


# Duplicates.


def test_a_line_that_stands_twice_is_one_paper(home: Home) -> None:
    assert added(home, as_lines([a_line(1), a_line(1), a_line(2), a_line(1)])) == ["record_created"] * 2


def test_two_lines_about_one_paper_are_a_record_and_its_update(home: Home) -> None:
    assert added(home, as_lines([a_line(1), a_line(1, venue="A Venue")])) == ["record_created", "record_updated"]


def test_lines_about_one_paper_are_counted_one_by_one(home: Home) -> None:
    report = imported(home, as_lines([a_line(1), a_line(1), a_line(1, venue="A Venue")]))
    assert (report.lines, report.created, report.unchanged, report.updated) == (3, 1, 1, 1)


# Several files.


def test_a_report_adds_up_over_several_files(home: Home) -> None:
    report = Report()
    imported(home, as_lines(map(a_line, range(200))), "first.jsonl", report)
    assert (report.lines, report.created) == (200, 200)
    first = report.seconds
    imported(home, as_lines([a_line(200), a_line(0)]), "second.jsonl", report)
    assert (report.lines, report.created, report.unchanged) == (202, 201, 1)
    assert report.seconds > first > 0


# Bad lines.

BAD = {
    "not JSON": (b"{not json}\n", "not-json"),
    "no title": (a_line(2, title=...), "missing-field"),
    "a field of the wrong kind": (a_line(2, authors="Ada"), "invalid-field"),
    "an unknown source": (a_line(2, source="elsewhere"), "invalid-field"),
    "a date that does not exist": (a_line(2, date="2021-02-29"), "invalid-field"),
    "a key twice": (b'{"source":"url","source":"url"}\n', "duplicate-key"),
    "not UTF-8": (b'{"source":"\xff"}\n', "not-json"),
    "no known form": ({"hello": "world"}, "invalid-field"),
    "a control character": (a_line(2, title="Bell\x07"), "invalid-field"),
}


@pytest.mark.parametrize(("bad", "code"), BAD.values(), ids=BAD)
def test_a_bad_line_is_reported_with_its_number_and_reason(home: Home, bad: Any, code: str) -> None:
    report = imported(home, as_lines([a_line(1), bad, a_line(3)]))
    assert [(refusal["line"], refusal["error"]) for refusal in report.refused] == [(2, code)]


@pytest.mark.parametrize(("bad", "code"), BAD.values(), ids=BAD)
def test_the_good_lines_around_a_bad_one_are_kept(home: Home, bad: Any, code: str) -> None:
    assert added(home, as_lines([a_line(1), bad, a_line(3)])) == ["record_created"] * 2


def test_a_bad_line_does_not_hide_a_good_one_about_the_same_paper(home: Home) -> None:
    wrong = {**json.loads(SEED), "receipt": {**json.loads(SEED)["receipt"], "key_id": "nobody"}}
    assert added(home, as_lines([wrong, json.loads(SEED)])) == ["record_created", "graph_snapshot"]


# Foreign receipts.


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return a document of another registry, whose receipt key is not known out of the box."""
    log = Log.opened(tmp_path_factory.mktemp("foreign"))
    log.admit(log.world.graph_snapshot(graph_snapshot={"references": {}}))
    return a_document(log)


def refusal(home: Home, document: dict[str, Any]) -> str:
    (found,) = imported(home, json.dumps(document).encode()).refused
    return str(found["error"])


def test_a_receipt_by_an_unknown_key_is_refused(home: Home, foreign: dict[str, Any]) -> None:
    assert refusal(home, foreign) == "unknown-key"


def test_a_receipt_by_a_key_that_was_registered_is_taken(home: Home, foreign: dict[str, Any]) -> None:
    label, key = "foreign", World().receipt.key.public_key.hex()
    payload = foreign_key(label, key, home.store.registry_name, "https://example.org/key", OPENED, nonce(1))
    home.append([Submission(home.signatory("event").sign("key_registered", "registry", payload)[0])])
    assert added(home, json.dumps(foreign).encode()) == ["record_created", "graph_snapshot"]


def test_another_registrys_document_without_a_graph_is_taken(home: Home, foreign: dict[str, Any]) -> None:
    assert refusal(home, {**foreign, "graph_snapshot": None}) == "unknown-key"  # and for nothing else


def test_a_receipt_with_a_wrong_signature_is_refused(home: Home) -> None:
    document = json.loads(SEED)
    other = json.loads(PUBLISHED[1].read_bytes())["receipt"]["signature_b64"]
    assert (
        refusal(home, {**document, "receipt": {**document["receipt"], "signature_b64": other}}) == "signature-invalid"
    )


def test_a_receipt_for_another_record_is_refused(home: Home) -> None:
    document = json.loads(SEED)
    receipt = {**document["receipt"], "canonical_sha256": "0" * 64}
    assert refusal(home, {**document, "receipt": receipt}) == "hash-mismatch"


def test_a_document_that_contradicts_its_number_is_refused(home: Home) -> None:
    assert (
        refusal(home, {**json.loads(SEED), "pith_number": "pith:2026:AAAAAAAAAAAAAAAAAAAAAAAAAA"}) == "number-mismatch"
    )


def test_a_document_whose_title_is_another_is_refused(home: Home) -> None:
    document = json.loads(SEED)
    assert refusal(home, {**document, "paper": {**document["paper"], "title": "Another"}}) == "text-mismatch"


# What does not fit.

LARGE = {**json.loads(SEED)["graph_snapshot"], "padding": "x" * 70_000}


def test_a_graph_too_large_for_an_event_leaves_the_record(home: Home) -> None:
    assert added(home, respelled(graph_snapshot=LARGE)) == ["record_created"]


def test_a_graph_too_large_for_an_event_is_listed_as_refused(home: Home) -> None:
    report = imported(home, respelled(graph_snapshot=LARGE))
    assert [refused["error"] for refused in report.refused] == [TooLargeError.code]


# Parts of the wrong kind.


@pytest.mark.parametrize("wrong", [[1], 3, "text", True])
@pytest.mark.parametrize("part", ["verification_status", "graph_snapshot", "formal_canon", "paper_claims", "aliases"])
def test_a_part_of_the_wrong_kind_never_stops_what_comes_after(home: Home, part: str, wrong: Any) -> None:
    imported(home, respelled(**{part: wrong}))
    assert queries.cursor(home.projections) == home.store.head().size


@pytest.mark.parametrize("missing", ["authors_text", "submitted_at", "license", "headline"])
def test_a_document_whose_paper_lacks_a_part_is_shown_without_it(home: Home, missing: str) -> None:
    paper = {name: value for name, value in json.loads(SEED)["paper"].items() if name != missing}
    imported(home, respelled(paper=paper))
    found = served(
        queries.record(home.projections, json.loads(SEED)["pith_number"], home.store.registry().anchored_size()),
        BASE_URL,
    )
    assert json.loads(msgspec.json.encode(found["paper"])) == paper


def test_a_deeply_nested_graph_is_taken_or_refused_but_never_breaks_the_import(home: Home) -> None:
    for depth in range(100, 1000, 50):
        nested = SEED.replace(b'"graph_snapshot":{', b'"graph_snapshot":{"deep":' + b"[" * depth + b"]" * depth + b",")
        assert imported(home, nested).lines == 1
