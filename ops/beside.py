"""Processes that run beside a server: started, watched and ended by it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from ops.settings import Settings

LOOK_SECONDS: Final = 0.05
AGAIN_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 60.0
"""How long to wait before a process that ended is started again: at first, and at most where it keeps ending."""

LIVED_SECONDS: Final = 60.0
"""A process that lived so long has worked."""

_LOG: Final = logging.getLogger(__name__)


@contextmanager
def kept_running(what: str, module: str, arguments: Sequence[str], settings: Settings) -> Iterator[None]:
    """Keep a process of this product running for as long as the block is open; it must call `end_with_parent`.

    Args:
        what: what it does, for the log.
        module: what is run of this product, with its arguments.
        settings: it works on the same data folder.
    """
    stopped = threading.Event()
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, "PITH_DATA": str(settings.data.absolute())}

    def keep() -> None:
        rest = AGAIN_SECONDS / 2
        while not stopped.is_set():
            began = time.monotonic()
            # Its standard input closes with this process, however that ends: then it ends too. In a session of its own,
            # since an interrupt from the terminal is for this process alone.
            with subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.PIPE, env=environment, start_new_session=True
            ) as child:
                while child.poll() is None and not stopped.wait(LOOK_SECONDS):
                    pass
                if stopped.is_set():
                    return
            rest = AGAIN_SECONDS if time.monotonic() - began > LIVED_SECONDS else min(2 * rest, LONGEST_SECONDS)
            _LOG.error("the %s process ended with %s; it is started again in %g s", what, child.returncode, rest)
            stopped.wait(rest)

    keeper = threading.Thread(target=keep, name=f"pith-{what}")
    keeper.start()
    try:
        yield
    finally:
        stopped.set()
        keeper.join()


def end_with_parent(stop: Callable[[], None]) -> None:
    """Call `stop` as soon as standard input is closed."""

    def wait() -> None:
        # Past Python's own buffer, whose lock would abort the process where a signal ends it meanwhile.
        with suppress(OSError):
            while os.read(0, 4_096):
                pass
        stop()

    threading.Thread(target=wait, daemon=True).start()
