"""The same tests on both databases, for a module that names `on_both` its `pytest_generate_tests` and imports `log`."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Final

import pytest

from ledger.database import Database, open_postgresql, open_sqlite
from tests.logs import Log
from tests.writers import LOG, SCHEMA

BOTH: Final = ("sqlite", "postgresql")
OF_FILES: Final = {"path", "tmp_path"}
OTHER_LOG: Final = "mirror.sqlite"


def on_both(metafunc: pytest.Metafunc) -> None:
    """Give each test of a log one in a file and one on a server; who asks for files gets only the first."""
    if "new_database" in metafunc.fixturenames:
        wants_files = OF_FILES & signature(metafunc.function).parameters.keys()
        metafunc.parametrize("new_database", BOTH[:1] if wants_files else BOTH, indirect=True)


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database."""
    if request.param == "sqlite":
        found = open_sqlite(tmp_path / LOG, durable=False)
    else:
        found = open_postgresql(request.getfixturevalue("postgres_url"), SCHEMA)
    yield found
    found.close()


@pytest.fixture
def other_database(request: pytest.FixtureRequest, new_database: Database, tmp_path: Path) -> Iterator[Database]:
    """A second empty database of the same kind."""
    if new_database.is_postgresql:
        found = open_postgresql(request.getfixturevalue("postgres_url"), "another_log")
    else:
        found = open_sqlite(tmp_path / OTHER_LOG, durable=False)
    yield found
    found.close()


@pytest.fixture
def log(new_database: Database) -> Log:
    """A log with its registry's keys and policy, four people and one paper."""
    return Log.on(new_database).open()
