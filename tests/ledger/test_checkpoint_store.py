"""The stored checkpoints: signed once for a size and only over what is right, cosigned, published, never taken back."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from ledger import notes
from ledger.checkpoint_store import Checkpoints, SignedCheckpoint
from ledger.checkpoints import Checkpoint, Opened, issue, parse
from ledger.database import Database, open_sqlite
from ledger.errors import LogCorruptedError, NotFoundError, StoreError, UsageError, VerificationError
from ledger.keys import SecretKey
from ledger.log_keys import log_origin, log_verifier, open_log_checkpoint
from ledger.merkle import leaf_hash, root_of
from ledger.notes import COSIGNATURE, NoteSignature, Verifier
from ledger.store import Store, create_log
from tests import writers
from tests.backends import OTHER_LOG, log, new_database, on_both, other_database
from tests.builders import ALICE, REGISTRY, Who, World, key
from tests.leaves import execute, flip, rows_of, unguarded
from tests.logs import Log

__all__ = ["log", "new_database", "other_database"]

pytest_generate_tests = on_both

SIZE = 9
"""The entries of the log that most tests begin with."""

FIRST, SECOND = (Verifier(f"witness.example/{name}", COSIGNATURE, key(name).public_key) for name in ("w1", "w2"))
SEEN = 1_767_139_200


@pytest.fixture
def path(log: Log, tmp_path: Path) -> Path:
    """The file of the log."""
    return tmp_path / writers.LOG


@pytest.fixture
def checkpoints(log: Log) -> Checkpoints:
    return log.store.checkpoints


def sign(log: Log, by: SecretKey | None = None) -> SignedCheckpoint:
    """Sign a checkpoint, by default with the log's own key; publish nothing."""
    return log.store.checkpoints.sign(by or log.world.log.key, log.clock())


def grow(log: Log) -> SignedCheckpoint:
    """Append an event and sign again."""
    log.admit(log.world.author())
    return sign(log)


def root(log: Log) -> bytes:
    return root_of([leaf_hash(entry.leaf()) for entry in log.store.entries()])


def cosignature(checkpoint: SignedCheckpoint, by: Verifier = FIRST, time: int = SEEN) -> NoteSignature:
    return notes.cosign(notes.parse(checkpoint.note).text, by.name, key(by.name[-2:]), time)


# Signing.


def test_a_signed_checkpoint_states_the_root_of_all_entries(log: Log) -> None:
    signed = sign(log)
    stated = parse(notes.parse(signed.note).text)
    assert (stated.origin, stated.size, stated.root) == (log_origin(REGISTRY), SIZE, root(log))
    assert (signed.size, signed.root) == (SIZE, root(log))


def test_a_signed_checkpoint_opens_with_the_logs_key(log: Log) -> None:
    opened = open_log_checkpoint(sign(log).note, REGISTRY, log.store.registry().keys)
    assert opened.signers == (log_verifier(REGISTRY, log.world.log.key.public_key),)


def test_signing_again_is_the_same_checkpoint(log: Log) -> None:
    first = sign(log)
    log.clock.advance(60)
    assert sign(log) == first


def test_signing_through_another_store_is_the_same_checkpoint(log: Log, path: Path) -> None:
    first = sign(log)
    assert sign(Log(log.world, Store(open_sqlite(path)), log.clock)) == first


def test_a_grown_log_is_signed_anew(log: Log) -> None:
    first = sign(log)
    assert (first.size, grow(log).size) == (SIZE, SIZE + 1)


def test_a_checkpoint_is_as_old_as_the_clock_says(log: Log) -> None:
    log.clock.set("2026-07-01T00:00:00Z")
    assert sign(log).signed_at == log.clock.now


def test_a_checkpoint_is_never_older_than_the_one_before(log: Log) -> None:
    log.clock.advance(60)
    first = sign(log)
    log.clock.now -= 3_600_000_000
    assert grow(log).signed_at == first.signed_at


def test_a_checkpoint_is_never_older_than_its_last_entry(log: Log) -> None:
    log.clock.now -= 3_600_000_000
    assert sign(log).signed_at == log.store.head().received_at


def test_an_empty_log_has_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="an empty log"):
        sign(Log.empty(tmp_path))


def other_keys(world: World) -> list[SecretKey]:
    return [world.registry.key, world.receipt.key, ALICE.key, key("somebody else's log key")]


@pytest.mark.parametrize("which", range(4), ids=["event", "receipt", "contributor", "unknown"])
def test_a_key_that_is_not_the_logs_signs_nothing(log: Log, path: Path, which: int) -> None:
    with pytest.raises(VerificationError) as refused:
        sign(log, other_keys(log.world)[which])
    assert (refused.value.step, rows_of(path, "checkpoints")) == ("key validity", [])


def test_a_rotated_key_signs_nothing_more(log: Log, path: Path) -> None:
    second = Who(key("second log key"), "pith_registry", log.world.log.signer_id)
    log.admit(log.world.rotation(log.world.log, second, "log", by=log.world.registry))
    with pytest.raises(VerificationError, match="rotated") as refused:
        sign(log)
    assert (refused.value.step, rows_of(path, "checkpoints")) == ("key validity", [])


def test_the_successor_of_a_rotated_key_signs(log: Log) -> None:
    second = Who(key("second log key"), "pith_registry", log.world.log.signer_id)
    log.admit(log.world.rotation(log.world.log, second, "log", by=log.world.registry))
    assert sign(log, second.key).size == SIZE + 1


def test_a_revoked_key_signs_nothing_more(log: Log, path: Path) -> None:
    log.admit(log.world.revocation(log.world.log, by=log.world.registry))
    with pytest.raises(VerificationError, match="revoked") as refused:
        sign(log)
    assert (refused.value.step, rows_of(path, "checkpoints")) == ("key validity", [])


def test_an_expired_key_signs_nothing(log: Log, path: Path) -> None:
    brief = Who(key("brief log key"), "pith_registry", log.world.log.signer_id)
    log.admit(log.world.registration(brief, "log", not_after="2026-06-20T00:00:00Z"))
    log.clock.set("2026-06-20T00:00:01Z")
    with pytest.raises(VerificationError, match="expired") as refused:
        sign(log, brief.key)
    assert (refused.value.step, rows_of(path, "checkpoints")) == ("key validity", [])


def test_a_log_that_did_not_grow_keeps_its_checkpoint_when_the_key_has_expired(log: Log) -> None:
    brief = Who(key("brief log key"), "pith_registry", log.world.log.signer_id)
    log.admit(log.world.registration(brief, "log", not_after="2026-06-20T00:00:00Z"))
    signed = sign(log, brief.key)
    log.clock.set("2026-06-20T00:00:01Z")
    assert sign(log, brief.key) == signed


Spoil = Callable[[sqlite3.Connection], object]

DAMAGE: dict[str, Spoil] = {
    "an event": lambda c: flip(c, "events", "event", "position = 5", 40),
    "a time": lambda c: c.execute("UPDATE events SET received_at = received_at + 1 WHERE position = 8"),
    "a lost event": lambda c: c.execute("DELETE FROM events WHERE position = 2"),
    "a leaf": lambda c: flip(c, "tiles", "nodes", "level = 0", 0),
    "an inner node": lambda c: flip(c, "tiles", "nodes", "level = 0", 64),
    "a lost tile": lambda c: c.execute("DELETE FROM tiles"),
    "the frontier": lambda c: flip(c, "log_head", "frontier", "id = 1", 8),
}


@pytest.mark.parametrize("spoil", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_log_is_not_signed(log: Log, path: Path, spoil: Spoil) -> None:
    with unguarded(path) as connection:
        spoil(connection)
    with pytest.raises(LogCorruptedError):
        sign(log)
    assert rows_of(path, "checkpoints") == []


@pytest.mark.parametrize("spoil", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_log_damaged_since_its_last_checkpoint_is_not_signed(log: Log, path: Path, spoil: Spoil) -> None:
    first = sign(log)
    log.admit(log.world.author())
    with unguarded(path) as connection:
        spoil(connection)
    with pytest.raises(LogCorruptedError):
        sign(log)
    assert log.store.checkpoints.newest() == first


def test_a_log_that_was_rewritten_behind_its_last_checkpoint_is_not_signed(log: Log, tmp_path: Path) -> None:
    first = sign(log)
    (tmp_path / "other").mkdir()
    other = Log.empty(tmp_path / "other")
    other.clock.advance(1)
    other.admit(*other.world.opening(), *other.world.people(), other.world.record_created(), other.world.author())
    with unguarded(tmp_path / writers.LOG) as mine:
        mine.execute("ATTACH ? AS other", (str(tmp_path / "other" / writers.LOG),))
        for table in ("events", "tiles", "log_head"):
            mine.execute(f"DELETE FROM main.{table}")
            mine.execute(f"INSERT INTO main.{table} SELECT * FROM other.{table}")
    with pytest.raises(LogCorruptedError, match="the tree of 10 entries does not extend the one of 9"):
        sign(log)
    assert log.store.checkpoints.newest() == first


def test_a_signature_whose_storing_fails_leaves_nothing(log: Log, path: Path) -> None:
    execute(path, "CREATE TRIGGER full AFTER INSERT ON checkpoints BEGIN SELECT RAISE(ABORT, 'no space'); END")
    with pytest.raises(StoreError, match="no space"):
        sign(log)
    assert (rows_of(path, "checkpoints"), log.store.checkpoints.newest()) == ([], None)


def test_a_checkpoint_is_signed_once_the_failure_is_over(log: Log, path: Path) -> None:
    execute(path, "CREATE TRIGGER full AFTER INSERT ON checkpoints BEGIN SELECT RAISE(ABORT, 'no space'); END")
    with pytest.raises(StoreError):
        sign(log)
    execute(path, "DROP TRIGGER full")
    assert sign(log).root == root(log)


def test_a_checkpoint_is_there_after_reopening(log: Log, path: Path) -> None:
    signed = log.checkpoint()
    assert Store(open_sqlite(path)).checkpoints.published() == signed


def sign_while_growing(path: Path, name: str) -> list[SignedCheckpoint]:
    """Append events and sign after each, beside others who do the same."""
    log = Log(World(), Store(open_sqlite(path, durable=False)))
    found = []
    for number in range(12):
        log.admit(log.world.author(claims=[f"{name} {number}"]))
        found.append(sign(log))
    return found


def test_processes_sign_one_checkpoint_for_a_size(log: Log, path: Path) -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
        answers = list(processes.map(sign_while_growing, [path] * 2, ["one", "other"]))
    kept = {signed.size: signed for signed in log.store.checkpoints.all()}
    assert all(kept[signed.size] == signed for answer in answers for signed in answer)
    assert log.store.head().size == SIZE + 24


# Reading.


def test_an_unsigned_log_has_no_newest_checkpoint(checkpoints: Checkpoints) -> None:
    assert checkpoints.newest() is None


def test_the_newest_checkpoint_is_the_greatest(log: Log, checkpoints: Checkpoints) -> None:
    sign(log)
    second = grow(log)
    assert checkpoints.newest() == second


def test_a_checkpoint_is_found_by_its_size(log: Log, checkpoints: Checkpoints) -> None:
    first = sign(log)
    grow(log)
    assert checkpoints.at(SIZE) == first


@pytest.mark.parametrize("size", [0, 8, 10])
def test_a_size_that_was_not_signed_has_no_checkpoint(log: Log, checkpoints: Checkpoints, size: int) -> None:
    sign(log)
    with pytest.raises(NotFoundError, match=f"no checkpoint of {size} entries"):
        checkpoints.at(size)


def test_all_checkpoints_come_smallest_first(log: Log, checkpoints: Checkpoints) -> None:
    signed = [sign(log), grow(log), grow(log)]
    assert list(checkpoints.all()) == signed


# Publishing.


def test_a_signed_checkpoint_is_not_published_by_itself(log: Log, checkpoints: Checkpoints) -> None:
    sign(log)
    with pytest.raises(NotFoundError, match="no checkpoint was published"):
        checkpoints.published()


def test_a_published_checkpoint_is_served(log: Log, checkpoints: Checkpoints) -> None:
    signed = sign(log)
    checkpoints.publish(SIZE)
    assert checkpoints.published() == signed


def test_a_greater_signed_checkpoint_is_not_served_until_it_is_published(log: Log, checkpoints: Checkpoints) -> None:
    first = log.checkpoint()
    grow(log)
    assert checkpoints.published() == first


def test_the_greatest_published_checkpoint_is_served(log: Log, checkpoints: Checkpoints) -> None:
    sign(log)
    second = grow(log)
    checkpoints.publish(second.size)
    checkpoints.publish(SIZE)
    assert checkpoints.published() == second


def test_publishing_twice_is_publishing_once(log: Log, checkpoints: Checkpoints, path: Path) -> None:
    sign(log)
    checkpoints.publish(SIZE)
    checkpoints.publish(SIZE)
    assert rows_of(path, "publications") == [(SIZE,)]


def test_what_was_not_signed_is_not_published(log: Log, checkpoints: Checkpoints, path: Path) -> None:
    sign(log)
    with pytest.raises(NotFoundError):
        checkpoints.publish(SIZE + 1)
    assert rows_of(path, "publications") == []


# Cosignatures.


def test_a_cosigned_checkpoint_carries_its_witnesses_lines(log: Log, checkpoints: Checkpoints) -> None:
    signed = sign(log)
    checkpoints.add_cosignatures(SIZE, {FIRST: cosignature(signed), SECOND: cosignature(signed, SECOND)})
    note = checkpoints.at(SIZE).note
    opened = open_log_checkpoint(note, REGISTRY, log.store.registry().keys, others=[FIRST, SECOND])
    assert set(opened.signers) == {log_verifier(REGISTRY, log.world.log.key.public_key), FIRST, SECOND}


def test_the_logs_own_line_comes_first(log: Log, checkpoints: Checkpoints) -> None:
    signed = sign(log)
    checkpoints.add_cosignatures(SIZE, {FIRST: cosignature(signed)})
    assert checkpoints.at(SIZE).note == signed.note + cosignature(signed).format().encode()


def test_the_published_checkpoint_gains_later_cosignatures(log: Log, checkpoints: Checkpoints) -> None:
    signed = log.checkpoint()
    checkpoints.add_cosignatures(SIZE, {FIRST: cosignature(signed)})
    assert cosignature(signed).format().encode() in checkpoints.published().note


def test_signing_again_keeps_the_cosignatures(log: Log, checkpoints: Checkpoints) -> None:
    checkpoints.add_cosignatures(SIZE, {FIRST: cosignature(sign(log))})
    assert sign(log) == checkpoints.at(SIZE)


def test_a_witness_that_cosigned_already_is_passed_over(log: Log, checkpoints: Checkpoints) -> None:
    signed = sign(log)
    checkpoints.add_cosignatures(SIZE, {FIRST: cosignature(signed)})
    before = checkpoints.at(SIZE)
    checkpoints.add_cosignatures(SIZE, {FIRST: cosignature(signed, time=SEEN + 60)})
    assert checkpoints.at(SIZE) == before


Forge = Callable[[SignedCheckpoint, SignedCheckpoint], NoteSignature]
"""Makes a line from the checkpoint it is to stand under, and a later one."""


def with_bytes(line: NoteSignature, signature: bytes) -> NoteSignature:
    return NoteSignature(line.name, line.key_hash, signature)


FORGERIES: dict[str, Forge] = {
    "another checkpoint": lambda _, grown: cosignature(grown),
    "another witness": lambda signed, _: cosignature(signed, SECOND),
    "another key": lambda signed, _: notes.cosign(notes.parse(signed.note).text, FIRST.name, key("w2"), SEEN),
    "another key's bytes": lambda signed, _: with_bytes(cosignature(signed), cosignature(signed, SECOND).signature),
    "another time": lambda signed, _: with_bytes(cosignature(signed), bytes(8) + cosignature(signed).signature[8:]),
    "a plain signature": lambda signed, _: notes.sign(notes.parse(signed.note).text, FIRST.name, key("w1")),
    "no signature": lambda signed, _: with_bytes(cosignature(signed), b""),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_line_that_no_witness_made_over_this_checkpoint_is_not_kept(log: Log, path: Path, forge: Forge) -> None:
    signed = sign(log)
    forged = forge(signed, grow(log))
    with pytest.raises(VerificationError) as refused:
        log.store.checkpoints.add_cosignatures(SIZE, {FIRST: forged})
    assert (refused.value.step, rows_of(path, "cosignatures")) == ("checkpoint", [])


def test_nothing_is_kept_of_lines_of_which_one_does_not_hold(log: Log, path: Path) -> None:
    signed = sign(log)
    with pytest.raises(VerificationError):
        log.store.checkpoints.add_cosignatures(SIZE, {FIRST: cosignature(signed), SECOND: cosignature(signed)})
    assert rows_of(path, "cosignatures") == []


def test_nothing_is_cosigned_at_a_size_that_was_not_signed(log: Log, path: Path) -> None:
    signed = sign(log)
    with pytest.raises(NotFoundError):
        log.store.checkpoints.add_cosignatures(SIZE + 1, {FIRST: cosignature(signed)})
    assert rows_of(path, "cosignatures") == []


def test_the_cosigners_of_a_size_are_its_witnesses(log: Log, checkpoints: Checkpoints) -> None:
    signed, grown = sign(log), grow(log)
    checkpoints.add_cosignatures(SIZE, {FIRST: cosignature(signed), SECOND: cosignature(signed, SECOND)})
    checkpoints.add_cosignatures(SIZE + 1, {SECOND: cosignature(grown, SECOND)})
    assert [set(checkpoints.cosigners(size, [FIRST, SECOND])) for size in (SIZE, SIZE + 1)] == [
        {FIRST, SECOND},
        {SECOND},
    ]


def test_each_witness_is_known_with_the_greatest_size_it_cosigned(log: Log, checkpoints: Checkpoints) -> None:
    signed, grown = sign(log), grow(log)
    checkpoints.add_cosignatures(SIZE + 1, {SECOND: cosignature(grown, SECOND)})
    checkpoints.add_cosignatures(SIZE, {FIRST: cosignature(signed), SECOND: cosignature(signed, SECOND)})
    assert checkpoints.cosigned() == {FIRST.format(): SIZE, SECOND.format(): SIZE + 1}


# Adopting another copy's checkpoints.


def opened_at(log: Log, size: int, root: bytes) -> Opened:
    """Return a checkpoint that the log's key signed, whatever it states."""
    note = issue(Checkpoint(log_origin(REGISTRY), size, root), log.world.log.key).format()
    return open_log_checkpoint(note, REGISTRY, log.store.registry().keys)


@pytest.fixture
def mirror(log: Log, other_database: Database) -> Store:
    """A copy of the log's entries, without checkpoints."""
    create_log(other_database, REGISTRY)
    store = Store(other_database)
    store.adopt(list(log.store.entries()))
    return store


def reopened(log: Log, checkpoint: SignedCheckpoint) -> Opened:
    return open_log_checkpoint(checkpoint.note, REGISTRY, log.store.registry().keys, others=[FIRST])


def test_a_line_that_nobody_verified_is_not_adopted(log: Log, mirror: Store) -> None:
    signed = sign(log)
    log.store.checkpoints.add_cosignatures(SIZE, {FIRST: cosignature(signed)})
    cosigned = log.store.checkpoints.at(SIZE)
    unasked = open_log_checkpoint(cosigned.note, REGISTRY, log.store.registry().keys)
    assert mirror.checkpoints.adopt(unasked, log.clock()).note == signed.note


def test_a_cosignature_that_comes_later_is_adopted_too(log: Log, mirror: Store) -> None:
    signed = sign(log)
    mirror.checkpoints.adopt(reopened(log, signed), log.clock())
    log.store.checkpoints.add_cosignatures(SIZE, {FIRST: cosignature(signed)})
    mirror.checkpoints.adopt(reopened(log, log.store.checkpoints.at(SIZE)), log.clock())
    assert mirror.checkpoints.published().note == log.store.checkpoints.at(SIZE).note


def test_an_adopted_checkpoint_is_served_byte_for_byte(log: Log, mirror: Store) -> None:
    log.store.checkpoints.add_cosignatures(SIZE, {FIRST: cosignature(sign(log))})
    cosigned = log.store.checkpoints.at(SIZE)
    mirror.checkpoints.adopt(reopened(log, cosigned), log.clock())
    assert mirror.checkpoints.published().note == cosigned.note


def test_a_checkpoint_of_fewer_entries_than_are_here_is_adopted(log: Log, mirror: Store) -> None:
    first = sign(log)
    log.admit(log.world.author())
    mirror.adopt(list(log.store.entries(SIZE)))
    mirror.checkpoints.adopt(reopened(log, first), log.clock())
    assert mirror.checkpoints.published().size == SIZE


def test_a_checkpoint_adopted_again_is_the_same(log: Log, mirror: Store) -> None:
    opened = reopened(log, sign(log))
    first = mirror.checkpoints.adopt(opened, log.clock())
    assert mirror.checkpoints.adopt(opened, log.clock()) == first


@pytest.mark.parametrize("size", [3, 8, SIZE])
def test_a_checkpoint_with_another_root_is_not_adopted(log: Log, path: Path, size: int) -> None:
    with pytest.raises(LogCorruptedError, match="another root"):
        log.store.checkpoints.adopt(opened_at(log, size, bytes(32)), log.clock())
    assert (rows_of(path, "checkpoints"), rows_of(path, "publications")) == ([], [])


def test_another_root_for_a_signed_size_is_not_adopted(log: Log, checkpoints: Checkpoints) -> None:
    signed = log.checkpoint()
    with pytest.raises(LogCorruptedError, match="another root"):
        checkpoints.adopt(opened_at(log, SIZE, bytes(32)), log.clock())
    assert checkpoints.published() == signed


def test_a_checkpoint_beyond_the_entries_here_is_not_adopted(log: Log, mirror: Store) -> None:
    with pytest.raises(UsageError, match="does not reach"):
        mirror.checkpoints.adopt(reopened(log, grow(log)), log.clock())
    assert mirror.checkpoints.newest() is None


def test_an_older_checkpoint_does_not_replace_a_newer_one(log: Log, mirror: Store) -> None:
    first, second = sign(log), grow(log)
    mirror.adopt(list(log.store.entries(SIZE)))
    mirror.checkpoints.adopt(reopened(log, second), log.clock())
    mirror.checkpoints.adopt(reopened(log, first), log.clock())
    assert [signed.size for signed in mirror.checkpoints.all()] == [SIZE + 1]


def test_an_adoption_that_was_interrupted_is_completed_by_the_next(log: Log, mirror: Store, tmp_path: Path) -> None:
    opened = reopened(log, sign(log))
    copy = tmp_path / OTHER_LOG
    execute(copy, "CREATE TRIGGER full BEFORE INSERT ON publications BEGIN SELECT RAISE(ABORT, 'no space'); END")
    with pytest.raises(StoreError):
        mirror.checkpoints.adopt(opened, log.clock())
    execute(copy, "DROP TRIGGER full")
    mirror.checkpoints.adopt(opened, log.clock())
    assert mirror.checkpoints.published().note == opened.note.format()
