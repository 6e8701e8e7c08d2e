"""Checkpoints (C2SP tlog-checkpoint): a log's name, size and root as the text of a signed note."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NoReturn

from ledger import notes
from ledger.errors import VerificationError
from ledger.keys import SecretKey
from ledger.merkle import HASH_BYTES, MAX_SIZE
from ledger.notes import SignedNote, Verifier

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: `origin` is its name, `root` the Merkle root over its first `size` entries."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def format(self) -> str:
        """Return the note's text.

        Raises:
            VerificationError: step `checkpoint`; no reader would take this text for this checkpoint.
        """
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        text = "".join(f"{line}\n" for line in lines)
        if parse(text) != self:
            _refuse("this checkpoint cannot be written")
        return text


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint that its log signed, the note it came in, and every known key that signed the note."""

    checkpoint: Checkpoint
    note: SignedNote
    signers: tuple[Verifier, ...]


def parse(text: str) -> Checkpoint:
    """Parse a checkpoint's text; every checkpoint has one spelling.

    Raises:
        VerificationError: step `checkpoint`, with the line that is wrong.
    """
    notes.check_text(text)
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        _refuse("a checkpoint is three or more lines, none of them empty")
    origin, size, encoded, *extensions = lines
    if not _SIZE.fullmatch(size) or int(size) > MAX_SIZE:
        _refuse(f"{size[:40]!r} is no tree size")
    root = notes.decode_base64(encoded)
    if len(root) != HASH_BYTES:
        _refuse(f"{encoded[:60]!r} is not the base64 of a 32-byte root")
    return Checkpoint(origin, int(size), root, tuple(extensions))


def issue(checkpoint: Checkpoint, key: SecretKey) -> SignedNote:
    """Sign a checkpoint with its log's key, under the origin as key name.

    Raises:
        UsageError: the origin cannot be a key name.
        VerificationError: step `checkpoint`; the checkpoint cannot be written.
    """
    text = checkpoint.format()
    return SignedNote(text, (notes.sign(text, checkpoint.origin, key),))


def open_checkpoint(raw: bytes, origin: str, log_key: Verifier, others: Iterable[Verifier] = ()) -> Opened:
    """Open a signed checkpoint of one log.

    Args:
        log_key: must have signed it.
        others: keys, such as witnesses', whose signatures are checked where present.

    Raises:
        VerificationError: step `checkpoint`; malformed, of another log, not signed by its key, or some
            known key's signature does not hold.
    """
    note, signers = notes.open_note(raw, (log_key, *others))
    if log_key not in signers:
        _refuse(f"the log's key {log_key.format()} did not sign the checkpoint")
    checkpoint = parse(note.text)
    if checkpoint.origin != origin:
        _refuse(f"this is a checkpoint of {checkpoint.origin!r}, not of {origin!r}")
    return Opened(checkpoint, note, signers)


def _refuse(reason: str) -> NoReturn:
    raise VerificationError("checkpoint", reason, cure="")
