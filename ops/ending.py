"""Ending when a signal says so."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def end_at_signals(stop: Callable[[], None]) -> None:
    """Call `stop` at every SIGINT and SIGTERM from now on, in a thread of its own; call this from the main thread.

    Not from a handler: that runs in the main thread between any two steps, perhaps while this holds the very lock that
    an `Event` takes to be set, and would wait for itself for ever. Python itself writes the number into a pipe.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)

    def listen() -> None:
        while numbers := os.read(heard, 64):
            if any(number in SIGNALS for number in numbers):
                stop()

    threading.Thread(target=listen, name="signals", daemon=True).start()
