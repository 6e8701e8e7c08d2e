"""Group commit: many callers, one writer, one transaction for all that wait.

`submit` checks signatures on the caller's thread, outside every lock, and queues the event; one thread
takes whatever has gathered, appends it in one durable transaction, which also signs a checkpoint where there is a
key for it, and answers. Under load the cost of the disk is shared; alone, an event waits for nobody.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Final, NamedTuple

from ledger.appending import Appended, Clock, Sealed, Submission
from ledger.errors import LedgerError, StoreError
from ledger.keys import SecretKey
from ledger.store import Store

MAX_BATCH: Final = 1_000
MAX_WAITING: Final = 10_000

LINGER_SECONDS: Final = 0.01
"""How long to wait for those who lately came together: a transaction costs as much as the events of thirty callers."""


class _Alone(NamedTuple):
    """One event, and the future that gives its entry."""

    submissions: tuple[Submission]
    future: Future[Appended]

    def answer(self, sealed: Sealed) -> None:
        outcome = sealed.outcomes[0]
        if isinstance(outcome, Appended):
            self.future.set_result(outcome)
        else:
            self.future.set_exception(outcome)


class _Together(NamedTuple):
    """Events that came together, and the future that gives their outcomes."""

    submissions: Sequence[Submission]
    future: Future[Sealed]

    def answer(self, sealed: Sealed) -> None:
        self.future.set_result(sealed)


class Batcher:
    """The one writer of a process; use it as a context manager so that what was submitted is drained.

    Args:
        signer: gives the log's key before each transaction; None where nothing is to be signed.
        committed: called on the writer's thread after each transaction, before anybody is answered.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        signer: Callable[[], SecretKey | None] = lambda: None,
        committed: Callable[[Sealed], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._signer = signer
        self._committed = committed
        # Everything below is the condition's: what waits, how many events that is, for how many the writer waits,
        # and how many of those that were submitted have no answer yet.
        self._condition = threading.Condition()
        self._waiting: deque[_Alone | _Together] = deque()
        self._gathered = 0
        self._wanted = 1
        self._unanswered = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="pith-batcher", daemon=True)
        self._thread.start()

    def __enter__(self) -> Batcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, submission: Submission) -> Future[Appended]:
        """Queue an event; the future gives its entry once that is durable, or raises why it is refused.

        Raises:
            SubmissionError: a signature or disclosure does not hold.
            StoreError: the batcher is closed, or too many wait already.
        """
        future: Future[Appended] = Future()
        self._queue(_Alone((self._store.verify(submission),), future))
        return future

    def submit_all(self, submissions: Sequence[Submission]) -> Future[Sealed]:
        """Queue events that `Store.verify` has checked, for one transaction; their outcomes come in their order.

        Raises:
            StoreError: the batcher is closed, or too many wait already.
        """
        future: Future[Sealed] = Future()
        self._queue(_Together(submissions, future))
        return future

    def close(self) -> None:
        """Append everything that was submitted, then stop."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        self._thread.join()

    def _queue(self, item: _Alone | _Together) -> None:
        with self._condition:
            if self._closed:
                raise StoreError("the log is being closed", cure="send it again when the server is back")
            if len(self._waiting) >= MAX_WAITING:
                raise StoreError("too many submissions wait for the log", cure="send it again in a moment")
            self._waiting.append(item)
            self._gathered += len(item.submissions)
            self._unanswered += len(item.submissions)
            # To wake the writer for each of those it waits for would cost more than to append them.
            if self._gathered >= self._wanted:
                self._condition.notify()

    def _run(self) -> None:
        # How many waited together lately: as many are likely to come again.
        expected = 0
        batch: list[_Alone | _Together] = []
        try:
            while batch := self._next(expected):
                self._append(batch)
                count = sum(len(item.submissions) for item in batch)
                with self._condition:
                    expected, self._unanswered = self._unanswered, self._unanswered - count
        finally:
            self._leave(batch)

    def _leave(self, batch: Sequence[_Alone | _Together]) -> None:
        """Take nothing more, and let nobody wait for ever, where this thread ends before it has drained."""
        with self._condition:
            self._closed = True
            left = [*batch, *self._waiting]
            self._waiting.clear()
        for item in left:
            with suppress(InvalidStateError):  # it has its answer, or asks for none any more
                item.future.set_exception(StoreError("the writer ended", cure="send it again when the server is back"))

    def _next(self, expected: int) -> list[_Alone | _Together]:
        """Wait for what is to be appended next; nothing once the batcher is closed and has drained."""
        with self._condition:
            self._await(1, None)
            self._await(min(expected, MAX_BATCH), LINGER_SECONDS)
            batch: list[_Alone | _Together] = []
            count = 0
            while self._waiting and count < MAX_BATCH:
                batch.append(self._waiting.popleft())
                count += len(batch[-1].submissions)
            self._gathered -= count
            return batch

    def _await(self, wanted: int, patience: float | None) -> None:
        self._wanted = wanted
        self._condition.wait_for(lambda: self._gathered >= wanted or self._closed, patience)

    def _append(self, batch: Sequence[_Alone | _Together]) -> None:
        # A caller who has given up is passed over; from here on none can.
        batch = [item for item in batch if item.future.set_running_or_notify_cancel()]
        if not batch:
            return
        together = [submission for item in batch for submission in item.submissions]
        try:
            sealed = self._store.append_sealed(together, self._clock, self._signer())
            self._committed(sealed)
        except Exception as error:
            # Every waiting caller must hear of it, whatever it was; the writer goes on.
            reason = error if isinstance(error, LedgerError) else StoreError(f"append failed: {error}")
            for item in batch:
                item.future.set_exception(reason)
            return
        at = 0
        for item in batch:
            part = sealed.outcomes[at : at + len(item.submissions)]
            at += len(item.submissions)
            item.answer(Sealed(part, sealed.checkpoint, sealed.unsigned))
