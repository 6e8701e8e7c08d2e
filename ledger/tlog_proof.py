"""Inclusion proofs as text files (C2SP tlog-proof): the entry's index, its path and the checkpoint it leads to.

    c2sp.org/tlog-proof@v1
    extra <base64>            the leaf data itself, so that the file needs nothing beside it
    index <position>
    <one base64 hash a line, the leaf's sibling first>

    <the checkpoint, a signed note>

Every proof has one spelling: `parse(raw).format() == raw`.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Final, NoReturn

from ledger.errors import VerificationError
from ledger.merkle import HASH_BYTES, MAX_SIZE
from ledger.notes import MAX_NOTE_BYTES, decode_base64

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_HASHES: Final = 63
MAX_BYTES: Final = MAX_NOTE_BYTES + (1 << 18)
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class LogProof:
    """That `extra`, an entry's leaf data, is leaf `index` under a signed checkpoint; nothing is verified yet."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes

    def format(self) -> bytes:
        lines = [HEADER]
        if self.extra:
            lines.append(f"extra {base64.b64encode(self.extra).decode()}")
        lines.append(f"index {self.index}")
        lines += [base64.b64encode(found).decode() for found in self.hashes]
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.checkpoint


def is_proof(raw: bytes) -> bool:
    """Say whether bytes call themselves a proof of this kind."""
    return raw.startswith(HEADER.encode())


def parse(raw: bytes) -> LogProof:
    """Parse a proof.

    Raises:
        VerificationError: step `canonical form`, with what is wrong.
    """
    if len(raw) > MAX_BYTES:
        _refuse(f"a proof has at most {MAX_BYTES} bytes")
    head, blank, checkpoint = raw.partition(b"\n\n")
    if not blank or not head.isascii():
        _refuse("no blank line parts the proof from its checkpoint")
    lines = head.decode("ascii").split("\n")
    if lines.pop(0) != HEADER:
        _refuse(f"the first line is not {HEADER}")
    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0)[6:])
        if not extra:
            _refuse("the extra line is not base64 in its one spelling")
    index = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if index is None or int(index[1]) > MAX_SIZE:
        _refuse("there is no index line")
    hashes = tuple(map(decode_base64, lines))
    if len(hashes) > MAX_HASHES or any(len(found) != HASH_BYTES for found in hashes):
        _refuse(f"the path is at most {MAX_HASHES} lines, each the base64 of a 32-byte hash in its one spelling")
    return LogProof(int(index[1]), hashes, checkpoint, extra)


def _refuse(reason: str) -> NoReturn:
    raise VerificationError("canonical form", reason, cure="")
