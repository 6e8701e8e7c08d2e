"""What stands in front of every address: one middleware, so that each request passes it once.

It gives a request its id, refuses what cannot be meant and what its client may not ask for now, ends what takes too
long, sends text in gzip, counts, and logs what was written. Whatever it refuses is a problem document like any other.

All of this runs on the event loop and for every request: a header is looked at once, and no task or timer is started.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from litestar.types import ASGIApp, Receive, Scope, Send

from api.front.bounds import ANSWER_SECONDS, BODY_SECONDS
from api.front.compression import Compressed
from api.front.current import CURRENT, SCOPE_KEY
from api.front.exchange import Exchange
from api.front.hot import Hot
from api.front.metrics import Metrics
from api.front.rates import Limits
from ledger.errors import LedgerError

_LOG: Final = logging.getLogger(__name__)


class Front:
    """The middleware.

    Args:
        random: returns so many random bytes, for ids.
        hot: answers what it has at hand before anything else looks at a request.
        answer_seconds: how long an answer may take to begin; streams of events then take as long as they like.
        body_seconds: how long a request's body may take to arrive (see `api.front.bounds.Body`).
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        metrics: Metrics,
        random: Callable[[int], bytes],
        *,
        hot: Hot | None = None,
        answer_seconds: float = ANSWER_SECONDS,
        body_seconds: float = BODY_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._hot = hot
        self._sweeping: asyncio.TimerHandle | None = None
        self.random: Final = random
        self.limits: Final = limits
        self.metrics: Final = metrics
        self.answer_seconds: Final = answer_seconds
        self.body_seconds: Final = body_seconds
        self.monotonic: Final = monotonic
        self.compressed: Final = Compressed()
        self.under_way: Final[set[Exchange]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request: Any = scope
        if request["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._hot is not None and await self._hot.answer(request, send):
            return
        exchange = Exchange(self, request, receive, send)
        CURRENT.set(exchange)
        request[SCOPE_KEY] = exchange
        self.under_way.add(exchange)
        if self._sweeping is None:
            self._sweep()
        try:
            exchange.check()
            await self._app(scope, receive if exchange.body is None else exchange.receive, exchange.send)
        except LedgerError as error:
            await exchange.refuse(error)
        except Exception as error:
            _LOG.error("a request could not be answered", exc_info=error)
            await exchange.refuse(LedgerError("the registry failed to answer; its operator can see why"))
        except asyncio.CancelledError:
            if not exchange.is_overdue:
                raise
            # It was the sweep that cancelled it, for us and nobody else.
            exchange.task.uncancel()
            await exchange.end_late()
        finally:
            self.under_way.discard(exchange)
            exchange.end()

    def _sweep(self) -> None:
        """Look for what is overdue, from time to time while anything is under way."""
        now = self.monotonic()
        for exchange in self.under_way:
            if not exchange.is_overdue and exchange.is_late(now):
                exchange.is_overdue = True
                exchange.task.cancel()
        self._sweeping = None
        if self.under_way:
            self._sweeping = asyncio.get_running_loop().call_later(min(1.0, self.answer_seconds / 4), self._sweep)
