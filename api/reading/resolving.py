"""`/api/pith-number/…`: from any name of a paper to its number, and what belongs to a number."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from litestar import route
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import QueryParameter
from litestar.response.base import ASGIResponse

from api.addresses import links
from api.answers import HTML, JSON, Answer, moved
from api.caching import SHORT
from api.documented import ELSEWHERE, METHODS, RECORDS, answers, operation
from api.parts import Parts
from api.reading import papers
from api.reading.names import MAX_NAME, Asked, caught_up, missing, resolved
from api.reading.negotiation import asked_for
from api.reading.other_logs import OtherLog
from api.reading.papers import Papers
from api.reading.parameters import Name, WaitFor, optional_whole
from ledger.errors import InvalidFieldError, NotFoundError
from ledger.subjects import Alias, normal_arxiv, normal_source_id, parse_suffix
from projections import queries

KINDS: Final = ("arxiv", "doi", "acl", "pmid", "openreview", "url", "pith", "q")
"""What a name may be given as; `q` takes any of them."""

_PAGE: Final = HTML.partition(";")[0]
_NAMED: Final = (HTTPStatus.MULTIPLE_CHOICES, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """Another version of the same work."""

    pith_number: str
    links: dict[str, str]


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """The paper that a name means; where the name has no version, the newest, and beside it the others.

    `log` is the origin of the log that it is in, where that is another of the registry's than the one served here.
    """

    pith_number: str
    short_pith_number: str
    links: dict[str, str]
    other_versions: list[Version]
    log: str | msgspec.UnsetType = msgspec.UNSET


def _by(description: str, example: str) -> QueryParameter:
    return QueryParameter(description=description, examples=[Example(value=example)])


def resolving_handlers(parts: Parts, papers_known: Papers) -> list[HTTPRouteHandler]:
    """Return the routes that find papers by identifier, and of a paper's graph and events."""

    @route(
        "/api/pith-number/resolve",
        http_method=METHODS,
        summary="From an identifier to the number",
        operation_id=operation("resolve"),
        tags=[RECORDS],
        responses=answers(
            "The paper, where JSON is asked for.",
            Resolved,
            *_NAMED,
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_ACCEPTABLE,
            further={HTTPStatus.FOUND: "The paper's page, where JSON is not asked for."},
        ),
    )
    async def resolve(
        request: Asked,
        arxiv: Annotated[str, _by("An arXiv id, with or without its version.", "2605.25619")] = "",
        doi: Annotated[str, _by("A DOI.", "10.48550/arxiv.2605.25619")] = "",
        acl: Annotated[str, _by("An ACL Anthology id.", "2020.wmt-1.34")] = "",
        pmid: Annotated[str, _by("A PubMed id.", "31452104")] = "",
        openreview: Annotated[str, _by("An OpenReview forum.", "rJXMpikCZ")] = "",
        url: Annotated[str, _by("The address that a record was made from.", "https://example.org/paper")] = "",
        pith: Annotated[str, _by("A Pith Number, or 8 or more characters of its suffix.", "QKNOCXGU")] = "",
        q: Annotated[str, _by("Any of these.", "arxiv:2605.25619v1")] = "",
        json: Annotated[
            str,
            QueryParameter(
                description="`true` asks for JSON, as does `Accept`.", schema_extra={"enum": ["true", "false"]}
            ),
        ] = "",
        wait_for: WaitFor = "",
    ) -> ASGIResponse:
        """Find the paper that an identifier names: by exactly one of `arxiv`, `doi`, `acl`, `pmid`, `openreview`,
        `url`, `pith` and `q`.

        Answers with JSON if `json=true` or if JSON is preferred by `Accept`, else leads to the paper's page.
        """
        await caught_up(parts, optional_whole(wait_for, "wait_for"))
        given = dict(zip(KINDS, (arxiv, doi, acl, pmid, openreview, url, pith, q), strict=True))
        kind, name = _one_of(given)
        form = JSON if _is_true(json) else asked_for(request, (_PAGE, JSON))
        log, named = await asyncio.to_thread(_resolve, parts, kind, name)
        if form == _PAGE:
            here = request.scope.get("root_path", "") if log is None else log.led().address
            return moved(f"{here}/pith/{named.subject[10:]}", SHORT, {"vary": "accept"})
        content = msgspec.json.encode(_shown(named, parts.settings.base_url, log))
        return Answer(content, JSON, SHORT, {"vary": "accept"}).to(request)

    @route(
        "/api/pith-number/{suffix:str}/graph.json",
        http_method=METHODS,
        summary="The graph around a paper",
        operation_id=operation("getGraph"),
        tags=[RECORDS],
        responses=answers(
            "The newest graph snapshot, and signed citations as `nodes` and `edges`.",
            dict[str, Any],
            *_NAMED,
            further=ELSEWHERE,
        ),
    )
    async def graph(request: Asked, suffix: Name, wait_for: WaitFor = "") -> ASGIResponse:
        """Return a paper's newest graph snapshot, and the counted citations of it and by it."""
        await caught_up(parts, optional_whole(wait_for, "wait_for"))
        return await papers_known.give(request, suffix, papers.GRAPH, "/api/pith-number/{}/graph.json")

    @route(
        "/api/pith-number/{suffix:str}/events.json",
        http_method=METHODS,
        summary="What was said about a paper",
        operation_id=operation("getPaperEvents"),
        tags=[RECORDS],
        responses=answers(
            "`events` and `event_summary` as in the record document, with `disclosures`.",
            dict[str, Any],
            *_NAMED,
            further=ELSEWHERE,
        ),
    )
    async def events(request: Asked, suffix: Name, wait_for: WaitFor = "") -> ASGIResponse:
        """Return the attestations, challenges and findings about a paper, each with what became of it.

        While an event is held its payload is left out; while it counts, the private texts that it commits to stand
        beside it, as far as they were handed in and not redacted.
        """
        await caught_up(parts, optional_whole(wait_for, "wait_for"))
        return await papers_known.give(request, suffix, papers.EVENTS, "/api/pith-number/{}/events.json")

    return [resolve, graph, events]


def _one_of(given: Mapping[str, str]) -> tuple[str, str]:
    """Return the one identifier that was given; raises InvalidFieldError for none or several."""
    found = [(kind, text) for kind, text in given.items() if text.strip()]
    if len(found) != 1:
        what = "no identifier is" if not found else f"{' and '.join(kind for kind, _ in found)} are"
        raise InvalidFieldError(f"{what} given", place="query", cure=f"give exactly one of {', '.join(given)}")
    return found[0]


def _is_true(text: str) -> bool:
    if text not in ("", "true", "false"):
        raise InvalidFieldError(f"{text[:40]!r} is neither true nor false", place="json")
    return text == "true"


def _resolve(parts: Parts, kind: str, name: str) -> tuple[OtherLog | None, queries.Named]:
    """Find the paper that an identifier of a kind names, and its log, None for the one here.

    Raises:
        InvalidFieldError: it has not the form of its kind.
        NotFoundError, AmbiguousError: it names none, or several.
        OtherLogError: none is known here, and another log cannot be read now.
    """
    if len(name) > MAX_NAME:
        raise InvalidFieldError("no identifier is so long", place=kind)
    if kind == "q":
        return resolved(parts, name)
    if kind == "pith":
        if parse_suffix(name) is None:
            cure = "give a number, or 8 or more characters of its suffix"
            raise InvalidFieldError(f"{name[:80]!r} is no Pith Number", place=kind, cure=cure)
        return resolved(parts, name)
    alias = _alias(kind, name)
    try:
        return parts.others.resolve(name, parts.projections, lambda database: queries.resolve_alias(database, alias))
    except NotFoundError as error:
        raise missing(error.message) from None


def _alias(kind: str, name: str) -> Alias:
    if kind == "arxiv" and (versioned := normal_arxiv(name)) and versioned[1] is not None:
        return Alias("arxiv_version", f"{versioned[0]}v{versioned[1]}")
    try:
        return Alias(kind, normal_source_id(kind, name))
    except InvalidFieldError as error:
        raise InvalidFieldError(error.message, place=kind, cure=error.cure) from None


def _shown(named: queries.Named, base_url: str, log: OtherLog | None) -> Resolved:
    return Resolved(
        pith_number=named.subject,
        short_pith_number=f"pith:{named.subject[10:18]}",
        # Versions may be in any log; an address here leads to the one that a paper is in.
        links=links(named.subject[10:], log.led().address if log else base_url),
        other_versions=[
            Version(pith_number=other, links=links(other[10:], base_url)) for other in named.other_versions
        ],
        log=log.origin if log else msgspec.UNSET,
    )
