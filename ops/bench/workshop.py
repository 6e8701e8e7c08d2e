"""Where a run of the bench works: what it keeps from run to run, what it installs, and what it throws away.

Kept are the signed events and the installed peers, each of one exact version; all else goes at the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Final

from ledger.errors import UsageError
from ledger.events import parse_stored
from ledger.signatures import signatures_of
from ops.bench import events
from ops.bench.appending import BASE_URL
from ops.bench.cluster import Cluster, Server
from ops.bench.filling import fill
from ops.settings import Settings

INSTALL_SECONDS: Final = 900
SIGNED: Final = 10_000
"""How many events' signatures bare verification goes round in."""

Bar = Callable[[str, int], None]
"""Told of progress: what is being done, and how much more of it was done."""


class Workshop:
    """The folders and servers of one run; use it as a context manager.

    Args:
        folder: kept from run to run.
        most: how many events a run needs at most.
        bar: told of what takes long.
    """

    def __init__(self, folder: Path, most: int, bar: Bar = lambda _what, _step: None) -> None:
        self.folder, self._most, self._bar = folder, most, bar
        self._cleaning = ExitStack()
        self._filled: dict[int, Path] = {}
        self._count = 0

    def __enter__(self) -> Workshop:
        self.folder.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix="run-", dir=self.folder, ignore_cleanup_errors=True)
        self._scratch = Path(self._cleaning.enter_context(scratch))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleaning.__exit__(kind, error, trace)

    def scratch(self, name: str) -> Path:
        """Return a new empty folder, gone with the run."""
        self._count += 1
        path = self._scratch / f"{self._count}-{name}"
        path.mkdir()
        return path

    @cached_property
    def events(self) -> Path:
        """The file of signed events that everything is measured with."""
        return events.lines(self.folder / "events", self._most, lambda step: self._bar("signing events", step))

    @cached_property
    def signatures(self) -> Path:
        """A file of what bare verification verifies: exactly the signatures that those events carry."""
        home = events.create_registry(Settings(self.scratch("keys") / "registry", BASE_URL))
        keys = home.store.registry().keys
        home.close()
        path = self._scratch / "signatures"
        with path.open("w") as file:
            for raw in events.read(self.events, 0, min(SIGNED, self._most)):
                for found in signatures_of(parse_stored(raw), keys):
                    parts = (found.public_key, found.signature, found.message)
                    file.write(" ".join(part.hex() for part in parts) + "\n")
                file.write("\n")
        return path

    @cached_property
    def server(self) -> Server:
        """A PostgreSQL server, running until the end of the run; raises UsageError where there is none."""
        return self._cleaning.enter_context(Cluster())

    def told(self, what: str, step: int) -> None:
        """Pass on how much more of something long was done."""
        self._bar(what, step)

    def keep(self, filled: Mapping[int, Path]) -> None:
        """Have `registry` give these data folders from here on."""
        self._filled |= filled

    def describe(self) -> dict[str, str]:
        """Return what a reader of figures wants to know of the servers that were started."""
        return self.server.describe() if "server" in vars(self) else {}

    def registry(self, size: int) -> Path:
        """Return the data folder of a registry that holds so many of the events, projected and signed over."""
        if size not in self._filled:
            made, _ = fill(self.scratch("filled"), self.events, [size], lambda step: self._bar("filling a log", step))
            self._filled |= made
        return self._filled[size]

    def node(self, package: str, version: str) -> Path:
        """Return a folder in which a package of npm is installed.

        Raises:
            UsageError: node or npm is missing, or it cannot be installed.
        """
        for program in ("node", "npm"):
            if shutil.which(program) is None:
                raise UsageError(f"{program} is not installed")
        folder = self.folder / "npm" / f"{package.replace('/', '+')}-{version}"
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "package.json").write_text('{"private": true}\n')
            how = ("--no-audit", "--no-fund", "--save-exact", "--loglevel=error")
            self._install([_program("npm"), "install", *how, f"{package}@{version}"], package, folder)
            (folder / "installed").touch()
        return folder

    def python(self, package: str, version: str, extra: str = "") -> Path:
        """Return an interpreter of its own in which a package of PyPI is installed, so that it never touches ours.

        Raises:
            UsageError: it cannot be installed.
        """
        folder = self.folder / "venv" / f"{package}-{version}"
        python = folder / "bin" / "python"
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            self._install([sys.executable, "-m", "venv", str(folder)], package, self.folder)
            how = ("--quiet", "--disable-pip-version-check", f"{package}{extra}=={version}")
            self._install([str(python), "-m", "pip", "install", *how], package, self.folder)
            (folder / "installed").touch()
        return python

    def _install(self, command: Sequence[str], package: str, cwd: Path) -> None:
        self._bar(f"installing {package}", 0)
        try:
            ran = subprocess.run(  # noqa: S603
                command, cwd=cwd, capture_output=True, timeout=INSTALL_SECONDS, check=False, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(f"{package} cannot be installed: {error}") from None
        if ran.returncode:
            said = (ran.stderr or ran.stdout).decode(errors="replace").strip().splitlines()
            raise UsageError(f"{package} cannot be installed", cure=said[-1] if said else "")


def default_folder() -> Path:
    """Return where the bench keeps things: beside other caches of this user."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "pith-bench"


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found is not None
    return found
