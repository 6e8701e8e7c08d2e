"""OpenTimestamps proofs as a client handles them: begun from a calendar's answer, continued, merged, looked into.

A proof is the bytes of an ordinary `.ots` file about a SHA-256. It only ever grows: promises stay beside what they
led to. An attestation in it is a promise too until a block header bears it out (`ledger.anchors.confirm`).
Every function raises AnchorMalformedError or AnchorMismatchError (ledger.errors) for bytes that are no such proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from opentimestamps.core.notary import (  # type: ignore[import-untyped]
    BitcoinBlockHeaderAttestation,
    PendingAttestation,
    TimeAttestation,
)
from opentimestamps.core.op import OpSHA256  # type: ignore[import-untyped]
from opentimestamps.core.serialize import (  # type: ignore[import-untyped]
    BytesDeserializationContext,
    BytesSerializationContext,
)
from opentimestamps.core.timestamp import DetachedTimestampFile, Timestamp  # type: ignore[import-untyped]

from ledger.anchors import MAX_PROOF_BYTES
from ledger.errors import AnchorMalformedError, AnchorMismatchError
from ledger.ots_proofs import PARSER_ERRORS, not_a_proof, read_ots

MAX_ATTESTATIONS: Final = 64
"""How many attestations one proof can hold: some for each calendar, not as many as fit."""

_HIGHEST: Final = 1 << 31


def heights(proof: bytes) -> list[int]:
    """Return the heights of the Bitcoin blocks that a proof names, lowest first; impossible ones are left out."""
    return sorted({height for _, height in _blocks(read_ots(proof).timestamp)})


def pending(proof: bytes) -> list[str]:
    """Return the addresses of the calendars whose promise in a proof has led to no Bitcoin block yet, in order."""
    return sorted({uri for _, uri, is_kept in _promises(read_ots(proof).timestamp) if not is_kept})


def promises(proof: bytes) -> list[tuple[bytes, str]]:
    """Return what calendars promised, kept or not: each commitment to ask for, with the calendar's address."""
    return sorted({(message, uri) for message, uri, _ in _promises(read_ots(proof).timestamp)})


def blocks(proof: bytes) -> set[tuple[bytes, int]]:
    """Return each Merkle root that a proof leads to, with the height of the Bitcoin block that it names for it."""
    return set(_blocks(read_ots(proof).timestamp))


def begun(digest: bytes, answer: bytes) -> bytes:
    """Return the proof of a raw SHA-256 that a calendar's answer to this digest makes."""
    return _written(DetachedTimestampFile(OpSHA256(), _branch(digest, answer)))


def continued(proof: bytes, commitment: bytes, answer: bytes) -> bytes:
    """Return a proof with a calendar's answer added at a commitment in it."""
    file, branch = read_ots(proof), _branch(commitment, answer)
    places = [place for place in _every(file.timestamp) if place.msg == commitment]
    if not places:
        raise AnchorMismatchError("the proof holds no such commitment")
    for place in places:
        place.merge(branch)
    return _written(file)


def merged(proof: bytes, other: bytes) -> bytes:
    """Return one proof with everything that two proofs of the same SHA-256 hold."""
    file, added = read_ots(proof), read_ots(other)
    if file.file_digest != added.file_digest:
        raise AnchorMismatchError(f"one proof is about {file.file_digest.hex()}, the other {added.file_digest.hex()}")
    file.timestamp.merge(added.timestamp)
    return _written(file)


def _branch(message: bytes, answer: bytes) -> Timestamp:
    reader = BytesDeserializationContext(answer)
    try:
        branch = Timestamp.deserialize(reader, message)
        reader.assert_eof()
    except PARSER_ERRORS as error:
        raise not_a_proof(error) from None
    return branch


def _written(file: DetachedTimestampFile) -> bytes:
    """Return a file's bytes, which anybody can read back: neither too long, nor too deep, nor too many branches."""
    context = BytesSerializationContext()
    file.serialize(context)
    proof = bytes(context.getbytes())
    if len(proof) > MAX_PROOF_BYTES:
        raise AnchorMalformedError(f"the proof comes to {len(proof)} bytes, more than {MAX_PROOF_BYTES}")
    found = sum(1 for _ in read_ots(proof).timestamp.all_attestations())
    if found > MAX_ATTESTATIONS:
        raise AnchorMalformedError(f"the proof comes to {found} attestations, more than {MAX_ATTESTATIONS}")
    return proof


def _every(timestamp: Timestamp) -> Iterator[Timestamp]:
    yield timestamp
    for below in timestamp.ops.values():
        yield from _every(below)


def _blocks(timestamp: Timestamp) -> Iterator[tuple[bytes, int]]:
    for message, attestation in timestamp.all_attestations():
        if _is_block(attestation):
            yield message, attestation.height


def _promises(timestamp: Timestamp) -> Iterator[tuple[bytes, str, bool]]:
    for place in _every(timestamp):
        is_kept = any(True for _ in _blocks(place))
        for attestation in place.attestations:
            if isinstance(attestation, PendingAttestation):
                yield place.msg, attestation.uri, is_kept


def _is_block(attestation: TimeAttestation) -> bool:
    return isinstance(attestation, BitcoinBlockHeaderAttestation) and attestation.height < _HIGHEST
