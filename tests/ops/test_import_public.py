"""Documents and bundles of the public registry: kept word for word, or refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import (
    FloatError,
    HashMismatchError,
    InvalidFieldError,
    LedgerError,
    MissingFieldError,
    NumberMismatchError,
    TextMismatchError,
)
from ops.importers import files
from ops.importers.public import draft_from_bundle, drafts_from_record_document
from tests.ops.homes import PUBLISHED
from tests.ops.sources import bundle, seed, written


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_a_public_record_document_is_kept_word_for_word(path: Path) -> None:
    raw = path.read_bytes()
    document = json.loads(raw)
    draft = drafts_from_record_document(raw)
    assert draft.subject == document["pith_number"]
    assert draft.canonical_record == document["canonical_record"]
    assert draft.pith_receipt == document["receipt"]
    assert draft.paper == document["paper"]
    assert draft.aliases == [{k: a[k] for k in ("alias_kind", "alias_value")} for a in document["aliases"]]
    assert draft.source_text is not None and draft.graph is not None
    for name in ("receipt", "paper", "aliases", "verification_status"):
        assert f'"{name}":{draft.source_text[name]},'.encode() in raw
    assert f"{draft.source_text['row_times'][1:]}".encode() in raw
    assert list(draft.graph) == ["source_text"]
    for name in ("graph_snapshot", "inbound_citations", "paper_claims", "formal_canon"):
        assert f'"{name}":{draft.graph["source_text"][name]},'.encode() in raw


def test_a_record_document_may_be_one_line_or_many(tmp_path: Path) -> None:
    raw = PUBLISHED[0].read_bytes()
    pretty = json.dumps(json.loads(raw), indent=2).encode()
    expected = drafts_from_record_document(raw)
    assert [line.draft for line in files.read(written(tmp_path, raw))] == [expected]
    assert [line.draft for line in files.read(written(tmp_path, raw + b"\n"))] == [expected]
    (line,) = files.read(written(tmp_path, gzip.compress(pretty)))
    assert line.number == 1 and line.draft is not None and line.draft.subject == expected.subject
    assert line.draft.source_text is not None
    assert "\n" in line.draft.source_text["paper"] and line.draft.source_text["paper"].encode() in pretty


def test_floats_are_fine_in_opaque_parts_only() -> None:
    draft = drafts_from_record_document(seed(graph_snapshot={"score": 0.5}))
    assert draft.graph is not None and draft.graph["source_text"]["graph_snapshot"] == '{"score": 0.5}'
    document = json.loads(PUBLISHED[0].read_bytes())
    for name in ("paper", "receipt"):
        with pytest.raises(FloatError) as caught:
            drafts_from_record_document(seed(**{name: {**document[name], "score": 0.5}}))
        assert caught.value.place == name


@pytest.mark.parametrize(
    "key",
    [
        *("pith_number", "canonical_sha256", "canonical_record", "paper", "receipt", "aliases", "graph_snapshot"),
        *("verification_status", "inbound_citations", "paper_claims", "formal_canon", "created_at", "updated_at"),
    ],
)
def test_a_record_document_without_a_required_part_is_refused(key: str) -> None:
    # A registry without a snapshot of a paper says so with null.
    for value in (...,) if key == "graph_snapshot" else (..., None):
        with pytest.raises(MissingFieldError) as caught:
            drafts_from_record_document(seed(**{key: value}))
        assert caught.value.place == key


def test_a_record_document_that_contradicts_itself_is_refused() -> None:
    document = json.loads(PUBLISHED[0].read_bytes())
    paper, receipt = document["paper"], document["receipt"]
    other = json.loads(PUBLISHED[1].read_bytes())
    short = {"alias_kind": "pith_short_8", "alias_value": "AAAAAAAA"}
    cases: list[tuple[dict[str, Any], type[LedgerError], str]] = [
        ({"pith_number": other["pith_number"]}, NumberMismatchError, "canonical_record"),
        ({"pith_number": "pith:2026"}, InvalidFieldError, ""),
        ({"canonical_record": {"a": 1}}, InvalidFieldError, "canonical_record"),
        ({"canonical_record": []}, InvalidFieldError, "canonical_record"),
        ({"canonical_sha256": "0" * 64}, HashMismatchError, "canonical_sha256"),
        ({"short_pith_number": "pith:AAAAAAAA"}, InvalidFieldError, "short_pith_number"),
        ({"source": other["source"]}, InvalidFieldError, "source"),
        ({"paper": {**paper, "title": "Another"}}, TextMismatchError, "title"),
        ({"paper": {**paper, "title": " "}}, MissingFieldError, "paper.title"),
        ({"paper": {**paper, "abstract_excerpt": "Short"}}, TextMismatchError, "abstract"),
        ({"paper": {**paper, "abstract_excerpt": 5}}, InvalidFieldError, "paper.abstract_excerpt"),
        ({"paper": []}, InvalidFieldError, "paper"),
        ({"receipt": {**receipt, "canonical_sha256": "0" * 64}}, HashMismatchError, "receipt.canonical_sha256"),
        ({"receipt": {"kind": "pith_receipt"}}, MissingFieldError, "receipt.canonical_sha256"),
        ({"aliases": {}}, InvalidFieldError, "aliases"),
        ({"aliases": [1]}, MissingFieldError, "aliases[0]"),
        ({"aliases": [{"alias_kind": "isbn", "alias_value": "1"}]}, InvalidFieldError, "aliases[0]"),
        ({"aliases": [{"alias_kind": "doi", "alias_value": "10.1000/ABC"}]}, InvalidFieldError, "aliases[0]"),
        ({"aliases": [document["aliases"][0], short]}, InvalidFieldError, "aliases[1]"),
        ({"aliases": [other["aliases"][0]]}, InvalidFieldError, "aliases[0]"),
        ({"created_at": 5}, InvalidFieldError, "created_at"),
        ({"record_type": "pith_something"}, InvalidFieldError, "record_type"),
    ]
    for change, error, place in cases:
        with pytest.raises(error) as caught:
            drafts_from_record_document(seed(**change))
        assert caught.value.place == place, change


def test_a_bundle_gives_the_draft_of_its_record_and_verifies_nothing_else() -> None:
    draft = files.draft_from_json(bundle())
    document = drafts_from_record_document(PUBLISHED[0].read_bytes())
    assert (draft.subject, draft.paper, draft.aliases) == (document.subject, document.paper, document.aliases)
    assert draft.pith_receipt == document.pith_receipt
    assert draft.notes == ("2 foreign events kept as source text, not verified",)
    assert draft.source_text is not None and draft.source_text["events"].encode() in bundle()
    assert draft.source_text["paper"].encode() in bundle()


def test_a_bundle_without_a_title_names_the_way_out() -> None:
    with pytest.raises(MissingFieldError) as caught:
        draft_from_bundle(bundle(events=json.loads(bundle())["events"][:1]))
    assert "import the record document" in caught.value.cure


def test_a_bad_bundle_is_refused() -> None:
    created, snapshot = json.loads(bundle())["events"]
    payload = created["payload"]
    other = json.loads(PUBLISHED[1].read_bytes())["canonical_record"]
    cases: list[tuple[dict[str, Any], type[LedgerError], str]] = [
        ({"events": ...}, MissingFieldError, "events"),
        ({"events": []}, MissingFieldError, "events[0].event_type"),
        ({"events": {}}, InvalidFieldError, "events"),
        ({"events": [created, 5]}, InvalidFieldError, "events[1]"),
        ({"events": [snapshot, created]}, MissingFieldError, "events[0].event_type"),
        ({"events": [{"event_type": "record_created"}]}, MissingFieldError, "events[0].payload"),
        ({"events": [{**created, "payload": []}]}, InvalidFieldError, "events[0].payload"),
        ({"source_aliases": ...}, MissingFieldError, "source_aliases"),
        (
            {"events": [{**created, "payload": {**payload, "canonical_record": other}}, snapshot]},
            InvalidFieldError,
            "events[0].payload.canonical_record",
        ),
        (
            {"events": [{**created, "payload": {**payload, "receipt": None}}, snapshot]},
            MissingFieldError,
            "events[0].payload.receipt",
        ),
        ({"bundle_type": "zip"}, InvalidFieldError, "bundle_type"),
    ]
    for change, error, place in cases:
        with pytest.raises(error) as caught:
            draft_from_bundle(bundle(**change))
        assert caught.value.place == place, change
