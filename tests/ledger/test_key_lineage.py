"""Long chains of keys and revocations: each question still has an answer, and a lineage ends somewhere."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ledger.errors import KeyRevokedError, RuleViolationError
from ledger.key_rules import MAX_LINEAGE
from tests.builders import ALICE, Who, key
from tests.logs import Log, fault

CHAIN = 300
"""More revocations, each of the key that signed the one before, than Python would follow by recursion."""

THEFT = "2026-06-19T16:00:30Z"


def registry_key(log: Log, name: str) -> Who:
    return Who(key(name), "pith_registry", log.world.registry.signer_id)


def registry_keys(log: Log, count: int) -> list[Who]:
    return [registry_key(log, f"event key {number}") for number in range(count)]


def at_the_limit(log: Log) -> Who:
    """Let each key register the next, as far as that goes; return the last."""
    line = [log.world.registry, *registry_keys(log, MAX_LINEAGE)]
    log.admit(*(log.world.registration(new, "event", by=old) for old, new in pairwise(line)))
    return line[-1]


# Revocations that undo each other.


def test_a_chain_of_revocations_each_undoing_the_one_before_is_judged(log: Log) -> None:
    root, others = log.world.registry, registry_keys(log, CHAIN)
    log.admit(*(log.world.registration(who, "event") for who in others))
    log.clock.advance(60)
    policy = log.admit(log.world.moderation_policy(unverified_keys="accepted"))
    log.admit(
        *(log.world.revocation(old, by=new, compromised_from=THEFT) for old, new in pairwise([root, *others])),
    )
    claim = log.world.citation(ALICE)
    end = log.admit(claim).position
    keys = log.store.registry().keys
    told = range(policy.position + 1, end + 1)
    cut = [keys.is_cut(root.key.key_id, policy.position, policy.received_at, before) for before in told]
    assert cut == [number % 2 == 1 for number in range(CHAIN + 1)]
    assert log.status(claim) == "counted"


def test_after_a_chain_of_revocations_its_last_key_still_signs(log: Log) -> None:
    root, others = log.world.registry, registry_keys(log, CHAIN + 1)
    log.admit(*(log.world.registration(who, "event") for who in others))
    log.clock.advance(60)
    log.admit(*(log.world.revocation(old, by=new, compromised_from=THEFT) for old, new in pairwise([root, *others])))
    log.admit(log.world.policy(by=others[-1]))
    assert isinstance(log.refusal(log.world.policy(by=others[-2])), KeyRevokedError)


# Lineage.


def test_a_lineage_of_registrations_ends(log: Log) -> None:
    last = at_the_limit(log)
    event = log.world.registration(registry_key(log, "one too many"), "event", by=last)
    assert fault(log, event) == (RuleViolationError, "payload.statement")


def test_a_lineage_of_rotations_and_registrations_ends(log: Log) -> None:
    last = at_the_limit(log)
    event = log.world.rotation(last, registry_key(log, "one too many"), "event")
    assert fault(log, event) == (RuleViolationError, "payload.rotation")


def test_a_key_at_the_end_of_a_lineage_signs(log: Log) -> None:
    last = at_the_limit(log)
    log.admit(log.world.policy(by=last), log.world.revocation(ALICE, by=last))


def test_whoever_registers_themselves_has_no_lineage(log: Log) -> None:
    at_the_limit(log)
    new = Who(key("somebody new"), "contributor", "name:somebody")
    log.admit(log.world.registration(new))
    assert log.store.registry().keys.lineage(new.key.key_id) == 0


@pytest.mark.parametrize("hops", [0, 1, 5])
def test_rotations_and_registrations_count_alike(log: Log, hops: int) -> None:
    last = log.world.registry
    for number, new in enumerate(registry_keys(log, hops)):
        rotated = number % 2 == 0
        log.admit(log.world.rotation(last, new, "event") if rotated else log.world.registration(new, "event", by=last))
        last = new
    assert log.store.registry().keys.lineage(last.key.key_id) == hops


def test_the_backup_key_revokes_a_thiefs_whole_lineage(log: Log) -> None:
    backup = registry_key(log, "backup")
    log.admit(log.world.registration(backup, "event"))
    log.clock.advance(60)
    last = at_the_limit(log)
    log.admit(log.world.revocation(log.world.registry, by=backup, compromised_from=THEFT))
    assert isinstance(log.refusal(log.world.policy(by=last)), KeyRevokedError)
    log.admit(log.world.policy(by=backup))


def test_the_end_of_a_thiefs_lineage_keeps_nobody_from_undoing_it(log: Log) -> None:
    backup = registry_key(log, "backup")
    log.admit(log.world.registration(backup, "event"), log.world.moderation_policy(unverified_keys="accepted"))
    claim = log.world.citation(ALICE)
    log.admit(claim)
    log.clock.advance(60)
    log.admit(log.world.revocation(ALICE, by=at_the_limit(log), compromised_from="2026-01-01T00:00:00Z"))
    assert log.status(claim) == "revoked"
    log.admit(log.world.revocation(log.world.registry, by=backup, compromised_from=THEFT))
    assert log.status(claim) == "counted"
