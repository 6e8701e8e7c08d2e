"""Databases: what the rest of the product asks of them, SQLite's files and PostgreSQL's schemas alike."""

from __future__ import annotations

from ledger.postgresql import open_postgresql, open_postgresql_read_only
from ledger.sqlite import open_read_only, open_sqlite
from ledger.transactions import Database, create_tables

__all__ = [
    "Database",
    "create_tables",
    "open_postgresql",
    "open_postgresql_read_only",
    "open_read_only",
    "open_sqlite",
]
