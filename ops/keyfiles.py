"""Key files: one secret key each, readable by its owner only (mode 0600), never logged or exported."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from ledger.errors import InvalidFieldError, UsageError
from ledger.keys import Role, SecretKey
from ledger.payloads import RegistryName, SignerId
from ledger.records import Hex64
from ledger.signing import HeldKey
from ops.whole_files import as_file, sync_folder


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["pith_secret_key"]
    registry: RegistryName
    signer_id: SignerId
    role: Role
    public_key: Hex64
    seed: Hex64


class _WitnessFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["pith_witness_key"]
    name: str
    public_key: Hex64
    seed: Hex64


_Content = TypeVar("_Content", _File, _WitnessFile)


@dataclass(frozen=True, slots=True)
class WitnessKeyFile:
    """A witness's key and name."""

    key: SecretKey
    name: str


def write_key(path: Path, found: HeldKey) -> None:
    """Write a key file that only its owner can read.

    Raises:
        UsageError: there is a file already; a key is never overwritten.
    """
    content = _File(
        "pith_secret_key",
        found.registry,
        found.signer_id,
        found.role,
        found.key.public_key.hex(),
        found.key.seed().hex(),
    )
    _write(path, content)


def write_witness_key(path: Path, found: WitnessKeyFile) -> None:
    """Write a witness's key file; raises as `write_key` does."""
    _write(path, _WitnessFile("pith_witness_key", found.name, found.key.public_key.hex(), found.key.seed().hex()))


def read_key(path: Path) -> HeldKey:
    """Read a key file.

    Raises:
        UsageError: it is not there, or others can read it.
        InvalidFieldError: it is not a key file.
    """
    content, key = _read(path, _File, "make one with `pith keygen`")
    return HeldKey(key, content.registry, content.signer_id, content.role)


def read_witness_key(path: Path) -> WitnessKeyFile:
    """Read a witness's key file; raises as `read_key` does."""
    content, key = _read(path, _WitnessFile, "restore it from a copy")
    return WitnessKeyFile(key, content.name)


def _write(path: Path, content: _File | _WitnessFile) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Written whole under another name first: a key file is complete or not there.
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(as_file(content))
            file.flush()
            os.fsync(file.fileno())
        os.link(unfinished, path)
        sync_folder(path.parent)
    except FileExistsError:
        raise UsageError(f"{path} exists", cure="keys are never overwritten: choose another name") from None
    finally:
        unfinished.unlink()


def _read(path: Path, kind: type[_Content], cure: str) -> tuple[_Content, SecretKey]:
    try:
        mode = path.stat().st_mode
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the key file: {error.strerror}", place=str(path)) from None
    if mode & 0o077:
        raise UsageError("others can read this key", place=str(path), cure=f"chmod 600 {path}")
    try:
        content = msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidFieldError("not a key file", place=str(path), cure=cure) from None
    key = SecretKey(bytes.fromhex(content.seed))
    if key.public_key.hex() != content.public_key:
        raise InvalidFieldError("seed and public key do not belong together", place=str(path))
    return content, key
