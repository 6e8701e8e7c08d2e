"""A Bitcoin regtest miner in miniature: real proofs, real proof of work, of a chain that proves nothing.

The demonstration and the tests stamp with it. A registry counts such an anchor only if its own policy
accepts the network `regtest`, which none but a demonstration does.
"""

from __future__ import annotations

import hashlib
from typing import Final

from opentimestamps.core.notary import BitcoinBlockHeaderAttestation, TimeAttestation  # type: ignore[import-untyped]
from opentimestamps.core.op import OpAppend, OpPrepend, OpSHA256  # type: ignore[import-untyped]
from opentimestamps.core.serialize import BytesSerializationContext  # type: ignore[import-untyped]
from opentimestamps.core.timestamp import DetachedTimestampFile, Timestamp  # type: ignore[import-untyped]

REGTEST_BITS: Final = 0x207FFFFF
_TARGET: Final = 0x7FFFFF << 232


def mine(merkle_root: bytes, time: int) -> bytes:
    """Return an 80-byte regtest header over a raw Merkle root at a Unix time, with real proof of work."""
    start = (
        (0x20000000).to_bytes(4, "little")
        + bytes(32)
        + merkle_root
        + time.to_bytes(4, "little")
        + REGTEST_BITS.to_bytes(4, "little")
    )
    nonce = 0
    while True:  # half of all nonces fit
        header = start + nonce.to_bytes(4, "little")
        block_hash = hashlib.sha256(hashlib.sha256(header).digest()).digest()
        if int.from_bytes(block_hash, "little") <= _TARGET:
            return header
        nonce += 1


def stamp(digest: bytes, time: int, height: int) -> tuple[bytes, bytes]:
    """Return a complete `.ots` file for a raw SHA-256, and the 80-byte header it leads to."""
    file = DetachedTimestampFile(OpSHA256(), Timestamp(digest))
    leaf = file.timestamp.ops.add(OpAppend(b"regtest-nonce-16")).ops.add(OpSHA256())
    root = leaf.ops.add(OpPrepend(hashlib.sha256(b"coinbase").digest())).ops.add(OpSHA256()).ops.add(OpSHA256())
    root.attestations.add(BitcoinBlockHeaderAttestation(height))
    return serialized(file), mine(root.msg, time)


def attested(digest: bytes, attestation: TimeAttestation) -> bytes:
    """Return an `.ots` file for a raw SHA-256 that carries one given attestation."""
    file = DetachedTimestampFile(OpSHA256(), Timestamp(digest))
    file.timestamp.attestations.add(attestation)
    return serialized(file)


def serialized(file: DetachedTimestampFile) -> bytes:
    """Return the bytes of an `.ots` file."""
    context = BytesSerializationContext()
    file.serialize(context)
    return bytes(context.getbytes())
