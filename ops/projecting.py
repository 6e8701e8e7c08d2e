"""Keeping the projections at the head of the log while a server runs: a process of its own, started and watched here.

Projecting takes as much of a processor as answering does, so it must not share an interpreter with it.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from api.front.logs import configure_logging
from ledger.appending import Clock
from ledger.database import Database
from ledger.errors import LedgerError
from ledger.store import Store
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


@contextmanager
def projecting(settings: Settings) -> Iterator[None]:
    """Keep a projecting process running for as long as the block is open."""
    stopped = threading.Event()
    environment = {**os.environ, "PITH_DATA": str(settings.data.absolute())}

    def keep() -> None:
        while not stopped.is_set():
            # Its standard input closes with this process, however that ends: then it ends too.
            with subprocess.Popen(
                [sys.executable, "-m", "ops.projecting"], stdin=subprocess.PIPE, env=environment
            ) as child:
                while child.poll() is None and not stopped.wait(LOOK_SECONDS):
                    pass
                if child.poll() is not None and not stopped.wait(AGAIN_SECONDS):
                    _LOG.error("the projecting process ended with %s and is started again", child.returncode)

    keeper = threading.Thread(target=keep, name="pith-projecting")
    keeper.start()
    try:
        yield
    finally:
        stopped.set()
        keeper.join()


def main() -> None:
    """Project the log of PITH_DATA until standard input is closed."""
    stopped = threading.Event()

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        stopped.set()

    threading.Thread(target=end_with_parent, daemon=True).start()
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
