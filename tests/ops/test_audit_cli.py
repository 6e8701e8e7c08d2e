"""`pith audit` as a process: what it prints, how it ends, and what it leaves behind."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.ops.homes import a_line, as_lines
from tests.processes import Pith


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Pith:
    """A registry of four papers under a checkpoint, with a fifth past it."""
    folder = tmp_path_factory.mktemp("audit")
    pith = Pith.at(folder / "data")
    pith.fine("init", "audited.registry")
    for name, numbers in (("first", range(4)), ("second", range(4, 5))):
        papers = folder / f"{name}.jsonl"
        papers.write_bytes(as_lines(map(a_line, numbers)))
        pith.fine("import", papers)
        if name == "first":
            pith.fine("checkpoint")
    return pith


@pytest.fixture
def pith(made: Pith, tmp_path: Path) -> Pith:
    shutil.copytree(made.data, tmp_path / "data")
    return Pith.at(tmp_path / "data")


def change(pith: Pith, name: str, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(pith.data / name)) as connection, connection:
        for (guard,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            if guard == "events_update":
                ((sql,),) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (guard,)).fetchall()
                connection.execute(f"DROP TRIGGER {guard}")
        connection.execute(statement, values)
        if name == "ledger.db":
            connection.execute(sql)


def test_a_clean_ledger_ends_with_status_0_and_a_line_for_each_check(made: Pith) -> None:
    result = made.fine("audit")
    lines = result.out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        *(f"ok  {step}" for step in ("database", "entries", "root", "texts", "tree", "head", "checkpoints")),
        "--  open",
        "ok  projections",
    ]
    assert "entries: 100 %" in result.err


def test_json_states_what_was_audited(made: Pith) -> None:
    found = made.fine("audit", "--json").json
    size = found["size"]
    assert (found["audited"], found["registry"], found["projected"]) == (True, "audited.registry", size)
    assert (found["checkpoints"], found["newest_checkpoint"], found["published"]) == (1, size - 1, size - 1)
    assert found["state_digest"] == made.fine("replay", "--json").json["state_digest"]
    assert len(found["checks"]) == 9


def test_the_root_can_be_pinned(made: Pith) -> None:
    root = made.fine("audit", "--json").json["root"]
    assert "by its own word" not in made.fine("audit", "--root", root).out
    assert made("audit", "--root", "sha256:" + "0" * 64).code == 1


def test_a_flipped_byte_ends_with_status_1_its_place_and_what_to_do(pith: Pith) -> None:
    with closing(sqlite3.connect(pith.data / "ledger.db")) as connection:
        ((event,),) = connection.execute("SELECT event FROM events WHERE position = 6").fetchall()
    at = event.index(b'"signature_b64":"') + 20
    flipped = event[:at] + bytes([event[at] ^ 1]) + event[at + 1 :]
    change(pith, "ledger.db", "UPDATE events SET event = ? WHERE position = 6", flipped)
    result = pith("audit")
    assert result.code == 1 and not result.crashed
    assert result.out.startswith("ok  database: ")
    (message,) = [line for line in result.err.splitlines() if "%" not in line]
    assert message.startswith("verification: ") and "position 6" in message and "stop writing" in message


def test_json_names_the_step_that_failed(pith: Pith) -> None:
    change(pith, "projections.db", "UPDATE aliases SET alias_value = 'https://example.org/else' WHERE id = 1")
    result = pith("audit", "--json")
    assert (result.code, result.out) == (1, "")
    error = json.loads(result.err.splitlines()[-1])
    assert (error["error"], error["step"]) == ("verification", "projections")
    assert error["place"].startswith("aliases, suffix ") and "pith rebuild" in error["cure"]


def test_what_the_cure_says_cures_projections(pith: Pith) -> None:
    change(pith, "projections.db", "UPDATE records SET document = x'00' WHERE id = 1")
    assert pith("audit").code == 1
    for path in pith.data.glob("projections.db*"):
        path.unlink()
    pith.fine("rebuild")
    pith.fine("audit")


def test_a_folder_without_a_ledger_ends_with_status_2(tmp_path: Path) -> None:
    result = Pith.at(tmp_path / "none")("audit")
    assert result.code == 2 and "there is no ledger" in result.err
    assert not (tmp_path / "none").exists()
