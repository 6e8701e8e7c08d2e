"""The whole application: every address, and what stands in front of them all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from litestar import Litestar

from api.admin.handlers import admin_handlers
from api.following.feed import feed_handlers
from api.following.stream import Streams
from api.front.hot import Hot
from api.front.metrics import Metrics, metrics_handlers
from api.front.middleware import Front
from api.front.rates import Limits
from api.health import health_handlers
from api.identity.handlers import identity_handlers
from api.log import log_handlers
from api.pages.handlers import page_handlers, readable
from api.pages.openapi import described_by
from api.parts import Parts
from api.problems import HANDLERS
from api.readiness import Health
from api.reading.handlers import reading_handlers
from api.reading.remembered import Remembered
from api.submitting.actions import action_handlers
from api.submitting.moderation import moderation_handlers
from api.submitting.submissions import submission_handlers

THREADS = 48
"""How many requests may wait for databases and other servers at once."""

MAX_BODY_BYTES = 8 * 1024 * 1024
"""The most that any address reads; those that need less say so."""


def create_app(parts: Parts, streams: Streams | None = None, health: Health | None = None) -> Litestar:
    """Return the application of one registry.

    Args:
        streams: its open streams; whoever stops the server ends them first (`Streams.end`).
        health: what watches it.
    """
    streams = streams or Streams(parts)
    health = health or Health(parts)
    metrics = Metrics(parts.present, parts.clock)
    limits = Limits(parts.settings.rate_limits)
    remembered = Remembered(parts.present)

    @asynccontextmanager
    async def following(_app: Litestar) -> AsyncIterator[None]:
        # Many may wait for a database or somebody else's server at once, and must not keep others from theirs.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "pith-api"))
        tasks = [asyncio.create_task(watch) for watch in (parts.present.follow(), health.follow())]
        try:
            yield
        finally:
            streams.end()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    app = Litestar(
        [
            *log_handlers(parts.publication),
            *submission_handlers(parts),
            *feed_handlers(parts, streams),
            *health_handlers(health),
            *metrics_handlers(metrics),
            *action_handlers(parts),
            *moderation_handlers(parts),
            *identity_handlers(parts),
            *admin_handlers(parts, health),
            *page_handlers(parts),
            *reading_handlers(parts, remembered),
        ],
        lifespan=[following],
        openapi_config=described_by(parts.settings.base_url),
        logging_config=None,
        exception_handlers=readable(HANDLERS),
        request_max_body_size=MAX_BODY_BYTES,
    )
    # Before the router, so that nothing is answered behind its back: not even what has no address.
    hot = Hot(remembered, limits, metrics, parts.random)
    app.asgi_handler = Front(app.asgi_handler, limits, metrics, parts.random, hot=hot)
    return app
