"""What is told of a key: every fact with the entry that says it, and nothing private."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from api.settings import ApiSettings
from ledger.signatures import digest_of
from ledger.times import seconds
from tests.api.identity.serving import Identities, identities
from tests.builders import ALICE, BOB, SUCCESSOR, Who, contributor


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identities]:
    with identities(tmp_path_factory.mktemp("keys"), ApiSettings) as served:
        yield served


def told(served: Identities, who: Who) -> httpx.Response:
    served.registry.caught_up()
    return served.client.get(f"/api/keys/{who.key.key_id}")


def test_a_key_is_told_with_its_statement(served: Identities) -> None:
    registration = served.registry.home.store.registry().keys.find(BOB.key.key_id)
    found = told(served, BOB).json()
    assert registration is not None
    assert found["statement"]["signer_id"] == BOB.signer_id and found["statement"]["role"] == "contributor"
    assert found["statement_sha256"] == digest_of(found["statement"]).hex()
    assert (found["position"], found["valid_now"], found["invalid_because"]) == (registration.position, True, None)
    assert (found["identifiers"], found["proofs"], found["rotations"], found["revocations"]) == ([], [], [], [])


def test_a_proof_is_told_with_its_entry(served: Identities) -> None:
    entry = served.registry.admit(served.registry.world.proof_of_identity(ALICE))
    found = told(served, ALICE).json()
    assert found["identifiers"] == [ALICE.signer_id]
    proof = found["proofs"][0]
    assert (proof["position"], proof["event_id"]) == (entry.position, entry.event.id_text)
    assert proof["identifier"] == ALICE.signer_id and "evidence" not in proof


def test_rotation_is_told_at_both_ends(served: Identities) -> None:
    world = served.registry.world
    old, new = contributor("rotated"), Who(SUCCESSOR.key, "contributor", "name:rotated")
    served.registry.admit(world.registration(old), world.proof_of_identity(old), world.rotation(old, new))
    before, after = told(served, old).json(), told(served, new).json()
    assert before["rotations"][0]["successor"] == new.key.key_id and "rotated" in before["invalid_because"]
    assert after["rotated_from"] == old.key.key_id and after["valid_now"]
    assert after["identifiers"] == [old.signer_id] and after["proofs"] == []


def test_revocation_is_told_with_its_time(served: Identities) -> None:
    world, lost = served.registry.world, contributor("lost")
    served.registry.admit(world.registration(lost), world.revocation(lost, compromised_from="2026-06-01T00:00:00Z"))
    found = told(served, lost).json()
    assert found["revocations"][0]["compromised_from"] == "2026-06-01T00:00:00Z"
    assert not found["valid_now"] and "revoked" in found["invalid_because"]
    assert "reason" not in found["revocations"][0]


def test_a_key_that_ends_is_invalid_afterwards(served: Identities) -> None:
    who = contributor("ending")
    served.registry.admit(served.registry.world.registration(who, not_after=seconds(served.clock() + 60_000_000)))
    assert told(served, who).json()["valid_now"]
    served.clock.by += 62
    try:
        assert not told(served, who).json()["valid_now"]
    finally:
        served.clock.by -= 62


def test_the_registrys_keys_are_told_too(served: Identities) -> None:
    found = told(served, served.registry.world.log).json()
    assert (found["statement"]["role"], found["registered_by"]) == ("log", served.registry.world.registry.key.key_id)


def test_an_answer_is_cached_for_seconds_by_its_tag(served: Identities) -> None:
    first = told(served, BOB)
    again = served.client.get(f"/api/keys/{BOB.key.key_id}", headers={"if-none-match": first.headers["etag"]})
    head = served.client.head(f"/api/keys/{BOB.key.key_id}")
    assert (again.status_code, head.status_code, head.content) == (304, 200, b"")
    assert first.headers["cache-control"] == "public, max-age=5"


@pytest.mark.parametrize(
    "key", ["0" * 64, ALICE.key.key_id[:32], ALICE.key.key_id.upper(), "x", "%20", "é", "a" * 3000]
)
def test_an_unknown_key_is_not_found(served: Identities, key: str) -> None:
    answer = served.client.get(f"/api/keys/{key}")
    assert answer.status_code == 404 and answer.headers["content-type"] == "application/problem+json"
