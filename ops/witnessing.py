"""A witness's data folder: its key and its memory, made at the first start and never one without the other."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ledger.database import Database, open_sqlite
from ledger.errors import StoreError, UsageError
from ledger.keys import SecretKey
from ledger.notes import Verifier
from ledger.signing import Randomness
from ledger.witness import Witness, create_witness
from ops.keyfiles import WitnessKeyFile, read_witness_key, write_witness_key

KEY: Final = "witness-key.json"
MEMORY: Final = "witness.db"


def open_witness(
    folder: Path, name: str, logs: Iterable[Verifier], random: Randomness = os.urandom
) -> tuple[Witness, Database]:
    """Open a witness, or make it where there is none; the caller closes the database.

    Raises:
        UsageError: the folder is another witness's, its key cannot be used or its memory is lost, or the
            logs cannot be followed.
    """
    key_path, memory_path = folder / KEY, folder / MEMORY
    is_new = not key_path.exists()
    if is_new:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    else:
        _read_key(key_path, name)
        if not memory_path.exists():
            raise _unusable(memory_path, "is lost")
    database = open_sqlite(memory_path)
    try:
        if is_new:
            # The memory comes first: a key without it would cosign a log's second history.
            create_witness(database, name)
            _make_key(database, key_path, name, random)
        return Witness(database, name, _read_key(key_path, name), logs), database
    except StoreError as error:
        database.close()
        raise _unusable(memory_path, f"cannot be used: {error.message}") from error
    except BaseException:
        database.close()
        raise


def _make_key(database: Database, path: Path, name: str, random: Randomness) -> None:
    # The write lock is held so that of several first starts one makes the key and the others take it.
    with database.write():
        if not path.exists():
            write_witness_key(path, WitnessKeyFile(SecretKey(random(32)), name))


def _read_key(path: Path, name: str) -> SecretKey:
    found = read_witness_key(path)
    if found.name != name:
        raise UsageError(
            f"this is the key of the witness {found.name}, not of {name}",
            place=str(path),
            cure="give the name it was made with, or another --data folder",
        )
    return found.key


def _unusable(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"the witness's memory {reason}",
        place=str(path),
        cure="restore its newest copy; without one, start a new witness with a new key in another folder,"
        " since one that forgot could cosign a log's second history",
    )
