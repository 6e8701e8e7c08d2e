"""Growing OpenTimestamps proofs: the published ones and what they became, and bytes that are no answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentimestamps.core.notary import (  # type: ignore[import-untyped]
    BitcoinBlockHeaderAttestation,
    LitecoinBlockHeaderAttestation,
    PendingAttestation,
    UnknownAttestation,
)
from opentimestamps.core.op import OpAppend, OpSHA256  # type: ignore[import-untyped]
from opentimestamps.core.timestamp import Timestamp  # type: ignore[import-untyped]

from ledger.anchors import BitcoinRules, confirm
from ledger.errors import AnchorError, AnchorMalformedError, AnchorMismatchError, AnchorUntrustedError
from ledger.ots_proofs import read_ots
from ops.regtest import attested
from ops.timestamps.proofs import MAX_ATTESTATIONS, begun, blocks, continued, heights, merged, pending, promises
from tests.ledger.timestamps import DIGEST, MAINNET, OTHER, OTS, PROOF
from tests.ops.timestamps.calendars import written

pytestmark = pytest.mark.filterwarnings("ignore:OpReverse:PendingDeprecationWarning")

UPGRADED = Path(__file__).parents[2] / "vectors" / "opentimestamps-upgraded"
HEADERS = {int(at): bytes.fromhex(raw) for at, raw in json.loads((OTS / "headers.json").read_text()).items()}
ALICE, BOB = (f"https://{name}.btc.calendar.opentimestamps.org" for name in ("alice", "bob"))


def example(name: str) -> bytes:
    return (OTS / f"{name}.ots").read_bytes()


def upgraded(name: str) -> bytes:
    return (UPGRADED / f"{name}.upgraded.ots").read_bytes()


def digest_of(proof: bytes) -> bytes:
    return bytes(read_ots(proof).file_digest)


def below(timestamp: Timestamp, message: bytes) -> Timestamp | None:
    """Return the part of a timestamp that stands at a message in it."""
    if timestamp.msg == message:
        return timestamp
    found = (below(part, message) for part in timestamp.ops.values())
    return next((part for part in found if part is not None), None)


def real_answers(name: str) -> dict[bytes, bytes]:
    """Return what the calendars once answered for each commitment of a published pending proof."""
    whole = read_ots(upgraded(name)).timestamp
    found = {message: below(whole, message) for message, _ in promises(example(name))}
    return {message: written(part) for message, part in found.items() if part is not None}


# What a proof holds.


def test_pending_proof_names_its_calendars_and_no_block() -> None:
    proof = example("two-calendars.txt")
    assert pending(proof) == [ALICE, BOB] and heights(proof) == [] and blocks(proof) == set()
    assert [uri for _, uri in promises(proof)].count(ALICE) == 1


def test_confirmed_proof_names_its_block_and_nothing_pending() -> None:
    assert heights(PROOF) == [358391] and pending(PROOF) == [] and promises(PROOF) == []


def test_kept_promise_is_a_promise_still_but_not_pending() -> None:
    answers = real_answers("incomplete.txt")
    (commitment,) = answers
    proof = continued(example("incomplete.txt"), commitment, answers[commitment])
    assert pending(proof) == [] and promises(proof) == [(commitment, ALICE)] and heights(proof) == [428648]


@pytest.mark.parametrize(
    "attestation", [LitecoinBlockHeaderAttestation(7), UnknownAttestation(bytes(8), b"?"), PendingAttestation(ALICE)]
)
def test_what_is_no_bitcoin_block_has_no_height(attestation: object) -> None:
    assert heights(attested(OTHER, attestation)) == []


def test_height_that_no_block_can_have_is_left_out() -> None:
    assert heights(attested(OTHER, BitcoinBlockHeaderAttestation(2**31))) == []
    assert heights(attested(OTHER, BitcoinBlockHeaderAttestation(2**31 - 1))) == [2**31 - 1]


# Growing.


@pytest.mark.parametrize("name", ["incomplete.txt", "merkle1.txt", "two-calendars.txt"])
def test_real_answers_lead_the_published_proofs_to_their_blocks(name: str) -> None:
    proof = example(name)
    for commitment, answer in real_answers(name).items():
        proof = continued(proof, commitment, answer)
    assert heights(proof) == heights(upgraded(name))
    for height in heights(proof):
        found = confirm(
            "opentimestamps", digest_of(proof), proof,
            block_header=HEADERS[height], height=height, bitcoin=[MAINNET], roots=[],
        )  # fmt: skip
        assert found.clock == "bitcoin mainnet"
    assert [uri for _, uri in promises(proof)] == [uri for _, uri in promises(example(name))]


@pytest.mark.parametrize("name", ["merkle1.txt", "two-calendars.txt"])
def test_real_proof_does_not_confirm_with_another_block(name: str) -> None:
    proof = upgraded(name)
    for height in heights(proof):
        for wrong in HEADERS.keys() - {height}:
            with pytest.raises(AnchorMismatchError):
                confirm(
                    "opentimestamps", digest_of(proof), proof,
                    block_header=HEADERS[wrong], height=height, bitcoin=[MAINNET], roots=[],
                )  # fmt: skip
            with pytest.raises(AnchorMismatchError):
                confirm(
                    "opentimestamps", digest_of(proof), proof,
                    block_header=HEADERS[height], height=wrong, bitcoin=[MAINNET], roots=[],
                )  # fmt: skip


def test_real_block_with_too_little_work_is_refused() -> None:
    proof, header = example("empty"), HEADERS[129405]  # of 2011, 2^51 hashes
    rules = [BitcoinRules("mainnet", bits, {}) for bits in (51, 52)]
    call = {"block_header": header, "height": 129405, "roots": []}
    confirm("opentimestamps", digest_of(proof), proof, bitcoin=rules[:1], **call)  # type: ignore[arg-type]
    with pytest.raises(AnchorUntrustedError, match=r"2\^51 hashes of work; accepted: mainnet with 2\^52"):
        confirm("opentimestamps", digest_of(proof), proof, bitcoin=rules[1:], **call)  # type: ignore[arg-type]


def test_merging_keeps_everything_of_both() -> None:
    found = merged(example("two-calendars.txt"), upgraded("two-calendars.txt"))
    assert heights(found) == [429172, 429355]
    assert promises(found) == promises(example("two-calendars.txt"))
    assert merged(upgraded("two-calendars.txt"), example("two-calendars.txt")) == found


@pytest.mark.parametrize("path", sorted(OTS.glob("*.txt.ots")), ids=lambda path: path.name)
def test_merging_a_published_proof_with_itself_changes_no_byte(path: Path) -> None:
    assert merged(path.read_bytes(), path.read_bytes()) == path.read_bytes()


def test_proofs_of_different_digests_are_not_merged() -> None:
    with pytest.raises(AnchorMismatchError):
        merged(PROOF, example("merkle1.txt"))


def test_answer_to_no_commitment_of_the_proof_is_refused() -> None:
    (answer,) = real_answers("incomplete.txt").values()
    with pytest.raises(AnchorMismatchError, match="no such commitment"):
        continued(example("incomplete.txt"), bytes(44), answer)


# Hostile bytes.


@pytest.mark.parametrize("path", sorted((OTS / "invalid").glob("*.ots")), ids=lambda path: path.stem)
def test_every_malformed_example_is_refused_by_every_function(path: Path) -> None:
    raw = path.read_bytes()
    for reading in (heights, pending, promises, blocks):
        with pytest.raises(AnchorMalformedError):
            reading(raw)
    for pair in ((raw, PROOF), (PROOF, raw)):
        with pytest.raises(AnchorMalformedError):
            merged(*pair)
    with pytest.raises(AnchorMalformedError):
        continued(raw, bytes(44), PROOF[65:])
    with pytest.raises(AnchorMalformedError):
        begun(OTHER, raw)


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_answer_cut_short_or_followed_by_more_is_refused(cut: int) -> None:
    ((commitment, answer),) = real_answers("incomplete.txt").items()
    with pytest.raises(AnchorMalformedError):
        continued(example("incomplete.txt"), commitment, answer[:-cut])
    with pytest.raises(AnchorMalformedError):
        continued(example("incomplete.txt"), commitment, answer + bytes(cut))


def test_answer_that_nests_without_end_is_refused() -> None:
    with pytest.raises(AnchorMalformedError):
        begun(OTHER, b"\x08" * 9_000 + PROOF[65:])


def test_two_answers_that_nest_too_deep_together_are_refused() -> None:
    deep = Timestamp(OTHER)
    place = deep
    for _ in range(200):
        place = place.ops.add(OpSHA256())
    place.attestations.add(PendingAttestation(ALICE))
    more = written(deep)
    proof = begun(OTHER, more)
    with pytest.raises(AnchorMalformedError):
        continued(proof, place.msg, more)


def test_answer_with_more_branches_than_a_proof_can_hold_is_refused() -> None:
    wide = Timestamp(OTHER)
    for number in range(MAX_ATTESTATIONS):
        wide.ops.add(OpAppend(bytes([number]))).attestations.add(PendingAttestation(ALICE))
    assert len(promises(begun(OTHER, written(wide)))) == MAX_ATTESTATIONS
    wide.attestations.add(PendingAttestation(BOB))
    with pytest.raises(AnchorMalformedError, match="65 attestations"):
        begun(OTHER, written(wide))


def test_proof_that_would_grow_too_long_is_refused() -> None:
    branches = []
    for number in range(5):
        branch = Timestamp(OTHER)
        branch.ops.add(OpAppend(bytes([number]) * 4_000)).attestations.add(PendingAttestation(ALICE))
        branches.append(written(branch))
    proof = begun(OTHER, branches.pop())
    for branch in branches[1:]:
        proof = continued(proof, OTHER, branch)
    with pytest.raises(AnchorMalformedError, match="more than 16384"):
        continued(proof, OTHER, branches[0])


@given(answer=st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_refused(answer: bytes) -> None:
    try:
        proof = begun(DIGEST, answer)
    except AnchorError as error:
        assert len(str(error)) < 400
    else:
        assert merged(proof, proof) == proof and digest_of(proof) == DIGEST


@given(at=st.integers(0, 600), added=st.binary(max_size=3), removed=st.integers(0, 3))
def test_changed_answer_is_refused_or_still_a_proof_of_the_same_digest(at: int, added: bytes, removed: int) -> None:
    ((commitment, answer),) = real_answers("incomplete.txt").items()
    changed = answer[: at % len(answer)] + added + answer[at % len(answer) + removed :]
    try:
        proof = continued(example("incomplete.txt"), commitment, changed)
    except AnchorError:
        return
    assert digest_of(proof) == digest_of(example("incomplete.txt"))
    assert promises(example("incomplete.txt"))[0] in promises(proof)
