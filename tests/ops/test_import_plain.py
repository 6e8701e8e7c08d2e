"""Plain lines: whose source and id they name, and what is refused at which place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.errors import InvalidFieldError, LedgerError, MissingFieldError
from ops.importers import files
from ops.importers.drafts import draft_of
from ops.importers.plain import paper_from_plain
from tests.ops.sources import plain


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
