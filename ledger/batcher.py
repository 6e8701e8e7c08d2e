"""Group commit: many callers, one writer, one transaction for all that wait.

`submit` checks signatures on the caller's thread, outside every lock, and queues the event; one thread
takes whatever has gathered, appends it in one durable transaction and answers. Under load the cost
of the disk is shared; alone, an event waits for nobody.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import Final

from ledger.errors import LedgerError, StoreError
from ledger.store import Appended, Clock, Outcome, Store, Submission

MAX_BATCH: Final = 1_000
MAX_WAITING: Final = 10_000


class Batcher:
    """The one writer of a process; use it as a context manager so that what was submitted is drained."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._queue: queue.Queue[tuple[Submission, Future[Appended]] | None] = queue.Queue(MAX_WAITING)
        self._closing = threading.Lock()
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
            StoreError: the batcher is closed.
        """
        verified = self._store.verify(submission)
        future: Future[Appended] = Future()
        with self._closing:
            if self._closed:
                raise StoreError("the log is being closed", cure="send it again when the server is back")
            self._queue.put((verified, future))
        return future

    def close(self) -> None:
        """Append everything that was submitted, then stop."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            last = False
            while len(batch) < MAX_BATCH and not last:
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    last = True
                else:
                    batch.append(item)
            self._append(batch)
            if last:
                return

    def _append(self, batch: list[tuple[Submission, Future[Appended]]]) -> None:
        # A caller who has given up is passed over; from here on none can.
        batch = [(submission, future) for submission, future in batch if future.set_running_or_notify_cancel()]
        try:
            outcomes: list[Outcome] = self._store.append([submission for submission, _ in batch], self._clock)
        except Exception as error:
            # Every waiting caller must hear of it, whatever it was; the writer goes on.
            reason = error if isinstance(error, LedgerError) else StoreError(f"append failed: {error}")
            for _, future in batch:
                future.set_exception(reason)
            return
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Appended):
                future.set_result(outcome)
            else:
                future.set_exception(outcome)
