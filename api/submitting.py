"""The one way into the log from here: checked beside the log, appended in groups, answered when durable."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from ledger.batcher import Batcher
from ledger.signing import Signatory
from ledger.store import Appended, Submission


class Intake:
    """Takes submissions for one log; `signatory` signs as the registry (its event key)."""

    def __init__(self, batcher: Batcher, signatory: Signatory, appended: Callable[[], None]) -> None:
        self._batcher = batcher
        self._appended = appended
        self.signatory = signatory

    def submit(self, submission: Submission) -> Future[Appended]:
        """Queue an event; raises SubmissionError at once, or through the future."""
        future = self._batcher.submit(submission)
        future.add_done_callback(lambda _: self._appended())
        return future

    def append(self, submission: Submission) -> Appended:
        """Append one event and wait until it is durable; for worker threads.

        Raises:
            SubmissionError: why it is refused.
            StoreError: the log cannot be written to.
        """
        return self.submit(submission).result()
