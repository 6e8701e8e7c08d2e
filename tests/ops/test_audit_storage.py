"""The audit of challenges: a root that this log never had challenges nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.database import open_read_only
from ledger.possession import verify_answer
from ops.audit import Audit, audit_log
from tests.builders import CHECKER
from tests.holders import Held, a_file, proved
from tests.ops.audited import Ledger, a_ledger


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return a_ledger(tmp_path_factory.mktemp("audit") / "data", crowd=0)


@pytest.fixture
def ledger(made: Ledger, tmp_path: Path) -> Ledger:
    return made.copy(tmp_path / "data")


def root_at(ledger: Ledger, size: int) -> bytes:
    with ledger.opened() as log:
        return log.store.tree.root(size)


def challenged(ledger: Ledger, root: bytes, size: int) -> tuple[int, list[str]]:
    """Append what a checker says of a holder who answered a challenge with this root; return where, and the audit."""
    held = Held(a_file(12))
    possession = verify_answer(held.answer(root), held.challenge(root), held.deposit, size)
    with ledger.opened() as log:
        statement = log.world.storage(CHECKER, **{**proved(12), "grade": "proved", "possession": possession})
        position = log.admit(statement).position
        now = log.clock() + 1_000_000
    audit, database = Audit(), open_read_only(ledger.settings.ledger_path)
    try:
        audit_log(database, now, audit)
    finally:
        database.close()
    return position, audit.checks


def test_a_challenge_with_a_root_of_this_log_holds(ledger: Ledger) -> None:
    _, checks = challenged(ledger, root_at(ledger, 5), 5)
    assert "challenges: 1 answers of holders are to roots of this log" in checks
    assert not any("never had" in check for check in checks)


@pytest.mark.parametrize("size", [4, 6])
def test_a_challenge_with_a_root_of_another_size_is_told(ledger: Ledger, size: int) -> None:
    at, checks = challenged(ledger, root_at(ledger, 5), size)
    assert any(check.startswith(f"open: position {at} names a root that this log never had") for check in checks)


def test_an_invented_root_is_told(ledger: Ledger) -> None:
    at, checks = challenged(ledger, bytes(32), 5)
    assert any(check.startswith(f"open: position {at} names a root") for check in checks)
