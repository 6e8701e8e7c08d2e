"""Small real counterparts of outside services: a Bitcoin regtest miner and an RFC 3161 authority.

Nothing here pretends: the blocks have their proof of work and the tokens are signed by OpenSSL.
"""

from __future__ import annotations

import hashlib
import ssl
import subprocess
from pathlib import Path

from opentimestamps.core.notary import (  # type: ignore[import-untyped]
    BitcoinBlockHeaderAttestation,
    PendingAttestation,
    TimeAttestation,
)
from opentimestamps.core.op import OpAppend, OpPrepend, OpSHA256  # type: ignore[import-untyped]
from opentimestamps.core.serialize import BytesSerializationContext  # type: ignore[import-untyped]
from opentimestamps.core.timestamp import DetachedTimestampFile, Timestamp  # type: ignore[import-untyped]

REGTEST_BITS = 0x207FFFFF

POLICY = "1.3.6.1.4.1.99999.1"
OTHER_POLICY = "1.3.6.1.4.1.99999.2"

_ISSUER = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"]
_SIGNER = ["extendedKeyUsage=critical,timeStamping", "keyUsage=critical,digitalSignature"]
_AUTHORITY_CONFIG = """
[req]
distinguished_name = name
[name]
[tsa]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = {signer_digest}
default_policy = {policy}
other_policies = {other_policy}
digests = sha256, sha384, sha512
accuracy = secs:1
clock_precision_digits = 3
ordering = yes
tsa_name = yes
ess_cert_id_alg = sha256
"""


def mine_regtest(merkle_root: bytes, time: int) -> bytes:
    """Return an 80-byte regtest header over a raw Merkle root at a Unix time, with real proof of work."""
    start = (
        (0x20000000).to_bytes(4, "little")
        + bytes(32)
        + merkle_root
        + time.to_bytes(4, "little")
        + REGTEST_BITS.to_bytes(4, "little")
    )
    for nonce in range(1 << 32):
        header = start + nonce.to_bytes(4, "little")
        block_hash = hashlib.sha256(hashlib.sha256(header).digest()).digest()
        if int.from_bytes(block_hash, "little") <= 0x7FFFFF << 232:
            return header
    raise AssertionError("half of all nonces fit a regtest target")


def regtest_anchor(digest: bytes, time: int, height: int) -> tuple[bytes, bytes]:
    """Return a complete .ots file for a raw SHA-256 and the 80-byte regtest header it leads to."""
    file = DetachedTimestampFile(OpSHA256(), Timestamp(digest))
    leaf = file.timestamp.ops.add(OpAppend(b"regtest-nonce-16")).ops.add(OpSHA256())
    sibling = hashlib.sha256(b"coinbase").digest()
    root = leaf.ops.add(OpPrepend(sibling)).ops.add(OpSHA256()).ops.add(OpSHA256())
    root.attestations.add(BitcoinBlockHeaderAttestation(height))
    return _serialized(file), mine_regtest(root.msg, time)


def pending_anchor(digest: bytes, uri: str) -> bytes:
    """Return an .ots file for a raw SHA-256 that only names a calendar still to be asked."""
    return attested(digest, PendingAttestation(uri))


def attested(digest: bytes, attestation: TimeAttestation) -> bytes:
    """Return an .ots file that puts one attestation on the digest itself."""
    file = DetachedTimestampFile(OpSHA256(), Timestamp(digest))
    file.timestamp.attestations.add(attestation)
    return _serialized(file)


def _serialized(file: DetachedTimestampFile) -> bytes:
    context = BytesSerializationContext()
    file.serialize(context)
    return bytes(context.getbytes())


class TimestampAuthority:
    """An RFC 3161 authority: a P-256 root, perhaps an intermediate, and a signer, served by `openssl ts`.

    `folder` must exist and is filled with keys. With `intermediate`, replies leave that certificate out,
    as many public authorities do.
    """

    def __init__(self, folder: Path, *, signer_digest: str = "sha256", intermediate: bool = False) -> None:
        self._folder = folder
        (folder / "serial").write_text("01\n")
        (folder / "openssl.cnf").write_text(
            # No `certs =`: OpenSSL 3.0 would write the set of certificates out of DER order.
            _AUTHORITY_CONFIG.format(
                folder=folder, signer_digest=signer_digest, policy=POLICY, other_policy=OTHER_POLICY
            )
        )
        self._certify("root", issuer=None, extensions=_ISSUER)
        if intermediate:
            self._certify("intermediate", issuer="root", extensions=_ISSUER)
        self._certify("tsa", issuer="intermediate" if intermediate else "root", extensions=_SIGNER)
        self.root_der = self._der("root")
        self.intermediate_der = self._der("intermediate") if intermediate else None

    def stamp(self, digest: bytes, policy: str | None = None) -> bytes:
        """Return the reply (DER TimeStampResp) for a raw SHA-256: a rejection if the policy OID is an unknown one."""
        asked = ["-tspolicy", policy] if policy else []
        self._openssl("ts", "-query", "-digest", digest.hex(), "-sha256", "-cert", *asked, "-out", "query.tsq")
        self._openssl("ts", "-reply", "-section", "tsa", "-queryfile", "query.tsq", "-out", "reply.tsr")
        return (self._folder / "reply.tsr").read_bytes()

    def _certify(self, name: str, *, issuer: str | None, extensions: list[str]) -> None:
        signed_by = ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key"] if issuer else []
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"]
        added = [part for extension in extensions for part in ("-addext", extension)]
        subject = ["-subj", f"/O=Pith Ledger tests/CN={name} {self._folder.name}", "-days", "3650"]
        self._openssl("req", "-x509", *curve, *signed_by, *subject, *added, "-out", f"{name}.pem")

    def _der(self, name: str) -> bytes:
        return ssl.PEM_cert_to_DER_cert((self._folder / f"{name}.pem").read_text())

    def _openssl(self, command: str, *arguments: str) -> None:
        config = [] if "-query" in arguments else ["-config", "openssl.cnf"]
        subprocess.run(
            ["openssl", command, *arguments, *config], cwd=self._folder, check=True, capture_output=True, timeout=60
        )
