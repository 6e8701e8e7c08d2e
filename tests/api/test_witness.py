"""A witness over HTTP: every status and content type of C2SP tlog-witness, and plain words for what is refused."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from api.witness import STATUS, create_witness_app
from ledger import notes
from ledger.notes import SignedNote
from ledger.witness import MAX_STEP_BACK
from ledger.witness_errors import WitnessRefusedError
from ledger.witnessing import MAX_BODY_BYTES, AddCheckpoint
from tests.builders import key
from tests.witnesses import NAME, NOW, ORIGIN, WITNESS, WITNESS_KEY, Tree, a_witness, cosignature

TREE = Tree.of(24)
FORK = TREE.fork(5)
PLAIN = "text/plain; charset=utf-8"


class Clock:
    """A clock that a test sets, in seconds; it tells microseconds."""

    def __init__(self) -> None:
        self.seconds = NOW

    def __call__(self) -> int:
        if self.seconds < 0:
            raise OSError("the clock chip said /dev/rtc0: secret detail")
        return self.seconds * 1_000_000 + 999_999


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(tmp_path: Path, clock: Clock) -> Iterator[TestClient]:
    """A client of a witness that cosigned the tree at size 8."""
    witness = a_witness(tmp_path)
    witness.add_checkpoint(TREE.request(0, 8), NOW)
    with TestClient(create_witness_app(witness, clock), raise_server_exceptions=False) as found:
        yield found


def post(client: TestClient, body: bytes, **headers: str) -> tuple[int, str, bytes]:
    answer = client.post("/add-checkpoint", content=body, headers=headers)
    return answer.status_code, answer.headers["content-type"], answer.content


def test_a_cosignature_is_one_signature_line(client: TestClient) -> None:
    status, kind, content = post(client, TREE.request(8, 15))
    assert (status, kind) == (200, PLAIN)
    assert cosignature(TREE, 15, content).time == NOW
    assert content.startswith("— ".encode()) and content.endswith(b"\n") and content.count(b"\n") == 1


@pytest.mark.parametrize("kind", ["", "text/plain", "application/octet-stream", "application/json", "nonsense"])
def test_a_request_may_have_any_content_type(client: TestClient, kind: str) -> None:
    assert post(client, TREE.request(8, 15), **{"content-type": kind})[0] == 200


def test_the_same_checkpoint_again_is_cosigned_again(client: TestClient, clock: Clock) -> None:
    clock.seconds += 60
    status, _, content = post(client, TREE.request(8, 8))
    assert status == 200
    assert cosignature(TREE, 8, content).time == NOW + 60


@pytest.mark.parametrize("old", [0, 7, 9, 15])
def test_another_old_size_is_answered_with_the_known_one(client: TestClient, old: int) -> None:
    assert post(client, TREE.request(old, 15)) == (409, "text/x.tlog.size", b"8\n")


def test_a_log_never_seen_has_the_size_zero(tmp_path: Path, clock: Clock) -> None:
    with TestClient(create_witness_app(a_witness(tmp_path), clock)) as client:
        assert post(client, TREE.request(8, 15)) == (409, "text/x.tlog.size", b"0\n")


BY_ANOTHER = Tree(TREE.leaves, ORIGIN, key("mallory"))
WRONG = SignedNote(TREE.text(15), (notes.sign(FORK.text(15), ORIGIN, TREE.key),))


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "no empty line parts the proof from the checkpoint"),
        (b"{}", 400, "no empty line"),
        (TREE.request(8, 15)[:-1], 400, "the last signature line has no end"),
        (TREE.request(8, 15) + b"x", 400, "the last signature line has no end"),
        (TREE.request(8, 15).replace(b"old 8", b"old 08"), 400, "is not `old` and a tree size"),
        (TREE.request(8, 15).replace(b"\n", b"\r\n"), 400, "no empty line"),
        (TREE.request(15, 15).replace(b"old 15", b"old 16"), 400, "the old size 16 is greater than the checkpoint's"),
        (BY_ANOTHER.request(8, 15), 403, "no key that is trusted for 'log.example/one' signed the checkpoint"),
        (AddCheckpoint(8, (), WRONG).format(), 403, "does not hold"),
        (Tree.of(15, origin="log.example/two").request(8, 15), 404, "'log.example/two' is not followed here"),
        (FORK.request(8, 8), 409, "a tree of 8 entries has the root"),
        (FORK.request(8, 15), 422, "the proof leads to the new root"),
        (AddCheckpoint(8, (), TREE.note(15)).format(), 422, "the proof has 0"),
        (
            AddCheckpoint(8, tuple(TREE.proof(8, 15)), TREE.note(21)).format(),
            422,
            "2 hashes lead there, the proof has 1",
        ),
        (AddCheckpoint(8, tuple(TREE.proof(8, 21)[::-1]), TREE.note(21)).format(), 422, "the proof leads to"),
    ],
)
def test_a_refusal_is_a_status_a_reason_and_a_cure(client: TestClient, body: bytes, status: int, reason: str) -> None:
    found, kind, content = post(client, body)
    assert (found, kind) == (status, PLAIN)
    message, _, cure = content.decode().removesuffix("\n").rpartition("; ")
    assert reason in message and cure
    assert post(client, TREE.request(0, 15)) == (409, "text/x.tlog.size", b"8\n")


def test_every_refusal_has_a_status() -> None:
    assert set(STATUS) == set(WitnessRefusedError.__subclasses__())


def test_a_body_is_limited(client: TestClient) -> None:
    answer = post(client, b"x" * (MAX_BODY_BYTES + 1))
    assert answer == (413, PLAIN, b"Request Entity Too Large: at most 65536 bytes are taken\n")
    assert post(client, b"x" * MAX_BODY_BYTES)[0] == 400


def test_a_body_that_never_ends_is_cut_off(tmp_path: Path, clock: Clock) -> None:
    scope = {"type": "http", "method": "POST", "path": "/add-checkpoint", "query_string": b"", "headers": []}
    taken, sent = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1_000
        return {"type": "http.request", "body": b"old 8\n" * 1_000, "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    app: Any = create_witness_app(a_witness(tmp_path), clock)
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 413
    assert taken * 6 < MAX_BODY_BYTES + 7_000


def test_the_front_page_says_who_this_is_and_what_it_follows(client: TestClient) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, PLAIN)
    assert answer.text == f"witness {NAME}\nkey {WITNESS_KEY.format()}\nlog {ORIGIN} 8\n"
    post(client, FORK.request(8, 8))
    post(client, TREE.request(8, 15))
    assert client.get("/").text.endswith(f"\nlog {ORIGIN} 15 two-roots-at 8\n")


@pytest.mark.parametrize(
    ("method", "path", "status", "content"),
    [
        ("GET", "/add-checkpoint", 405, "Method Not Allowed\n"),
        ("PUT", "/add-checkpoint", 405, "Method Not Allowed\n"),
        ("POST", "/", 405, "Method Not Allowed\n"),
        ("GET", "/schema", 404, "Not Found\n"),
        ("GET", "/schema/openapi.json", 404, "Not Found\n"),
        ("GET", "/%0d%0aset-cookie:x", 404, "Not Found\n"),
        ("POST", "/add-checkpoint/", 400, None),
    ],
)
def test_nothing_else_is_served(client: TestClient, method: str, path: str, status: int, content: str | None) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PLAIN)
    assert content in (None, answer.text)
    assert (status == 405) == ("allow" in answer.headers)


def test_what_is_not_allowed_is_answered_with_what_is(client: TestClient) -> None:
    assert client.get("/add-checkpoint").headers["allow"] == "OPTIONS, POST"
    assert client.post("/").headers["allow"] == "GET, OPTIONS"


def test_a_witness_whose_clock_is_wrong_asks_to_come_back(client: TestClient, clock: Clock) -> None:
    clock.seconds = NOW - MAX_STEP_BACK - 1
    status, kind, content = post(client, TREE.request(8, 15))
    assert (status, kind) == (503, PLAIN)
    assert b"clock" in content


def test_what_goes_wrong_inside_is_logged_and_not_told(
    client: TestClient, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock.seconds = -1
    assert post(client, TREE.request(8, 15)) == (
        500,
        PLAIN,
        b"the witness failed to answer; its operator can see why\n",
    )
    assert "secret detail" in caplog.text
    clock.seconds = NOW
    with sqlite3.connect(tmp_path / "witness.db") as plain:
        plain.execute(
            "CREATE TRIGGER full BEFORE INSERT ON cosigned_checkpoints BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    plain.close()
    status, kind, content = post(client, TREE.request(8, 15))
    assert (status, kind) == (503, PLAIN)
    assert content == b"the witness cannot keep checkpoints at present; try again later\n"
    assert "the database refused: full" in caplog.text
    assert WITNESS.seed().hex() not in caplog.text
