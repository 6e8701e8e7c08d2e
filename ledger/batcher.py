"""Group commit: many callers, one writer, one transaction for all that wait.

`submit` checks signatures on the caller's thread, outside every lock, and queues the event; one thread
takes whatever has gathered, appends it in one durable transaction, which also signs a checkpoint where there is a
key for it, and answers. Under load the cost of the disk is shared; alone, an event waits for nobody.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

from ledger.appending import Appended, Clock, Outcome, Sealed, Submission
from ledger.errors import LedgerError, StoreError
from ledger.keys import SecretKey
from ledger.store import Store

MAX_BATCH: Final = 1_000
MAX_WAITING: Final = 10_000

LINGER_SECONDS: Final = 0.01
"""How long to wait for those who lately came together: a transaction costs as much as the events of thirty callers."""

Waiting = tuple[Sequence[Submission], "Future[Sealed]"]


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
        self._queue: queue.Queue[Waiting | None] = queue.Queue(MAX_WAITING)
        self._closing = threading.Lock()
        self._closed = False
        self._unanswered = 0
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
        found: Future[Appended] = Future()

        def answer(sealed: Future[Sealed]) -> None:
            if not found.set_running_or_notify_cancel():
                return
            if error := sealed.exception():
                found.set_exception(error)
            elif isinstance(outcome := sealed.result().outcomes[0], Appended):
                found.set_result(outcome)
            else:
                found.set_exception(outcome)

        waiting = self.submit_all([self._store.verify(submission)])
        found.add_done_callback(lambda future: waiting.cancel() if future.cancelled() else None)
        waiting.add_done_callback(answer)
        return found

    def submit_all(self, submissions: Sequence[Submission]) -> Future[Sealed]:
        """Queue events that `Store.verify` has checked, for one transaction; their outcomes come in their order.

        Raises:
            StoreError: the batcher is closed, or too many wait already.
        """
        future: Future[Sealed] = Future()
        with self._closing:
            if self._closed:
                raise StoreError("the log is being closed", cure="send it again when the server is back")
            try:
                self._queue.put_nowait((submissions, future))
            except queue.Full:
                raise StoreError("too many submissions wait for the log", cure="send it again in a moment") from None
            self._unanswered += len(submissions)
        return future

    def close(self) -> None:
        """Append everything that was submitted, then stop."""
        with self._closing:
            was_closed, self._closed = self._closed, True
        if not was_closed:
            self._queue.put(None)  # outside the lock, which the writer needs to make room
        self._thread.join()

    def _run(self) -> None:
        # How many waited together lately: as many are likely to come again.
        expected = 0
        while (first := self._queue.get()) is not None:
            batch, count, last = [first], len(first[0]), False
            until = time.monotonic() + LINGER_SECONDS
            while count < MAX_BATCH and not last:
                patience = until - time.monotonic() if count < expected else 0
                try:
                    item = self._queue.get(block=patience > 0, timeout=patience)
                except queue.Empty:
                    break
                if item is None:
                    last = True
                else:
                    batch.append(item)
                    count += len(item[0])
            self._append(batch)
            with self._closing:
                expected, self._unanswered = self._unanswered, self._unanswered - count
            if last:
                return

    def _append(self, batch: list[Waiting]) -> None:
        # A caller who has given up is passed over; from here on none can.
        batch = [(submissions, future) for submissions, future in batch if future.set_running_or_notify_cancel()]
        if not batch:
            return
        together = [submission for submissions, _ in batch for submission in submissions]
        try:
            sealed = self._store.append_sealed(together, self._clock, self._signer())
            self._committed(sealed)
        except Exception as error:
            # Every waiting caller must hear of it, whatever it was; the writer goes on.
            reason = error if isinstance(error, LedgerError) else StoreError(f"append failed: {error}")
            for _, future in batch:
                future.set_exception(reason)
            return
        outcomes: list[Outcome] = sealed.outcomes
        at = 0
        for submissions, future in batch:
            part = outcomes[at : at + len(submissions)]
            at += len(submissions)
            future.set_result(Sealed(part, sealed.checkpoint, sealed.unsigned))
