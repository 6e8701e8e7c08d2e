"""Bulk appends: the same log and the same refusals as one by one, whoever checks; whole transactions or nothing."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import pytest

from ledger import canonical
from ledger.appending import Appended, Outcome, Submission
from ledger.bulk import BATCH, CHUNK, PIPE_BYTES, Workers, append_all, open_workers
from ledger.commitments import Disclosure
from ledger.database import open_sqlite
from ledger.errors import (
    CommitmentMismatchError,
    InvalidFieldError,
    NotJsonError,
    RecordMissingError,
    SignatureInvalidError,
    StoreError,
    SubmissionError,
    UnknownKeyError,
)
from ledger.events import from_decoded, parse
from ledger.store import Store
from tests.builders import contributor, disclosed
from tests.forgeries import with_signature
from tests.logs import Log

COUNT = 2


def opened(path: Path) -> Store:
    return Store(open_sqlite(path))


def read(line: bytes) -> Submission:
    """Read an event, or an event with its private texts."""
    value = canonical.decode(line)
    if "event" not in value:
        return Submission(from_decoded(value))
    texts = {path: Disclosure(**text) for path, text in value["disclosures"].items()}
    return Submission(from_decoded(value["event"]), texts)


def unreadable(line: bytes) -> Submission:
    """End the process that reads a certain line, as the kernel does where memory runs out."""
    if line == b"END":
        os.kill(os.getpid(), signal.SIGKILL)
    return Submission(parse(line))


@pytest.fixture
def workers(log: Log, tmp_path: Path) -> Iterator[Workers]:
    with open_workers(partial(opened, tmp_path / "log.sqlite"), COUNT) as found:
        yield found


def appended(log: Log, lines: list[bytes], workers: Workers | None, **options: int) -> list[Outcome]:
    return list(chain.from_iterable(append_all(log.store, lines, log.clock, workers, read=read, **options)))


def told(outcomes: list[Outcome]) -> list[object]:
    return [
        (found.entry.position, found.entry.event.id_text, found.created)
        if isinstance(found, Appended)
        else (type(found), found.message, found.place)
        for found in outcomes
    ]


def mixed(log: Log) -> tuple[list[bytes], list[type[SubmissionError] | None]]:
    """Return lines of every fate, and how each must end: in the log, or refused by what."""
    world = log.world
    good, carol = world.author(), contributor("carol")
    texts = {"statement": {"salt": disclosed("I wrote this.").salt, "text": "I wrote this."}}
    lies = {"statement": {**texts["statement"], "text": "I did not."}}
    wrapped = [
        json.dumps({"event": json.loads(world.author().raw), "disclosures": given}).encode() for given in (texts, lies)
    ]
    both: list[tuple[bytes, type[SubmissionError] | None]] = [
        (good.raw, None),
        (b"hello", NotJsonError),
        (with_signature(world.author(), bytes(64)).raw, SignatureInvalidError),
        (good.raw, None),
        (json.dumps(json.loads(world.citation().raw), indent=1).replace("\n", " ").encode(), None),
        (world.record_updated("pith:2026:" + "A" * 26).raw, RecordMissingError),
        (world.author(carol).raw, UnknownKeyError),
        (world.registration(carol).raw, None),
        (world.author(carol).raw, None),
        (with_signature(world.author(carol), bytes(64)).raw, SignatureInvalidError),
        (world.citation(citing="arxiv:MATH/9901001").raw, InvalidFieldError),
        (wrapped[0], None),
        (wrapped[1], CommitmentMismatchError),
        (world.finding(evidence={"\U00010000": "rare"}).raw, None),
        (world.replication().raw, None),
    ]
    return [line for line, _ in both], [fate for _, fate in both]


def test_each_line_has_the_fate_it_deserves(log: Log, workers: Workers) -> None:
    lines, fates = mixed(log)
    outcomes = appended(log, lines, workers)
    assert [None if isinstance(found, Appended) else type(found) for found in outcomes] == fates


@pytest.mark.parametrize("batch", [1, 4, BATCH])
def test_workers_make_the_same_log_as_the_store_alone(log: Log, tmp_path: Path, workers: Workers, batch: int) -> None:
    (tmp_path / "alone").mkdir()
    alone = Log.opened(tmp_path / "alone")
    lines, _ = mixed(log)
    assert told(appended(log, lines, workers, batch=batch)) == told(appended(alone, lines, None, batch=batch))
    ours, theirs = ([(entry.position, entry.event.raw) for entry in found.store.entries()] for found in (log, alone))
    assert ours == theirs


def test_private_texts_that_workers_checked_are_kept(log: Log, workers: Workers) -> None:
    text = disclosed("I wrote this.")
    given = {"statement": {"salt": text.salt, "text": text.text}}
    line = json.dumps({"event": json.loads(log.world.author().raw), "disclosures": given}).encode()
    (found,) = appended(log, [line], workers)
    assert isinstance(found, Appended)
    assert log.store.disclosures([found.entry.position]) == {found.entry.position: {"statement": text}}


def test_many_lines_keep_their_order_through_all_chunks(log: Log, workers: Workers) -> None:
    size = log.store.head().size
    events = [log.world.author(claims=[f"C{number}"]) for number in range(2 * CHUNK + 7)]
    outcomes = appended(log, [event.raw for event in events], workers, batch=300)
    assert [found.entry.event.event_id for found in outcomes if isinstance(found, Appended)] == [
        event.event_id for event in events
    ]
    assert log.store.head().size == size + len(events)


def test_no_more_is_read_than_may_be_under_way(log: Log, workers: Workers) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        raw = log.world.author().raw
        while True:
            taken += 1
            yield raw

    transactions = append_all(log.store, endless(), log.clock, workers)
    next(transactions)
    assert taken <= BATCH + COUNT * PIPE_BYTES // len(log.world.author().raw)
    transactions.close()


def test_what_was_yielded_is_durable_when_the_rest_is_given_up(log: Log, tmp_path: Path, workers: Workers) -> None:
    size = log.store.head().size
    lines = [log.world.author(claims=[f"C{number}"]).raw for number in range(40)]
    transactions = append_all(log.store, lines, log.clock, workers, batch=10)
    next(transactions)
    next(transactions)
    transactions.close()
    assert opened(tmp_path / "log.sqlite").head().size == size + 20


def test_workers_serve_again_after_an_append_that_was_given_up(log: Log, workers: Workers) -> None:
    lines = [log.world.author(claims=[f"C{number}"]).raw for number in range(3 * CHUNK)]
    transactions = append_all(log.store, lines, log.clock, workers, batch=10)
    next(transactions)
    transactions.close()
    event = log.world.citation()
    (found,) = appended(log, [event.raw], workers)
    assert isinstance(found, Appended)
    assert found.entry.event.raw == event.raw


def test_workers_serve_again_after_lines_that_could_not_be_read_on(log: Log, workers: Workers) -> None:
    def unreadable_on() -> Iterator[bytes]:
        yield from (log.world.author(claims=[f"C{number}"]).raw for number in range(2 * CHUNK))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        list(append_all(log.store, unreadable_on(), log.clock, workers))
    events = [log.world.author(claims=[f"D{number}"]) for number in range(2 * CHUNK)]
    outcomes = appended(log, [event.raw for event in events], workers, batch=100)
    assert [found.entry.event.event_id for found in outcomes if isinstance(found, Appended)] == [
        event.event_id for event in events
    ]


def test_workers_one_of_whom_was_killed_vouch_for_nothing_more(log: Log, workers: Workers) -> None:
    size = log.store.head().size
    lines = [log.world.author(claims=[f"C{number}"]).raw for number in range(2 * CHUNK)]
    lines.insert(CHUNK + 5, b"END")
    with pytest.raises(StoreError, match="worker"):
        list(append_all(log.store, lines, log.clock, workers, read=unreadable))
    with pytest.raises(StoreError, match="worker"):
        appended(log, [log.world.author().raw], workers)
    assert log.store.head().size == size


def test_a_killed_worker_ends_the_append_at_a_transaction(log: Log, workers: Workers) -> None:
    size = log.store.head().size
    lines = [log.world.author(claims=[f"C{number}"]).raw for number in range(2 * CHUNK)]
    lines.insert(CHUNK + 5, b"END")
    done: list[Outcome] = []
    transactions = append_all(log.store, lines, log.clock, workers, read=unreadable, batch=100)
    with pytest.raises(StoreError, match="worker"):
        done.extend(chain.from_iterable(transactions))
    assert len(done) % 100 == 0
    assert log.store.head().size == size + len(done)


def test_a_worker_that_cannot_open_the_log_ends_the_append(log: Log, tmp_path: Path) -> None:
    lines = [log.world.author().raw]
    with open_workers(partial(opened, tmp_path / "nowhere" / "log.sqlite"), 1) as workers, pytest.raises(StoreError):
        list(append_all(log.store, lines, log.clock, workers))


def test_workers_are_gone_when_their_context_ends(log: Log, tmp_path: Path) -> None:
    with open_workers(partial(opened, tmp_path / "log.sqlite"), COUNT) as workers:
        appended(log, [log.world.author().raw], workers)
        assert len(multiprocessing.active_children()) == COUNT
    assert multiprocessing.active_children() == []


# What a worker vouches for is vouched for as the store itself would have it.


def test_a_key_that_workers_do_not_know_is_looked_up_by_the_writer(log: Log, workers: Workers) -> None:
    carol = contributor("carol")
    appended(log, [log.world.author().raw], workers)  # by now they know the others
    lines = [log.world.registration(carol).raw, log.world.author(carol).raw]
    outcomes = appended(log, lines, workers)
    assert all(isinstance(found, Appended) for found in outcomes)


def test_a_rule_that_the_log_decides_comes_before_one_of_form(log: Log, workers: Workers) -> None:
    line = log.world.citation(contributor("stranger"), citing="arxiv:MATH/9901001").raw
    (found,) = appended(log, [line], workers)
    (alone,) = log.append(parse(line))
    assert type(found) is type(alone) is UnknownKeyError
