"""Anchors in receipts: what outside clocks vouch for, and what only claims that they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.events import Entry, Event
from tests.builders import SHA256, World
from tests.logs import Log
from tests.ops.false_notes import a_note
from tests.ops.forged import Forged
from tests.ops.proofs import (
    FORMS,
    LIES,
    a_receipt,
    changed,
    failed_step,
    first_of,
    written,
)
from tests.projections.papers import confirmed_checkpoint, proof_over, regtest_policy

# Its anchors.


@pytest.mark.parametrize("lie", FORMS, ids=lambda lie: lie.__name__)
def test_a_proof_of_growth_in_another_spelling_fails_at_the_canonical_form(
    receipt: dict[str, Any], tmp_path: Path, lie: Any
) -> None:
    changed("anchors", 0, "consistency_proof", by=lie)(receipt)
    assert failed_step(written(tmp_path, receipt)) == "canonical form"


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_proof_of_growth_that_leads_elsewhere_fails_at_the_consistency(
    receipt: dict[str, Any], tmp_path: Path, lie: Any
) -> None:
    changed("anchors", 0, "consistency_proof", by=lie)(receipt)
    assert failed_step(written(tmp_path, receipt)) == "consistency"


def test_an_anchor_of_less_than_the_event_fails_at_the_anchor(log: Log, claim: Entry, tmp_path: Path) -> None:
    later = a_receipt(log, first_of(log, "moderation_decision"))
    later["anchors"] = a_receipt(log, claim)["anchors"][:1]
    assert failed_step(written(tmp_path, later)) == "anchor"


def test_an_anchor_of_all_that_came_before_the_event_fails_at_the_anchor(anchoring: Log, tmp_path: Path) -> None:
    size = anchoring.store.head().size
    next_one = anchoring.admit(anchoring.world.citation())
    anchoring.admit(confirmed_checkpoint(anchoring.world, size, note_at(anchoring)))
    anchoring.checkpoint()
    receipt = a_receipt(anchoring, next_one)
    receipt["anchors"] = a_receipt(anchoring, anchoring.store.entry(size - 1))["anchors"]
    assert failed_step(written(tmp_path, receipt)) == "anchor"


def test_an_event_that_anchors_nothing_fails_at_the_anchor(log: Log, receipt: dict[str, Any], tmp_path: Path) -> None:
    receipt["anchors"] = receipt["key_events"][:1]
    assert failed_step(written(tmp_path, receipt)) == "anchor"


def test_an_anchor_of_the_paper_is_none_of_the_log(log: Log, receipt: dict[str, Any], tmp_path: Path) -> None:
    paper = first_of(log, "timestamp_anchor")
    receipt["anchors"] = [{**paper.event.value, **dict.fromkeys(("position", "received_at"), paper.position)}]
    assert failed_step(written(tmp_path, receipt)) == "rule"


def forged_receipt(log: Log, anchor: Event, tree_size: int) -> dict[str, Any]:
    """Return Alice's receipt from a registry that has put any anchor behind its log, against its own rules."""
    forged = Forged.after(log, anchor)
    entry = Entry(forged.size - 1, log.store.head().received_at, anchor)
    claim, stream = first_of(log, "author_attestation"), log.store.of_registry(0, log.store.head().size)
    key_events = [known for known in stream if known.event.event_type != "timestamp_anchor"]
    return forged.receipt(claim, key_events, forged.row(entry, tree_size))


@pytest.fixture
def anchoring(tmp_path: Path) -> Log:
    log = Log.opened(tmp_path)
    log.admit(regtest_policy(log.world), log.world.author())
    log.checkpoint()
    return log


def note_at(log: Log) -> str:
    return log.store.checkpoints.published().note.decode()


def test_an_anchor_of_the_log_as_it_was_verifies(anchoring: Log, tmp_path: Path) -> None:
    size = anchoring.store.head().size
    receipt = forged_receipt(anchoring, confirmed_checkpoint(anchoring.world, size, note_at(anchoring)), size)
    assert failed_step(written(tmp_path, receipt)) == "verified"


def test_an_anchored_root_that_is_no_part_of_the_log_fails_at_the_consistency(anchoring: Log, tmp_path: Path) -> None:
    size = anchoring.store.head().size
    another_tree = a_note(anchoring.world, size, bytes(32))
    receipt = forged_receipt(anchoring, confirmed_checkpoint(anchoring.world, size, another_tree), size)
    assert failed_step(written(tmp_path, receipt)) == "consistency"


def test_an_anchor_that_states_another_size_than_its_note_fails_at_the_anchor(anchoring: Log, tmp_path: Path) -> None:
    size = anchoring.store.head().size
    receipt = forged_receipt(anchoring, confirmed_checkpoint(anchoring.world, size - 1, note_at(anchoring)), size)
    assert failed_step(written(tmp_path, receipt)) == "anchor"


def test_an_anchor_of_a_tree_that_would_hold_the_anchor_fails_at_the_anchor(anchoring: Log, tmp_path: Path) -> None:
    size = anchoring.store.head().size
    larger = a_note(anchoring.world, size + 1, bytes(32))
    receipt = forged_receipt(anchoring, confirmed_checkpoint(anchoring.world, size + 1, larger), size)
    assert failed_step(written(tmp_path, receipt)) == "anchor"


def test_an_anchor_whose_note_another_log_signed_fails_at_its_checkpoint(anchoring: Log, tmp_path: Path) -> None:
    size = anchoring.store.head().size
    foreign = a_note(World("other.registry"), size, bytes(32))
    receipt = forged_receipt(anchoring, confirmed_checkpoint(anchoring.world, size, foreign), size)
    assert failed_step(written(tmp_path, receipt)) == "checkpoint"


def test_a_pending_anchor_fails_at_the_anchor(anchoring: Log, tmp_path: Path) -> None:
    size = anchoring.store.head().size
    confirmed = confirmed_checkpoint(anchoring.world, size, note_at(anchoring)).value["payload"]
    pending = anchoring.world.checkpoint_anchor(size, anchored=confirmed["anchored"], proof_b64=confirmed["proof_b64"])
    receipt = forged_receipt(anchoring, pending, size)
    assert failed_step(written(tmp_path, receipt)) == "anchor"


def test_an_anchor_without_its_note_fails_at_the_anchor(anchoring: Log, tmp_path: Path) -> None:
    size = anchoring.store.head().size
    payload = confirmed_checkpoint(anchoring.world, size, note_at(anchoring)).value["payload"]
    noteless = {name: value for name, value in payload["anchored"].items() if name != "note"}
    anchor = anchoring.world.checkpoint_anchor(size, **{**payload, "anchored": noteless})
    assert failed_step(written(tmp_path, forged_receipt(anchoring, anchor, size))) == "anchor"


def test_an_anchor_whose_proof_is_about_another_note_fails_at_the_rule(anchoring: Log, tmp_path: Path) -> None:
    size = anchoring.store.head().size
    payload = confirmed_checkpoint(anchoring.world, size, note_at(anchoring)).value["payload"]
    anchor = anchoring.world.checkpoint_anchor(size, **{**payload, **proof_over(SHA256)})
    assert failed_step(written(tmp_path, forged_receipt(anchoring, anchor, size))) == "rule"


def test_an_anchor_whose_note_is_another_fails_at_the_rule(anchoring: Log, tmp_path: Path) -> None:
    size = anchoring.store.head().size
    payload = confirmed_checkpoint(anchoring.world, size, note_at(anchoring)).value["payload"]
    anchored = {**payload["anchored"], "note": a_note(anchoring.world, size, bytes(32))}
    anchor = anchoring.world.checkpoint_anchor(size, **{**payload, "anchored": anchored})
    assert failed_step(written(tmp_path, forged_receipt(anchoring, anchor, size))) == "rule"
