"""What a thief did with a stolen key, and what remains of it once the theft is told."""

from __future__ import annotations

from ledger.errors import RuleViolationError
from ledger.key_rules import MAX_ROTATIONS
from ledger.keyring import KeyHistory
from tests.builders import ALICE, BOB, MALLORY, MODERATOR, Who, key
from tests.logs import Log, fault

THEFT = "2026-06-19T16:00:30Z"


def later(log: Log) -> None:
    """Let the moment of the theft pass."""
    log.clock.advance(60)


def registry_key(log: Log, name: str) -> Who:
    return Who(key(name), "pith_registry", log.world.registry.signer_id)


def test_a_thiefs_rotation_falls_when_the_registry_tells_of_the_theft(log: Log) -> None:
    thief = Who(key("thief"), "contributor", ALICE.signer_id)
    log.admit(log.world.moderation_policy(unverified_keys="accepted"))
    later(log)
    log.admit(log.world.rotation(ALICE, thief))
    forged = log.world.citation(thief)
    log.admit(forged)
    assert log.status(forged) == "counted"
    log.admit(log.world.revocation(ALICE, by=log.world.registry, compromised_from=THEFT))
    assert log.status(forged) == "revoked"


def test_a_thief_with_an_old_key_cannot_unmake_its_holders_new_one(log: Log) -> None:
    successor = Who(key("bob's new key"), "contributor", BOB.signer_id)
    log.admit(log.world.moderation_policy(unverified_keys="accepted"), log.world.rotation(BOB, successor))
    claim = log.world.citation(successor)
    log.admit(claim)
    assert log.refusal(log.world.revocation(BOB, compromised_from="2026-01-01T00:00:00Z")).code == "key-expired"
    assert log.status(claim) == "counted"


def test_a_revocation_by_a_thief_is_undone(log: Log) -> None:
    backup = registry_key(log, "backup")
    log.admit(log.world.registration(backup, "event"), log.world.moderation_policy(unverified_keys="accepted"))
    claim = log.world.citation(BOB)
    log.admit(claim)
    later(log)
    log.admit(log.world.revocation(BOB, by=log.world.registry, compromised_from="2026-01-01T00:00:00Z"))
    assert log.status(claim) == "revoked"
    log.admit(log.world.revocation(log.world.registry, by=backup, compromised_from=THEFT))
    assert log.status(claim) == "counted"


def test_a_revocation_by_a_key_that_the_thief_brought_in_is_undone(log: Log) -> None:
    backup, thief = registry_key(log, "backup"), registry_key(log, "thief")
    log.admit(log.world.registration(backup, "event"), log.world.moderation_policy(unverified_keys="accepted"))
    claim = log.world.citation(BOB)
    log.admit(claim)
    later(log)
    log.admit(log.world.rotation(log.world.registry, thief, "event"))
    log.admit(log.world.revocation(BOB, by=thief, compromised_from="2026-01-01T00:00:00Z"))
    assert log.status(claim) == "revoked"
    log.admit(log.world.revocation(log.world.registry, by=backup, compromised_from=THEFT))
    assert log.status(claim) == "counted"


def test_what_a_thief_of_the_registrys_key_set_up_falls(log: Log) -> None:
    backup, rogue = registry_key(log, "backup"), Who(key("rogue"), "moderator", "name:rogue")
    log.admit(log.world.registration(backup, "event"))
    held = log.world.citation(BOB)
    log.admit(held)
    later(log)
    log.admit(log.world.registration(rogue, "moderator"), log.world.decision(held, "accepted", rogue))
    assert log.status(held) == "counted"
    log.admit(log.world.revocation(log.world.registry, by=backup, compromised_from=THEFT))
    assert log.status(held) == "held"


def test_views_of_the_time_before_the_theft_was_told_stay(log: Log) -> None:
    log.admit(log.world.moderation_policy(unverified_keys="accepted"))
    later(log)
    claim = log.world.citation(BOB)
    told = log.admit(claim).position + 1
    log.admit(log.world.revocation(BOB, by=log.world.registry, compromised_from=THEFT))
    assert (log.status(claim, told), log.status(claim)) == ("counted", "revoked")


def test_a_key_cannot_revoke_what_it_was_vouched_for_by(log: Log) -> None:
    backup = registry_key(log, "backup")
    log.admit(log.world.registration(backup, "event"))
    suicide = log.world.revocation(log.world.registry, by=backup, compromised_from="2026-01-02T00:00:00Z")
    assert fault(log, suicide) == (RuleViolationError, "payload.compromised_from")


def test_a_line_of_rotations_ends(log: Log) -> None:
    old = BOB
    for number in range(MAX_ROTATIONS):
        new = Who(key(f"bob {number}"), "contributor", BOB.signer_id)
        log.admit(log.world.rotation(old, new))
        old = new
    last = Who(key("bob's last key"), "contributor", BOB.signer_id)
    assert isinstance(log.refusal(log.world.rotation(old, last)), RuleViolationError)


def test_the_order_in_which_key_facts_are_learnt_says_nothing(log: Log) -> None:
    backup = registry_key(log, "backup")
    log.admit(log.world.registration(backup, "event"), log.world.registration(MALLORY))
    log.admit(log.world.rotation(ALICE, Who(key("alice 2"), "contributor", ALICE.signer_id)))
    log.admit(log.world.revocation(MALLORY, by=log.world.registry))
    later(log)
    log.admit(log.world.revocation(log.world.registry, by=backup, compromised_from=THEFT))
    entries = list(log.store.entries())
    forwards, backwards = KeyHistory(), KeyHistory()
    for entry in entries:
        forwards.add(entry)
    for entry in reversed(entries):
        backwards.add(entry)
    names = [who.key.key_id for who in (ALICE, BOB, MALLORY, MODERATOR, backup, log.world.registry)]
    asked = [
        (name, at, entries[at].received_at, before)
        for name in names
        for at in range(len(entries))
        for before in (at, 99)
    ]
    assert [forwards.is_cut(*question) for question in asked] == [backwards.is_cut(*question) for question in asked]
