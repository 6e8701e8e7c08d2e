"""The audit of a log, one flipped bit at a time: in each column of each kind of row it is found, its place named."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from ledger.tables import GUARDS, LogTable
from ledger.tree import place_of
from tests.ops.audited import Ledger, a_ledger, refusal

SIGNATURE: Final = b'"signature_b64":"'
ID: Final = b'"event_id":"sha256:'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return a_ledger(tmp_path_factory.mktemp("audit") / "data", crowd=300)


@pytest.fixture
def ledger(made: Ledger, tmp_path: Path) -> Ledger:
    return made.copy(tmp_path / "data")


@dataclass(frozen=True, slots=True)
class Flip:
    """One bit of one cell, and what an audit must say of it.

    `at` counts bits of an integer, else bytes (characters); a word means the byte right behind it.
    """

    table: str
    column: str
    where: str
    at: int | bytes
    found: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column} at {self.at!r} where {self.where}"

    def of(self, value: Any) -> Any:
        if isinstance(value, int):
            assert isinstance(self.at, int)
            return value ^ 1 << self.at
        raw = bytearray(value.encode() if isinstance(value, str) else value)
        raw[self.at if isinstance(self.at, int) else raw.index(self.at) + len(self.at)] ^= 1
        return raw.decode() if isinstance(value, str) else bytes(raw)


def events(column: str, *places: int | bytes) -> list[Flip]:
    """Flip a column of the first event, one with private texts, one of a crowd and the last, at several places."""
    return [
        Flip("events", column, f"position = {position}", at, rf"position {position}\b")
        for position in (0, 17, 150, 335)
        for at in places
    ]


CHECKPOINT: Final = "checkpoint of 332 entries"
COSIGNED: Final = "size = 31 AND verifier LIKE 'witness.example/two%'"
COSIGNATURE: Final = r"checkpoint of 31 entries, cosignature by .*itness"
FULL, PARTIAL, ABOVE = "level = 0 AND number = 0", "level = 0 AND number = 1", "level = 1"

FLIPS: Final = [
    *events("event", 0, 1, -2, ID, SIGNATURE, b'"nonce":"', b'"payload":{"', b'"created_at":"', b'"key_id":"'),
    *events("event_key", 0, 40),
    *events("subject_key", 0, 62),
    *events("event_type", 0, -1),
    *events("event_id", 0, 31),
    Flip("events", "position", "position = 100", 9, r"position 100\b"),
    Flip("events", "position", "position = 335", 4, r"position 335\b"),
    # Whether time still grows decides if the entry itself or the one behind it is the first that cannot be.
    *(
        Flip("events", "received_at", f"position = {at}", bit, rf"position ({at}|{at + 1})\b")
        for at in (0, 17, 150, 335)
        for bit in (0, 1, 30, 50)
    ),
    Flip("log_head", "id", "id = 1", 1, r"log_head.id"),
    Flip("log_head", "registry_name", "id = 1", 0, r"log_head.registry_name"),
    *(Flip("log_head", "size", "id = 1", bit, r"log_head.size") for bit in (0, 1, 62)),
    *(Flip("log_head", "received_at", "id = 1", bit, r"log_head.received_at") for bit in (0, 40)),
    *(Flip("log_head", "frontier", "id = 1", at, r"log_head.frontier") for at in (0, 7, 8, -1)),
    *(Flip("tiles", "nodes", FULL, place_of(0, at), rf"position {at}\b.* tile 0/0") for at in (0, 1, 17, 254, 255)),
    *(
        Flip("tiles", "nodes", FULL, place_of(level, at) + 31, r"tile 0 of level 0")
        for level, at in ((1, 0), (1, 127), (4, 9), (7, 0), (7, 1))
    ),
    *(Flip("tiles", "nodes", PARTIAL, place_of(0, at), rf"position {256 + at}\b.* tile 0/1") for at in (0, 79)),
    *(Flip("tiles", "nodes", PARTIAL, place_of(level, 0), r"tile 1 of level 0") for level in (1, 6)),
    Flip("tiles", "nodes", ABOVE, 5, r"tile 0 of level 1"),
    Flip("tiles", "level", FULL, 1, r"tile 0 of level 0"),
    Flip("tiles", "level", ABOVE, 1, r"tile 0 of level 1"),
    Flip("tiles", "number", FULL, 3, r"tile 0 of level 0"),
    Flip("tiles", "number", PARTIAL, 5, r"tile 1 of level 0"),
    *(
        Flip("checkpoints", "note", "size = 332", at, CHECKPOINT)
        for at in (0, 5, b"log\n", b"332\n", b"\n\n", b"\n\n\xe2\x80\x94 ", -3, -1)
    ),
    *(Flip("checkpoints", "root", f"size = {size}", 9, f"checkpoint of {size} entries") for size in (12, 31, 332)),
    *(Flip("checkpoints", "size", "size = 332", bit, rf"checkpoint of {332 ^ 1 << bit} entries") for bit in (0, 8, 40)),
    *(Flip("checkpoints", "signed_at", "size = 332", bit, CHECKPOINT) for bit in (50, 51, 62)),
    *(Flip("checkpoints", "signed_at", "size = 12", bit, r"checkpoint of (12|31) entries") for bit in (40, 50)),
    *(Flip("cosignatures", "line", COSIGNED, at, COSIGNATURE) for at in (0, 2, b"two ", -30, -3, -1)),
    *(Flip("cosignatures", "verifier", COSIGNED, at, COSIGNATURE) for at in (0, b"two+", b"+B", -1)),
    Flip("cosignatures", "size", COSIGNED, 5, r"cosignatures, size 63"),
    Flip("publications", "size", "size = 31", 2, r"publications, size 27"),
    *(
        Flip("disclosures", column, f"position = {position}", at, rf"position {position}, disclosures\.")
        for column, at in (("salt", 0), ("salt", -1), ("text", 0), ("text", -1), ("path", 1))
        for position in (8, 17, 20, 27)
    ),
    Flip("disclosures", "position", "position = 17", 2, r"position 21, disclosures.statement"),
    Flip("disclosures", "position", "position = 17", 40, r"position 1099511627793, disclosures.statement"),
]

UNSEEN: Final = {("disclosures", "id"), ("log_head", "log_label")}
"""A number that tells rows apart, to which nothing refers; and what is empty, so that no bit of it can be flipped."""


@pytest.mark.parametrize("flip", FLIPS, ids=str)
def test_a_flipped_bit_is_found_and_its_place_named(ledger: Ledger, flip: Flip) -> None:
    (row,) = ledger.ask(f"SELECT {flip.column} FROM {flip.table} WHERE {flip.where}")
    ledger.change_log(f"UPDATE {flip.table} SET {flip.column} = ? WHERE {flip.where}", flip.of(row[0]))
    error = refusal(ledger.audit_log)
    assert re.search(flip.found, str(error)), str(error)


def test_every_column_of_the_log_is_flipped_by_some_test() -> None:
    flipped = {(flip.table, flip.column) for flip in FLIPS}
    columns = {(table.name, column.name) for table in LogTable.metadata.sorted_tables for column in table.c}
    assert columns - flipped == UNSEEN


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM events WHERE position = 0", r"begin at position 1"),
        ("DELETE FROM events WHERE position = 17", r"missing \(at position 17\)"),
        ("DELETE FROM events WHERE position = 335", r"size is 336, the entries give 335 \(at log_head.size\)"),
        ("DELETE FROM log_head", r"this has 0 \(at log_head\)"),
        ("UPDATE log_head SET log_label = '2027'", r"the record was made for test.registry/log"),
        ("DELETE FROM tiles WHERE level = 0 AND number = 0", r"tile 0 of level 0"),
        ("DELETE FROM tiles WHERE level = 0 AND number = 1", r"tile 1 of level 0"),
        ("DELETE FROM tiles WHERE level = 1", r"tile 0 of level 1"),
        ("DELETE FROM checkpoints WHERE size = 31", r"(cosignatures|publications), size 31"),
        ("DELETE FROM checkpoints WHERE size = 12", r"(cosignatures|publications), size 12"),
        (
            "INSERT INTO log_head SELECT 2, registry_name, log_label, size, received_at, frontier FROM log_head",
            r"this has 2",
        ),
        ("INSERT INTO tiles SELECT level, 2, nodes FROM tiles WHERE level = 1", r"tile 2 of level 1"),
        ("INSERT INTO tiles SELECT 2, number, nodes FROM tiles WHERE level = 1", r"tile 0 of level 2"),
        ("INSERT INTO tiles SELECT 0, -1, nodes FROM tiles WHERE level = 1", r"tile -1 of level 0"),
        ("UPDATE tiles SET nodes = CAST(nodes || nodes AS BLOB) WHERE level = 1", r"tile 0 of level 1"),
        ("UPDATE tiles SET nodes = substr(nodes, 1, 8192) WHERE number = 0 AND level = 0", r"tile 0/0"),
        ("INSERT INTO checkpoints SELECT 400, root, note, signed_at FROM checkpoints LIMIT 1", r"of 400 entries"),
        ("INSERT INTO checkpoints SELECT 0, root, note, signed_at FROM checkpoints LIMIT 1", r"of 0 entries"),
        ("INSERT INTO checkpoints SELECT 20, root, note, signed_at FROM checkpoints LIMIT 1", r"of 20 entries"),
        ("INSERT INTO cosignatures SELECT 332, verifier, line FROM cosignatures LIMIT 1", r"of 332 entries, cosig"),
        ("INSERT INTO cosignatures SELECT 333, verifier, line FROM cosignatures LIMIT 1", r"cosignatures, size 333"),
        ("INSERT INTO publications VALUES (333)", r"publications, size 333"),
        (
            "INSERT INTO disclosures SELECT 90, 17, 'quote', salt, text FROM disclosures LIMIT 1",
            r"position 17, .*quote",
        ),
        ("INSERT INTO disclosures SELECT 90, 2, path, salt, text FROM disclosures LIMIT 1", r"position 2, "),
        ("INSERT INTO disclosures SELECT 90, 336, path, salt, text FROM disclosures LIMIT 1", r"position 336, "),
        ("INSERT INTO disclosures SELECT 90, -1, path, salt, text FROM disclosures LIMIT 1", r"position -1, "),
        (
            "INSERT INTO events SELECT 336, received_at, event_key, subject_key, event_type, event_id, event"
            " FROM events WHERE position = 335",
            r"positions 335 and 336 hold the same event",
        ),
        (
            "INSERT INTO events SELECT -1, received_at, 5, subject_key, event_type, event_id, event"
            " FROM events WHERE position = 0",
            r"begin at position -1",
        ),
    ],
)
def test_a_row_that_is_gone_or_too_much_is_named(ledger: Ledger, statement: str, found: str) -> None:
    ledger.change_log(statement)
    assert re.search(found, str(refusal(ledger.audit_log)))


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE events SET event = CAST(event AS TEXT) WHERE position = 5", r"events, position 5"),
        ("UPDATE events SET received_at = received_at + 0.5 WHERE position = 5", r"events, position 5"),
        ("UPDATE events SET event_type = CAST(event_type AS BLOB) WHERE position = 5", r"events, position 5"),
        ("UPDATE tiles SET nodes = CAST(nodes AS TEXT) WHERE level = 1", r"tiles, level 1, number 0"),
        ("UPDATE checkpoints SET signed_at = 'yesterday' WHERE size = 31", r"checkpoints, size 31"),
        ("UPDATE log_head SET frontier = 'none'", r"log_head, id 1"),
        ("UPDATE disclosures SET text = x'00' WHERE position = 17", r"disclosures, id 3"),
    ],
)
def test_a_cell_of_another_kind_is_named(ledger: Ledger, statement: str, found: str) -> None:
    ledger.change_log(statement)
    error = refusal(ledger.audit_log)
    assert (error.step, error.message) == ("database", "a cell is not of its column's kind")
    assert error.place.startswith(found)


def test_a_time_before_the_epoch_is_named(ledger: Ledger) -> None:
    ledger.change_log("UPDATE events SET received_at = -1 WHERE position = 0")
    assert refusal(ledger.audit_log).step == "time"


# The schema.


def alter(ledger: Ledger, *statements: str) -> None:
    with closing(sqlite3.connect(ledger.settings.ledger_path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


GUARD_NAMES: Final = [re.findall(r"EXISTS (\w+) BEFORE", guard)[0] for guard in GUARDS]


@pytest.mark.parametrize("name", GUARD_NAMES)
def test_a_dropped_guard_is_named(ledger: Ledger, name: str) -> None:
    alter(ledger, f"DROP TRIGGER {name}")
    error = refusal(ledger.audit_log)
    assert (error.step, error.message) == ("database", f"the trigger {name} is missing")


@pytest.mark.parametrize("name", GUARD_NAMES)
def test_a_guard_that_was_changed_is_named(ledger: Ledger, name: str) -> None:
    ((sql,),) = ledger.ask("SELECT sql FROM sqlite_master WHERE name = ?", name)
    alter(
        ledger, f"DROP TRIGGER {name}", sql.replace("RAISE(ABORT,", "RAISE(IGNORE) --").replace("'); END", "'\n; END")
    )
    assert refusal(ledger.audit_log).message == f"the trigger {name} is not as it was made"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DROP INDEX ix_events_subject", "the index ix_events_subject is missing"),
        ("DROP TABLE publications", "the table publications is missing|the trigger publications_delete is missing"),
        ("CREATE TABLE more (x)", "the table more does not belong here"),
        ("CREATE VIEW more AS SELECT 1", "the view more does not belong here"),
        ("CREATE INDEX more ON events (event)", "the index more does not belong here"),
        ("CREATE TRIGGER more AFTER INSERT ON events BEGIN DELETE FROM disclosures; END", "the trigger more does not"),
        ("ALTER TABLE disclosures ADD COLUMN more", "the table disclosures is not as it was made"),
    ],
)
def test_a_changed_schema_is_named(ledger: Ledger, statement: str, found: str) -> None:
    alter(ledger, statement)
    error = refusal(ledger.audit_log)
    assert error.step == "database" and re.search(found, error.message)
