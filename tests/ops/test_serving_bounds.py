"""A server keeps answering however many connections somebody opens and leaves half said."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from pathlib import Path

import httpx

from ops.serving import MAX_CONNECTIONS, REQUEST_SECONDS
from tests.processes import Pith


def test_connections_beyond_the_limit_are_closed_at_once_and_one_that_ends_makes_room(tmp_path: Path) -> None:
    pith = Pith.at(tmp_path / "data")
    pith.fine("init", "press.example")
    process = pith.start("serve", "--port", 0, "--json")
    try:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())["address"]
        host, port = address.removeprefix("http://").split(":")
        with ExitStack() as opened:
            held = [opened.enter_context(socket.create_connection((host, int(port)))) for _ in range(MAX_CONNECTIONS)]
            for connection in held:
                connection.sendall(b"GET /checkpoint HTTP/1.1\r\n")
            with socket.create_connection((host, int(port))) as surplus:
                surplus.settimeout(60)
                assert _is_closed(surplus)
            held[0].sendall(b"host: x\r\nconnection: close\r\n\r\n")
            held[0].settimeout(60)
            assert held[0].recv(15) == b"HTTP/1.1 200 OK"
        assert httpx.get(f"{address}/checkpoint", timeout=60).status_code == 200
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_a_connection_that_does_not_say_what_it_wants_is_closed(tmp_path: Path) -> None:
    pith = Pith.at(tmp_path / "data")
    pith.fine("init", "press.example")
    process = pith.start("serve", "--port", 0, "--json")
    try:
        assert process.stdout is not None
        host, port = json.loads(process.stdout.readline())["address"].removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as silent:
            silent.sendall(b"GET /checkpoint HTTP/1.1\r\n")
            silent.settimeout(REQUEST_SECONDS * 6)
            assert _is_closed(silent)
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
