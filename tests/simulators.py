"""Small real counterparts of outside services: an OpenTimestamps calendar's promise and an RFC 3161 authority.

Nothing here pretends: the tokens are signed by OpenSSL. Blocks with real proof of work come from `ops.regtest`.
"""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

from opentimestamps.core.notary import PendingAttestation  # type: ignore[import-untyped]

from ops.regtest import attested

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


def pending_anchor(digest: bytes, uri: str) -> bytes:
    """Return an .ots file for a raw SHA-256 that only names a calendar still to be asked."""
    return attested(digest, PendingAttestation(uri))


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
