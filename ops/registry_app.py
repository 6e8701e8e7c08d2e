"""A data folder, opened for serving: everything the application works on, and what runs beside it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final

import api.app  # noqa: F401  (with it, every private table is declared)
from api.parts import Parts
from api.present import Present
from api.reading.other_logs import OtherLogs
from api.settings import ApiSettings
from api.submitting.intake import Intake
from ledger.batcher import Batcher
from ledger.errors import LedgerError, VerificationError
from ops.checkpointing import check_continues, newest
from ops.databases import open_private
from ops.home import Home
from ops.other_logs import other_logs
from ops.publications import StorePublication
from ops.sealing import FOLLOW_SECONDS, Held, Sealing
from ops.shared_logs import Together

_LOG: Final = logging.getLogger(__name__)


@contextmanager
def composed(home: Home, settings: ApiSettings, follow_seconds: float = FOLLOW_SECONDS) -> Iterator[Parts]:
    """Open what the application of a registry works on; a mirror's application takes no submissions.

    Args:
        follow_seconds: how often what was signed is written down, and what others append is signed over.
    """
    with ExitStack() as cleaning:
        private = open_private(home.settings, home.random)
        cleaning.callback(private.close)
        present = Present(home.store, home.projections)
        others = cleaning.enter_context(other_logs(home))
        intake: Intake | None = None
        if not home.settings.followed_path.exists():
            home.check_own()
            check_continues(home)
            together = Together(home)
            cleaning.callback(together.close)
            told = partial(_told, others)
            told(together.copy())  # a key that was replaced while nothing ran here must be known before it signs
            cleaning.enter_context(_beside(lambda stopped: together.follow(follow_seconds, stopped, told)))
            sealing, event_key = Sealing(home), Held(home, "event")
            if sealing.key() is not None:
                try:
                    newest(home)  # so that a first submission need not wait for a check of all that is unsigned
                except VerificationError as error:
                    _LOG.error("no checkpoint can be signed: %s", error)
            home.store.learn()
            cleaning.enter_context(_beside(partial(sealing.follow, follow_seconds)))
            batcher = cleaning.enter_context(Batcher(home.store, home.clock, sealing.key, sealing.committed))
            intake = Intake(home.store, batcher, event_key.signatory, present.noticed)
        yield Parts(
            settings=settings,
            store=home.store,
            projections=home.projections,
            private=private,
            publication=StorePublication(
                home.store, lambda size: sight.stream if (sight := present.sight).size >= size else None
            ),
            present=present,
            intake=intake,
            clock=home.clock,
            random=home.random,
            others=others,
        )


def _told(others: OtherLogs, failed: Mapping[str, LedgerError]) -> None:
    others.faults = {label: error.message for label, error in failed.items()}


@contextmanager
def _beside(follow: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run a loop in a thread of its own for as long as the block is open."""
    stopped = threading.Event()
    thread = threading.Thread(target=follow, args=(stopped,), name="pith-beside")
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
