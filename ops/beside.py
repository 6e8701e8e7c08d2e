"""Processes that run beside a server: started, watched and ended by it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from ops.settings import Settings

LOOK_SECONDS: Final = 0.05
AGAIN_SECONDS: Final = 1.0
"""How long to wait before a process that ended is started again."""

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
        while not stopped.is_set():
            # Its standard input closes with this process, however that ends: then it ends too. In a session of its own,
            # since an interrupt from the terminal is for this process alone.
            with subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.PIPE, env=environment, start_new_session=True
            ) as child:
                while child.poll() is None and not stopped.wait(LOOK_SECONDS):
                    pass
                if child.poll() is not None and not stopped.wait(AGAIN_SECONDS):
                    _LOG.error("the %s process ended with %s and is started again", what, child.returncode)

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
        sys.stdin.buffer.read()
        stop()

    threading.Thread(target=wait, daemon=True).start()
