"""Following a log: every entry once and in order, over streams that break off, repeat themselves or lie."""

from __future__ import annotations

import itertools
import random
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

import pytest

from api.client import Client
from api.client.asking import Patience
from api.client.following import MAX_EVENT_BYTES, MAX_FAILURES, Events
from api.client.problems import RemoteError
from ledger.errors import SourceUnreadableError, VerificationError
from ledger.events import Entry
from tests.api.asking import a_citation
from tests.api.clients import Pauses, hasty
from tests.api.liars import Asked, Reply, scripted
from tests.api.registry import Registry
from tests.builders import NUMBER
from tests.ops.hostile_logs import Connection, hostile_log

Turn = Callable[[Connection], object]


def sse(entry: Entry, **changes: Any) -> bytes:
    """Return an entry as a stream has it; changes are made to position or time."""
    position, received_at = changes.get("position", entry.position), changes.get("received_at", entry.received_at)
    raw = changes.get("raw", entry.event.raw)
    return b'id: %d\nevent: entry\ndata: {"position":%d,"received_at":%d,"event":%b}\n\n' % (
        position,
        position,
        received_at,
        raw,
    )


def streaming(*parts: bytes, kind: str = "text/event-stream") -> Turn:
    """Send a stream of some parts, then hang up."""

    def turn(connection: Connection) -> None:
        connection.head("200 OK", content_type=kind)
        connection.send(*parts)

    return turn


def refusing(status: str, **headers: str) -> Turn:
    return lambda connection: connection.answer(b"{}", status, **headers)


@contextmanager
def taking_turns(*turns: Turn, **changes: Any) -> Iterator[tuple[Client, list[str]]]:
    """Yield a client of a server that does something else at each request; the last goes on."""
    left = list(turns)
    with (
        hostile_log(lambda connection: (left.pop(0) if len(left) > 1 else left[0])(connection)) as log,
        hasty(log.address, **changes) as client,
    ):
        yield client, log.paths


@pytest.fixture(scope="module")
def entries(registry: Registry) -> list[Entry]:
    registry.admit(*(a_citation(registry, NUMBER, citing=f"arxiv:2604.{at:05}") for at in range(4)))
    return list(registry.home.store.entries())


def positions(found: Iterable[Entry]) -> list[int]:
    return [entry.position for entry in found]


# Streams that break off.


def test_a_stream_that_breaks_off_is_taken_up_where_it_was(entries: list[Entry]) -> None:
    turns = [streaming(*map(sse, entries[at : at + 3])) for at in (0, 3, 6)]
    with taking_turns(*turns) as (client, paths):
        assert positions(islice(client.follow(), 9)) == list(range(9))
    assert len(paths) == 3


def test_the_last_position_is_sent_along(entries: list[Entry]) -> None:
    def script(asked: Asked) -> Reply:
        last = int(asked.headers.get("last-event-id", "-1"))
        return Reply(b"".join(map(sse, entries[last + 1 : last + 4])), 200, {"content-type": "text/event-stream"})

    with scripted(script) as liar, hasty(liar.address) as client:
        assert positions(islice(client.follow(), 7)) == list(range(7))
        assert positions(islice(client.follow(4), 2)) == [5, 6]
    assert [asked.headers.get("last-event-id") for asked in liar.asked] == [None, "2", "5", "4"]
    assert set(liar.targets) == {"GET /api/events"}


@contextmanager
def cutting(address: str, sizes: Iterator[int]) -> Iterator[str]:
    """Pass requests on to a server, and cut each connection once so many bytes of the answer went through."""
    host, _, port = address.removeprefix("http://").partition(":")
    asked: list[socket.socket] = []

    def relay(connection: socket.socket, size: int) -> None:
        with connection, socket.create_connection((host, int(port))) as server, suppress(OSError):
            asked.append(server)
            server.sendall(connection.recv(65_536))
            while size > 0 and (part := server.recv(min(size, 65_536))):
                connection.sendall(part)
                size -= len(part)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=relay, args=(connection, next(sizes)), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for server in asked:  # a server waits for its streams when it is stopped
                with suppress(OSError):
                    server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("seed", range(5))
def test_whatever_the_line_does_each_entry_is_had_once(registry: Registry, entries: list[Entry], seed: int) -> None:
    chance = random.Random(seed)
    sizes = iter(lambda: chance.randrange(1, 6_000), 0)
    with cutting(registry.address, sizes) as address, hasty(address) as client:
        found = list(islice(client.follow(), len(entries)))
    assert [(entry.position, entry.received_at, entry.event.raw) for entry in found] == [
        (entry.position, entry.received_at, entry.event.raw) for entry in entries
    ]


def test_an_entry_that_was_cut_in_two_is_had_whole_the_next_time(entries: list[Entry]) -> None:
    cut = sse(entries[1])[:-30]
    with taking_turns(streaming(sse(entries[0]), cut), streaming(sse(entries[1]), sse(entries[2]))) as (client, _):
        assert positions(islice(client.follow(), 3)) == [0, 1, 2]


def test_tries_that_bring_nothing_come_to_an_end() -> None:
    pauses = Pauses()
    with (
        taking_turns(streaming(), wait=pauses, patience=Patience(longest=4.0)) as (client, paths),
        pytest.raises(SourceUnreadableError),
    ):
        next(client.follow())
    assert len(paths) == MAX_FAILURES
    assert pauses.seconds == [0.5, 1.0, 2.0, *([4.0] * (MAX_FAILURES - 4))]


def test_a_stream_that_brought_something_was_no_failure(entries: list[Entry]) -> None:
    empty = [streaming()] * (MAX_FAILURES - 1)
    turns = [streaming(sse(entries[0])), *empty, streaming(sse(entries[1])), *empty, streaming(sse(entries[2]))]
    with taking_turns(*turns) as (client, _):
        assert positions(islice(client.follow(), 3)) == [0, 1, 2]


def test_a_stream_that_was_open_for_long_was_no_failure() -> None:
    minutes = itertools.count(0, 61_000_000)
    turns = [*([streaming(b": ping\n\n")] * (MAX_FAILURES + 5)), refusing("404 Not Found")]
    with taking_turns(*turns, clock=lambda: next(minutes)) as (client, paths), pytest.raises(RemoteError):
        next(client.follow())
    assert len(paths) > MAX_FAILURES


def test_a_registry_that_asks_to_wait_is_waited_for(entries: list[Entry]) -> None:
    pauses = Pauses()
    busy = refusing("503 Service Unavailable", retry_after="5")
    with taking_turns(busy, streaming(sse(entries[0])), wait=pauses) as (client, _):
        assert next(client.follow()).position == 0
    assert pauses.seconds == [5.0]


def test_a_stream_says_how_long_its_readers_wait(entries: list[Entry]) -> None:
    pauses = Pauses()
    with taking_turns(streaming(b"retry: 9000\n\n"), streaming(sse(entries[0])), wait=pauses) as (client, _):
        next(client.follow())
    assert pauses.seconds == [9.0]


@pytest.mark.parametrize("status", ["400 Bad Request", "403 Forbidden", "404 Not Found", "302 Found"])
def test_what_is_refused_for_good_is_not_tried_again(status: str) -> None:
    with taking_turns(refusing(status, location="/x")) as (client, paths), pytest.raises(RemoteError):
        next(client.follow())
    assert len(paths) == 1


def test_nobody_listening_is_named_in_the_end() -> None:
    with hasty("http://127.0.0.1:1") as client, pytest.raises(SourceUnreadableError):
        next(client.follow())


# Streams that lie.


def spoiled(entries: list[Entry], name: str) -> bytes:
    first, second, third = entries[1:4]
    return {
        "a gap": sse(first) + sse(third),
        "a repetition": sse(first) + sse(first),
        "a step back": sse(first) + sse(second) + sse(first),
        "another position than asked for": sse(third),
        "a position that moved": sse(first) + sse(second, position=7),
        "a negative position": sse(first, position=-1),
        "a time before its predecessor": sse(first) + sse(second, received_at=first.received_at - 1),
        "a time that is none": sse(first, received_at=-5),
        "an event that was changed": sse(first, raw=first.event.raw.replace(b'"nonce":"A', b'"nonce":"B')),
        "an event in another spelling": sse(first, raw=first.event.raw.replace(b'":', b'": ', 1)),
        "an event that is none": sse(first, raw=b"{}"),
    }[name]


STEPS = {
    "a gap": "position",
    "a repetition": "position",
    "a step back": "position",
    "another position than asked for": "position",
    "a position that moved": "position",
    "a negative position": "canonical form",
    "a time before its predecessor": "time",
    "a time that is none": "canonical form",
    "an event that was changed": "canonical form",
    "an event in another spelling": "canonical form",
    "an event that is none": "canonical form",
}


@pytest.mark.parametrize("name", STEPS)
def test_what_are_not_the_next_entries_of_one_log_is_named(entries: list[Entry], name: str) -> None:
    with taking_turns(streaming(spoiled(entries, name))) as (client, paths), pytest.raises(VerificationError) as caught:
        list(client.follow(0))
    assert (caught.value.step, len(paths)) == (STEPS[name], 1)


def test_a_log_that_goes_on_otherwise_after_a_break_is_named(entries: list[Entry]) -> None:
    with (
        taking_turns(streaming(*map(sse, entries[:3])), streaming(sse(entries[2]))) as (client, _),
        pytest.raises(VerificationError) as caught,
    ):
        list(client.follow())
    assert caught.value.step == "position"


@pytest.mark.parametrize("kind", ["application/json", "text/html", ""])
def test_what_is_no_stream_is_named(entries: list[Entry], kind: str) -> None:
    with (
        taking_turns(streaming(sse(entries[0]), kind=kind)) as (client, paths),
        pytest.raises(SourceUnreadableError) as caught,
    ):
        next(client.follow())
    assert "not a stream" in caught.value.message and len(paths) == 1


def test_a_compressed_stream_is_named() -> None:
    def turn(connection: Connection) -> None:
        connection.head("200 OK", content_type="text/event-stream", content_encoding="gzip")

    with taking_turns(turn) as (client, _), pytest.raises(SourceUnreadableError):
        next(client.follow())


@pytest.mark.parametrize("start", [b"", b"data: ", b": ", b"event: entry\ndata: "])
def test_an_event_without_end_is_cut_off(start: bytes) -> None:
    def turn(connection: Connection) -> None:
        connection.head("200 OK", content_type="text/event-stream")
        connection.send(start)
        while True:
            connection.send(b"x" * 65_536)

    with taking_turns(turn) as (client, paths), pytest.raises(SourceUnreadableError) as caught:
        next(client.follow())
    assert f"more than {MAX_EVENT_BYTES} bytes" in caught.value.message and len(paths) == 1


def test_an_event_of_many_lines_without_end_is_cut_off() -> None:
    def turn(connection: Connection) -> None:
        connection.head("200 OK", content_type="text/event-stream")
        while True:
            connection.send(b"data: x\n" * 8_192)

    with taking_turns(turn) as (client, _), pytest.raises(SourceUnreadableError):
        next(client.follow())


def test_data_that_is_no_json_is_named() -> None:
    with taking_turns(streaming(b"event: entry\ndata: {nope\n\n")) as (client, _), pytest.raises(SourceUnreadableError):
        next(client.follow())


# How a stream is read (WHATWG HTML, 9.2.6).

SPELLINGS = {
    "line feeds": b"event: entry\ndata: one\n\nevent: entry\ndata: two\n\n",
    "carriage returns": b"event: entry\rdata: one\r\revent: entry\rdata: two\r\r",
    "both": b"event: entry\r\ndata: one\r\n\r\nevent: entry\r\ndata: two\r\n\r\n",
    "comments and strange fields": b": ping\n\nx\nevent: entry\nid: 7\nfoo: x\ndata: one\n\nevent:entry\ndata:two\n\n",
    "other events": b"event: entry\ndata: one\n\ndata: no\n\nevent: no\ndata: x\n\nevent: entry\ndata: two\n\n",
    "an id alone": b"event: entry\ndata: one\n\nid: 9\n\nevent: entry\n\nevent: entry\ndata: two\n\n",
    "an unfinished end": b"event: entry\ndata: one\n\nevent: entry\ndata: two\n\nevent: entry\ndata: three\n",
}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_events_are_read_however_they_arrive(spelling: str, size: int) -> None:
    text = SPELLINGS[spelling]
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    # Whether a carriage return ends a line or half of one shows with what follows.
    assert list(Events().read([*parts, b": end"])) == [b"one", b"two"]


def test_data_of_several_lines_is_one_text() -> None:
    assert list(Events().read([b"event: entry\ndata: a\ndata: b\n\n"])) == [b"a\nb"]
