"""A certified OpenID provider, run as a program of its own."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from api.settings import OpenIdProvider
from tests.programs import missing, program

_SOURCE: Final = Path(__file__).parent / "provider"
SECRET: Final = "a secret between the registry and its provider"


def installed_provider() -> Path:
    """Return the folder in which the provider is installed as its lock file says, outside the tree."""
    node, npm = program("node", "apt install nodejs"), program("npm", "apt install npm")
    lock = (_SOURCE / "package-lock.json").read_bytes()
    folder = Path(tempfile.gettempdir()) / f"pith-test-provider-{os.getuid()}-{sha256(lock).hexdigest()[:16]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / ".lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        done = folder / ".installed"
        if not done.exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(_SOURCE / name, folder / name)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
            if result.returncode != 0:
                missing(f"npm ci failed: {result.stderr[-400:]}")
            done.touch()
        shutil.copy(_SOURCE / "server.js", folder / "server.js")
    assert node
    return folder


@contextmanager
def a_provider(redirect: str, method: str = "client_secret_basic") -> Iterator[OpenIdProvider]:
    """Run the provider for one client; yields the settings by which a registry finds it."""
    folder = installed_provider()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [program("node", "apt install nodejs"), "server.js", str(port), redirect, method]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if line == "ready\n":
                break
        else:
            pytest.fail(f"the provider did not start: {''.join(said)}")
        yield OpenIdProvider(f"http://127.0.0.1:{port}", "pith", SECRET)
    finally:
        process.terminate()
        process.communicate(timeout=30)
