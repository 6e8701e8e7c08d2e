"""Real timestamp proofs from Bitcoin and from an authority, what they are about, and what they are checked with."""

from __future__ import annotations

import hashlib
import json
import ssl
from pathlib import Path
from typing import Final

from ledger.anchors import BitcoinRules

_VECTORS = Path(__file__).parents[1] / "vectors"
OTS: Final = _VECTORS / "opentimestamps"
TSR: Final = _VECTORS / "rfc3161"


def last_certificate(chain: Path) -> bytes:
    pem = chain.read_text()
    return ssl.PEM_cert_to_DER_cert(pem[pem.rindex("-----BEGIN CERTIFICATE") :])


OTHER: Final = hashlib.sha256(b"something else").digest()
"""What none of these proofs is about."""

MAINNET: Final = BitcoinRules("mainnet", 60, {})
REGTEST: Final = BitcoinRules("regtest", 0, {})

HEIGHT: Final = 358391
HEADER: Final = bytes.fromhex(json.loads((OTS / "headers.json").read_text())[str(HEIGHT)])
PROOF: Final = (OTS / "hello-world.txt.ots").read_bytes()
DIGEST: Final = hashlib.sha256(b"Hello World!\n").digest()

HELLO: Final = hashlib.sha256(b"hello").digest()
TOKEN: Final = (TSR / "sigstage" / "response-sha256.tsr").read_bytes()
ROOT: Final = last_certificate(TSR / "sigstage" / "ts_chain.pem")
