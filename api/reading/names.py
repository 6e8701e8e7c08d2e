"""Papers by their names in addresses: one address for each document, and a way there from every other name.

A document's address has the whole suffix, in upper case and unescaped. A short form, an alias or another spelling is
answered with 302: it may come to name several papers, so nobody should remember where it led. What names several
papers already is answered with the choices (300).
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final
from urllib.parse import unquote

from litestar import Request
from litestar.response.base import ASGIResponse

from api.answers import moved
from api.caching import SHORT
from api.parts import Parts
from ledger.database import Database
from ledger.errors import NotFoundError
from projections import queries

MAX_NAME: Final = 2_100
"""Longer than every alias (a URL has at most 2,048 characters)."""

WAIT_SECONDS: Final = 10.0
"""How long a reader who names an entry is kept waiting for the projections."""

_SUFFIX: Final = re.compile(r"[A-Z2-7]{26}")

Asked = Request[Any, Any, Any]


def is_suffix(name: str) -> bool:
    return len(name) == 26 and _SUFFIX.fullmatch(name) is not None


def is_as_written(request: Asked) -> bool:
    """Say whether the address is spelled as it is read: nothing escaped, no doubled or trailing slash."""
    scope = request.scope
    raw: bytes = scope["raw_path"]
    path: str = scope["path"]
    return raw == path.encode() or raw == (scope.get("root_path", "") + path).encode()


def name_after(request: Asked, prefix: str) -> str:
    """Return the name that an address ends with, as it was written: a URL keeps its slashes.

    Args:
        prefix: what the address begins with, such as `/pith/`.
    """
    written = unquote(request.scope["raw_path"].decode("latin-1"))
    return written.removeprefix(request.scope.get("root_path", "")).removeprefix(prefix)


async def elsewhere(parts: Parts, request: Asked, name: str, address: str) -> ASGIResponse:
    """Send the asker to the one address of the paper that a name means.

    Args:
        address: with `{}` in the place of the suffix.

    Raises:
        NotFoundError, AmbiguousError: it names none, or several.
    """
    suffix = (await asyncio.to_thread(resolved, parts.projections, name)).subject[10:]
    return moved(located(request, address.format(suffix)), SHORT)


def located(request: Asked, address: str) -> str:
    """Return another address of this application, with the query that was asked with."""
    query = request.scope["query_string"].decode("latin-1")
    asked = f"?{query}" if query and query.isascii() and query.isprintable() else ""
    return f"{request.scope.get('root_path', '')}{address}{asked}"


def resolved(database: Database, name: str) -> queries.Named:
    """Find the paper that a name in an address means; raises NotFoundError, AmbiguousError."""
    if len(name) > MAX_NAME:
        raise missing("no paper has so long a name")
    try:
        return queries.resolve(database, name)
    except NotFoundError as error:
        if name.endswith("/"):
            return resolved(database, name.rstrip("/"))
        raise missing(error.message) from None


def found(database: Database, suffix: str) -> queries.Stored:
    """Return the current view of the paper with a suffix; raises NotFoundError."""
    stored = queries.stored(database, suffix)
    if stored is None:
        raise missing(f"no paper has the suffix {suffix}")
    return stored


def missing(message: str) -> NotFoundError:
    return NotFoundError(message, cure="look for words of its title or authors at /api/search?q=…")


async def caught_up(parts: Parts, wait_for: int | None) -> None:
    """Wait until an entry is in the projections, where a reader names one.

    Raises:
        ProjectionBehindError: they did not get so far in ten seconds.
    """
    if wait_for is not None:
        await parts.present.projected(wait_for, WAIT_SECONDS)
