"""Receipts made in the moment of appending: several under one checkpoint, each what it is by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.appending import Appended, Sealed, Submission
from ledger.errors import UsageError
from ledger.events import Entry
from ledger.merkle import inclusion_proof, leaf_hash, root_of
from ledger.proofs import receipts
from ledger.proofs.entry_rows import hashes_to_text
from ledger.proofs.paths import Paths
from ledger.proofs.stream import Stream
from ledger.proofs.trust import Trust
from ledger.proofs.verify_receipt import verify_receipt_file
from tests.builders import ALICE, BOB, CAROL, SUCCESSOR, Who
from tests.logs import Log

LEAVES = [leaf_hash(str(number).encode()) for number in range(700)]


def node(level: int, index: int) -> bytes:
    return root_of(LEAVES[index << level : (index + 1) << level])


@pytest.fixture
def log(tmp_path: Path) -> Log:
    found = Log.opened(tmp_path)
    found.admit(found.world.proof_of_identity(ALICE))
    found.admit(*(found.world.citation(ALICE) for _ in range(300)))
    return found


def sealed(log: Log, *submissions: Submission, by: Who | None = None) -> Sealed:
    return log.store.append_sealed(submissions, log.clock, (by or log.world.log).key)


def receipts_of(log: Log, found: Sealed) -> list[tuple[Entry, str]]:
    assert found.checkpoint is not None
    entries = [outcome.entry for outcome in found.outcomes if isinstance(outcome, Appended)]
    with log.store.tree.nodes() as reader:
        fresh = receipts.Receipts(Stream.read(log.store, found.checkpoint.size), found.checkpoint, reader)
        return [(entry, fresh.of(entry)) for entry in entries]


def test_a_fresh_receipt_is_the_receipt_and_verifies(log: Log) -> None:
    found = sealed(log, *(Submission(log.world.citation(who)) for who in (ALICE, BOB, ALICE)))
    made = receipts_of(log, found)
    assert len(made) == 3
    for entry, text in made:
        assert json.loads(text) == receipts.receipt(log.store, entry)
        verify_receipt_file(json.loads(text), Trust(log.store.entry(0).event.id_text))


def test_fresh_receipts_of_key_events_are_the_receipts(log: Log) -> None:
    world = log.world
    events = [
        world.registration(CAROL),
        world.proof_of_identity(CAROL),
        world.rotation(ALICE, SUCCESSOR),
        world.citation(SUCCESSOR),
        world.checkpoint_anchor(),
        world.record_updated(),
    ]
    made = receipts_of(log, sealed(log, *map(Submission, events)))
    assert [entry.event.event_type for entry, _ in made] == [event.event_type for event in events]
    for entry, text in made:
        assert json.loads(text) == receipts.receipt(log.store, entry)


def test_a_checkpoint_is_signed_in_the_transaction_that_appends(log: Log) -> None:
    found = sealed(log, Submission(log.world.citation(BOB)))
    assert found.checkpoint is not None and found.checkpoint.size == log.store.head().size
    assert log.store.checkpoints.published() == found.checkpoint
    assert log.store.tree.root(found.checkpoint.size) == found.checkpoint.root


def test_a_key_that_may_not_sign_keeps_no_event_out(log: Log) -> None:
    size = log.store.head().size
    found = sealed(log, Submission(log.world.citation(BOB)), by=log.world.receipt)
    assert found.checkpoint is None and found.unsigned is not None and found.unsigned.step == "key validity"
    assert log.store.head().size == size + 1


def test_what_is_refused_leaves_the_others_their_checkpoint(log: Log) -> None:
    stranger = log.world.citation(Who(BOB.key, "contributor", "name:nobody"))
    found = sealed(log, Submission(stranger), Submission(log.world.citation(BOB)))
    assert not isinstance(found.outcomes[0], Appended) and isinstance(found.outcomes[1], Appended)
    assert found.checkpoint is not None and found.checkpoint.size == log.store.head().size


@given(st.integers(1, 700).flatmap(lambda size: st.tuples(st.just(size), st.lists(st.integers(0, size - 1)))))
def test_paths_are_inclusion_proofs(case: tuple[int, list[int]]) -> None:
    size, positions = case
    paths = Paths(size, node)
    for position in positions:
        assert json.loads(paths.text(position)) == hashes_to_text(inclusion_proof(position, size, node))


def test_paths_refuse_what_the_tree_does_not_hold() -> None:
    with pytest.raises(UsageError):
        Paths(3, node).text(3)
