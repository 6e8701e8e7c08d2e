"""One node on this machine: Patroni and the PostgreSQL it keeps, to start, to ask, to stop and to kill (Linux)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from ledger.errors import StoreError
from ops.deploy.account import Account

HOST: Final = "127.0.0.1"
END_SECONDS: Final = 30
POLL_SECONDS: Final = 0.1

_BESIDE: Final = """
"$@" &
read -r _
kill -KILL $!
postmaster=$(head -n 1 data/postmaster.pid)
grep -qF "$PWD/data" "/proc/$postmaster/cmdline" && kill -QUIT "$postmaster"
"""
"""Run Patroni, and end it and its PostgreSQL once whoever started them is gone."""


@dataclass(slots=True)
class Node:
    """Patroni's name, its folder, and its ports for PostgreSQL's clients and for its own API.

    The folder holds `configuration`, `data`, `raft` and, in `log`, what both programs say.
    """

    name: str
    folder: Path
    port: int
    api_port: int
    account: Account
    environment: dict[str, str] = field(repr=False)
    _shell: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def configuration(self) -> Path:
        return self.folder / "configuration"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Start Patroni, which makes PostgreSQL's data or takes up what it finds."""
        patroni = [sys.executable, "-m", "patroni", self.configuration]
        with (self.folder / "log").open("ab") as log:
            command = ["/bin/sh", "-c", _BESIDE, "sh", *patroni]
            self._shell = self.account.start(command, self.folder, self.environment, log)

    def kill(self) -> None:
        """Kill Patroni and then PostgreSQL's postmaster (SIGKILL); what they held stays as it was."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End both without a word to the cluster; PostgreSQL rolls back what runs, and leaves nothing in memory."""
        self._end(signal.SIGQUIT)

    def crash(self) -> None:
        """Kill PostgreSQL's postmaster alone (SIGKILL); Patroni decides what follows."""
        postmaster = self.postmaster()
        if postmaster is not None:
            self._send(postmaster, signal.SIGKILL)

    def postmaster(self) -> int | None:
        """Return the id of PostgreSQL's first process, None while there is none."""
        with suppress(OSError, ValueError, IndexError):
            number = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            # A file that a kill left behind may by now name somebody else's process.
            if os.fsencode(self.data) in Path(f"/proc/{number}/cmdline").read_bytes():
                return number
        return None

    def cluster(self) -> dict[str, Any]:
        """Return what this node's Patroni knows of the cluster, {} where it does not answer."""
        try:
            answer = httpx.get(f"http://{HOST}:{self.api_port}/cluster", timeout=5, trust_env=False)
            found = answer.json()
        except (httpx.HTTPError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _end(self, how: signal.Signals) -> None:
        if self._shell is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._shell.pid, signal.SIGKILL)
            with self._shell:
                self._shell.wait()
            self._shell = None
        postmaster = self.postmaster()
        if postmaster is not None:
            self._send(postmaster, how)

    def _send(self, postmaster: int, how: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(postmaster, how)
        until(lambda: self.postmaster() != postmaster, END_SECONDS, "PostgreSQL does not end")


def until(holds: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Wait until something holds.

    Raises:
        StoreError: it took longer; `otherwise` says what is missing.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise StoreError(otherwise, cure="see the file `log` in each node's folder")
        time.sleep(POLL_SECONDS)
