from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.registry import Registry, a_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A served registry that the tests of a module share; they read, or append what others do not mind."""
    with a_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry
