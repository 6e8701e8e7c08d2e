"""Holders of copies for tests: files, what was recorded of them at deposit, and answers to challenges."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from ledger.chunks import CHUNK_BYTES, ChunkTree, chunk_tree
from ledger.keys import SecretKey
from ledger.possession import Challenge, Deposit, answer, verify_answer

HOLDER: Final = SecretKey(sha256(b"holder").digest())
ADDRESS: Final = "https://holder.example.org/possession"
ROOT: Final = sha256(b"the root of some checkpoint").digest()


def a_file(length: int, seed: str = "a file") -> bytes:
    """Return bytes of this length that no two chunks share."""
    pieces = -(-length // 32)
    return b"".join(sha256(f"{seed} {at}".encode()).digest() for at in range(pieces))[:length]


@dataclass(frozen=True, slots=True)
class Held:
    """A file as its holder has it."""

    content: bytes

    @property
    def tree(self) -> ChunkTree:
        return chunk_tree([self.content])

    @property
    def deposit(self) -> Deposit:
        return Deposit(sha256(self.content).digest(), len(self.content), self.tree.root())

    def chunk(self, index: int) -> bytes:
        return self.content[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]

    def challenge(self, root: bytes = ROOT, key: SecretKey = HOLDER) -> Challenge:
        return Challenge(root, key.public_key, self.deposit.sha256)

    def answer(self, root: bytes = ROOT, key: SecretKey = HOLDER) -> bytes:
        return answer(key, root, self.deposit, self.tree, self.chunk)


def proved(length: int = 12, tree_size: int = 1) -> dict[str, Any]:
    """Return what a statement with the grade `proved` says of a file, for the payload of a `storage_attestation`."""
    held = Held(a_file(length))
    deposit, challenge = held.deposit, held.challenge()
    return {
        "location": {"kind": "holder", "url": f"{ADDRESS}#ed25519:{HOLDER.public_key.hex()}"},
        "content": {
            "sha256": deposit.sha256.hex(),
            "bytes": length,
            "media_type": "application/pdf",
            "chunk_root": deposit.chunk_root.hex(),
        },
        "possession": verify_answer(held.answer(), challenge, deposit, tree_size),
    }
