"""Keeping the projections at the head of the log while it grows, for as long as a server runs."""

from __future__ import annotations

import logging
import threading
from typing import Final

from ledger.database import Database
from ledger.errors import LedgerError
from ledger.store import Clock, Store
from projections.runner import Runner

LOOK_SECONDS: Final = 0.05
REST: Final = 1.0
"""How long to rest after a run, as a part of how long it took: a busy log is projected in larger batches."""

_LOG: Final = logging.getLogger(__name__)


def project(store: Store, projections: Database, stopped: threading.Event, clock: Clock) -> None:
    """Follow the log until told to stop; what goes wrong is kept with the cursor, logged and tried again."""
    runner = Runner(store, projections)
    seen, pause = -1, LOOK_SECONDS
    while not stopped.wait(pause):
        pause = LOOK_SECONDS
        try:
            size = store.head().size
            if size != seen:
                began = clock()
                runner.catch_up()
                pause = max(pause, (clock() - began) / 1_000_000 * REST)
                seen = size
        except LedgerError as error:
            _LOG.error("the projections stand still: %s", error)
            runner, pause = Runner(store, projections), 1.0
