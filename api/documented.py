"""What the description of the API (OpenAPI) says of the reading addresses: their names, answers and problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import HttpMethod
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from api.answers import JSON
from api.problems import PROBLEM_TYPE

METHODS: Final = (HttpMethod.GET, HttpMethod.HEAD)
RECORDS: Final = "records"
PROOFS: Final = "proofs"
PROTOCOL: Final = "protocol"

OperationNames = Callable[[Any, Any, Any], str]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Problem details (RFC 9457); `type` is `urn:pith:error:CODE`."""

    type: str
    title: str
    status: int
    detail: str
    place: str | msgspec.UnsetType = msgspec.UNSET
    cure: str | msgspec.UnsetType = msgspec.UNSET
    choices: list[str] | msgspec.UnsetType = msgspec.UNSET


_SAID: Final = {
    HTTPStatus.MULTIPLE_CHOICES: "The name means several papers; `choices` are their numbers.",
    HTTPStatus.BAD_REQUEST: "A parameter is malformed.",
    HTTPStatus.NOT_FOUND: "There is nothing of that name.",
    HTTPStatus.NOT_ACCEPTABLE: "None of the media types on offer is accepted.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The registry has not got so far yet; `Retry-After` says when to ask again.",
}


def operation(name: str) -> OperationNames:
    """Return how a handler's operations are named: HEAD and a second address after GET at the first."""

    def named(_handler: Any, method: Any, path: Any) -> str:
        head = "" if method == HttpMethod.GET else "Head"
        return f"{name}{'WellKnown' if '.well-known' in path else ''}{head}"

    return named


def answers(
    description: str,
    container: Any,
    *problems: HTTPStatus,
    kind: str = JSON,
    example: Any = None,
    further: Mapping[HTTPStatus, str] | None = None,
) -> dict[int, ResponseSpec]:
    """Return what a handler answers with: 200 and 304, other answers without content, and problems."""
    found = {
        HTTPStatus.OK.value: ResponseSpec(
            container,
            description=description,
            media_type=kind,
            generate_examples=False,
            examples=None if example is None else [Example(value=example)],
        ),
        HTTPStatus.NOT_MODIFIED.value: ResponseSpec(None, description="It is what the asker's `If-None-Match` names."),
    }
    for status, said in (further or {}).items():
        found[status.value] = ResponseSpec(None, description=said)
    for status in problems:
        found[status.value] = ResponseSpec(
            Problem, description=_SAID[status], media_type=PROBLEM_TYPE, generate_examples=False
        )
    return found


ELSEWHERE: Final = {
    HTTPStatus.FOUND: "The name is not the suffix itself; `Location` is the address of the same paper.",
    HTTPStatus.TEMPORARY_REDIRECT: "The paper is in another log of the registry; `Location` is where that log answers.",
}
