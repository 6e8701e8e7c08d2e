"""Exports of a registry that breaks its own rules: tree and checkpoint are true, what they are made of is not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import LedgerError
from ledger.events import Event
from ledger.log_keys import log_verifier
from ledger.proofs.trust import Trust
from ops.verify import verify_path
from tests.builders import World, key
from tests.forgeries import with_signature
from tests.logs import Log
from tests.ops.false_notes import a_note
from tests.ops.forged import Forged
from tests.ops.proofs import a_log, an_export, failed_step

Leaves = list[bytes]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return a_log(tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="module")
def original(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return an_export(log, tmp_path_factory.mktemp("export"))


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """An export that a test may spoil."""
    return Path(shutil.copytree(original, tmp_path / "export"))


def rewritten(folder: Path, log: Log, *events: Event, received_at: int | None = None) -> Path:
    """Put entries behind an exported log, with tree and checkpoint made anew by its own key."""
    return Forged.after(log, *events, received_at=received_at).rewrite(folder)


def test_a_registry_that_rewrites_its_export_truly_is_not_caught_by_the_tree(folder: Path, log: Log) -> None:
    assert failed_step(rewritten(folder, log, log.world.citation())) == "state"


def changed_leaves(folder: Path, log: Log, change: Callable[[Leaves], None]) -> Path:
    leaves = [entry.leaf() for entry in log.store.entries()]
    change(leaves)
    return Forged(log.world, tuple(leaves)).rewrite(folder)


def hasten(leaves: Leaves) -> None:
    leaves.insert(4, leaves.pop(12))


def drop(leaves: Leaves) -> None:
    del leaves[5]


def repeat(leaves: Leaves) -> None:
    leaves.append(leaves[-1])


def spell_otherwise(leaves: Leaves) -> None:
    leaves[-1] = leaves[-1].replace(b'{"created_at"', b'{ "created_at"')


def lose_the_event(leaves: Leaves) -> None:
    leaves[-1] = leaves[-1][:8] + b"{}"


def lose_the_time(leaves: Leaves) -> None:
    leaves[-1] = leaves[-1][:3]


def backdate(leaves: Leaves) -> None:
    leaves[5] = bytes(8) + leaves[5][8:]


def postpone(leaves: Leaves) -> None:
    leaves[-1] = (2**64 - 1).to_bytes(8, "big") + leaves[-1][8:]


@pytest.mark.parametrize(
    ("change", "step"),
    [
        pytest.param(hasten, "key validity", id="a statement before its key was registered"),
        pytest.param(drop, "rule", id="a registration left out"),
        pytest.param(repeat, "position", id="the same event again"),
        pytest.param(backdate, "time", id="an entry older than its predecessor"),
        pytest.param(postpone, "canonical form", id="a time beyond all times"),
        pytest.param(spell_otherwise, "canonical form", id="an event in another spelling"),
        pytest.param(lose_the_event, "canonical form", id="an entry that is no event"),
        pytest.param(lose_the_time, "canonical form", id="an entry too short for its time"),
    ],
)
def test_entries_that_cannot_follow_each_other_fail_at_their_step(
    folder: Path, log: Log, change: Callable[[Leaves], None], step: str
) -> None:
    assert failed_step(changed_leaves(folder, log, change)) == step


def test_another_signature_under_an_event_fails_at_the_signature(folder: Path, log: Log) -> None:
    event = log.world.citation()
    assert failed_step(rewritten(folder, log, with_signature(event, bytes(64)))) == "signature"


def test_a_second_record_of_one_paper_fails_at_the_rule(folder: Path, log: Log) -> None:
    assert failed_step(rewritten(folder, log, log.world.record_created())) == "rule"


def test_a_statement_by_a_key_nobody_registered_fails_at_the_key(folder: Path, log: Log) -> None:
    stranger = World("other.registry")
    assert failed_step(rewritten(folder, log, stranger.record_updated())) in ("key validity", "rule")


def test_a_forged_entry_is_named_by_its_position(folder: Path, log: Log) -> None:
    event = with_signature(log.world.citation(), bytes(64))
    with pytest.raises(LedgerError, match=f"position {log.store.head().size}, {event.id_text}"):
        verify_path(rewritten(folder, log, event), Trust())


def test_a_checkpoint_signed_after_its_key_was_revoked_fails_at_the_key(folder: Path, log: Log) -> None:
    revoked = rewritten(folder, log, log.world.revocation(log.world.log, by=log.world.registry))
    assert failed_step(revoked) == "key validity"


def test_a_log_that_begins_with_no_root_fails(folder: Path, log: Log) -> None:
    assert failed_step(changed_leaves(folder, log, lambda leaves: leaves.reverse())) != "verified"


def test_a_log_key_that_the_log_never_registered_fails_though_the_reader_named_it(folder: Path, log: Log) -> None:
    stranger = key("a stranger")
    signed = log.store.checkpoints.published()
    (folder / "checkpoint").write_text(a_note(log.world, signed.size, signed.root, stranger))
    named = log_verifier(log.world.name, stranger.public_key)
    assert failed_step(folder, log_key=named) == "key validity"
