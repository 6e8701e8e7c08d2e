from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.identity.serving import Browser


@pytest.fixture
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser
