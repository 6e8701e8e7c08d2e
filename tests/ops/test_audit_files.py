"""The audit of damaged files: a bit flipped anywhere is found, or it lies where nothing is kept."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from ledger.errors import VerificationError
from tests.ops.audited import Ledger, a_ledger

FLIPS: Final = 240
"""How many bits of each file are flipped, each on its own."""

INNER: Final = ("search_text_data", "search_text_idx")
"""How the full-text index keeps its words; old states of it stay until they are merged, and are never read."""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return a_ledger(tmp_path_factory.mktemp("audit") / "data")


def all_that_is_kept(path: Path) -> dict[str, list[str]]:
    """Read every row of every table, the schema, and each word of the full-text index with its places."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        asked = {name: f'SELECT * FROM "{name}"' for name in tables if name not in INNER}
        asked["sqlite_master"] = "SELECT type, name, tbl_name, sql FROM sqlite_master"
        if "search_text" in tables:
            connection.execute("CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, search_text, instance)")
            asked["words"] = "SELECT * FROM words"
        return {name: sorted(map(repr, connection.execute(statement))) for name, statement in asked.items()}


def is_found(audit: Callable[[], object]) -> bool:
    try:
        audit()
    except VerificationError as error:
        assert error.place and error.cure, str(error)
        return True
    return False


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("name", ["ledger.db", "projections.db"])
def test_a_bit_flipped_anywhere_in_a_file_is_found_unless_nothing_is_kept_there(
    ledger: Ledger, tmp_path: Path, name: str, part: int
) -> None:
    copy = ledger.copy(tmp_path / "data")
    path = copy.folder / name
    clean, kept = path.read_bytes(), all_that_is_kept(path)
    audit = copy.audit_log if name == "ledger.db" else copy.audit_projections
    chance = random.Random(f"{name} {part}")
    # Most of so small a file is empty pages: half of the bits are taken where something stands.
    used = [at for at, byte in enumerate(clean) if byte]
    found = 0
    for number in range(FLIPS // 4):
        at, bit = chance.choice(used) if number % 2 else chance.randrange(len(clean)), chance.randrange(8)
        damaged = bytearray(clean)
        damaged[at] ^= 1 << bit
        for side in ("-wal", "-shm"):
            path.with_name(name + side).unlink(missing_ok=True)
        path.write_bytes(damaged)
        if is_found(audit):
            found += 1
        else:
            assert all_that_is_kept(path) == kept, f"bit {bit} of byte {at}"
        assert path.read_bytes() == damaged
    assert found > FLIPS // 4 // 3


@pytest.mark.parametrize("name", ["ledger.db", "projections.db"])
@pytest.mark.parametrize("pages", [0, 1, 5])
def test_a_file_that_was_cut_short_is_found(ledger: Ledger, tmp_path: Path, name: str, pages: int) -> None:
    copy = ledger.copy(tmp_path / "data")
    path = copy.folder / name
    path.write_bytes(path.read_bytes()[: pages * 4_096 + 100])
    assert is_found(copy.audit)
