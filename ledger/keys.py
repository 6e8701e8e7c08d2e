"""Ed25519 keys: signing, the one pinned verification rule, key ids and domains. The only import of PyNaCl.

The rule is libsodium's: `crypto_sign_open` with no small-order or non-canonical public key, no
non-canonical S, no small-order R. Verifiers differ on crafted inputs (OpenSSL accepts some that
libsodium refuses), so `tests/vectors` freezes our decision for every disputed case, and the libsodium
that is installed has to give the answers of `pinned_rule` before its first verdict.

What is signed is always short and domain-separated, so one signature can never pass as another kind:

* pith_receipt: the bare 32 bytes of the canonical hash (the public protocol's rule);
* event: `pith-event/1\\n` and the 32 raw bytes of the event hash;
* key statement: `pith-key/1\\n` and the 32 raw bytes of the statement's hash;
* request: `pith-request/1\\n` and the 32 raw bytes of the request's hash (see `signed_requests`);
* possession: `pith-possession/1\\n` and the 32 raw bytes of a challenge's and its answer's hash (see `possession`);
* note: a text of more than 32 bytes that ends with a newline and starts with none of these domains.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from functools import cache
from typing import Final, Literal, get_args

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from ledger.errors import InvalidFieldError, SignatureInvalidError, WeakKeyError
from ledger.pinned_rule import check_verifier

EVENT_DOMAIN: Final = b"pith-event/1\n"
KEY_DOMAIN: Final = b"pith-key/1\n"
REQUEST_DOMAIN: Final = b"pith-request/1\n"
POSSESSION_DOMAIN: Final = b"pith-possession/1\n"
DOMAINS: Final = (EVENT_DOMAIN, KEY_DOMAIN, REQUEST_DOMAIN, POSSESSION_DOMAIN)

Role = Literal["receipt", "event", "log", "foreign_receipt", "contributor", "storage_checker", "moderator"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

_P = 2**255 - 19
_SMALL_ORDER_Y = (
    0,
    1,
    _P - 1,
    2707385501144840649318225287225658788936804267575313519463743609750303021022,
    55188659117513257062467267217118295137698188065244968500265048394206261417927,
)


def _encodings(ys: Iterable[int]) -> frozenset[bytes]:
    return frozenset((y | sign).to_bytes(32, "little") for y in ys for sign in (0, 2**255))


_SMALL_ORDER: Final = _encodings(_SMALL_ORDER_Y)
_NON_CANONICAL: Final = _encodings(range(_P, 2**255))


def key_id(public_key: bytes) -> str:
    """Return the hex SHA-256 of the 32 raw bytes of a public key."""
    return hashlib.sha256(public_key).hexdigest()


def fingerprint(public_key: bytes) -> str:
    """Return the first 128 bits of the key id in hex; for display only."""
    return key_id(public_key)[:32]


def check_public_key(public_key: bytes) -> None:
    """Refuse keys under which anybody could sign.

    Raises:
        WeakKeyError: wrong length, non-canonical encoding (y >= p) or a point of small order.
    """
    if len(public_key) != 32:
        raise WeakKeyError(f"a public key has 32 bytes, this has {len(public_key)}")
    if public_key in _NON_CANONICAL:
        raise WeakKeyError("the public key is not canonically encoded")
    if public_key in _SMALL_ORDER:
        raise WeakKeyError("the public key is a point of small order")


def verify(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Check a bare Ed25519 signature (RFC 8032) under the pinned rule.

    Raises:
        WeakKeyError: the key is refused whatever the signature.
        SignatureInvalidError: the signature is not over this message by this key.
        UnfitVerifierError: the installed libsodium follows another rule, whatever it says of this signature.
    """
    check_public_key(public_key)
    if len(signature) != 64:
        raise SignatureInvalidError(f"a signature has 64 bytes, this has {len(signature)}")
    _check_libsodium()
    if not _opens(public_key, message, signature):
        raise SignatureInvalidError("the signature does not verify")


@cache
def _check_libsodium() -> None:
    check_verifier(_opens, "the installed libsodium")


def _opens(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        crypto_sign_open(signature + message, public_key)
    except (BadSignatureError, ValueError):
        return False
    return True


def verify_event(public_key: bytes, digest: bytes, signature: bytes) -> None:
    """Check an event's signature over its 32-byte hash; raises as `verify` does."""
    verify(public_key, EVENT_DOMAIN + digest, signature)


def verify_statement(public_key: bytes, digest: bytes, signature: bytes) -> None:
    """Check a key statement's signature over its 32-byte hash; raises as `verify` does."""
    verify(public_key, KEY_DOMAIN + digest, signature)


def verify_request(public_key: bytes, digest: bytes, signature: bytes) -> None:
    """Check a request's signature over its 32-byte hash; raises as `verify` does."""
    verify(public_key, REQUEST_DOMAIN + digest, signature)


def verify_possession(public_key: bytes, digest: bytes, signature: bytes) -> None:
    """Check a holder's signature over the 32-byte hash of a challenge and its answer; raises as `verify` does."""
    verify(public_key, POSSESSION_DOMAIN + digest, signature)


def verify_receipt(public_key: bytes, digest: bytes, signature: bytes) -> None:
    """Check a pith_receipt over the 32-byte canonical hash; raises as `verify` does."""
    verify(public_key, digest, signature)


def verify_note(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature over a note's text (C2SP signed-note); raises as `verify` does."""
    verify(public_key, message, signature)


class SecretKey:
    """An Ed25519 key that can sign; made from a 32-byte seed, shown nowhere."""

    __slots__ = ("_expanded", "_seed", "key_id", "public_key")

    def __init__(self, seed: bytes) -> None:
        self.public_key, self._expanded = crypto_sign_seed_keypair(seed)
        self._seed = seed
        self.key_id = key_id(self.public_key)

    def __repr__(self) -> str:
        return f"SecretKey({self.key_id[:16]}…)"

    def seed(self) -> bytes:
        """Return the 32 secret bytes, for writing the key file."""
        return self._seed

    def sign_event(self, digest: bytes) -> bytes:
        return self._sign(EVENT_DOMAIN + digest)

    def sign_statement(self, digest: bytes) -> bytes:
        return self._sign(KEY_DOMAIN + digest)

    def sign_request(self, digest: bytes) -> bytes:
        return self._sign(REQUEST_DOMAIN + digest)

    def sign_possession(self, digest: bytes) -> bytes:
        return self._sign(POSSESSION_DOMAIN + digest)

    def sign_receipt(self, digest: bytes) -> bytes:
        if len(digest) != 32:
            raise ValueError("a receipt key signs 32-byte digests and nothing else")
        return self._sign(digest)

    def sign_note(self, message: bytes) -> bytes:
        if len(message) <= 32 or not message.endswith(b"\n") or message.startswith(DOMAINS):
            raise ValueError("a note is a text of more than 32 bytes, ends with a newline and starts with no domain")
        return self._sign(message)

    def _sign(self, message: bytes) -> bytes:
        return crypto_sign(message, self._expanded)[:64]


def encode_signature(signature: bytes) -> str:
    """Return 64 raw bytes in padded standard base64 (88 characters)."""
    return base64.b64encode(signature).decode()


def decode_signature(text: str, place: str) -> bytes:
    """Parse padded standard base64 of 64 bytes; exactly one spelling is accepted.

    Raises:
        InvalidFieldError: another alphabet, length or trailing bits.
    """
    try:
        signature = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        signature = b""
    if len(signature) != 64 or encode_signature(signature) != text:
        raise InvalidFieldError("not the base64 of a 64-byte signature", place=place)
    return signature
