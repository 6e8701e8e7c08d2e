"""Making a registry's checkpoints: never for a log that is not the one that was signed before."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import LogCorruptedError, NotFoundError, UsageError
from ledger.merkle import verify_consistency
from ledger.proofs.trust import Trust
from ops.checkpointing import checkpoint, newest
from ops.home import Home, open_home
from ops.mirror import mirror
from ops.publications import StorePublication
from ops.settings import Settings
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


def test_a_registry_is_restored_from_a_mirror_and_goes_on_with_its_keys(home: Home, tmp_path: Path) -> None:
    imported(home, as_lines([a_line(1), a_line(2)]))
    before = checkpoint(home).checkpoint
    restored = Settings(tmp_path / "restored", home.settings.base_url)
    mirror(StorePublication(home.store), restored, Trust(), lambda _: None, home.clock)
    shutil.copytree(home.settings.keys, restored.keys)
    shutil.copy(home.settings.signed_path, restored.signed_path)
    restored.followed_path.unlink()
    again = open_home(restored, home.clock, home.random)
    assert imported(again, as_lines([a_line(1), a_line(3)])).created == 1
    after = checkpoint(again).checkpoint
    proof = again.store.tree.consistency_proof(before.size, after.size)
    verify_consistency(before.size, after.size, before.root, after.root, proof)
    again.close()


@pytest.mark.parametrize("name", ["signed", "following"])
def test_a_damaged_file_of_what_was_signed_is_named(home: Home, tmp_path: Path, name: str) -> None:
    checkpoint(home)
    settings = Settings(tmp_path / "mirror", home.settings.base_url)
    mirror(StorePublication(home.store), settings, Trust(), lambda _: None, home.clock)
    path = home.settings.signed_path if name == "signed" else settings.followed_path
    path.write_bytes(b"nothing that was ever signed")
    publication = StorePublication(home.store)
    refusing = {
        "signed": lambda: checkpoint(home),
        "following": lambda: mirror(publication, settings, Trust(), lambda _: None, home.clock),
    }
    with pytest.raises(UsageError, match="this file is damaged") as refused:
        refusing[name]()
    assert refused.value.place == str(path)
