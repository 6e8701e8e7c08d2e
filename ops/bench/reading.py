"""Our reads, proofs, replays and audits of one registry, as a program: `python -m ops.bench.reading`.

Settings: `registry` (a data folder that `ops.bench.filling` made), `events` (the file it was made of), `cores`, and
`start`, how many events of the file are in it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from ledger.events import parse_stored
from ledger.merkle import leaf_hash, verify_inclusion
from ops.bench.appending import BASE_URL
from ops.bench.bulk import Bulk, Place
from ops.bench.events import EACH, read
from ops.bench.peers.answering import Case, Outcome, Pipe
from ops.home import Home, collect_rarely, open_home
from ops.settings import Settings
from projections import queries

MOST_PAPERS: Final = 2_000
"""Papers that are asked for, spread over the whole log."""

FIRST: Final = 100
"""How many events are appended before the first that count: a store reads its registry's stream once."""

LONGER: Final = 1.2
"""A log that grew by more than this while it was measured is taken anew from its copy."""


class Registry:
    """A filled registry, opened for reading, and papers of it chosen by chance."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self.folder = Path(settings["registry"])
        self.home = self._open()
        self.size = self.home.store.head().size
        papers = settings["start"] // EACH
        chance = random.Random(self.size)
        self.chosen = sorted(chance.sample(range(papers), min(papers, MOST_PAPERS)))
        self.opening = self.size - settings["start"]
        chance.shuffle(self.chosen)
        self._longer: tuple[Home, Bulk] | None = None

    def _open(self, folder: Path | None = None) -> Home:
        return open_home(Settings(folder or self.folder, BASE_URL))

    @cached_property
    def subjects(self) -> list[str]:
        """The Pith Numbers of the chosen papers."""
        positions = [self.opening + number * EACH for number in self.chosen]
        return [self.home.store.entry(position).event.subject for position in positions]

    def view(self, count: int) -> Outcome:
        """Read a paper's current document and write it as JSON."""
        subjects, projections = self.subjects, self.home.projections
        anchored = self.home.store.registry().anchored_size()
        started = time.perf_counter()
        for at in range(count):
            msgspec.json.encode(queries.record(projections, subjects[at % len(subjects)], anchored))
        return count, time.perf_counter() - started

    def as_of(self, count: int) -> Outcome:
        """Work out a paper's document as it was after the sixth of the ten events about it."""
        subjects, store, registry = self.subjects, self.home.store, self.home.store.registry()
        positions = [self.opening + number * EACH + 6 for number in self.chosen]
        started = time.perf_counter()
        for at in range(count):
            number = at % len(subjects)
            msgspec.json.encode(queries.record_as_of(store, subjects[number], positions[number], registry))
        return count, time.perf_counter() - started

    def prove(self, count: int) -> Outcome:
        tree, chance = self.home.store.tree, random.Random(count)
        positions = [chance.randrange(self.size) for _ in range(count)]
        started = time.perf_counter()
        for position in positions:
            tree.inclusion_proof(position, self.size)
        return count, time.perf_counter() - started

    def verify_proof(self, count: int) -> Outcome:
        tree, chance = self.home.store.tree, random.Random(count)
        root = tree.root(self.size)
        made = []
        for _ in range(min(count, 200)):
            entry = self.home.store.entry(chance.randrange(self.size))
            made.append((leaf_hash(entry.leaf()), entry.position, tree.inclusion_proof(entry.position, self.size)))
        started = time.perf_counter()
        for at in range(count):
            leaf, position, path = made[at % len(made)]
            verify_inclusion(leaf, position, self.size, path, root)
        return count, time.perf_counter() - started

    def append(self, count: int) -> Outcome:
        """Append in bulk to a copy of this log, which is made anew once it has grown too much."""
        if self._longer is not None and self._longer[0].store.head().size + count > self.size * LONGER:
            self._drop()
        home, bulk = self._longer or self._copy()
        raws = self._next(home, count)
        return len(raws), bulk.append(raws)

    def _next(self, home: Home, count: int) -> list[bytes]:
        """Return the events that come next in a log."""
        start = home.store.head().size - self.opening
        return list(read(Path(self._settings["events"]), start, start + count))

    def _copy(self) -> tuple[Home, Bulk]:
        copy = self.folder.with_name(self.folder.name + "-longer")
        shutil.copytree(self.folder, copy, ignore=shutil.ignore_patterns("projections.db*"))
        home = self._open(copy)
        bulk = Bulk(home.store, home.clock, Place(home.settings.ledger_path), self._settings["cores"])
        bulk.append(self._next(home, FIRST))
        self._longer = home, bulk
        return self._longer

    def _drop(self) -> None:
        if self._longer is not None:
            home, bulk = self._longer
            bulk.__exit__()
            home.close()
            shutil.rmtree(home.settings.data)
            self._longer = None

    def parse(self, count: int) -> Outcome:
        """Parse stored events: what nearly every path begins with."""
        raws = list(read(Path(self._settings["events"]), 0, min(count, 10_000)))
        started = time.perf_counter()
        for at in range(count):
            parse_stored(raws[at % len(raws)])
        return count, time.perf_counter() - started

    def command(self, *arguments: str) -> Outcome:
        """Run `pith` on this folder; the seconds are those it says itself, or those of the whole process."""
        environment = {**os.environ, "PITH_DATA": str(self.folder)}
        started = time.perf_counter()
        ran = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "ops", *arguments, "--json"], env=environment, capture_output=True, check=False
        )
        seconds = time.perf_counter() - started
        if ran.returncode:
            raise ValueError(ran.stderr.decode(errors="replace")[-300:])
        said = json.loads(ran.stdout)
        told = said if isinstance(said, dict) else {}
        peak = {"peak_memory_mb": float(told["peak_memory_mb"])} if "peak_memory_mb" in told else {}
        return self.size, float(told.get("seconds", seconds)), {"whole_seconds": seconds, **peak}


def main() -> None:
    pipe = Pipe()
    collect_rarely()
    registry = Registry(pipe.settings)
    cases: dict[str, Case] = {
        "view": registry.view,
        "as of": registry.as_of,
        "prove": registry.prove,
        "verify proof": registry.verify_proof,
        "parse": registry.parse,
        "append": registry.append,
        "audit": lambda _: registry.command("audit"),
    }
    for mode in ("all", "signers", "checkpoint", "none"):
        cases[f"replay {mode}"] = lambda _, mode=mode: registry.command("replay", "--verify", mode)  # type: ignore[misc]
    pipe.answer("", cases)


if __name__ == "__main__":
    main()
