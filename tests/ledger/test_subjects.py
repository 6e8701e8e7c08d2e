"""Identifiers of papers: every form that people write becomes one normal form, and nothing else passes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.errors import InvalidFieldError
from ledger.subjects import (
    SOURCE_KINDS,
    is_number,
    normal_acl,
    normal_arxiv,
    normal_doi,
    normal_source_id,
    parse_number,
    parse_suffix,
    registry_subject,
)
from tests.strategies import identifier_text

SUFFIX = "QKNOCXGU37VTEACJ427TX64VQJ"
NUMBER = f"pith:2026:{SUFFIX}"


# Pith Numbers and registries.


def test_parse_number_splits_year_and_suffix() -> None:
    assert parse_number(NUMBER) == (2026, SUFFIX)


@pytest.mark.parametrize(
    "text",
    [
        "",
        SUFFIX,
        NUMBER.lower(),
        NUMBER[:-1],
        NUMBER + "A",
        NUMBER + "\n",
        f" {NUMBER}",
        f"pith:26:{SUFFIX}",
        f"pith:２０２６:{SUFFIX}",
        NUMBER.replace("Q", "0"),
        NUMBER.replace("Q", "1"),
        NUMBER.replace("Q", "8"),
        "pith:registry:pith.example",
    ],
)
def test_parse_number_refuses_what_is_no_number(text: str) -> None:
    assert not is_number(text)
    with pytest.raises(InvalidFieldError):
        parse_number(text)


@pytest.mark.parametrize("name", ["pith.example", "a", "a-b.c", "0", "a" * 63])
def test_registry_subject_names_a_registrys_stream(name: str) -> None:
    assert registry_subject(name) == f"pith:registry:{name}"


@pytest.mark.parametrize(
    "name", ["", "Pith.example", ".a", "a.", "-a", "a-", "a b", "a:b", "a/b", "é", "a\n", "a" * 64]
)
def test_registry_subject_refuses_another_form(name: str) -> None:
    with pytest.raises(InvalidFieldError):
        registry_subject(name)


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        (NUMBER, SUFFIX),
        (NUMBER.lower(), SUFFIX),
        (SUFFIX, SUFFIX),
        (f"pith:{SUFFIX[:8]}", SUFFIX[:8]),
        (SUFFIX[:12], SUFFIX[:12]),
        (f"  PITH:{SUFFIX[:16]}\n", SUFFIX[:16]),
        (SUFFIX[:9], SUFFIX[:9]),
        (SUFFIX[:7], None),
        (SUFFIX + "A", None),
        ("pith:registry:a.b", None),
        (SUFFIX[:7] + "0", None),
        ("QKNOCXG\u017f", None),
        ("QKNOCXG\u212a", None),
    ],
)
def test_parse_suffix_reads_whole_and_short_numbers(text: str, suffix: str | None) -> None:
    assert parse_suffix(text) == suffix


# The forms that people write.


@pytest.mark.parametrize(
    ("text", "ident", "version"),
    [
        ("2606.00001", "2606.00001", None),
        ("2606.00001v3", "2606.00001", 3),
        ("0704.0001", "0704.0001", None),
        ("arXiv:2606.00001v12", "2606.00001", 12),
        ("ARXIV:2606.00001", "2606.00001", None),
        ("https://arxiv.org/abs/2606.00001v1", "2606.00001", 1),
        ("http://www.arxiv.org/pdf/2606.00001v2.pdf", "2606.00001", 2),
        ("https://export.arxiv.org/abs/hep-th/9901001", "hep-th/9901001", None),
        ("hep-th/9901001", "hep-th/9901001", None),
        ("arXiv:math.GT/0309136v1", "math/0309136", 1),
        ("Math.gt/0309136", "math/0309136", None),
        ("cs.DL/0309136", "cs/0309136", None),
        ("  2606.00001\n", "2606.00001", None),
    ],
)
def test_normal_arxiv_reads(text: str, ident: str, version: int | None) -> None:
    assert normal_arxiv(text) == (ident, version)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2606.001",
        "2606.000001",
        "260.00001",
        "2606.00001v0",
        "2606.00001v",
        "hep-th/990100",
        "hep-th9901001",
        "arxiv:arxiv:2606.00001",
        "https://arxiv.org/list/2606.00001",
        "２606.00001",
        "2606.00001 v1",
        "2606,00001",
    ],
)
def test_normal_arxiv_refuses(text: str) -> None:
    assert normal_arxiv(text) is None


@pytest.mark.parametrize(
    ("text", "doi"),
    [
        ("10.1000/182", "10.1000/182"),
        ("10.1000/ABC.Def", "10.1000/abc.def"),
        ("doi:10.1000/182", "10.1000/182"),
        ("DOI:10.1000/182", "10.1000/182"),
        ("https://doi.org/10.48550/arXiv.2606.00001", "10.48550/arxiv.2606.00001"),
        ("http://dx.doi.org/10.1000/182", "10.1000/182"),
        ("10.1000.10/123456", "10.1000.10/123456"),
        ("10.1000/(SICI)99:1<1::AID>3.0.CO;2-1", "10.1000/(sici)99:1<1::aid>3.0.co;2-1"),
        ("https://doi.org/10.1000/17:15%3C1661::AID%3E3.0", "10.1000/17:15<1661::aid>3.0"),
        ("https://doi.org/10.1000/a%2Fb", "10.1000/a/b"),
    ],
)
def test_normal_doi_reads(text: str, doi: str) -> None:
    assert normal_doi(text) == doi


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.1000",
        "10.1000/",
        "11.1000/1",
        "10.100/1",
        "10.1000 /1",
        "10.1000/a b",
        "10.1000/é",
        "doi:doi:10.1000/1",
        "https://doi.org/10.1000/%C3%A9",
        "https://doi.org/10.1000/%00",
        "https://example.org/10.1000/1",
        "10.１000/1",
    ],
)
def test_normal_doi_refuses(text: str) -> None:
    assert normal_doi(text) is None


@pytest.mark.parametrize(
    ("text", "ident"),
    [
        ("P19-1234", "P19-1234"),
        ("p19-1234", "P19-1234"),
        ("W19-12345", "W19-12345"),
        ("2020.acl-main.1", "2020.acl-main.1"),
        ("2020.ACL-Main.1", "2020.acl-main.1"),
        ("acl:P19-1234", "P19-1234"),
        ("https://aclanthology.org/2020.acl-main.1/", "2020.acl-main.1"),
        ("https://www.aclweb.org/anthology/P19-1234.pdf", "P19-1234"),
        ("2022.findings-emnlp.12", "2022.findings-emnlp.12"),
    ],
)
def test_normal_acl_reads(text: str, ident: str) -> None:
    assert normal_acl(text) == ident


@pytest.mark.parametrize(
    "text", ["", "P1-1234", "P19-123", "PP9-1234", "2020.acl.1", "2020.acl-main", "2020.acl-main.x"]
)
def test_normal_acl_refuses(text: str) -> None:
    assert normal_acl(text) is None


@pytest.mark.parametrize(
    ("kind", "text", "ident"),
    [
        ("arxiv", "arXiv:2606.00001v2", "2606.00001"),
        ("pmid", "PMID:123456", "123456"),
        ("pmid", "123456", "123456"),
        ("openreview", "https://openreview.net/forum?id=rJl-b3RcF7", "rJl-b3RcF7"),
        ("openreview", "openreview:rJl-b3RcF7", "rJl-b3RcF7"),
        ("openreview", "rJl-b3RcF7", "rJl-b3RcF7"),
        ("url", "https://example.org/Paper.PDF", "https://example.org/Paper.PDF"),
        ("doi", "doi:10.1000/A", "10.1000/a"),
        ("acl", "acl:p19-1234", "P19-1234"),
    ],
)
def test_normal_source_id_reads_each_kind(kind: str, text: str, ident: str) -> None:
    assert normal_source_id(kind, text) == ident


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("isbn", "123"),
        ("", "123"),
        ("arxiv_version", "2606.00001v1"),
        ("arxiv", "10.1000/1"),
        ("pmid", "0123"),
        ("pmid", "1234567890"),
        ("openreview", "abc"),
        ("openreview", "https://example.org/forum?id=rJl-b3RcF7"),
        ("url", "ftp://example.org/"),
        ("url", "https://"),
        ("url", "https://example.org/a b"),
        ("url", "https://example.org/é"),
    ],
)
def test_normal_source_id_refuses(kind: str, text: str) -> None:
    with pytest.raises(InvalidFieldError):
        normal_source_id(kind, text)


# Properties of the normal forms.


@given(identifier_text)
def test_normal_arxiv_is_idempotent(text: str) -> None:
    found = normal_arxiv(text)
    assert found is None or normal_arxiv(found[0]) == (found[0], None)


@given(identifier_text)
def test_normal_acl_is_idempotent(text: str) -> None:
    found = normal_acl(text)
    assert found is None or normal_acl(found) == found


@given(identifier_text)
@example("10.1000/a%2541")
@example("10.1000/100%25")
def test_normal_doi_is_idempotent(text: str) -> None:
    found = normal_doi(text)
    assert found is None or normal_doi(found) == found


@given(st.sampled_from([kind for kind in SOURCE_KINDS if kind != "doi"]), identifier_text)
def test_normal_source_id_is_idempotent_and_raises_nothing_else(kind: str, text: str) -> None:
    try:
        found = normal_source_id(kind, text)
    except InvalidFieldError:
        return
    assert normal_source_id(kind, found) == found


@given(identifier_text)
def test_parse_suffix_is_idempotent(text: str) -> None:
    found = parse_suffix(text)
    assert found is None or parse_suffix(found) == found
