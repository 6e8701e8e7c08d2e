"""The audit of projections, one flipped bit at a time: every cell that can be read is one that the log gives."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from projections.projectors import PROJECTORS
from projections.tables import ProjectionTable
from tests.builders import NUMBER
from tests.ops.audited import LONG_NUMBER, Ledger, a_ledger, refusal

SUFFIX: Final = NUMBER[10:]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return a_ledger(tmp_path_factory.mktemp("audit") / "data")


@pytest.fixture
def ledger(made: Ledger, tmp_path: Path) -> Ledger:
    return made.copy(tmp_path / "data")


@dataclass(frozen=True, slots=True)
class Flip:
    """One bit of one cell, and what an audit must say of it; `at` counts bits of an integer, else bytes."""

    table: str
    column: str
    where: str
    at: int
    found: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column} at {self.at} where {self.where}"

    def of(self, value: Any) -> Any:
        if isinstance(value, int):
            return value ^ 1 << self.at
        raw = bytearray(value.encode() if isinstance(value, str) else value)
        raw[self.at] ^= 1
        return raw.decode() if isinstance(value, str) else bytes(raw)


def rows(table: str, *columns: str) -> list[Flip]:
    """Flip text columns of a paper's row in a table at both ends."""
    one = f"id = (SELECT max(id) FROM {table} WHERE suffix = '{SUFFIX}')"
    return [Flip(table, column, one, at, rf"{table}, suffix {SUFFIX}") for column in columns for at in (0, -1)]


def numbers(table: str, *columns: str) -> list[Flip]:
    one = f"id = (SELECT max(id) FROM {table} WHERE suffix = '{SUFFIX}')"
    return [Flip(table, column, one, at, rf"{table}, suffix {SUFFIX}") for column in columns for at in (0, 33)]


def misplaced(table: str) -> list[Flip]:
    """Flip the suffix of a row: it is gone where it was, and is where none should be."""
    one = f"id = (SELECT max(id) FROM {table} WHERE suffix = '{SUFFIX}')"
    return [Flip(table, "suffix", one, at, rf"{table}, suffix [A-Z0-9@]+") for at in (0, -1)]


TABLES: Final = ("records", "record_signers", "aliases", "citations", "moderation", "search_rows")
TEXT: Final = f"rowid = (SELECT id FROM search_rows WHERE suffix = '{LONG_NUMBER[10:]}')"

FLIPS: Final = [
    *rows("records", "subject", "source_kind", "source_id", "document"),
    *(
        Flip("records", "document", f"suffix = '{SUFFIX}'", at, rf"document differs .* at byte {at} ")
        for at in (9, 999)
    ),
    *numbers("records", "generation", "position", "version"),
    *rows("record_signers", "subject", "key_id"),
    *numbers("record_signers", "generation"),
    *rows("aliases", "alias_kind", "alias_value"),
    *numbers("aliases", "generation"),
    *rows("citations", "citing", "relationship", "event_id", "status"),
    *numbers("citations", "generation", "position"),
    *rows("moderation", "subject", "event_id", "event_type", "target", "status", "signer"),
    *numbers("moderation", "generation", "position", "received_at"),
    *numbers("search_rows", "generation"),
    *(flip for table in TABLES for flip in misplaced(table)),
    Flip("search_rows", "id", "suffix = (SELECT max(suffix) FROM search_rows)", 7, r"search_text, \d+"),
    Flip("cursors", "projection", "projection = 'aliases'", 2, r"no such projection \(at cursors, alhases"),
    Flip("cursors", "generation", "projection = 'citations'", 3, r"citations, suffix"),
    Flip("cursors", "generation", "projection = 'records'", 0, r"records, suffix"),
    *(Flip("cursors", "cursor", f"projection = '{name}'", 2, r"different positions") for name in PROJECTORS),
    Flip("cursors", "cursor", "projection = 'search'", 20, r"cursors, search generation"),
    Flip("cursors", "active", "projection = 'search'", 0, r"0 generations of search are active"),
    Flip("cursors", "active", "projection = 'search'", 1, r"not of its column's kind \(at cursors, projection search"),
    Flip("projected_log", "id", "id = 1", 1, r"projected_log"),
    *(Flip("projected_log", "root", "id = 1", at, r"projected_log") for at in (0, 31)),
    *(
        Flip("search_text", column, TEXT, at, rf"{column} is .* \(at search_rows, suffix {LONG_NUMBER[10:]}")
        for column in ("title", "authors", "abstract")
        for at in (0, -1)
    ),
    *(Flip("search_text_content", f"c{at}", TEXT, 4, r"search_text") for at in range(3)),
    Flip("search_text_content", "id", "id = 1", 5, r"search_text"),
    Flip("search_text_docsize", "sz", "id = 1", 0, r"search_text"),
    Flip("search_text_docsize", "id", "id = 1", 5, r"search_text"),
    Flip("search_text_config", "v", "k = 'version'", 0, r"projections\.db|search_text"),
    Flip("search_text_config", "k", "k = 'version'", 0, r"projections\.db|search_text"),
]

UNSEEN: Final = {(table, "id") for table in ("records", "record_signers", "aliases", "citations", "moderation")}
"""Numbers that tell rows apart; nothing refers to them, and a rebuild gives others."""

SPECIAL: Final = {("cursors", "error"), ("citations", "claim_id")}
"""Empty in this ledger: there is no bit to flip, so they are filled instead."""


@pytest.mark.parametrize("flip", FLIPS, ids=str)
def test_a_flipped_bit_is_found_and_its_place_named(ledger: Ledger, flip: Flip) -> None:
    with closing(sqlite3.connect(ledger.settings.projections_path)) as connection:
        ((value,),) = connection.execute(f"SELECT {flip.column} FROM {flip.table} WHERE {flip.where}").fetchall()
    ledger.change_projections(f"UPDATE {flip.table} SET {flip.column} = ? WHERE {flip.where}", flip.of(value))
    error = refusal(ledger.audit)
    assert re.search(flip.found, str(error)), str(error)
    assert "remove projections.db" in error.cure


def test_every_column_of_the_projections_is_flipped_by_some_test() -> None:
    flipped = {(flip.table, flip.column) for flip in FLIPS} | SPECIAL
    columns = {(table.name, column.name) for table in ProjectionTable.metadata.sorted_tables for column in table.c}
    assert columns - flipped == UNSEEN


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE citations SET claim_id = 'C1'", r"claim_id is 'C1', folding the log gives '' \(at citations, suffix"),
        ("UPDATE cursors SET error = 'no' WHERE projection = 'search'", r"it stopped: no \(at cursors, search gener"),
        ("UPDATE cursors SET active = 0", r"0 generations of records are active"),
        ("UPDATE cursors SET cursor = cursor - 1", r"\(at (citations|records), suffix"),
        ("UPDATE cursors SET cursor = -1", r"the cursor is -1"),
        ("DELETE FROM cursors WHERE projection = 'aliases'", r"0 generations of aliases are active"),
        ("INSERT INTO cursors SELECT projection, 9, cursor, active, '' FROM cursors", r"2 generations of records are"),
        ("INSERT INTO cursors VALUES ('more', 1, 36, 0, '')", r"no such projection \(at cursors, more generation 1"),
        ("DELETE FROM projected_log", r"begins with nothing, .*projected_log"),
        ("INSERT INTO projected_log SELECT 2, root FROM projected_log", r"projected_log"),
        *(
            (f"DELETE FROM {table} WHERE suffix = '{SUFFIX}'", rf"\(at {table}, suffix {SUFFIX}")
            for table in ("records", "record_signers", "aliases", "citations", "moderation")
        ),
        *(
            (
                f"INSERT INTO {table} (generation, suffix, {columns})"
                f" SELECT generation, 'A' || substr(suffix, 2), {columns} FROM {table} LIMIT 1",
                rf"the row follows from nothing in the log \(at {table}, suffix A",
            )
            for table, columns in (
                ("records", "subject, position, source_kind, source_id, version, document"),
                ("record_signers", "subject, key_id"),
                ("aliases", "alias_kind, alias_value"),
                ("citations", "citing, relationship, claim_id, event_id, position, status"),
                ("moderation", "subject, position, received_at, event_id, event_type, target, status, signer"),
            )
        ),
        (
            "INSERT INTO aliases (generation, suffix, alias_kind, alias_value) VALUES (7, 'X', 'doi', '10.1/1')",
            r"gener",
        ),
        ("DELETE FROM search_rows WHERE id = 1", r"a text belongs to no paper \(at search_text, 1"),
        ("DELETE FROM search_text WHERE rowid = 1", r"a paper has no text \(at search_text, 1"),
        ("INSERT INTO search_text (rowid, title) VALUES (99, 'more')", r"a text belongs to no paper .* 99"),
        ("INSERT INTO search_rows VALUES (99, 1, 'X')", r"a paper has no text .* 99"),
        ("INSERT INTO search_text (search_text, rank) VALUES ('automerge', 2)", r"search_text_config"),
        ("DELETE FROM search_text_content WHERE id = 1", r"search_text"),
        ("DELETE FROM search_text_docsize WHERE id = 1", r"search_text"),
        ("DELETE FROM search_text_idx", r"search_text"),
        ("DELETE FROM search_text_data WHERE id > 10", r"search_text"),
        ("UPDATE records SET document = CAST(document AS TEXT)", r"not of its column's kind \(at records, id"),
        ("UPDATE records SET version = 1.5", r"not of its column's kind \(at records, id"),
        ("DROP INDEX ix_aliases_value", r"the index ix_aliases_value is missing"),
        ("CREATE TABLE more (x)", r"the table more does not belong here"),
        ("CREATE TRIGGER more AFTER UPDATE ON cursors BEGIN DELETE FROM records; END", r"the trigger more does not"),
        ("CREATE VIEW more AS SELECT 1", r"the view more does not belong here"),
    ],
)
def test_what_is_gone_changed_or_too_much_is_named(ledger: Ledger, statement: str, found: str) -> None:
    with closing(sqlite3.connect(ledger.settings.projections_path)) as connection, connection:
        connection.execute(statement)
    assert re.search(found, str(error := refusal(ledger.audit))), str(error)


def test_projections_of_another_log_are_named(ledger: Ledger, tmp_path: Path) -> None:
    other = a_ledger(tmp_path / "other", name="other.registry")
    other.settings.projections_path.replace(ledger.settings.projections_path)
    assert "they say they are of the log that begins with" in refusal(ledger.audit).message


def test_a_rebuild_that_was_broken_off_is_no_fault(ledger: Ledger) -> None:
    ledger.change_projections("INSERT INTO cursors VALUES ('aliases', 9, 3, 0, '')")
    begun = "INSERT INTO aliases (generation, suffix, alias_kind, alias_value) VALUES (9, 'X', 'doi', '10.1000/9')"
    ledger.change_projections(begun)
    ledger.audit()
