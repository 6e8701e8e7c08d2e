"""Papers by their names in addresses: one address for each document, and a way there from every other name.

A document's address has the whole suffix, in upper case and unescaped. A short form, an alias or another spelling is
answered with 302: it may come to name several papers, so nobody should remember where it led. What names several
papers already is answered with the choices (300).
A paper in another log of the registry is answered by that log: the way there is a 302 too, and from a paper's one
address a 307.
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
from api.reading.other_logs import OtherLog
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
        OtherLogError: as `resolved` and `located` do.
    """
    log, named = await asyncio.to_thread(resolved, parts, name)
    return moved(located(request, address.format(named.subject[10:]), log), SHORT)


def located(request: Asked, address: str, log: OtherLog | None = None) -> str:
    """Return another address of this application, or of another log's, with the query that was asked with.

    Raises:
        OtherLogError: it is not known where that log is served.
    """
    query = request.scope["query_string"].decode("latin-1")
    asked = f"?{query}" if query and query.isascii() and query.isprintable() else ""
    here = request.scope.get("root_path", "") if log is None else log.led().address
    return f"{here}{address}{asked}"


def resolved(parts: Parts, name: str) -> tuple[OtherLog | None, queries.Named]:
    """Find the paper that a name in an address means, and its log, None for the one here.

    Raises:
        NotFoundError, AmbiguousError: it means none, or several.
        OtherLogError: none is known here, and another log of the registry cannot be read now.
    """
    if len(name) > MAX_NAME:
        raise missing("no paper has so long a name")
    try:
        return parts.others.resolve(name, parts.projections, lambda database: queries.resolve(database, name))
    except NotFoundError as error:
        if name.endswith("/"):
            return resolved(parts, name.rstrip("/"))
        raise missing(error.message) from None


def found(parts: Parts, suffix: str) -> queries.Stored:
    """Return the current view of the paper with a suffix.

    Raises:
        NotFoundError: no log of the registry has it.
        InOtherLogError: another has it.
        OtherLogError: another may have it, and cannot be read now.
    """
    stored = queries.stored(parts.projections, suffix)
    if stored is not None:
        return stored
    if led := parts.others.led_to(suffix):
        raise led
    raise missing(f"no paper has the suffix {suffix}")


def missing(message: str) -> NotFoundError:
    return NotFoundError(message, cure="look for words of its title or authors at /api/search?q=…")


async def caught_up(parts: Parts, wait_for: int | None) -> None:
    """Wait until an entry is in the projections, where a reader names one.

    Raises:
        ProjectionBehindError: they did not get so far in ten seconds.
    """
    if wait_for is not None:
        await parts.present.projected(wait_for, WAIT_SECONDS)
