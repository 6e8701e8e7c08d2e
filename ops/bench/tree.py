"""What the Merkle tree costs: a proof against its tile reads and hashes, and its share of a bulk append.

Run as `python -m ops.bench.tree` (or `make bench`); nothing else should run meanwhile.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from ledger.appending import Appended, Submission
from ledger.database import Database, open_sqlite
from ledger.events import Entry, parse_own
from ledger.merkle import Frontier, inclusion_proof, leaf_hash, tree_root, verify_inclusion
from ledger.rows import head_of, insert_events, move_head
from ledger.store import create_log
from ledger.tiles import HEIGHT, WIDTH
from ledger.tree import grow, node_reader, stored_nodes
from ops.bench.sides import side_by_side, table
from ops.home import Home, collect_rarely, create_home
from ops.importers import files
from ops.importers.prepare import prepare
from ops.settings import Settings

LEAVES: Final = 1_000_000
PROOFS: Final = 4_000
GROWTH: Final = 10_000
"""How many leaves one transaction adds while the big tree is made."""


def main() -> None:
    """Measure everything and print it."""
    collect_rarely()
    with tempfile.TemporaryDirectory(prefix="pith-bench-") as folder:
        sys.stdout.write(proofs(Path(folder) / "tree.db") + "\n\n")
        sys.stdout.write(appends(Path(folder)) + "\n")


# --- proofs --------------------------------------------------------------------------------


def proofs(path: Path) -> str:
    """Compare making and checking inclusion proofs in a tree of a million leaves with what they are made of."""
    database = open_sqlite(path, durable=False)
    create_log(database, "bench.registry")
    for start in range(0, LEAVES, GROWTH):
        leaves = [leaf(at) for at in range(start, start + GROWTH)]
        with database.write() as connection:
            grow_alone(connection, leaves)
    chance = random.Random(LEAVES)
    positions = [chance.randrange(LEAVES) for _ in range(PROOFS)]
    with database.read() as connection:
        root = tree_root(LEAVES, node_reader(connection))
        needed = [tiles_of(connection, position) for position in positions]

        def read_tiles(number: int) -> None:
            for level, tile in needed[number]:
                stored_nodes(connection, level, tile)

        def prove(number: int) -> None:
            inclusion_proof(positions[number], LEAVES, node_reader(connection))

        made = side_by_side({"tiles": read_tiles, "proof": prove}, PROOFS)
        paths = [inclusion_proof(position, LEAVES, node_reader(connection)) for position in positions]
    database.close()
    hashes = [leaf(position) for position in positions]

    def hash_only(number: int) -> None:
        found = hashes[number]
        for sibling in paths[number]:
            found = sha256(b"\1" + found + sibling).digest()

    def check(number: int) -> None:
        verify_inclusion(hashes[number], positions[number], LEAVES, paths[number], root)

    checked = side_by_side({"hashes": hash_only, "verify": check}, PROOFS)
    reads = sum(map(len, needed)) / PROOFS
    return table(
        f"inclusion proofs in a tree of {LEAVES:,} leaves (median of {PROOFS:,})",
        [
            (f"bare reads of its tiles ({reads:.1f} on average)", f"{made['tiles'] * 1e6:8.1f} µs"),
            ("making the proof", f"{made['proof'] * 1e6:8.1f} µs, {made['proof'] / made['tiles']:.2f} times"),
            (f"bare SHA-256 calls ({len(paths[0])})", f"{checked['hashes'] * 1e6:8.1f} µs"),
            (
                "verifying the proof",
                f"{checked['verify'] * 1e6:8.1f} µs, {checked['verify'] / checked['hashes']:.2f} times",
            ),
        ],
    )


def leaf(at: int) -> bytes:
    return leaf_hash(at.to_bytes(8, "big"))


def grow_alone(connection: Connection, leaves: Sequence[bytes]) -> Frontier:
    """Grow a tree that has no entries behind it; the head keeps its frontier."""
    frontier = grow(connection, leaves)
    connection.exec_driver_sql("UPDATE log_head SET size = ?, frontier = ?", (frontier.size, frontier.to_bytes()))
    return frontier


def tiles_of(connection: Connection, position: int) -> list[tuple[int, int]]:
    """Return the tiles that a proof for a position reads, each once, as (level, number)."""
    read: dict[tuple[int, int], None] = {}
    node = node_reader(connection)

    def noted(level: int, index: int) -> bytes:
        tile_level, inside = divmod(level, HEIGHT)
        read[tile_level, index // (WIDTH >> inside)] = None
        return node(level, index)

    inclusion_proof(position, LEAVES, noted)
    return list(read)


# --- appends -------------------------------------------------------------------------------

BATCH: Final = 300
"""As many as an import appends in one transaction."""

BATCHES: Final = 40
ABSTRACT: Final = "What is said in this paper is said at the usual length of an abstract. " * 14


def appends(folder: Path) -> str:
    """Compare bulk appends with what they would cost if there were no tree: the same rows without it."""
    home = create_home(Settings(folder / "home", "http://127.0.0.1:8080"), "bench.registry")
    batches = [_submissions(home, folder, number) for number in range(BATCHES)]
    with_tree, without = (_scratch(folder / f"{name}.db") for name in ("with", "without"))
    start = home.store.head().size
    entries = [
        [Entry(at, number, submission.event) for at, submission in enumerate(batch, start=number * BATCH)]
        for number, batch in enumerate(batches)
    ]

    def append(number: int) -> None:
        refused = [found for found in home.store.append(batches[number], home.clock) if not isinstance(found, Appended)]
        assert not refused, refused[0]

    def rows_and_tree(number: int) -> None:
        with with_tree.write() as connection:
            insert_events(connection, entries[number])
            leaves = [leaf_hash(entry.leaf()) for entry in entries[number]]
            move_head(connection, head_of(connection), entries[number], grow(connection, leaves))

    def rows_only(number: int) -> None:
        with without.write() as connection:
            insert_events(connection, entries[number])
            connection.exec_driver_sql("UPDATE log_head SET size = ?", ((number + 1) * BATCH,))

    taken = side_by_side({"append": append, "with": rows_and_tree, "without": rows_only}, BATCHES)
    assert home.store.head().size == start + BATCH * BATCHES
    home.close()
    with_tree.close()
    without.close()
    tree = taken["with"] - taken["without"]
    treeless = taken["append"] - tree
    return table(
        f"bulk appends, {BATCH} events a transaction, judged and durable (median of {BATCHES})",
        [
            ("append with the tree", f"{taken['append'] / BATCH * 1e6:8.1f} µs an event"),
            ("append without it", f"{treeless / BATCH * 1e6:8.1f} µs an event"),
            ("the tree adds", f"{tree / BATCH * 1e6:8.1f} µs an event, {tree / treeless:.1%}"),
        ],
    )


def _scratch(path: Path) -> Database:
    database = open_sqlite(path)
    create_log(database, "bench.registry")
    return database


def _submissions(home: Home, folder: Path, number: int) -> list[Submission]:
    """Sign the records of a batch of papers, as an import does."""
    path = folder / "papers.jsonl"
    with path.open("w") as file:
        for at in range(number * BATCH, (number + 1) * BATCH):
            paper = {"source": "url", "id": f"https://example.org/{at}", "title": f"Paper {at}", "abstract": ABSTRACT}
            file.write(json.dumps({**paper, "date": "2020-02-29", "authors": [{"name": "A. Author"}]}) + "\n")
    prepared = prepare(home, list(files.sources(path)))
    return [Submission(parse_own(raw), verified=True) for found in prepared for raw in found.events]


if __name__ == "__main__":
    main()
