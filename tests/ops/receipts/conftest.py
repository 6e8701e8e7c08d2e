"""One receipt for every test here: of a claim in a log that outside clocks vouch for."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ledger.events import Entry
from tests.logs import Log
from tests.ops.proofs import a_receipt, an_anchored_log, first_of, root_of_log


@pytest.fixture(scope="package")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A log with a past, whose first entries a Bitcoin block and a timestamp authority vouch for."""
    return an_anchored_log(tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="package")
def root(log: Log) -> str:
    return root_of_log(log)


@pytest.fixture(scope="package")
def claim(log: Log) -> Entry:
    """Alice's claim, which both anchors cover."""
    return first_of(log, "author_attestation")


@pytest.fixture(scope="package")
def original(log: Log, claim: Entry) -> dict[str, Any]:
    return a_receipt(log, claim)


@pytest.fixture
def receipt(original: dict[str, Any]) -> dict[str, Any]:
    """A receipt that a test may spoil."""
    return copy.deepcopy(original)
