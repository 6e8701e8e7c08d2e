"""Programs that some tests need and pip does not bring: where one is missing, they skip with the reason.

With PITH_REQUIRE_PROGRAMS set, as in CI, they fail instead.
"""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str, source: str) -> str:
    """Return the path of a program; skips or fails the test where it is not installed."""
    found = shutil.which(name)
    if found is None:
        missing(f"{name} is not installed: {source}")
    assert found is not None
    return found


def missing(reason: str) -> None:
    if os.environ.get("PITH_REQUIRE_PROGRAMS"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
