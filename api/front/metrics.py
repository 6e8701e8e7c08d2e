"""`/metrics`: what the server does, in figures for Prometheus, from a registry of its own.

Labels take few values: methods that there are, templates of addresses, classes of statuses, codes of errors. No
figure tells who asked, or about which paper.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from api.front.current import exchange_of
from api.front.rates import COST_CLASSES
from api.present import Present
from api.problems import SECURITY_HEADERS
from ledger.appending import Clock
from ledger.errors import LedgerError

APPENDED: Final = "appended"
KNOWN: Final = "known"
OTHER: Final = "other"

_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_CLASSES: Final = ("", "1xx", "2xx", "3xx", "4xx", "5xx")
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30)


class Metrics:
    """The figures of one application.

    Args:
        clock: returns now, in microseconds.
    """

    def __init__(self, present: Present, clock: Clock) -> None:
        self.registry: Final = CollectorRegistry()
        self._seconds = Histogram(
            "pith_http_request_seconds",
            "Requests, and how long each took until it was answered (a stream: until it began)",
            ("method", "route", "status"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._series: dict[tuple[str, str | None, int], Histogram] = {}
        self._limited = Counter(
            "pith_http_limited",
            "Requests refused because their client asked too often",
            ("cost",),
            registry=self.registry,
        )
        for cost in COST_CLASSES:
            self._limited.labels(cost)
        self._submissions = Counter(
            "pith_submissions",
            "Submitted events by what became of them: appended, known, or the code of the refusal",
            ("outcome",),
            registry=self.registry,
        )
        self._outcomes = {APPENDED, KNOWN, *_codes(LedgerError)}
        self.streams: Final = Gauge("pith_http_streams_open", "Streams of events that are open", registry=self.registry)
        for name, text, figure in (
            ("pith_log_entries", "Entries in the log", lambda: present.sight.size),
            (
                "pith_log_anchored_entries",
                "Entries that an outside clock vouches for",
                lambda: present.sight.anchored_size,
            ),
            (
                "pith_log_unanchored_seconds",
                "Since when an entry waits for an outside clock to vouch for it; 0 where none does",
                lambda: present.sight.unanchored_seconds(clock()) or 0.0,
            ),
            ("pith_projection_cursor", "Entries that the projections have read", lambda: present.sight.cursor),
            ("pith_projection_lag", "Entries that they have not", lambda: present.sight.size - present.sight.cursor),
        ):
            Gauge(name, text, registry=self.registry).set_function(figure)
        ProcessCollector(registry=self.registry)

    def answered(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count an answer.

        Args:
            route: the template of its address; None where there is none.
        """
        name = (method, route, status // 100)
        series = self._series.get(name)
        if series is None:
            known = (method if method in _METHODS else OTHER, route or "none", _CLASSES[status // 100])
            series = self._seconds.labels(*known)
            if method in _METHODS:
                self._series[name] = series
        series.observe(seconds)

    def limited(self, cost: str) -> None:
        """Count a request that was refused because its client asked too often."""
        self._limited.labels(cost).inc()

    def submitted(self, outcome: str, number: int = 1) -> None:
        """Count submitted events by `APPENDED`, `KNOWN` or an error's code."""
        self._submissions.labels(outcome if outcome in self._outcomes else OTHER).inc(number)


def counted(request: Request[Any, Any, Any], outcome: str, number: int = 1) -> None:
    """Count submitted events where the front stands before the application.

    Args:
        outcome: `APPENDED`, `KNOWN`, or the code of the error by which they are refused.
    """
    if (exchange := exchange_of(request)) is not None:
        exchange.metrics.submitted(outcome, number)


def metrics_handlers(metrics: Metrics) -> list[HTTPRouteHandler]:
    """Return the route of the figures."""

    @get(
        "/metrics",
        sync_to_thread=True,
        summary="Figures for Prometheus",
        operation_id="metrics",
        tags=["operation"],
        responses={
            HTTPStatus.OK: ResponseSpec(bytes, description="The text exposition format", media_type="text/plain")
        },
    )
    def figures() -> Response[bytes]:
        """Requests by route and status, the log and its projections, submissions by outcome, streams, the process."""
        headers = {"content-type": CONTENT_TYPE_PLAIN_0_0_4, "cache-control": "no-store", **SECURITY_HEADERS}
        return Response(generate_latest(metrics.registry), headers=headers)

    return [figures]


def _codes(kind: type[LedgerError]) -> set[str]:
    return {kind.code}.union(*map(_codes, kind.__subclasses__()))
