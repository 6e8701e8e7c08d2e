"""Real RFC 3161 replies, changed where no signature covers them: the set of certificates."""

from __future__ import annotations

from ops.timestamps.der import elements, written

_CERTIFICATES = 3
_VERSION_3, _VERSION_8 = bytes.fromhex("a003020102"), bytes.fromhex("a003020107")


def with_certificate(reply: bytes, certificate: bytes) -> bytes:
    """Return a reply (DER) with one more certificate beside the signer's (RFC 5652, 5.1)."""
    response = _children(reply)
    token = _children(response[1])
    signed_data = _children(_children(token[1])[0])
    certificates = [*_children(signed_data[_CERTIFICATES]), certificate]
    signed_data[_CERTIFICATES] = written(0xA0, b"".join(sorted(certificates)))
    content = written(0xA0, written(0x30, b"".join(signed_data)))
    return written(0x30, response[0] + written(0x30, token[0] + content))


def a_certificate_of_no_version(certificate: bytes) -> bytes:
    """Return a certificate (DER) that says it is of version 8, which there is not (RFC 5280, 4.1.2.1)."""
    at = certificate.index(_VERSION_3)
    return certificate[:at] + _VERSION_8 + certificate[at + len(_VERSION_3) :]


def _children(raw: bytes) -> list[bytes]:
    ((_, _, start, end),) = list(elements(raw, 0, len(raw)))
    return [raw[first:last] for _, first, _, last in elements(raw, start, end)]
