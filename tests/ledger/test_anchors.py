"""Outside timestamp proofs of either method: how they are called, and hostile bytes."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.anchors import MAX_PROOF_BYTES, check_proof, confirm
from ledger.errors import AnchorError, AnchorMalformedError, InvalidFieldError
from ledger.registry import MAX_CONFIRMATIONS, Registry
from tests.builders import REGISTRY, World
from tests.ledger.timestamps import DIGEST, HEADER, HEIGHT, HELLO, MAINNET, OTHER, PROOF, REGTEST, ROOT, TOKEN

# Random bytes may hold the reverse operation, of which the library warns.
pytestmark = pytest.mark.filterwarnings("ignore:OpReverse:PendingDeprecationWarning")


# The call.


@pytest.mark.parametrize("method", ["", "OpenTimestamps", "roughtime"])
def test_unknown_method_is_an_invalid_field(method: str) -> None:
    with pytest.raises(InvalidFieldError):
        check_proof(method, DIGEST, PROOF)
    with pytest.raises(InvalidFieldError):
        confirm(method, DIGEST, PROOF, block_header=HEADER, height=HEIGHT, bitcoin=[MAINNET], roots=[])


def test_digest_of_another_length_is_an_invalid_field() -> None:
    with pytest.raises(InvalidFieldError, match="32 bytes"):
        check_proof("opentimestamps", DIGEST[:20], PROOF)


@pytest.mark.parametrize(("method", "proof"), [("opentimestamps", TOKEN), ("rfc3161", PROOF)])
def test_proof_of_one_method_is_malformed_as_the_other(method: str, proof: bytes) -> None:
    with pytest.raises(AnchorMalformedError):
        check_proof(method, DIGEST, proof)


# Hostile bytes.


@pytest.mark.parametrize("method", ["opentimestamps", "rfc3161"])
def test_oversized_proof_is_malformed(method: str) -> None:
    with pytest.raises(AnchorMalformedError, match="more than 16384"):
        check_proof(method, DIGEST, bytes(MAX_PROOF_BYTES + 1))


def refuses(method: str, digest: bytes, proof: bytes) -> bool:
    """Return whether a proof is refused by an AnchorError; any other exception goes through."""
    try:
        check_proof(method, digest, proof)
        confirm(
            method, digest, proof, block_header=HEADER, height=HEIGHT, bitcoin=[MAINNET, REGTEST], roots=[ROOT, b""]
        )
    except AnchorError as error:
        assert len(str(error)) < 400
        return True
    return False


@pytest.mark.parametrize("method", ["opentimestamps", "rfc3161"])
@given(garbage=st.binary(max_size=300))
def test_garbage_is_refused(method: str, garbage: bytes) -> None:
    assert refuses(method, DIGEST, garbage)


@given(tree=st.binary(max_size=300))
def test_garbage_behind_a_valid_start_is_refused(tree: bytes) -> None:
    assert refuses("opentimestamps", DIGEST, PROOF[:65] + tree)


MUTATIONS = st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 2), st.binary(max_size=4)), min_size=1, max_size=5)


def mutated(proof: bytes, mutations: list[tuple[int, int, bytes]]) -> bytes:
    """Return the proof after replacing, at each position, a number of bytes by others."""
    for position, removed, added in mutations:
        at = position % (len(proof) + 1)
        proof = proof[:at] + added + proof[at + removed :]
    return proof


@given(mutations=MUTATIONS)
def test_mutated_bitcoin_proof_never_confirms_another_digest(mutations: list[tuple[int, int, bytes]]) -> None:
    refuses("opentimestamps", DIGEST, mutated(PROOF, mutations))
    assert refuses("opentimestamps", OTHER, mutated(PROOF, mutations))
    assert refuses("opentimestamps", OTHER, PROOF[:33] + OTHER + mutated(PROOF[65:], mutations))


@given(mutations=MUTATIONS)
def test_mutated_token_never_confirms_another_digest(mutations: list[tuple[int, int, bytes]]) -> None:
    refuses("rfc3161", HELLO, mutated(TOKEN, mutations))
    assert refuses("rfc3161", OTHER, mutated(TOKEN, mutations))
    assert refuses("rfc3161", OTHER, mutated(TOKEN.replace(HELLO, OTHER), mutations))


# What is remembered of proofs.


def test_proofs_that_do_not_hold_fill_no_memory() -> None:
    registry = Registry.named(REGISTRY)
    anchor = World().anchor(status="confirmed", proof_b64="AAAA")
    tracemalloc.start()
    try:
        for number in range(3 * MAX_CONFIRMATIONS):
            with pytest.raises(AnchorError):
                registry.confirmation(msgspec.structs.replace(anchor, event_id=number.to_bytes(32, "big")))
        assert tracemalloc.get_traced_memory()[0] < 300 * MAX_CONFIRMATIONS
    finally:
        tracemalloc.stop()
