"""Answers in gzip: who gets them, what is never compressed, and that their tags name what was sent."""

from __future__ import annotations

import asyncio
import gzip
import os
from typing import Any

import httpx
import pytest
from litestar import Request, Response, get, post, route
from litestar.datastructures import Cookie
from litestar.response import ServerSentEvent, Stream

from api.caching import IMMUTABLE, SHORT, cached
from api.front.compression import Compressed, is_accepted
from tests.api.fronts import Fronted, fronted
from tests.api.registry import Registry

TEXT = "papers and " * 500
SMALL = "papers"

Asked = Request[Any, Any, Any]


@route("/text", http_method=["GET", "HEAD"])
async def text(request: Asked) -> Response[bytes]:
    return cached(request, TEXT.encode(), "application/json", SHORT)


@get("/untagged")
async def untagged() -> Response[str]:
    return Response(TEXT, media_type="text/plain", headers={"vary": "accept"})


@get("/small")
async def small(request: Asked) -> Response[bytes]:
    return cached(request, SMALL.encode(), "application/json", SHORT)


@get("/tile")
async def tile(request: Asked) -> Response[bytes]:
    return cached(request, TEXT.encode(), "application/octet-stream", IMMUTABLE)


@get("/packed")
async def packed() -> Response[bytes]:
    return Response(
        gzip.compress(TEXT.encode() * 9, 1), headers={"content-type": "text/plain", "content-encoding": "br"}
    )


@get("/for-me")
async def for_me() -> Response[str]:
    return Response(TEXT, media_type="text/plain", headers={"cache-control": "private, max-age=5"})


@get("/logged-in")
async def logged_in() -> Response[str]:
    return Response(TEXT, media_type="text/plain", cookies=[Cookie(key="pith-session", value="secret")])


@get("/api/session")
async def session() -> Response[str]:
    return Response(TEXT, media_type="text/plain")


@get("/lines")
async def lines() -> Stream:
    async def parts() -> Any:
        for _ in range(3):
            yield TEXT

    return Stream(parts(), media_type="application/x-ndjson")


@get("/stream")
async def stream() -> ServerSentEvent:
    async def events() -> Any:
        yield TEXT

    return ServerSentEvent(events())


@post("/batch", status_code=200)
async def batch() -> Response[str]:
    return Response(TEXT, media_type="application/json", headers={"cache-control": "no-store"})


HANDLERS = (text, untagged, small, tile, packed, for_me, logged_in, session, lines, stream, batch)


@pytest.fixture(scope="module")
def app(registry: Registry) -> Any:
    with fronted(registry, *HANDLERS) as app:
        yield app


def asked(
    app: Fronted, path: str, encoding: str | None = "gzip", method: str = "GET", **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with httpx.Client(base_url=app.address) as client:
        del client.headers["accept-encoding"]
        if encoding is not None:
            client.headers["accept-encoding"] = encoding
        return client.request(method, path, headers=named)


# Who gets it.


@pytest.mark.parametrize(
    "encoding",
    ["gzip", "GZIP", "gzip, deflate, br", "br;q=1.0, gzip;q=0.8, *;q=0.1", "*", "identity;q=0.5, gzip;q=1", "x-gzip"],
)
def test_who_takes_gzip_gets_it(app: Fronted, encoding: str) -> None:
    answer = asked(app, "/text", encoding)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.text == TEXT
    assert int(answer.headers["content-length"]) < len(TEXT) / 10


@pytest.mark.parametrize(
    "encoding",
    [
        None,
        "",
        "identity",
        "br",
        "gzip;q=0",
        "gzip;q=0.000",
        "*;q=0",
        "gzip;q=0, *",
        "gzip;q=x",
        "gzip;q=0.2, identity",
    ],
)
def test_who_does_not_gets_it_as_it_stands(app: Fronted, encoding: str | None) -> None:
    answer = asked(app, "/text", encoding)
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-length"] == str(len(TEXT))
    assert answer.headers["vary"] == "accept-encoding"


@pytest.mark.parametrize("encoding", [b"gzip;q=nan", b";;;,,,", b"\xff", b"gzip;q=-1", b"gzip;q=", b"q=1", b"," * 999])
def test_what_cannot_be_read_is_not_taken_for_gzip(encoding: bytes) -> None:
    assert not is_accepted(encoding)


@pytest.mark.parametrize(
    "path", ["/small", "/tile", "/packed", "/for-me", "/logged-in", "/api/session", "/lines", "/stream"]
)
def test_these_stay_as_they_are(app: Fronted, path: str) -> None:
    with httpx.Client(base_url=app.address) as client, client.stream("GET", path) as answer:
        assert answer.headers.get("content-encoding", "") in ("", "br")
        assert "accept-encoding" not in answer.headers.get("vary", "")


def test_an_answer_to_credentials_stays_as_it_is_unless_it_is_for_all(app: Fronted) -> None:
    assert "content-encoding" not in asked(app, "/untagged", authorization="Pith-Key x").headers
    assert "content-encoding" not in asked(app, "/untagged", cookie="pith-session=x").headers
    assert asked(app, "/text", cookie="pith-session=x").headers["content-encoding"] == "gzip"


def test_answers_to_submissions_are_compressed(app: Fronted) -> None:
    answer = asked(app, "/batch", method="POST")
    assert (answer.headers["content-encoding"], answer.text) == ("gzip", TEXT)


def test_what_an_answer_varies_by_is_added_to(app: Fronted) -> None:
    for encoding in ("gzip", "identity"):
        assert asked(app, "/untagged", encoding).headers.get_list("vary") == ["accept", "accept-encoding"]


# Tags.


def test_the_two_forms_have_two_strong_tags(app: Fronted) -> None:
    plain, packed = asked(app, "/text", "identity").headers["etag"], asked(app, "/text").headers["etag"]
    assert packed == plain[:-1] + '-gzip"'
    assert not plain.startswith("W/")


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("held", ["gzip", "identity"])
@pytest.mark.parametrize("condition", ["{}", '"other", {}', "W/{}", "{}, {}"])
def test_who_has_either_form_is_told_so_by_its_tag(app: Fronted, encoding: str, held: str, condition: str) -> None:
    tag = asked(app, "/text", held).headers["etag"]
    answer = asked(app, "/text", encoding, if_none_match=condition.format(tag, tag))
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == tag
    assert answer.headers["vary"] == "accept-encoding"
    assert "content-encoding" not in answer.headers


def test_who_has_another_form_gets_this_one(app: Fronted) -> None:
    tag = asked(app, "/text", "identity").headers["etag"]
    for other in (tag[:-1] + '-br"', tag[:-1] + "-gzip", '"-gzip"', "-gzip"):
        assert asked(app, "/text", if_none_match=other).status_code == 200


def test_head_tells_the_form_that_get_would_have(app: Fronted) -> None:
    for encoding in ("gzip", "identity"):
        got, told = asked(app, "/text", encoding), asked(app, "/text", encoding, "HEAD")
        for name in ("etag", "vary", "content-encoding", "cache-control"):
            assert told.headers.get(name) == got.headers.get(name)
        assert told.content == b""


def test_a_paper_and_the_log_come_compressed_from_the_whole_application(registry: Registry) -> None:
    plain = registry.client.get("/pith-log.json", headers={"accept-encoding": "identity"})
    packed = registry.client.get("/pith-log.json")
    assert (packed.headers["content-encoding"], packed.content) == ("gzip", plain.content)
    again = registry.client.get("/pith-log.json", headers={"if-none-match": packed.headers["etag"]})
    assert again.status_code == 304


# What is kept.


def answered(
    compressed: Compressed, body: bytes, tag: bytes | None = b'"1"', path: str = "/", query: bytes = b""
) -> bytes:
    scope = {"method": "GET", "path": path, "query_string": query}
    headers = [(b"content-type", b"text/plain"), *([(b"etag", tag)] if tag else [])]
    _, content = asyncio.run(compressed.answer(scope, headers, body, is_accepted=True))
    return content


def test_a_tagged_answer_is_compressed_once() -> None:
    compressed = Compressed()
    assert answered(compressed, TEXT.encode()) is answered(compressed, TEXT.encode())


def test_an_answer_is_never_taken_for_another() -> None:
    compressed = Compressed()
    others = [
        answered(compressed, TEXT.encode()),
        answered(compressed, b"A" * len(TEXT), b'"2"'),
        answered(compressed, b"B" * len(TEXT), path="/other"),
        answered(compressed, b"C" * len(TEXT), query=b"other"),
        answered(compressed, b"D" * (len(TEXT) + 1)),
        answered(compressed, b"E" * len(TEXT), None),
        answered(compressed, b"F" * len(TEXT), None),
    ]
    assert {gzip.decompress(other)[:1] for other in others} == {b"p", b"A", b"B", b"C", b"D", b"E", b"F"}


def test_only_so_many_bytes_are_kept_and_the_newest_of_them() -> None:
    compressed = Compressed(100_000)
    bodies = [os.urandom(5_000) for _ in range(40)]
    first = [answered(compressed, body, b'"%d"' % number) for number, body in enumerate(bodies)]
    assert answered(compressed, bodies[39], b'"39"') is first[39]
    assert answered(compressed, bodies[0], b'"0"') is not first[0]
    assert compressed.kept_bytes <= 100_000


def test_an_answer_too_large_to_keep_is_compressed_all_the_same() -> None:
    compressed = Compressed(100_000)
    body = os.urandom(90_000)
    assert gzip.decompress(answered(compressed, body)) == body
    assert compressed.kept_bytes == 0
