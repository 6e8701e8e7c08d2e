"""Addresses that somebody asks the registry to fetch: what they must look like, and on which hosts they may be.

Only syntax and the list of allowed hosts are looked at here. Where a host leads, the jobs find out when they fetch it.
An address is held to the letter of RFC 3986, so that no two readers take it for two different hosts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from api.problems import RefusedError
from ledger.errors import InvalidFieldError

_LABEL: Final = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_CHARACTER: Final = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
_ADDRESS: Final = re.compile(
    rf"(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?)://(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]{{2,45}}\])"
    rf"(?::(?P<port>[0-9]{{1,5}}))?(?P<path>/{_CHARACTER}*)?(?P<query>\?(?:{_CHARACTER}|\?)*)?"
    rf"(?:\#(?:{_CHARACTER}|\?)*)?",
    re.ASCII,
)
_PORTS: Final = {"http": 80, "https": 443}
MAX_HOST: Final = 253
MAX_SHOWN: Final = 20
"""How many of the allowed hosts a refusal names."""


class HostNotAllowedError(RefusedError):
    """The registry does not fetch from this host."""

    code = "host-not-allowed"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


def fetchable(url: str, hosts: Sequence[str]) -> str:
    """Return an address in normal form: scheme and host in lower case, no default port, no fragment.

    Args:
        hosts: those that are allowed: names, or `*.` and a domain for all below it; either with `:PORT` where that is
            not the scheme's own.

    Raises:
        InvalidFieldError: it is no plain http or https address. What it says is not repeated: it may hold a password.
        HostNotAllowedError: it is on another host, or another port of it.
    """
    found = _ADDRESS.fullmatch(url)
    if found is None:
        raise InvalidFieldError(
            "no plain http or https address",
            place="url",
            cure="give https://HOST/PATH without a user's name or password; other characters than RFC 3986 has are "
            "written %XX, and a host in letters, digits, hyphens and dots",
        )
    scheme, host = found["scheme"].lower(), found["host"].lower()
    port = int(found["port"]) if found["port"] else _PORTS[scheme]
    if not 0 < port < 65_536 or len(host) > MAX_HOST:
        raise InvalidFieldError("no such host and port can be", place="url", cure="give https://HOST/PATH")
    at = "" if port == _PORTS[scheme] else f":{port}"
    if not any(_allows(pattern.lower(), scheme, host, port) for pattern in hosts):
        named = ", ".join(hosts[:MAX_SHOWN]) + (", …" if len(hosts) > MAX_SHOWN else "")
        raise HostNotAllowedError(
            f"this registry fetches nothing from {host}{at}",
            place="url",
            cure=f"it fetches from {named}; of a copy elsewhere give sha256 and bytes, and it is your own claim",
        )
    return f"{scheme}://{host}{at}{found['path'] or '/'}{found['query'] or ''}"


def _allows(pattern: str, scheme: str, host: str, port: int) -> bool:
    name, found, given = pattern.rpartition(":")
    if not found or not given.isdigit() or (":" in name and not name.endswith("]")):
        name, given = pattern, str(_PORTS[scheme])
    if ":" in name and not name.startswith("["):
        name = f"[{name}]"
    if port != int(given):
        return False
    return host.endswith(name[1:]) if name.startswith("*.") else host == name
