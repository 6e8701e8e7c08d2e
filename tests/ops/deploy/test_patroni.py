"""Three nodes under Patroni: what was acknowledged outlives the leader, and no node answers for itself alone."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from ledger.appending import Appended
from ledger.database import open_postgresql
from ledger.errors import StoreError
from ledger.events import Entry, Event
from ledger.merkle import leaf_hash, root_of, verify_consistency
from ledger.postgresql_guards import grant_log
from ledger.store import Store, create_log
from ops.deploy import loopback
from ops.deploy.loopback import Cluster
from ops.deploy.nodes import Node, until
from tests.builders import World
from tests.logs import Log
from tests.ops.deploy.writers import SCHEMA
from tests.processes import module

SECONDS = 120
"""Long enough for any of it on a busy machine; a fail-over takes 20 seconds and some."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # Not pytest's own folder: a socket's path holds at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="pith-"))
    folder.chmod(0o711)
    try:
        with loopback.running(folder, lambda: secrets.token_urlsafe(12)) as cluster:
            yield cluster
    finally:
        for log in sorted(folder.glob("*/log")):  # shown where a test fails
            print(f"--- {log}\n{log.read_text(errors='replace')[-6000:]}")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def log(cluster: Cluster) -> Log:
    """A log of the owner's, with keys, people and one paper, as the serving role sees it."""
    owner, world = open_postgresql(cluster.url(owner=True), SCHEMA), World()
    create_log(owner, world.name)
    with owner.write() as connection:
        grant_log(connection, "pith")
    owner.close()
    log = Log(world, store_of(cluster.url()))
    log.admit(*world.opening(), *world.people(), world.record_created())
    return log


@pytest.fixture
def whole(cluster: Cluster) -> Cluster:
    cluster.wait_until_whole()
    return cluster


def store_of(url: str) -> Store:
    return Store(open_postgresql(url, SCHEMA))


def caught_up(url: str, log: Log) -> Store:
    """Return the log as one node has it, once that is all of it."""
    store = store_of(url)
    until(lambda: store.head() == log.store.head(), SECONDS, "a node does not catch up")
    return store


@dataclass(slots=True)
class Writer:
    """A process of `tests.ops.deploy.writers`, and what it has told so far."""

    process: subprocess.Popen[bytes]
    stored: dict[str, tuple[int, int]] = field(default_factory=dict)
    refused: list[dict[str, str]] = field(default_factory=list)
    _reader: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            match json.loads(line):
                case ["stored", str(event_id), int(position), int(received_at)]:
                    self.stored[event_id] = (position, received_at)
                case ["refused", *facts]:
                    self.refused.append(dict(zip(("class", "cure", "text"), facts, strict=True)))

    def finish(self) -> None:
        """Let it end what it has begun, and hear all of it."""
        assert self.process.stdin
        self.process.stdin.close()
        assert self.process.wait(SECONDS) == 0
        self._reader.join(SECONDS)

    def end(self) -> None:
        self.process.kill()
        assert self.process.stderr
        print(self.process.stderr.read().decode())  # shown where a test fails
        self.process.wait()


@contextmanager
def writing(cluster: Cluster, count: int) -> Iterator[list[Writer]]:
    """Let writers append under load, from when each has an answer until the end of the block."""
    writers = [Writer(module("tests.ops.deploy.writers", n, PITH_DATABASE_URL=cluster.url())) for n in range(count)]
    try:
        answered(writers, 1)
        yield writers
        for writer in writers:
            writer.finish()
    finally:
        for writer in writers:
            writer.end()


def answered(writers: list[Writer], more: int) -> None:
    """Wait until each writer has so many more acknowledgements."""
    wanted = [len(writer.stored) + more for writer in writers]

    def are() -> bool:
        assert all(writer.process.poll() is None for writer in writers), "a writer has ended"
        return all(len(writer.stored) >= count for writer, count in zip(writers, wanted, strict=True))

    try:
        until(are, SECONDS, "the writers get no answers")
    except StoreError as error:
        raise AssertionError([(len(writer.stored), writer.refused[-3:]) for writer in writers]) from error


def facts(entries: Iterable[Entry]) -> list[tuple[int, int, bytes]]:
    return [(entry.position, entry.received_at, entry.event.raw) for entry in entries]


def recomputed(entries: list[Entry]) -> bytes:
    """Return the root over entries' bytes, by the recursive definition alone."""
    return root_of([leaf_hash(entry.received_at.to_bytes(8, "big") + entry.event.raw) for entry in entries])


REFUSED = (
    "UPDATE pith_log.events SET received_at = 0",
    "DELETE FROM pith_log.events",
    "TRUNCATE pith_log.events",
    "DROP TRIGGER events_delete ON pith_log.events",
    "CREATE TABLE public.of_my_own (number integer)",
    "CREATE SCHEMA of_my_own",
    "CREATE ROLE of_my_own",
    "SELECT pg_read_file('postgresql.conf')",
)


def test_the_serving_role_may_no_more_than_it_needs(whole: Cluster, log: Log) -> None:
    with psycopg.connect(whole.url(), autocommit=True) as connection:
        for statement in REFUSED:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
    elsewhere = whole.url_of(whole.leader()).removesuffix("/pith") + "/postgres"
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf"):
        psycopg.connect(elsewhere)


def test_no_password_stands_in_a_log_or_a_configuration(whole: Cluster, log: Log) -> None:
    passwords = {value for name, value in whole.nodes[0].environment.items() if name.endswith("_PASSWORD")}
    assert len(passwords) == 7
    for node in whole.nodes:
        kept = [node.folder / "log", *node.configuration.iterdir(), node.data / "postgresql.conf"]
        written = "".join(path.read_text() for path in kept)
        assert "database system is ready" in written
        assert not [password for password in passwords if password in written]
    assert not any(password in repr(whole) for password in passwords)


def test_a_killed_leader_takes_no_acknowledged_event_with_it(whole: Cluster, log: Log) -> None:
    with writing(whole, 2) as writers:
        answered(writers, 50)
        before = log.checkpoint()
        old = whole.leader()
        old.kill()
        told = [dict(writer.stored) for writer in writers]
        answered(writers, 50)
    stored = {event_id: facts for writer in writers for event_id, facts in writer.stored.items()}
    entries = list(log.store.entries())
    after = log.checkpoint()

    assert all(len(early) > 50 for early in told)
    assert [entry.position for entry in entries] == list(range(len(entries)))
    found = {entry.event.id_text: (entry.position, entry.received_at) for entry in entries}
    assert len(found) == len(entries), "an event stands twice"
    assert {event_id: found.get(event_id) for event_id in stored} == stored
    assert (after.size, after.root) == (len(entries), recomputed(entries))
    proof = log.store.tree.consistency_proof(before.size, after.size)
    verify_consistency(before.size, after.size, before.root, after.root, proof)
    assert before.root == recomputed(entries[: before.size])
    assert log.store.checkpoints.at(before.size) == before

    told_wrong = [error for writer in writers for error in writer.refused]
    assert told_wrong, "nobody noticed the kill"
    assert {error["class"] for error in told_wrong} == {"StoreError"}
    assert all(error["cure"] for error in told_wrong)
    assert whole.passwords.serving not in str(told_wrong)

    # The killed node comes back, follows, and holds the same entries.
    old.start()
    whole.wait_until_whole()
    assert whole.leader() is not old
    assert facts(caught_up(whole.url_of(old), log).entries()) == facts(entries)


@contextmanager
def frozen(nodes: list[Node]) -> Iterator[None]:
    """Freeze PostgreSQL on some nodes, as a stalled machine does; Patroni's own processes go on."""
    held = [one for node in nodes for one in family(node)]
    try:
        for one in held:
            one.suspend()
        yield
    finally:
        for one in held:
            if one.is_running():
                one.resume()


def family(node: Node) -> list[psutil.Process]:
    number = node.postmaster()
    assert number is not None
    postmaster = psutil.Process(number)
    return [postmaster, *postmaster.children(recursive=True)]


def asked(url: str, question: str) -> bool:
    """Put a question to a server as the serving role; one that does not answer says no."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            row = connection.execute(question.encode()).fetchone()
    except psycopg.OperationalError:
        return False
    return row == (True,)


WAITS_FOR_REPLICA = "SELECT count(*) > 0 FROM pg_stat_activity WHERE usename = 'pith' AND wait_event = 'SyncRep'"
WAITS_TO_LEAD = """
    SELECT pg_is_in_recovery() AND count(*) > 0 FROM pg_stat_activity WHERE application_name = 'pith before promotion'
"""


def test_an_event_is_acknowledged_and_shown_only_once_a_replica_holds_it(whole: Cluster, log: Log) -> None:
    leader = whole.leader()
    replicas = [node for node in whole.nodes if node is not leader]
    event = log.world.author(claims=["held by one node alone"])
    with ThreadPoolExecutor(2) as pool:
        with frozen(replicas):
            first = pool.submit(log.append, event)
            until(lambda: first.done() or asked(whole.url(), WAITS_FOR_REPLICA), SECONDS, "nothing happens")
            assert not first.done(), "the commit waited for nobody"

            # A crash lets go of the commit, which is on this node's disk: started again, the node keeps it to itself.
            leader.crash()
            refused = first.exception(SECONDS)
            assert isinstance(refused, StoreError) and "not known" in refused.cure
            again = pool.submit(retried, log, event)
            until(lambda: asked(whole.url_of(leader), WAITS_TO_LEAD), SECONDS, "the crashed leader does not wait")
            assert not again.done()
        (outcome,) = again.result(SECONDS)
    assert isinstance(outcome, Appended)
    whole.wait_until_whole()
    for node in whole.nodes:
        assert facts([caught_up(whole.url_of(node), log).entry(outcome.entry.position)]) == facts([outcome.entry])


def retried(log: Log, event: Event) -> list[Any]:
    """Send an event until it is answered."""
    outcomes: list[Any] = []

    def answer() -> bool:
        with suppress(StoreError):
            outcomes.extend(log.append(event))
        return bool(outcomes)

    until(answer, 2 * SECONDS, "the event gets no answer")
    return outcomes
