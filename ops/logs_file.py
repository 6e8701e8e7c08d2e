"""`logs.toml`: which of its registry's logs a data folder holds, and where the others are.

    label = "2027"                       # which log this is; left out in the folder of the first

    [[log]]
    label = ""                           # the first log
    data = "../pith"                     # its data folder on this machine, or a mirror's; from this file's folder
    address = "https://pith.example"     # where it is served to everybody

A registry of one log has no such file. `pith log add` writes it; what an operator adds by hand stays as it is.
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ledger.errors import InvalidFieldError, UsageError
from ledger.log_keys import check_label
from ops.whole_files import write_whole

LOGS_FILE: Final = "logs.toml"
_MEMBERS: Final = {"label", "data", "address"}
_HEAD: Final = "# The logs of this registry beside the one in this folder: see `pith log --help`.\n"


@dataclass(frozen=True, slots=True)
class OtherLog:
    """Another log of the same registry: its label ("" is the first), its data folder here, and its public address."""

    label: str
    data: Path
    address: str = ""


@dataclass(frozen=True, slots=True)
class Logs:
    """Which log a folder holds, and the others; in a folder without the file, the first and none."""

    label: str = ""
    others: tuple[OtherLog, ...] = ()

    @property
    def first(self) -> OtherLog | None:
        """The registry's first log, where that is another than this one."""
        return next((other for other in self.others if not other.label), None)


def read_logs(folder: Path) -> Logs:
    """Read what a data folder says of its registry's logs.

    Raises:
        UsageError: the file is no such file, with the entry that is wrong.
    """
    path = folder / LOGS_FILE
    try:
        found = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return Logs()
    except (OSError, ValueError) as error:
        raise UsageError(f"it cannot be read: {error}", place=str(path)) from None
    if unknown := sorted(set(found) - {"label", "log"}):
        raise _wrong(path, f"nothing is called {unknown[0][:40]!r} here")
    label, listed = found.get("label", ""), found.get("log", [])
    if not isinstance(listed, list):
        raise _wrong(path, "`log` is no list of tables")
    _check(path, label, "label")
    others = tuple(_other(path, at, entry) for at, entry in enumerate(listed, 1))
    labels = [label, *(other.label for other in others)]
    if len(set(labels)) < len(labels):
        raise _wrong(path, "two logs have one label, or this one is listed among the others")
    return Logs(label, others)


def begin_logs(folder: Path, label: str) -> None:
    """Say of a folder which log it is to hold, unless it says so already; raises UsageError for another."""
    path = folder / LOGS_FILE
    if not path.exists():
        write_whole(path, (_HEAD + (f"label = {json.dumps(label)}\n" if label else "")).encode())
    elif (known := read_logs(folder).label) != label:
        raise UsageError(f"this folder is of the log {known!r}, not {label!r}", place=str(path))


def note_log(folder: Path, other: OtherLog) -> None:
    """List another log in a folder's file, behind what stands there, unless it is listed already."""
    if any(known.label == other.label for known in read_logs(folder).others):
        return
    path = folder / LOGS_FILE
    text = path.read_text() if path.exists() else _HEAD
    entry = {"label": other.label, "data": str(_from(folder, other.data)), "address": other.address}
    # A JSON string is one of TOML too.
    lines = [
        f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in entry.items() if value or name == "label"
    ]
    write_whole(path, "\n".join([text.rstrip("\n"), "", "[[log]]", *lines, ""]).encode())


def check_address(address: str, place: str) -> None:
    """Refuse what is no public address of a log; raises UsageError."""
    if not _is_address(address):
        raise UsageError(f"{address[:120]!r} is no address of a log", place=place, cure="give https://HOST")


def _is_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        named = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is none
        return False
    outside = "@" in parts.netloc or parts.query or parts.fragment
    return bool(named) and not outside and all("!" <= sign <= "~" and sign not in '"<>\\' for sign in address)


def _other(path: Path, at: int, entry: Any) -> OtherLog:
    place = f"log {at}"
    if not isinstance(entry, dict) or set(entry) - _MEMBERS or not {"label", "data"} <= set(entry):
        raise _wrong(path, f"{place} is no table of `label`, `data` and, if it is served, `address`")
    if not all(isinstance(value, str) for value in entry.values()) or not entry["data"]:
        raise _wrong(path, f"{place} holds something else than text")
    _check(path, entry["label"], f"{place}, label")
    address = entry.get("address", "").rstrip("/")
    if address:
        check_address(address, f"{path}, {place}, address")
    return OtherLog(entry["label"], Path(os.path.normpath(path.parent / entry["data"])), address)


def _check(path: Path, label: Any, place: str) -> None:
    if not isinstance(label, str):
        raise _wrong(path, f"{place} is no text")
    try:
        if label:
            check_label(label)
    except InvalidFieldError as error:
        raise UsageError(error.message, place=f"{path}, {place}", cure=error.cure) from None


def _from(folder: Path, data: Path) -> Path:
    """Return a data folder as seen from another, so that both can be moved together."""
    return Path(os.path.relpath(data.resolve(), folder.resolve()))


def _wrong(path: Path, message: str) -> UsageError:
    return UsageError(message, place=str(path), cure="see `pith log --help` and the README for what it holds")
