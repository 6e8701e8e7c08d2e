"""What is kept of others' words: whatever they send, no database refuses the row that tells of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import insert, select

from ops.jobs.tables import RUNS
from ops.migrations.lines import JOBS
from tests.ops.shared import BOTH, tables_in


@pytest.mark.parametrize("kind", BOTH)
def test_a_character_that_a_database_does_not_keep_costs_no_row(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run = {"name": "anchor", "holder": "one", "started_at": 0, "ended_at": 1 << 62, "next_at": 0, "failures": 1}
    with tables_in(kind, JOBS, tmp_path, request) as database:
        with database.write() as connection:
            connection.execute(insert(RUNS).values(**run, outcome="failed", said="it said \0 and \U0001f40d" * 900))
        with database.read() as connection:
            row = connection.execute(select(RUNS)).one()
    assert row.said == "it said \N{REPLACEMENT CHARACTER} and \U0001f40d" * 900
    assert row.ended_at == 1 << 62
