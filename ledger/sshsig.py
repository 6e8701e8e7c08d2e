"""SSH signatures over a text (OpenSSH's PROTOCOL.sshsig), as `ssh-keygen -Y sign` makes them; read and verified here.

    armored: "-----BEGIN SSH SIGNATURE-----", base64, "-----END SSH SIGNATURE-----"
    blob:    "SSHSIG", uint32 1, then strings: public key, namespace, reserved, hash algorithm, signature
    signed:  "SSHSIG", then strings: namespace, reserved, hash algorithm, hash of the text

A string is a uint32 length, big-endian, and so many bytes. Ed25519, ECDSA over P-256 and RSA (2048 bits or more,
PKCS #1 v1.5 with SHA-2) are accepted; keys on hardware tokens sign other data and are not.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from ledger.errors import InvalidFieldError, SignatureInvalidError, WeakKeyError
from ledger.keys import verify

MAX_ARMORED: Final = 8_192
MIN_RSA_BITS: Final = 2_048
MAX_RSA_BITS: Final = 16_384

_MAGIC: Final = b"SSHSIG"
_ARMOR: Final = re.compile(
    r"\s*-----BEGIN SSH SIGNATURE-----\s([A-Za-z0-9+/=\s]+)-----END SSH SIGNATURE-----\s*", re.ASCII
)
_HASHES: Final = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
_RSA: Final = {b"rsa-sha2-256": hashes.SHA256(), b"rsa-sha2-512": hashes.SHA512()}
_CURE: Final = "sign with `ssh-keygen -Y sign` and an ed25519, ecdsa-p256 or RSA key"


@dataclass(frozen=True, slots=True)
class SshSignature:
    """What a signature says of itself; `public_key` is the blob that key lists hold in base64."""

    public_key: bytes
    namespace: str
    hash_name: str
    kind: bytes
    signature: bytes

    def verify(self, text: bytes, namespace: str) -> None:
        """Check that the key signed this text under this namespace.

        Raises:
            SignatureInvalidError: another namespace, text or key.
            WeakKeyError: a key that is refused whatever it signed.
            InvalidFieldError: a kind of key or signature that is not accepted.
        """
        if self.namespace != namespace:
            raise SignatureInvalidError(
                f"signed under the namespace {self.namespace[:80]!r}", place="signature", cure=f"sign under {namespace}"
            )
        digest = _HASHES[self.hash_name](text).digest()
        parts = (namespace.encode(), b"", self.hash_name.encode(), digest)
        _verify(self, _MAGIC + b"".join(len(part).to_bytes(4, "big") + part for part in parts))


def parse_ssh_signature(armored: str) -> SshSignature:
    """Read an armored signature.

    Raises:
        InvalidFieldError: it is not one, or of a version or hash that is not accepted.
    """
    found = _ARMOR.fullmatch(armored) if len(armored) <= MAX_ARMORED else None
    if found is None:
        raise InvalidFieldError("not an armored SSH signature", place="signature", cure=_CURE)
    try:
        blob = base64.b64decode("".join(found[1].split()), validate=True)
    except binascii.Error:
        raise InvalidFieldError("the armor holds no base64", place="signature", cure=_CURE) from None
    if not blob.startswith(_MAGIC + b"\x00\x00\x00\x01"):
        raise InvalidFieldError("not version 1 of an SSH signature", place="signature", cure=_CURE)
    public_key, namespace, _reserved, hash_name, signature = _strings(blob[len(_MAGIC) + 4 :], 5)
    kind, raw = _strings(signature, 2)
    try:
        names = namespace.decode("ascii"), hash_name.decode("ascii")
    except UnicodeDecodeError:
        raise InvalidFieldError("the namespace is not ASCII", place="signature", cure=_CURE) from None
    if names[1] not in _HASHES:
        raise InvalidFieldError(f"the hash {names[1][:20]!r} is not accepted", place="signature", cure=_CURE)
    return SshSignature(public_key, names[0], names[1], kind, raw)


def key_blobs(listed: str) -> list[bytes]:
    """Return the key blobs of a list, one `TYPE BASE64 [COMMENT]` a line; other lines are passed over."""
    found = []
    for line in listed.splitlines():
        parts = line.split()
        if len(parts) < 2:
            continue
        try:
            blob = base64.b64decode(parts[1], validate=True)
        except (binascii.Error, ValueError):
            continue
        if blob.startswith(len(parts[0]).to_bytes(4, "big") + parts[0].encode()):
            found.append(blob)
    return found


def _strings(blob: bytes, count: int) -> list[bytes]:
    found = []
    for _ in range(count):
        length = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + length:
            raise InvalidFieldError("the SSH signature is cut short", place="signature", cure=_CURE)
        found.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    if blob:
        raise InvalidFieldError("something follows the SSH signature", place="signature", cure=_CURE)
    return found


def _verify(signed: SshSignature, message: bytes) -> None:
    name = signed.public_key[4 : 4 + int.from_bytes(signed.public_key[:4], "big")]
    try:
        key = load_ssh_public_key(name + b" " + base64.b64encode(signed.public_key))
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidFieldError("a kind of SSH key that is not accepted", place="signature", cure=_CURE) from None
    try:
        match key:
            case ed25519.Ed25519PublicKey() if signed.kind == b"ssh-ed25519":
                verify(key.public_bytes_raw(), message, signed.signature)
            case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()) if signed.kind == b"ecdsa-sha2-nistp256":
                r, s = (int.from_bytes(part, "big") for part in _strings(signed.signature, 2))
                key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
            case rsa.RSAPublicKey() if signed.kind in _RSA:
                if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
                    raise WeakKeyError(f"an RSA key of {key.key_size} bits", place="signature", cure=_CURE)
                key.verify(signed.signature, message, padding.PKCS1v15(), _RSA[signed.kind])
            case _:
                raise InvalidFieldError("a kind of SSH key that is not accepted", place="signature", cure=_CURE)
    except (InvalidSignature, SignatureInvalidError):
        raise SignatureInvalidError(
            "the SSH signature is over another text or by another key", place="signature", cure=_CURE
        ) from None
