"""Making a registry's checkpoints: never for a log that is not the one that was signed before."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import LogCorruptedError, NotFoundError
from ops.checkpointing import checkpoint, newest
from ops.home import Home, open_home
from tests.ops.homes import a_home, a_line, as_lines, imported


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = a_home(tmp_path / "data")
    yield found
    found.close()


def test_a_checkpoint_covers_all_that_the_log_holds(home: Home) -> None:
    imported(home, as_lines([a_line(1)]))
    made = checkpoint(home)
    assert (made.published, made.checkpoint.size) == (True, home.store.head().size)


def test_nothing_new_is_signed_while_nothing_is_appended(home: Home) -> None:
    assert checkpoint(home) == checkpoint(home)


def test_a_reader_without_the_log_key_is_given_what_is_published(home: Home) -> None:
    made = checkpoint(home).checkpoint
    imported(home, as_lines([a_line(1)]))
    (home.settings.keys / "log.json").unlink()
    assert newest(home) == made


def test_a_log_that_never_published_says_what_to_do(home: Home) -> None:
    (home.settings.keys / "log.json").unlink()
    with pytest.raises(NotFoundError, match="pith checkpoint"):
        newest(home)


@pytest.mark.parametrize("papers_after", [0, 1, 5])
def test_a_restored_old_backup_is_never_signed_for(home: Home, tmp_path: Path, papers_after: int) -> None:
    checkpoint(home)
    home.close()
    backup = shutil.copy(home.settings.ledger_path, tmp_path / "backup.db")
    again = open_home(home.settings, home.clock, home.random)
    imported(again, as_lines([a_line(1), a_line(2)]))
    checkpoint(again)
    again.close()
    for path in home.settings.data.glob("*.db*"):
        path.unlink()
    shutil.copy(backup, home.settings.ledger_path)
    restored = open_home(home.settings, home.clock, home.random)
    if papers_after:
        imported(restored, as_lines([a_line(10 + at) for at in range(papers_after)]))
    before = restored.store.checkpoints.newest()
    with pytest.raises(LogCorruptedError, match="no continuation"):
        checkpoint(restored)
    assert restored.store.checkpoints.newest() == before
    restored.close()
