"""Whole logs that contradict what they anchored or state more than they hold: every check of a whole log tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.checkpoints import Checkpoint, issue
from ledger.database import open_read_only
from ledger.errors import VerificationError
from ledger.log_keys import log_origin
from ledger.proofs.trust import Trust
from ops.mirror import mirror
from ops.publications import FolderPublication, StorePublication
from ops.replaying.checking import Course, Mode
from ops.replaying.engines import Here
from ops.replaying.replay import replay
from ops.settings import Settings
from ops.verify_export import verify_export
from tests.logs import Log
from tests.ops.proofs import an_export
from tests.projections.papers import confirmed_checkpoint, regtest_policy

HUGE = 10**12


@pytest.fixture
def rewritten(tmp_path: Path) -> Log:
    """A log whose anchored checkpoint states another root than its entries have."""
    log = Log.opened(tmp_path)
    log.admit(regtest_policy(log.world))
    log.admit(confirmed_checkpoint(log.world, log.store.head().size))
    return log


def step_of(error: pytest.ExceptionInfo[VerificationError]) -> tuple[str, str]:
    return error.value.step, error.value.place


def test_an_export_of_it_does_not_verify(rewritten: Log, tmp_path: Path) -> None:
    folder = an_export(rewritten, tmp_path / "export")
    with pytest.raises(VerificationError) as caught:
        verify_export(folder, Trust(), lambda _: None)
    assert step_of(caught) == ("anchor", "position 10")


def test_a_mirror_of_it_takes_no_checkpoint(rewritten: Log, tmp_path: Path) -> None:
    rewritten.checkpoint()
    settings = Settings(tmp_path / "mirror", "http://127.0.0.1:8080")
    with pytest.raises(VerificationError) as caught:
        mirror(StorePublication(rewritten.store), settings, Trust(), lambda _: None, rewritten.clock)
    assert step_of(caught) == ("anchor", "position 10")


def gone_over(log: Log, folder: Path, mode: Mode) -> list[str]:
    """Replay a log in a mode; return what was found to hold."""
    database = open_read_only(folder / "log.sqlite")
    course = Course(database, log.store, mode, log.store.head().size)
    replay(course, Here(database))
    return course.sentences


def test_a_replay_of_it_does_not_verify(rewritten: Log, tmp_path: Path) -> None:
    with pytest.raises(VerificationError) as caught:
        gone_over(rewritten, tmp_path, Mode.all)
    assert step_of(caught) == ("anchor", "position 10")


def test_its_checkpoint_alone_does_not_tell(rewritten: Log, tmp_path: Path) -> None:
    size = rewritten.checkpoint().size
    assert f"checkpoint: the log's key signed the root that its first {size} entries have" in gone_over(
        rewritten, tmp_path, Mode.checkpoint
    )


@pytest.mark.parametrize("size", [300, HUGE])
def test_an_export_whose_checkpoint_states_more_than_there_is_fails_at_once(tmp_path: Path, size: int) -> None:
    log = Log.opened(tmp_path)
    folder = an_export(log, tmp_path / "export")
    checkpoint = Checkpoint(log_origin(log.world.name), size, bytes(32))
    (folder / "checkpoint").write_bytes(issue(checkpoint, log.world.log.key).format())
    with pytest.raises(VerificationError) as caught:
        verify_export(folder, Trust(), lambda _: None)
    assert caught.value.step == "canonical form"


@pytest.mark.parametrize("size", [300, HUGE])
def test_a_mirror_of_such_an_export_keeps_nothing(tmp_path: Path, size: int) -> None:
    log = Log.opened(tmp_path)
    folder = an_export(log, tmp_path / "export")
    checkpoint = Checkpoint(log_origin(log.world.name), size, bytes(32))
    (folder / "checkpoint").write_bytes(issue(checkpoint, log.world.log.key).format())
    settings = Settings(tmp_path / "mirror", "http://127.0.0.1:8080")
    with pytest.raises(Exception, match="there is no tile"):
        mirror(FolderPublication(folder), settings, Trust(), lambda _: None, log.clock)
