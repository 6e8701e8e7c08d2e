"""The curve edwards25519 in plain integers, to craft signatures that no honest signer makes and to judge them.

Points are extended coordinates (X, Y, Z, T) as in RFC 8032, 5.1.4. Slow, and nothing here is kept secret.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
SIGN_BIT = 2**255

Point = tuple[int, int, int, int]

NEUTRAL: Point = (0, 1, 1, 0)


def add(one: Point, other: Point) -> Point:
    (x1, y1, z1, t1), (x2, y2, z2, t2) = one, other
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * D * t1 * t2 % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(scalar: int, point: Point) -> Point:
    """Multiply by a scalar that is not reduced: a point of mixed order takes it as it is."""
    found = NEUTRAL
    while scalar:
        if scalar & 1:
            found = add(found, point)
        point = add(point, point)
        scalar >>= 1
    return found


def minus(point: Point) -> Point:
    x, y, z, t = point
    return -x % P, y, z, -t % P


def encode(point: Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) * SIGN_BIT).to_bytes(32, "little")


def decode(raw: bytes) -> Point | None:
    """Return the point of an encoding, canonical or not; None where there is none on the curve."""
    number = int.from_bytes(raw, "little")
    y, sign = number % SIGN_BIT % P, number // SIGN_BIT
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (v * x * x - u) % P:
        return None
    if x & 1 != sign:
        x = -x % P
    return x, y, 1, x * y % P


def _point(encoded: str) -> Point:
    found = decode(bytes.fromhex(encoded))
    assert found is not None
    return found


BASE = _point("58" + "66" * 31)
ORDER_8 = _point("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
TORSION = [times(steps, ORDER_8) for steps in range(8)]


def challenge(r: bytes, public_key: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + public_key + message).digest(), "little") % L


class Crafted(NamedTuple):
    """A signature and its key; `residue` is by how many steps of ORDER_8 its equation is off (0: it holds exactly)."""

    public_key: bytes
    message: bytes
    signature: bytes
    residue: int


def craft(secret: int, nonce: int, message: bytes, key_torsion: int = 0, r_torsion: int = 0) -> Crafted:
    """Sign with a key and an R that were moved by steps of ORDER_8; the cofactored equation always holds."""
    public_key = encode(add(times(secret, BASE), TORSION[key_torsion]))
    r = encode(add(times(nonce, BASE), TORSION[r_torsion]))
    k = challenge(r, public_key, message)
    signature = r + ((nonce + k * secret) % L).to_bytes(32, "little")
    return Crafted(public_key, message, signature, (k * key_torsion + r_torsion) % 8)


def is_of_small_order(point: Point) -> bool:
    return encode(times(8, point)) == encode(NEUTRAL)


def accepts_exactly(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Judge by the log's rule, word for word."""
    key, r, s = decode(public_key), decode(signature[:32]), int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= L or is_of_small_order(key) or is_of_small_order(r):
        return False
    return encode(key) == public_key and holds_exactly(public_key, message, signature)


def accepts_cofactored(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Judge as ZIP 215 does: any encoding of any points, and both sides of the equation multiplied by eight."""
    key, r, s = decode(public_key), decode(signature[:32]), int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= L:
        return False
    return is_of_small_order(add(_expected_r(key, public_key, message, signature), minus(r)))


def holds_exactly(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether [S]B - [k]A encodes to R, whatever else is wrong; False where the key is no point."""
    key = decode(public_key)
    return key is not None and encode(_expected_r(key, public_key, message, signature)) == signature[:32]


def _expected_r(key: Point, public_key: bytes, message: bytes, signature: bytes) -> Point:
    k, s = challenge(signature[:32], public_key, message), int.from_bytes(signature[32:], "little")
    return add(times(s, BASE), times(k, minus(key)))
