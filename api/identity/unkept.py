"""Answers that are for one asker at one moment: no cache keeps them, and no browser runs anything of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from litestar import Response

from api.problems import SECURITY_HEADERS

NO_STORE: Final = {**SECURITY_HEADERS, "cache-control": "no-store"}


def unkept(found: Any, status: HTTPStatus = HTTPStatus.OK) -> Response[Any]:
    """Answer with a struct as JSON."""
    return Response(found, status_code=status, headers=NO_STORE)


def sent_to(address: str) -> Response[bytes]:
    """Send the browser on with a GET (303)."""
    return Response(b"", status_code=HTTPStatus.SEE_OTHER, headers={**NO_STORE, "location": address})
