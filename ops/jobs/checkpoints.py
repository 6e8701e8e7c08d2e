"""The job that makes checkpoints: signed where the log has grown, cosigned by whom policy asks for, published."""

from __future__ import annotations

from typing import Final

from ledger.errors import LedgerError, NotFoundError, ServiceUnavailableError, UsageError
from ops.checkpointing import checkpoint
from ops.counting import counted
from ops.jobs.leases import Lease
from ops.jobs.resting import SECOND, rest_after, rests
from ops.jobs.work import Owing, Work

CHECKPOINT_SECONDS: Final = 10.0
FIRST_REST: Final = 10 * SECOND
LONGEST_REST: Final = 300 * SECOND


class Checkpoint:
    """A published checkpoint over all that the log holds; witnesses that do not answer are asked ever less often."""

    name = "checkpoint"

    def __init__(self, every_seconds: float = CHECKPOINT_SECONDS) -> None:
        self.every_seconds = every_seconds
        self._failures = 0
        self._try_at = 0

    def is_due(self, work: Work) -> bool:
        return bool(self._unpublished(work)) and not rests(self._try_at, work.clock())

    def run(self, work: Work, lease: Lease) -> str:
        try:
            made = checkpoint(work.home)
        except LedgerError:
            self._rest(work)
            raise
        if made.published:
            self._failures = self._try_at = 0
            refused = "".join(f"; {name} did not cosign: {why}" for name, why in made.refusals.items())
            return f"published the checkpoint of {made.checkpoint.size} entries{refused}"
        self._rest(work)
        answers = "; ".join(f"{name}: {why}" for name, why in made.refusals.items())
        message = f"the checkpoint of {made.checkpoint.size} entries is not published: {made.missing}"
        raise ServiceUnavailableError(f"{message} ({answers})" if answers else message)

    def owing(self, work: Work) -> list[Owing]:
        unpublished = self._unpublished(work)
        if not unpublished:
            return []
        waiting = ""
        try:
            work.home.signatory("log")
        except UsageError as error:
            waiting = error.message
        return [
            Owing(f"{counted(unpublished, 'entry', 'entries')} above the published checkpoint", unpublished, waiting)
        ]

    def _unpublished(self, work: Work) -> int:
        try:
            published = work.home.store.checkpoints.published().size
        except NotFoundError:
            published = 0
        return work.home.store.head().size - published

    def _rest(self, work: Work) -> None:
        self._failures += 1
        self._try_at = work.clock() + rest_after(self._failures, work.random, FIRST_REST, LONGEST_REST)
