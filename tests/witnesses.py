"""Witnesses under test: logs that grow and fork, the requests they make, and applications served over real HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn

from ledger import checkpoints, notes
from ledger.checkpoints import Checkpoint
from ledger.database import Database, open_sqlite
from ledger.keys import SecretKey
from ledger.merkle import consistency_proof, leaf_hash, root_of
from ledger.notes import COSIGNATURE, ED25519, NoteSignature, SignedNote, Verifier
from ledger.witness import Witness, create_witness
from ledger.witnessing import AddCheckpoint
from tests.builders import key

ORIGIN: Final = "log.example/one"
LOG: Final = key("the log's key")
LOG_KEY: Final = Verifier(ORIGIN, ED25519, LOG.public_key)

NAME: Final = "witness.example/w1"
WITNESS: Final = key("the witness's key")
WITNESS_KEY: Final = Verifier(NAME, COSIGNATURE, WITNESS.public_key)

NOW: Final = 1_767_139_200
"""A moment, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A log with its leaf hashes; it states any size up to their number."""

    leaves: tuple[bytes, ...]
    origin: str = ORIGIN
    key: SecretKey = LOG

    @classmethod
    def of(cls, size: int, name: str = "leaf", **changes: Any) -> Tree:
        return cls(tuple(leaf_hash(f"{name} {index}".encode()) for index in range(size)), **changes)

    def fork(self, at: int, name: str = "fork") -> Tree:
        """Return a tree that has the same first leaves and others from there on."""
        return Tree((*self.leaves[:at], *Tree.of(len(self.leaves), name).leaves[at:]), self.origin, self.key)

    def root(self, size: int) -> bytes:
        return root_of(self.leaves[:size])

    def proof(self, old: int, size: int) -> list[bytes]:
        def node(level: int, index: int) -> bytes:
            return root_of(self.leaves[index << level : (index + 1) << level])

        return consistency_proof(old, size, node)

    def text(self, size: int, *extensions: str) -> str:
        return Checkpoint(self.origin, size, self.root(size), extensions).format()

    def note(self, size: int, *others: NoteSignature) -> SignedNote:
        note = checkpoints.issue(Checkpoint(self.origin, size, self.root(size)), self.key)
        return SignedNote(note.text, (*note.signatures, *others))

    def request(self, old: int, size: int) -> bytes:
        """Return the body that asks for a cosignature, with the right proof."""
        return AddCheckpoint(old, tuple(self.proof(old, size)), self.note(size)).format()


def cosignature(tree: Tree, size: int, line: bytes, by: Verifier = WITNESS_KEY) -> NoteSignature:
    """Open a witness's answer about a tree; returns its one line once verified."""
    note, signers = notes.open_note(tree.text(size).encode() + b"\n" + line, [by])
    assert signers == (by,) and note.text == tree.text(size)
    (signature,) = note.signatures
    return signature


def a_database(folder: Path, name: str = NAME, *, durable: bool = False) -> Database:
    folder.mkdir(parents=True, exist_ok=True)
    database = open_sqlite(folder / "witness.db", durable=durable)
    create_witness(database, name)
    return database


def a_witness(
    folder: Path, logs: Iterable[Verifier] = (LOG_KEY,), *, name: str = NAME, by: SecretKey = WITNESS
) -> Witness:
    """Return a witness in a folder, new or as it was left there."""
    return Witness(a_database(folder, name), name, by, logs)


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application from a thread; yields its address."""
    listener = socket.socket(fileno=socket.create_server(("127.0.0.1", 0)).detach())
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
