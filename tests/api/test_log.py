"""The log over HTTP: each address of tlog-tiles, what may be cached, and nothing but that."""

from __future__ import annotations

import http.client
import json
import logging
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from litestar import Litestar, Router

from api.log import create_log_app, log_handlers
from api.problems import HANDLERS
from ledger.errors import LogCorruptedError
from ledger.tiles import ENTRIES, Tile, tiles_written
from ops.publications import StorePublication
from tests.builders import ALICE
from tests.logs import Log
from tests.witnesses import served

SIZE = 300
IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A log with a published checkpoint and an entry beyond it."""
    log = Log.opened(tmp_path_factory.mktemp("log"))
    log.admit(*(log.world.citation(ALICE) for _ in range(SIZE - log.store.head().size)))
    log.checkpoint()
    log.admit(log.world.citation(ALICE))
    return log


@pytest.fixture(scope="module")
def address(log: Log) -> Iterator[str]:
    with served(create_log_app(StorePublication(log.store))) as address:
        yield address


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address) as client:
        yield client


def exactly(address: str, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Ask for a path as it stands, which most clients would tidy up first."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


# What is served.


def test_the_checkpoint_is_text_that_is_cached_for_seconds(client: httpx.Client, log: Log) -> None:
    answer = client.get("/checkpoint")
    assert answer.content == log.store.checkpoints.published().note
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=5"


def test_the_identity_is_json(client: httpx.Client, log: Log) -> None:
    answer = client.get("/pith-log.json")
    assert answer.json()["root"] == log.store.entry(0).event.id_text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=5"


@pytest.mark.parametrize("tile", list(tiles_written(0, SIZE)), ids=Tile.path)
def test_every_tile_of_the_published_tree_is_served_for_ever(client: httpx.Client, log: Log, tile: Tile) -> None:
    answer = client.get(f"/{tile.path()}")
    assert answer.content == log.store.tree.tile(tile, SIZE)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] == IMMUTABLE


@pytest.mark.parametrize("level", [0, ENTRIES])
def test_partial_tiles_are_served_in_every_width(address: str, log: Log, level: int) -> None:
    for width in range(1, 256):
        tile = Tile(level, 0, width)
        status, headers, content = exactly(address, f"/{tile.path()}")
        assert (status, headers["cache-control"], content) == (200, IMMUTABLE, log.store.tree.tile(tile, SIZE))


# Conditional requests.


@pytest.mark.parametrize("path", ["/checkpoint", "/pith-log.json", "/tile/0/000", "/tile/entries/001.p/44"])
def test_a_tag_is_strong_and_from_the_content(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.headers["etag"] == f'"{sha256(answer.content).hexdigest()}"'


@pytest.mark.parametrize("path", ["/checkpoint", "/pith-log.json", "/tile/0/000", "/tile/entries/001.p/44"])
@pytest.mark.parametrize("condition", ["{}", '"other", {}', "W/{}", '"a,b" , W/"c",{}', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_it_is_told_so(client: httpx.Client, path: str, condition: str, method: str) -> None:
    known = client.get(path).headers
    answer = client.request(method, path, headers={"if-none-match": condition.format(known["etag"])})
    assert (answer.status_code, answer.content) == (304, b"")
    assert {name: answer.headers[name] for name in ("etag", "cache-control")} == {
        name: known[name] for name in ("etag", "cache-control")
    }


@pytest.mark.parametrize("condition", ['"other"', "", "{}x", '""', "not quoted", "'{}'"])
def test_who_has_something_else_gets_it(client: httpx.Client, condition: str) -> None:
    tag = client.get("/checkpoint").headers["etag"].strip('"')
    assert client.get("/checkpoint", headers={"if-none-match": condition.format(tag)}).status_code == 200


def test_the_checkpoint_changes_its_tag_when_the_log_grows(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    log.checkpoint()
    with served(create_log_app(StorePublication(log.store))) as address:
        before = httpx.get(f"{address}/checkpoint").headers["etag"]
        log.admit(log.world.citation(ALICE))
        log.checkpoint()
        answer = httpx.get(f"{address}/checkpoint", headers={"if-none-match": before})
    assert (answer.status_code, answer.content) == (200, log.store.checkpoints.published().note)


@pytest.mark.parametrize("path", ["/checkpoint", "/pith-log.json", "/tile/0/000"])
def test_head_says_what_get_would_without_the_content(address: str, path: str) -> None:
    status, told, content = exactly(address, path, "HEAD")
    expected_status, expected, _ = exactly(address, path)
    assert (status, content) == (expected_status, b"")
    assert {**told, "date": ""} == {**expected, "date": ""}


# What is not served.

UNKNOWN = [
    "/",
    "/tile",
    "/tile/",
    "/tile/0",
    "/tile/0/",
    "/tile/0/0",
    "/tile/0/00",
    "/tile/0/0000",
    "/tile/0/000/",
    "/tile/0/000.p",
    "/tile/0/000.p/",
    "/tile/0/000.p/0",
    "/tile/0/000.p/00",
    "/tile/0/000.p/01",
    "/tile/0/000.p/256",
    "/tile/0/000.p/257",
    "/tile/0/000.p/-1",
    "/tile/0/000.P/1",
    "/tile/0/x000/000",
    "/tile/0/x000/x000/000",
    "/tile/0/000/000",
    "/tile/0/X001/000",
    "/tile/00/000",
    "/tile/+0/000",
    "/tile/-1/000",
    "/tile/64/000",
    "/tile/63/000",
    "/tile/Entries/000",
    "/tile/ENTRIES/000",
    "/TILE/0/000",
    "/Checkpoint",
    "/checkpoint/",
    "//checkpoint",
    "/./checkpoint",
    "/tile/../checkpoint",
    "/checkpoint%20",
    "/checkpoin%74",
    "/checkpoint.1",
    "/pith-log.json/",
    "/tile//0/000",
    "/tile/0//000",
    "/tile/%30/000",
    "/tile/0/00%30",
    "/tile/0%2f000",
    "/tile/0%2F000",
    "/tile/%2e%2e/checkpoint",
    "/tile/%2e%2e/%2e%2e/etc/passwd",
    "/tile/..%2f..%2fetc/passwd",
    "/tile/../../../../etc/passwd",
    "/tile/0/000%00",
    "/tile/0/000%0a",
    "/tile/0/%d9%a0%d9%a0%d9%a0",
    "/tile/entries/../0/000",
    "/tile/" + "x999/" * 6 + "999",
    "/tile/0/" + "x999/" * 6 + "999",
    "/tile/0/" + "x999/" * 200 + "999",
    "/ledger.db",
    "/manifest.json",
    "/schema",
    "/schema/openapi.json",
    "/docs",
    "/tile/0/001",
    "/tile/0/001.p/45",
    "/tile/0/002.p/1",
    "/tile/1/000",
    "/tile/1/000.p/2",
    "/tile/2/000.p/1",
    "/tile/entries/001",
    "/tile/entries/001.p/45",
    "/tile/entries/002.p/1",
]


@pytest.mark.parametrize("path", UNKNOWN)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_everything_else_is_not_found(address: str, path: str, method: str) -> None:
    status, headers, content = exactly(address, path, method)
    assert status == 404
    assert headers["content-type"] == "application/problem+json"
    if method == "GET":
        problem = json.loads(content)
        assert list(problem)[:4] == ["type", "title", "status", "detail"]
        assert (problem["title"], problem["status"]) == ("Not Found", 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/checkpoint", "/pith-log.json", "/tile/0/000", "/tile/0/x000/000"])
def test_nothing_can_be_done_but_reading(address: str, path: str, method: str) -> None:
    status, headers, content = exactly(address, path, method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert json.loads(content)["title"] == "Method Not Allowed"


@pytest.mark.parametrize("path", ["/checkpoint", "/tile/0/000", "/tile/0/999", "/nothing"])
def test_no_browser_makes_a_page_of_any_answer(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'")


def test_what_is_not_there_yet_is_not_cached(client: httpx.Client) -> None:
    assert client.get("/tile/0/001").headers["cache-control"] == "no-store"


def test_a_log_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    with served(create_log_app(StorePublication(Log.opened(tmp_path).store))) as address:
        answer = httpx.get(f"{address}/checkpoint")
    assert (answer.status_code, answer.json()["detail"]) == (404, "no checkpoint was published yet")


# Our own failures.


class Broken:
    """A publication whose database lies in a place that is nobody's business."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def checkpoint(self) -> bytes:
        raise self.error

    def identity(self) -> bytes:
        raise self.error

    def tile(self, _tile: Tile) -> bytes:
        raise self.error


@pytest.mark.parametrize("path", ["/checkpoint", "/pith-log.json", "/tile/0/000"])
@pytest.mark.parametrize(
    "error", [LogCorruptedError("/secret/place is not whole"), OSError("/secret/place"), KeyError()]
)
def test_our_own_failure_is_logged_and_not_told(path: str, error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), served(create_log_app(Broken(error))) as address:
        answer = httpx.get(f"{address}{path}")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text and "Traceback" not in answer.text
    assert any(record.exc_info and record.exc_info[1] is error for record in caplog.records)


# Beside others.


def test_the_routes_can_be_mounted_under_a_prefix(log: Log) -> None:
    router: Any = Router("/log", route_handlers=log_handlers(StorePublication(log.store)))
    app = Litestar([router], openapi_config=None, exception_handlers=HANDLERS)
    with served(app) as address:
        assert exactly(address, "/log/checkpoint")[2] == log.store.checkpoints.published().note
        assert exactly(address, "/log/tile/0/000")[0] == 200
        assert [exactly(address, path)[0] for path in ("/checkpoint", "/log//checkpoint", "/log/tile/0/00%30")] == [
            404
        ] * 3
