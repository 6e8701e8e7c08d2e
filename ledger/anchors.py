"""Outside timestamp proofs, checked offline: OpenTimestamps (Bitcoin) and RFC 3161 (timestamp authorities).

A proof says that some content existed not later than a time; neither kind says "not earlier than".
Nothing here reads a network or a clock: the block header and the accepted roots, networks and work
come from the caller, and so does all trust in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from opentimestamps.core.notary import BitcoinBlockHeaderAttestation as BitcoinAttestation  # type: ignore[import-untyped]

from ledger.block_headers import (
    HEADER_BYTES,
    BitcoinRules,
    accepting_rules,
    block_id,
    header_work,
    merkle_root,
    stated_time,
)
from ledger.errors import AnchorMalformedError, AnchorMismatchError, AnchorUntrustedError, InvalidFieldError
from ledger.ots_proofs import read_attestations
from ledger.timestamp_tokens import read_reply, verify_reply

__all__ = [
    "HEADER_BYTES",
    "MAX_PROOF_BYTES",
    "METHODS",
    "BitcoinRules",
    "Confirmation",
    "check_proof",
    "check_root",
    "confirm",
]

METHODS: Final = ("opentimestamps", "rfc3161")
MAX_PROOF_BYTES: Final = 16 * 1024

_AUTHORITY_TRUST: Final = (
    "The time is the word of this timestamp authority, whose certificate leads to a root that the registry accepts "
    "and was not checked for revocation."
)
_WORTHLESS: Final = "A regtest block costs nothing to make, so this shows the form of a proof and nothing about time."


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a verified proof says.

    `attested_time` is UTC, YYYY-MM-DDTHH:MM:SSZ: the content existed not later than this. `authority` names
    who says so, and `trust` tells in one sentence what a reader still has to believe. `clock` is the
    independent clock behind it, the same text for all proofs that stand and fall together: "bitcoin" and the network,
    however many calendars led to a block of it, or "rfc3161" and the SHA-256 (hex) of the accepted root certificate.
    """

    attested_time: str
    authority: str
    trust: str
    clock: str


def check_proof(method: str, digest: bytes, proof: bytes) -> None:
    """Check that a proof parses and is about a raw 32-byte SHA-256; it may still be pending.

    Raises:
        InvalidFieldError: an unknown method, or a digest of another length.
        AnchorMalformedError: not a proof of this method.
        AnchorMismatchError: a proof about something else.
    """
    _check_input(method, digest, proof)
    if method == "opentimestamps":
        read_attestations(digest, proof)
    else:
        read_reply(digest, proof)


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
        token = verify_reply(digest, proof, roots)
        authority = f"rfc3161 {token.signer}, policy {token.policy}"
        return Confirmation(_utc(token.time), authority, _AUTHORITY_TRUST, f"rfc3161 {token.root}")
    if block_header is None or height is None:
        raise AnchorMalformedError("a Bitcoin proof is confirmed with a block header and its height")
    return _confirm_ots(digest, proof, block_header, height, bitcoin)


def check_root(certificate: bytes) -> None:
    """Check that bytes are a DER certificate.

    Raises:
        AnchorMalformedError: they are not.
    """
    try:
        x509.load_der_x509_certificate(certificate)
    except Exception as error:  # what the library raises shares no kind
        raise AnchorMalformedError(f"no certificate: {type(error).__name__}") from None


def _check_input(method: str, digest: bytes, proof: bytes) -> None:
    if method not in METHODS:
        raise InvalidFieldError(f"{method!r} is not {' or '.join(METHODS)}", place="method")
    if len(digest) != 32:
        raise InvalidFieldError(f"a SHA-256 has 32 bytes, not {len(digest)}", place="digest")
    if len(proof) > MAX_PROOF_BYTES:
        raise AnchorMalformedError(f"the proof has {len(proof)} bytes, more than {MAX_PROOF_BYTES}")


def _confirm_ots(
    digest: bytes, proof: bytes, header: bytes, height: int, bitcoin: Sequence[BitcoinRules]
) -> Confirmation:
    merkle_roots = [
        message
        for message, attestation in read_attestations(digest, proof)
        if isinstance(attestation, BitcoinAttestation) and attestation.height == height
    ]
    if not merkle_roots:
        raise AnchorMismatchError(f"the proof has no attestation of Bitcoin block {height}; it may still be pending")
    block = block_id(header)
    if merkle_root(header) not in merkle_roots:
        raise AnchorMismatchError(f"the proof does not lead to the Merkle root of block {block}")
    rules = accepting_rules(header, bitcoin)
    known = rules.checkpoints.get(height)
    if known is not None and known != block:
        raise AnchorUntrustedError(f"block {height} of Bitcoin {rules.network} is {known}, not {block}")
    return Confirmation(
        _utc(stated_time(header)),
        f"bitcoin {rules.network} block {height}",
        _block_trust(rules, header, is_known=known is not None),
        f"bitcoin {rules.network}",
    )


def _block_trust(rules: BitcoinRules, header: bytes, *, is_known: bool) -> str:
    if rules.costs_nothing:
        return _WORTHLESS
    if is_known:
        return "This block id is fixed in the accepted policy; the time a Bitcoin block states is good to a few hours."
    return (
        f"That this header, with 2^{header_work(header).bit_length() - 1} hashes of work, belongs to the Bitcoin chain "
        "at this height is the registry's word; the time a block states is good to a few hours."
    )


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
