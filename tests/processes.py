"""Real processes for tests: Python started with the tests' own interpreter, and `pith` on a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
_CACHE: Final = tempfile.TemporaryDirectory(prefix="pith-tests-bytecode-")


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a started process: compiled code is shared between all of them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PITH_", "PYTHON"))}
    return {**kept, "PYTHONPYCACHEPREFIX": _CACHE.name, "PYTHONUNBUFFERED": "1", **changes}


def module(name: str, *arguments: object, out: int = subprocess.PIPE, **changes: str) -> subprocess.Popen[bytes]:
    """Start `python -m NAME`; what it writes goes into pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", name, *map(str, arguments)],
        cwd=ROOT,
        env=environment(**changes),
        stdin=subprocess.PIPE,
        stdout=out,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that a test can end it with all that it started
    )


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def crashed(self) -> bool:
        return "Traceback" in self.err


@dataclass(frozen=True, slots=True)
class Pith:
    """The command `pith` on one data folder; every output of a run is kept for later questions."""

    data: Path
    log: list[str]
    settings: Mapping[str, str]

    @classmethod
    def at(cls, data: Path, **settings: str) -> Pith:
        return cls(data, [], settings)

    def __call__(self, *arguments: object, given: str | bytes = b"") -> Result:
        """Run a command to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(given.encode() if isinstance(given, str) else given, timeout=120)
        self.log.extend((out.decode(), err.decode()))
        return Result(process.returncode, out.decode(), err.decode())

    def fine(self, *arguments: object, given: str | bytes = b"") -> Result:
        """Run a command that must succeed."""
        result = self(*arguments, given=given)
        assert result.code == 0, f"pith {arguments}: {result.code}\n{result.out}\n{result.err}"
        return result

    def start(self, *arguments: object, out: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        return module("ops", *arguments, out=out, PITH_DATA=str(self.data), **self.settings)
