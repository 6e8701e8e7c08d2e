"""`/api/search`: papers by the words of their title, authors and abstract."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from litestar import route
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import QueryParameter
from litestar.response.base import ASGIResponse

from api.addresses import links
from api.answers import JSON, Answer
from api.caching import SHORT
from api.documented import METHODS, RECORDS, answers, operation
from api.parts import Parts
from api.reading.names import Asked, caught_up
from api.reading.other_logs import OtherLog
from api.reading.parameters import WaitFor, optional_whole, whole
from ledger.errors import InvalidFieldError
from projections import queries

LIMIT: Final = 20
MAX_LIMIT: Final = 100
MAX_WORDS: Final = 32
MAX_CHARACTERS: Final = 500


class SearchHit(msgspec.Struct, frozen=True, kw_only=True):
    """A paper that holds all the words; `log` is its log's origin, where that is another than the one served here."""

    pith_number: str
    title: str
    authors: str
    links: dict[str, str]
    log: str | msgspec.UnsetType = msgspec.UNSET


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """Papers, the best match of each log first; `unread` are origins of logs that could not be asked now."""

    query: str
    hits: list[SearchHit]
    unread: list[str] | msgspec.UnsetType = msgspec.UNSET


def search_handlers(parts: Parts) -> list[HTTPRouteHandler]:
    """Return the route that searches."""

    @route(
        "/api/search",
        http_method=METHODS,
        summary="Search papers by words",
        operation_id=operation("search"),
        tags=[RECORDS],
        responses=answers("What was found.", SearchResult, HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def search(
        request: Asked,
        q: Annotated[
            str, QueryParameter(description="Words; a paper must hold all of them.", examples=[Example(value="papers")])
        ] = "",
        limit: Annotated[
            str,
            QueryParameter(
                description=f"How many papers at most; {LIMIT} if left out.",
                schema_extra={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
                examples=[Example(value=LIMIT)],
            ),
        ] = "",
        wait_for: WaitFor = "",
    ) -> ASGIResponse:
        """Return the papers whose title, authors or abstract hold all the words, the best match first.

        Case and accents do not matter. Identifiers are not words: `/api/pith-number/resolve?q=` takes those.
        """
        await caught_up(parts, optional_whole(wait_for, "wait_for"))
        count = whole(limit, "limit", 1, MAX_LIMIT) if limit else LIMIT
        if len(q) > MAX_CHARACTERS or len(re.findall(r"\w+", q)) > MAX_WORDS:
            raise InvalidFieldError(
                f"more than {MAX_WORDS} words or {MAX_CHARACTERS} characters", place="q", cure="give fewer words"
            )
        hits, unread = await asyncio.to_thread(searched, parts, q, count)
        result = SearchResult(
            query=q,
            hits=[_shown(hit, log, parts.settings.base_url) for log, hit in hits],
            unread=unread or msgspec.UNSET,
        )
        return Answer(msgspec.json.encode(result), JSON, SHORT).to(request)

    return [search]


def searched(parts: Parts, words: str, limit: int) -> tuple[list[tuple[OtherLog | None, queries.Hit]], list[str]]:
    """Search every log of the registry; return the hits, each with its log, and which logs could not be asked.

    Raises:
        InvalidFieldError: there is no word to look for.
    """
    return parts.others.search(words, queries.search(parts.projections, words, limit), limit)


def _shown(hit: queries.Hit, log: OtherLog | None, base_url: str) -> SearchHit:
    address = log.address if log and log.address else base_url
    return SearchHit(
        pith_number=hit.subject,
        title=hit.title,
        authors=hit.authors,
        links=links(hit.subject[10:], address),
        log=log.origin if log else msgspec.UNSET,
    )
