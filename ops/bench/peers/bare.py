# mypy: disable-error-code="import-not-found"
"""Limits of the machine: signatures, hashes and commits with nothing around them.

Settings: `folder` to write into, `signatures` (lines of hex: public key, signature and message of what an event
carries; an empty line after each event), `cores`.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from answering import Outcome, Pipe
from nacl import __version__ as version
from nacl.bindings import crypto_sign_open

EVENT_BYTES = 1_000
_SIGNED: list[list[tuple[bytes, bytes]]] = []
"""For each event its signatures: the signature with its message behind it, and the key."""


def load(path: str) -> None:
    event: list[tuple[bytes, bytes]] = []
    for line in Path(path).read_text().splitlines():
        if line:
            key, signature, message = (bytes.fromhex(text) for text in line.split())
            event.append((signature + message, key))
        else:
            _SIGNED.append(event)
            event = []


def verify(count: int) -> int:
    """Verify the signatures of so many events."""
    for at in range(count):
        for signed, key in _SIGNED[at % len(_SIGNED)]:
            crypto_sign_open(signed, key)
    return count


def on_one_core(count: int) -> Outcome:
    started = time.perf_counter()
    return verify(count), time.perf_counter() - started


def in_processor_time(count: int) -> Outcome:
    started = time.process_time()
    return verify(count), time.process_time() - started


def commit(connection: sqlite3.Connection, count: int) -> Outcome:
    """Commit one row at a time, each waiting for the disk."""
    raw = bytes(EVENT_BYTES)
    started = time.perf_counter()
    for _ in range(count):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO event (raw) VALUES (?)", (raw,))
        connection.execute("COMMIT")
    return count, time.perf_counter() - started


def hash_events(count: int) -> Outcome:
    raw, sha256 = bytes(EVENT_BYTES), hashlib.sha256
    started = time.perf_counter()
    for _ in range(count):
        sha256(raw).digest()
    return count, time.perf_counter() - started


def hash_paths(count: int) -> Outcome:
    """Hash as often as verifying an inclusion proof in a tree of 100,000 leaves does: 17 nodes."""
    sha256, sibling = hashlib.sha256, bytes(32)
    started = time.perf_counter()
    for _ in range(count):
        node = sibling
        for _ in range(17):
            node = sha256(b"\1" + node + sibling).digest()
    return count, time.perf_counter() - started


def main() -> None:
    pipe = Pipe()
    load(pipe.settings["signatures"])
    cores = pipe.settings["cores"]
    connection = sqlite3.connect(Path(pipe.settings["folder"]) / "bare.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE event (position INTEGER PRIMARY KEY, raw BLOB NOT NULL)")
    # Forked once the signatures are loaded, so that each process has them.
    with ProcessPoolExecutor(cores, get_context("fork")) as pool:
        list(pool.map(verify, [1] * cores))

        def on_all_cores(count: int) -> Outcome:
            started = time.perf_counter()
            done = sum(pool.map(verify, [-(-count // cores)] * cores))
            return done, time.perf_counter() - started

        pipe.answer(
            f"PyNaCl {version}, Python {sys.version.split()[0]}",
            {
                "verify on one core": on_one_core,
                "verify in processor time": in_processor_time,
                "verify on all cores": on_all_cores,
                "commit": lambda count: commit(connection, count),
                "hash events": hash_events,
                "hash paths": hash_paths,
            },
        )


if __name__ == "__main__":
    main()
