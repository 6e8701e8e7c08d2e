"""Other signatures on an event than the one that it was born with."""

from __future__ import annotations

import hashlib
import json

from nacl.bindings import (
    crypto_core_ed25519_scalar_add,
    crypto_core_ed25519_scalar_mul,
    crypto_core_ed25519_scalar_reduce,
    crypto_scalarmult_ed25519_base_noclamp,
)

from ledger.events import Event, from_value
from ledger.keys import SecretKey, encode_signature


def with_signature(event: Event, signature: bytes) -> Event:
    return from_value({**json.loads(event.raw), "signature_b64": encode_signature(signature)})


def another_signature(signer: SecretKey, message: bytes) -> bytes:
    """Sign as RFC 8032 does, but with a freely chosen nonce: valid, and unlike the deterministic one."""
    expanded = hashlib.sha512(signer.seed()).digest()
    scalar = bytearray(expanded[:32])
    scalar[0] &= 248
    scalar[31] = (scalar[31] & 127) | 64
    secret_scalar = crypto_core_ed25519_scalar_reduce(bytes(scalar) + bytes(32))
    r = crypto_core_ed25519_scalar_reduce(hashlib.sha512(b"a nonce of our own").digest())
    point = crypto_scalarmult_ed25519_base_noclamp(r)
    k = crypto_core_ed25519_scalar_reduce(hashlib.sha512(point + signer.public_key + message).digest())
    return point + crypto_core_ed25519_scalar_add(r, crypto_core_ed25519_scalar_mul(k, secret_scalar))
