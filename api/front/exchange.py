"""A request and its answer, between the server and the application: what the front does with each message.

An answer's head is held back only where its body decides about it: a problem, to which the id of its request is added,
and text, which may go out in gzip.
"""

from __future__ import annotations

import asyncio
import base64
import re
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar.types import Receive, Send

from api.front import compression
from api.front.bounds import Body, OverdueError, TooSlowError, check_address, check_headers
from api.front.logs import log_request
from api.front.rates import IDENTITY, READ, client_of, cost_of
from api.problems import PROBLEM_TYPE, RefusedError, kind_of, places, problem, status_of
from ledger.errors import LedgerError

if TYPE_CHECKING:
    from api.front.middleware import Front

ID_HEADER: Final = b"pith-request-id"

_GIVEN_ID: Final = re.compile(rb"[A-Za-z0-9_-]{8,64}")
_ID_BYTES: Final = 12
_PROBLEM: Final = PROBLEM_TYPE.encode()
_STREAM: Final = b"text/event-stream"
_ERROR_KIND: Final = "urn:pith:error:"
_CLOSE: Final = (b"connection", b"close")


class Exchange:
    """A request and its answer.

    `id` is in the answer, in its problem and in every line that is logged about it. `cost` is the request's cost class
    and `client` who is charged (see `api.front.rates`). `facts` go into its line in the log.
    """

    __slots__ = (
        "_accepts_gzip",
        "_code",
        "_due",
        "_front",
        "_given",
        "_has_credentials",
        "_held",
        "_is_stream",
        "_left",
        "_send",
        "_started",
        "_status",
        "body",
        "client",
        "cost",
        "facts",
        "id",
        "is_overdue",
        "limits",
        "method",
        "metrics",
        "scope",
        "task",
    )

    def __init__(self, front: Front, scope: Any, receive: Receive, send: Send) -> None:
        self._given = given = dict(scope["headers"])
        wanted = given.get(ID_HEADER) or given.get(b"x-request-id")
        if wanted is not None and _GIVEN_ID.fullmatch(wanted):
            self.id = wanted.decode()
        else:
            self.id = base64.urlsafe_b64encode(front.random(_ID_BYTES)).decode()
        self.scope = scope
        self.method = scope["method"]
        self.cost = READ
        self.client = ""
        self.facts: dict[str, Any] | None = None
        self.limits = front.limits
        self.metrics = front.metrics
        self.is_overdue = False
        self.task: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment]
        self._front = front
        self._send = send
        self._started = now = front.monotonic()
        self._due = now + front.answer_seconds
        has_body = given.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in given
        self.body = Body(receive, given, now, front.body_seconds) if has_body else None
        self._accepts_gzip = False
        self._has_credentials = b"authorization" in given or b"cookie" in given
        self._status = 0
        self._code: str | None = None
        self._held: Any = None
        self._is_stream = False
        self._left = -1

    @property
    def route(self) -> str | None:
        """The template of the address, such as `/pith/{suffix}`; None where there is no such address."""
        # The router sets it once it has found the handler; for a mounted application it is empty.
        return self.scope.get("path_template") or None

    def check(self) -> None:
        """Refuse what cannot be meant, and what the client may not ask for now.

        Raises:
            LedgerError: why.
        """
        scope, given = self.scope, self._given
        path, query = scope["path"], scope["query_string"]
        check_address(path, scope.get("raw_path") or path.encode(), query)
        check_headers(scope["http_version"], scope["headers"], given)
        self.cost = cost = cost_of(self.method, path, query)
        if limits := self.limits.by_cost:
            self.client = client = client_of(scope["client"])
            failures = self.limits.failures
            if failures is not None and (self._has_credentials or cost == IDENTITY):
                failures.check(client)
            if (limit := limits.get(cost)) is not None:
                self._left = limit.take(client)
        self._accepts_gzip = compression.is_accepted(given.get(b"accept-encoding", b""))
        if b"if-none-match" in given:
            scope["headers"] = compression.unmarked(scope["headers"])

    def is_late(self, now: float) -> bool:
        """Say whether the body, or else the answer, should have come by now."""
        if self.body is not None and self.body.is_awaited:
            return self.body.deadline < now
        return self._due < now

    async def end_late(self) -> None:
        """Answer that it took too long."""
        if self.body is not None and self.body.is_awaited:
            await self.refuse(TooSlowError("the body did not arrive in time", cure="send it faster, or in parts"))
        else:
            await self.refuse(OverdueError("the answer took too long", cure="ask for less, or later"))

    async def receive(self) -> Any:
        """Receive a part of the request's body."""
        assert self.body is not None
        message = await self.body.receive()
        self._due = self._front.monotonic() + self._front.answer_seconds
        return message

    async def refuse(self, error: LedgerError) -> None:
        """Answer an error, unless an answer has begun; then the connection is left unfinished."""
        if self._status:
            return
        headers = error.headers if isinstance(error, RefusedError) else None
        answer = problem(status_of(error), error.message, kind_of(error), places(error), headers)
        length = str(len(answer.content))
        named = [
            (name.encode(), value.encode()) for name, value in {**answer.headers, "content-length": length}.items()
        ]
        await self.send({"type": "http.response.start", "status": answer.status_code, "headers": named})
        await self.send({"type": "http.response.body", "body": answer.content, "more_body": False})

    async def send(self, message: Any) -> None:
        """Send a message of the answer on to the server, changed where it has to be."""
        if message["type"] == "http.response.start":
            await self._begin(message)
            return
        if self._held is not None:
            start, self._held = self._held, None
            if not message.get("more_body"):
                message = await self._finish(start, message)
            await self._send(start)
        self._due = self._front.monotonic() + self._front.answer_seconds
        await self._send(message)

    def end(self) -> None:
        """Count the exchange, and log it where that is due."""
        seconds = self._front.monotonic() - self._started
        if self._is_stream:
            self.metrics.streams.dec()
        elif self._status:
            self.metrics.answered(self.method, self.route, self._status, seconds)
        log_request(self, self._status, seconds, self._code)

    async def _begin(self, message: Any) -> None:
        self._status = status = message["status"]
        headers = [*message["headers"], (ID_HEADER, self.id.encode())]
        told = dict(headers)
        kind = told.get(b"content-type", b"")
        # What caches keep for everybody says nothing of one asker.
        if self._left >= 0 and b"public" not in told.get(b"cache-control", b""):
            headers.append((b"ratelimit-policy", self.limits.by_cost[self.cost].policy.encode()))
            headers.append((b"ratelimit", b'"%s";r=%d' % (self.cost.encode(), self._left)))
        if status == HTTPStatus.NOT_MODIFIED:
            headers = compression.unchanged(headers, self._given.get(b"if-none-match", b""))
        elif status == HTTPStatus.TOO_MANY_REQUESTS:
            self.metrics.limited(self.cost)
        elif status == HTTPStatus.UNAUTHORIZED and self._has_credentials and self.limits.failures is not None:
            self.limits.failures.spend(self.client)
        if self.body is not None and not self.body.is_complete:
            await self.body.drain()
            if not self.body.is_complete:
                headers.append(_CLOSE)
        message = {**message, "headers": headers}
        if kind.startswith(_STREAM):
            self._begin_stream()
        elif kind == _PROBLEM or (
            status < HTTPStatus.MULTIPLE_CHOICES
            and self.cost != IDENTITY
            and compression.is_eligible(told, has_credentials=self._has_credentials)
        ):
            self._held = message
            return
        await self._send(message)

    def _begin_stream(self) -> None:
        self._is_stream = True
        self._front.under_way.discard(self)
        self.metrics.streams.inc()
        self.metrics.answered(self.method, self.route, self._status, self._front.monotonic() - self._started)

    async def _finish(self, start: Any, message: Any) -> Any:
        """Put the head of a whole answer right that was held back for its body, and return the body as it is sent."""
        headers, body = start["headers"], message.get("body", b"")
        if dict(headers)[b"content-type"] == _PROBLEM:
            headers, body = self._with_id(headers, body)
        else:
            headers, body = await self._front.compressed.answer(
                self.scope, headers, body, is_accepted=self._accepts_gzip
            )
        start["headers"] = headers
        return {**message, "body": body}

    def _with_id(self, headers: compression.RawHeaders, body: bytes) -> tuple[compression.RawHeaders, bytes]:
        """Return a problem with the id of its request as a further member."""
        if not body.endswith(b"}"):
            return headers, body
        with suppress(msgspec.DecodeError):
            kind = msgspec.json.decode(body, type=_Problem).type
            self._code = kind.removeprefix(_ERROR_KIND)
        body = body[:-1] + b', "request_id": "%s"}' % self.id.encode()
        kept = [(name, value) for name, value in headers if name != b"content-length"]
        return [*kept, (b"content-length", str(len(body)).encode())], body


class _Problem(msgspec.Struct):
    type: str
