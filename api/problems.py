"""Problem details (RFC 9457): every refusal over HTTP as `{type, title, status, detail, …}`.

`type` is `urn:pith:error:CODE` with the code of `ledger.errors`, the same that `--json` prints; `place` and `cure`
stand beside it where they are known. What is the asker's to mend is told; what went wrong on our side is logged here
and not told.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException

from ledger.errors import (
    AmbiguousError,
    LedgerError,
    LogCorruptedError,
    MalformedError,
    NotFoundError,
    OtherLogError,
    ProjectionBehindError,
    StoreError,
    SubmissionError,
    TooLargeError,
    UsageError,
    VerificationError,
)

PROBLEM_TYPE: Final = "application/problem+json"
SECURITY_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""For answers that no browser should run or frame anything of."""

_LOG: Final = logging.getLogger(__name__)


class RefusedError(LedgerError):
    """A request is not granted; the child says which answer that is."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST
    headers: Mapping[str, str] = {}


class UnauthorizedError(RefusedError):
    """Who asks has not shown who they are."""

    code = "unauthorized"
    status = HTTPStatus.UNAUTHORIZED


class ForbiddenError(RefusedError):
    """Who asks may not have this."""

    code = "forbidden"
    status = HTTPStatus.FORBIDDEN


class UnsupportedMediaError(RefusedError):
    """The body is of a kind that is not read here."""

    code = "unsupported-media"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class InOtherLogError(RefusedError):
    """What is asked for is in another log of the registry, which answers for itself: so each answer can be checked
    against the one log that holds it.

    Args:
        origin: the log's.
        address: where it is served, without a final slash.
    """

    code = "in-other-log"
    status = HTTPStatus.TEMPORARY_REDIRECT

    def __init__(self, origin: str, address: str) -> None:
        super().__init__(f"this is in the log {origin}", cure="ask there: most clients go on by themselves")
        self.address = address


class NotOfferedError(RefusedError):
    """This registry does not do that; others may."""

    code = "not-offered"
    status = HTTPStatus.NOT_IMPLEMENTED


class TooManyRequestsError(RefusedError):
    """A client asked more often than it may."""

    code = "too-many-requests"
    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message, cure=f"wait {retry_after} seconds")
        self.headers = {"retry-after": str(retry_after)}


STATUS: Final[Mapping[type[LedgerError], HTTPStatus]] = {
    TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    MalformedError: HTTPStatus.BAD_REQUEST,
    SubmissionError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFoundError: HTTPStatus.NOT_FOUND,
    UsageError: HTTPStatus.BAD_REQUEST,
    VerificationError: HTTPStatus.UNPROCESSABLE_ENTITY,
    OtherLogError: HTTPStatus.SERVICE_UNAVAILABLE,
    ProjectionBehindError: HTTPStatus.SERVICE_UNAVAILABLE,
    LogCorruptedError: HTTPStatus.INTERNAL_SERVER_ERROR,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The one table from errors to statuses; the nearest ancestor decides, and what is not here is our failure."""


_CODES: Final = {
    HTTPStatus.NOT_FOUND: "no-such-address",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: TooLargeError.code,
}
"""What the framework refuses by itself, where its own words would say less."""


def status_of(error: LedgerError) -> HTTPStatus:
    if isinstance(error, RefusedError):
        return error.status
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problem(
    status: HTTPStatus,
    detail: str,
    kind: str = "about:blank",
    facts: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[bytes]:
    """Return a problem as an answer.

    Args:
        kind: the problem's type, a URI; by itself the status says enough.
        facts: further members, such as `place` and `cure`.
    """
    found = {"type": kind, "title": status.phrase, "status": status.value, "detail": detail, **(facts or {})}
    named = {"content-type": PROBLEM_TYPE, "cache-control": "no-store", **SECURITY_HEADERS, **(headers or {})}
    return Response(json.dumps(found, ensure_ascii=False).encode(), status_code=status, headers=named)


def refused(request: Request[Any, Any, Any], error: LedgerError) -> Response[bytes]:
    """Answer an error of ours by the table."""
    status = status_of(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return failed(request, error)
    headers: dict[str, str] = {}
    if isinstance(error, RefusedError):
        headers |= error.headers
    elif status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = "1"
        if isinstance(error, StoreError):
            _LOG.error("the database could not be used", exc_info=error)
            return problem(status, "the registry cannot use its database at present", kind_of(error), headers=headers)
    return problem(status, error.message, kind_of(error), places(error), headers)


def ambiguous(_request: Request[Any, Any, Any], error: AmbiguousError) -> Response[bytes]:
    """Answer 300 with what a name may mean."""
    facts = {**places(error), "choices": list(error.choices)}
    return problem(HTTPStatus.MULTIPLE_CHOICES, error.message, kind_of(error), facts)


def in_other_log(request: Request[Any, Any, Any], error: InOtherLogError) -> Response[bytes]:
    """Send the asker to the same address of another log, whatever the method (307)."""
    scope = request.scope
    path = scope["raw_path"].decode("latin-1").removeprefix(scope.get("root_path", ""))
    query = scope["query_string"].decode("latin-1")
    error.headers = {"location": f"{error.address}{path}{'?' if query else ''}{query}"}
    return refused(request, error)


def kind_of(error: LedgerError) -> str:
    return f"urn:pith:error:{error.code}"


def places(error: LedgerError) -> dict[str, str]:
    """Return where an error is and what to do about it, as far as it is known."""
    return {name: text for name, text in (("place", error.place), ("cure", error.cure)) if text}


def not_served(_request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer what the framework refuses by itself, such as another method than an address has."""
    status = HTTPStatus(error.status_code)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return failed(_request, error)
    # The framework counts OPTIONS among the methods of every address.
    methods = sorted({*(error.headers or {}).get("allow", "").split(", ")} - {"", "OPTIONS"})
    allowed = {"allow": ", ".join(methods)} if methods else {}
    cure = {"cure": f"use {' or '.join(methods)}"} if methods else {}
    code = _CODES.get(status, status.phrase.lower().replace(" ", "-"))
    return problem(status, status.description or status.phrase, f"urn:pith:error:{code}", cure, allowed)


def failed(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer where we failed: a log that contradicts itself, a database that is locked, a defect."""
    _LOG.error("a request could not be answered", exc_info=error)
    kind = kind_of(error) if isinstance(error, LedgerError) else "about:blank"
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the registry failed to answer; its operator can see why", kind)


HANDLERS: Final[dict[int | type[Exception], Any]] = {
    AmbiguousError: ambiguous,
    InOtherLogError: in_other_log,
    LedgerError: refused,
    HTTPException: not_served,
    Exception: failed,
}
"""What a Litestar application takes as `exception_handlers`."""
