"""A real RFC 3161 authority over HTTP: OpenSSL signs, and switches say what goes wrong.

For whoever tests anchoring:

    with Authority(tmp_path) as authority:
        authority.url, authority.root_der     its address, and the root that its certificate leads to (DER)
        authority.switches.down = True …      see `serving.Switches` (down, refusing, hanging, endless, …)
        authority.replays = True              answer with the first reply it ever gave
        authority.answers_about = "other" …   see `Authority`
        authority.stamped                     how often each digest (hex) was stamped
        authority.expire(), .renew()          let its certificate have ended yesterday; give it a good one again

A folder holds one authority's keys. Making one takes some 50 ms; it skips or fails where `openssl` is missing.
"""

from __future__ import annotations

import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from rfc3161_client._rust import parse_timestamp_request

from ops.timestamps.der import timestamp_request
from tests.ops.timestamps.serving import HTML, Reply, Request, Served
from tests.programs import program

POLICY = "1.3.6.1.4.1.99999.1"
OTHER_POLICY = "1.3.6.1.4.1.99999.2"
UNKNOWN_POLICY = "1.2.3"
DAY = timedelta(days=1)

_CONFIG = """
[tsa]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = {signer_digest}
default_policy = {policy}
other_policies = {other_policy}
digests = sha1, sha256, sha384, sha512
{accuracy}
clock_precision_digits = 3
ordering = yes
tsa_name = yes
ess_cert_id_alg = sha256
{certs}
"""

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Authority(Served):
    """A root, perhaps an intermediate, and a signer; a context manager.

    Args:
        folder: where its keys are put; it is made.
        key: the kind of every key.
        signer_digest: what the token is signed over.
        intermediate: sign by way of an intermediate, which replies leave out unless `sends_chain`.
        sends_chain: send all certificates, in the order in which OpenSSL writes them: not in DER's.
        accuracy: the seconds of accuracy that its tokens state, None for nothing stated.

    What it answers about, when not the request: "other", another hash; "sha1", the same content's SHA-1;
    "policy", under another policy; "refusal", rejected; "bare", without its certificate.
    `alters` is applied to the reply's bytes; `type` is its content type.
    """

    def __init__(
        self,
        folder: Path,
        *,
        key: Literal["p256", "rsa"] = "p256",
        signer_digest: str = "sha256",
        intermediate: bool = False,
        sends_chain: bool = False,
        accuracy: int | None = 1,
        prefix: str = "/tsr",
    ) -> None:
        self._openssl = program("openssl", "apt install openssl")
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._kind = key
        self.replays = False
        self.answers_about: Literal["", "other", "sha1", "policy", "refusal", "bare"] = ""
        self.alters: Callable[[bytes], bytes] = bytes
        self.type = "application/timestamp-reply"
        self.stamped: Counter[str] = Counter()
        self.queries: list[bytes] = []
        self._first: bytes | None = None
        self._signing = threading.Lock()
        self._root = self._issuer("root", None)
        self._between = self._issuer("intermediate", self._root) if intermediate else None
        self.renew()
        self._write("serial", b"01\n")
        config = _CONFIG.format(
            folder=folder,
            signer_digest=signer_digest,
            policy=POLICY,
            other_policy=OTHER_POLICY,
            accuracy="" if accuracy is None else f"accuracy = secs:{accuracy}",
            certs=f"certs = {folder}/chain.pem" if sends_chain else "",
        )
        self._write("openssl.cnf", config.encode())
        super().__init__(prefix)

    @property
    def root_der(self) -> bytes:
        return self._root[0].public_bytes(serialization.Encoding.DER)

    @property
    def intermediate_der(self) -> bytes:
        assert self._between is not None
        return self._between[0].public_bytes(serialization.Encoding.DER)

    def renew(self, days: int = 100) -> None:
        """Give it a certificate that holds from yesterday on, for so many days to come."""
        self._certify(-DAY, days * DAY)

    def expire(self) -> None:
        """Let its certificate have ended yesterday."""
        self._certify(-100 * DAY, -DAY)

    def anticipate(self) -> None:
        """Let its certificate begin tomorrow only."""
        self._certify(DAY, 100 * DAY)

    def answer(self, request: Request) -> Reply:
        if request.method != "POST":
            return Reply(405, b"POST only", "text/plain")
        if request.headers.get("content-type") != "application/timestamp-query":
            return Reply(415, b"Send a timestamp query", "text/plain")
        self.queries.append(request.body)
        if self.replays and self._first is not None:
            return Reply(200, self._first, self.type)
        reply = self.reply(request.body)
        self._first = self._first or reply
        return Reply(200, self.alters(reply), self.type)

    def reply(self, query: bytes) -> bytes:
        """Return what OpenSSL answers to a DER query, or to what is put in its place."""
        try:
            asked = parse_timestamp_request(query)
        except ValueError:
            return self._run(query)
        digest, nonce, policy = asked.message_imprint.message, int(asked.nonce or 0), asked.policy
        oid = policy.dotted_string if policy else None
        self.stamped[digest.hex()] += 1
        match self.answers_about:
            case "other":
                query = timestamp_request(bytes(32), nonce, oid)
            case "policy":
                query = timestamp_request(digest, nonce, OTHER_POLICY)
            case "refusal":
                query = timestamp_request(digest, nonce, UNKNOWN_POLICY)
            case "sha1":
                command = [self._openssl, "ts", "-query", "-digest", digest[:20].hex(), "-sha1", "-cert"]
                query = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
            case "bare":
                # The last field asks for the certificate; its default is that none is wanted.
                query = query[:1] + bytes([query[1] - 3]) + query[2:-3]
        return self._run(query)

    def accepts(self, content: bytes, reply: bytes) -> bool:
        """Return whether `openssl ts -verify` finds a reply good for some content, under this root."""
        self._write("content", content)
        self._write("judged.tsr", reply)
        command = ["ts", "-verify", "-data", "content", "-in", "judged.tsr", "-CAfile", "root.pem"]
        added = ["-untrusted", "intermediate.pem"] if self._between else []
        result = subprocess.run([self._openssl, *command, *added], cwd=self._folder, capture_output=True, timeout=60)
        return result.returncode == 0

    def _run(self, query: bytes) -> bytes:
        with self._signing:
            self._write("query.tsq", query)
            command = [self._openssl, "ts", "-reply", "-config", "openssl.cnf", "-section", "tsa"]
            named = ["-queryfile", "query.tsq", "-out", "reply.tsr"]
            subprocess.run([*command, *named], cwd=self._folder, check=True, capture_output=True, timeout=60)
            return (self._folder / "reply.tsr").read_bytes()

    def _write(self, name: str, content: bytes) -> None:
        (self._folder / name).write_bytes(content)

    def _key(self) -> Key:
        if self._kind == "rsa":
            return rsa.generate_private_key(65537, 2048)
        return ec.generate_private_key(ec.SECP256R1())

    def _issuer(self, name: str, by: tuple[x509.Certificate, Key] | None) -> tuple[x509.Certificate, Key]:
        key = self._key()
        builder = self._builder(name, key, -400 * DAY, 3_650 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, False, False, False)
        return self._signed(name, builder.add_extension(usage, critical=True), key, by)

    def _certify(self, begins: timedelta, ends: timedelta) -> None:
        key = self._key()
        builder = self._builder("tsa", key, begins, ends)
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        builder = builder.add_extension(purpose, critical=True).add_extension(usage, critical=True)
        form = serialization.PrivateFormat.PKCS8
        raw = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        with self._signing:
            self._write("tsa.key", raw)
            self._signed("tsa", builder, key, self._between or self._root)
            parts = ["tsa.pem", *(["intermediate.pem"] if self._between else []), "root.pem"]
            self._write("chain.pem", b"".join((self._folder / part).read_bytes() for part in parts))

    def _builder(self, name: str, key: Key, begins: timedelta, ends: timedelta) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(self._name(name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
        )

    def _name(self, name: str) -> x509.Name:
        attributes = [(NameOID.ORGANIZATION_NAME, "Pith Ledger tests"), (NameOID.COMMON_NAME, f"{name} of a test")]
        return x509.Name([x509.NameAttribute(oid, text) for oid, text in attributes])

    def _signed(
        self, name: str, builder: x509.CertificateBuilder, key: Key, by: tuple[x509.Certificate, Key] | None
    ) -> tuple[x509.Certificate, Key]:
        issuer = by[0].subject if by else self._name(name)
        certificate = builder.issuer_name(issuer).sign(by[1] if by else key, hashes.SHA256())
        self._write(f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM))
        return certificate, key


def page(_: bytes) -> bytes:
    """Answer a page in place of a reply."""
    return HTML
