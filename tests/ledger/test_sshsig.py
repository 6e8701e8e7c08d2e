"""SSH signatures: those that ssh-keygen made are read and hold, and nothing that was changed does.

The vectors beside this were made once by OpenSSH's `ssh-keygen -Y sign -n pith-key@test.registry` over `TEXT`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidFieldError, LedgerError, SignatureInvalidError, WeakKeyError
from ledger.sshsig import key_blobs, parse_ssh_signature

TEXT: Final = b"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
NAMESPACE: Final = "pith-key@test.registry"
VECTORS: Final = json.loads((Path(__file__).parents[1] / "vectors" / "sshsig" / "signatures.json").read_text())
ACCEPTED: Final = ("ed25519", "ecdsa-256", "rsa-2048", "rsa-2048-sha256", "rsa-3072")


def armored(blob: bytes) -> str:
    return f"-----BEGIN SSH SIGNATURE-----\n{base64.b64encode(blob).decode()}\n-----END SSH SIGNATURE-----\n"


def blob_of(name: str) -> bytes:
    return base64.b64decode("".join(VECTORS[name]["signature"].splitlines()[1:-1]))


def string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_ssh_keygen_signed_holds(name: str) -> None:
    signature = parse_ssh_signature(VECTORS[name]["signature"])
    signature.verify(TEXT, NAMESPACE)
    assert key_blobs(VECTORS[name]["public_key"]) == [signature.public_key]


@pytest.mark.parametrize("name", ACCEPTED)
def test_another_text_or_namespace_does_not(name: str) -> None:
    signature = parse_ssh_signature(VECTORS[name]["signature"])
    for text, namespace in ((TEXT + b"\n", NAMESPACE), (TEXT[:-1], NAMESPACE), (TEXT, "pith-key@other.registry")):
        with pytest.raises(SignatureInvalidError):
            signature.verify(text, namespace)


@pytest.mark.parametrize("name", ACCEPTED)
def test_no_changed_byte_is_taken(name: str) -> None:
    blob = blob_of(name)
    for at in range(0, len(blob), 3):
        changed = armored(blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :])
        with pytest.raises(LedgerError):
            parse_ssh_signature(changed).verify(TEXT, NAMESPACE)


@pytest.mark.parametrize("name", ACCEPTED)
def test_no_cut_or_longer_blob_is_taken(name: str) -> None:
    blob = blob_of(name)
    for changed in (*(blob[:at] for at in range(len(blob))), blob + b"\x00"):
        with pytest.raises(LedgerError):
            parse_ssh_signature(armored(changed)).verify(TEXT, NAMESPACE)


@pytest.mark.parametrize(
    ("name", "error"), [("rsa-1024", WeakKeyError), ("ecdsa-384", InvalidFieldError), ("ecdsa-521", InvalidFieldError)]
)
def test_weak_and_other_keys_are_refused(name: str, error: type[LedgerError]) -> None:
    with pytest.raises(error):
        parse_ssh_signature(VECTORS[name]["signature"]).verify(TEXT, NAMESPACE)


def test_a_key_of_small_order_signs_nothing() -> None:
    """OpenSSL takes this signature for any text; the rule of ledger.keys does not."""
    small = (1).to_bytes(32, "little")
    public_key = string(b"ssh-ed25519") + string(small)
    signature = string(b"ssh-ed25519") + string(small + bytes(32))
    parts = (public_key, NAMESPACE.encode(), b"", b"sha512", signature)
    forged = parse_ssh_signature(armored(b"SSHSIG\x00\x00\x00\x01" + b"".join(map(string, parts))))
    with pytest.raises(WeakKeyError):
        forged.verify(TEXT, NAMESPACE)


def test_the_kind_of_signature_must_be_the_keys() -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    parts = (string(b"ssh-ed25519") + string(raw), NAMESPACE.encode(), b"", b"sha512")
    signature = string(b"rsa-sha2-512") + string(bytes(64))
    found = parse_ssh_signature(armored(b"SSHSIG\x00\x00\x00\x01" + b"".join(map(string, (*parts, signature)))))
    with pytest.raises(InvalidFieldError):
        found.verify(TEXT, NAMESPACE)


def test_rsa_signs_with_sha256_too() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    e, n = (number.to_bytes(257, "big").lstrip(b"\x00") for number in (65537, key.public_key().public_numbers().n))
    public_key = string(b"ssh-rsa") + string(e) + string(b"\x00" + n)
    parts = (NAMESPACE.encode(), b"", b"sha512")
    message = b"SSHSIG" + b"".join(map(string, (*parts, hashlib.sha512(TEXT).digest())))
    signature = string(b"rsa-sha2-256") + string(key.sign(message, padding.PKCS1v15(), hashes.SHA256()))
    blob = b"SSHSIG\x00\x00\x00\x01" + b"".join(map(string, (public_key, *parts, signature)))
    parse_ssh_signature(armored(blob)).verify(TEXT, NAMESPACE)


def test_what_is_reserved_must_be_empty() -> None:
    """It is signed too, so a signature over something else there must not pass."""
    key = ec.derive_private_key(7, ec.SECP256R1())
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    parts = (NAMESPACE.encode(), b"reserved", b"sha256", hashlib.sha256(TEXT).digest())
    message = b"SSHSIG" + b"".join(map(string, parts))
    r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    numbers = b"".join(string(number.to_bytes(33, "big")) for number in (r, s))
    public_key = string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(point)
    signature = string(b"ecdsa-sha2-nistp256") + string(numbers)
    blob = b"SSHSIG\x00\x00\x00\x01" + b"".join(map(string, (public_key, *parts[:3], signature)))
    with pytest.raises(SignatureInvalidError):
        parse_ssh_signature(armored(blob)).verify(TEXT, NAMESPACE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----",
        "-----BEGIN SSH SIGNATURE-----\n====\n-----END SSH SIGNATURE-----",
        "-----BEGIN PGP SIGNATURE-----\nAAAA\n-----END PGP SIGNATURE-----",
        armored(b"SSHSIG\x00\x00\x00\x02"),
        armored(b"SSHSIG\x00\x00\x00\x01\xff\xff\xff\xff"),
        armored(bytes(10_000)),
        armored(b"SSHSIG\x00\x00\x00\x01") * 2,
    ],
)
def test_anything_else_is_no_signature(text: str) -> None:
    with pytest.raises(InvalidFieldError):
        parse_ssh_signature(text)


@given(st.binary(max_size=300))
def test_no_blob_breaks_the_reader(blob: bytes) -> None:
    with pytest.raises(LedgerError):
        parse_ssh_signature(armored(b"SSHSIG\x00\x00\x00\x01" + blob)).verify(TEXT, NAMESPACE)


@given(st.lists(st.binary(max_size=60), min_size=5, max_size=5), st.sampled_from([b"ssh-ed25519", b"ssh-rsa", b""]))
def test_no_parts_break_the_reader(parts: list[bytes], kind: bytes) -> None:
    parts = [string(kind) + parts[0], NAMESPACE.encode(), b"", b"sha512", string(kind) + string(parts[4])]
    with pytest.raises(LedgerError):
        parse_ssh_signature(armored(b"SSHSIG\x00\x00\x00\x01" + b"".join(map(string, parts)))).verify(TEXT, NAMESPACE)


def test_a_list_gives_the_keys_that_are_what_their_line_says() -> None:
    good = VECTORS["ed25519"]["public_key"]
    kind, blob = good.split()[:2]
    lines = ["", "# comment", kind, f"{kind} !!!!", f"ssh-rsa {blob}", f"{kind} {blob} a comment", f"{kind} é"]
    assert key_blobs("\r\n".join(lines)) == key_blobs(good)
