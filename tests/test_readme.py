"""The protocol chapter names what the code accepts, so that a second implementation can be written from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from ledger.events import TYPES
from ledger.payloads import PAYLOADS, Payload
from ledger.subjects import SOURCE_KINDS

PROTOCOL = Path(__file__).parents[1].joinpath("README.md").read_text().split("## Protocol", 1)[1]


def parts(kind: Any) -> Iterator[Any]:
    """Yield a type and all that it is made of."""
    yield kind
    if isinstance(kind, type) and issubclass(kind, Payload):
        for inner in get_type_hints(kind).values():
            yield from parts(inner)
    elif get_origin(kind) is not Literal:
        for inner in get_args(kind):
            yield from parts(inner)


def words() -> list[str]:
    """Return every field name and every allowed word of every payload."""
    found: set[str] = set()
    for payload in PAYLOADS.values():
        for part in parts(payload):
            if get_origin(part) is Literal:
                found.update(get_args(part))
            elif isinstance(part, type) and issubclass(part, Payload) and part.__module__ == "ledger.payloads":
                found.update(() if part.__name__ == "IntegrityFinding" else part.__struct_fields__)
    return sorted(found)


@pytest.mark.parametrize("word", [*words(), *TYPES, *SOURCE_KINDS])
def test_the_protocol_chapter_names_it(word: str) -> None:
    assert re.search(rf"\b{word}\b", PROTOCOL)
