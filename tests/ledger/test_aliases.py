"""Aliases: what follows from a record, what may be added, and what a person may have meant."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.errors import InvalidFieldError
from ledger.subjects import (
    ALIAS_KINDS,
    Alias,
    check_alias,
    interpret,
    source_aliases,
)
from tests.strategies import identifier_text

SUFFIX = "QKNOCXGU37VTEACJ427TX64VQJ"


# Aliases.


def test_an_arxiv_paper_has_its_aliases_in_published_order() -> None:
    assert source_aliases("arxiv", "hep-th/9901001", 2, SUFFIX) == [
        Alias("arxiv", "hep-th/9901001"),
        Alias("arxiv_version", "hep-th/9901001v2"),
        Alias("doi", "10.48550/arxiv.hep-th/9901001"),
        Alias("pith_short_12", SUFFIX[:12]),
        Alias("pith_short_16", SUFFIX[:16]),
        Alias("pith_short_8", SUFFIX[:8]),
    ]


@pytest.mark.parametrize("kind", ["acl", "doi", "url"])
def test_another_source_has_its_own_name_and_the_short_ones(kind: str) -> None:
    kinds = {alias.kind for alias in source_aliases(kind, "x", 1, SUFFIX)}
    assert kinds == {kind, "pith_short_8", "pith_short_12", "pith_short_16"}


NORMAL_ALIASES = [
    ("arxiv", "2606.00001"),
    ("arxiv", "math/0309136"),
    ("arxiv_version", "2606.00001v2"),
    ("acl", "P19-1234"),
    ("doi", "10.1000/abc"),
    ("pmid", "123"),
    ("openreview", "rJl-b3RcF7"),
    ("url", "https://example.org/"),
    ("pith_short_8", SUFFIX[:8]),
    ("pith_short_12", SUFFIX[:12]),
    ("pith_short_16", SUFFIX[:16]),
]


@pytest.mark.parametrize(("kind", "value"), NORMAL_ALIASES)
def test_check_alias_takes_the_normal_form(kind: str, value: str) -> None:
    check_alias(kind, value)


def test_a_normal_alias_of_every_kind_is_tried() -> None:
    assert {kind for kind, _ in NORMAL_ALIASES} == set(ALIAS_KINDS)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("arxiv", "arXiv:2606.00001"),
        ("arxiv", "2606.00001v1"),
        ("arxiv", "math.GT/0309136"),
        ("arxiv", " 2606.00001"),
        ("arxiv_version", "2606.00001"),
        ("arxiv_version", "2606.00001vNone"),
        ("arxiv_version", "arXiv:2606.00001v1"),
        ("arxiv_version", "2606.00001v01"),
        ("acl", "p19-1234"),
        ("acl", "2020.ACL-main.1"),
        ("doi", "10.1000/ABC"),
        ("doi", "https://doi.org/10.1000/abc"),
        ("pmid", "PMID:123"),
        ("openreview", "openreview:rJl-b3RcF7"),
        ("url", "https://example.org/ "),
        ("pith_short_8", SUFFIX[:8].lower()),
        ("pith_short_8", SUFFIX[:9]),
        ("pith_short_8", SUFFIX[:8] + "\n"),
        ("pith_short_9", SUFFIX[:9]),
        ("pith_short_", ""),
        ("isbn", "123"),
        ("", ""),
    ],
)
def test_check_alias_refuses_every_other_form(kind: str, value: str) -> None:
    with pytest.raises(InvalidFieldError):
        check_alias(kind, value)


@pytest.mark.parametrize(("kind", "value"), NORMAL_ALIASES)
@pytest.mark.parametrize("look_alike", ["１", "а", "о", "ſ", "\u212a", "\u2011", "／", "\u200b", "\u0301", "\u00a0"])
def test_no_look_alike_passes_for_an_alias(kind: str, value: str, look_alike: str) -> None:
    taken = []
    for at in range(len(value) + 1):
        for forged in (value[:at] + look_alike + value[at:], value[:at] + look_alike + value[at + 1 :]):
            try:
                check_alias(kind, forged)
            except InvalidFieldError:
                continue
            taken.append(forged)
    assert taken == []


@given(st.sampled_from(ALIAS_KINDS), identifier_text)
def test_whatever_passes_for_an_alias_is_ascii(kind: str, text: str) -> None:
    try:
        check_alias(kind, text)
    except InvalidFieldError:
        return
    assert text.isascii()


# What a person may have meant.


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("arXiv:2606.00001", Alias("arxiv", "2606.00001")),
        ("2606.00001v2", Alias("arxiv_version", "2606.00001v2")),
        ("https://doi.org/10.1000/ABC", Alias("doi", "10.1000/abc")),
        ("acl:P19-1234", Alias("acl", "P19-1234")),
        ("PMID:123", Alias("pmid", "123")),
        ("https://openreview.net/forum?id=rJl-b3RcF7", Alias("openreview", "rJl-b3RcF7")),
        ("https://example.org/paper", Alias("url", "https://example.org/paper")),
    ],
)
def test_interpret_finds_what_is_meant_first(text: str, meant: Alias) -> None:
    assert interpret(text)[0] == meant


def test_interpret_finds_nothing_in_prose() -> None:
    assert interpret("on the counting of papers") == []


@given(identifier_text)
@example("pmid:none")
@example("PMID:0")
def test_interpret_never_raises(text: str) -> None:
    for alias in interpret(text):
        assert alias.value.isascii()
