"""Group commit: many callers, one writer; each caller hears of its own event, whatever happens to the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest

from ledger.appending import Appended, Submission
from ledger.batcher import MAX_WAITING, Batcher
from ledger.errors import (
    CommitmentMismatchError,
    RecordMissingError,
    SignatureInvalidError,
    StoreError,
    UnknownKeyError,
)
from ledger.events import Event
from tests.backends import log, new_database, on_both
from tests.builders import ALICE, contributor, disclosed
from tests.forgeries import another_signature, with_signature
from tests.logs import Log

__all__ = ["log", "new_database"]

SECONDS = 10
pytest_generate_tests = on_both


class Gate:
    """A clock that keeps the writer waiting inside its transaction until the gate is opened."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._open = threading.Event()
        self.reached = threading.Event()

    def __call__(self) -> int:
        self.reached.set()
        assert self._open.wait(SECONDS)
        return self._clock()

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def batcher(log: Log) -> Iterator[Batcher]:
    with Batcher(log.store, log.clock) as found:
        yield found


def submit(batcher: Batcher, event: Event) -> Future[Appended]:
    return batcher.submit(Submission(event))


def queue(batcher: Batcher, event: Event) -> Future[Appended]:
    """Submit an event whose signature was checked already."""
    return batcher.submit(Submission(event, verified=True))


def result(future: Future[Appended]) -> Appended:
    return future.result(SECONDS)


def test_a_submitted_event_becomes_an_entry(log: Log, batcher: Batcher) -> None:
    event = log.world.author()
    appended = result(submit(batcher, event))
    assert (appended.created, log.store.entry(appended.entry.position).event.event_id) == (True, event.event_id)


def test_events_of_many_threads_all_get_entries_without_gaps(log: Log, batcher: Batcher) -> None:
    size = log.store.head().size
    events = [log.world.author() for _ in range(160)]
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda event: result(submit(batcher, event)), events))
    assert [answer.entry.event.event_id for answer in answers] == [event.event_id for event in events]
    assert sorted(answer.entry.position for answer in answers) == list(range(size, size + 160))


def test_the_same_event_from_eight_threads_at_once_is_one_entry(log: Log, batcher: Batcher) -> None:
    event = log.world.author()
    barrier = threading.Barrier(8)

    def send(_: int) -> Appended:
        barrier.wait(SECONDS)
        return result(submit(batcher, event))

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(send, range(8)))
    assert len({answer.entry.position for answer in answers}) == 1
    assert sum(answer.created for answer in answers) == 1


def test_a_second_valid_signature_is_answered_with_the_first_entry(log: Log, batcher: Batcher) -> None:
    event = log.world.author()
    first = result(submit(batcher, event))
    twin = with_signature(event, another_signature(ALICE.key, b"pith-event/1\n" + event.event_id))
    second = result(submit(batcher, twin))
    assert (second.entry.position, second.entry.event.raw, second.created) == (first.entry.position, event.raw, False)


def test_a_refused_event_raises_in_its_own_future_only(log: Log) -> None:
    gate = Gate(log.clock)
    with Batcher(log.store, gate) as batcher:
        first = queue(batcher, log.world.author())
        assert gate.reached.wait(SECONDS)
        # These gather while the first is being written, so they make one batch.
        stranger = queue(batcher, log.world.author(contributor("stranger")))
        unknown = queue(batcher, log.world.record_updated("pith:2026:" + "A" * 26))
        last = queue(batcher, log.world.author())
        gate.open()
        errors = [type(stranger.exception(SECONDS)), type(unknown.exception(SECONDS))]
        assert errors == [UnknownKeyError, RecordMissingError]
        assert result(last).entry.position == result(first).entry.position + 1


def test_what_gathers_while_the_writer_is_busy_is_received_at_once(log: Log) -> None:
    gate = Gate(log.clock)
    with Batcher(log.store, gate) as batcher:
        first = queue(batcher, log.world.author())
        assert gate.reached.wait(SECONDS)
        gathered = [queue(batcher, log.world.author()) for _ in range(20)]
        gate.open()
        times = {result(future).entry.received_at for future in gathered}
        assert (len(times), result(first).entry.received_at in times) == (1, False)


def test_an_event_is_checked_and_queued_while_the_writer_is_busy(log: Log) -> None:
    gate = Gate(log.clock)
    with Batcher(log.store, gate) as batcher, ThreadPoolExecutor(1) as threads:
        queue(batcher, log.world.author())
        assert gate.reached.wait(SECONDS)
        queued = threads.submit(submit, batcher, log.world.author())
        waited = wait([queued], timeout=5)
        gate.open()
        assert queued in waited.done


def test_a_key_and_what_it_signs_may_be_submitted_one_after_the_other(log: Log, batcher: Batcher) -> None:
    carol = contributor("carol")
    futures = [submit(batcher, log.world.registration(carol)), submit(batcher, log.world.author(carol))]
    positions = [result(future).entry.position for future in futures]
    assert positions[1] == positions[0] + 1


def test_a_forged_signature_is_refused_before_it_is_queued(log: Log, batcher: Batcher) -> None:
    with pytest.raises(SignatureInvalidError):
        submit(batcher, with_signature(log.world.author(), bytes(64)))


def test_a_disclosure_that_does_not_open_its_commitment_is_refused(log: Log, batcher: Batcher) -> None:
    with pytest.raises(CommitmentMismatchError):
        batcher.submit(Submission(log.world.author(), {"statement": disclosed("I did not write this.")}))


def test_disclosures_are_kept(log: Log, batcher: Batcher) -> None:
    given = {"statement": disclosed("I wrote this.")}
    position = result(batcher.submit(Submission(log.world.author(), given))).entry.position
    assert log.store.disclosures([position]) == {position: given}


def test_close_drains_what_was_submitted(log: Log) -> None:
    gate = Gate(log.clock)
    batcher = Batcher(log.store, gate)
    futures = [queue(batcher, log.world.author())]
    assert gate.reached.wait(SECONDS)
    futures += [queue(batcher, log.world.author()) for _ in range(20)]
    gate.open()
    batcher.close()
    assert all(future.done() and future.exception() is None for future in futures)


def test_leaving_the_context_drains_too(log: Log) -> None:
    with Batcher(log.store, log.clock) as batcher:
        futures = [queue(batcher, log.world.author()) for _ in range(20)]
    assert all(future.done() and future.exception() is None for future in futures)


def test_close_twice_is_close_once(log: Log) -> None:
    batcher = Batcher(log.store, log.clock)
    batcher.close()
    batcher.close()


def test_submit_after_close_is_refused(log: Log) -> None:
    batcher = Batcher(log.store, log.clock)
    batcher.close()
    with pytest.raises(StoreError):
        submit(batcher, log.world.author())


class Faulty:
    """A clock that fails, and so fails the append around it, until it is repaired."""

    def __init__(self, clock: Callable[[], int], error: Exception) -> None:
        self._clock = clock
        self._gate = Gate(clock)
        self.error: Exception | None = error

    @property
    def gate(self) -> Gate:
        return self._gate

    def __call__(self) -> int:
        self._gate()
        if self.error is not None:
            raise self.error
        return self._clock()


@pytest.mark.parametrize("error", [StoreError("the disk is full"), OSError("no clock")], ids=["store", "other"])
def test_a_failure_reaches_every_waiter_and_the_writer_goes_on(log: Log, error: Exception) -> None:
    size = log.store.head().size
    clock = Faulty(log.clock, error)
    with Batcher(log.store, clock) as batcher:
        waiting = [queue(batcher, log.world.author())]
        assert clock.gate.reached.wait(SECONDS)
        waiting += [queue(batcher, log.world.author()) for _ in range(5)]
        clock.gate.open()
        failures = [future.exception(SECONDS) for future in waiting]
        assert [type(failure) for failure in failures] == [StoreError] * 6
        clock.error = None
        assert result(submit(batcher, log.world.author())).entry.position == size


def test_a_caller_who_gives_up_does_not_stop_the_writer(log: Log) -> None:
    gate = Gate(log.clock)
    with Batcher(log.store, gate) as batcher:
        abandoned = submit(batcher, log.world.author())
        assert gate.reached.wait(SECONDS)
        abandoned.cancel()
        gate.open()
        assert result(submit(batcher, log.world.author())).created


def test_more_than_can_wait_are_turned_away_and_nobody_is_stuck(log: Log) -> None:
    gate = Gate(log.clock)
    batcher = Batcher(log.store, gate)
    first = queue(batcher, log.world.citation(ALICE))
    assert gate.reached.wait(SECONDS)
    waiting = [queue(batcher, log.world.citation(ALICE)) for _ in range(MAX_WAITING)]
    with pytest.raises(StoreError, match="too many"):
        queue(batcher, log.world.citation(ALICE))
    gate.open()
    closing = threading.Thread(target=batcher.close)
    closing.start()
    closing.join(SECONDS * 6)
    assert not closing.is_alive()
    assert all(result(future).created for future in (first, *waiting[:3], *waiting[-3:]))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_writer_that_died(log: Log) -> None:
    size = log.store.head().size
    gate = Gate(log.clock)

    def dying() -> int:
        gate()
        raise SystemExit

    batcher = Batcher(log.store, dying)
    waiting = [queue(batcher, log.world.author())]
    assert gate.reached.wait(SECONDS)
    waiting += [queue(batcher, log.world.author()) for _ in range(5)]
    assert waiting[1].cancel()
    gate.open()
    assert all(isinstance(future.exception(SECONDS), StoreError) for future in (waiting[0], *waiting[2:]))
    with pytest.raises(StoreError):
        queue(batcher, log.world.author())
    batcher.close()
    assert log.store.head().size == size
