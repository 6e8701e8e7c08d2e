"""A process that brings projections up to date entry by entry: `python -m tests.projections.catching_up FOLDER`.

It names each position once its rows are committed, so that a test can kill it on its way.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from ledger.database import open_sqlite
from ledger.store import Store
from projections.runner import Runner, create_projections
from tests.processes import module

PROJECTIONS: Final = "projections.sqlite"


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start the process on the log and the projections of a folder."""
    return module("tests.projections.catching_up", folder)


def main(folder: Path) -> None:
    store = Store(open_sqlite(folder / "log.sqlite", durable=False))
    database = open_sqlite(folder / PROJECTIONS, durable=False)
    create_projections(database)
    for stop in range(1, store.head().size + 1):
        Runner(store, database).catch_up(stop=stop)
        sys.stdout.write(f"{stop}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
