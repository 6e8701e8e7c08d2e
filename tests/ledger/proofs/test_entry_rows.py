"""Entries and hashes as rows of JSON files: one spelling each, and everything they rely on beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import MAX_INTEGER
from ledger.errors import LedgerError, VerificationError
from ledger.events import Entry
from ledger.proofs.entry_rows import entry_of_row, hashes_of_text, hashes_to_text, row_of, whole
from ledger.proofs.stream import Stream
from tests.builders import ALICE, BOB, MODERATOR, SUCCESSOR, World
from tests.logs import Log, history
from tests.ops.proofs import first_of

hashes = st.lists(st.binary(min_size=32, max_size=32), max_size=9)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(hashes)
def test_hashes_are_read_as_they_were_written(found: list[bytes]) -> None:
    assert hashes_of_text(json.loads(json.dumps(hashes_to_text(found)))) == found


@given(json_values | st.lists(st.text(alphabet="ABab01+/=\n ", min_size=43, max_size=45)))
def test_anything_is_hashes_in_their_one_spelling_or_is_refused(value: Any) -> None:
    try:
        found = hashes_of_text(value)
    except VerificationError as error:
        assert error.step == "canonical form"
    else:
        assert hashes_to_text(found) == value


@given(json_values)
def test_anything_is_a_whole_number_or_is_refused(value: Any) -> None:
    try:
        found = whole(value)
    except VerificationError as error:
        assert error.step == "canonical form"
    else:
        assert type(value) is int and found == value and 0 <= value <= MAX_INTEGER


@pytest.mark.parametrize("event", history(World()), ids=lambda event: event.event_type)
def test_every_event_is_read_from_its_row_as_it_was(event: Any) -> None:
    row = json.loads(json.dumps(row_of(Entry(7, 8, event), inclusion_proof=[bytes(32)])))
    entry = entry_of_row(row)
    assert (entry.position, entry.received_at, entry.event.raw) == (7, 8, event.raw)


@pytest.mark.parametrize("name", ["position", "received_at", "event_id", "payload"])
def test_a_row_that_lacks_a_part_is_refused(name: str) -> None:
    row = row_of(Entry(7, 8, World().root()))
    del row[name]
    with pytest.raises((LedgerError, KeyError)):
        entry_of_row(row)


# What entries rely on.


@pytest.fixture
def log(tmp_path: Path) -> Log:
    found = Log.opened(tmp_path)
    world = found.world
    found.admit(world.proof_of_identity(ALICE), world.author(), world.rotation(ALICE, SUCCESSOR))
    found.admit(world.citation(SUCCESSOR), world.revocation(BOB, by=world.registry))
    return found


def types_relied_on(log: Log, entry: Entry) -> list[str]:
    found = Stream.read(log.store, log.store.head().size).relied_on([entry])
    holders = {who.key.public_key.hex(): who.signer_id for who in (ALICE, BOB, MODERATOR)}
    return [
        holders.get(known.event.value["payload"].get("statement", {}).get("public_key"), known.event.event_type)
        for known in found
    ]


def test_a_claim_relies_on_all_that_is_said_of_its_signers_key(log: Log) -> None:
    found = types_relied_on(log, first_of(log, "author_attestation"))
    assert found == ["key_registered", "policy_set", ALICE.signer_id, "identity_evidence", "key_rotated"]


def test_a_claim_by_a_successor_relies_on_the_first_key_too(log: Log) -> None:
    found = types_relied_on(log, first_of(log, "citation_signature"))
    assert found == ["key_registered", "policy_set", ALICE.signer_id, "identity_evidence", "key_rotated"]


def test_a_record_relies_on_the_key_of_its_receipt(log: Log) -> None:
    found = types_relied_on(log, first_of(log, "record_created"))
    assert found == ["key_registered", "key_registered", "policy_set"]


@pytest.mark.parametrize(
    ("event_type", "who"), [("identity_evidence", ALICE), ("key_revoked", BOB)], ids=["evidence", "revocation"]
)
def test_what_is_said_of_a_key_relies_on_its_registration(log: Log, event_type: str, who: Any) -> None:
    assert who.signer_id in types_relied_on(log, first_of(log, event_type))
