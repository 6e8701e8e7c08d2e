"""The source readers of `pith import`: what they compute, and what they refuse."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import canonical, records
from ledger.errors import (
    DuplicateKeyError,
    FloatError,
    HashMismatchError,
    IntegerRangeError,
    InvalidFieldError,
    LedgerError,
    LoneSurrogateError,
    MalformedError,
    MissingFieldError,
    NotJsonError,
    NumberMismatchError,
    SubmissionError,
    TextMismatchError,
    TooDeepError,
    TooLargeError,
    UsageError,
)
from ops.importers import files
from ops.importers.acl import anthology_id, month_number, papers_from_collection
from ops.importers.arxiv import paper_from_kaggle, papers_from_atom
from ops.importers.drafts import (
    LISTED_AUTHORS,
    MAX_PAPER_BYTES,
    Author,
    Paper,
    draft_of,
)
from ops.importers.plain import paper_from_plain
from ops.importers.public import draft_from_bundle, drafts_from_record_document
from ops.importers.strict import decode_object
from ops.importers.values import complete_date, doi_aliases, normal_orcid

HERE = Path(__file__).parent
VECTORS = HERE.parent / "vectors"
SAMPLES = HERE.parent.parent / "ops" / "samples"
SEEDS = sorted((VECTORS / "pith-records").glob("*.json"))

PUBLISHED = {
    record["canonical_record"]["source"]["id"]: record
    for record in map(json.loads, (VECTORS / "pith" / "records.jsonl").read_text().splitlines())
}
# arXiv metadata (CC0) of papers whose numbers the public registry has published, in the snapshot's form.
KAGGLE = (HERE / "arxiv_lines.jsonl").read_bytes().splitlines()


def plain(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "source": "acl-anthology",
        "id": "acl:P18-1001",
        "title": "Probabilistic FastText",
        "abstract": "We introduce …",
        "authors": [{"given": "Ben", "family": "Athiwaratkun"}, {"name": "Andrew Wilson"}],
        "date": "2018-07",
        "licence_url": "https://creativecommons.org/licenses/by/4.0/",
        **changes,
    }
    return {key: value for key, value in found.items() if value is not ...}


def kaggle(**changes: Any) -> dict[str, Any]:
    found = {**json.loads(KAGGLE[0]), **changes}
    return {key: value for key, value in found.items() if value is not ...}


def written(tmp_path: Path, content: bytes | list[Any], name: str = "papers") -> Path:
    if isinstance(content, list):
        content = b"".join(item if isinstance(item, bytes) else json.dumps(item).encode() + b"\n" for item in content)
    path = tmp_path / name
    path.write_bytes(content)
    return path


def drafts(lines: Iterator[files.Line]) -> list[Any]:
    return [line.draft.subject if line.draft else type(line.error) for line in lines]


# --- numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", KAGGLE, ids=lambda raw: json.loads(raw)["id"])
def test_a_snapshot_line_gives_the_number_the_public_registry_published(raw: bytes) -> None:
    draft = files.draft_from_json(raw)
    published = PUBLISHED[json.loads(raw)["id"]]
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


# --- drafts --------------------------------------------------------------------------------


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


# --- arXiv ---------------------------------------------------------------------------------


def test_a_snapshot_line_keeps_the_last_version_and_the_first_date() -> None:
    versions = [
        {"version": "v1", "created": "Mon, 2 Apr 2007 19:18:42 GMT"},
        {"version": "v2", "created": "Tue, 24 Jul 2007 20:10:27 GMT"},
    ]
    paper = paper_from_kaggle(
        kaggle(
            **{"id": "0704.0001", "versions": versions, "journal-ref": "Phys.Rev.D76:013009,2007", "report-no": "X-1"},
            title="Calculation of prompt diphoton\n  production",
            abstract="  One.\n  Two.\n",
            categories="hep-ph cs.DL math.AP",
            license=None,
            authors_parsed=[["Balázs", "C.", ""], ["Berger", "E. L.", "Jr", "Argonne"], ["", "", ""]],
        )
    )
    draft = draft_of(paper)
    assert draft.canonical_record["source"] == {"kind": "arxiv", "id": "0704.0001", "version": 2}
    assert draft.paper["submitted_at"] == "2007-04-02T19:18:42Z"
    assert (draft.paper["date"], draft.paper["date_precision"]) == ("Mon, 2 Apr 2007 19:18:42 GMT", "second")
    assert draft.paper["title"] == "Calculation of prompt diphoton production"
    assert draft.paper["abstract"] == "One.\n  Two."
    assert draft.paper["authors"] == [{"name": "C. Balázs"}, {"name": "E. L. Berger Jr"}]
    assert (draft.paper["primary_cat"], draft.paper["cross_cats"]) == ("hep-ph", ["cs.DL", "math.AP"])
    assert draft.paper["license"] == ""
    assert draft.paper["details"]["journal_ref"] == "Phys.Rev.D76:013009,2007"
    assert draft.paper["details"]["report_no"] == "X-1"


def test_a_snapshot_line_without_versions_takes_its_update_date() -> None:
    draft = draft_of(paper_from_kaggle(kaggle(versions=..., update_date="2008-11-26")))
    assert draft.canonical_record["source"]["version"] == 1
    assert (draft.paper["submitted_at"], draft.paper["date_precision"]) == ("2008-11-26T00:00:00Z", "day")


@pytest.mark.parametrize(
    ("change", "error", "place"),
    [
        ({"id": 704.0001}, InvalidFieldError, "id"),
        ({"id": None}, MissingFieldError, "id"),
        ({"id": "0704"}, InvalidFieldError, "id"),
        ({"title": ...}, MissingFieldError, "title"),
        ({"title": ["T"]}, InvalidFieldError, "title"),
        ({"versions": [], "update_date": None}, MissingFieldError, "update_date"),
        ({"versions": [], "update_date": "26 Nov 2008"}, InvalidFieldError, "update_date"),
        ({"versions": "v1"}, InvalidFieldError, "versions"),
        ({"versions": ["v1"]}, InvalidFieldError, "versions[0]"),
        ({"versions": [{"version": "1"}]}, InvalidFieldError, "versions[0].version"),
        ({"versions": [{"version": "v2", "created": ""}]}, MissingFieldError, "versions"),
        ({"versions": [{"version": "v1", "created": "2007-04-02"}]}, InvalidFieldError, "versions[0].created"),
        (
            {"versions": [{"version": "v1", "created": "Mon, 31 Feb 2007 19:18:42 GMT"}]},
            InvalidFieldError,
            "versions[0].created",
        ),
        ({"authors_parsed": [["A", 1]]}, InvalidFieldError, "authors_parsed[0]"),
        ({"categories": 1}, InvalidFieldError, "categories"),
    ],
)
def test_bad_snapshot_lines_are_refused_with_their_place(
    change: dict[str, Any], error: type[LedgerError], place: str
) -> None:
    with pytest.raises(error) as caught:
        draft_of(paper_from_kaggle(kaggle(**change)))
    assert caught.value.place == place


ENTRY = """
<entry>
  <id>http://arxiv.org/abs/{ident}</id>
  <updated>2013-04-25T00:00:00Z</updated><published>2013-04-24T19:49:57Z</published>
  <title>{title}</title><summary>  {abstract}
</summary>
  <author><name>Robert Sanderson</name><arxiv:affiliation>LANL</arxiv:affiliation></author>
  <author><name>Paolo Ciccarese</name></author>
  <arxiv:doi>10.1145/2464464.2464474</arxiv:doi>
  <arxiv:comment>10 pages</arxiv:comment><arxiv:journal_ref>WebSci 2013</arxiv:journal_ref>
  <link href="http://creativecommons.org/licenses/by-nc-sa/3.0/" rel="license"/>
  <arxiv:primary_category term="cs.DL"/><category term="cs.DL"/><category term="H.5.4"/><category term="68T50"/>
</entry>"""


def atom(*entries: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom"'
        f' xmlns:arxiv="http://arxiv.org/schemas/atom"><title>ArXiv Query</title>{"".join(entries)}</feed>'
    ).encode()


def entry(ident: str = "1304.6709v1", **changes: str) -> str:
    found = json.loads(KAGGLE[0])
    fields = {"title": found["title"].replace(" ", "\n  ", 1), "abstract": found["abstract"].strip(), **changes}
    return ENTRY.format(ident=ident, **fields)


def test_an_atom_entry_gives_the_published_number_too(tmp_path: Path) -> None:
    (line,) = files.read(written(tmp_path, atom(entry())))
    assert line.draft is not None
    assert line.draft.subject == PUBLISHED["1304.6709"]["pith_number"]
    assert line.draft.paper["authors_text"] == "Paolo Ciccarese, Robert Sanderson"
    assert line.draft.paper["details"] == {
        "url": "https://arxiv.org/abs/1304.6709",
        "comments": "10 pages",
        "journal_ref": "WebSci 2013",
        "updated": "2013-04-25T00:00:00Z",
        "classes": "H.5.4; 68T50",
    }
    assert {"alias_kind": "doi", "alias_value": "10.1145/2464464.2464474"} in line.draft.aliases


def test_a_bad_atom_entry_does_not_stop_the_feed(tmp_path: Path) -> None:
    entries = [entry(), entry("api/errors#bad"), entry(title=""), entry("hep-th/9903163v2")]
    entries.append(entry().replace("2013-04-24T19:49:57Z", ""))
    path = written(tmp_path, atom(*entries))
    found = list(files.read(path))
    assert [line.number for line in found] == [1, 2, 3, 4, 5]
    assert [type(line.error) for line in found[1:3]] == [InvalidFieldError, MissingFieldError]
    assert found[3].draft is not None
    assert found[3].draft.canonical_record["source"] == {"kind": "arxiv", "id": "hep-th/9903163", "version": 2}
    assert isinstance(found[4].error, MissingFieldError) and found[4].error.place == "published"
    assert len(list(papers_from_atom(path))) == 5


# --- ACL Anthology -------------------------------------------------------------------------

COLLECTION = """<?xml version='1.0' encoding='UTF-8'?>
<collection id="{collection}">
  <volume id="{volume}" ingest-date="2020-06-21">
    <meta><booktitle>Proceedings of the 58th Meeting</booktitle>
      <publisher>Association for Computational Linguistics</publisher><month>{month}</month><year>{year}</year>
      <url hash="bdf5095c">2020.acl-main</url></meta>
    <frontmatter><url hash="5ccfe647">2020.acl-main.0</url></frontmatter>
    {papers}
  </volume>
</collection>"""
COACH = """<paper id="3">
      <title><fixed-case>C</fixed-case>oach: A <i>Coarse</i>-to-Fine
        <tex-math>x^2</tex-math> Approach</title>
      <author><first>Grzegorz</first><last>Chrupała</last></author>
      <author orcid="0000-0002-1825-0097"><last>Plato</last></author>
      <pages>19-25</pages><abstract>We <b>propose</b> it.</abstract>
      <url hash="73fadd04">2020.acl-main.3</url><doi>10.18653/v1/2020.acl-main.3</doi>
      <revision id="2" hash="00">r</revision>
    </paper>"""


def collection(
    *papers: str, collection: str = "2020.acl", volume: str = "main", month: str = "July", year: str = "2020"
) -> bytes:
    text = COLLECTION.format(collection=collection, volume=volume, month=month, year=year, papers="".join(papers))
    return text.encode()


def test_an_anthology_paper_is_flattened_and_dated(tmp_path: Path) -> None:
    (line,) = files.read(written(tmp_path, collection(COACH)))
    assert line.draft is not None
    paper = line.draft.paper
    assert paper["title"] == "Coach: A Coarse-to-Fine x^2 Approach"
    assert paper["abstract"] == "We propose it."
    assert paper["authors"] == [{"name": "Grzegorz Chrupała"}, {"name": "Plato", "orcid": "0000-0002-1825-0097"}]
    assert (paper["date"], paper["date_precision"]) == ("July 2020", "month")
    assert paper["submitted_at"] == "2020-07-01T00:00:00Z"
    assert paper["license"] == "https://creativecommons.org/licenses/by/4.0/"
    assert paper["details"] == {
        "venue": "Proceedings of the 58th Meeting",
        "publisher": "Association for Computational Linguistics",
        "pages": "19-25",
        "url": "https://aclanthology.org/2020.acl-main.3/",
        "file_crc32": "73fadd04",
        "revisions": 1,
    }
    assert line.draft.canonical_record["source"] == {"kind": "acl", "id": "2020.acl-main.3", "version": 1}
    assert {"alias_kind": "doi", "alias_value": "10.18653/v1/2020.acl-main.3"} in line.draft.aliases


def test_the_same_paper_has_one_number_from_xml_and_from_plain_lines() -> None:
    sample = next(
        found
        for found in map(json.loads, gzip.decompress((SAMPLES / "papers.jsonl.gz").read_bytes()).splitlines())
        if found["id"].startswith("acl:2020.acl-main.") and found["date"] == "2020-07" and "<" not in json.dumps(found)
    )
    authors = "".join(
        f"<author><first>{author.get('given', '')}</first><last>{author['family']}</last></author>"
        for author in sample["authors"]
    )
    paper = (
        f'<paper id="{sample["id"].rsplit(".")[-1]}"><title>{sample["title"].replace("&", "&amp;")}</title>{authors}'
        f"<abstract>{sample['abstract'].replace('&', '&amp;')}</abstract></paper>"
    )
    (found,) = papers_from_collection(io.BytesIO(collection(paper)))
    assert isinstance(found, Paper)
    assert draft_of(found).subject == draft_of(paper_from_plain(sample)).subject


@pytest.mark.parametrize(
    ("parts", "ident"),
    [
        (("P18", "1", "1"), "P18-1001"),
        (("P18", "01", "0012"), "P18-1012"),
        (("W18", "63", "10"), "W18-6310"),
        (("W18", "1", "2"), "W18-0102"),
        (("C69", "1", "1"), "C69-0101"),
        (("D19", "1", "7"), "D19-1007"),
        (("D19", "50", "7"), "D19-5007"),
        (("2020.findings", "emnlp", "226"), "2020.findings-emnlp.226"),
    ],
)
def test_anthology_ids_are_built_as_the_anthology_does(parts: tuple[str, str, str], ident: str) -> None:
    assert anthology_id(*parts) == ident


@pytest.mark.parametrize("parts", [("", "1", "1"), ("P18", "main", "1"), ("2020.acl", "main", ""), ("P18", "1", "x")])
def test_what_makes_no_anthology_id_is_refused(parts: tuple[str, str, str]) -> None:
    with pytest.raises(InvalidFieldError):
        anthology_id(*parts)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("July", 7),
        ("July-August", 7),
        ("August/September", 8),
        ("3\u20135 june", 6),
        ("Sept. 2", 9),
        ("07", 7),
        ("Spring", None),
        ("", None),
        ("13", None),
    ],
)
def test_months_are_read_by_name(text: str, number: int | None) -> None:
    assert month_number(text) == number


def test_old_volumes_have_the_old_licence_and_perhaps_no_month(tmp_path: Path) -> None:
    path = written(tmp_path, collection(COACH, collection="P15", volume="1", month="", year="2015"))
    (line,) = files.read(path)
    assert line.draft is not None
    assert line.draft.paper["license"] == "https://creativecommons.org/licenses/by-nc-sa/3.0/"
    assert (line.draft.paper["date"], line.draft.paper["date_precision"]) == ("2015", "year")


def test_a_bad_anthology_paper_does_not_stop_the_volume(tmp_path: Path) -> None:
    path = written(
        tmp_path, collection('<paper id="1"><title> </title></paper>', "<paper><title>T</title></paper>", COACH)
    )
    found = list(files.read(path))
    assert [type(line.error) for line in found] == [MissingFieldError, InvalidFieldError, type(None)]
    assert found[0].error is not None and found[0].error.facts()["place"] == "2020.acl-main.1/title"
    for year, error in (("", MissingFieldError), ("MMXX", InvalidFieldError), ("2020-01", InvalidFieldError)):
        (line,) = files.read(written(tmp_path, collection(COACH, year=year)))
        assert isinstance(line.error, error)


# --- XML in general ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prologue",
    [
        '<!DOCTYPE collection [<!ENTITY a "b">]>',
        '<!DOCTYPE collection SYSTEM "file:///etc/passwd">',
    ],
)
def test_document_types_and_entities_are_refused(tmp_path: Path, prologue: str) -> None:
    (line,) = files.read(written(tmp_path, prologue.encode() + collection(COACH).partition(b"\n")[2]))
    assert isinstance(line.error, MalformedError)
    assert "document type or entities" in str(line.error)


def test_broken_xml_yields_what_came_before_and_then_the_error(tmp_path: Path) -> None:
    content = atom(*[entry(f"1304.{number}v1") for number in range(1000, 1040)])
    found = list(files.read(written(tmp_path, content[:-2000])))
    assert all(line.draft for line in found[:-1]) and len(found) > 30
    assert isinstance(found[-1].error, MalformedError) and found[-1].number == len(found)


@pytest.mark.parametrize(
    "content", [b"<html/>", b"<", b"<?xml version='1.0' encoding='klingon'?><feed/>", b"<feed>\xff</feed>"]
)
def test_other_xml_is_refused(tmp_path: Path, content: bytes) -> None:
    (line,) = files.read(written(tmp_path, content))
    assert isinstance(line.error, MalformedError)


def test_an_endless_xml_entry_is_refused_without_being_kept(tmp_path: Path) -> None:
    content = atom(entry(), entry(abstract="a" * (5 * 1024 * 1024)))
    found = list(files.read(written(tmp_path, gzip.compress(content, 1))))
    assert [type(line.error) for line in found] == [type(None), TooLargeError]


# --- plain lines ---------------------------------------------------------------------------


def test_plain_lines_name_their_source_and_id() -> None:
    for source, ident, normal in [
        ("acl-anthology", "acl:P18-1001", ("acl", "P18-1001")),
        ("arxiv", "arXiv:1903.08305v2", ("arxiv", "1903.08305")),
        ("doi", "https://doi.org/10.1000/ABC", ("doi", "10.1000/abc")),
        ("pmid", "PMID:123", ("pmid", "123")),
        ("openreview", "https://openreview.net/forum?id=rJl-n1rKDS", ("openreview", "rJl-n1rKDS")),
        ("url", "https://example.org/paper.pdf", ("url", "https://example.org/paper.pdf")),
    ]:
        for key in ("source", "kind"):
            draft = files.draft_from_json(json.dumps({**plain(source=...), key: source, "id": ident}).encode())
            found = draft.canonical_record["source"]
            assert (found["kind"], found["id"]) == normal
            assert found["version"] == (2 if source == "arxiv" else 1)
            assert draft.paper["license"] == ("" if source == "arxiv" else plain()["licence_url"])


@pytest.mark.parametrize(
    ("change", "error", "place"),
    [
        ({"source": "isbn"}, InvalidFieldError, "source"),
        ({"source": ...}, MissingFieldError, "kind"),
        ({"id": ...}, MissingFieldError, "id"),
        ({"id": "acl:nothing"}, InvalidFieldError, "id"),
        ({"title": ""}, MissingFieldError, "title"),
        ({"title": 7}, InvalidFieldError, "title"),
        ({"abstract": 1.5}, InvalidFieldError, "abstract"),
        ({"date": ...}, MissingFieldError, "date"),
        ({"date": "July 2018"}, InvalidFieldError, "date"),
        ({"version": "1"}, InvalidFieldError, "version"),
        ({"version": True}, InvalidFieldError, "version"),
        ({"version": 10_000}, InvalidFieldError, "version"),
        ({"authors": "Ben"}, InvalidFieldError, "authors"),
        ({"authors": ["Ben"]}, InvalidFieldError, "authors[0]"),
        ({"authors": [{"given": " "}]}, MissingFieldError, "authors[0]"),
        ({"authors": [{"name": 1}]}, InvalidFieldError, "authors[0].name"),
        ({"categories": [1]}, InvalidFieldError, "categories"),
        ({"revisions": 2}, InvalidFieldError, "revisions"),
        ({"venue": 2}, InvalidFieldError, "venue"),
    ],
)
def test_bad_plain_lines_are_refused_with_their_place(
    change: dict[str, Any], error: type[LedgerError], place: str
) -> None:
    with pytest.raises(error) as caught:
        draft_of(paper_from_plain(plain(**change)))
    assert caught.value.place == place


# --- public documents ----------------------------------------------------------------------


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
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
    raw = SEEDS[0].read_bytes()
    pretty = json.dumps(json.loads(raw), indent=2).encode()
    expected = drafts_from_record_document(raw)
    assert [line.draft for line in files.read(written(tmp_path, raw))] == [expected]
    assert [line.draft for line in files.read(written(tmp_path, raw + b"\n"))] == [expected]
    (line,) = files.read(written(tmp_path, gzip.compress(pretty)))
    assert line.number == 1 and line.draft is not None and line.draft.subject == expected.subject
    assert line.draft.source_text is not None
    assert "\n" in line.draft.source_text["paper"] and line.draft.source_text["paper"].encode() in pretty


def seed(**changes: Any) -> bytes:
    document = {**json.loads(SEEDS[0].read_bytes()), **changes}
    return json.dumps({key: value for key, value in document.items() if value is not ...}).encode()


def test_floats_are_fine_in_opaque_parts_only() -> None:
    draft = drafts_from_record_document(seed(graph_snapshot={"score": 0.5}))
    assert draft.graph is not None and draft.graph["source_text"]["graph_snapshot"] == '{"score": 0.5}'
    document = json.loads(SEEDS[0].read_bytes())
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
    document = json.loads(SEEDS[0].read_bytes())
    paper, receipt = document["paper"], document["receipt"]
    other = json.loads(SEEDS[1].read_bytes())
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


def bundle(**changes: Any) -> bytes:
    document = json.loads(SEEDS[0].read_bytes())
    record = {"canonical_record": document["canonical_record"], "canonical_sha256": document["canonical_sha256"]}
    found = {
        "bundle_type": "pith_open_graph_bundle",
        "bundle_version": "1.0",
        **{key: document[key] for key in ("pith_number", "short_pith_number", "source")},
        **record,
        "source_aliases": document["aliases"],
        "events": [
            {"event_type": "record_created", "target": "record", "payload": {**record, "receipt": document["receipt"]}},
            {
                "event_type": "graph_snapshot",
                "target": "graph",
                "payload": {"graph_snapshot": {**document["graph_snapshot"], "score": 1.5}},
            },
        ],
        **changes,
    }
    return json.dumps({key: value for key, value in found.items() if value is not ...}).encode()


def test_a_bundle_gives_the_draft_of_its_record_and_verifies_nothing_else() -> None:
    draft = files.draft_from_json(bundle())
    document = drafts_from_record_document(SEEDS[0].read_bytes())
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
    other = json.loads(SEEDS[1].read_bytes())["canonical_record"]
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


# --- files ---------------------------------------------------------------------------------


def test_one_file_may_mix_json_lines_of_all_forms(tmp_path: Path) -> None:
    lines = [plain(), b"\n", json.loads(KAGGLE[0]), b"  \t\n", SEEDS[0].read_bytes() + b"\n", json.loads(bundle())]
    for content in (written(tmp_path, lines), written(tmp_path, gzip.compress(written(tmp_path, lines).read_bytes()))):
        found = list(files.read(content))
        assert [line.number for line in found] == [1, 3, 5, 6]
        assert all(line.error is None for line in found)
        assert found[1].draft is not None and found[1].draft.subject == PUBLISHED["1304.6709"]["pith_number"]


GOOD = json.dumps(plain()).encode() + b"\n"


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (b"not json", NotJsonError),
        (b'{"title":', NotJsonError),
        (b"[1]", NotJsonError),
        (b"null", NotJsonError),
        (b'{"a":NaN}', NotJsonError),
        (b'{"a":"\xff"}', NotJsonError),
        (b'{"a":"\x00"}', NotJsonError),
        (b"\x00\x00\x00", NotJsonError),
        (b'\xef\xbb\xbf{"a":1}', NotJsonError),
        (b'{"a":1,"a":1}', DuplicateKeyError),
        (b'{"a":{"b":[{"c":1,"c":2}]}}', DuplicateKeyError),
        (b'{"a":"\\ud800"}', LoneSurrogateError),
        (b'{"\\udc00":1}', LoneSurrogateError),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", TooDeepError),
        (b'{"a":' + b"9" * 5_000 + b"}", IntegerRangeError),
        (b'{"a":"' + b"x" * files.MAX_LINE_BYTES + b'"}', TooLargeError),
        (b"{}", InvalidFieldError),
        (b'{"id":"1304.6709"}', InvalidFieldError),
        (json.dumps(plain(title="a\x00b")).encode(), InvalidFieldError),
    ],
    ids=range(19),
)
@pytest.mark.parametrize("packed", [False, True])
def test_one_bad_line_does_not_stop_the_file(
    tmp_path: Path, bad: bytes, error: type[LedgerError], packed: bool
) -> None:
    for content in (GOOD + bad + b"\n" + GOOD, bad + b"\n" + GOOD, GOOD + bad):
        path = written(tmp_path, gzip.compress(content, 1) if packed else content)
        found = list(files.read(path))
        wrong = [line for line in found if line.error]
        assert [type(line.error) for line in wrong] == [error]
        assert len(found) == content.count(GOOD) + 1
        assert wrong[0].number == (1 if content.startswith(bad) else 2)


def test_surrogate_pairs_and_escaped_letters_are_fine() -> None:
    assert decode_object(b'{"a":"\\ud83d\\ude00 \\u00e9"}') == {"a": "\U0001f600 é"}


def test_a_torn_gzip_file_yields_its_good_lines_and_then_the_error(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(json.dumps(plain(id=f"P18-{n}")).encode() + b"\n" for n in range(1001, 4000)))
    for content in (whole[:-4000], whole[:-8] + b"\0" * 8, whole[:20_000] + b"\xff" * 4000, whole + b"garbage"):
        found = list(files.read(written(tmp_path, content)))
        assert isinstance(found[-1].error, MalformedError)
        assert "gzip" in str(found[-1].error) and found[-1].error.cure
        assert all(line.draft for line in found[:-1])
    assert len(found) == 3000


@pytest.mark.parametrize("part", ["graph_snapshot", "paper", "aliases", "canonical_record", "other"])
def test_any_depth_is_read_or_refused(part: str) -> None:
    for depth in range(900, 1001):
        text = json.dumps(json.loads(seed(**{part: ...})))[:-1] + f', "{part}": {"[" * depth}{"]" * depth}}}'
        try:
            files.draft_from_json(text.encode())
        except SubmissionError:
            continue


def test_several_gzip_members_are_one_file(tmp_path: Path) -> None:
    assert len(list(files.read(written(tmp_path, gzip.compress(GOOD) * 3)))) == 3


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as stream:
        for _ in range(64):
            stream.write(b"a" * (1 << 20))
        stream.write(b"\n" + GOOD)
    path = written(tmp_path, packed.getvalue())
    tracemalloc.start()
    found = list(files.read(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [type(line.error) for line in found] == [TooLargeError, type(None)]
    assert peak < 32 * 1024 * 1024


def test_an_empty_file_has_no_lines_and_a_missing_one_is_told(tmp_path: Path) -> None:
    for content in (b"", b"\n \n", gzip.compress(b"")):
        assert list(files.read(written(tmp_path, content))) == []
    with pytest.raises(UsageError, match="cannot be read"):
        list(files.read(tmp_path / "missing"))
    with pytest.raises(UsageError, match="cannot be read"):
        list(files.read(tmp_path))
    with pytest.raises(UsageError, match="cannot be read"):
        files.size(tmp_path / "missing")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    base=st.sampled_from([plain(), json.loads(KAGGLE[0]), json.loads(SEEDS[0].read_bytes()), json.loads(bundle())]),
    data=st.data(),
)
@settings(max_examples=400, deadline=None)
def test_any_change_to_a_good_object_is_read_or_refused_but_never_crashes(base: dict[str, Any], data: Any) -> None:
    changed = json.loads(json.dumps(base))
    target: Any = changed
    while True:
        step: Any = data.draw(st.sampled_from(sorted(target) if isinstance(target, dict) else list(range(len(target)))))
        inner = target[step]
        if not inner or not isinstance(inner, dict | list) or data.draw(st.booleans()):
            target[step] = data.draw(JSON)
            break
        target = inner
    try:
        draft = files.draft_from_json(json.dumps(changed).encode())
    except SubmissionError as error:
        assert error.message
    else:
        records.check_record(draft.canonical_record, draft.subject)
        canonical.encode(draft.paper)
        canonical.encode(draft.aliases)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_line_by_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(content)
    for line in files.read(path):
        assert isinstance(line.error, SubmissionError)
