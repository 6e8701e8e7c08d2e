"""What every test of the projections may ask for."""

from __future__ import annotations

import pytest

from tests.logs import Log
from tests.projections.papers import open_policy


@pytest.fixture
def lenient(log: Log) -> Log:
    """A log whose policy lets everything count at once, and trusts toy blocks."""
    log.admit(open_policy(log.world))
    return log
