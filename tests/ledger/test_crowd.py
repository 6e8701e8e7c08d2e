"""Sixteen writers at once on one log, one transaction in twenty rolled back, and some of them cut off or killed."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from ledger.log_keys import open_log_checkpoint
from ledger.merkle import leaf_hash, root_of
from ledger.store import Store, create_log
from tests import writers
from tests.builders import REGISTRY, World
from tests.logs import Log
from tests.postgres import Server

PROCESSES: Final = 4
COUNT: Final = 20
PAUSE_SECONDS: Final = 0.1
SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Place:
    """Where a log stands, and what cuts a writer off there now and then."""

    address: str
    own_address: str
    disturb: Callable[[], list[tuple[bool]]]

    def open(self) -> Store:
        return Store(writers.database_at(self.own_address))


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        yield Place(str(tmp_path), str(tmp_path), list)
        return
    server: Server = request.getfixturevalue("postgres")
    name = server.create()
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pith'"
        f" AND datname = '{name}' ORDER BY random() LIMIT 1"
    )
    yield Place(server.url(name), f"{server.url(name)}&application_name=watching", lambda: server.run(cut))
    server.drop(name)


@dataclass(slots=True)
class Tail:
    """A reader that follows the log while it grows; it must never find a gap, nor an entry where it has been."""

    store: Store
    stopped: threading.Event
    seen: list[tuple[int, int, bytes]]

    def follow(self) -> None:
        while True:
            is_last_look = self.stopped.is_set()
            for row in self.store.rows(len(self.seen)):
                assert row[0] == len(self.seen)
                self.seen.append(row)
            if is_last_look:
                return


def answers_of(process: subprocess.Popen[str]) -> tuple[dict[str, int], int]:
    """Return what a process was told, by event, and how many of its transactions failed; a cut line says nothing."""
    assert process.stdout is not None
    said = [json.loads(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    process.wait(SECONDS)
    return {line[0]: line[1] for line in said if isinstance(line, list)}, sum(n for n in said if isinstance(n, int))


def test_a_log_under_a_crowd_is_gapless_and_loses_nothing(place: Place) -> None:
    create_log(writers.database_at(place.own_address), REGISTRY)
    log = Log(World(), place.open())
    log.admit(*log.world.opening(), *log.world.people(), log.world.record_created())
    tail = Tail(place.open(), threading.Event(), [])
    with ThreadPoolExecutor(PROCESSES + 1) as threads:
        following = threads.submit(tail.follow)
        processes = [writers.start("crowd", place.address, seed, COUNT) for seed in range(PROCESSES)]
        victim = writers.start("crowd", place.address, PROCESSES, 50 * COUNT)
        assert victim.stdout is not None
        reading = [threads.submit(answers_of, process) for process in processes]
        first: list[str] = json.loads(victim.stdout.readline())
        cut = []
        while not all(found.done() for found in reading):
            if len(tail.seen) > COUNT * PROCESSES:
                victim.kill()
            cut += place.disturb()
            tail.stopped.wait(PAUSE_SECONDS)
        victim.kill()
        told, failures = zip(*(found.result() for found in (*reading, threads.submit(answers_of, victim))), strict=True)
        tail.stopped.set()
        following.result(SECONDS)

    assert [process.returncode for process in processes] == [0] * PROCESSES
    assert sum(failures) > 0
    assert bool(cut) == place.address.startswith("postgresql:")
    entries = list(log.store.entries())
    assert [entry.position for entry in entries] == list(range(log.store.head().size))
    positions = {entry.event.id_text: entry.position for entry in entries}
    assert len(positions) == len(entries)
    for acknowledged in told:
        assert acknowledged.items() <= positions.items()
    assert [len(acknowledged) for acknowledged in told[:-1]] == [COUNT * writers.THREADS] * PROCESSES
    assert first[0] in positions
    assert tail.seen == list(log.store.rows())

    hashes = [leaf_hash(entry.leaf()) for entry in entries]
    assert log.store.tree.root(len(hashes)) == root_of(hashes)
    signed = list(log.store.checkpoints.all())
    assert signed[-1].size == len(entries)
    for checkpoint in signed[:: max(1, len(signed) // 20)]:
        opened = open_log_checkpoint(checkpoint.note, REGISTRY, log.store.registry().keys).checkpoint
        assert opened.root == root_of(hashes[: checkpoint.size])
