"""Data folders as earlier releases left them, made again from what is kept of them."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from ops.settings import Settings
from tests.ops.homes import BASE_URL

RELEASES: Final = Path(__file__).parents[1] / "vectors" / "releases"
DATABASES: Final = ("ledger", "private", "jobs")


def restored(release: str, folder: Path) -> Settings:
    """Make a data folder as a release left it."""
    kept = RELEASES / release
    shutil.copytree(kept / "keys", folder / "keys")
    for path in (folder / "keys").iterdir():
        path.chmod(0o600)  # a checkout knows no such modes
    shutil.copy(kept / "signed", folder / "signed")
    for name in DATABASES:
        with closing(sqlite3.connect(folder / f"{name}.db")) as connection:
            connection.executescript((kept / f"{name}.sql").read_text())
            connection.execute("PRAGMA journal_mode=WAL")
    return Settings(folder, BASE_URL)


def schema(path: Path) -> dict[tuple[str, str], str | None]:
    """Return the words that made everything a SQLite file holds, guards included, by kind and name."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    return {(kind, name): sql for kind, name, sql in rows}


def rows(path: Path, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return sorted(connection.execute(f"SELECT * FROM {table}"))


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(";".join(statements))
