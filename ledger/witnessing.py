"""What a witness is asked and how it decides (C2SP tlog-witness, `add-checkpoint`), without any state.

A request is `old SIZE`, the hashes of a consistency proof in base64, an empty line and a signed checkpoint;
every line ends with a newline, and every request has one spelling: `parse(body).format() == body`. The
checks follow the order of the specification, each with a class of error of its own.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, NoReturn

from ledger import checkpoints, notes
from ledger.checkpoints import Checkpoint
from ledger.errors import UsageError, VerificationError
from ledger.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE, verify_consistency
from ledger.notes import ED25519, SignedNote, Verifier
from ledger.witness_errors import (
    InconsistentTreeError,
    LogSignatureError,
    MalformedRequestError,
    RootConflictError,
    SizeConflictError,
    UnknownLogError,
)

MAX_BODY_BYTES: Final = 1 << 16
MAX_PROOF: Final = 63

_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,18})")

Logs = Mapping[str, tuple[Verifier, ...]]
"""The keys that are trusted for each log, by its origin."""


class TreeHead(NamedTuple):
    """The size of a tree and its 32-byte root."""

    size: int
    root: bytes


NOTHING: Final = TreeHead(0, EMPTY_ROOT)
"""What a witness knows of a log before it has cosigned anything."""


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request as it was sent: nothing of it is trustworthy before `open_request`."""

    old_size: int
    proof: tuple[bytes, ...]
    note: SignedNote

    def format(self) -> bytes:
        """Return the request's body.

        Raises:
            MalformedRequestError: no witness would take these bytes for this request.
            VerificationError: step `checkpoint`; the note cannot be written.
        """
        hashes = "".join(f"{base64.b64encode(hash).decode()}\n" for hash in self.proof)
        body = f"old {self.old_size}\n{hashes}\n".encode() + self.note.format()
        if parse(body) != self:
            _refuse("this request cannot be written")
        return body


@dataclass(frozen=True, slots=True)
class Submitted:
    """A request whose checkpoint its log signed; of the note's lines, `note` keeps those by the log's keys."""

    old_size: int
    proof: tuple[bytes, ...]
    checkpoint: Checkpoint
    note: SignedNote


def parse(body: bytes) -> AddCheckpoint:
    """Parse a request's body.

    Raises:
        MalformedRequestError: another form, more than 64 KiB or 63 hashes, or not a signed checkpoint.
    """
    if len(body) > MAX_BODY_BYTES:
        _refuse(f"a request of {len(body)} bytes, {MAX_BODY_BYTES} are allowed")
    head, blank, raw = body.partition(b"\n\n")
    if not blank:
        _refuse("no empty line parts the proof from the checkpoint")
    if not head.isascii():
        _refuse("the old size and the proof are not ASCII")
    first, *encoded = head.decode("ascii").split("\n")
    old = _OLD.fullmatch(first)
    if old is None or int(old[1]) > MAX_SIZE:
        _refuse(f"{first[:40]!r} is not `old` and a tree size")
    if len(encoded) > MAX_PROOF:
        _refuse(f"a proof of {len(encoded)} hashes, {MAX_PROOF} are allowed")
    proof = tuple(map(notes.decode_base64, encoded))
    for line, hash in zip(encoded, proof, strict=True):
        if len(hash) != HASH_BYTES:
            _refuse(f"{line[:60]!r} is not the base64 of a {HASH_BYTES}-byte hash")
    try:
        note = notes.parse(raw)
        checkpoints.parse(note.text)
    except VerificationError as error:
        _refuse(error.message)
    return AddCheckpoint(int(old[1]), proof, note)


def by_origin(keys: Iterable[Verifier]) -> Logs:
    """Sort log keys by the origin they sign for, which is their name; several keys may sign for one.

    Raises:
        UsageError: a key of another kind than plain Ed25519, one given twice, or two that a note cannot
            tell apart.
    """
    found: dict[str, tuple[Verifier, ...]] = {}
    for key in keys:
        if key.kind != ED25519:
            raise UsageError(f"{key.format()} is no log's key", cure="a log signs with a key of type 0x01 (Ed25519)")
        others = found.get(key.name, ())
        if key.key_hash in (other.key_hash for other in others):
            raise UsageError(f"two keys of {key.name} have the hash {key.key_hash.hex()}", cure="give each key once")
        found[key.name] = (*others, key)
    return found


def open_request(request: AddCheckpoint, logs: Logs) -> Submitted:
    """Check who signed a request's checkpoint; lines by unknown keys are left out.

    Raises:
        UnknownLogError: no key is trusted for the origin.
        LogSignatureError: none of the trusted keys signed, or the signature of one does not hold.
    """
    note = request.note
    checkpoint = checkpoints.parse(note.text)
    trusted = {(key.name, key.key_hash): key for key in logs.get(checkpoint.origin, ())}
    if not trusted:
        raise UnknownLogError(f"the log {checkpoint.origin[:100]!r} is not followed here")
    lines: dict[Verifier, notes.NoteSignature] = {}
    for line in note.signatures:
        if key := trusted.get((line.name, line.key_hash)):
            try:
                key.verify(note.text, line)
            except VerificationError as error:
                raise LogSignatureError(error.message) from None
            lines.setdefault(key, line)
    if not lines:
        raise LogSignatureError(f"no key that is trusted for {checkpoint.origin[:100]!r} signed the checkpoint")
    kept = SignedNote(note.text, tuple(lines.values()))
    return Submitted(request.old_size, request.proof, checkpoint, kept)


def admit(request: Submitted, latest: TreeHead) -> None:
    """Decide whether to cosign, given what was cosigned last for this origin (`NOTHING` at first).

    Raises:
        MalformedRequestError: the old size is greater than the checkpoint's.
        SizeConflictError: the old size is not that of the latest cosigned checkpoint.
        RootConflictError: the same size with another root.
        InconsistentTreeError: the proof does not lead from the latest root to the new one.
    """
    size, root = request.checkpoint.size, request.checkpoint.root
    if request.old_size > size:
        _refuse(f"the old size {request.old_size} is greater than the checkpoint's, {size}")
    if request.old_size != latest.size:
        raise SizeConflictError(f"the latest cosigned size is {latest.size}, not {request.old_size}", latest.size)
    if size == latest.size and root != latest.root:
        raise RootConflictError(f"a tree of {size} entries has the root {latest.root.hex()} here, not {root.hex()}")
    try:
        verify_consistency(latest.size, size, latest.root, root, request.proof)
    except VerificationError as error:
        raise InconsistentTreeError(error.message) from None


def _refuse(reason: str) -> NoReturn:
    raise MalformedRequestError(reason)
