"""Programs under measurement: each a process of its own that does what it is asked on its standard input.

What goes over the pipe are lines of JSON. To the program: first its settings, then one line a task,
`{"case": …, "count": …}`. From it: first `{"ready": true, "version": …}`, then for each task
`{"operations": …, "seconds": …, "facts": {…}}` or `{"error": …}`. It ends with its standard input.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ledger.errors import UsageError
from ops.bench.rounds import Answer

READY_SECONDS: Final = 900
"""How long a program may take to set itself up: some fill a log first."""

ANSWER_SECONDS: Final = 1_800
END_SECONDS: Final = 10
TOLD_BYTES: Final = 400
"""How much is shown of what a program said on standard error before it failed."""


class Program:
    """A running program with a group of processes of its own; use it as a context manager.

    Args:
        said: the file that takes what it writes to standard error.

    Raises:
        UsageError: it cannot be started, or fails, with the end of what it said.
    """

    def __init__(
        self, name: str, command: Sequence[str], settings: Mapping[str, Any], said: Path, cwd: Path | None = None
    ) -> None:
        self._name, self._said, self._pending = name, said, b""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PITH_", "PYTHONPATH"))}
        try:
            with said.open("wb") as errors:
                self._process = subprocess.Popen(  # noqa: S603
                    list(command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd=cwd,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            raise UsageError(f"{name} cannot be started: {error.strerror}") from None
        try:
            self._tell(settings)
            self.version = str(self._heard(READY_SECONDS).get("version", ""))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def process(self) -> int:
        return self._process.pid

    def ask(self, case: str, count: int = 0) -> Answer:
        """Have it do one of its cases so many times; 0 leaves the number to it. Raises UsageError where it fails."""
        self._tell({"case": case, "count": count})
        heard = self._heard(ANSWER_SECONDS)
        return Answer(int(heard["operations"]), max(float(heard["seconds"]), 1e-9), heard.get("facts", {}))

    def close(self) -> None:
        """Close its standard input, end it if that does not, and with it whatever it has started."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):  # it is gone already
                    stream.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _tell(self, line: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._failed("it has ended") from None

    def _heard(self, patience: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        descriptor, end = self._process.stdout.fileno(), time.monotonic() + patience
        while b"\n" not in self._pending:
            if not select.select([descriptor], [], [], max(0.0, end - time.monotonic()))[0]:
                raise self._failed(f"no answer in {patience:.0f} seconds")
            if not (got := os.read(descriptor, 65_536)):
                raise self._failed("it has ended")
            self._pending += got
        line, _, self._pending = self._pending.partition(b"\n")
        try:
            heard = json.loads(line)
        except ValueError:
            raise self._failed(f"it said {line[:100]!r}") from None
        if not isinstance(heard, dict) or "error" in heard:
            raise self._failed(str(heard.get("error") if isinstance(heard, dict) else heard))
        return heard

    def _failed(self, reason: str) -> UsageError:
        said = self._said.read_bytes()[-TOLD_BYTES:].decode(errors="replace").strip()
        last = said.splitlines()[-1] if said else ""
        return UsageError(f"{self._name} failed: {reason}", cure=last)
