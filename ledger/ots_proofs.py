"""OpenTimestamps proofs (`.ots` files), read strictly: whatever the bytes are, they are a proof or an AnchorError.

The library reads the format; what it lets through on hostile bytes is caught here, in one place.
"""

from __future__ import annotations

from typing import Final

from opentimestamps.core.notary import TimeAttestation  # type: ignore[import-untyped]
from opentimestamps.core.op import OpSHA256  # type: ignore[import-untyped]
from opentimestamps.core.serialize import BytesDeserializationContext as OtsReader  # type: ignore[import-untyped]
from opentimestamps.core.serialize import DeserializationError
from opentimestamps.core.timestamp import DetachedTimestampFile  # type: ignore[import-untyped]

from ledger.errors import AnchorMalformedError, AnchorMismatchError

PARSER_ERRORS: Final = (
    DeserializationError,
    ValueError,
    TypeError,
    AssertionError,
    OverflowError,
    RecursionError,
    Warning,
)
"""What the library raises on hostile bytes; it warns of one operation, which `-W error` turns into an error."""


def read_ots(proof: bytes) -> DetachedTimestampFile:
    """Return an `.ots` file about a SHA-256.

    Raises:
        AnchorMalformedError: not such a file.
        AnchorMismatchError: it is about a hash of another kind.
    """
    try:
        found = DetachedTimestampFile.deserialize(OtsReader(proof))
    except PARSER_ERRORS as error:
        raise not_a_proof(error) from None
    if not isinstance(found.file_hash_op, OpSHA256):
        raise AnchorMismatchError(f"the proof is about a {found.file_hash_op} hash, not a SHA-256")
    return found


def read_attestations(digest: bytes, proof: bytes) -> list[tuple[bytes, TimeAttestation]]:
    """Return every attestation of an `.ots` file about a raw SHA-256, each with the message it attests.

    Raises:
        AnchorMalformedError: not such a file.
        AnchorMismatchError: it is about something else.
    """
    found = read_ots(proof)
    if found.file_digest != digest:
        raise AnchorMismatchError(f"the proof is about {found.file_digest.hex()}, not {digest.hex()}")
    try:
        return list(found.timestamp.all_attestations())
    except PARSER_ERRORS as error:
        raise not_a_proof(error) from None


def not_a_proof(error: Exception) -> AnchorMalformedError:
    """Return what an error of the parser means, in few words: it may quote much of the proof."""
    return AnchorMalformedError(f"not an OpenTimestamps proof: {(str(error) or type(error).__name__)[:160]}")
