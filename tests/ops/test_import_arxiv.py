"""arXiv: lines of the metadata snapshot, and Atom feeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.errors import InvalidFieldError, LedgerError, MissingFieldError
from ops.importers import files
from ops.importers.arxiv import paper_from_kaggle, papers_from_atom
from ops.importers.drafts import draft_of
from tests.ops.sources import RECORDS, atom, entry, kaggle, written


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


def test_an_atom_entry_gives_the_published_number_too(tmp_path: Path) -> None:
    (line,) = files.read(written(tmp_path, atom(entry())))
    assert line.draft is not None
    assert line.draft.subject == RECORDS["1304.6709"]["pith_number"]
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
