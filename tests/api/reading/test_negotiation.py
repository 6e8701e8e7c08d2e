"""Which media type an `Accept` header prefers."""

from __future__ import annotations

import pytest

from api.reading.negotiation import preferred

OFFERS = ("text/html", "application/json", "application/ld+json")
HTML, JSON, JSON_LD = OFFERS


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", HTML),
        ("*/*", HTML),
        ("text/html", HTML),
        ("text/*", HTML),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", HTML),
        ("application/json", JSON),
        ("application/*", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/json, text/plain, */*", JSON),
        ("*/*, application/json", JSON),
        ("application/ld+json", JSON_LD),
        ('application/ld+json;profile="http://www.w3.org/ns/json-ld#compacted"', JSON_LD),
        ('application/ld+json;profile="a,b;q=0"', JSON_LD),
        ("application/ld+json;q=0.9, application/json;q=0.8", JSON_LD),
        ("application/json;q=0.8, application/ld+json;q=0.9", JSON_LD),
        ("application/json, application/ld+json", JSON),
        ("text/html;q=0.1, application/json;q=0.2", JSON),
        ("text/html;q=0.2, application/json;q=0.1", HTML),
        ("text/html;q=0, */*", JSON),
        ("text/html ; q=0 , application/json ; q = 0.001", JSON),
        ("*/*;q=0.1, text/html;q=0.05", JSON),
        ("text/*;q=0.9, */*;q=0.1, application/ld+json;q=1.000", JSON_LD),
        ("application/json;Q=1", JSON),
        ("application/json;q=1;ext=2", JSON),
        (",, ,application/json,", JSON),
        ("json", HTML),
        ("application/x/json", HTML),
        ("nonsense; q=1, ;;;", HTML),
        ("application/json;q=nonsense, text/html;q=0.1", HTML),
        ("application/json;q=2, text/html;q=0.1", HTML),
        ("application/json;q=0.0001, text/html;q=0.1", HTML),
    ],
)
def test_the_preferred_offer_is_chosen(accept: str, chosen: str) -> None:
    assert preferred(accept, OFFERS) == chosen


@pytest.mark.parametrize(
    "accept",
    [
        "image/png",
        "text/plain",
        "text/html;q=0",
        "*/*;q=0",
        "*/*;q=0.000",
        "application/json;q=0, text/html;q=0, application/ld+json;q=0.0",
        "text/*;q=0, application/*;q=0, image/*",
        "application/json+ld",
    ],
)
def test_nothing_is_chosen_where_nothing_is_accepted(accept: str) -> None:
    assert preferred(accept, OFFERS) is None


def test_a_header_of_any_length_is_read() -> None:
    assert preferred("image/png, " * 5_000 + "application/json", OFFERS) == JSON
    assert preferred('"' * 20_001 + ", application/json", OFFERS) == HTML
    assert preferred(";q=" * 20_000, OFFERS) == HTML
