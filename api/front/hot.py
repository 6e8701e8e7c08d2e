"""Record documents that are at hand, answered before the router: what readers ask for most, byte for byte as ever.

Only the plainest request is answered here: GET of `/pith/{suffix}.json` from somebody who says nothing about
themselves and takes the document as it is. Anything else, and whatever is not at hand, goes the usual way.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from litestar.types import Send

from api.front.bounds import MAX_HEADERS
from api.front.metrics import Metrics
from api.front.rates import READ, Limits, client_of
from api.reading.papers import RECORD
from api.reading.remembered import Remembered
from ledger.errors import LedgerError

ROUTE: Final = "/pith/{suffix}"

_LENGTH: Final = len("/pith/QKNOCXGU37VTEACJ427TX64VQJ.json")
_VARY: Final = (b"vary", b"accept-encoding")
_ID: Final = b"pith-request-id"
_ELSEWHERE: Final = frozenset(
    (
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"cookie",
        b"expect",
        b"transfer-encoding",
        b"upgrade",
        b"x-request-id",
        _ID,
    )
)
"""Headers that only the usual way heeds."""


class Hot:
    """Answers from memory in front of an application; for its event loop.

    Args:
        random: returns so many random bytes, for ids.
        monotonic: returns seconds from any beginning.
    """

    def __init__(
        self,
        remembered: Remembered,
        limits: Limits,
        metrics: Metrics,
        random: Callable[[int], bytes],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._remembered = remembered
        self._limits = limits
        self._metrics = metrics
        self._random = random
        self._monotonic = monotonic

    async def answer(self, scope: Any, send: Send) -> bool:
        """Answer a request if all it asks for is at hand; False where nothing was sent."""
        path: str = scope["path"]
        if len(path) != _LENGTH or path[-5:] != ".json" or path[:6] != "/pith/" or scope["method"] != "GET":
            return False
        started = self._monotonic()
        found = self._remembered.at_hand((path[6:32], RECORD))
        if found is None or scope["query_string"] or scope["raw_path"] != path.encode():
            return False
        if len(scope["headers"]) > MAX_HEADERS:
            return False
        status, hosts = HTTPStatus.OK, 0
        for name, value in scope["headers"]:
            if name == b"host":
                hosts += 1
            elif name == b"if-none-match":
                if value != found.tag:
                    return False
                status = HTTPStatus.NOT_MODIFIED
            elif (name == b"accept-encoding" and value != b"identity") or name in _ELSEWHERE:
                return False
        if hosts != 1:
            return False
        if (limit := self._limits.by_cost.get(READ)) is not None:
            try:
                limit.take(client_of(scope["client"]))
            except LedgerError:
                return False
        headers = found.unchanged_headers if status is HTTPStatus.NOT_MODIFIED else found.full_headers
        identity = base64.urlsafe_b64encode(self._random(12))
        await send(
            {"type": "http.response.start", "status": status.value, "headers": [*headers, _VARY, (_ID, identity)]}
        )
        body = b"" if status is HTTPStatus.NOT_MODIFIED else found.content
        await send({"type": "http.response.body", "body": body, "more_body": False})
        self._metrics.answered("GET", ROUTE, status.value, self._monotonic() - started)
        return True
