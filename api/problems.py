"""Problem details (RFC 9457): every refusal over HTTP as `{type, title, status, detail}`.

What is the asker's to mend is told; what went wrong on our side is logged here and not told.
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException

from ledger.errors import LedgerError, NotFoundError

PROBLEM_TYPE: Final = "application/problem+json"
SECURITY_HEADERS: Final = {
    "content-security-policy": "default-src 'none'",
    "x-content-type-options": "nosniff",
}
"""For answers that no browser should run or frame anything of."""

_LOG: Final = logging.getLogger(__name__)


def problem(status: HTTPStatus, detail: str, kind: str = "about:blank", **headers: str) -> Response[bytes]:
    """Return a problem as an answer.

    Args:
        kind: the problem's type, an address; by itself the status says enough.
    """
    found = {"type": kind, "title": status.phrase, "status": status.value, "detail": detail}
    named = {"content-type": PROBLEM_TYPE, "cache-control": "no-store", **SECURITY_HEADERS, **headers}
    return Response(json.dumps(found, ensure_ascii=False).encode(), status_code=status, headers=named)


def not_found(_request: Request[Any, Any, Any], error: NotFoundError) -> Response[bytes]:
    """Answer where the ledger has nothing under a name."""
    return problem(HTTPStatus.NOT_FOUND, error.message, f"urn:pith:error:{error.code}")


def not_served(_request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer what the framework refuses by itself, such as another method than an address has."""
    status = HTTPStatus(error.status_code)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return failed(_request, error)
    # The framework counts OPTIONS among the methods of every address.
    methods = sorted({*(error.headers or {}).get("allow", "").split(", ")} - {"", "OPTIONS"})
    allowed = {"allow": ", ".join(methods)} if methods else {}
    return problem(status, status.description or status.phrase, **allowed)


def failed(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer where we failed: a log that contradicts itself, a database that is locked, a defect."""
    _LOG.error("a request could not be answered", exc_info=error)
    kind = f"urn:pith:error:{error.code}" if isinstance(error, LedgerError) else "about:blank"
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the registry failed to answer; its operator can see why", kind)


HANDLERS: Final[dict[int | type[Exception], Any]] = {
    NotFoundError: not_found,
    HTTPException: not_served,
    Exception: failed,
}
"""What a Litestar application takes as `exception_handlers`."""
