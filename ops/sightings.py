"""What a monitor remembers of a log, in a folder: whom it trusts, every checkpoint it saw, the tree it knows.

    trust.json           who may sign for the log, as verified
    seen/                checkpoints that the log signed and that were not compared yet
    known/               those that form one history; the largest is the newest known
    refused/             those that a file of evidence is about, or that a retired key signed
    hashes/0, 1, …       the hashes of all tiles of the newest known tree, a file for each level
    evidence-….json      what was found

A checkpoint is on the disk before it is judged, and moves by one renaming. Hashes are only ever appended and
are proven again when used, so a process that is killed loses nothing and spoils nothing.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger.errors import UsageError
from ledger.merkle import HASH_BYTES
from ledger.proofs.steps import step
from ledger.tiles import HEIGHT, MAX_LEVEL, WIDTH, Tile
from ledger.verified_tiles import VerifiedTiles
from ops.evidence_files import keep_evidence
from ops.importers.strict import decode_object
from ops.whole_files import as_file, write_whole

SEEN: Final = "seen"
KNOWN: Final = "known"
REFUSED: Final = "refused"
_NOTE: Final = re.compile(r"(0|[1-9][0-9]*)-([0-9a-f]{64})\.note", re.ASCII)
_PLACES: Final = (SEEN, KNOWN, REFUSED)


class Sighting(NamedTuple):
    """A tree that the log signed a checkpoint of."""

    size: int
    root: bytes

    @property
    def file_name(self) -> str:
        return f"{self.size}-{self.root.hex()}.note"


class Sightings:
    """One log's folder; held by one process at a time, see `open_sightings`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._at: dict[Sighting, str] = {}
        for place in _PLACES:
            for found in filter(None, (_NOTE.fullmatch(path.name) for path in (folder / place).iterdir())):
                self._at[Sighting(int(found[1]), bytes.fromhex(found[2]))] = place

    # --- trust -----------------------------------------------------------------------------

    def trust(self) -> Mapping[str, Any] | None:
        """Return what `keep_trust` kept; None at first."""
        path = self._folder / "trust.json"
        with step("canonical form", str(path)):
            return decode_object(path.read_bytes()) if path.exists() else None

    def keep_trust(self, facts: Mapping[str, Any]) -> None:
        write_whole(self._folder / "trust.json", as_file(facts))

    # --- checkpoints -----------------------------------------------------------------------

    def at(self, place: str) -> list[Sighting]:
        """Return the sightings of a place, smallest first."""
        return sorted(sighting for sighting, found in self._at.items() if found == place)

    def newest(self) -> Sighting | None:
        """Return the largest known one."""
        return max((sighting for sighting, place in self._at.items() if place == KNOWN), default=None)

    def rival(self, sighting: Sighting) -> Sighting | None:
        """Return one with another root for the same size, unless it was refused."""
        others = (other for other, place in self._at.items() if place != REFUSED)
        return next((other for other in others if other.size == sighting.size and other.root != sighting.root), None)

    def is_known(self, sighting: Sighting) -> bool:
        return self._at.get(sighting) == KNOWN

    def note(self, sighting: Sighting) -> bytes:
        """Return the signed note in which it was seen first."""
        return (self._folder / self._at[sighting] / sighting.file_name).read_bytes()

    def see(self, sighting: Sighting, note: bytes) -> None:
        """Keep a signed checkpoint that is to be judged, unless it is here already."""
        if sighting not in self._at:
            write_whole(self._folder / SEEN / sighting.file_name, note)
            self._at[sighting] = SEEN

    def move(self, sighting: Sighting, place: str) -> None:
        """Put a checkpoint where its judgement belongs."""
        before = self._at[sighting]
        if before != place:
            (self._folder / before / sighting.file_name).replace(self._folder / place / sighting.file_name)
            _settle(self._folder / place)
            _settle(self._folder / before)
            self._at[sighting] = place

    # --- the tree --------------------------------------------------------------------------

    def keep_hashes(self, old: int, new: int, tiles: VerifiedTiles) -> None:
        """Append what a tree of `new` entries has beyond its first `old`; raises as `VerifiedTiles` does."""
        for level in range(MAX_LEVEL + 1):
            start, end = old >> (HEIGHT * level), new >> (HEIGHT * level)
            if start < end:
                with open(self._hashes(level), "r+b", opener=_created) as file:
                    for index in range(start // WIDTH, -(-end // WIDTH)):
                        first = max(start, index * WIDTH)
                        file.seek(first * HASH_BYTES)
                        file.write(b"".join(tiles.hashes(level, index)[first - index * WIDTH :]))
                    file.flush()
                    os.fsync(file.fileno())
        _settle(self._folder / "hashes")

    def tile(self, tile: Tile) -> bytes:
        """Return what is kept of a tile's hashes."""
        path = self._hashes(tile.level)
        if not path.exists():
            return b""
        with path.open("rb") as file:
            file.seek(tile.index * WIDTH * HASH_BYTES)
            return file.read(tile.width * HASH_BYTES)

    def _hashes(self, level: int) -> Path:
        return self._folder / "hashes" / str(level)

    # --- evidence --------------------------------------------------------------------------

    def keep_evidence(self, evidence: Mapping[str, Any]) -> Path:
        """Write a file of evidence, unless one is about the same checkpoints; return its path."""
        return keep_evidence(self._folder, evidence)

    def evidence(self) -> list[Path]:
        """Return every file of evidence that was ever written here."""
        return sorted(self._folder.glob("evidence-*.json"))


@contextmanager
def open_sightings(folder: Path) -> Iterator[Sightings]:
    """Open a monitor's folder, which is made where there is none, and keep other processes out meanwhile.

    Raises:
        UsageError: another process has it.
    """
    for name in (*_PLACES, "hashes"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            cure = "let one monitor follow all addresses, or give --state"
            raise UsageError("another monitor uses this folder", place=str(folder), cure=cure) from None
        yield Sightings(folder)


def _settle(folder: Path) -> None:
    """Put a folder's names on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _created(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o666)
