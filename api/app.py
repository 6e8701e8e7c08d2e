"""The whole application: every address, and what stands in front of them all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from litestar import Litestar

from api.log import log_handlers
from api.parts import Parts
from api.problems import HANDLERS

MAX_BODY_BYTES = 8 * 1024 * 1024
"""The most that any address reads; those that need less say so."""


def create_app(parts: Parts) -> Litestar:
    """Return the application of one registry."""

    @asynccontextmanager
    async def following(_app: Litestar) -> AsyncIterator[None]:
        task = asyncio.create_task(parts.present.follow())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return Litestar(
        [*log_handlers(parts.publication)],
        lifespan=[following],
        openapi_config=None,
        logging_config=None,
        exception_handlers=HANDLERS,
        request_max_body_size=MAX_BODY_BYTES,
    )
