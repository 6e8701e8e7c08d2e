"""What the server writes down: each write and each failure once, and nothing that is private or could be forged."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from litestar import Request, get, post
from litestar.params import FromPath
from sqlalchemy.exc import StatementError

from api.front.logs import configure_logging, noted
from ledger.errors import ProjectionBehindError, SignatureInvalidError
from tests.api.fronts import Moment, fronted
from tests.api.registry import Registry, a_registry
from tests.processes import ROOT, environment

Line = dict[str, Any]
SECRETS = ("hunter2", "josiah@brown.example", "sesame")


@contextmanager
def logged(level: int = logging.INFO, *, as_json: bool = True) -> Iterator[io.StringIO]:
    """Set logging up for a while, and leave it as it was found."""
    root = logging.getLogger()
    names = [None, "api", "ledger", "projections", "ops", "httpx", "httpcore", "uvicorn"]
    levels = {name: logging.getLogger(name).level for name in names}
    handlers = [*root.handlers]
    stream = io.StringIO()
    root.handlers.clear()  # the test runner's own, which would send on whatever is said
    configure_logging(stream, as_json, level)
    try:
        yield stream
    finally:
        configure_logging(io.StringIO(), True)
        root.handlers[:] = handlers
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)
        structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[Line]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@post("/write", status_code=201)
async def write(request: Request[Any, Any, Any]) -> None:
    noted(request, event_id="sha256:00", appended=1)


@post("/refuse")
async def refuse() -> None:
    raise SignatureInvalidError("the signature is sesame", place="sesame", cure="sesame")


@get("/broken/{name:str}")
async def broken(name: FromPath[str]) -> None:
    raise RuntimeError(f"{name} broke for josiah@brown.example")


@get("/behind")
async def behind() -> None:
    raise ProjectionBehindError("not yet")


@post("/crash")
async def crash() -> None:
    raise RuntimeError("on writing")


@get("/fine")
async def fine() -> str:
    logging.getLogger("api.fine").info("it is fine")
    return "fine"


@get("/threaded", sync_to_thread=True)
def threaded() -> None:
    logging.getLogger("ledger.threaded").warning("from a worker")


HANDLERS = (write, refuse, broken, behind, crash, fine, threaded)


# One line for each.


def test_a_write_has_one_line(registry: Registry) -> None:
    with logged() as stream, fronted(registry, *HANDLERS) as app:
        answer = httpx.post(f"{app.address}/write", content=b"{}")
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line.pop("milliseconds") > 0
    assert line == {
        "event": "write",
        "level": "info",
        "logger": "api.requests",
        "request_id": answer.headers["pith-request-id"],
        "method": "POST",
        "route": "/write",
        "status": 201,
        "outcome": "done",
        "event_id": "sha256:00",
        "appended": 1,
    }


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("/refuse", 422, "signature-invalid"), ("/fine", 405, "method-not-allowed"), ("/a//b", 404, "not-found")],
)
def test_a_refused_write_has_one_line_with_the_code(registry: Registry, path: str, status: int, code: str) -> None:
    with logged() as stream, fronted(registry, *HANDLERS) as app:
        httpx.post(f"{app.address}{path}")
    (line,) = lines(stream)
    assert (line["outcome"], line["status"], line["code"]) == ("refused", status, code)
    assert "sesame" not in stream.getvalue()


def test_a_write_beyond_its_limit_has_one_line(registry: Registry) -> None:
    with logged() as stream, fronted(registry, *HANDLERS, limits={"submit": 1}, monotonic=Moment()) as app:
        for _ in range(2):
            httpx.post(f"{app.address}/write")
    assert [line["status"] for line in lines(stream)] == [201, 429]


def test_a_failure_has_one_line_with_its_traceback_and_the_request(registry: Registry) -> None:
    with logged() as stream, fronted(registry, *HANDLERS) as app:
        answer = httpx.get(f"{app.address}/broken/spoon")
    (line,) = lines(stream)
    assert (line["level"], line["method"], line["route"]) == ("error", "GET", "/broken/{name}")
    assert line["request_id"] == answer.headers["pith-request-id"]
    assert line["exception"].startswith("Traceback") and "RuntimeError: spoon broke" in line["exception"]


def test_a_failure_without_a_traceback_has_one_line_too(registry: Registry) -> None:
    with logged() as stream, fronted(registry, *HANDLERS) as app:
        httpx.get(f"{app.address}/behind")
    (line,) = lines(stream)
    assert (line["level"], line["outcome"], line["code"]) == ("warning", "failed", "projection-behind")


def test_a_write_that_fails_has_its_line_beside_the_failures(registry: Registry) -> None:
    with logged() as stream, fronted(registry, *HANDLERS) as app:
        httpx.post(f"{app.address}/crash")
    failure, line = lines(stream)
    assert "RuntimeError: on writing" in failure["exception"]
    assert (line["event"], line["outcome"], line["status"]) == ("write", "failed", 500)
    assert failure["request_id"] == line["request_id"]


def test_reading_leaves_no_line_unless_all_are_wanted(registry: Registry) -> None:
    with fronted(registry, *HANDLERS) as app:
        with logged(logging.WARNING) as stream:
            httpx.get(f"{app.address}/fine")
            httpx.get(f"{app.address}/nothing")
        assert lines(stream) == []
        with logged(logging.DEBUG) as stream:
            httpx.get(f"{app.address}/fine")
        assert [line["event"] for line in lines(stream)] == ["it is fine", "read"]


def test_every_module_speaks_in_the_same_form_and_of_its_request(registry: Registry) -> None:
    with logged() as stream, fronted(registry, *HANDLERS) as app:
        ids = [httpx.get(f"{app.address}/{path}").headers["pith-request-id"] for path in ("fine", "threaded")]
        logging.getLogger("ops.elsewhere").warning("outside of any %s", "request")
        structlog.get_logger("ops.other").warning("by the other way", number=7)
    first, second, third, fourth = lines(stream)
    assert [first["request_id"], second["request_id"]] == ids
    assert (second["event"], second["logger"], second["level"]) == ("from a worker", "ledger.threaded", "warning")
    assert (third["event"], "request_id" in third) == ("outside of any request", False)
    assert (fourth["event"], fourth["number"], fourth["logger"]) == ("by the other way", 7, "ops.other")


def test_a_submission_to_the_registry_is_logged(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry, logged() as stream:
        registry.post(registry.world.citation())
        registry.client.post("/api/events", content=b"no json", headers={"content-type": "application/json"})
    done, refused = [line for line in lines(stream) if line["event"] == "write"]
    assert (done["route"], done["outcome"]) == ("/api/events", "done")
    assert (refused["outcome"], refused["code"]) == ("refused", "not-json")


# What is never in it.


def test_nothing_private_of_a_request_is_logged(registry: Registry) -> None:
    headers = {"authorization": "Bearer hunter2", "cookie": "pith-session=hunter2", "content-type": "application/json"}
    with logged(logging.DEBUG) as stream, fronted(registry, *HANDLERS) as app:
        for path in ("/write", "/refuse", "/crash", "/nothing", "/fine", "/api/session/openid"):
            for method in ("GET", "POST"):
                address = f"{app.address}{path}?code=sesame&email=josiah@brown.example"
                httpx.request(method, address, headers=headers, content=b'{"body": "hunter2"}')
        httpx.get(f"{app.address}/broken/spoon?code=sesame", headers=headers)
    assert len(lines(stream)) >= 12
    assert [secret for secret in SECRETS if secret in stream.getvalue()] == []


def test_the_values_of_a_database_statement_are_withheld() -> None:
    values = ("hunter2",)
    with logged() as stream:
        try:
            try:
                raise StatementError("refused", "INSERT INTO people VALUES (?)", values, ValueError())
            except StatementError as error:
                raise RuntimeError("the database refused") from error
        except RuntimeError as error:
            logging.getLogger("api.somewhere").error("it failed", exc_info=error)
            structlog.get_logger("api.elsewhere").exception("it failed")
    first, second = lines(stream)
    assert "INSERT INTO people" in first["exception"] and "INSERT INTO people" in second["exception"]
    assert "hunter2" not in stream.getvalue()


def test_addresses_of_people_are_withheld_wherever_they_stand() -> None:
    with logged() as stream:
        log = structlog.get_logger("api.somewhere")
        log.info("a letter to josiah@brown.example", to=["josiah@brown.example"], by={"x": "<josiah@brown.example>"})
        logging.getLogger("ops.letters").warning("refused: %s", {"josiah@brown.example": (550, b"no")})
    assert "josiah" not in stream.getvalue()
    assert lines(stream)[0]["event"] == "a letter to (withheld)"


def test_what_is_named_as_a_secret_is_withheld() -> None:
    with logged() as stream:
        structlog.get_logger("api.somewhere").info(
            "oops",
            Authorization="hunter2",
            set_cookie="hunter2",
            access_token="hunter2",
            request_body="hunter2",
            number=7,
        )
    (line,) = lines(stream)
    assert (line["Authorization"], line["number"]) == ("(withheld)", 7)
    assert "hunter2" not in stream.getvalue()


def test_what_clients_of_ours_say_of_addresses_is_not_logged() -> None:
    with logged(logging.DEBUG) as stream:
        logging.getLogger("httpx").info("HTTP Request: GET https://orcid.example/token?code=sesame")
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert lines(stream) == []


FORGERY = 'fine\n{"event": "write", "level": "info"}\r\n\x1b[2J\x9b31m\u2028\x00 and \ud800 so on'


def test_no_text_makes_a_second_line_of_json() -> None:
    with logged() as stream:
        logging.getLogger("api.somewhere").warning(FORGERY)
        structlog.get_logger("api.somewhere").warning("oops", **{FORGERY: FORGERY})
        try:
            raise ValueError(FORGERY)
        except ValueError as error:
            logging.getLogger("api.somewhere").error("failed", exc_info=error)
    assert len(stream.getvalue().split("\n")) == 4
    assert stream.getvalue().isascii() and stream.getvalue().replace("\n", "").isprintable()
    first, second, third = lines(stream)
    assert first["event"] == FORGERY == second[FORGERY]
    assert FORGERY.split("\n")[1] in third["exception"]


def test_no_text_reaches_a_terminal_as_more_than_text() -> None:
    with logged(as_json=False) as stream:
        logging.getLogger("api.somewhere").warning(FORGERY)
        structlog.get_logger("api.somewhere").warning("oops", name=FORGERY)
        try:
            raise ValueError(FORGERY)
        except ValueError as error:
            logging.getLogger("api.somewhere").error("failed", exc_info=error)
    text = stream.getvalue()
    assert not set("\x1b\x9b\x00\r\u2028\ud800") & set(text)
    # A traceback has lines of its own, and is told from the log's by standing further in.
    assert [line for line in text.splitlines() if line.startswith("{")] == []
    assert sum(line[:4].isdigit() for line in text.splitlines()) == 3


def test_a_terminal_shows_a_write_as_text(registry: Registry) -> None:
    with logged(as_json=False) as stream, fronted(registry, *HANDLERS) as app:
        httpx.post(f"{app.address}/write")
    (line,) = stream.getvalue().splitlines()
    assert "write" in line and "route=/write" in line and "outcome=done" in line


# Setting it up.


def test_it_is_set_up_once_however_often_it_is_asked() -> None:
    with logged() as stream:
        configure_logging(stream, True)
        configure_logging(stream, True)
        logging.getLogger("api.somewhere").warning("once")
    assert len(lines(stream)) == 1


def test_nothing_is_set_up_by_loading_the_application() -> None:
    program = """
import logging, structlog, api.app
assert not logging.getLogger().handlers and logging.getLogger("api").level == logging.NOTSET
assert not structlog.is_configured()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=ROOT, env=environment(), check=True)
