"""Databases that several processes make, open and read at the same moment."""

from __future__ import annotations

import multiprocessing
import sqlite3
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from sqlalchemy import Engine, Table, select

from ledger.database import open_sqlite
from ledger.errors import StoreError
from ledger.store import create_log
from ledger.tables import DISCLOSURES, HEAD

PROCESSES = 4
ROUNDS = 100


def open_all(folder: Path, gate: Barrier) -> None:
    """Open each new database at the same moment as the other processes; one of them makes the log in it."""
    for number in range(ROUNDS):
        gate.wait()
        database = open_sqlite(folder / f"{number}.db")
        with database.read() as connection:
            connection.exec_driver_sql("PRAGMA schema_version")
        if gate.wait() == 0:
            create_log(database, "test.registry")
        gate.wait()
        with database.read() as connection:
            assert connection.execute(select(HEAD.c.size)).scalar_one() == 0
        database.close()


def test_processes_that_make_one_database_at_the_same_moment_wait_for_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(PROCESSES, timeout=60)
    processes = [context.Process(target=open_all, args=(tmp_path, gate)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * PROCESSES


def test_a_database_is_its_owners_alone(tmp_path: Path) -> None:
    open_sqlite(tmp_path / "log.db").close()
    assert oct((tmp_path / "log.db").stat().st_mode & 0o777) == "0o600"


def test_who_redacted_hears_that_the_deletion_stands_where_erasing_fails(tmp_path: Path) -> None:
    def full(_engine: Engine, _table: Table) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    database = replace(open_sqlite(tmp_path / "log.db"), erase=full)
    with pytest.raises(StoreError, match=r"gone from the tables.*disk is full"):
        database.erase_deleted(DISCLOSURES)
    database.close()
