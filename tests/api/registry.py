"""A registry under test, served over real HTTP with its projections following: what every API test asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from api.app import create_app
from api.parts import Parts
from api.settings import ApiSettings
from ledger.appending import Submission
from ledger.commitments import Disclosure
from ledger.database import open_sqlite
from ledger.errors import SubmissionError
from ledger.events import Entry, Event
from ledger.signing import HeldKey
from ledger.store import Store, create_log
from ops.checkpointing import newest
from ops.home import Home, now, open_home
from ops.keyfiles import write_key
from ops.projecting import project
from ops.registry_app import composed
from ops.settings import Settings
from tests.builders import World
from tests.witnesses import served

BASE_URL = "https://pith.example"


@dataclass(frozen=True, slots=True)
class Registry:
    """A served registry: `client` asks it over HTTP, `world` signs events for it."""

    home: Home
    parts: Parts
    world: World
    address: str
    client: httpx.Client

    def admit(self, *events: Event) -> Entry:
        """Append events behind the server's back, as another process may; return the last one's entry."""
        return self.home.append([Submission(event) for event in events])[-1].entry

    def post(self, event: Event, disclosures: dict[str, Disclosure] | None = None) -> httpx.Response:
        """Submit one event over HTTP."""
        body: dict[str, Any] = dict(event.value)
        if disclosures:
            body = {"event": event.value, "disclosures": msgspec.to_builtins(disclosures)}
        return self.client.post("/api/events", json=body)

    def checkpoint(self) -> None:
        newest(self.home)

    def caught_up(self) -> None:
        """Wait until the projections, and what the server knows of them, are at the head of the log."""
        size = self.home.store.head().size
        deadline = time.monotonic() + 30
        while self.parts.present.sight.cursor < size or self.parts.present.sight.size < size:
            assert time.monotonic() < deadline, "the projections stand still"
            threading.Event().wait(0.01)


def a_home(folder: Path, world: World) -> Home:
    """Make a data folder whose log is a world's: its keys, policy, people and one paper."""
    settings = Settings(folder, BASE_URL)
    for role, who in (("event", world.registry), ("receipt", world.receipt), ("log", world.log)):
        write_key(settings.keys / f"{role}.json", HeldKey(who.key, world.name, who.signer_id, role))
    database = open_sqlite(settings.ledger_path)
    create_log(database, world.name)
    store = Store(database)
    for outcome in store.append(
        [Submission(event) for event in (*world.opening(), *world.people(), world.record_created())], now
    ):
        assert not isinstance(outcome, SubmissionError), outcome
    database.close()
    return open_home(settings)


@contextmanager
def a_registry(folder: Path, settings: ApiSettings | None = None, world: World | None = None) -> Iterator[Registry]:
    """Serve a registry of some people and one paper, whose real clock is the machine's."""
    world = world or World()
    home = a_home(folder, world)
    newest(home)
    with serving(home, world, settings) as registry:
        yield registry


@contextmanager
def serving(
    home: Home, world: World, settings: ApiSettings | None = None, follow_seconds: float = 3_600
) -> Iterator[Registry]:
    """Serve a data folder, its projections following in a thread; it is closed at the end.

    Args:
        follow_seconds: how often what others append is signed over; seldom, so that a test decides when.
    """
    stopped = threading.Event()
    projecting = threading.Thread(target=project, args=(home.store, home.projections, stopped, now))
    with closing(home), composed(home, settings or ApiSettings(BASE_URL), follow_seconds) as parts:
        projecting.start()
        try:
            with served(create_app(parts)) as address, httpx.Client(base_url=address, timeout=30) as client:
                registry = Registry(home, parts, world, address, client)
                registry.caught_up()
                yield registry
        finally:
            stopped.set()
            projecting.join()
