"""The feed as a stream: every entry once and in order to every reader, whatever happens to its connection."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import IncompleteRead
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from api.following.stream import BOUNDS, Streams
from api.parts import Parts
from api.present import Sight
from api.settings import ApiSettings
from ledger.appending import Submission
from ledger.store import Store
from ops.home import Home, now
from ops.registry_app import composed
from tests.api.registry import BASE_URL, Registry, a_home, a_registry
from tests.api.streaming import SECONDS, Reader, a_feed, a_reader, reached, whole_log
from tests.builders import ALICE, World

ACCEPT = {"accept": "text/event-stream"}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A registry's folder with a few entries, which nothing projects."""
    home = a_home(tmp_path, World())
    yield home
    home.close()


def append(store: Store, world: World, number: int) -> None:
    store.append([Submission(world.citation(ALICE), verified=True) for _ in range(number)], now)


@contextmanager
def running(*threads: threading.Thread) -> Iterator[None]:
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()


# What is sent.


def test_a_stream_begins_with_the_first_entry(registry: Registry) -> None:
    reader = a_reader(registry.address)
    expected = whole_log(registry.home.store)
    reader.read_until(lambda: len(reader.events) >= len(expected))
    reader.drop()
    assert reader.events[: len(expected)] == expected


def test_the_answer_is_a_stream_that_nobody_keeps_or_gathers(registry: Registry) -> None:
    with registry.client.stream("GET", "/api/events", headers=ACCEPT) as answer:
        headers = answer.headers
    assert headers["content-type"] == "text/event-stream"
    assert headers["cache-control"] == "no-store"
    assert headers["x-accel-buffering"] == "no"
    assert headers["x-content-type-options"] == "nosniff"


def test_readers_are_told_when_to_come_back(registry: Registry) -> None:
    reader = a_reader(registry.address)
    reader.read_until(lambda: bool(reader.events))
    reader.drop()
    assert reader.retry == "2000"


@pytest.mark.parametrize(
    ("query", "last_id", "first"),
    [("", "", 0), ("?after=-1", "", 0), ("?after=3", "", 4), ("", "3", 4), ("?after=6", "3", 4), ("?after=3", "6", 7)],
)
def test_a_stream_begins_after_what_its_reader_has(registry: Registry, query: str, last_id: str, first: int) -> None:
    reader = a_reader(registry.address, query, last_id)
    reader.read_until(lambda: bool(reader.events))
    reader.drop()
    assert reader.events[0].id == str(first)


def test_what_other_processes_append_is_sent(registry: Registry) -> None:
    reader = a_reader(registry.address, f"?after={registry.home.store.head().size - 1}")
    entry = registry.admit(registry.world.citation(ALICE))
    reader.read_until(lambda: bool(reader.events))
    reader.drop()
    assert reader.events == whole_log(registry.home.store)[entry.position :]


def test_what_is_posted_here_is_sent(registry: Registry) -> None:
    reader = a_reader(registry.address, f"?after={registry.home.store.head().size - 1}")
    posted = registry.post(registry.world.citation(ALICE)).json()
    reader.read_until(lambda: bool(reader.events))
    reader.drop()
    assert reader.events[0].id == str(posted["position"])


def test_a_silent_stream_says_that_it_is_alive(home: Home) -> None:
    with a_feed(home, ping_seconds=0.02) as (address, _):
        reader = a_reader(address)
        reader.read_until(lambda: len(reader.comments) >= 3)
        reader.drop()
        assert reader.events == whole_log(home.store)
    assert set(reader.comments) == {b": ping"}


def test_large_events_go_out_one_by_one(home: Home) -> None:
    world = World()
    large = [world.record_updated(paper={"headline": f"{number}" * 60_000}) for number in range(9)]
    home.append([Submission(event) for event in large])
    with a_feed(home) as (address, _):
        reader = a_reader(address)
        reader.read_until(lambda: len(reader.events) >= home.store.head().size)
        reader.drop()
    assert reader.events == whole_log(home.store)


# One type.


def test_a_stream_of_one_type_moves_its_reader_past_the_others(home: Home) -> None:
    append(home.store, World(), BOUNDS.looks + 10)
    with a_feed(home) as (address, _):
        reader = a_reader(address, "?type=policy_set")
        reader.read_until(lambda: reader.last_id == str(home.store.head().size - 1))
        reader.drop()
    assert [event.id for event in reader.events] == ["3"]


def test_a_stream_of_one_type_goes_on(home: Home) -> None:
    world = World()
    with a_feed(home) as (address, _):
        reader = a_reader(address, "?type=alias_added")
        home.append([Submission(world.citation(ALICE)), Submission(world.alias_added()), Submission(world.citation())])
        reader.read_until(lambda: reader.last_id == str(home.store.head().size - 1))
        reader.drop()
    assert reader.events == whole_log(home.store)[-2:-1]


# What is refused.


@pytest.mark.parametrize("last_id", ["x", "-2", "1.5", "01", "9" * 5_000, "1,2", "\xe9"])
def test_a_malformed_last_id_is_refused(registry: Registry, last_id: str) -> None:
    answer = registry.client.get("/api/events", headers={**ACCEPT, "last-event-id": last_id.encode("latin-1")})
    assert (answer.status_code, answer.json()["place"]) == (400, "Last-Event-ID")


@pytest.mark.parametrize("beyond", [0, 1, 10**14])
def test_a_reader_of_another_log_is_refused(registry: Registry, beyond: int) -> None:
    last_id = str(registry.home.store.head().size + beyond)
    answer = registry.client.get("/api/events", headers={**ACCEPT, "last-event-id": last_id})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:pith:error:beyond-head")
    assert answer.json()["place"] == "Last-Event-ID"


def test_a_reader_who_has_everything_is_not_refused(registry: Registry) -> None:
    reader = Reader(registry.address, last_id=str(registry.home.store.head().size - 1))
    assert reader.connect().status == 200
    reader.drop()


def test_only_so_many_streams_are_open_together(home: Home) -> None:
    with a_feed(home, most=2) as (address, streams):
        readers = [a_reader(address), a_reader(address)]
        reached(lambda: streams.open == 2)
        refused = httpx.get(f"{address}/api/events", headers=ACCEPT)
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:pith:error:too-many-streams")
        assert refused.headers["retry-after"] == "5"
        assert httpx.get(f"{address}/api/events").status_code == 200
        readers.pop().drop()
        reached(lambda: streams.open == 1)
        readers.append(a_reader(address))
        for reader in readers:
            reader.drop()


def test_looking_at_the_headers_takes_no_place(home: Home) -> None:
    with a_feed(home, most=1) as (address, streams):
        for _ in range(3):
            answer = httpx.head(f"{address}/api/events", headers=ACCEPT)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
        assert streams.open == 0


# How streams end.


def test_a_reader_who_leaves_a_silent_stream_is_noticed(home: Home) -> None:
    with a_feed(home, ping_seconds=3_600) as (address, streams):
        reader = a_reader(address)
        reader.read_until(lambda: len(reader.events) == home.store.head().size)
        assert streams.open == 1
        reader.drop()
        reached(lambda: streams.open == 0)


def test_a_stream_that_is_cancelled_in_the_moment_of_an_append_ends(home: Home) -> None:
    async def gone_never() -> Any:
        await asyncio.Event().wait()

    async def cancelled_at_an_append(parts: Parts) -> None:
        began = asyncio.Event()

        async def taken(_message: Any) -> None:
            began.set()

        streams, present, size = Streams(parts), parts.present, home.store.head().size
        following = asyncio.create_task(present.follow())
        stream = asyncio.create_task(streams.run(size, "", gone_never, taken))
        await began.wait()

        def cancel(sight: Sight) -> bool:
            # Asked after the stream's own question, at the same look, before the stream could wake.
            return sight.size > size and stream.cancel()

        asking = asyncio.create_task(present.reach(cancel, SECONDS))
        await asyncio.sleep(0)
        append(home.store, World(), 1)
        await asyncio.wait((stream,), timeout=SECONDS)
        assert stream.cancelled()
        assert await asking
        following.cancel()

    with composed(home, ApiSettings(BASE_URL)) as parts:
        asyncio.run(cancelled_at_an_append(parts))


def test_streams_end_whole_when_the_server_is_about_to_stop(home: Home) -> None:
    with a_feed(home, ping_seconds=3_600) as (address, streams):
        reader = a_reader(address)
        reader.read_until(lambda: len(reader.events) == home.store.head().size)
        streams.end()
        while reader.read():  # a stream that is broken off would raise
            pass
        assert not reader.is_midway
        refused = httpx.get(f"{address}/api/events", headers=ACCEPT)
    assert (refused.status_code, refused.json()["detail"]) == (503, "the server is being stopped")


def test_a_reader_who_never_reads_is_left_and_the_others_go_on(home: Home) -> None:
    world = World()
    # More than the buffers of both ends can take.
    large = [world.record_updated(paper={"headline": "x" * 60_000}) for _ in range(250)]
    home.append([Submission(event) for event in large])
    with a_feed(home, patience_seconds=0.5) as (address, streams), socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        host, port = urlsplit(address).netloc.split(":")
        stuck.connect((host, int(port)))
        stuck.sendall(b"GET /api/events HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n")
        reached(lambda: streams.open == 1)
        reader = Reader(address)
        follow(reader, home.store.head().size)
        reached(lambda: streams.open == 0)
        stuck.settimeout(SECONDS)
        received = 0
        while found := stuck.recv(1 << 20):
            received += len(found)
    assert reader.events == whole_log(home.store)
    assert received < sum(len(event.data) for event in reader.events)


def test_a_stream_over_a_damaged_log_ends_and_the_reason_is_logged(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    append(home.store, World(), 600)
    expected = whole_log(home.store)
    with caplog.at_level(logging.ERROR), a_feed(home) as (address, streams):
        with sqlite3.connect(home.settings.ledger_path) as connection:
            connection.execute("DROP TRIGGER events_delete")
            connection.execute("DELETE FROM events WHERE position = 590")
        reader = a_reader(address)
        while reader.read():
            pass
        reached(lambda: streams.open == 0)
    assert 0 < len(reader.events) <= 590 and reader.events == expected[: len(reader.events)]
    assert any("entries are missing" in str(record.exc_info) for record in caplog.records)


# Every entry once.


def follow(reader: Reader, size: int, chance: random.Random | None = None) -> None:
    """Read until a reader has so many events; by chance leave in the middle of one, and come back."""
    while len(reader.events) < size:
        assert reader.connect().status == 200
        enough = len(reader.events) + chance.randint(1, 900) if chance else size
        most = chance.choice((700, 977, 40_000)) if chance else 65_536
        while len(reader.events) < size and (len(reader.events) < enough or not reader.is_midway):
            try:
                if not reader.read(most):
                    break
            except (IncompleteRead, ConnectionError):
                break
        reader.drop()


def test_readers_that_are_cut_off_during_bursts_have_every_entry_once(tmp_path: Path) -> None:
    total = 4_000
    chance = random.Random(4)
    with a_registry(tmp_path) as registry:
        store, world = registry.home.store, registry.world
        begun = store.head().size
        pending = [Submission(world.citation(ALICE), verified=True) for _ in range(total)]
        append_burst(store, pending, total // 4)
        size = begun + total
        steady = [Reader(registry.address) for _ in range(2)]
        cut_off = [Reader(registry.address) for _ in range(4)]
        threads = [threading.Thread(target=follow, args=(reader, size)) for reader in steady]
        threads += [
            threading.Thread(target=follow, args=(reader, size, random.Random(seed)))
            for seed, reader in enumerate(cut_off)
        ]
        with running(*threads):
            # From here on some readers still catch up, while others are at the head already.
            reached(lambda: any(len(reader.events) >= begun + total // 4 for reader in steady))
            while pending:
                append_burst(store, pending, chance.choice((1, 2, 5, 40, 250)))
                if chance.random() < 0.5:
                    known = store.head().size
                    reached(lambda: any(len(reader.events) >= known for reader in steady))  # noqa: B023
        expected = whole_log(store)
        assert all(reader.broken_off >= 3 for reader in cut_off)
        for reader in (*steady, *cut_off):
            assert [event.id for event in reader.events] == [event.id for event in expected]
            assert reader.events == expected


def append_burst(store: Store, pending: list[Submission], number: int) -> None:
    burst = [pending.pop() for _ in range(min(number, len(pending)))]
    store.append(burst, now)


def test_a_reader_may_come_back_at_every_single_entry(home: Home) -> None:
    append(home.store, World(), 40)
    expected = whole_log(home.store)
    with a_feed(home) as (address, _):
        for at in range(len(expected) - 1):
            reader = a_reader(address, last_id=str(at))
            reader.read_until(lambda: bool(reader.events))  # noqa: B023
            reader.drop()
            assert reader.events == expected[at + 1 : at + 1 + len(reader.events)]
