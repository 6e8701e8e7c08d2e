"""Receipts: one event, provable to a stranger who knows nothing but the root of the log, for as long as that takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import UsageError
from ledger.events import TYPES, Entry
from ledger.proofs import receipts
from ledger.proofs.trust import Trust
from ops.verify import verify_path
from tests.builders import ALICE, BOB, MODERATOR
from tests.logs import Log, history
from tests.ops.proofs import (
    NO_ROOT,
    WITNESS_KEY,
    a_receipt,
    cosigned,
    failed_step,
    first_of,
    log_key_of,
    one_byte_changed,
    policy_of,
    root_of_log,
    thiefs_log,
    with_citations,
    written,
)

EVENT_TYPES = sorted(TYPES)


# What receipts there are.


@pytest.fixture(scope="module")
def of_all_types(tmp_path_factory: pytest.TempPathFactory) -> Log:
    log = Log.empty(tmp_path_factory.mktemp("history"))
    log.admit(*history(log.world))
    log.checkpoint()
    return log


def test_the_log_under_test_holds_every_type_of_event(of_all_types: Log) -> None:
    assert sorted({entry.event.event_type for entry in of_all_types.store.entries()}) == EVENT_TYPES


def test_every_event_of_a_log_has_a_receipt_that_verifies_under_the_root_alone(
    of_all_types: Log, tmp_path: Path
) -> None:
    root, found = root_of_log(of_all_types), {}
    for entry in of_all_types.store.entries():
        path = written(tmp_path, a_receipt(of_all_types, entry))
        found[entry.position, entry.event.event_type] = failed_step(path, root=root)
    assert {name: step for name, step in found.items() if step != "verified"} == {}


@pytest.mark.parametrize("who", [ALICE, BOB], ids=lambda who: who.signer_id)
def test_the_registrys_word_about_a_key_has_a_receipt_that_verifies(log: Log, tmp_path: Path, who: Any) -> None:
    """The key that such an event speaks of is neither its signer's nor the log's."""
    entry = log.admit(log.world.proof_of_identity(who, "name:another"))
    log.checkpoint()
    assert failed_step(written(tmp_path, a_receipt(log, entry)), root=root_of_log(log)) == "verified"


def test_a_registrys_revocation_of_somebodys_key_has_a_receipt_that_verifies(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    entry = log.admit(log.world.revocation(BOB, by=log.world.registry))
    log.checkpoint()
    assert failed_step(written(tmp_path, a_receipt(log, entry)), root=root_of_log(log)) == "verified"


def test_a_receipt_still_verifies_after_the_log_has_grown(
    log: Log, receipt: dict[str, Any], tmp_path: Path, root: str
) -> None:
    with_citations(log, 300).checkpoint()
    assert failed_step(written(tmp_path, receipt), root=root) == "verified"


def test_a_receipt_can_be_had_anew_after_the_log_has_grown(log: Log, claim: Entry, tmp_path: Path, root: str) -> None:
    with_citations(log, 300).checkpoint()
    assert failed_step(written(tmp_path, a_receipt(log, claim)), root=root) == "verified"


def test_an_entry_beyond_the_published_checkpoint_has_no_receipt_yet(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    size = log.checkpoint().size
    entry = log.admit(log.world.author())
    with pytest.raises(UsageError, match=f"covers {size} entries, not position {entry.position}") as refused:
        receipts.receipt(log.store, entry)
    assert "pith checkpoint" in refused.value.cure


def test_a_signed_checkpoint_that_is_not_published_gives_no_receipt(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    log.checkpoint()
    entry = log.admit(log.world.author())
    log.store.checkpoints.sign(log.world.log.key, log.clock())
    with pytest.raises(UsageError, match="covers"):
        receipts.receipt(log.store, entry)


# What they say.


def said(receipt: dict[str, Any], folder: Path, **trust: Any) -> str:
    return "\n".join(verify_path(written(folder, receipt), Trust(**trust)))


def test_a_receipt_names_each_clock_that_vouches_for_it(receipt: dict[str, Any], tmp_path: Path) -> None:
    found = said(receipt, tmp_path)
    assert "anchor: it stood in the log by 2026-06-19T16:00:00Z, says bitcoin regtest block 101" in found
    assert "says rfc3161" in found


def test_a_receipt_says_that_an_anchored_tree_is_a_part_of_its_own(receipt: dict[str, Any], tmp_path: Path) -> None:
    assert "consistency: what 2 of them anchor is an earlier state of the same tree" in said(receipt, tmp_path)


def test_a_receipt_without_an_anchor_says_whose_word_its_time_is(log: Log, tmp_path: Path) -> None:
    entry = log.admit(log.world.challenge())
    log.checkpoint()
    assert "open: that it was received at" in said(a_receipt(log, entry), tmp_path)


def test_a_receipt_says_that_key_events_may_have_been_left_out(log: Log, tmp_path: Path) -> None:
    entry = log.admit(log.world.challenge())
    log.checkpoint()
    assert "open: that no other key event or policy was left out" in said(a_receipt(log, entry), tmp_path)


@pytest.mark.parametrize(("pinned", "words"), [(True, "as you asked"), (False, "by its own word")])
def test_a_receipt_says_on_what_it_rests(
    receipt: dict[str, Any], tmp_path: Path, root: str, pinned: bool, words: str
) -> None:
    assert f"root: {root}, {words}" in said(receipt, tmp_path, root=root if pinned else None)


def test_a_receipt_names_who_cosigned_its_checkpoint(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    cosigned(log)
    receipt = a_receipt(log, log.store.entry(4))
    assert f"cosigned by {WITNESS_KEY.name}" in said(receipt, tmp_path, policy=policy_of(WITNESS_KEY))


# What the reader knows from elsewhere.


def test_a_receipt_under_another_root_than_the_one_asked_for_fails(receipt: dict[str, Any], tmp_path: Path) -> None:
    assert failed_step(written(tmp_path, receipt), root=NO_ROOT) == "root"


def test_a_receipt_verifies_under_the_log_key(log: Log, receipt: dict[str, Any], tmp_path: Path) -> None:
    assert failed_step(written(tmp_path, receipt), log_key=log_key_of(log)) == "verified"


@pytest.mark.parametrize("pinned", [True, False])
def test_a_receipt_under_another_log_key_than_the_one_asked_for_fails(
    receipt: dict[str, Any], tmp_path: Path, root: str, pinned: bool
) -> None:
    log_key = log_key_of(thiefs_log(tmp_path))
    assert failed_step(written(tmp_path, receipt), log_key=log_key, root=root if pinned else None) == "key validity"


@pytest.mark.parametrize("stated", [True, False])
def test_a_receipt_of_somebody_elses_log_of_the_same_name_fails_under_the_root(
    tmp_path: Path, root: str, stated: bool
) -> None:
    thief = thiefs_log(tmp_path)
    thief.checkpoint()
    forged = a_receipt(thief, first_of(thief, "record_created"))
    if stated:
        forged["root"] = root
    assert failed_step(written(tmp_path, forged), root=root) == "root"


def test_a_receipt_of_somebody_elses_log_under_the_true_logs_checkpoint_fails_at_the_key(
    receipt: dict[str, Any], tmp_path: Path
) -> None:
    thief = thiefs_log(tmp_path)
    thief.checkpoint()
    forged = {**a_receipt(thief, first_of(thief, "record_created")), "checkpoint": receipt["checkpoint"]}
    assert failed_step(written(tmp_path, forged)) == "key validity"


def test_a_receipt_that_enough_witnesses_cosigned_verifies_under_the_policy(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    cosigned(log)
    receipt = a_receipt(log, log.store.entry(4))
    policy = policy_of(WITNESS_KEY, log=log_key_of(log))
    assert failed_step(written(tmp_path, receipt), root=root_of_log(log), policy=policy) == "verified"


def test_a_receipt_that_no_witness_cosigned_fails_at_the_quorum(receipt: dict[str, Any], tmp_path: Path) -> None:
    assert failed_step(written(tmp_path, receipt), policy=policy_of(WITNESS_KEY)) == "quorum"


@pytest.mark.parametrize(("threshold", "step"), [("any", "verified"), ("all", "quorum")])
def test_the_quorum_decides_how_many_of_the_witnesses_must_have_cosigned(
    tmp_path: Path, threshold: str, step: str
) -> None:
    log = Log.opened(tmp_path)
    cosigned(log)
    another = type(WITNESS_KEY)("witness.example/w2", WITNESS_KEY.kind, MODERATOR.key.public_key)
    policy = policy_of(WITNESS_KEY, another, threshold=threshold)
    assert failed_step(written(tmp_path, a_receipt(log, log.store.entry(4))), policy=policy) == step


def test_a_policy_that_names_another_log_fails_at_the_key(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    cosigned(log)
    (tmp_path / "thief").mkdir()
    policy = policy_of(WITNESS_KEY, log=log_key_of(thiefs_log(tmp_path / "thief")))
    assert failed_step(written(tmp_path, a_receipt(log, log.store.entry(4))), policy=policy) == "key validity"


def test_a_cosignature_that_does_not_hold_fails_at_the_checkpoint(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    log.checkpoint()
    receipt = a_receipt(log, log.store.entry(4))
    later = cosigned(with_citations(log, 1))
    receipt["checkpoint"] += later.note.decode().splitlines(keepends=True)[-1]
    assert failed_step(written(tmp_path, receipt), policy=policy_of(WITNESS_KEY)) == "checkpoint"


# Every byte.


@pytest.mark.parametrize("seed", range(8))
def test_a_receipt_with_any_byte_changed_never_verifies(
    original: dict[str, Any], tmp_path: Path, root: str, seed: int
) -> None:
    for spoiled in one_byte_changed(json.dumps(original).encode(), seed, 50):
        if failed_step(written(tmp_path, spoiled), root=root) == "verified":
            assert json.loads(spoiled) == original
