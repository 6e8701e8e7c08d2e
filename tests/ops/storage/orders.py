"""A web archive that takes orders and has done them at once, with no capture behind it; its switches make it fail."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from ops.services import WebArchive
from tests.api.liars import Asked, Reply, scripted


@dataclass
class Orders:
    """What was ordered; while `failing` is set, everything is answered with it.

    `index` is what it answers for every address; `is_pending` that no capture ends, `is_busy` that none begins.
    `broken` is an address whose own server does not answer it.
    """

    address: str = ""
    failing: Reply | None = None
    index: list[list[str]] = field(default_factory=list)
    is_pending: bool = False
    is_busy: bool = False
    broken: str = ""
    asked: list[str] = field(default_factory=list)
    ordered: list[str] = field(default_factory=list)

    def settings(self, name: str) -> WebArchive:
        return WebArchive(name, f"{self.address}/save", f"{self.address}/cdx", f"{self.address}/web", "key", "secret")

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked.target)
        if self.failing is not None:
            return self.failing
        if asked.target.startswith("/save/status/"):
            done = {"status": "success", "timestamp": time.strftime("%Y%m%d%H%M%S", time.gmtime())}
            return Reply.of({"status": "pending"} if self.is_pending else done)
        if asked.target == "/save" and self.is_busy:
            return Reply.of({"status": "error", "status_ext": "error:user-session-limit", "message": "Wait."})
        if asked.target == "/save":
            (url,) = parse_qs(asked.body.decode())["url"]
            if url == self.broken:
                return Reply.of({"status": "error", "status_ext": "error:gateway-timeout", "message": "No answer."})
            self.ordered.append(url)
            return Reply.of({"job_id": f"job-{len(self.ordered)}"})
        return Reply.of(self.index)


@contextmanager
def orders() -> Iterator[Orders]:
    """Run such an archive."""
    archive = Orders()
    with scripted(archive.answer) as server:
        archive.address = server.address
        yield archive


def refusing(status: int, **headers: str) -> Reply:
    return Reply.of({"message": json.dumps("no")}, status, **headers)
