"""What every test may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.logs import Log
from tests.postgres import postgres, postgres_url

__all__ = ["log", "postgres", "postgres_url"]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """A log with its registry's keys and policy, four people and one paper."""
    return Log.opened(tmp_path)
