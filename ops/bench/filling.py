"""Filled registries: data folders that hold so many of the bench's events, projected and under a checkpoint."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Final

from ops.bench.appending import BASE_URL
from ops.bench.bulk import Bulk, Place
from ops.bench.events import create_registry, read
from ops.bench.machine import cores
from ops.checkpointing import checkpoint
from ops.home import Home
from ops.settings import Settings

STEP: Final = 10_000
Progress = Callable[[int], None]


def fill(
    folder: Path, events: Path, sizes: list[int], progress: Progress = lambda _: None
) -> tuple[dict[int, Path], list[tuple[int, float]]]:
    """Make registries with the first events of a file, one for each size, by one log that grows.

    Returns the data folder of each size, and how the rate of appending went: (events in the log, events a second).

    Args:
        folder: an empty or missing folder for all of them.
        sizes: rising.
        progress: called with how many events were appended since the last call.
    """
    home = create_registry(Settings(folder / "growing", BASE_URL))
    found: dict[int, Path] = {}
    rates: list[tuple[int, float]] = []
    with Bulk(home.store, home.clock, Place(home.settings.ledger_path), cores()) as bulk:
        for start, size in pairwise([0, *sizes]):
            for at in range(start, size, STEP):
                raws = list(read(events, at, min(at + STEP, size)))
                rates.append((at + len(raws), len(raws) / bulk.append(raws)))
                progress(len(raws))
            home.catch_up()
            checkpoint(home)
            found[size] = folder / f"of-{size}"
            if size != sizes[-1]:
                _copy(home, found[size])
    home.close()
    home.settings.data.rename(found[sizes[-1]])
    return found, rates


def _copy(home: Home, folder: Path) -> None:
    """Copy a registry page by page, so that its files are laid out as those that grew."""
    folder.mkdir()
    for path in (home.settings.ledger_path, home.settings.projections_path):
        source, target = sqlite3.connect(path), sqlite3.connect(folder / path.name)
        source.backup(target)
        target.execute("PRAGMA journal_mode=WAL")
        source.close()
        target.close()
    shutil.copytree(home.settings.keys, folder / home.settings.keys.name)
    if home.settings.signed_path.exists():
        shutil.copy2(home.settings.signed_path, folder / home.settings.signed_path.name)
