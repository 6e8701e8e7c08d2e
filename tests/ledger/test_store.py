"""The SQLite store: the contract, the guards of the database itself, damage and full disks."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger import notes
from ledger.database import Database, open_sqlite
from ledger.errors import LogCorruptedError, StoreError, UnknownKeyError
from ledger.notes import COSIGNATURE, Verifier
from ledger.store import Store, create_log
from tests import writers
from tests.builders import REGISTRY, World, contributor, key
from tests.ledger.contracts import StoreContract
from tests.logs import Log


@dataclass(frozen=True, slots=True)
class Sqlite:
    """A log in a file; `open` gives it an engine of its own."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / writers.LOG

    def open(self) -> Store:
        return Store(open_sqlite(self.path))

    def create_again(self) -> None:
        create_log(open_sqlite(self.path), REGISTRY)

    def start(self, mode: str, *arguments: int) -> subprocess.Popen[str]:
        return writers.start(mode, self.folder, *arguments)


@pytest.fixture
def backend(tmp_path: Path) -> Sqlite:
    found = Sqlite(tmp_path)
    found.create_again()
    return found


@pytest.fixture
def log(backend: Sqlite) -> Log:
    log = Log(World(), backend.open())
    log.admit(*log.world.opening(), *log.world.people(), log.world.record_created())
    return log


class TestSqliteStore(StoreContract):
    """SQLite keeps the contract."""


# After closing and opening again.


def test_what_was_appended_is_there_after_reopening(backend: Sqlite) -> None:
    database = open_sqlite(backend.path)
    log = Log(World(), Store(database))
    log.admit(*log.world.opening())
    rows = list(log.store.rows())
    database.close()
    assert list(backend.open().rows()) == rows


def test_the_same_event_after_reopening_is_the_same_entry(backend: Sqlite) -> None:
    database = open_sqlite(backend.path)
    log = Log(World(), Store(database))
    events = log.world.opening()
    first = log.admit(*events)
    database.close()
    again = Log(log.world, backend.open(), log.clock)
    assert again.admit(*events).received_at == first.received_at
    assert again.store.head().size == len(events)


def test_a_database_without_a_log_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        Store(open_sqlite(tmp_path / "empty.sqlite"))


def test_what_is_no_database_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "not a database"
    path.write_bytes(b"hello " * 1_000)
    with pytest.raises(StoreError):
        Store(open_sqlite(path))


# The database's own law.

FORBIDDEN = [
    "UPDATE events SET event = x'00' WHERE position = 0",
    "UPDATE events SET received_at = received_at + 1",
    "UPDATE events SET position = 100 WHERE position = 0",
    "UPDATE OR REPLACE events SET position = 0 WHERE position = 1",
    "DELETE FROM events",
    "DELETE FROM events WHERE position = 8",
    "INSERT OR REPLACE INTO events SELECT 0, received_at, event_key + 1, subject_key, event_type, x'00', event "
    "FROM events WHERE position = 1",
    "INSERT OR REPLACE INTO events SELECT 100, received_at, event_key, subject_key, event_type, event_id, event "
    "FROM events WHERE position = 1",
    "INSERT INTO events SELECT * FROM events WHERE position = 1 ON CONFLICT DO UPDATE SET event = x'00'",
    "UPDATE log_head SET size = size - 1",
    "UPDATE log_head SET size = 0, received_at = 0",
    "UPDATE log_head SET received_at = received_at - 1",
    "UPDATE log_head SET registry_name = 'other.registry'",
    "UPDATE log_head SET id = 2",
    "UPDATE log_head SET frontier = zeroblob(8)",
    "INSERT OR REPLACE INTO log_head (id, registry_name, size, received_at, frontier)"
    " VALUES (1, 'test.registry', 0, 0, zeroblob(8))",
    "INSERT INTO log_head (id, registry_name, size, received_at, frontier)"
    " VALUES (2, 'test.registry', 0, 0, zeroblob(8))",
    "DELETE FROM log_head",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_database_itself_refuses(log: Log, backend: Sqlite, statement: str) -> None:
    rows, head = list(log.store.rows()), log.store.head()
    connection = sqlite3.connect(backend.path, isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)
    connection.close()
    assert (list(log.store.rows()), log.store.head()) == (rows, head)


TREE_AND_CHECKPOINTS = ("tiles", "checkpoints", "cosignatures", "publications")

FORBIDDEN_ONCE_SIGNED = [
    "UPDATE tiles SET nodes = zeroblob(length(nodes))",
    "UPDATE tiles SET nodes = zeroblob(length(nodes) + 32)",
    "UPDATE tiles SET nodes = substr(nodes, 1, 32)",
    "UPDATE tiles SET nodes = nodes",
    "UPDATE tiles SET level = 1, nodes = CAST(nodes || 'more' AS BLOB)",
    "UPDATE tiles SET number = 1, nodes = CAST(nodes || 'more' AS BLOB)",
    "UPDATE OR REPLACE tiles SET nodes = x'00'",
    "DELETE FROM tiles",
    "INSERT OR REPLACE INTO tiles VALUES (0, 0, zeroblob(32))",
    "REPLACE INTO tiles SELECT level, number, CAST(nodes || 'more' AS BLOB) FROM tiles",
    "INSERT INTO tiles VALUES (0, 0, x'00') ON CONFLICT DO UPDATE SET nodes = excluded.nodes",
    "UPDATE checkpoints SET note = x'00'",
    "UPDATE checkpoints SET root = zeroblob(32)",
    "UPDATE checkpoints SET size = size + 1",
    "UPDATE checkpoints SET signed_at = signed_at + 1",
    "UPDATE OR REPLACE checkpoints SET note = x'00'",
    "DELETE FROM checkpoints",
    "INSERT OR REPLACE INTO checkpoints SELECT size, zeroblob(32), note, signed_at FROM checkpoints",
    "INSERT INTO checkpoints SELECT * FROM checkpoints WHERE true ON CONFLICT DO UPDATE SET note = x'00'",
    "INSERT INTO checkpoints SELECT size - 1, root, note, signed_at FROM checkpoints",
    "UPDATE cosignatures SET line = ''",
    "UPDATE cosignatures SET size = size + 1",
    "UPDATE cosignatures SET verifier = ''",
    "DELETE FROM cosignatures",
    "INSERT OR REPLACE INTO cosignatures SELECT size, verifier, '' FROM cosignatures",
    "INSERT INTO cosignatures SELECT * FROM cosignatures WHERE true ON CONFLICT DO UPDATE SET line = ''",
    "UPDATE publications SET size = size + 1",
    "DELETE FROM publications",
    "INSERT OR REPLACE INTO publications SELECT size FROM publications",
    "INSERT INTO publications SELECT size - 1 FROM publications",
]


@pytest.fixture
def cosigned(log: Log) -> Log:
    """A log with a tile, a published checkpoint and a witness's line under it."""
    signed = log.checkpoint()
    witness = Verifier("witness.example/w1", COSIGNATURE, key("w1").public_key)
    line = notes.cosign(notes.parse(signed.note).text, witness.name, key("w1"), 1_767_139_200)
    log.store.checkpoints.add_cosignatures(signed.size, {witness: line})
    return log


@pytest.mark.parametrize("statement", FORBIDDEN_ONCE_SIGNED)
def test_the_database_itself_keeps_the_tree_and_its_checkpoints(cosigned: Log, backend: Sqlite, statement: str) -> None:
    connection = sqlite3.connect(backend.path, isolation_level=None)
    before = [connection.execute(f"SELECT * FROM {table}").fetchall() for table in TREE_AND_CHECKPOINTS]
    assert [len(rows) for rows in before] == [1, 1, 1, 1]
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)
    after = [connection.execute(f"SELECT * FROM {table}").fetchall() for table in TREE_AND_CHECKPOINTS]
    connection.close()
    assert after == before


def test_a_private_text_may_be_deleted(log: Log, backend: Sqlite) -> None:
    connection = sqlite3.connect(backend.path, isolation_level=None)
    connection.execute("INSERT INTO disclosures (position, path, salt, text) VALUES (8, 'text', 'salt', 'private')")
    connection.execute("DELETE FROM disclosures")
    connection.close()
    assert log.store.disclosures([8]) == {}


# Damage.


@pytest.fixture
def unguarded(log: Log, backend: Sqlite) -> Iterator[sqlite3.Connection]:
    """A connection to the log's file with the guards taken away."""
    connection = sqlite3.connect(backend.path, isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    yield connection
    connection.close()


def test_a_flipped_byte_of_a_body_is_reported_with_its_position(log: Log, unguarded: sqlite3.Connection) -> None:
    raw = log.store.entry(8).event.raw
    # No hash covers the signature itself: that it still verifies is checked by an audit, not at each reading.
    signature = raw.rindex(b'"signature_b64":"') + 17
    for at in (*range(0, signature, 7), *range(signature + 88, len(raw), 7)):
        damaged = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        unguarded.execute("UPDATE events SET event = ? WHERE position = 8", (damaged,))
        with pytest.raises(LogCorruptedError, match="position 8"):
            log.store.entry(8)


def test_a_damaged_entry_is_reported_when_all_are_read(log: Log, unguarded: sqlite3.Connection) -> None:
    unguarded.execute("UPDATE events SET event = x'7b7d' WHERE position = 3")
    with pytest.raises(LogCorruptedError, match="position 3"):
        list(log.store.entries())


def test_a_damaged_key_event_stops_appending(log: Log, backend: Sqlite, unguarded: sqlite3.Connection) -> None:
    unguarded.execute("UPDATE events SET event = x'7b7d' WHERE position = 4")
    with pytest.raises(LogCorruptedError, match="position 4"):
        Log(log.world, backend.open(), log.clock).admit(log.world.author())


# A full disk.


@dataclass(frozen=True, slots=True)
class FullDisk:
    """A log whose database may not grow until `relieve` is called."""

    log: Log
    database: Database

    def limit(self, spare_pages: int) -> None:
        with self.database.write() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + spare_pages}")


@pytest.fixture
def disk(backend: Sqlite) -> FullDisk:
    database = open_sqlite(backend.path)
    log = Log(World(), Store(database))
    log.admit(*log.world.opening(), *log.world.people(), log.world.record_created())
    found = FullDisk(log, database)
    found.limit(spare_pages=4)
    return found


def test_a_full_disk_stores_nothing_of_the_batch(disk: FullDisk) -> None:
    rows, head = list(disk.log.store.rows()), disk.log.store.head()
    with pytest.raises(StoreError):
        disk.log.append(*(disk.log.world.graph_snapshot(paper_claims=["a" * 60_000]) for _ in range(5)))
    assert (list(disk.log.store.rows()), disk.log.store.head()) == (rows, head)


def test_a_full_disk_leaves_no_key_behind_in_memory(disk: FullDisk) -> None:
    carol = contributor("carol")
    big = [disk.log.world.graph_snapshot(paper_claims=["a" * 60_000]) for _ in range(5)]
    with pytest.raises(StoreError):
        disk.log.append(disk.log.world.registration(carol), *big)
    assert isinstance(disk.log.refusal(disk.log.world.author(carol)), UnknownKeyError)


def test_the_same_batch_is_taken_once_there_is_space_again(disk: FullDisk) -> None:
    size = disk.log.store.head().size
    batch = [disk.log.world.graph_snapshot(paper_claims=["a" * 60_000]) for _ in range(5)]
    with pytest.raises(StoreError):
        disk.log.append(*batch)
    disk.limit(spare_pages=1_000)
    assert disk.log.admit(*batch).position == size + 4
