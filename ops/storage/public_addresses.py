"""Which network addresses belong to the public internet (IANA's special-purpose registries, RFC 6890).

An address that carries another within it (IPv4-mapped, NAT64, 6to4, Teredo) leads where that one leads, so it is
judged by what it carries as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are an IPv4 address."""

_COMPATIBLE: Final = IPv6Network("::/96")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_TEREDO: Final = IPv6Network("2001::/32")

_CLOSED: Final[tuple[Network, ...]] = tuple(
    ip_network(network)
    for network in (
        "168.63.129.16/32",  # the metadata service of a cloud, under an address like everybody's
        "192.0.0.0/24",  # protocol assignments, among them another cloud's metadata
        "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
        "64:ff9b:1::/48",  # NAT64 of a network's own (RFC 8215)
        "3fff::/20",  # documentation (RFC 9637)
        "5f00::/16",  # segment routing (RFC 9602)
        "fec0::/10",  # site-local (RFC 3879)
    )
)
"""What the standard library takes for public, or its older versions do, and is not."""


def is_allowed(address: Address, networks: Sequence[Network] = ()) -> bool:
    """Say whether an address is public, or in a network that is allowed though it is not.

    No network makes a multicast or unspecified address one that can be fetched from.
    """
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        address = address.ipv4_mapped or address
    if address.is_multicast or address.is_unspecified:
        return False
    return any(address in network for network in networks) or _is_public(address)


def _is_public(address: Address) -> bool:
    if address.is_multicast or any(address in network for network in _CLOSED):
        return False
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_reserved
    if carried := _carried(address):
        return all(_is_public(inner) for inner in carried)
    return address.is_global and not address.is_reserved


def _carried(address: IPv6Address) -> list[IPv4Address]:
    """Return the IPv4 addresses within an IPv6 address."""
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in _NAT64 or address in _COMPATIBLE:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    if address in _SIX_TO_FOUR:
        return [IPv4Address(int(address) >> 80 & 0xFFFFFFFF)]
    if address in _TEREDO:
        return [IPv4Address(int(address) >> 64 & 0xFFFFFFFF), IPv4Address(~int(address) & 0xFFFFFFFF)]
    return []
