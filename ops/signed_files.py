"""Checkpoints that are remembered in a file beside the database, so that its loss or rollback is noticed."""

from __future__ import annotations

from pathlib import Path

from ledger import checkpoints, notes
from ledger.errors import UsageError, VerificationError


def read_note(path: Path) -> bytes:
    """Return the note of a checkpoint that this program wrote to a file.

    Raises:
        UsageError: the file is no checkpoint any more.
    """
    raw = path.read_bytes()
    try:
        checkpoints.parse(notes.parse(raw).text)
    except VerificationError as error:
        raise UsageError(
            f"this file is damaged, it is no signed checkpoint: {error.message}",
            place=str(path),
            cure="restore it from a copy; without it, nothing here notices that the log was rolled back",
        ) from error
    return raw
