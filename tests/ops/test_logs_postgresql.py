"""Several logs of one registry in one PostgreSQL database: each in schemas of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger.errors import UsageError
from ops.audit import Audit, audit_home
from ops.checkpointing import checkpoint
from ops.finding import found_anywhere
from ops.home import Home, open_home
from ops.logs import add_log, standings
from ops.rotation import rotate
from ops.settings import read_settings
from ops.shared_logs import settings_of
from tests.ops.homes import a_line, as_lines, imported
from tests.ops.shared import Shared, shared_database
from tests.postgres import Server


@pytest.fixture
def shared(postgres: Server) -> Iterator[Shared]:
    with shared_database(postgres) as found:
        yield found


@pytest.fixture
def first(shared: Shared, tmp_path: Path) -> Iterator[Home]:
    with closing(shared.a_home(tmp_path / "first")) as home:
        yield home


def test_each_log_has_schemas_of_its_own_and_the_same_keys(first: Home, tmp_path: Path) -> None:
    other = add_log(first, "to-be.2027", tmp_path / "2027")
    with closing(open_home(settings_of(first.settings, other), first.clock, first.random)) as beside:
        assert beside.ledger.schema == "pith_to_be_2027_log"
        rotate(first, "log")
        assert all(shown.is_whole for shown in standings(first))
        assert imported(beside, as_lines([a_line(1)])).created == 1
        assert imported(first, as_lines([a_line(1)])).refused_count == 1
        checkpoint(beside)
        log, _ = audit_home(beside.settings, beside.clock(), Audit())
        assert (log.checkpoints.count, log.entries.registry.label) == (1, "to-be.2027")
        with found_anywhere(first, "https://example.org/papers/1") as (home, _):
            assert home.store.label == "to-be.2027"


def test_commands_in_a_logs_folder_work_on_its_own_schemas(first: Home, tmp_path: Path) -> None:
    other = add_log(first, "2027", tmp_path / "2027")
    address = {"PITH_DATABASE_URL": first.settings.database_url, "PITH_DATABASE_SCHEMA": first.settings.schema}
    settings = read_settings({"PITH_DATA": str(other.data), **address})
    with closing(open_home(settings)) as home:
        assert home.store.label == "2027"


def test_two_labels_that_would_share_schemas_do_not(first: Home, tmp_path: Path) -> None:
    add_log(first, "a.b", tmp_path / "one")
    with pytest.raises(UsageError, match=r"log/a\.b, not .*log/a-b"):
        add_log(first, "a-b", tmp_path / "other")
    assert [shown.label for shown in standings(first)] == ["", "a.b"]
