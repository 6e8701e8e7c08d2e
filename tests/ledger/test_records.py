"""Canonical records: every published Pith Number recomputes, and every wrong one is refused by name."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger import records
from ledger.errors import HashMismatchError, InvalidFieldError, NumberMismatchError, TextMismatchError
from ledger.keys import decode_signature, verify_receipt
from ledger.subjects import source_aliases
from tests.builders import NUMBER, RECORD, a_record

VECTORS = Path(__file__).parents[1] / "vectors"
LINES = [json.loads(line) for line in (VECTORS / "pith" / "records.jsonl").read_text().splitlines()]
SUFFIXES = [line["suffix"] for line in LINES]
DOCUMENTS = [json.loads(path.read_text()) for path in sorted((VECTORS / "pith-records").glob("*.json"))]
PUBLISHED_KEY = bytes.fromhex("b2d552b68890857171a78b36a5dccf368a953413288c353f7c9d9d6f94b709b3")

published = pytest.mark.parametrize("line", LINES, ids=SUFFIXES)
document = pytest.mark.parametrize("document", DOCUMENTS, ids=[found["pith_number"] for found in DOCUMENTS])


def published_aliases(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(alias["alias_kind"], alias["alias_value"]) for alias in found["aliases"]]


def computed_aliases(record: dict[str, Any], suffix: str) -> list[tuple[str, str]]:
    source = record["source"]
    return [
        (alias.kind, alias.value) for alias in source_aliases(source["kind"], source["id"], source["version"], suffix)
    ]


def changed(place: str, value: Any) -> dict[str, Any]:
    """Return the default record with one field, such as `source.id`, changed."""
    record: dict[str, Any] = json.loads(json.dumps(RECORD))
    *parents, name = place.split(".")
    holder = record
    for parent in parents:
        holder = holder[parent]
    holder[name] = value
    return record


# The published records.


def test_the_published_records_are_all_there() -> None:
    assert (len(LINES), len(DOCUMENTS)) == (84, 2)


@published
def test_a_published_number_recomputes(line: dict[str, Any]) -> None:
    assert records.identify(line["canonical_record"]).number == line["pith_number"]


@published
def test_a_published_hash_and_suffix_recompute(line: dict[str, Any]) -> None:
    identity = records.identify(line["canonical_record"])
    assert (identity.digest.hex(), identity.suffix) == (line["canonical_sha256"], line["suffix"])


@published
def test_a_published_record_passes_the_check(line: dict[str, Any]) -> None:
    records.check_record(line["canonical_record"], line["pith_number"])


@published
def test_published_aliases_follow_from_the_record_in_their_order(line: dict[str, Any]) -> None:
    assert computed_aliases(line["canonical_record"], line["suffix"]) == published_aliases(line)


@pytest.mark.parametrize(
    "line", [line for line in LINES if line["title"]], ids=[line["suffix"] for line in LINES if line["title"]]
)
def test_a_published_title_hashes_to_the_record(line: dict[str, Any]) -> None:
    assert records.text_sha256(line["title"]) == line["canonical_record"]["metadata"]["title_canon_sha256"]


@pytest.mark.parametrize("line", [line for line in LINES if line["signature_b64"]], ids=lambda line: line["suffix"])
def test_a_published_receipt_verifies_under_the_published_key(line: dict[str, Any]) -> None:
    signature = decode_signature(line["signature_b64"], "signature_b64")
    verify_receipt(PUBLISHED_KEY, records.identify(line["canonical_record"]).digest, signature)


@document
def test_a_whole_document_recomputes(document: dict[str, Any]) -> None:
    identity = records.check_record(document["canonical_record"], document["pith_number"])
    assert (identity.digest.hex(), identity.short) == (document["canonical_sha256"], document["short_pith_number"])


@document
def test_a_whole_documents_title_hashes_to_its_record(document: dict[str, Any]) -> None:
    records.check_texts(document["canonical_record"], document["paper"]["title"], None)


@document
def test_a_whole_documents_aliases_follow_in_their_order(document: dict[str, Any]) -> None:
    suffix = records.identify(document["canonical_record"]).suffix
    assert computed_aliases(document["canonical_record"], suffix) == published_aliases(document)


@document
def test_a_whole_documents_receipt_verifies(document: dict[str, Any]) -> None:
    signature = decode_signature(document["receipt"]["signature_b64"], "receipt")
    verify_receipt(PUBLISHED_KEY, records.identify(document["canonical_record"]).digest, signature)


@document
def test_a_whole_documents_snapshot_hashes_recompute(document: dict[str, Any]) -> None:
    graph = document["graph_snapshot"]
    integrity = {"detectors": graph["integrity"]["detectors_run"], "findings": graph["integrity"]["findings"]}
    assert records.snapshot_sha256(integrity) == graph["integrity"]["snapshot_sha256"]
    assert records.snapshot_sha256(graph["claims"]["items"]) == graph["claims"]["snapshot_sha256"]


# The rules that they follow.


@pytest.mark.parametrize(
    ("text", "hashed"),
    [
        ("Spot it(R) Solitaire", "spot it(r) solitaire"),
        ('On the "Calligraphy" of Books', 'on the "calligraphy" of books'),
        ("A question --- beyond", "a question --- beyond"),
        ('K\\"ahler manifolds', 'k\\"ahler manifolds'),
        (r"$B^+ \to D^{(*)+}K^{(*)0}$", r"$b^+ \to d^{(*)+}k^{(*)0}$"),
        ("S$^3$GNN", "s$^3$gnn"),
        ("one\n  two", "one two"),
        ("  one \t\r\n two  ", "one two"),
        ("one\u00a0two\u2003three", "one two three"),
        ("STRASSE Straße", "strasse straße"),
        ("ΟΔΟΣ", "οδος"),
        ("", ""),
    ],
)
def test_text_is_hashed_in_lower_case_with_single_spaces_and_nothing_else(text: str, hashed: str) -> None:
    assert records.text_sha256(text) == hashlib.sha256(hashed.encode()).hexdigest()


@given(st.text(st.characters(exclude_categories=("Cs",))))
@example("a\x1cb\x85c\u180ed\u200be\ufefff")
def test_text_sha256_agrees_with_the_published_rule(text: str) -> None:
    rule = re.sub(r"\s+", " ", text).strip().lower()
    assert records.text_sha256(text) == hashlib.sha256(rule.encode()).hexdigest()


@pytest.mark.parametrize(
    ("content", "digest"),
    [
        ([], "258153158e38e3291e3d48162225fcdb2d5a3ed65a07baac614ab91432fd4f57"),
        ({"detectors": [], "findings": []}, "c28c3603d3b5d939e8dc4c7e95fa8dfce3d595e45f758748cecf8e644a296938"),
        ({"findings": [], "detectors": []}, "c28c3603d3b5d939e8dc4c7e95fa8dfce3d595e45f758748cecf8e644a296938"),
    ],
)
def test_snapshot_sha256_gives_the_published_hashes(content: Any, digest: str) -> None:
    assert records.snapshot_sha256(content) == digest


def test_a_suffix_is_the_first_130_bits_of_the_whole_hash() -> None:
    digest = hashlib.sha256(b"a record").digest()
    assert records.suffix_of(digest) == base64.b32encode(digest)[:26].decode()


def test_the_year_of_a_number_is_that_of_submission() -> None:
    record, _ = a_record(ident="1801.00004", submitted_at="2017-12-29T23:59:59Z")
    assert records.identify(record).number.startswith("pith:2017:")


def test_texts_are_brought_to_nfc_before_they_are_hashed() -> None:
    decomposed, _ = a_record(title="Poincare\u0301", abstract="A\u030angstro\u0308m")
    composed, _ = a_record(title="Poincaré", abstract="Ångström")
    assert decomposed == composed


def test_the_same_text_in_two_unicode_forms_passes_for_one_hash() -> None:
    record, _ = a_record(title="Poincaré")
    records.check_texts(record, unicodedata.normalize("NFD", "Poincaré"), None)


def test_the_first_category_is_primary_and_the_others_are_sorted() -> None:
    record, _ = a_record(categories=("math-ph", "math.MP", "math.AT", "math.GT"))
    metadata = record["metadata"]
    assert (metadata["primary_cat"], metadata["cross_cats_sorted"]) == ("math-ph", ["math.AT", "math.GT", "math.MP"])


def test_a_source_without_categories_has_none() -> None:
    record, _ = a_record(kind="acl", ident="P19-1234", categories=())
    assert (record["metadata"]["primary_cat"], record["metadata"]["cross_cats_sorted"]) == ("", [])


def test_another_version_is_another_number() -> None:
    assert records.identify(a_record(version=2)[0]).number != NUMBER


# Refusals, by name.


def test_check_record_refuses_another_records_number() -> None:
    other = records.identify(a_record(title="Another paper")[0]).number
    with pytest.raises(NumberMismatchError):
        records.check_record(RECORD, other)


def test_check_record_refuses_another_year() -> None:
    with pytest.raises(NumberMismatchError):
        records.check_record(RECORD, f"pith:2025:{NUMBER[10:]}")


@pytest.mark.parametrize("number", ["", NUMBER.lower(), NUMBER[:-1], NUMBER + "A", NUMBER[5:], "pith:registry:a.b"])
def test_check_record_refuses_what_is_no_number(number: str) -> None:
    with pytest.raises(InvalidFieldError):
        records.check_record(RECORD, number)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("schema_version", "1.1"),
        ("schema_version", 1),
        ("source.kind", "isbn"),
        ("source.kind", ""),
        ("source.id", ""),
        ("source.id", "2606.1"),
        ("source.id", "arXiv:2606.00001"),
        ("source.id", "2606.00001v1"),
        ("source.id", "math.GT/0309136"),
        ("source.id", "HEP-TH/9901001"),
        ("source.version", 0),
        ("source.version", "1"),
        ("source.version", 10_000),
        ("source.extra", 1),
        ("metadata.extra", 1),
        ("extra", 1),
        ("metadata.license", None),
        ("metadata.cross_cats_sorted", ["cs.LG", "cs.CR"]),
        ("metadata.cross_cats_sorted", "cs.LG"),
        ("metadata.submitted_at", "2026-06-01"),
        ("metadata.submitted_at", "2026-06-01T08:00:00+00:00"),
        ("metadata.submitted_at", "2026-06-01T08:00:00.000000Z"),
        ("metadata.submitted_at", "2026-06-01T08:00:00Z\n"),
        ("metadata.submitted_at", "2026-02-30T08:00:00Z"),
        ("metadata.submitted_at", "2026-06-01T24:00:01Z"),
        ("metadata.submitted_at", "0000-06-01T08:00:00Z"),
        ("metadata.title_canon_sha256", "00"),
        ("metadata.title_canon_sha256", RECORD["metadata"]["title_canon_sha256"].upper()),
    ],
)
def test_check_record_refuses_a_wrong(place: str, value: Any) -> None:
    record = changed(place, value)
    with pytest.raises(InvalidFieldError):
        records.check_record(record, NUMBER)


def test_check_record_refuses_a_missing_field() -> None:
    with pytest.raises(InvalidFieldError):
        records.check_record({name: RECORD[name] for name in ("schema_version", "source")}, NUMBER)


def test_unsorted_categories_are_named_by_place() -> None:
    with pytest.raises(InvalidFieldError) as refused:
        records.check_record(changed("metadata.cross_cats_sorted", ["b", "a"]), NUMBER)
    assert refused.value.place == "canonical_record.metadata.cross_cats_sorted"


def test_an_impossible_date_is_named_by_place() -> None:
    with pytest.raises(InvalidFieldError) as refused:
        records.check_record(changed("metadata.submitted_at", "2026-06-31T00:00:00Z"), NUMBER)
    assert refused.value.place == "canonical_record.metadata.submitted_at"


def test_an_id_that_is_not_in_normal_form_is_named_by_place() -> None:
    with pytest.raises(InvalidFieldError) as refused:
        records.check_record(changed("source.id", "arXiv:2606.00001"), NUMBER)
    assert refused.value.place == "canonical_record.source.id"


def test_check_digest_refuses_another_hash() -> None:
    with pytest.raises(HashMismatchError) as refused:
        records.check_digest("0" * 64, records.identify(RECORD))
    assert refused.value.place == "canonical_sha256"


@pytest.mark.parametrize(
    ("title", "abstract", "place"),
    [
        ("On the Counting of Pages", None, "title"),
        ("On the Counting of Papers", "We count pages.", "abstract"),
        ("On the Counting of Papers", "", "abstract"),
    ],
)
def test_check_texts_refuses_a_text_that_was_not_hashed(title: str, abstract: str | None, place: str) -> None:
    with pytest.raises(TextMismatchError) as refused:
        records.check_texts(RECORD, title, abstract)
    assert refused.value.place == place


@pytest.mark.parametrize("time", ["2026-06-19T16:00:00Z", "2024-02-29T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_check_time_takes_an_instant_that_exists(time: str) -> None:
    assert records.check_time(time, "here").strftime("%Y-%m-%dT%H:%M:%SZ") == time


@pytest.mark.parametrize(
    "time",
    [
        "",
        "2026-06-19 16:00:00Z",
        "2026-06-19T16:00:00",
        "2026-06-19T16:00:00z",
        "2026-06-19T16:00:60Z",
        "2026-06-19T24:00:00Z",
        "2025-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "２０２６-06-19T16:00:00Z",
        "12026-06-19T16:00:00Z",
    ],
)
def test_check_time_refuses_what_is_no_instant(time: str) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        records.check_time(time, "here")
    assert refused.value.place == "here"
