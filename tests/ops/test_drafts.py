"""Drafts of records: the numbers they give, and what is kept, cut and refused on the way there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import canonical, records
from ledger.errors import InvalidFieldError, MissingFieldError, TooLargeError
from ops.importers import files
from ops.importers.arxiv import paper_from_kaggle
from ops.importers.drafts import LISTED_AUTHORS, MAX_PAPER_BYTES, Author, Paper, draft_of
from ops.importers.plain import paper_from_plain
from ops.importers.values import complete_date, doi_aliases, normal_orcid
from tests.ops.homes import SAMPLES
from tests.ops.sources import KAGGLE, RECORDS, kaggle, plain

# Numbers.


@pytest.mark.parametrize("raw", KAGGLE, ids=lambda raw: json.loads(raw)["id"])
def test_a_snapshot_line_gives_the_number_the_public_registry_published(raw: bytes) -> None:
    draft = files.draft_from_json(raw)
    published = RECORDS[json.loads(raw)["id"]]
    assert draft.subject == published["pith_number"]
    assert draft.canonical_record == published["canonical_record"]
    assert draft.canonical_sha256 == published["canonical_sha256"]
    assert all(alias in draft.aliases for alias in published["aliases"])


def test_a_draft_has_the_public_keys_first_and_its_own_after() -> None:
    draft = draft_of(paper_from_kaggle(kaggle(comments="10 pages")))
    assert list(draft.paper) == [
        *("title", "license", "headline", "cross_cats", "primary_cat", "authors_text", "submitted_at"),
        *("abstract_excerpt", "abstract", "authors", "date", "date_precision", "details"),
    ]
    assert draft.paper["abstract_excerpt"] == draft.paper["abstract"][:600]
    assert draft.paper["authors_text"] == "Herbert Van de Sompel, Paolo Ciccarese, Robert Sanderson"
    assert draft.paper["authors"][0] == {"name": "Robert Sanderson"}
    assert draft.paper["headline"] == ""
    assert draft.paper["details"]["comments"] == "10 pages"
    assert "journal_ref" not in draft.paper["details"]


def test_the_author_string_is_cut_at_commas_as_the_public_registry_does() -> None:
    paper = paper_from_kaggle(kaggle(authors="Z. Able (CPT,\n  Marseille), B. Cee", authors_parsed=...))
    assert draft_of(paper).paper["authors_text"] == "B. Cee, Marseille), Z. Able (CPT"


def test_every_sample_paper_becomes_a_draft_that_checks() -> None:
    lines = list(files.read(SAMPLES / "papers.jsonl.gz"))
    assert len(lines) == 500
    assert [line.number for line in lines] == list(range(1, 500 + 1))
    subjects = set()
    for line in lines:
        assert line.error is None and line.draft is not None
        draft = line.draft
        identity = records.check_record(draft.canonical_record, draft.subject)
        records.check_digest(draft.canonical_sha256, identity)
        records.check_texts(draft.canonical_record, draft.paper["title"], draft.paper["abstract"])
        canonical.encode(draft.paper)
        assert draft.aliases == sorted(draft.aliases, key=lambda alias: (alias["alias_kind"], alias["alias_value"]))
        assert draft.pith_receipt is None and draft.source_text is None
        subjects.add(draft.subject)
    assert len(subjects) == 500
    assert [line.offset for line in lines] == sorted(line.offset for line in lines)
    assert lines[-1].offset == files.size(SAMPLES / "papers.jsonl.gz")


# Drafts.


def test_what_nfc_changes_is_told() -> None:
    decomposed = draft_of(paper_from_plain(plain(title="Pe\u0301ter", abstract="na\u00efve")))
    composed = draft_of(paper_from_plain(plain(title="P\u00e9ter", abstract="na\u00efve")))
    assert decomposed.notes == ("NFC changed the title",)
    assert composed.notes == ()
    assert decomposed.subject == composed.subject
    assert decomposed.paper["title"] == "P\u00e9ter"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=80))
def test_white_space_never_changes_a_number(text: str) -> None:
    one = draft_of(paper_from_plain(plain(title=f"T {text}", abstract=f"A\n\n {text}")))
    two = draft_of(paper_from_plain(plain(title=f"  T\n{text}  ", abstract=f" A {text}\n")))
    assert one.subject == two.subject
    records.check_texts(one.canonical_record, one.paper["title"], one.paper["abstract"])


@pytest.mark.parametrize(
    ("text", "instant", "precision"),
    [
        ("2018", "2018-01-01T00:00:00Z", "year"),
        ("2018-07", "2018-07-01T00:00:00Z", "month"),
        ("2020-02-29", "2020-02-29T00:00:00Z", "day"),
        ("2020-02-29T23:59:59Z", "2020-02-29T23:59:59Z", "second"),
    ],
)
def test_a_date_is_completed_to_its_first_instant(text: str, instant: str, precision: str) -> None:
    assert complete_date(text) == (instant, precision)


@pytest.mark.parametrize("text", ["", "18", "2018-13", "2019-02-29", "2018-7", "0000", "2018-07-01T25:00:00Z", "٢٠١٨"])
def test_a_day_that_is_not_is_refused(text: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        complete_date(text)
    assert caught.value.place == "date"


def test_orcid_check_digits_are_checked() -> None:
    assert normal_orcid("https://orcid.org/0000-0002-1825-0097") == "0000-0002-1825-0097"
    assert normal_orcid("0000-0002-1694-233x") == "0000-0002-1694-233X"
    draft = draft_of(paper_from_plain(plain(authors=[{"name": "Josiah Carberry", "orcid": "0000-0002-1825-0097"}])))
    assert draft.paper["authors"] == [{"name": "Josiah Carberry", "orcid": "0000-0002-1825-0097"}]
    for wrong in ("0000-0002-1825-0098", "0000-0002-1825", "0000-0002-1694-2330"):
        with pytest.raises(InvalidFieldError, match=r"ORCID iD|check digit") as caught:
            draft_of(paper_from_plain(plain(authors=[{"name": "A"}, {"name": "B", "orcid": wrong}])))
        assert caught.value.place == "authors[1].orcid"


def test_a_doi_field_may_name_several_dois_or_none() -> None:
    several = "10.1016/J.joi.2011.09.008; 10.1016/j.joi.2012.09.001\n 10.1016/j.joi.2011.09.008"
    assert [alias.value for alias in doi_aliases(several)] == ["10.1016/j.joi.2011.09.008", "10.1016/j.joi.2012.09.001"]
    assert doi_aliases("10.1002/(SICI)1097-4571(199806)49:8<693::AID-ASI4>3.0.CO;2-O")[0].value.endswith("co;2-o")
    draft = draft_of(paper_from_plain(plain(doi="to appear")))
    assert draft.paper["details"]["doi"] == "to appear"
    assert draft.notes == ("the doi field is no DOI and is kept as text only",)


def test_a_published_doi_is_another_alias() -> None:
    aliases = draft_of(paper_from_plain(plain(doi="10.18653/V1/P18-1001"))).aliases
    assert {"alias_kind": "doi", "alias_value": "10.18653/v1/p18-1001"} in aliases
    assert {"alias_kind": "acl", "alias_value": "P18-1001"} in aliases


def test_a_collaboration_s_author_list_is_cut_to_fit_an_event() -> None:
    authors = [{"name": f"Author Number {index:04d}"} for index in range(1500)]
    draft = draft_of(paper_from_plain(plain(authors=authors)))
    assert len(draft.paper["authors"]) == LISTED_AUTHORS
    assert draft.paper["authors_text"].count(", ") == 1499
    assert draft.paper["details"]["authors_count"] == 1500
    assert draft.notes == ("the first 100 of 1500 authors are listed one by one",)
    crowd = draft_of(paper_from_plain(plain(authors=authors * 4)))
    assert crowd.paper["authors_text"].count(", ") == LISTED_AUTHORS - 1
    assert len(canonical.encode(crowd.paper)) <= MAX_PAPER_BYTES


def test_more_text_than_an_event_holds_is_refused() -> None:
    with pytest.raises(TooLargeError):
        draft_of(paper_from_plain(plain(abstract="é" * 40_000)))
    with pytest.raises(TooLargeError):
        draft_of(paper_from_plain(plain(title="t" * 5_000)))


@given(st.integers(0, 40_000), st.integers(0, 700), st.sampled_from(["a", "é", "€", "\U0001d538", '"', "\\", "\n."]))
@settings(max_examples=60, deadline=None)
def test_a_draft_always_fits_or_is_refused(length: int, authors: int, letter: str) -> None:
    found = plain(abstract=letter * length, authors=[{"name": letter * 3 + "x"}] * authors, comments=letter * 3000)
    try:
        draft = draft_of(paper_from_plain(found))
    except TooLargeError:
        return
    assert len(canonical.encode(draft.paper)) <= MAX_PAPER_BYTES


def test_long_details_are_cut_and_told() -> None:
    draft = draft_of(paper_from_plain(plain(comments="c" * 3000, venue=" A\n B\x01")))
    assert draft.paper["details"] == {"comments": "c" * 2000, "venue": "A B"}
    assert draft.notes == ("comments is cut after 2000 characters",)


@pytest.mark.parametrize("place", ["title", "abstract"])
@pytest.mark.parametrize("character", ["\x00", "\x1b", "\ud800"])
def test_control_characters_are_refused(place: str, character: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        draft_of(paper_from_plain(plain(**{place: f"a{character}b"})))
    assert caught.value.place == place


def test_a_paper_that_cannot_be_a_record_is_refused() -> None:
    good = paper_from_plain(plain())
    fields = {name: getattr(good, name) for name in good.__slots__}
    changes: list[tuple[dict[str, Any], str]] = [
        ({"title": " "}, "title"),
        ({"ident": "p18-1001"}, "id"),
        ({"kind": "isbn"}, ""),
        ({"version": 0}, "canonical_record"),
        ({"categories": ("c" * 61,)}, "canonical_record"),
        ({"license": "l" * 301}, "canonical_record"),
        ({"submitted_at": "2018-07-01"}, "submitted_at"),
        ({"date_precision": "week"}, "date_precision"),
        ({"authors": (Author(" "),)}, "authors[0]"),
        ({"categories": ("cs.\x00CL",)}, "categories"),
    ]
    for change, place in changes:
        with pytest.raises((InvalidFieldError, MissingFieldError)) as caught:
            draft_of(Paper(**{**fields, **change}))
        assert caught.value.place == place


def test_an_empty_abstract_and_no_authors_are_allowed() -> None:
    draft = draft_of(paper_from_plain(plain(abstract=..., authors=[])))
    assert draft.paper["abstract"] == draft.paper["authors_text"] == ""
    assert draft.paper["authors"] == []
