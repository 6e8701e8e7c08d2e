"""ACL Anthology: collections in XML, their ids, months and licences."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from ledger.errors import InvalidFieldError, MissingFieldError
from ops.importers import files
from ops.importers.acl import anthology_id, month_number, papers_from_collection
from ops.importers.drafts import Paper, draft_of
from ops.importers.plain import paper_from_plain
from tests.ops.homes import SAMPLES
from tests.ops.sources import COACH, collection, written


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
