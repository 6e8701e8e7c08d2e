"""The front: ids, addresses and bodies as they must be, and an end to what takes too long."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import ServerSentEvent, Stream

from tests.api.fronts import MAX_BODY_BYTES, fronted, parsed, sent
from tests.api.registry import Registry

Asked = Request[Any, Any, Any]

MINUTE = 60.0
SOON = 0.1


@get("/fine")
async def fine() -> str:
    return "fine"


@get("/pith/{name:str}")
async def named(name: FromPath[str]) -> str:
    return name


@post("/read", status_code=200)
async def read(request: Asked) -> dict[str, int]:
    return {"length": len(await request.body())}


@post("/unread", status_code=200)
async def unread() -> str:
    return "not looked at"


@get("/never")
async def never() -> None:
    await asyncio.Event().wait()


@get("/broken")
async def broken() -> None:
    raise RuntimeError("/secret/place")


# The id of a request.


def test_every_answer_has_an_id_of_its_own(registry: Registry) -> None:
    ids = [registry.client.get("/checkpoint").headers["pith-request-id"] for _ in range(20)]
    assert len(set(ids)) == 20
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{16}", found) for found in ids)


@pytest.mark.parametrize("header", ["Pith-Request-Id", "X-Request-Id"])
@pytest.mark.parametrize("wanted", ["12345678", "a-Z_09" * 4, "x" * 64])
def test_an_id_that_was_given_comes_back(registry: Registry, header: str, wanted: str) -> None:
    assert registry.client.get("/nothing", headers={header: wanted}).headers["pith-request-id"] == wanted


@pytest.mark.parametrize(
    "wanted", ["short12", "x" * 65, "with space", "ab;cd=efgh", "<script>x", '"quoted"', "1234\t5678", "é" * 8, ""]
)
def test_an_id_of_another_form_does_not(registry: Registry, wanted: str) -> None:
    found = registry.client.get("/nothing", headers={"x-request-id": wanted.encode("latin-1")})
    assert re.fullmatch(r"[A-Za-z0-9_-]{16}", found.headers["pith-request-id"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/tile/0/999", 404),
        ("GET", "/pith/..%2f", 404),
        ("POST", "/checkpoint", 405),
        ("POST", "/api/events", 415),
        ("GET", "/api/events?after=x", 400),
    ],
)
def test_a_problem_tells_the_id_of_its_request(registry: Registry, method: str, path: str, status: int) -> None:
    answer = registry.client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["request_id"] == answer.headers["pith-request-id"]
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_the_head_of_a_problem_is_the_same_without_it(registry: Registry) -> None:
    got, told = (registry.client.request(method, "/nothing") for method in ("GET", "HEAD"))
    assert told.headers["content-length"] == got.headers["content-length"]
    assert told.content == b""


def test_a_failure_of_ours_is_told_by_its_id_alone(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), fronted(registry, broken) as app:
        answer = httpx.get(f"{app.address}/broken")
    assert answer.status_code == 500
    assert answer.json()["request_id"] == answer.headers["pith-request-id"]
    assert "secret" not in answer.text


# Addresses.


@pytest.mark.parametrize(
    "path",
    [
        "//",
        "//checkpoint",
        "/api//events",
        "/./checkpoint",
        "/../checkpoint",
        "/pith/..",
        "/pith/%2e%2e/checkpoint",
        "/%2e/checkpoint",
        "/pith/.",
        "/pith/..%2f..%2fetc/passwd",
        "/pith/a%00b",
        "/pith/a%0d%0ab",
        "/pith/a%1b[31m",
        "/pith/a\\b",
        "/pith/a%5cb",
        "/pith/%c0%ae%c0%ae",
        "/pith/%ff",
        "/pith/%ed%a0%80",
        "/pith/%7f",
    ],
)
def test_what_is_no_address_is_not_found(registry: Registry, path: str) -> None:
    with fronted(registry, named, fine) as app:
        answer = sent(app.address, f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path", ["/pith/a.b", "/pith/..a", "/pith/a..", "/pith/%C3%A9t%C3%A9", "/pith/a%20b", "/pith/;"]
)
def test_unusual_names_reach_their_handler(registry: Registry, path: str) -> None:
    with fronted(registry, named) as app:
        assert sent(app.address, f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()).status == 200


@pytest.mark.parametrize(("path", "status"), [("/" + "a" * 9_000, 414), ("/fine?" + "a" * 9_000, 414)])
def test_an_address_has_a_longest_length(registry: Registry, path: str, status: int) -> None:
    with fronted(registry, fine) as app:
        assert sent(app.address, f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()).status == status


def test_a_request_has_so_many_headers(registry: Registry) -> None:
    many = "".join(f"x-{number}: 1\r\n" for number in range(101))
    with fronted(registry, fine) as app:
        answer = sent(app.address, f"GET /fine HTTP/1.1\r\nhost: x\r\n{many}\r\n".encode())
    assert (answer.status, b"urn:pith:error:too-many-headers" in answer.content) == (431, True)


# Bodies.


def test_a_body_in_parts_is_read_whole(registry: Registry) -> None:
    with fronted(registry, read) as app:
        answer = httpx.post(f"{app.address}/read", content=iter([b"x" * 1_000] * 50))
    assert answer.json() == {"length": 50_000}


def test_a_body_longer_than_it_may_be_is_refused_before_it_is_read(registry: Registry) -> None:
    head = f"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: {MAX_BODY_BYTES + 1}\r\nexpect: 100-continue\r\n\r\n"
    with fronted(registry, read) as app:
        answer = sent(app.address, head.encode())
    assert (answer.status, answer.headers["connection"]) == (413, "close")


@pytest.mark.parametrize("path", ["/read", "/unread", "/nothing"])
def test_a_body_without_end_is_cut(registry: Registry, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    with fronted(registry, read, unread) as app:
        answer = sent(app.address, head, then=b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
    assert answer.status == {"/read": 413, "/unread": 200, "/nothing": 404}[path]
    assert answer.headers["connection"] == "close"


def test_a_body_that_nobody_read_leaves_the_connection_as_it_was(registry: Registry) -> None:
    with fronted(registry, unread, fine) as app, httpx.Client(base_url=app.address) as client:
        assert client.post("/unread", content=b"x" * 50_000).status_code == 200
        assert client.post("/nothing", content=b"x" * 50_000).status_code == 404
        assert client.get("/fine").text == "fine"


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate", "gzip, identity", "unheard-of"])
def test_a_compressed_body_is_not_read(registry: Registry, encoding: str) -> None:
    with fronted(registry, read) as app:
        answer = httpx.post(f"{app.address}/read", content=b"{}", headers={"content-encoding": encoding})
    assert (answer.status_code, answer.json()["type"]) == (415, "urn:pith:error:unsupported-media")


@pytest.mark.parametrize("encoding", ["identity", "Identity"])
def test_a_body_as_it_stands_may_say_so(registry: Registry, encoding: str) -> None:
    with fronted(registry, read) as app:
        answer = httpx.post(f"{app.address}/read", content=b"{}", headers={"content-encoding": encoding})
    assert answer.json() == {"length": 2}


# Time.


def test_a_body_that_does_not_come_is_not_waited_for(registry: Registry) -> None:
    head = b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nonly this"
    with fronted(registry, read, body_seconds=SOON, answer_seconds=2 * SOON) as app:
        answer = sent(app.address, head)
    assert (answer.status, answer.headers["connection"]) == (408, "close")
    assert b"urn:pith:error:too-slow" in answer.content


def test_a_body_that_is_broken_off_is_nobodys_failure(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    head = b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nonly this"
    with caplog.at_level(logging.INFO), fronted(registry, read, fine) as app:
        host, _, port = urlsplit(app.address).netloc.rpartition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head)
        assert httpx.get(f"{app.address}/fine").status_code == 200
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_an_answer_that_does_not_come_is_not_waited_for(registry: Registry) -> None:
    with fronted(registry, never, fine, answer_seconds=SOON) as app, httpx.Client(base_url=app.address) as client:
        answer = client.get("/never")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:pith:error:overdue")
        assert answer.headers["retry-after"] == "5"
        assert answer.json()["request_id"] == answer.headers["pith-request-id"]
        assert client.get("/fine").text == "fine"


def test_a_worker_that_hangs_is_not_waited_for(registry: Registry) -> None:
    released = threading.Event()

    @get("/stuck", sync_to_thread=True)
    def stuck() -> None:
        released.wait(MINUTE)

    try:
        with fronted(registry, stuck, answer_seconds=SOON) as app:
            assert httpx.get(f"{app.address}/stuck").status_code == 503
            released.set()
    finally:
        released.set()


def test_an_answer_that_stops_in_its_middle_is_cut(registry: Registry) -> None:
    @get("/half")
    async def half() -> Stream:
        async def parts() -> AsyncIterator[bytes]:
            yield b"x" * 10
            await asyncio.Event().wait()

        return Stream(parts(), media_type="application/octet-stream")

    with fronted(registry, half, answer_seconds=SOON) as app, pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{app.address}/half")


def test_a_stream_of_events_takes_as_long_as_it_likes(registry: Registry) -> None:
    """Another request is cut long before this one goes on, which shows that time has passed."""
    go_on = threading.Event()

    @get("/stream")
    async def stream() -> ServerSentEvent:
        async def events() -> AsyncIterator[str]:
            yield "first"
            await asyncio.to_thread(go_on.wait, MINUTE)
            yield "last"

        return ServerSentEvent(events())

    with (
        fronted(registry, stream, never, answer_seconds=SOON) as app,
        httpx.Client(base_url=app.address) as client,
        client.stream("GET", "/stream") as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines) == "data: first"
        for _ in range(3):
            assert httpx.get(f"{app.address}/never").status_code == 503
        go_on.set()
        assert "data: last" in list(lines)


# Protocols.


def test_requests_in_one_piece_are_answered_in_turn(registry: Registry) -> None:
    one = b"GET /fine HTTP/1.1\r\nhost: x\r\nx-request-id: %b\r\n\r\n"
    with fronted(registry, fine) as app:
        host, _, port = urlsplit(app.address).netloc.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=MINUTE) as connection:
            connection.sendall(one % b"the-first" + one % b"the-second")
            received = b""
            while received.count(b"fine") < 2:
                received += connection.recv(65_536)
    first, second = received.split(b"HTTP/1.1 200")[1:]
    assert parsed(b"HTTP/1.1 200" + first).headers["pith-request-id"] == "the-first"
    assert parsed(b"HTTP/1.1 200" + second).headers["pith-request-id"] == "the-second"
