"""A server keeps answering however many connections somebody opens and leaves half said."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx

from ops.serving import DRAIN_SECONDS, MAX_CONNECTIONS, MAX_HEAD_BYTES, REQUEST_SECONDS, UNREAD_SECONDS
from tests.processes import Pith


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[tuple[str, int]]:
    """Serve a new registry; yields host and port."""
    pith = Pith.at(folder / "data", **settings)
    pith.fine("init", "press.example")
    process = pith.start("serve", "--port", 0, "--json")
    try:
        assert process.stdout is not None
        host, port = json.loads(process.stdout.readline())["address"].removeprefix("http://").split(":")
        yield host, int(port)
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_connections_beyond_the_limit_are_closed_at_once_and_one_that_ends_makes_room(tmp_path: Path) -> None:
    with serving(tmp_path) as (host, port):
        with ExitStack() as opened:
            held = [opened.enter_context(socket.create_connection((host, port))) for _ in range(MAX_CONNECTIONS)]
            for connection in held:
                connection.sendall(b"GET /checkpoint HTTP/1.1\r\n")
            with socket.create_connection((host, port)) as surplus:
                surplus.settimeout(60)
                assert _is_closed(surplus)
            held[0].sendall(b"host: x\r\nconnection: close\r\n\r\n")
            held[0].settimeout(60)
            assert held[0].recv(15) == b"HTTP/1.1 200 OK"
        assert httpx.get(f"http://{host}:{port}/checkpoint", timeout=60).status_code == 200


def test_a_connection_that_does_not_say_what_it_wants_is_closed(tmp_path: Path) -> None:
    with serving(tmp_path) as (host, port), socket.create_connection((host, port)) as silent:
        silent.sendall(b"GET /checkpoint HTTP/1.1\r\n")
        silent.settimeout(REQUEST_SECONDS * 6)
        assert _is_closed(silent)


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_head_without_end_is_cut(tmp_path: Path) -> None:
    with serving(tmp_path) as (host, port), socket.create_connection((host, port)) as endless:
        endless.settimeout(60)
        endless.sendall(b"GET /checkpoint HTTP/1.1\r\nhost: x\r\nx-filler: ")
        assert _is_closed_while_sending(endless, b"a" * 8_192, MAX_HEAD_BYTES * 64)


def test_a_connection_that_stops_after_an_answer_is_closed(tmp_path: Path) -> None:
    with serving(tmp_path) as (host, port), socket.create_connection((host, port)) as stopped:
        stopped.settimeout(REQUEST_SECONDS * 6)
        stopped.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        assert stopped.recv(15) == b"HTTP/1.1 200 OK"
        stopped.sendall(b"G")
        while stopped.recv(65_536):
            pass


def test_a_trusted_proxy_says_for_whom_it_asks(tmp_path: Path) -> None:
    limits = {"PITH_RATE_LIMITS": "read=2"}
    for trusted, expected in (("127.0.0.1", [200, 200, 200]), ("", [200, 200, 429])):
        with serving(tmp_path / f"trusted {trusted}", PITH_TRUSTED_PROXIES=trusted, **limits) as (host, port):
            address = f"http://{host}:{port}/checkpoint"
            answers = [httpx.get(address, headers={"x-forwarded-for": f"192.0.2.{client}"}) for client in range(3)]
            assert [answer.status_code for answer in answers] == expected


def _is_closed_while_sending(connection: socket.socket, data: bytes, most: int) -> bool:
    try:
        for _ in range(0, most, len(data)):
            connection.sendall(data)
    except OSError:
        return True
    return False


def test_a_server_that_is_told_to_stop_ends_its_streams(tmp_path: Path) -> None:
    pith = Pith.at(tmp_path / "data")
    pith.fine("init", "press.example")
    process = pith.start("serve", "--port", 0, "--json")
    assert process.stdout is not None
    address = json.loads(process.stdout.readline())["address"]
    with httpx.stream("GET", f"{address}/api/events", headers={"accept": "text/event-stream"}, timeout=60) as stream:
        assert next(stream.iter_bytes())
        process.terminate()
        process.communicate(timeout=DRAIN_SECONDS - 2)
    assert process.returncode == 0


def test_a_client_that_reads_nothing_is_dropped(tmp_path: Path) -> None:
    with serving(tmp_path) as (host, port), socket.create_connection((host, port)) as deaf:
        deaf.settimeout(UNREAD_SECONDS * 4)
        deaf.sendall(b"GET /schema/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 200)
        assert httpx.get(f"http://{host}:{port}/health/live").status_code == 200
        # Only whoever has let go of a connection answers what is sent on it with an error.
        deadline = time.monotonic() + UNREAD_SECONDS * 4
        with suppress(OSError):
            while deaf.send(b"G"):
                assert time.monotonic() < deadline, "the connection is still held"
                threading.Event().wait(0.1)
