"""Servers under measurement: processes of their own that say on which port they listen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit


def tell_port(address: str) -> None:
    """Print the port of an address, for whoever started this process."""
    sys.stdout.write(f"{urlsplit(address).port}\n")
    sys.stdout.flush()


@contextmanager
def running(module: str, argument: Path) -> Iterator[int]:
    """Run a module that serves until its standard input closes, or it is told to stop; yields its port."""
    with subprocess.Popen([sys.executable, "-m", module, str(argument)], stdout=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()
