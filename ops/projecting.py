"""Keeping the projections at the head of the log while a server runs: a process of its own.

Projecting takes as much of a processor as answering does, so it must not share an interpreter with it.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import AbstractContextManager
from typing import Final

from api.front.logs import configure_logging
from ledger.appending import Clock
from ledger.database import Database
from ledger.errors import LedgerError
from ledger.store import Store
from ops.beside import end_with_parent, kept_running
from ops.home import collect_rarely, now, open_home
from ops.settings import Settings, read_settings
from projections.runner import Runner

LOOK_SECONDS: Final = 0.05
REST: Final = 1.0
"""How long to rest after a run, as a part of how long it took: a busy log is projected in larger batches."""

NICENESS: Final = 10
"""Submissions and answers go first where there is not enough processor for all."""

AGAIN_SECONDS: Final = 1.0
"""How long to wait after a failure before trying again."""

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
            runner, seen, pause = Runner(store, projections), -1, AGAIN_SECONDS


def projecting(settings: Settings) -> AbstractContextManager[None]:
    """Keep a projecting process running for as long as the block is open."""
    return kept_running("projecting", "ops.projecting", (), settings)


def main() -> None:
    """Project the log of PITH_DATA until standard input is closed."""
    stopped = threading.Event()
    end_with_parent(stopped.set)
    os.nice(NICENESS)
    collect_rarely()
    configure_logging(sys.stderr, json=not sys.stderr.isatty())
    home = open_home(read_settings(os.environ))
    try:
        project(home.store, home.projections, stopped, now)
    finally:
        home.close()


if __name__ == "__main__":
    main()
