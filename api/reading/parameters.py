"""What the reading addresses are asked with: names and numbers, how they are described and how they are read."""

from __future__ import annotations

import re
from typing import Annotated, Final

from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter

from ledger.canonical import MAX_INTEGER
from ledger.errors import InvalidFieldError, NotFoundError

_WHOLE: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_EVENT_ID: Final = re.compile(r"(?:sha256:)?([0-9a-f]{64})")

Name = Annotated[
    str,
    PathParameter(
        description="The 26 characters of the paper's suffix. Any other name of the paper (short form, number, arXiv "
        "id, DOI, …) is answered with 302 to the address with the suffix, or with 300 where it names several papers.",
        examples=[Example(value="QKNOCXGU37VTEACJ427TX64VQJ")],
    ),
]
WaitFor = Annotated[
    str,
    QueryParameter(
        description="A position of the log: the answer waits, for ten seconds at most, until the entry there is in it.",
        schema_extra={"type": "integer", "minimum": 0},
        examples=[Example(value=508)],
    ),
]
EventId = Annotated[
    str,
    PathParameter(
        description='The event\'s id: "sha256:" and 64 hexadecimal digits.',
        schema_extra={"pattern": "^sha256:[0-9a-f]{64}$"},
        examples=[Example(value="sha256:b396b1d1cac5d64cd9d20387781b4194ccf2e6822c01800dcf929a4d5bdaf3df")],
    ),
]


def whole(text: str, place: str, least: int = 0, most: int = MAX_INTEGER) -> int:
    """Read a whole number in decimal digits.

    Raises:
        InvalidFieldError: it is none, or out of bounds.
    """
    if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
        reach = f"from {least}" if most == MAX_INTEGER else f"from {least} to {most}"
        raise InvalidFieldError(f"{text[:40]!r} is no whole number {reach}", place=place, cure="give decimal digits")
    return int(text)


def optional_whole(text: str, place: str, least: int = 0, most: int = MAX_INTEGER) -> int | None:
    """Read a whole number that may be left out; raises as `whole` does."""
    return whole(text, place, least, most) if text else None


def event_id_of(text: str) -> bytes:
    """Read an event id, with or without its `sha256:`, into 32 raw bytes.

    Raises:
        NotFoundError: no event has such an id.
    """
    found = _EVENT_ID.fullmatch(text)
    if found is None:
        raise NotFoundError(f"{text[:80]!r} is no event id", cure='it is "sha256:" and 64 lower-case hex digits')
    return bytes.fromhex(found[1])
