# mypy: ignore-errors
"""pymerkle: its tree in SQLite and its tree in memory, appended to and proved from.

Settings: `folder`, `events`, `filled`, `tree` ("sqlite" or "memory").
"""

from __future__ import annotations

import os
import time
from importlib.metadata import version
from typing import Any

import pymerkle
from answering import Outcome, Pipe, Supply, read_events, timed

BULK = 1_000


def main() -> None:
    pipe = Pipe()
    filled, in_file = pipe.settings["filled"], pipe.settings["tree"] == "sqlite"
    entries = Supply(read_events(pipe.settings["events"], 20_000))

    def tree(name: str) -> Any:
        if in_file:
            return pymerkle.SqliteTree(os.path.join(pipe.settings["folder"], f"{name}.db"))
        return pymerkle.InmemoryTree(algorithm="sha256")

    growing, full = tree("growing"), tree("full")
    for _ in range(0, filled, BULK):
        full.append_entries(entries.take(BULK))
    size = full.get_size()
    proof, root = full.prove_inclusion(size // 2), full.get_root()
    base = full.get_leaf(size // 2)

    def one(count: int) -> Outcome:
        taken = entries.take(count)
        started = time.perf_counter()
        for entry in taken:
            growing.append_entry(entry)
        return count, time.perf_counter() - started

    def bulk(count: int) -> Outcome:
        parts = [entries.take(BULK) for _ in range(-(-count // BULK))]
        return timed(lambda: sum(len(growing.append_entries(part) and part) for part in parts))

    def prove(count: int) -> Outcome:
        started = time.perf_counter()
        for at in range(count):
            full.prove_inclusion(at * 7_919 % size + 1, size)
        return count, time.perf_counter() - started

    def verify(count: int) -> Outcome:
        started = time.perf_counter()
        for _ in range(count):
            pymerkle.verify_inclusion(base, root, proof)
        return count, time.perf_counter() - started

    cases = {"append one": one, "append bulk": bulk, "prove": prove, "verify proof": verify}
    pipe.answer(f"pymerkle {version('pymerkle')}", cases)


if __name__ == "__main__":
    main()
