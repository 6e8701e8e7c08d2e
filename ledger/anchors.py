"""Outside timestamp proofs, checked offline: OpenTimestamps (Bitcoin) and RFC 3161 (timestamp authorities).

A proof says that some content existed not later than a time; neither kind says "not earlier than".
Nothing here reads a network or a clock: the block header and the accepted roots, networks and work
come from the caller, and so does all trust in them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from opentimestamps.core.notary import BitcoinBlockHeaderAttestation as BitcoinAttestation  # type: ignore[import-untyped]
from opentimestamps.core.notary import TimeAttestation
from opentimestamps.core.op import OpSHA256  # type: ignore[import-untyped]
from opentimestamps.core.serialize import BytesDeserializationContext as OtsReader  # type: ignore[import-untyped]
from opentimestamps.core.serialize import DeserializationError
from opentimestamps.core.timestamp import DetachedTimestampFile  # type: ignore[import-untyped]
from rfc3161_client import PKIStatus, TimeStampResponse, VerificationError, VerifierBuilder, decode_timestamp_response

from ledger.errors import AnchorMalformedError, AnchorMismatchError, AnchorUntrustedError, InvalidFieldError

METHODS: Final = ("opentimestamps", "rfc3161")
MAX_PROOF_BYTES: Final = 16 * 1024
HEADER_BYTES: Final = 80

# The least work (log2 of hashes) that the network's own rules allow in a block: its `powLimit`.
_NETWORK_FLOOR_BITS: Final[Mapping[str, int]] = {"mainnet": 32, "regtest": 0}
_SHA256: Final = "2.16.840.1.101.3.4.2.1"
_SIGNED_DIGESTS: Final = frozenset({_SHA256, "2.16.840.1.101.3.4.2.2", "2.16.840.1.101.3.4.2.3"})
_AUTHORITY_TRUST: Final = (
    "The time is the word of this timestamp authority, whose certificate leads to a root that the registry accepts "
    "and was not checked for revocation."
)
# What opentimestamps lets through on hostile bytes; it warns of one operation, which `-W error` turns into an error.
_PARSER_ERRORS: Final = (
    DeserializationError,
    ValueError,
    TypeError,
    AssertionError,
    OverflowError,
    RecursionError,
    Warning,
)


@dataclass(frozen=True, slots=True)
class BitcoinRules:
    """What policy accepts as a block header of one network, "mainnet" or "regtest".

    `minimum_work_bits` is log2 of the least expected number of hashes behind a header (60 suits mainnet).
    `checkpoints` gives block ids, in printed (reversed) hex, by height: a header there must be that block.

    Raises:
        InvalidFieldError: an unknown network, or work bits outside 0 to 256.
    """

    network: str
    minimum_work_bits: int
    checkpoints: Mapping[int, str]

    def __post_init__(self) -> None:
        if self.network not in _NETWORK_FLOOR_BITS:
            raise InvalidFieldError(f"{self.network!r} is not mainnet or regtest", place="network")
        if not 0 <= self.minimum_work_bits <= 256:
            raise InvalidFieldError("work is 0 to 256 bits", place="minimum_work_bits")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a verified proof says.

    `attested_time` is UTC, YYYY-MM-DDTHH:MM:SSZ: the content existed not later than this. `authority` names
    who says so, and `trust` tells in one sentence what a reader still has to believe.
    """

    attested_time: str
    authority: str
    trust: str


def check_proof(method: str, digest: bytes, proof: bytes) -> None:
    """Check that a proof parses and is about a raw 32-byte SHA-256; it may still be pending.

    Raises:
        InvalidFieldError: an unknown method, or a digest of another length.
        AnchorMalformedError: not a proof of this method.
        AnchorMismatchError: a proof about something else.
    """
    _check_input(method, digest, proof)
    if method == "opentimestamps":
        _read_ots(digest, proof)
    else:
        _read_reply(digest, proof)


def confirm(
    method: str,
    digest: bytes,
    proof: bytes,
    *,
    block_header: bytes | None,
    height: int | None,
    bitcoin: Sequence[BitcoinRules],
    roots: Sequence[bytes],
) -> Confirmation:
    """Verify a complete proof of a raw 32-byte SHA-256.

    An "opentimestamps" proof (the bytes of an .ots file) needs the raw 80-byte header and the height of one
    block it names, and rules that accept it. An "rfc3161" proof (a DER TimeStampResp) needs the DER
    certificates of the accepted self-signed roots, and of intermediates that the reply leaves out; the chain
    is judged at the time in the token, so that it stays good after the authority's certificate expires.

    Raises:
        InvalidFieldError: an unknown method, or a digest of another length.
        AnchorMalformedError: proof or header is not what it should be.
        AnchorMismatchError: the proof is about something else, or does not lead to this block.
        AnchorUntrustedError: the header or the authority is not one that policy accepts.
    """
    _check_input(method, digest, proof)
    if method == "rfc3161":
        return _confirm_reply(digest, proof, roots)
    if block_header is None or height is None:
        raise AnchorMalformedError("a Bitcoin proof is confirmed with a block header and its height")
    return _confirm_ots(digest, proof, block_header, height, bitcoin)


def check_root(certificate: bytes) -> None:
    """Check that bytes are a DER certificate; raises ValueError when they are not."""
    x509.load_der_x509_certificate(certificate)


def _check_input(method: str, digest: bytes, proof: bytes) -> None:
    if method not in METHODS:
        raise InvalidFieldError(f"{method!r} is not {' or '.join(METHODS)}", place="method")
    if len(digest) != 32:
        raise InvalidFieldError(f"a SHA-256 has 32 bytes, not {len(digest)}", place="digest")
    if len(proof) > MAX_PROOF_BYTES:
        raise AnchorMalformedError(f"the proof has {len(proof)} bytes, more than {MAX_PROOF_BYTES}")


def _reason(error: Exception) -> str:
    # Both libraries may quote much of the proof, and one OpenSSL's whole error stack.
    return (str(error).partition(": ErrorStack")[0] or type(error).__name__)[:160]


# --- OpenTimestamps --------------------------------------------------------------------------


def _read_ots(digest: bytes, proof: bytes) -> list[tuple[bytes, TimeAttestation]]:
    """Return every attestation of an .ots file about `digest`, each with the message it attests."""
    try:
        found = DetachedTimestampFile.deserialize(OtsReader(proof))
        attestations = list(found.timestamp.all_attestations())
    except _PARSER_ERRORS as error:
        raise AnchorMalformedError(f"not an OpenTimestamps proof: {_reason(error)}") from None
    if not isinstance(found.file_hash_op, OpSHA256):
        raise AnchorMismatchError(f"the proof is about a {found.file_hash_op} hash, not a SHA-256")
    if found.file_digest != digest:
        raise AnchorMismatchError(f"the proof is about {found.file_digest.hex()}, not {digest.hex()}")
    return attestations


def _confirm_ots(
    digest: bytes, proof: bytes, header: bytes, height: int, bitcoin: Sequence[BitcoinRules]
) -> Confirmation:
    merkle_roots = [
        message
        for message, attestation in _read_ots(digest, proof)
        if isinstance(attestation, BitcoinAttestation) and attestation.height == height
    ]
    if not merkle_roots:
        raise AnchorMismatchError(f"the proof has no attestation of Bitcoin block {height}; it may still be pending")
    work, block_id = _header_work(header)
    if header[36:68] not in merkle_roots:
        raise AnchorMismatchError(f"the proof does not lead to the Merkle root of block {block_id}")
    rules = _accepting_rules(work, bitcoin)
    known = rules.checkpoints.get(height)
    if known is not None and known != block_id:
        raise AnchorUntrustedError(f"block {height} of Bitcoin {rules.network} is {known}, not {block_id}")
    if rules.network == "regtest":
        trust = "A regtest block costs nothing to make, so this shows the form of a proof and nothing about time."
    elif known is not None:
        trust = "This block id is fixed in the accepted policy; the time a Bitcoin block states is good to a few hours."
    else:
        trust = (
            f"That this header, with 2^{work.bit_length() - 1} hashes of work, belongs to the Bitcoin chain at this "
            "height is the registry's word; the time a block states is good to a few hours."
        )
    seconds = int.from_bytes(header[68:72], "little")
    return Confirmation(_utc(datetime.fromtimestamp(seconds, UTC)), f"bitcoin {rules.network} block {height}", trust)


def _header_work(header: bytes) -> tuple[int, str]:
    """Return a raw header's expected hashes and printed id, after checking it against its own target.

    Source: Bitcoin developer reference, "Block Headers" (little-endian fields, "Target nBits").
    """
    if len(header) != HEADER_BYTES:
        raise AnchorMalformedError(f"a block header has {HEADER_BYTES} bytes, not {len(header)}")
    compact = int.from_bytes(header[72:76], "little")
    mantissa, shift = compact & 0x7FFFFF, 8 * ((compact >> 24) - 3)
    target = mantissa << shift if shift >= 0 else mantissa >> -shift
    if compact & 0x800000 or not 0 < target < 1 << 256:
        raise AnchorMalformedError(f"no block header has the target {compact:08x}")
    block_hash = hashlib.sha256(hashlib.sha256(header).digest()).digest()
    if int.from_bytes(block_hash, "little") > target:
        raise AnchorUntrustedError("the block header does not meet its own target")
    return (1 << 256) // (target + 1), block_hash[::-1].hex()


def _accepting_rules(work: int, bitcoin: Sequence[BitcoinRules]) -> BitcoinRules:
    """Return the most demanding rules that a header with this work (expected hashes) satisfies.

    The most demanding ones decide, so that a mainnet header is held to mainnet's checkpoints even where
    regtest is accepted too.
    """

    def needed(rules: BitcoinRules) -> int:
        return 1 << max(rules.minimum_work_bits, _NETWORK_FLOOR_BITS[rules.network])

    for rules in sorted(bitcoin, key=needed, reverse=True):
        if work >= needed(rules):
            return rules
    accepted = ", ".join(f"{rules.network} with 2^{needed(rules).bit_length() - 1}" for rules in bitcoin) or "none"
    raise AnchorUntrustedError(f"the block header has 2^{work.bit_length() - 1} hashes of work; accepted: {accepted}")


# --- RFC 3161 --------------------------------------------------------------------------------


def _read_reply(digest: bytes, proof: bytes) -> TimeStampResponse:
    """Return a granted TimeStampResp (RFC 3161, 2.4.2) whose imprint is the SHA-256 `digest`."""
    try:
        reply = decode_timestamp_response(proof)
        if reply.status != PKIStatus.GRANTED:
            said = " ".join(reply.status_string)[:160]
            raise AnchorMalformedError(
                f"the authority answered status {reply.status}, not granted: {said}".rstrip(": ")
            )
        imprint = reply.tst_info.message_imprint
        algorithm, stamped = imprint.hash_algorithm.dotted_string, imprint.message
    except ValueError as error:
        raise AnchorMalformedError(f"not an RFC 3161 reply: {_reason(error)}") from None
    if algorithm != _SHA256:
        raise AnchorMismatchError(f"the timestamp is about a hash by algorithm {algorithm}, not a SHA-256")
    if stamped != digest:
        raise AnchorMismatchError(f"the timestamp is about {stamped.hex()}, not {digest.hex()}")
    return reply


def _confirm_reply(digest: bytes, proof: bytes, roots: Sequence[bytes]) -> Confirmation:
    reply = _read_reply(digest, proof)
    try:
        # The signature's digest must be in this list to verify (RFC 5652, 5.1), so limiting the list limits it.
        weak = {algorithm.dotted_string for algorithm in reply.signed_data.digest_algorithms} - _SIGNED_DIGESTS
        if weak:
            raise AnchorUntrustedError(f"the timestamp is signed with hash algorithm {min(weak)}, weaker than SHA-256")
        _check_chain(reply, digest, roots)
        token = reply.tst_info
        return Confirmation(
            _utc(token.gen_time), f"rfc3161 {_signer(reply)}, policy {token.policy.dotted_string}", _AUTHORITY_TRUST
        )
    except ValueError as error:
        raise AnchorMalformedError(f"not an RFC 3161 reply: {_reason(error)}") from None


def _check_chain(reply: TimeStampResponse, digest: bytes, roots: Sequence[bytes]) -> None:
    """Check signature, chain and purpose (RFC 3161, 2.3) under any root; see `confirm` for the errors."""
    known: list[x509.Certificate] = []
    failure = "no root is accepted"
    for root in roots:
        try:
            known.append(x509.load_der_x509_certificate(root))
        except ValueError as error:
            failure = f"an accepted root cannot be read: {_reason(error)}"
    # Each alone, since roots of one name hide each other; then all, since an authority may leave an
    # intermediate out of its reply that is listed beside its root.
    for trusted in [*([root] for root in known), known]:
        try:
            if trusted and VerifierBuilder(roots=list(trusted)).build().verify(reply, digest):
                return
        except (VerificationError, ValueError) as error:
            failure = _reason(error)
    raise AnchorUntrustedError(f"the timestamp does not verify under an accepted root: {failure}")


def _signer(reply: TimeStampResponse) -> str:
    """Return the subject (RFC 4514 text) of the certificate that signed a verified reply."""
    (signer,) = reply.signed_data.signer_infos
    for der in reply.signed_data.certificates:
        certificate = x509.load_der_x509_certificate(der)
        if (certificate.issuer, certificate.serial_number) == (signer.issuer, signer.serial_number):
            return certificate.subject.rfc4514_string()
    raise AnchorUntrustedError("the reply does not carry its signer's certificate")


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
