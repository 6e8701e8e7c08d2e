"""Whether a file of projections is of this release: its tables as the code has them, filled by the same folds.

SQLite keeps a number for whoever makes a file (`PRAGMA user_version`); here it is taken from the words that make the
tables, so that no change of them can go unnoticed. What has another number is thrown away and built anew.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Final

from sqlalchemy import text
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from ledger.database import Database
from projections.projectors import PROJECTORS
from projections.tables import SEARCH_INDEX, ProjectionTable

FOLDS: Final = 1
"""To be raised with a change by which the same log gives other rows in the same tables."""


@cache
def layout() -> int:
    """Return the number of this release's projections, from 1 to 2^31 - 1."""
    dialect = sqlite.dialect()
    words = [f"folds {FOLDS}", *sorted(PROJECTORS), *SEARCH_INDEX]
    for table in ProjectionTable.metadata.sorted_tables:
        indices = sorted(table.indexes, key=lambda index: str(index.name))
        words += [str(CreateTable(table).compile(dialect=dialect))]
        words += [str(CreateIndex(index).compile(dialect=dialect)) for index in indices]
    digest = hashlib.sha256("\n".join(words).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1 or 1


def is_current(database: Database) -> bool:
    """Say whether projections are of this release; raises StoreError where that cannot be read."""
    with database.read() as connection:
        return connection.execute(text("PRAGMA user_version")).scalar() == layout()


def note_layout(database: Database) -> None:
    """Note that projections which were just made are of this release; raises StoreError."""
    with database.write() as connection:
        connection.execute(text(f"PRAGMA user_version = {layout()}"))
