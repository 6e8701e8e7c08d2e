"""Data folders of registries under test, with a clock and a randomness that a test holds."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from ops.home import Home, create_home
from ops.importers import files
from ops.importers.run import Report, import_sources
from ops.settings import Settings
from tests.builders import REGISTRY
from tests.logs import Ticking

SAMPLES: Final = Path(__file__).parents[2] / "ops" / "samples"
PUBLISHED: Final = sorted((Path(__file__).parents[1] / "vectors" / "pith-records").glob("*.json"))
BASE_URL: Final = "https://pith.example"


def a_home(folder: Path, clock: Ticking | None = None) -> Home:
    """Make a registry whose every byte is the same in each run."""
    return create_home(Settings(folder, BASE_URL), REGISTRY, clock or Ticking(), random.Random(REGISTRY).randbytes)


def a_line(number: int, **changes: Any) -> dict[str, Any]:
    """Return a plain line about a paper of its own; `...` leaves a field out."""
    found: dict[str, Any] = {
        "source": "url",
        "id": f"https://example.org/papers/{number}",
        "title": f"Paper number {number}",
        "abstract": f"What is said in paper number {number}.",
        "authors": [{"name": "Ada Author"}, {"name": "Björn Besser"}],
        "date": "2020-02-29",
        **changes,
    }
    return {name: value for name, value in found.items() if value is not ...}


def as_lines(rows: Iterable[Any]) -> bytes:
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


def imported(home: Home, content: bytes, name: str = "papers.jsonl", report: Report | None = None) -> Report:
    """Import a file of some content, perhaps into the report of files before it; bring the projections up to date."""
    path = home.settings.data / name
    path.write_bytes(content)
    report = report or Report()
    import_sources(home, files.sources(path), report, lambda _: None)
    home.catch_up()
    return report


def added(home: Home, content: bytes) -> list[str]:
    """Import content; return the types of the events that this added."""
    before = home.store.head().size
    imported(home, content)
    return [entry.event.event_type for entry in home.store.entries(before)]


def numbers_of(path: Path) -> set[str]:
    """Return the papers a file describes."""
    return {line.draft.subject for line in files.read(path) if line.draft}
