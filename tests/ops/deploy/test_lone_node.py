"""A node whose replica is away: what stands on it alone is no answer, however often it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from ledger.appending import Appended
from ledger.database import open_postgresql
from ledger.errors import StoreError
from ledger.events import Event
from ledger.store import Store, create_log
from ops.deploy.nodes import until
from tests.builders import World
from tests.logs import Log
from tests.ops.deploy.writers import SCHEMA
from tests.postgres import Server

SECONDS = 60


@dataclass(frozen=True, slots=True)
class Lone:
    """A log on a server that waits for a replica called `away`, and a second thread to wait in."""

    log: Log
    server: Server
    pool: ThreadPoolExecutor

    def waiting(self) -> list[int]:
        """Return the ids of the sessions whose commit waits for the replica."""
        return [pid for (pid,) in self.server.run("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'")]

    def send(self, event: Event) -> Future[list[Any]]:
        """Append an event, as far as it goes without the replica."""
        found = self.pool.submit(self.log.append, event)
        until(lambda: bool(self.waiting()) or found.done(), SECONDS, "the commit waits for nobody")
        assert not found.done(), found.exception() or found.result()
        return found

    def wait_for(self, replica: str) -> None:
        """Tell the server which replica it waits for; none answers, and "" lets everybody go."""
        self.server.run(f"ALTER SYSTEM SET synchronous_standby_names = '{replica}'")
        self.server.run("SELECT pg_reload_conf()")
        shown = "SHOW synchronous_standby_names"
        until(lambda: self.server.run(shown) == [(replica,)], SECONDS, "the server does not take the setting")


@pytest.fixture
def lone(postgres: Server) -> Iterator[Lone]:
    name = postgres.create()
    postgres.run(f"ALTER DATABASE {name} SET synchronous_commit = on")
    database, world = open_postgresql(postgres.url(name), SCHEMA), World()
    create_log(database, world.name)
    log = Log(world, Store(database))
    log.admit(*world.opening(), *world.people(), world.record_created())
    with ThreadPoolExecutor() as pool:
        lone = Lone(log, postgres, pool)
        lone.wait_for("away")
        try:
            yield lone
        finally:
            lone.wait_for("")
    database.close()
    postgres.drop(name)


def test_a_commit_that_was_cut_off_is_no_answer_and_neither_is_its_trace(lone: Lone) -> None:
    event = lone.log.world.author(claims=["held by one node alone"])
    first = lone.send(event)
    (session,) = lone.waiting()
    lone.server.run(f"SELECT pg_terminate_backend({session})")
    refused = first.exception(SECONDS)
    assert isinstance(refused, StoreError) and "not known" in refused.cure
    assert lone.log.store.find(event.event_id), "it is there to be seen, though no replica has it"
    again = lone.send(event)
    lone.wait_for("")
    (outcome,) = again.result(SECONDS)
    assert isinstance(outcome, Appended) and not outcome.created


def test_a_commit_whose_wait_was_cancelled_is_no_answer(lone: Lone) -> None:
    event = lone.log.world.author(claims=["held by one node alone"])
    first = lone.send(event)
    (session,) = lone.waiting()
    lone.server.run(f"SELECT pg_cancel_backend({session})")
    refused = first.exception(SECONDS)
    assert isinstance(refused, StoreError) and "not known" in refused.cure
    assert "alone" in refused.message
    again = lone.send(event)
    lone.wait_for("")
    (outcome,) = again.result(SECONDS)
    assert isinstance(outcome, Appended) and not outcome.created
