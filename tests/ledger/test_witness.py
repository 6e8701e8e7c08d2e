"""A witness cosigns one history of a log, remembers it, and keeps what proves that the log showed another."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ledger import checkpoints, notes
from ledger.database import open_sqlite
from ledger.errors import StoreError, UsageError
from ledger.notes import ED25519, NoteSignature, SignedNote, Verifier
from ledger.witness import MAX_STEP_BACK, Contradiction, Followed, Witness, create_witness
from ledger.witness_errors import (
    InconsistentTreeError,
    MalformedRequestError,
    RootConflictError,
    SizeConflictError,
    UnknownLogError,
    WitnessClockError,
    WitnessRefusedError,
)
from ledger.witnessing import AddCheckpoint
from tests.builders import key
from tests.witnesses import LOG_KEY, NAME, NOW, ORIGIN, WITNESS, Tree, a_database, a_witness, cosignature

TREE = Tree.of(24)
FORK = TREE.fork(5)
OTHER = Tree.of(24, "other", origin="log.example/two", key=key("the other log's key"))
OTHER_KEY = Verifier(OTHER.origin, ED25519, OTHER.key.public_key)


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return a_witness(tmp_path)


def seen(witness: Witness) -> int:
    (log,) = witness.followed()
    return log.size


def refused(witness: Witness, body: bytes, now: int = NOW) -> WitnessRefusedError:
    before = witness.followed()
    with pytest.raises(WitnessRefusedError) as found:
        witness.add_checkpoint(body, now)
    assert [(log.origin, log.size) for log in witness.followed()] == [(log.origin, log.size) for log in before]
    return found.value


# --- cosigning -----------------------------------------------------------------------------


def test_a_first_checkpoint_is_cosigned_at_the_time_it_was_seen(witness: Witness) -> None:
    line = cosignature(TREE, 8, witness.add_checkpoint(TREE.request(0, 8), NOW))
    assert line.time == NOW
    assert witness.followed() == [Followed(ORIGIN, 8, ())]


def test_a_log_that_grows_is_cosigned_again_and_again(witness: Witness) -> None:
    for old, size in ((0, 0), (0, 1), (1, 2), (2, 8), (8, 15), (15, 24)):
        cosignature(TREE, size, witness.add_checkpoint(TREE.request(old, size), NOW))
        assert seen(witness) == size


def test_the_same_checkpoint_gets_a_fresh_cosignature(witness: Witness) -> None:
    first = witness.add_checkpoint(TREE.request(0, 8), NOW)
    again = witness.add_checkpoint(TREE.request(8, 8), NOW + 60)
    assert [cosignature(TREE, 8, line).time for line in (first, again)] == [NOW, NOW + 60]
    assert refused(witness, TREE.request(0, 8)).code == "size-conflict"


def test_extension_lines_are_part_of_what_is_cosigned(witness: Witness) -> None:
    note = TREE.text(8, "an extension")
    signed = SignedNote(note, (notes.sign(note, ORIGIN, TREE.key),))
    line = witness.add_checkpoint(AddCheckpoint(0, (), signed).format(), NOW)
    found, _ = notes.open_note(note.encode() + b"\n" + line, [witness.verifier])
    assert found.text == note
    cosignature(TREE, 8, witness.add_checkpoint(TREE.request(8, 8), NOW))


def test_logs_do_not_touch_each_other(tmp_path: Path) -> None:
    witness = a_witness(tmp_path, [LOG_KEY, OTHER_KEY])
    witness.add_checkpoint(TREE.request(0, 8), NOW)
    assert refused(witness, OTHER.request(8, 9)).code == "size-conflict"
    witness.add_checkpoint(OTHER.request(0, 3), NOW - 1_000)
    assert witness.followed() == [Followed(ORIGIN, 8, ()), Followed(OTHER.origin, 3, ())]


def test_a_witness_remembers(tmp_path: Path) -> None:
    a_witness(tmp_path).add_checkpoint(TREE.request(0, 8), NOW)
    again = a_witness(tmp_path)
    assert isinstance(refused(again, FORK.request(8, 15)), InconsistentTreeError)
    assert isinstance(refused(again, FORK.request(8, 8)), RootConflictError)
    again.add_checkpoint(TREE.request(8, 15), NOW)


def test_a_log_that_is_followed_no_longer_is_not_forgotten(tmp_path: Path) -> None:
    a_witness(tmp_path).add_checkpoint(TREE.request(0, 8), NOW)
    assert isinstance(refused(a_witness(tmp_path, [OTHER_KEY]), TREE.request(8, 9)), UnknownLogError)
    assert refused(a_witness(tmp_path), TREE.request(0, 9)).code == "size-conflict"


def test_a_log_may_change_its_key_under_one_origin(tmp_path: Path) -> None:
    successor = Tree(TREE.leaves, ORIGIN, key("the log's next key"))
    next_key = Verifier(ORIGIN, ED25519, successor.key.public_key)
    a_witness(tmp_path).add_checkpoint(TREE.request(0, 8), NOW)
    witness = a_witness(tmp_path, [LOG_KEY, next_key])
    assert isinstance(refused(witness, Tree(FORK.leaves, ORIGIN, successor.key).request(8, 9)), InconsistentTreeError)
    witness.add_checkpoint(successor.request(8, 9), NOW)


# --- refusing ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (TREE.request(0, 15), SizeConflictError),
        (TREE.request(7, 15), SizeConflictError),
        (TREE.request(9, 15), SizeConflictError),
        (TREE.request(7, 7), SizeConflictError),
        (TREE.request(0, 0), SizeConflictError),
        (FORK.request(8, 8), RootConflictError),
        (FORK.request(8, 15), InconsistentTreeError),
        (TREE.request(8, 15).replace(b"old 8\n", b"old 16\n"), MalformedRequestError),
        (TREE.request(8, 15).replace(b"old 8\n", b"old 08\n"), MalformedRequestError),
        (OTHER.request(0, 8), UnknownLogError),
    ],
)
def test_nothing_else_is_cosigned(witness: Witness, body: bytes, error: type[WitnessRefusedError]) -> None:
    witness.add_checkpoint(TREE.request(0, 8), NOW)
    assert type(refused(witness, body)) is error
    cosignature(TREE, 15, witness.add_checkpoint(TREE.request(8, 15), NOW))


@st.composite
def submissions(draw: st.DrawFn) -> list[tuple[Tree, int, int, bool]]:
    """Draw what a log with several histories asks for: a tree, an old size, a size and whether the proof is right."""
    histories = [TREE, TREE.fork(3, "a"), TREE.fork(9, "b"), TREE.fork(9, "b").fork(14, "c"), TREE.fork(0, "d")]
    sizes = st.integers(0, 24)
    steps = []
    latest = 0
    for _ in range(draw(st.integers(1, 8))):
        tree = draw(st.sampled_from(histories))
        old = draw(st.just(latest) | sizes)
        size = draw(st.integers(old, 24) | sizes)
        steps.append((tree, old, size, draw(st.integers(0, 4)) > 0))
        latest = size
    return steps


@settings(max_examples=60, deadline=None)
@given(submissions())
def test_what_is_cosigned_is_one_history_that_only_grows(steps: list[tuple[Tree, int, int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = a_database(Path(folder))
        witness = Witness(database, NAME, WITNESS, [LOG_KEY])
        history: tuple[bytes, ...] = ()
        for tree, old, size, is_right in steps:
            proof = tree.proof(min(old, size), size) if is_right else [*tree.proof(min(old, size), size), bytes(32)]
            body = AddCheckpoint(old, tuple(proof), tree.note(size)).format()
            fits = old == len(history) <= size and tree.leaves[: len(history)] == history and is_right
            try:
                cosignature(tree, size, witness.add_checkpoint(body, NOW))
            except WitnessRefusedError as error:
                assert not fits, error
            else:
                assert fits
                history = tree.leaves[:size]
            assert seen(witness) == len(history)
        database.close()


# --- time ----------------------------------------------------------------------------------


def test_times_for_a_log_do_not_go_back(witness: Witness) -> None:
    times = [(0, 8, NOW), (8, 8, NOW - 1), (8, 15, NOW - MAX_STEP_BACK), (15, 15, NOW + 5), (15, 16, NOW)]
    stated = [cosignature(TREE, size, witness.add_checkpoint(TREE.request(old, size), now)) for old, size, now in times]
    assert [line.time for line in stated] == [NOW, NOW, NOW, NOW + 5, NOW + 5]


def test_a_clock_that_cannot_be_right_vouches_for_nothing(witness: Witness) -> None:
    for wrong in (0, -1, notes.MAX_TIME + 1):
        assert isinstance(refused(witness, TREE.request(0, 8), wrong), WitnessClockError)
    witness.add_checkpoint(TREE.request(0, 8), NOW)
    for body in (TREE.request(8, 8), TREE.request(8, 15)):
        assert isinstance(refused(witness, body, NOW - MAX_STEP_BACK - 1), WitnessClockError)


# --- evidence ------------------------------------------------------------------------------


def evidence(witness: Witness) -> Contradiction:
    """Return the one piece of evidence, once it is shown to hold for anybody who knows the log's key."""
    (found,) = witness.contradictions()
    first, second = (checkpoints.open_checkpoint(raw, ORIGIN, LOG_KEY) for raw in (found.cosigned, found.refused))
    assert first.checkpoint.size == second.checkpoint.size == found.size
    assert first.checkpoint.root != second.checkpoint.root
    return found


def test_a_note_that_contradicts_a_cosigned_one_is_kept_as_evidence(witness: Witness) -> None:
    witness.add_checkpoint(TREE.request(0, 8), NOW)
    refused(witness, FORK.request(8, 8), NOW + 7)
    found = evidence(witness)
    assert found == Contradiction(ORIGIN, 8, TREE.note(8).format(), FORK.note(8).format(), NOW + 7)
    assert witness.followed() == [Followed(ORIGIN, 8, (8,))]


@pytest.mark.parametrize("old", [0, 3, 8, 15])
def test_evidence_is_kept_whatever_else_is_wrong_with_the_request(witness: Witness, old: int) -> None:
    witness.add_checkpoint(TREE.request(0, 8), NOW)
    witness.add_checkpoint(TREE.request(8, 15), NOW)
    refused(witness, AddCheckpoint(old, (), FORK.note(8)).format())
    assert evidence(witness).refused == FORK.note(8).format()


def test_the_first_contradiction_of_a_size_is_kept(witness: Witness) -> None:
    witness.add_checkpoint(TREE.request(0, 8), NOW)
    for name in ("a", "b", "a"):
        refused(witness, TREE.fork(5, name).request(8, 8))
    assert evidence(witness).refused == TREE.fork(5, "a").note(8).format()
    witness.add_checkpoint(TREE.request(8, 9), NOW)
    refused(witness, FORK.request(9, 9))
    assert [found.size for found in witness.contradictions()] == [8, 9]


def test_two_roots_of_the_empty_tree_are_evidence_once(witness: Witness) -> None:
    witness.add_checkpoint(TREE.request(0, 0), NOW)
    wrong = TREE.text(0).replace("47DEQpj8HBSa", "47DEQpj8HBSb")
    signed = SignedNote(wrong, (notes.sign(wrong, ORIGIN, TREE.key),))
    for _ in range(2):
        refused(witness, AddCheckpoint(0, (), signed).format())
    assert evidence(witness).size == 0


def test_notes_are_kept_with_the_logs_signatures_and_no_others(witness: Witness) -> None:
    strangers = [NoteSignature("stranger.example", b"1234", bytes(1_000)) for _ in range(20)]
    for tree in (TREE, FORK):
        body = AddCheckpoint(0 if tree is TREE else 8, (), tree.note(8, *strangers)).format()
        if tree is TREE:
            witness.add_checkpoint(body, NOW)
        else:
            refused(witness, body)
    found = evidence(witness)
    assert (found.cosigned, found.refused) == (TREE.note(8).format(), FORK.note(8).format())


def test_what_is_no_contradiction_is_not_kept(witness: Witness) -> None:
    witness.add_checkpoint(TREE.request(0, 8), NOW)
    refused(witness, TREE.request(0, 8))
    refused(witness, FORK.request(8, 15))
    refused(witness, FORK.request(3, 7))
    refused(witness, Tree(FORK.leaves, ORIGIN, key("mallory")).request(8, 8))
    assert witness.contradictions() == []


# --- several at once -----------------------------------------------------------------------


def test_of_two_extensions_at_once_exactly_one_wins(tmp_path: Path) -> None:
    witnesses = [a_witness(tmp_path), a_witness(tmp_path)]
    latest, trees = 0, [TREE, TREE]
    for size in range(2, 24, 2):
        trees = [trees[0], trees[0].fork(latest, f"rival {size}")]
        # The smaller of the two must not roll back the larger one.
        bodies = [trees[0].request(latest, size - 1), trees[1].request(latest, size)]
        together = threading.Barrier(2)

        def ask(witness: Witness, body: bytes, together: threading.Barrier = together) -> bool:
            together.wait()
            try:
                witness.add_checkpoint(body, NOW)
            except SizeConflictError:
                return False
            return True

        with ThreadPoolExecutor(2) as threads:
            won = list(threads.map(ask, witnesses, bodies))
        assert sorted(won) == [False, True]
        latest = size - 1 if won[0] else size
        trees = trees if won[0] else trees[::-1]
        assert [seen(witness) for witness in witnesses] == [latest, latest]


def test_many_threads_of_one_witness_cosign_one_history(witness: Witness) -> None:
    """Each thread pushes the log on from wherever the last conflict said that the witness is."""

    def push(_: int) -> list[int]:
        acknowledged, old = [], 0
        while old < 24:
            try:
                witness.add_checkpoint(TREE.request(old, old + 1), NOW)
            except SizeConflictError as conflict:
                old = conflict.known_size
            else:
                old += 1
                acknowledged.append(old)
        return acknowledged

    with ThreadPoolExecutor(4) as threads:
        acknowledged = [size for sizes in threads.map(push, range(4)) for size in sizes]
    assert sorted(acknowledged) == list(range(1, 25))
    assert seen(witness) == 24


# --- the memory ----------------------------------------------------------------------------


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """The file of a witness that cosigned two sizes and refused another root for one."""
    witness = a_witness(tmp_path)
    witness.add_checkpoint(TREE.request(0, 8), NOW)
    witness.add_checkpoint(TREE.request(8, 15), NOW)
    refused(witness, FORK.request(15, 15))
    return tmp_path / "witness.db"


COSIGNED = f"INTO cosigned_checkpoints (origin, size, root, note, time) VALUES ('{ORIGIN}', "
CONTRADICTED = f"INTO contradictions (origin, size, root, note, time) VALUES ('{ORIGIN}', "


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM cosigned_checkpoints",
        "UPDATE cosigned_checkpoints SET size = 14 WHERE size = 15",
        "UPDATE cosigned_checkpoints SET size = 16 WHERE size = 15",
        "UPDATE cosigned_checkpoints SET root = zeroblob(32) WHERE size = 15",
        "UPDATE cosigned_checkpoints SET note = x'00' WHERE size = 15",
        "UPDATE cosigned_checkpoints SET origin = 'another' WHERE size = 15",
        "UPDATE cosigned_checkpoints SET time = time - 1 WHERE size = 15",
        "UPDATE cosigned_checkpoints SET time = time + 1 WHERE size = 8",
        f"INSERT {COSIGNED} 15, zeroblob(32), x'00', {NOW})",
        f"INSERT OR REPLACE {COSIGNED} 15, zeroblob(32), x'00', {NOW})",
        f"INSERT OR REPLACE {COSIGNED} 8, zeroblob(32), x'00', {NOW})",
        f"INSERT {COSIGNED} 14, zeroblob(32), x'00', {NOW})",
        f"INSERT {COSIGNED} 16, zeroblob(32), x'00', {NOW - 1})",
        "DELETE FROM contradictions",
        "UPDATE contradictions SET note = x'00'",
        f"INSERT OR REPLACE {CONTRADICTED} 15, zeroblob(32), x'00', {NOW})",
        f"INSERT {CONTRADICTED} 14, zeroblob(32), x'00', {NOW})",
        f"INSERT {CONTRADICTED} 8, (SELECT root FROM cosigned_checkpoints WHERE size = 8), x'00', {NOW})",
        "DELETE FROM witness",
        "UPDATE witness SET name = 'another'",
        "INSERT INTO witness (id, name) VALUES (2, 'another')",
        "INSERT OR REPLACE INTO witness (id, name) VALUES (1, 'another')",
    ],
)
def test_the_database_itself_lets_nothing_be_forgotten(memory: Path, statement: str) -> None:
    database = open_sqlite(memory)
    with pytest.raises(StoreError), database.write() as connection:
        connection.execute(text(statement))
    with sqlite3.connect(memory) as plain, pytest.raises(sqlite3.IntegrityError):
        plain.execute(statement)
    plain.close()
    database.close()
    kept = a_witness(memory.parent)
    assert kept.followed() == [Followed(ORIGIN, 15, (15,))]
    assert evidence(kept).cosigned == TREE.note(15).format()


def test_what_cannot_be_kept_is_not_cosigned(tmp_path: Path) -> None:
    witness = a_witness(tmp_path)
    with sqlite3.connect(tmp_path / "witness.db") as plain:
        plain.execute(
            "CREATE TRIGGER full BEFORE INSERT ON cosigned_checkpoints BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    plain.close()
    with pytest.raises(StoreError, match="disk is full"):
        witness.add_checkpoint(TREE.request(0, 8), NOW)
    assert seen(witness) == 0


def test_a_memory_belongs_to_one_witness(tmp_path: Path) -> None:
    database = a_database(tmp_path)
    create_witness(database, NAME)
    for use in (lambda: create_witness(database, "other"), lambda: Witness(database, "other", WITNESS, [LOG_KEY])):
        with pytest.raises(UsageError, match=f"memory of the witness {NAME}, not of other"):
            use()


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb", "a\u2003b"])
def test_a_witness_needs_a_name_that_a_note_can_carry(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name for a witness"):
        a_database(tmp_path, name)


def test_a_database_without_a_witness_is_no_memory(tmp_path: Path) -> None:
    database = open_sqlite(tmp_path / "empty.db")
    with pytest.raises(StoreError, match="not the memory of a witness"):
        Witness(database, NAME, WITNESS, [LOG_KEY])


def test_a_witness_does_not_follow_itself(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="its own key"):
        a_witness(tmp_path, [Verifier(ORIGIN, ED25519, WITNESS.public_key)])
