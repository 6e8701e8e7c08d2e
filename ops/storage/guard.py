"""Which addresses may be fetched: an allow-list of hosts, and behind each name only what is public.

A URL that a stranger has a say in is an attempt to make this machine ask somebody on their behalf. So its host must
be listed, and every network address its name leads to must be public, or in a network that is listed too. The name is
resolved once, and what was looked at is what is connected to (see `pinned`).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Final

import httpx

from ledger.errors import ServiceRefusedError, ServiceUnavailableError, UsageError
from ops.services import Fetched
from ops.storage.public_addresses import Address, Network, is_allowed

MAX_URL: Final = 2_000

_PORTS: Final = {"http": 80, "https": 443}
_PRINTABLE: Final = re.compile(r"[!-~]+")
_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NAME: Final = re.compile(r"(?=.{1,253}\Z)(?:(?!-)[a-z0-9_-]{1,63}(?<!-)\.)*(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")

Resolver = Callable[[str, int], Sequence[str]]
"""Returns every network address of a name, as text; raises OSError where it has none."""


class AddressRefusedError(ServiceRefusedError):
    """An address that nothing is fetched from here."""

    code = "address-refused"
    default_cure = "list its host under [fetched] in services.toml if copies may be fetched from there"


def resolved(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class Target:
    """An address that passed: its URL as it is asked for, its host in lower-case ASCII, and its port."""

    url: str
    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A host of the allow-list; `port` None is the port of the scheme."""

    host: str
    port: int | None

    def matches(self, target: Target) -> bool:
        if target.port != (_PORTS[target.scheme] if self.port is None else self.port):
            return False
        if self.host.startswith("*."):
            return target.host.endswith(self.host[1:]) and not _is_address(target.host)
        return target.host == self.host


class Guard:
    """The rules of one configuration.

    Args:
        hosts: names, `*.` and a domain for all below it, either with `:PORT` where that is not the scheme's own.
        networks: CIDR blocks that are not public and allowed all the same.
        resolve: takes the place of the system's resolver.

    Raises:
        UsageError: a host or network that cannot be meant.
    """

    def __init__(self, hosts: Iterable[str], networks: Iterable[str] = (), resolve: Resolver = resolved) -> None:
        self._patterns = tuple(_pattern(host) for host in hosts)
        self._networks = tuple(_network(network) for network in networks)
        self._resolve = resolve

    @classmethod
    def of(cls, fetched: Fetched, *more: str, resolve: Resolver = resolved) -> Guard:
        """Return the rules of a configuration, with the hosts of further configured addresses (URLs)."""
        return cls([*fetched.hosts, *(listed_host(url) for url in more)], fetched.networks, resolve)

    def check(self, url: str) -> Target:
        """Return what a URL means, if it may be fetched; looks nothing up.

        Raises:
            AddressRefusedError: it may not, and why.
        """
        target = _target(url)
        if not any(pattern.matches(target) for pattern in self._patterns):
            raise AddressRefusedError(f"nothing is fetched from {target.host}, port {target.port}", place=_short(url))
        return target

    def is_own(self, address: str) -> bool:
        """Say whether a network address is in a network that is allowed though it is not public."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._networks)

    def addresses(self, host: str, port: int) -> list[Address]:
        """Resolve a host, once; return the addresses to connect to, in the resolver's order.

        Raises:
            AddressRefusedError: one of them is neither public nor in an allowed network.
            ServiceUnavailableError: it has none now.
        """
        try:
            found = list(dict.fromkeys(self._resolve(host, port)))
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it cannot be looked up"
            raise ServiceUnavailableError(f"{host} has no address: {reason}", place=host) from None
        if not found:
            raise ServiceUnavailableError(f"{host} has no address", place=host)
        addresses = []
        for text in found:
            try:
                address = ip_address(text)
            except ValueError:
                raise AddressRefusedError(f"{host} leads to what is no address", place=host) from None
            if not is_allowed(address, self._networks):
                raise AddressRefusedError(
                    f"{host} leads to {address}, which is not public",
                    place=host,
                    cure="list its network under [fetched] in services.toml if it is an archive of your own",
                )
            addresses.append(address)
        return addresses


def listed_host(url: str) -> str:
    """Return how the host of a URL is listed, with its port where that is not the scheme's own.

    Raises:
        AddressRefusedError: it has none that could be meant.
    """
    target = _target(url)
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.port == _PORTS[target.scheme] else f"{host}:{target.port}"


def _target(url: str) -> Target:
    """Read a URL with the very parser that will be used for asking, so that the two cannot differ."""
    if len(url) > MAX_URL:
        raise AddressRefusedError(f"longer than {MAX_URL} characters", place=_short(url), cure="")
    try:
        parsed = httpx.URL(url)
        text = str(parsed)
    except (httpx.InvalidURL, ValueError, TypeError):
        raise AddressRefusedError("no address", place=_short(url), cure="give https://HOST/PATH") from None
    if len(text) > MAX_URL:
        raise AddressRefusedError(f"longer than {MAX_URL} characters as it is asked for", place=_short(url), cure="")
    if parsed.scheme not in _PORTS or not parsed.raw_host:
        raise AddressRefusedError("not http or https", place=_short(url), cure="give https://HOST/PATH")
    authority = url.partition("//")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    if parsed.userinfo or "@" in authority or "\\" in url or not _PRINTABLE.fullmatch(text):
        # What stands before an @, or behind a backslash, is for deceiving whoever reads it.
        raise AddressRefusedError("it names a user, or holds what no address holds", place="the address", cure="")
    try:
        host = parsed.raw_host.decode("ascii").lower()
    except UnicodeDecodeError:
        raise AddressRefusedError("its host is no name", place=_short(url), cure="") from None
    if not _is_host(host):
        raise AddressRefusedError(
            f"{_short(host)!r} is no host as it is written in full",
            place=_short(url),
            cure="write the name without a final dot, or an address in its usual form",
        )
    port = _PORTS[parsed.scheme] if parsed.port is None else parsed.port
    if not 0 < port < 65_536:
        raise AddressRefusedError(f"there is no port {port}", place=_short(url), cure="")
    return Target(str(parsed.copy_with(fragment=None)), parsed.scheme, host, port)


def _is_host(host: str) -> bool:
    """Say whether a host is a name or a network address, spelled in full.

    Resolvers take `127.1`, `2130706433` and `0x7f.1` for addresses; here a number is one in its usual form only.
    """
    if _is_address(host):
        return True
    return _NAME.fullmatch(host) is not None and not _NUMERIC.fullmatch(host.rpartition(".")[2])


def _is_address(host: str) -> bool:
    try:
        found = ip_address(host)
    except ValueError:
        return False
    return isinstance(found, IPv4Address) or found.scope_id is None


def _pattern(text: str) -> _Pattern:
    wildcard, bare = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    if ":" in bare and _is_address(bare):
        bare = f"[{bare}]"
    try:
        target = _target(f"http://{bare}/")
        if any(mark in bare for mark in "/?#@*") or (wildcard and _is_address(target.host)):
            raise ValueError
    except (AddressRefusedError, ValueError):
        cure = "give a name such as arxiv.org, *.arxiv.org for all below it, or archive.example:8443"
        raise UsageError(f"{_short(text)!r} is no host", place="fetched.hosts", cure=cure) from None
    has_port = re.search(r":[0-9]+\Z", bare) is not None
    return _Pattern(wildcard + target.host, target.port if has_port else None)


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        cure = "give a block such as 10.0.0.0/8 or fd00::/8"
        raise UsageError(f"{_short(text)!r} is no network", place="fetched.networks", cure=cure) from None


def _short(text: str) -> str:
    """Return the beginning of what a stranger sent, printable."""
    return re.sub(r"[^ -~]", "?", text[:100])
