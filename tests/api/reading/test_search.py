"""Searching papers by words: what is found, and what may be asked."""

from __future__ import annotations

import pytest

from tests.api.asking import SHORT, a_paper
from tests.api.registry import BASE_URL, Registry


def found(registry: Registry, **params: str | int) -> list[str]:
    answer = registry.client.get("/api/search", params=params)
    assert answer.status_code == 200, answer.text
    return [hit["pith_number"] for hit in answer.json()["hits"]]


def test_a_hit_says_what_it_is_and_where(registry: Registry) -> None:
    number = a_paper(registry, "Quixotic Windmills")
    answer = registry.client.get("/api/search", params={"q": "quixotic"})
    assert answer.headers["cache-control"] == SHORT
    assert answer.json()["query"] == "quixotic"
    (hit,) = answer.json()["hits"]
    assert (hit["pith_number"], hit["title"], hit["authors"]) == (number, "Quixotic Windmills", "Kurt Gödel")
    assert hit["links"]["json"] == f"{BASE_URL}/pith/{number[10:]}.json"


@pytest.mark.parametrize("words", ["ZEUGMA", "zeugma  abstruse", "Gödel zeugma", "godel ZEUGMA", "zeugma, (abstruse)!"])
def test_all_words_must_be_there_whatever_their_case_and_accents(registry: Registry, words: str) -> None:
    title = "Zeugma in the Wild"
    known = found(registry, q="zeugma abstruse")
    number = known[0] if known else a_paper(registry, title, "Abstruse remarks.")
    assert found(registry, q=words) == [number]
    assert found(registry, q=f"{words} nowhere") == []


def test_the_best_match_comes_first_and_no_more_than_asked_for(registry: Registry) -> None:
    for at in range(4):
        a_paper(registry, f"Number {at}", "The word persimmon stands here.")
    best = a_paper(registry, "Persimmon")
    hits = found(registry, q="persimmon")
    assert (hits[0], len(hits)) == (best, 5)
    assert found(registry, q="persimmon", limit=2) == hits[:2]


def test_what_was_just_appended_is_found_by_who_waits_for_it(registry: Registry) -> None:
    number = a_paper(registry, "Before")
    entry = registry.admit(registry.world.record_updated(number, paper={"headline": "h", "authors_text": "Sibylla"}))
    assert found(registry, q="sibylla", wait_for=entry.position) == [number]


@pytest.mark.parametrize(
    "words",
    [
        '"',
        '"papers',
        "papers AND",
        "NOT papers",
        "papers OR 1",
        "title:papers",
        "NEAR(papers counting, 2)",
        "pap*",
        "^papers",
        "papers)",
        "-papers",
        "papers; DROP TABLE records",
        "_",
        "__ papers",
        "\x00papers",
        "papers\x00",
        "￿ papers",
        "💩 papers",
        "ﷺ",
        "٣",
        "İ",
        "a" * 500,
        " ".join("abcdefgh" * 4),
    ],
)
def test_no_words_are_taken_for_anything_else(registry: Registry, words: str) -> None:
    answer = registry.client.get("/api/search", params={"q": words})
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert answer.json()["type"] == "urn:pith:error:invalid-field"


def test_operators_are_words(registry: Registry) -> None:
    number = a_paper(registry, "Not and or near: a study")
    assert found(registry, q="NOT study") == [number]
    assert found(registry, q="NEAR study") == [number]
    assert found(registry, q="stud*") == []


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("", ""),
        ("q=", ""),
        ("q=%20", ""),
        ("q=...", ""),
        ("q=%F0%9F%92%A9", ""),
        ("q=" + "+".join(["a"] * 33), "q"),
        ("q=" + "x" * 501, "q"),
        ("q=papers&limit=0", "limit"),
        ("q=papers&limit=101", "limit"),
        ("q=papers&limit=-1", "limit"),
        ("q=papers&limit=ten", "limit"),
        ("q=papers&limit=1e1", "limit"),
        ("q=papers&limit=" + "9" * 30, "limit"),
        ("q=papers&wait_for=-1", "wait_for"),
    ],
)
def test_a_question_that_cannot_be_meant_is_refused(registry: Registry, query: str, place: str) -> None:
    answer = registry.client.get(f"/api/search?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json().get("place", "") == place


def test_an_answer_has_a_tag(registry: Registry) -> None:
    answer = registry.client.get("/api/search?q=counting")
    known = registry.client.get("/api/search?q=counting", headers={"if-none-match": answer.headers["etag"]})
    assert known.status_code == 304
    assert registry.client.head("/api/search?q=counting").headers["etag"] == answer.headers["etag"]
