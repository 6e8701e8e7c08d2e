"""The exchange on whose behalf code runs: found by its request, or by the context in worker threads and log lines."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, cast

from litestar import Request

if TYPE_CHECKING:
    from api.front.exchange import Exchange

SCOPE_KEY: Final = "pith.exchange"

CURRENT: Final[ContextVar[Exchange | None]] = ContextVar("pith_exchange", default=None)


def exchange_of(request: Request[Any, Any, Any]) -> Exchange | None:
    """Return the exchange that a request belongs to; None where the application runs without its front."""
    return cast("Mapping[str, Any]", request.scope).get(SCOPE_KEY)
