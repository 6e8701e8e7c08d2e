"""Ending at a signal, wherever the main thread is at that moment."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHILD = """
import sys, threading, time
from ops.ending import end_at_signals
stopped = threading.Event()
end_at_signals(stopped.set)
if sys.argv[1] == "waiting":
    print("up", flush=True)
else:
    with stopped._cond:  # as `Event.set` and `Event.wait` themselves do for a moment
        print("up", flush=True)
        time.sleep(0.3)
stopped.wait()
"""


@pytest.mark.parametrize("at", ["waiting", "holding its lock"])
def test_many_signals_end_a_process_whatever_its_main_thread_holds(at: str) -> None:
    chance = random.Random(at)
    for _ in range(5):
        command = [sys.executable, "-c", CHILD, at]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == b"up\n"
                for number in (signal.SIGTERM, signal.SIGINT) * 20:
                    if process.poll() is None:
                        process.send_signal(number)
                    until = time.perf_counter() + chance.random() * 4e-5
                    while time.perf_counter() < until:
                        pass
                # At the very end, when Python has put its own handlers away, a signal may end it too.
                assert process.wait(timeout=20) in (0, -signal.SIGTERM, -signal.SIGINT)
            finally:
                process.kill()
