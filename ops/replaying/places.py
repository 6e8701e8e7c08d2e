"""Where a log is, as plain data that goes from process to process: nothing secret is in it.

A worker opens the log by itself and only to read. The address of a PostgreSQL database is a secret: each worker takes
it from its own environment (`PITH_DATABASE_URL` or `PITH_DATABASE_URL_FILE`), on another machine that machine's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from ledger.database import Database, open_postgresql_read_only, open_read_only
from ledger.errors import UsageError
from ops.databases import schema_of
from ops.migrations.lines import LOG
from ops.settings import Settings, read_settings

CACHE_KIB: Final = 2_048
"""A worker reads the log once; what it looks up elsewhere is in the machine's own cache."""


class Place(Protocol):
    """A log's database, wherever it is."""

    def open(self) -> Database:
        """Open it; nothing can be written from there."""


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A SQLite file, by its absolute path; every worker must see it there."""

    path: str

    def open(self) -> Database:
        if not Path(self.path).is_file():
            cure = "give workers on other machines the same path, or use PostgreSQL"
            raise UsageError("a worker does not find the ledger", place=self.path, cure=cure)
        return open_read_only(Path(self.path), cache_kib=CACHE_KIB)


@dataclass(frozen=True, slots=True)
class SchemaPlace:
    """A schema of the PostgreSQL database that the environment names."""

    schema: str

    def open(self) -> Database:
        url = read_settings(os.environ).database_url
        if not url:
            cure = "set PITH_DATABASE_URL where the worker runs"
            raise UsageError("a worker does not know the database of the ledger", place="PITH_DATABASE_URL", cure=cure)
        return open_postgresql_read_only(url, self.schema)


def place_of_log(settings: Settings) -> Place:
    """Return where the log of some settings is."""
    if settings.database_url:
        return SchemaPlace(schema_of(settings, LOG))
    return FilePlace(str(settings.ledger_path.absolute()))
