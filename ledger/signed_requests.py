"""Requests signed by a key: `Authorization: Pith-Key key_id="…", created="…", nonce="…", signature="…"`.

    request   = canonical JSON of {registry, method, path, body_sha256, created, nonce, key_id}
    signature = Ed25519 over b"pith-request/1\\n" + the 32 raw bytes of sha256(request), in base64

`path` is the request's target as sent, with its query; `registry` the name of the registry that is asked, so that no
other can pass a request on; `created` is `YYYY-MM-DDTHH:MM:SSZ`, and `nonce` 16 random bytes in base64url without
padding. Whether the key is known, the time near and the nonce new is for whoever is asked to say.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

import msgspec

from ledger import canonical
from ledger.errors import InvalidFieldError
from ledger.keys import SecretKey, decode_signature, encode_signature, verify_request
from ledger.payloads import Nonce
from ledger.records import Hex64, Time, check_time

SCHEME: Final = "Pith-Key"
_PARAMETER: Final = re.compile(r'([a-z_]{1,20})="([\x20\x21\x23-\x5b\x5d-\x7e]{0,200})"', re.ASCII)
_CURE: Final = f'send `Authorization: {SCHEME} key_id="…", created="…", nonce="…", signature="…"`, each once'


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the header says; `signature` is the base64 of 64 bytes."""

    key_id: Hex64
    created: Time
    nonce: Nonce
    signature: str


@dataclass(frozen=True, slots=True)
class Requested:
    """A request as it is signed; `path` with its query, `body` the raw bytes."""

    registry: str
    method: str
    path: str
    body: bytes = b""


def signed_request(
    secret_key: SecretKey, registry: str, method: str, path: str, body: bytes, now: str, nonce: str
) -> str:
    """Return the value of the Authorization header for a request.

    Args:
        path: the target with its query, such as `/api/identity/openid`.
        now: `YYYY-MM-DDTHH:MM:SSZ`.
        nonce: 16 random bytes in base64url without padding, used for this request only.
    """
    digest = _digest(Requested(registry, method, path, body), secret_key.key_id, now, nonce)
    signature = encode_signature(secret_key.sign_request(digest))
    return f'{SCHEME} key_id="{secret_key.key_id}", created="{now}", nonce="{nonce}", signature="{signature}"'


def parse_credentials(header: str) -> Credentials:
    """Read the value of an Authorization header; the parameters may stand in any order.

    Raises:
        InvalidFieldError: another scheme, or parameters that are missing, doubled, unknown or malformed.
    """
    scheme, _, rest = header.partition(" ")
    found: list[tuple[str, str]] = []
    for part in rest.split(","):
        parameter = _PARAMETER.fullmatch(part.strip(" \t"))
        found.append((parameter[1], parameter[2]) if parameter else ("", ""))
    if scheme.lower() != SCHEME.lower() or len(dict(found)) != len(found):
        raise InvalidFieldError("not the credentials of a key", place="authorization", cure=_CURE)
    try:
        credentials = msgspec.convert(dict(found), Credentials)
    except msgspec.ValidationError:
        raise InvalidFieldError("not the credentials of a key", place="authorization", cure=_CURE) from None
    check_time(credentials.created, "authorization.created")
    return credentials


def verify_signed_request(public_key: bytes, asked: Requested, credentials: Credentials) -> None:
    """Check that a request was signed by the holder of a 32-byte public key.

    Raises:
        InvalidFieldError, WeakKeyError, SignatureInvalidError: it was not.
    """
    digest = _digest(asked, credentials.key_id, credentials.created, credentials.nonce)
    verify_request(public_key, digest, decode_signature(credentials.signature, "authorization.signature"))


def _digest(asked: Requested, key_id: str, created: str, nonce: str) -> bytes:
    request = {
        "registry": asked.registry,
        "method": asked.method,
        "path": asked.path,
        "body_sha256": hashlib.sha256(asked.body).hexdigest(),
        "created": created,
        "nonce": nonce,
        "key_id": key_id,
    }
    return hashlib.sha256(canonical.encode(request)).digest()
