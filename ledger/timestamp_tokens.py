"""RFC 3161 replies, checked offline: what they are about, who signed them, and under which accepted root.

The chain is judged at the time in the token, so that it stays good after the authority's certificate expires.
Revocation is not checked: nothing here reads a network or a clock.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from rfc3161_client import PKIStatus, TimeStampResponse, VerificationError, VerifierBuilder, decode_timestamp_response

from ledger.errors import AnchorError, AnchorMalformedError, AnchorMismatchError, AnchorUntrustedError

SHA256: Final = "2.16.840.1.101.3.4.2.1"
SIGNED_DIGESTS: Final = frozenset({SHA256, "2.16.840.1.101.3.4.2.2", "2.16.840.1.101.3.4.2.3"})
"""The hash algorithms under a signature that count: SHA-256, SHA-384 and SHA-512."""

_SAID: Final = 160
_OPENSSL_ERROR: Final = re.compile(r'reason: "([^"]*)"(?:[^{}]*data: "Verify error: *([^"]*)")?')


@dataclass(frozen=True, slots=True)
class Token:
    """What a verified reply says.

    `time` is the authority's, with zone; `signer` the subject of its certificate (RFC 4514 text); `policy` an OID;
    `root` the SHA-256, in hex, of the DER of the accepted root certificate under which it verified.
    """

    time: datetime
    signer: str
    policy: str
    root: str


def read_reply(digest: bytes, proof: bytes) -> TimeStampResponse:
    """Return a granted TimeStampResp (RFC 3161, 2.4.2) whose imprint is the raw SHA-256 `digest`; nothing is verified.

    Raises:
        AnchorMalformedError: not such a reply, or one that was not granted.
        AnchorMismatchError: it is about something else.
    """
    with _reading():
        reply = decode_timestamp_response(proof)
        if reply.status != PKIStatus.GRANTED:
            said = " ".join(reply.status_string)[:_SAID]
            raise AnchorMalformedError(
                f"the authority answered status {reply.status}, not granted: {said}".rstrip(": ")
            )
        imprint = reply.tst_info.message_imprint
        algorithm, stamped = imprint.hash_algorithm.dotted_string, imprint.message
    if algorithm != SHA256:
        raise AnchorMismatchError(f"the timestamp is about a hash by algorithm {algorithm}, not a SHA-256")
    if stamped != digest:
        raise AnchorMismatchError(f"the timestamp is about {stamped.hex()}, not {digest.hex()}")
    return reply


def verify_reply(digest: bytes, proof: bytes, roots: Sequence[bytes]) -> Token:
    """Return what a reply (DER) says about a raw SHA-256, once signature, chain and purpose hold.

    Args:
        roots: DER certificates: the accepted self-signed roots, and intermediates that replies leave out.

    Raises:
        AnchorMalformedError: not a granted reply.
        AnchorMismatchError: it is about something else.
        AnchorUntrustedError: it does not verify under an accepted root, or is signed over a weak hash.
    """
    reply = read_reply(digest, proof)
    with _reading():
        # The signature's digest must be in this list to verify (RFC 5652, 5.1), so limiting the list limits it.
        weak = {algorithm.dotted_string for algorithm in reply.signed_data.digest_algorithms} - SIGNED_DIGESTS
        if weak:
            raise AnchorUntrustedError(f"the timestamp is signed with hash algorithm {min(weak)}, weaker than SHA-256")
        root = _verifying_root(reply, digest, roots)
        token = reply.tst_info
        return Token(
            token.gen_time,
            signer_certificate(reply).subject.rfc4514_string(),
            token.policy.dotted_string,
            hashlib.sha256(root.public_bytes(Encoding.DER)).hexdigest(),
        )


def signer_certificate(reply: TimeStampResponse) -> x509.Certificate:
    """Return the certificate that signed a verified reply.

    Raises:
        AnchorUntrustedError: the reply does not carry it.
    """
    (signer,) = reply.signed_data.signer_infos
    for der in reply.signed_data.certificates:
        certificate = x509.load_der_x509_certificate(der)
        if (certificate.issuer, certificate.serial_number) == (signer.issuer, signer.serial_number):
            return certificate
    raise AnchorUntrustedError("the reply does not carry its signer's certificate")


def _verifying_root(reply: TimeStampResponse, digest: bytes, roots: Sequence[bytes]) -> x509.Certificate:
    """Return the accepted root that a reply's chain ends in (RFC 3161, 2.3); see `verify_reply` for the errors."""
    known: list[x509.Certificate] = []
    failures: dict[str, None] = {}
    for der in roots:
        try:
            known.append(x509.load_der_x509_certificate(der))
        except ValueError as error:
            failures[f"an accepted root cannot be read: {_reason(error)}"] = None
    for root, trusted in _trials(known):
        try:
            if VerifierBuilder(roots=trusted).build().verify(reply, digest):
                return root
        except (VerificationError, ValueError) as error:
            failures[_reason(error)] = None
    why = ", ".join(failures)[:_SAID] or "no root is accepted"
    raise AnchorUntrustedError(f"the timestamp does not verify under an accepted root: {why}")


def _trials(known: Sequence[x509.Certificate]) -> Iterator[tuple[x509.Certificate, list[x509.Certificate]]]:
    """Yield each certificate in which a chain can end, with all that is trusted while it is tried.

    One root at a time tells which it was, and roots of one name hide each other. Alone first; then beside the
    intermediates, since an authority may leave one out of its reply.
    """
    ends = [one for one in known if one.issuer == one.subject]
    between = [one for one in known if one.issuer != one.subject]
    for root in ends:
        yield root, [root]
    if between:
        for root in ends:
            yield root, [root, *between]


@contextmanager
def _reading() -> Iterator[None]:
    """Take whatever the libraries raise on hostile bytes as word that these are no reply; they share no kind of it."""
    try:
        yield
    except AnchorError:
        raise
    except Exception as error:
        raise AnchorMalformedError(f"not an RFC 3161 reply: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    # The library may quote much of the proof, and OpenSSL's whole error stack, of which the last one says it best.
    said = str(error)
    stack = _OPENSSL_ERROR.findall(said)
    if stack:
        reason, data = stack[-1]
        said = data or reason
    return (said.partition(": ErrorStack")[0] or type(error).__name__)[:_SAID]
