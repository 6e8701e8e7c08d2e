"""The little DER that the libraries at hand neither write nor forgive: a timestamp request, and an unsorted reply.

Source: ITU-T X.690 (definite lengths, tags of one byte), RFC 3161 2.4.1 and 2.4.2, RFC 5652 5.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ledger.timestamp_tokens import SHA256

_OID: Final = re.compile(r"(?:[01]\.[1-3]?[0-9]|2\.(?:0|[1-9][0-9]{0,8}))(?:\.(?:0|[1-9][0-9]{0,38})){0,30}")
"""Two numbers at least, of which the first is at most 2, and the second below 40 unless that is 2 (X.660)."""

_BOOLEAN_TRUE: Final = b"\x01\x01\xff"
_NULL: Final = b"\x05\x00"
_INTEGER: Final = 0x02
_OCTETS: Final = 0x04
_OBJECT: Final = 0x06
_SEQUENCE: Final = 0x30
_CONTEXT_0: Final = 0xA0


def timestamp_request(digest: bytes, nonce: int, policy: str | None) -> bytes:
    """Return a TimeStampReq for a raw SHA-256 that asks for the authority's certificate too.

    Args:
        nonce: a positive number, new each time.
        policy: the OID of the policy to stamp under; None leaves it to the authority.

    Raises:
        ValueError: the policy is no OID.
    """
    algorithm = written(_SEQUENCE, _object(SHA256) + _NULL)
    imprint = written(_SEQUENCE, algorithm + written(_OCTETS, digest))
    asked = b"" if policy is None else _object(policy)
    return written(_SEQUENCE, _integer(1) + imprint + asked + _integer(nonce) + _BOOLEAN_TRUE)


def sorted_certificates(reply: bytes) -> bytes:
    """Return a TimeStampResp with the certificates of its token in DER order, as a SET OF must stand.

    Authorities that send a chain often leave it unsorted, which strict readers refuse. The signature does not
    cover this set, so it stays good; no other byte is moved. What is no such reply comes back as it is.
    """
    try:
        start, end = _certificates(reply)
        found = [reply[begin:finish] for _, begin, _, finish in elements(reply, start, end)]
    except ValueError:
        return reply
    return reply[:start] + b"".join(sorted(found)) + reply[end:]


def _certificates(reply: bytes) -> tuple[int, int]:
    """Return where in a TimeStampResp the content of the token's set of certificates stands."""
    (_, _, start, end) = _only(elements(reply, 0, len(reply)), _SEQUENCE)
    _status, token = elements(reply, start, end)
    _type, content = elements(reply, token[2], token[3])
    signed = _only(elements(reply, content[2], content[3]), _SEQUENCE)
    # SignedData: version, digestAlgorithms, encapContentInfo, certificates [0], ...
    _version, _algorithms, _signed, certificates, *_rest = elements(reply, signed[2], signed[3])
    if certificates[0] != _CONTEXT_0:
        raise ValueError("no certificates")
    return certificates[2], certificates[3]


def _only(elements: Iterator[tuple[int, int, int, int]], tag: int) -> tuple[int, int, int, int]:
    (element,) = elements
    if element[0] != tag:
        raise ValueError("another element")
    return element


def elements(raw: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield tag, start, start of the content and end of each element in a range; raises ValueError."""
    while start < end:
        if end - start < 2:
            raise ValueError("cut short")
        tag, length, content = raw[start], raw[start + 1], start + 2
        if length & 0x80:
            content += length & 0x7F
            length = int.from_bytes(raw[start + 2 : content], "big")
        if content + length > end:
            raise ValueError("cut short")
        yield tag, start, content, content + length
        start = content + length


def written(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    long = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(long)]) + long + content


def _integer(number: int) -> bytes:
    return written(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _object(oid: str) -> bytes:
    if not _OID.fullmatch(oid):
        raise ValueError(f"{oid!r} is no object identifier")
    first, second, *rest = (int(part) for part in oid.split("."))
    return written(_OBJECT, b"".join(_base128(number) for number in (40 * first + second, *rest)))


def _base128(number: int) -> bytes:
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(0x80 | number & 0x7F)
    return bytes(reversed(digits))
