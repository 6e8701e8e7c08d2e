"""`/pith/{suffix}` and its relations: the public addresses of a paper, as the public protocol names them.

The paper's own address has a page for people, JSON and JSON-LD, by `Accept`. Who takes anything gets the page: the
address is what stands in papers and is followed by people, and the public protocol's own answers so; programs say
what they want, or take the address that ends in `.json`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from litestar import route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from api.answers import HTML, JSON, JSON_LD
from api.documented import ELSEWHERE, METHODS, RECORDS, answers, operation
from api.parts import Parts
from api.reading import papers
from api.reading.names import Asked, caught_up, elsewhere, name_after
from api.reading.negotiation import asked_for
from api.reading.papers import Papers
from api.reading.parameters import Name, WaitFor, optional_whole

FORMS: Final = {
    HTML.partition(";")[0]: papers.PAGE,
    JSON: papers.PAGE_JSON,
    JSON_LD: papers.PAGE_JSON_LD,
}
"""What the paper's own address offers, the best first."""

_ENDINGS: Final = ("/bundle.json", "/state.json", ".json")
_OFFERED: Final = tuple(FORMS)
_NAMED: Final = (HTTPStatus.MULTIPLE_CHOICES, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)


def record_handlers(parts: Parts, papers_known: Papers) -> list[HTTPRouteHandler]:
    """Return the routes of a paper's page, record, bundle and state."""

    @route(
        "/pith/{suffix:str}",
        http_method=METHODS,
        summary="A paper, for people or programs",
        operation_id=operation("getPaper"),
        tags=[RECORDS],
        responses=answers(
            "The record document by `Accept: application/json`, and at the same address with `.json` behind the "
            "suffix; its schema is at `/schemas/pith-number/v1.json`. By `Accept: application/ld+json` a description "
            "with a JSON-LD context; else a page.",
            dict[str, Any],
            *_NAMED,
            HTTPStatus.NOT_ACCEPTABLE,
            further=ELSEWHERE,
        ),
    )
    async def paper(request: Asked, suffix: Name, wait_for: WaitFor = "") -> ASGIResponse:
        """Return a paper's record as a page, as JSON or as JSON-LD.

        Answers carry a strong ETag and may be kept for seconds. `/pith/{suffix}.json` is the record document whatever
        is accepted.
        """
        if wait_for:
            await caught_up(parts, optional_whole(wait_for, "wait_for"))
        if suffix.endswith(".json"):
            return await papers_known.give(request, suffix[:-5], papers.RECORD, "/pith/{}.json")
        return await papers_known.give(request, suffix, FORMS[asked_for(request, _OFFERED)], "/pith/{}")

    @route(
        ["/pith/{suffix:str}/bundle.json", "/.well-known/pith/{suffix:str}/bundle.json"],
        http_method=METHODS,
        summary="All that the log holds about a paper, with proofs",
        operation_id=operation("getBundle"),
        tags=[RECORDS],
        responses=answers("The bundle.", dict[str, Any], *_NAMED, further=ELSEWHERE),
    )
    async def bundle(request: Asked, suffix: Name, wait_for: WaitFor = "") -> ASGIResponse:
        """Return the bundle of a paper, for verifying it offline (`pith verify`).

        It goes as far as the published checkpoint. Events stand in it with their exact signed bytes, held ones too:
        they are what the checkpoint proves.
        """
        await caught_up(parts, optional_whole(wait_for, "wait_for"))
        well_known = request.scope["path"].startswith("/.well-known/")
        address = "/.well-known/pith/{}/bundle.json" if well_known else "/pith/{}/bundle.json"
        return await papers_known.give(request, suffix, papers.BUNDLE, address)

    @route(
        "/pith/{suffix:str}/state.json",
        http_method=METHODS,
        summary="What follows from a paper's events",
        operation_id=operation("getState"),
        tags=[RECORDS],
        responses=answers("The merged state.", dict[str, Any], *_NAMED, further=ELSEWHERE),
    )
    async def state(request: Asked, suffix: Name, wait_for: WaitFor = "") -> ASGIResponse:
        """Return what the merge rules make of everything that was said about a paper.

        `valid_event_count` are the events whose signer's key stands and that break no rule; `current.verdicts` says of
        each whether it counts.
        """
        await caught_up(parts, optional_whole(wait_for, "wait_for"))
        return await papers_known.give(request, suffix, papers.STATE, "/pith/{}/state.json")

    @route("/pith/{first:str}/{rest:path}", http_method=METHODS, include_in_schema=False)
    async def paper_with_slashes(request: Asked, first: FromPath[str], rest: FromPath[str]) -> ASGIResponse:
        """Send the asker on from a name with slashes in it, such as an old arXiv id, a DOI or a URL."""
        name = name_after(request, "/pith/")
        ending = next((ending for ending in _ENDINGS if name.endswith(ending)), "")
        return await elsewhere(parts, request, name.removesuffix(ending), f"/pith/{{}}{ending}")

    @route(
        ["/paper/{first:str}", "/paper/{first:str}/{rest:path}"],
        http_method=METHODS,
        include_in_schema=False,
    )
    async def paper_by_name(request: Asked, first: FromPath[str], rest: FromPath[str] = "") -> ASGIResponse:
        """Send the asker to the page of the paper that a name means."""
        return await elsewhere(parts, request, name_after(request, "/paper/"), "/pith/{}")

    return [paper, bundle, state, paper_with_slashes, paper_by_name]
