"""Reading tables of a TOML file strictly: every key must be known, every value of its kind, every fault named by place.

A secret never stands in the file itself: it is in a file of its own (`NAME_file`) or in a variable (`env:VARIABLE`).
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ledger.errors import UsageError

MAX_FILE_BYTES: Final = 1 << 20
_VARIABLE: Final = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_PRINTABLE: Final = re.compile(r"[!-~]+")
_NO_ADDRESS: Final = "this is no address", "such as https://service.example.org/path"


class Table:
    """One table of a file; what is asked for is taken out, and `finish` refuses what is left.

    Args:
        value: as TOML gives it.
        name: its name in the file, such as `anchoring.calendars[1]`.
        path: the file, for errors; paths in it are relative to its folder.
        environment: where `env:` secrets are.
    """

    def __init__(self, value: Any, name: str, path: Path, environment: Mapping[str, str]) -> None:
        self._path = path
        self._name = name
        self._environment = environment
        if not isinstance(value, dict):
            raise self.fault("", "this is no table", f"write [{name}]")
        self._left = dict(value)

    def fault(self, key: str, message: str, cure: str = "") -> UsageError:
        """Return an error about one key of this table."""
        name = ".".join(part for part in (self._name, key) if part)
        return UsageError(message, place=f"{self._path}: {name}" if name else str(self._path), cure=cure)

    def finish(self) -> None:
        """Refuse keys that nobody asked for; raises UsageError."""
        for key in self._left:
            raise self.fault(key[:80], "there is no such setting", "check its spelling, or take it out")

    def table(self, key: str) -> Table:
        """Take out a table; an empty one where there is none."""
        return self._below(self._left.pop(key, {}), key)

    def tables(self, key: str) -> list[Table]:
        """Take out an array of tables."""
        value = self._left.pop(key, [])
        if not isinstance(value, list):
            raise self.fault(key, "this is no list of tables", f"write [[{self._below({}, key)._name}]]")
        return [self._below(item, f"{key}[{number}]") for number, item in enumerate(value, 1)]

    def text(self, key: str, default: str | None = None) -> str:
        """Take out a text; it must be there where there is no default."""
        if key not in self._left:
            if default is None:
                raise self.fault(key, "this is missing", f"add {key} = …")
            return default
        value = self._left.pop(key)
        if not isinstance(value, str) or not value or not value.isprintable():
            raise self.fault(key, "this is no text, or an empty one", f'write {key} = "…"')
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Take out a list of texts."""
        value = self._left.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item.isprintable() for item in value):
            raise self.fault(key, "this is no list of texts", f'write {key} = ["…", "…"]')
        return tuple(value)

    def number(self, key: str, default: int, least: int, most: int) -> int:
        """Take out a whole number between two others."""
        value = self._left.pop(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            message = f"this is no whole number from {least} to {most}"
            raise self.fault(key, message, f"write it in digits, without quotes, such as {key} = {default}")
        return value

    def flag(self, key: str) -> bool:
        """Take out a yes or no; no where it is not there."""
        value = self._left.pop(key, False)
        if not isinstance(value, bool):
            raise self.fault(key, "this is neither true nor false", f"write {key} = true, or leave it out")
        return value

    def choice(self, key: str, *choices: str) -> str:
        """Take out one of some words."""
        value = self.text(key)
        if value not in choices:
            written = " or ".join(f'{key} = "{choice}"' for choice in choices)
            raise self.fault(key, f"this is none of {', '.join(choices)}", f"write {written}")
        return value

    def address(self, key: str, *, insecure: bool) -> str:
        """Take out an address: https, or http on this machine, or http where it is said that this is meant.

        It has no user, password, query or fragment, since addresses of services are shown and stand in the log.
        """
        value = self.text(key)
        if (reason := fault_of_address(value, insecure=insecure)) is not None:
            raise self.fault(key, *reason)
        return value

    def secret(self, key: str) -> str:
        """Take out a secret from the file or the variable that is named; "" where there is none."""
        name = f"{key}_file"
        if name in self._left:
            if key in self._left:
                raise self.fault(key, f"{name} is given too", "give one of the two")
            return self._read_secret(name, self.text(name))
        if key not in self._left:
            return ""
        found = _VARIABLE.fullmatch(self.text(key))
        if found is None:
            cure = f'name a file with {name} = "…", or a variable with {key} = "env:NAME"'
            raise self.fault(key, "a secret does not stand in this file", cure)
        if not (secret := self._environment.get(found[1], "").strip()):
            cure = f'set it where `pith` is started, or name a file with {name} = "…"'
            raise self.fault(key, f"the variable {found[1]} is not set", cure)
        return self._one_secret(key, secret, f"the variable {found[1]}")

    def is_secret(self, key: str) -> bool:
        """Say whether a value is kept elsewhere, in a file or a variable."""
        return f"{key}_file" in self._left or str(self._left.get(key, "")).startswith("env:")

    def path(self, key: str) -> Path:
        """Take out the path of a file, relative to this one's folder."""
        return self._path.parent / self.text(key)

    def _read_secret(self, name: str, file: str) -> str:
        try:
            secret = (self._path.parent / file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            cure = f"its path counts from {self._path.parent}; whoever runs `pith` must be able to read it"
            raise self.fault(name, f"the file cannot be read: {reason}", cure) from None
        return self._one_secret(name, secret, "the file")

    def _one_secret(self, key: str, secret: str, source: str) -> str:
        """Return a secret, from which blanks around it are gone, if it is one word."""
        if not _PRINTABLE.fullmatch(secret):
            cure = "it holds the secret alone, in printable ASCII without blanks"
            raise self.fault(key, f"{source} does not hold one secret on one line", cure)
        return secret

    def _below(self, value: Any, key: str) -> Table:
        return Table(value, f"{self._name}.{key}" if self._name else key, self._path, self._environment)


def read_table(path: Path, environment: Mapping[str, str]) -> Table:
    """Read a TOML file as one table; an empty one where there is no file.

    Raises:
        UsageError: it cannot be read, or is no TOML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        content = b""
    except OSError as error:
        cure = "whoever runs `pith` must be able to read it"
        raise UsageError(f"this cannot be read: {error.strerror}", place=str(path), cure=cure) from None
    if len(content) > MAX_FILE_BYTES:
        cure = "take out what is no setting"
        raise UsageError(f"this has more than {MAX_FILE_BYTES} bytes", place=str(path), cure=cure)
    try:
        value = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = "it nests too deeply" if isinstance(error, RecursionError) else str(error)[:160]
        raise UsageError(f"this is no TOML: {reason}", place=str(path), cure="see https://toml.io") from None
    return Table(value, "", path, environment)


def fault_of_address(value: str, *, insecure: bool, credentials: bool = False) -> tuple[str, str] | None:
    """Say what is wrong with the address of a service, and the cure; None where nothing is.

    Args:
        insecure: http to any host is meant.
        credentials: user and password may stand in it.
    """
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return _NO_ADDRESS
    if parts.scheme not in ("http", "https") or not host or len(value) > 2_000 or not _PRINTABLE.fullmatch(value):
        return _NO_ADDRESS
    if "?" in value or "#" in value:
        return "an address of a service has no query and no fragment", "leave out what follows the path"
    if "@" in parts.netloc and not credentials:
        return "an address of a service holds no user and no password", "leave out what stands before the @"
    if parts.scheme == "http" and not insecure and not _is_loopback(host):
        return "over http anybody on the way can answer", "use https, or say `insecure = true` where that is meant"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
