"""Evidence of forks as files: each pair of checkpoints once, none ever overwritten."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from ledger import checkpoints, notes
from ledger.errors import LedgerError
from ops.importers.strict import decode_object
from ops.whole_files import as_file, write_whole


def keep_evidence(folder: Path, evidence: Mapping[str, Any]) -> Path:
    """Write evidence into a folder beside all others, unless it is about the same checkpoints; return its path."""
    sizes = [checkpoints.parse(notes.parse(note.encode()).text).size for note in evidence["checkpoints"]]
    for number in count(1):
        again = f"-{number}" if number > 1 else ""
        path = folder / f"evidence-{sizes[0]}-{sizes[1]}{again}.json"
        if not path.exists():
            write_whole(path, as_file(evidence))
        elif not _is_about(path, evidence):
            continue
        return path
    raise AssertionError("count has no end")


def _is_about(path: Path, evidence: Mapping[str, Any]) -> bool:
    try:
        return bool(decode_object(path.read_bytes())["checkpoints"] == evidence["checkpoints"])
    except (LedgerError, KeyError):
        return False
