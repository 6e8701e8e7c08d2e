"""What tests of identity ask: a registry whose address and clock are theirs, people who sign requests, browsers."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from sqlalchemy import select

from api.app import create_app
from api.identity.tables import EVIDENCE
from api.settings import ApiSettings
from ledger.signed_requests import signed_request
from ledger.times import seconds
from ops.home import now
from ops.projecting import project
from ops.registry_app import composed
from tests.api.registry import Registry, a_home
from tests.builders import Who, World, nonce


@dataclass(slots=True)
class Shifted:
    """The machine's clock, moved by a test."""

    by: int = 0

    def __call__(self) -> int:
        return now() + self.by * 1_000_000


@dataclass(frozen=True, slots=True)
class Identities:
    """A served registry, and what its log and its private database hold about identities."""

    registry: Registry
    clock: Shifted

    @property
    def client(self) -> httpx.Client:
        return self.registry.client

    def ask(self, who: Who, method: str, path: str, body: Any = None, /, **changes: Any) -> httpx.Response:
        """Make a request that somebody's key signs; `changes` are of what is signed, not of what is sent."""
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        header = self.credentials(who, method, path, content, **changes)
        return self.client.request(method, path, content=content, headers={"authorization": header})

    def credentials(self, who: Who, method: str, path: str, content: bytes = b"", /, **changes: Any) -> str:
        fresh = int.from_bytes(sha256(self.registry.parts.random(16)).digest()[:15])
        asked = {
            "secret_key": who.key,
            "registry": self.registry.world.name,
            "method": method,
            "path": path,
            "body": content,
            "now": seconds(self.clock()),
            "nonce": nonce(fresh),
            **changes,
        }
        return signed_request(**asked)

    def size(self) -> int:
        return self.registry.home.store.head().size

    def proven(self, who: Who) -> set[str]:
        """Return the identifiers that the log shows to be proven for somebody's key."""
        return set(self.registry.home.store.registry().keys.identifiers(who.key.key_id))

    def private_text(self, event_id: str) -> str | None:
        with self.registry.parts.private.read() as connection:
            row = connection.execute(select(EVIDENCE.c.text).where(EVIDENCE.c.event_id == event_id)).first()
        return None if row is None else str(row.text)

    def published_text(self, event_id: str) -> str | None:
        store = self.registry.home.store
        position = store.find(bytes.fromhex(event_id[7:])).position
        found = store.disclosures([position]).get(position, {})
        return found["evidence"].text if "evidence" in found else None

    def refused(self, answer: httpx.Response, status: int, code: str, size: int | None = None) -> None:
        """Check that an answer is a refusal of this kind, and that nothing was appended since a size."""
        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (status, f"urn:pith:error:{code}"), answer.text
        assert answer.headers["cache-control"] == "no-store"
        if size is not None:
            assert self.size() == size, "something was appended"


@contextmanager
def identities(
    folder: Path, settings: Callable[[str], ApiSettings], world: World | None = None
) -> Iterator[Identities]:
    """Serve a registry at an address that its settings know.

    Args:
        settings: makes them of the address.
    """
    world, clock, stopped = world or World(), Shifted(), threading.Event()
    listener = socket.socket(fileno=socket.create_server(("127.0.0.1", 0)).detach())
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    home = a_home(folder, world)
    try:
        with composed(home, settings(address)) as parts:
            parts = replace(parts, clock=clock)
            config = uvicorn.Config(create_app(parts), log_config=None, access_log=False, ws="none")
            server = uvicorn.Server(config)
            serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            projecting = threading.Thread(target=project, args=(home.store, home.projections, stopped, now))
            for thread in (serving, projecting):
                thread.start()
            try:
                with httpx.Client(base_url=address, timeout=30) as client:
                    registry = Registry(home, parts, world, address, client)
                    registry.caught_up()
                    yield Identities(registry, clock)
            finally:
                server.should_exit = True
                stopped.set()
                for thread in (serving, projecting):
                    thread.join()
    finally:
        home.close()


class Browser:
    """Somebody's browser: keeps cookies, follows the provider's pages, and stops where it is told to."""

    def __init__(self) -> None:
        self.client = httpx.Client(timeout=30, follow_redirects=False)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def get(self, address: str) -> httpx.Response:
        return self.client.get(address)

    def press(self, address: str, **headers: str) -> httpx.Response:
        """Send a form of ours that has no fields, as a browser does."""
        parts = httpx.URL(address)
        sent = {"origin": f"{parts.scheme}://{parts.netloc.decode()}", "sec-fetch-site": "same-origin", **headers}
        return self.client.post(address, headers=sent)

    def at_provider(self, address: str, account: str) -> str:
        """Log in and agree at the provider; returns the address it sends the browser back to."""
        answer = self.client.get(address)
        while True:
            while answer.is_redirect:
                target = str(answer.next_request.url) if answer.next_request else ""
                if "/api/" in target:
                    return target
                answer = self.client.get(target)
            assert answer.status_code == 200, answer.text
            action = unescape(re.findall(r'action="([^"]+)"', answer.text)[0])
            prompt = re.findall(r'name="prompt" value="([a-z]+)"', answer.text)[0]
            fields = {"prompt": prompt, "login": account, "password": "any"}
            answer = self.client.post(httpx.URL(str(answer.url)).join(action), data=fields)


# Logins for a key, step by step.

FLOW = "/api/identity/openid"


def begin(served: Identities, who: Who, **body: Any) -> str:
    answer = served.ask(who, "POST", FLOW, body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["flow"])


def sent_on(browser: Browser, flow: str) -> str:
    """Open a flow and press its button; returns the provider's address."""
    page = browser.get(flow)
    assert page.status_code == 200
    (action,) = re.findall(r'<form method="post" action="([^"]+)"', page.text)
    answer = browser.press(action)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def came_back(served: Identities, browser: Browser, who: Who, account: str, **body: Any) -> str:
    """Log in for a key; returns the address that the provider sends the browser to, not opened yet."""
    return browser.at_provider(sent_on(browser, begin(served, who, **body)), account)


def event_of(page: str) -> str:
    return re.findall(r"sha256:[0-9a-f]{64}", page)[0]
