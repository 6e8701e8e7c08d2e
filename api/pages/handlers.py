"""The addresses that people open in a browser, and refusals for people: a page for whoever would rather read one.

Every page has the one strict Content-Security-Policy; nothing here sets a cookie or takes anything but a search.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import FromPath, QueryParameter
from litestar.response.base import ASGIResponse

from api.answers import HOUR, HTML, JSON, Answer, moved
from api.caching import IMMUTABLE, SHORT
from api.documented import METHODS, answers, operation
from api.pages.rendered import PAGE_POLICY, about_page, error_page, home_page, search_page
from api.pages.static_files import FILES, VERSION, kind_of
from api.parts import Parts
from api.present import Sight
from api.problems import PROBLEM_TYPE
from api.reading.names import Asked
from api.reading.negotiation import preferred
from api.reading.search import MAX_CHARACTERS, MAX_WORDS, searched
from ledger.errors import AmbiguousError, InvalidFieldError, NotFoundError
from projections import queries

PAGES: Final = "pages"
MAX_HITS: Final = 50

_OFFERS: Final = (PROBLEM_TYPE, JSON, "text/html")
"""What a refusal may be; who takes anything gets a problem."""

Handler = Callable[[Any, Any], Response[bytes]]


def page_handlers(parts: Parts) -> list[HTTPRouteHandler]:
    """Return the routes of the first page, of searching, of what the registry says about itself, and of their files."""
    front = FrontPage(parts)
    files = {name: Answer(content, kind_of(name), IMMUTABLE) for name, content in FILES.items()}

    @route(
        "/",
        http_method=METHODS,
        summary="The first page",
        operation_id=operation("showHome"),
        tags=[PAGES],
        responses=answers("A page for people.", str, kind=HTML),
    )
    async def home(request: Asked) -> ASGIResponse:
        """Return what this registry is, how much it holds, what came last, and its newest checkpoint."""
        return (await front.newest()).to(request)

    @route(
        "/about",
        http_method=METHODS,
        summary="What a record proves, and how to take part",
        operation_id=operation("showAbout"),
        tags=[PAGES],
        responses=answers("A page for people.", str, kind=HTML),
    )
    async def about_this(request: Asked) -> ASGIResponse:
        """Return what Pith Numbers are, what each field of a record proves, and how to check and to sign."""
        return Answer(about_page(parts), HTML, HOUR, {"content-security-policy": PAGE_POLICY}).to(request)

    @route(
        "/search",
        http_method=METHODS,
        summary="Search, for people",
        operation_id=operation("showSearch"),
        tags=[PAGES],
        responses=answers(
            "A page for people.",
            str,
            HTTPStatus.BAD_REQUEST,
            kind=HTML,
            further={HTTPStatus.FOUND: "`q` is an identifier; `Location` is the page of its paper."},
        ),
    )
    async def search(
        request: Asked,
        q: Annotated[
            str,
            QueryParameter(
                description="Any name of a paper, or words of its title, authors and abstract.",
                examples=[Example(value="arXiv:2605.25619")],
            ),
        ] = "",
    ) -> ASGIResponse:
        """Return what is found; a name that means one paper leads straight to it."""
        found = await asyncio.to_thread(_found, parts, q.strip())
        if isinstance(found, str):
            return moved(f"/pith/{found[10:]}", SHORT)
        return Answer(found, HTML, SHORT, {"content-security-policy": PAGE_POLICY}).to(request)

    @route("/static/{version:str}/{name:path}", http_method=METHODS, include_in_schema=False)
    async def static(request: Asked, version: FromPath[str], name: FromPath[str]) -> ASGIResponse:
        """Return a file that pages need; raises NotFoundError for one that there is not, or not any more."""
        found = files.get(name.removeprefix("/"))
        if found is None or version != VERSION:
            raise NotFoundError("there is no such file here", cure="load the page again")
        return found.to(request)

    return [home, about_this, search, static]


class FrontPage:
    """The first page, made anew once the log has grown or another checkpoint was published."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._made: tuple[Sight, bytes, Answer] | None = None

    async def newest(self) -> Answer:
        """Return the page as of now."""
        return await asyncio.to_thread(self._newest)

    def _newest(self) -> Answer:
        sight, checkpoint, made = self._parts.present.sight, _checkpoint(self._parts), self._made
        if made is None or made[0] is not sight or made[1] != checkpoint:
            answer = Answer(home_page(self._parts), HTML, SHORT, {"content-security-policy": PAGE_POLICY})
            self._made = made = sight, checkpoint, answer
        return made[2]


def readable(handlers: Mapping[int | type[Exception], Handler]) -> dict[int | type[Exception], Handler]:
    """Return exception handlers that answer alike, but with a page for whoever prefers one to a problem document."""
    return {kind: _readable(handler) for kind, handler in handlers.items()}


def _readable(handler: Handler) -> Handler:
    def answered(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        answer = handler(request, error)
        answer.headers["vary"] = "accept"
        accepted = ", ".join(request.headers.getall("accept", []))
        if answer.headers.get("content-type") != PROBLEM_TYPE or preferred(accepted, _OFFERS) != _OFFERS[-1]:
            return answer
        answer.content = _explained(json.loads(answer.content))
        answer.headers |= {"content-type": HTML, "content-security-policy": PAGE_POLICY}
        return answer

    return answered


def _explained(problem: Mapping[str, Any]) -> bytes:
    """Return a problem as a page; what is not found is looked for on the page itself, and needs no other cure."""
    cure = "" if problem["status"] == HTTPStatus.NOT_FOUND else problem.get("cure", "")
    detail = "".join(f"{text[:1].upper()}{text[1:]}. " for text in (problem["detail"], cure) if text).rstrip()
    return error_page(HTTPStatus(problem["status"]), problem["title"], detail, problem.get("choices", ()))


def _found(parts: Parts, query: str) -> bytes | str:
    """Return the Pith Number that a query names, or the page of what it finds.

    Raises:
        InvalidFieldError: it is longer than anybody searches for.
    """
    if len(query) > MAX_CHARACTERS or len(re.findall(r"\w+", query)) > MAX_WORDS:
        cure = f"give at most {MAX_WORDS} words and {MAX_CHARACTERS} characters"
        raise InvalidFieldError("that is too much to search for", place="q", cure=cure)
    if not query:
        return search_page(parts, "", [])
    try:
        _, named = parts.others.resolve(query, parts.projections, lambda database: queries.resolve(database, query))
        return named.subject
    except AmbiguousError as error:
        known = queries.known(parts.projections, error.choices)
        hits = [known.get(choice, queries.Hit(choice, "", "")) for choice in error.choices]
        return search_page(parts, query, hits, is_ambiguous=True)
    except NotFoundError:
        pass
    try:
        hits = [hit for _, hit in searched(parts, query, MAX_HITS)[0]]
    except InvalidFieldError:
        hits = []  # there is no word in it
    return search_page(parts, query, hits, is_cut=len(hits) == MAX_HITS)


def _checkpoint(parts: Parts) -> bytes:
    try:
        return parts.store.checkpoints.published().note
    except NotFoundError:
        return b""
