"""The figures at /metrics: what is counted, under which few labels, and for which application."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Request, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import ServerSentEvent
from prometheus_client.parser import text_string_to_metric_families

from api.front.metrics import APPENDED, KNOWN, counted
from ops.checkpointing import newest
from tests.api.fronts import Fronted, Moment, fronted, sent
from tests.api.registry import Registry, a_registry
from tests.builders import ALICE
from tests.projections.papers import confirmed_checkpoint, regtest_policy

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> Figures:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def figures(registry: Registry) -> Figures:
    return read(registry.client.get("/metrics").text)


def figure(found: Figures, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


def of(app: Fronted, name: str, **labels: str) -> float:
    return app.metrics.registry.get_sample_value(name, labels) or 0.0


COUNT = "pith_http_request_seconds_count"


def test_it_is_the_text_format_of_prometheus(registry: Registry) -> None:
    answer = registry.client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert all(family.documentation for family in text_string_to_metric_families(answer.text))


def test_requests_are_counted_by_method_address_and_class_of_status(registry: Registry) -> None:
    labels: list[dict[str, str]] = [
        {"method": "GET", "route": "/checkpoint", "status": "2xx"},
        {"method": "HEAD", "route": "/checkpoint", "status": "2xx"},
        {"method": "GET", "route": "/tile/{path}", "status": "4xx"},
        {"method": "GET", "route": "none", "status": "4xx"},
    ]
    before = figures(registry)
    registry.client.get("/checkpoint")
    registry.client.head("/checkpoint")
    registry.client.get("/tile/0/999")
    registry.client.get("/nothing/at/all")
    after = figures(registry)
    assert [figure(after, COUNT, **of) - figure(before, COUNT, **of) for of in labels] == [1, 1, 1, 1]
    assert figure(after, "pith_http_request_seconds_sum", **labels[0]) > 0


def test_nothing_a_client_makes_up_becomes_a_label(registry: Registry) -> None:
    def made_up(number: int) -> int:
        sent(registry.address, f"MADEUP{number} /checkpoint HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        registry.client.get(f"/nothing/{number}", headers={"x-request-id": f"some-id-{number}"})
        registry.client.get(f"/tile/0/{number}?q={number}")
        registry.client.request("PROPFIND", f"/checkpoint?{number}")
        registry.client.request("MKCOL", "/checkpoint")
        return len(figures(registry))

    made_up(0)
    assert made_up(1) == made_up(2)
    assert "some-id" not in registry.client.get("/metrics").text


def test_the_log_and_its_projections_are_told(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        registry.admit(registry.world.citation(ALICE))
        registry.caught_up()
        found = figures(registry)
        size = registry.home.store.head().size
    assert figure(found, "pith_log_entries") == figure(found, "pith_projection_cursor") == size
    assert figure(found, "pith_projection_lag") == 0
    assert figure(found, "pith_log_anchored_entries") == 0
    assert figure(found, "pith_log_unanchored_seconds") > 0


def test_a_log_whose_anchors_cover_all_waits_for_no_clock(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        registry.admit(regtest_policy(registry.world))
        note = newest(registry.home).note.decode()
        size = registry.home.store.head().size
        registry.admit(confirmed_checkpoint(registry.world, size, note))
        registry.caught_up()
        found = figures(registry)
    assert figure(found, "pith_log_anchored_entries") == size
    assert found["pith_log_unanchored_seconds", frozenset()] == 0


def test_the_process_is_told(registry: Registry) -> None:
    assert figure(figures(registry), "process_resident_memory_bytes") > 1_000_000


@get("/api/search/{number:int}")
async def search(number: FromPath[int]) -> int:
    return number


@post("/api/events", status_code=200)
async def submit(request: Request[Any, Any, Any], code: FromQuery[str], number: FromQuery[int] = 1) -> None:
    counted(request, code, number)


def test_submissions_are_counted_by_what_became_of_them(registry: Registry) -> None:
    outcomes = {APPENDED: 5, KNOWN: 1, "signature-invalid": 2, "other": 3}
    with fronted(registry, submit) as app:
        for code, number in [(APPENDED, 2), (APPENDED, 3), (KNOWN, 1), ("signature-invalid", 2), ("<made up>", 3)]:
            httpx.post(f"{app.address}/api/events", params={"code": code, "number": number})
        assert {name: of(app, "pith_submissions_total", outcome=name) for name in outcomes} == outcomes


def test_what_a_limit_refuses_is_counted_by_its_class(registry: Registry) -> None:
    with fronted(registry, search, limits={"search": 1, "read": 1}, monotonic=Moment()) as app:
        for number in range(4):
            httpx.get(f"{app.address}/api/search/{number}")
        assert of(app, "pith_http_limited_total", cost="search") == 3
        assert of(app, "pith_http_limited_total", cost="read") == 0


def test_streams_are_counted_while_they_are_open(registry: Registry) -> None:
    go_on = threading.Event()

    @get("/stream")
    async def stream() -> ServerSentEvent:
        async def events() -> AsyncIterator[str]:
            yield "first"
            await asyncio.to_thread(go_on.wait, 60)

        return ServerSentEvent(events())

    with (
        fronted(registry, stream) as app,
        httpx.Client(base_url=app.address) as client,
        client.stream("GET", "/stream") as answer,
    ):
        lines = answer.iter_lines()
        next(lines)
        assert of(app, "pith_http_streams_open") == 1
        assert of(app, COUNT, method="GET", route="/stream", status="2xx") == 1
        go_on.set()
        list(lines)
    assert of(app, "pith_http_streams_open") == 0
    assert of(app, COUNT, method="GET", route="/stream", status="2xx") == 1


def test_two_applications_count_for_themselves(registry: Registry) -> None:
    with fronted(registry, search) as one, fronted(registry, search) as other:
        httpx.get(f"{one.address}/api/search/7")
        labels = {"method": "GET", "route": "/api/search/{number}", "status": "2xx"}
        assert (of(one, COUNT, **labels), of(other, COUNT, **labels)) == (1, 0)


@pytest.mark.parametrize("secret", ["secret_query", "secret-cookie", "secret-token", "test.registry"])
def test_no_figure_tells_who_asked_or_for_what(registry: Registry, secret: str) -> None:
    headers = {"authorization": "Bearer secret-token", "cookie": "pith-session=secret-cookie"}
    registry.client.get("/checkpoint?q=secret_query", headers=headers)
    assert secret not in registry.client.get("/metrics").text
