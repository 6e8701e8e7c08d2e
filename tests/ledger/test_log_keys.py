"""The log's keys: which of them may sign a checkpoint of which size, and why another is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ledger import notes
from ledger.checkpoints import Checkpoint, Opened, issue
from ledger.errors import VerificationError
from ledger.keyring import microseconds
from ledger.keys import SecretKey
from ledger.log_keys import log_origin, log_verifier, open_log_checkpoint
from ledger.merkle import EMPTY_ROOT
from ledger.notes import COSIGNATURE, NoteSignature, SignedNote, Verifier
from tests.builders import ALICE, OPENED, REGISTRY, Who, World, key
from tests.logs import Log

ORIGIN = "test.registry/log"
SIZE = 9
"""The entries of the log that each test begins with; the log key came in at position 2."""

ROOT = bytes(range(32))
SECOND = Who(key("second log key"), "pith_registry", f"registry:{REGISTRY}")
WITNESS = Verifier("witness.example/w1", COSIGNATURE, key("w1").public_key)
THEFT = "2026-06-19T16:00:30Z"
BEFORE_THEFT = microseconds(THEFT) - 1


def text(size: int, origin: str = ORIGIN) -> str:
    return Checkpoint(origin, size, ROOT).format()


def line(log: Log, size: int, by: SecretKey | None = None, name: str = ORIGIN) -> NoteSignature:
    return notes.sign(text(size), name, by or log.world.log.key)


def a_note(log: Log, size: int, by: SecretKey | None = None) -> bytes:
    """Return a checkpoint of some size, signed by the log's first key or another."""
    return issue(Checkpoint(ORIGIN, size, ROOT), by or log.world.log.key).format()


def opened(log: Log, raw: bytes, **known: Any) -> Opened:
    return open_log_checkpoint(raw, REGISTRY, log.store.registry().keys, **known)


def refusal(log: Log, raw: bytes, **known: Any) -> tuple[str, str]:
    """Open a checkpoint that must be refused; return the step and why."""
    with pytest.raises(VerificationError) as refused:
        opened(log, raw, **known)
    return refused.value.step, refused.value.message


def is_refused_for(log: Log, raw: bytes, reason: str, **known: Any) -> bool:
    """Say whether a checkpoint is refused because its key was not valid, for a certain reason."""
    step, message = refusal(log, raw, **known)
    return step == "key validity" and reason in message


# Names.


def test_a_logs_origin_is_its_registrys_name_and_log() -> None:
    assert log_origin("pith.example") == "pith.example/log"


def test_a_log_key_signs_under_the_origin() -> None:
    public_key = key("log").public_key
    assert log_verifier("pith.example", public_key) == Verifier("pith.example/log", 0x01, public_key)


# The first key.


@pytest.mark.parametrize("size", [3, 4, SIZE])
def test_a_checkpoint_by_the_logs_key_opens(log: Log, size: int) -> None:
    found = opened(log, a_note(log, size))
    assert (found.checkpoint.size, found.checkpoint.root) == (size, ROOT)


def test_the_signer_is_named(log: Log) -> None:
    assert opened(log, a_note(log, SIZE)).signers == (log_verifier(REGISTRY, log.world.log.key.public_key),)


@pytest.mark.parametrize("size", [0, 1, 2])
def test_a_size_before_the_key_was_registered_is_refused(log: Log, size: int) -> None:
    assert is_refused_for(log, a_note(log, size), "not registered")


def test_an_empty_log_has_no_checkpoint_that_opens(log: Log) -> None:
    raw = issue(Checkpoint(ORIGIN, 0, EMPTY_ROOT), log.world.log.key).format()
    assert is_refused_for(log, raw, "not registered")


def test_what_is_not_known_yet_vouches_for_nothing(log: Log) -> None:
    assert is_refused_for(log, a_note(log, SIZE), "no key that test.registry registered", before=2)


@pytest.mark.parametrize("by", ["event", "receipt", "contributor", "stranger"])
def test_another_key_signs_no_checkpoint(log: Log, by: str) -> None:
    keys = {
        "event": log.world.registry.key,
        "receipt": log.world.receipt.key,
        "contributor": ALICE.key,
        "stranger": key("stranger"),
    }
    assert is_refused_for(log, a_note(log, SIZE, keys[by]), "no key that test.registry registered")


def test_a_witness_alone_vouches_for_no_checkpoint(log: Log) -> None:
    seen = notes.cosign(text(SIZE), WITNESS.name, key("w1"), 1_767_139_200)
    raw = SignedNote(text(SIZE), (seen,)).format()
    assert is_refused_for(log, raw, "no key that test.registry registered", others=[WITNESS])


def test_the_logs_key_under_another_name_is_another_key(log: Log) -> None:
    raw = SignedNote(text(SIZE), (line(log, SIZE, name="other.registry/log"),)).format()
    assert is_refused_for(log, raw, "no key that test.registry registered")


# Other logs and broken notes.


def test_a_checkpoint_of_another_log_is_refused(log: Log) -> None:
    raw = issue(Checkpoint("other.registry/log", SIZE, ROOT), log.world.log.key).format()
    assert refusal(log, raw) == ("checkpoint", f"this is a checkpoint of 'other.registry/log', not of '{ORIGIN}'")


def test_another_logs_checkpoint_signed_in_our_name_is_refused(log: Log) -> None:
    foreign = text(SIZE, "other.registry/log")
    raw = SignedNote(foreign, (notes.sign(foreign, ORIGIN, log.world.log.key),)).format()
    assert refusal(log, raw)[0] == "checkpoint"


def test_the_registrys_name_alone_is_another_origin(log: Log) -> None:
    raw = issue(Checkpoint(REGISTRY, SIZE, ROOT), log.world.log.key).format()
    assert refusal(log, raw)[0] == "checkpoint"


@pytest.mark.parametrize("raw", [b"", b"no note", b"a text\n\nno signature\n", b"\xff\n\n"])
def test_what_is_no_note_is_refused(log: Log, raw: bytes) -> None:
    assert refusal(log, raw)[0] == "checkpoint"


def test_a_signed_text_that_is_no_checkpoint_is_refused(log: Log) -> None:
    other = f"{ORIGIN}\nno size and no root, but the log's key signed it\n"
    raw = SignedNote(other, (notes.sign(other, ORIGIN, log.world.log.key),)).format()
    assert refusal(log, raw)[0] == "checkpoint"


def test_a_signature_over_another_checkpoint_is_refused(log: Log) -> None:
    raw = SignedNote(text(SIZE), (line(log, SIZE - 1),)).format()
    step, reason = refusal(log, raw)
    assert (step, "does not hold" in reason) == ("checkpoint", True)


def test_two_lines_by_one_key_are_refused(log: Log) -> None:
    raw = SignedNote(text(SIZE), (line(log, SIZE), line(log, SIZE))).format()
    assert refusal(log, raw) == ("checkpoint", f"{ORIGIN} signed twice with one key")


# Other lines.


def test_lines_of_unknown_keys_are_carried_along(log: Log) -> None:
    stranger = notes.cosign(text(SIZE), "stranger.example/w9", key("w9"), 1_767_139_200)
    unknown_kind = NoteSignature("stranger.example/mldsa", b"\1\2\3\4", bytes(2_428))
    note = SignedNote(text(SIZE), (stranger, line(log, SIZE), unknown_kind))
    assert opened(log, note.format()).note == note


def test_a_line_by_an_unregistered_key_in_the_logs_name_is_carried_along(log: Log) -> None:
    raw = SignedNote(text(SIZE), (line(log, SIZE, key("stranger")), line(log, SIZE))).format()
    assert opened(log, raw).signers == (log_verifier(REGISTRY, log.world.log.key.public_key),)


def test_a_known_witness_is_named_beside_the_log(log: Log) -> None:
    seen = notes.cosign(text(SIZE), WITNESS.name, key("w1"), 1_767_139_200)
    raw = SignedNote(text(SIZE), (line(log, SIZE), seen)).format()
    assert opened(log, raw, others=[WITNESS]).signers[1:] == (WITNESS,)


def test_a_known_witnesss_line_that_does_not_hold_is_refused(log: Log) -> None:
    seen = notes.cosign(text(SIZE - 1), WITNESS.name, key("w1"), 1_767_139_200)
    raw = SignedNote(text(SIZE), (line(log, SIZE), seen)).format()
    assert refusal(log, raw, others=[WITNESS])[0] == "checkpoint"


# Rotation.


@pytest.fixture
def rotated(log: Log) -> Log:
    """A log whose key was rotated at position 9: the event key signed it, both log keys consented."""
    log.admit(log.world.rotation(log.world.log, SECOND, "log", by=log.world.registry), log.world.author())
    return log


@pytest.mark.parametrize("size", [3, SIZE])
def test_the_old_key_keeps_the_checkpoints_up_to_its_rotation(rotated: Log, size: int) -> None:
    assert opened(rotated, a_note(rotated, size)).checkpoint.size == size


@pytest.mark.parametrize("size", [SIZE + 1, SIZE + 2])
def test_the_old_key_signs_nothing_from_its_rotation_on(rotated: Log, size: int) -> None:
    assert is_refused_for(rotated, a_note(rotated, size), "rotated")


@pytest.mark.parametrize("size", [SIZE + 1, SIZE + 2])
def test_the_new_key_signs_from_the_rotation_on(rotated: Log, size: int) -> None:
    assert opened(rotated, a_note(rotated, size, SECOND.key)).checkpoint.size == size


@pytest.mark.parametrize("size", [3, SIZE])
def test_the_new_key_signs_nothing_before_the_rotation(rotated: Log, size: int) -> None:
    assert is_refused_for(rotated, a_note(rotated, size, SECOND.key), "not registered")


@pytest.mark.parametrize("order", [1, -1])
def test_of_both_keys_lines_the_one_that_may_sign_vouches(rotated: Log, order: int) -> None:
    lines = (line(rotated, SIZE + 1), line(rotated, SIZE + 1, SECOND.key))[::order]
    found = opened(rotated, SignedNote(text(SIZE + 1), lines).format())
    assert (found.signers, found.note.signatures) == ((log_verifier(REGISTRY, SECOND.key.public_key),), lines)


@pytest.mark.parametrize("order", [1, -1])
def test_a_retired_keys_line_that_does_not_hold_is_carried_along_like_an_unknown_keys(rotated: Log, order: int) -> None:
    lines = (line(rotated, SIZE + 1, SECOND.key), line(rotated, SIZE))[::order]
    assert opened(rotated, SignedNote(text(SIZE + 1), lines).format()).note.signatures == lines


def test_before_the_rotation_is_known_the_old_key_still_signs(log: Log) -> None:
    log.admit(log.world.author(), log.world.rotation(log.world.log, SECOND, "log", by=log.world.registry))
    assert opened(log, a_note(log, SIZE + 1), before=SIZE + 1).checkpoint.size == SIZE + 1


# Revocation.


def revoke(log: Log, compromised_from: str | None) -> None:
    """Revoke the log's key at position 9."""
    log.admit(log.world.revocation(log.world.log, by=log.world.registry, compromised_from=compromised_from))


@pytest.mark.parametrize("compromised_from", [None, THEFT, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"])
def test_a_revoked_key_signs_nothing_from_then_on(log: Log, compromised_from: str | None) -> None:
    revoke(log, compromised_from)
    assert is_refused_for(log, a_note(log, SIZE + 1), "revoked")


@pytest.mark.parametrize("known_at", [0, microseconds(OPENED), microseconds("2026-12-01T00:00:00Z")])
def test_a_key_revoked_from_now_on_keeps_its_checkpoints(log: Log, known_at: int) -> None:
    revoke(log, None)
    assert opened(log, a_note(log, SIZE), known_at=known_at).checkpoint.size == SIZE


@pytest.mark.parametrize("known_at", [0, microseconds(OPENED), BEFORE_THEFT])
def test_a_stolen_key_keeps_the_checkpoints_from_before_the_theft(log: Log, known_at: int) -> None:
    revoke(log, THEFT)
    assert opened(log, a_note(log, SIZE), known_at=known_at).checkpoint.size == SIZE


@pytest.mark.parametrize("known_at", [BEFORE_THEFT + 1, microseconds("2026-12-01T00:00:00Z")])
def test_a_stolen_key_keeps_no_checkpoint_from_the_theft_on(log: Log, known_at: int) -> None:
    revoke(log, THEFT)
    assert is_refused_for(log, a_note(log, SIZE), "revoked from an earlier time", known_at=known_at)


def test_a_key_compromised_in_the_future_keeps_its_checkpoints_till_then(log: Log) -> None:
    revoke(log, "2027-01-01T00:00:00Z")
    known_at = microseconds("2026-12-31T23:59:59Z")
    assert opened(log, a_note(log, SIZE), known_at=known_at).checkpoint.size == SIZE


def test_before_a_revocation_is_known_the_key_is_trusted(log: Log) -> None:
    revoke(log, "2026-01-01T00:00:00Z")
    later = microseconds("2026-12-01T00:00:00Z")
    assert opened(log, a_note(log, SIZE), known_at=later, before=SIZE).checkpoint.size == SIZE


def test_a_key_that_a_stolen_event_key_brought_in_signs_nothing(log: Log) -> None:
    backup = Who(key("backup"), "pith_registry", log.world.registry.signer_id)
    log.admit(log.world.registration(backup, "event"))
    log.clock.advance(60)
    log.admit(log.world.registration(SECOND, "log"))
    size = log.store.head().size
    log.admit(log.world.revocation(log.world.registry, by=backup, compromised_from=THEFT))
    assert is_refused_for(log, a_note(log, size, SECOND.key), "revoked from an earlier time")


# Expiry.


@pytest.fixture
def brief(log: Log) -> Log:
    """A log with a second log key that is valid for one day."""
    log.admit(
        log.world.registration(SECOND, "log", not_before="2026-06-20T00:00:00Z", not_after="2026-06-21T00:00:00Z")
    )
    return log


@pytest.mark.parametrize("known_at", ["1970-01-01T00:00:00Z", "2026-06-20T12:00:00Z", "2026-06-21T00:00:00Z"])
def test_a_key_signs_until_it_expires(brief: Log, known_at: str) -> None:
    found = opened(brief, a_note(brief, SIZE + 1, SECOND.key), known_at=microseconds(known_at))
    assert found.checkpoint.size == SIZE + 1


def test_an_expired_key_signs_nothing(brief: Log) -> None:
    known_at = microseconds("2026-06-21T00:00:01Z")
    assert is_refused_for(brief, a_note(brief, SIZE + 1, SECOND.key), "expired", known_at=known_at)


def test_a_checkpoint_that_an_outside_clock_saw_after_the_key_expired_still_opens(brief: Log) -> None:
    existed_by = microseconds("2026-07-01T00:00:00Z")
    found = opened(brief, a_note(brief, SIZE + 1, SECOND.key), existed_by=existed_by)
    assert found.checkpoint.size == SIZE + 1


def test_a_checkpoint_that_an_outside_clock_saw_only_after_the_theft_is_refused(log: Log) -> None:
    revoke(log, THEFT)
    existed_by = microseconds(THEFT)
    note = a_note(log, SIZE)
    assert is_refused_for(log, note, "revoked from an earlier time", known_at=BEFORE_THEFT, existed_by=existed_by)


def test_two_log_keys_may_be_valid_at_once(brief: Log) -> None:
    assert [opened(brief, a_note(brief, SIZE + 1, by)).checkpoint.size for by in (None, SECOND.key)] == [10, 10]


def test_another_registrys_log_key_is_not_this_ones(log: Log) -> None:
    other = World("other.registry")
    assert is_refused_for(log, a_note(log, SIZE, other.log.key), "no key that test.registry registered")


# Keys that share a hash.


TWINS = [Who(key(f"log key {number}"), "pith_registry", f"registry:{REGISTRY}") for number in (42_881, 68_652)]
"""Two keys whose 32 bits of hash under the log's name are the same; anybody finds such a pair in a second."""


@pytest.fixture
def twins(log: Log) -> Log:
    """A log with two more log keys, from positions 9 and 10, that share a hash."""
    log.admit(*(log.world.registration(twin, "log") for twin in TWINS))
    return log


def test_the_twins_share_a_hash() -> None:
    one, other = (log_verifier(REGISTRY, twin.key.public_key) for twin in TWINS)
    assert (one.key_hash == other.key_hash, one == other) == (True, False)


def test_a_checkpoint_opens_beside_two_keys_that_share_a_hash(twins: Log) -> None:
    assert opened(twins, a_note(twins, SIZE + 2)).checkpoint.size == SIZE + 2


@pytest.mark.parametrize("by", TWINS)
def test_of_two_keys_that_share_a_hash_the_one_that_signed_is_named(twins: Log, by: Who) -> None:
    found = opened(twins, a_note(twins, SIZE + 2, by.key))
    assert found.signers == (log_verifier(REGISTRY, by.key.public_key),)


@pytest.mark.parametrize("order", [1, -1])
def test_two_keys_that_share_a_hash_sign_side_by_side(twins: Log, order: int) -> None:
    both = TWINS[::order]
    raw = SignedNote(text(SIZE + 2), tuple(line(twins, SIZE + 2, twin.key) for twin in both)).format()
    assert opened(twins, raw).signers == tuple(log_verifier(REGISTRY, twin.key.public_key) for twin in both)


@pytest.mark.parametrize("by", TWINS)
def test_two_lines_by_a_key_that_shares_its_hash_are_refused(twins: Log, by: Who) -> None:
    raw = SignedNote(text(SIZE + 2), (line(twins, SIZE + 2, by.key),) * 2).format()
    assert refusal(twins, raw) == ("checkpoint", f"{ORIGIN} signed twice with one key")


def test_a_line_that_holds_under_neither_of_two_keys_is_refused(twins: Log) -> None:
    raw = SignedNote(text(SIZE + 2), (line(twins, SIZE + 2), line(twins, SIZE + 1, TWINS[0].key))).format()
    assert refusal(twins, raw)[0] == "checkpoint"


def test_a_key_signs_nothing_in_the_place_of_the_one_whose_hash_it_shares(twins: Log) -> None:
    """At this size the first is valid and the second is not registered yet."""
    assert opened(twins, a_note(twins, SIZE + 1, TWINS[0].key)).checkpoint.size == SIZE + 1
    assert refusal(twins, a_note(twins, SIZE + 1, TWINS[1].key))[0] == "checkpoint"


@pytest.mark.parametrize("compromised_from", [None, "2026-01-01T00:00:00Z"])
def test_two_revoked_keys_that_share_a_hash_stop_no_checkpoint(twins: Log, compromised_from: str | None) -> None:
    early = twins.checkpoint()
    for twin in TWINS:
        twins.admit(twins.world.revocation(twin, by=twins.world.registry, compromised_from=compromised_from))
    late = twins.checkpoint()
    assert [opened(twins, signed.note).checkpoint.size for signed in (early, late)] == [SIZE + 2, SIZE + 4]
    assert is_refused_for(twins, a_note(twins, SIZE + 4, TWINS[0].key), "revoked")
