"""The one way into the log from here: checked beside the log, appended in groups, answered when durable.

What the event loop gathers in one turn goes to the writer together, and comes back together with its receipts.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from ledger.appending import Appended, Sealed, Submission
from ledger.batcher import Batcher
from ledger.errors import LedgerError, StoreError, SubmissionError
from ledger.proofs.receipts import Receipts
from ledger.proofs.stream import Stream
from ledger.registry import Registry
from ledger.signing import Signatory
from ledger.store import Store


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a submission: its entry, and the JSON text of its receipt; None while no checkpoint covers it."""

    appended: Appended
    receipt: str | None

    def to_json(self) -> bytes:
        """Return the answer's body."""
        entry = self.appended.entry
        created = "true" if self.appended.created else "false"
        return (
            f'{{"event_id":"{entry.event.id_text}","position":{entry.position},"received_at":{entry.received_at}'
            f',"created":{created},"receipt":{self.receipt or "null"}}}'
        ).encode()


Result = Answered | SubmissionError
_Ticket = tuple[Submission, "asyncio.Future[Result]"]


class Intake:
    """Takes submissions for one log.

    Args:
        signatory: gives what signs as the registry (its event key).
        appended: called on the writer's thread after each transaction.
    """

    def __init__(
        self, store: Store, batcher: Batcher, signatory: Callable[[], Signatory], appended: Callable[[], None]
    ) -> None:
        self._store = store
        self._batcher = batcher
        self._appended = appended
        self._signatory = signatory
        self._gathered: list[_Ticket] = []
        self._since: dict[int, float] = {}
        self._stream = Stream(Registry(store.registry_name, store.label))
        self._stream_size = 0

    @property
    def signatory(self) -> Signatory:
        """The registry's event key, as it is by now; raises UsageError where it is not kept here."""
        return self._signatory()

    # --- from worker threads ---------------------------------------------------------------

    def append(self, submission: Submission) -> Appended:
        """Append one event and wait until it is durable; for worker threads.

        Raises:
            SubmissionError: why it is refused.
            StoreError: the log cannot be written to.
        """
        result = self.append_all([self._store.verify(submission)])[0]
        if isinstance(result, SubmissionError):
            raise result
        return result.appended

    def append_all(self, submissions: Sequence[Submission]) -> list[Result]:
        """Append events that `Store.verify` has checked and wait until they are durable; for worker threads.

        Raises:
            StoreError: the log cannot be written to; none of them was stored.
        """
        found: Future[list[Result]] = Future()
        self._send(submissions, partial(_settle, found))
        return found.result()

    # --- from the event loop ---------------------------------------------------------------

    async def submit(self, submission: Submission) -> Answered:
        """Append one event that `Store.verify` has checked; return when it is durable.

        Raises:
            SubmissionError: why it is refused.
            StoreError: the log cannot be written to.
        """
        loop = asyncio.get_running_loop()
        ticket: asyncio.Future[Result] = loop.create_future()
        if not self._gathered:
            loop.call_soon(self._send_gathered, loop)
        self._gathered.append((submission, ticket))
        result = await ticket
        if isinstance(result, SubmissionError):
            raise result
        return result

    def waiting(self) -> tuple[int, float]:
        """Return how many groups of submissions wait for the writer, and for how many seconds the oldest has."""
        since = list(self._since.values())
        return len(since), time.monotonic() - min(since) if since else 0.0

    def _send_gathered(self, loop: asyncio.AbstractEventLoop) -> None:
        gathered, self._gathered = self._gathered, []

        def answer(results: list[Result] | LedgerError) -> None:
            loop.call_soon_threadsafe(_answer, gathered, results)

        try:
            self._send([submission for submission, _ in gathered], answer)
        except StoreError as error:
            _answer(gathered, error)

    # --- on the writer's thread ------------------------------------------------------------

    def _send(self, submissions: Sequence[Submission], answer: Callable[[list[Result] | LedgerError], None]) -> None:
        number = id(answer)
        self._since[number] = time.monotonic()

        def done(sealed: Future[Sealed]) -> None:
            self._since.pop(number, None)
            try:
                answer(self._results(sealed.result()))
            except LedgerError as error:
                answer(error)
            except Exception as error:
                answer(StoreError(f"the answer could not be made: {error}"))
                raise
            self._appended()

        try:
            self._batcher.submit_all(submissions).add_done_callback(done)
        except StoreError:
            self._since.pop(number, None)
            raise

    def _results(self, sealed: Sealed) -> list[Result]:
        checkpoint = sealed.checkpoint
        if checkpoint is None:
            return [Answered(found, None) if isinstance(found, Appended) else found for found in sealed.outcomes]
        if checkpoint.size > self._stream_size:
            self._stream.extend(self._store.of_registry(self._stream_size, checkpoint.size))
            self._stream_size = checkpoint.size
        with self._store.tree.nodes() as node:
            receipts = Receipts(self._stream, checkpoint, node)
            return [
                Answered(found, receipts.of(found.entry)) if isinstance(found, Appended) else found
                for found in sealed.outcomes
            ]


def problem_line(error: LedgerError) -> bytes:
    """Return a refused line's answer."""
    return json.dumps(error.facts(), ensure_ascii=False).encode()


def _answer(gathered: list[_Ticket], results: list[Result] | LedgerError) -> None:
    for at, (_, ticket) in enumerate(gathered):
        if ticket.done():
            continue
        if isinstance(results, LedgerError):
            ticket.set_exception(results)
        else:
            ticket.set_result(results[at])


def _settle(found: Future[list[Result]], results: list[Result] | LedgerError) -> None:
    if isinstance(results, LedgerError):
        found.set_exception(results)
    else:
        found.set_result(results)
