"""Registries that lie: a real one answers, and what it says is changed on the way; or nobody real is behind it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer it with; the length is always told as it is."""

    content: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @classmethod
    def of(cls, value: object, status: int = 200, kind: str = "application/json", **headers: str) -> Reply:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(json.dumps(value).encode(), status, {"content-type": kind, **named})


Script = Callable[[Asked], Reply]


@dataclass(frozen=True, slots=True)
class Liar:
    """A server that follows a script; `asked` is what came so far."""

    address: str
    asked: list[Asked]

    @property
    def targets(self) -> list[str]:
        return [f"{asked.method} {asked.target}" for asked in self.asked]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, body)
        self.server.asked.append(asked)
        reply = self.server.script(asked)
        with suppress(OSError):
            self.send_response(reply.status)
            for name, value in {**reply.headers, "content-length": str(len(reply.content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.content)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.asked: list[Asked] = []


@contextmanager
def scripted(script: Script) -> Iterator[Liar]:
    """Serve a script for the length of a test."""
    server = _Server(script)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Liar(f"http://127.0.0.1:{server.server_address[1]}", server.asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def honest(address: str) -> Script:
    """Answer as the registry at an address does."""

    def script(asked: Asked) -> Reply:
        kept = {
            name: asked.headers[name] for name in ("accept", "content-type", "authorization") if name in asked.headers
        }
        answer = httpx.request(asked.method, address + asked.target, headers=kept, content=asked.body, timeout=30)
        headers = {name: answer.headers[name] for name in ("content-type", "location") if name in answer.headers}
        return Reply(answer.content, answer.status_code, headers)

    return script


def lying(address: str, lie: Callable[[Any], object], about: str = "") -> Script:
    """Answer as the registry at an address does, but for a lie in the JSON of some answers.

    Args:
        about: the beginning of the targets that are lied about.
    """
    tell = honest(address)

    def script(asked: Asked) -> Reply:
        reply = tell(asked)
        if not asked.target.startswith(about):
            return reply
        value = reply.json
        lie(value)
        return replace(reply, content=json.dumps(value).encode())

    return script


def one_after_another(*replies: Reply) -> Script:
    """Answer with replies in turn; the last one goes on."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]
