"""Raw block headers, and what policy accepts as one: network, proof of work, and block ids fixed in advance.

A header alone shows that work was done on it, never on which chain it stands: that is said by a checkpoint, or by
whoever gave it. Source: Bitcoin developer reference, "Block Headers" (little-endian fields, "Target nBits").
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ledger.errors import AnchorMalformedError, AnchorUntrustedError, InvalidFieldError

HEADER_BYTES: Final = 80


def _double_sha256(header: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(header).digest()).digest()


def _scrypt(header: bytes) -> bytes:
    """Return what Litecoin's proof of work is judged by (its block ids are those of Bitcoin all the same)."""
    return hashlib.scrypt(header, salt=header, n=1024, r=1, p=1, dklen=32)


@dataclass(frozen=True, slots=True)
class _Network:
    """How a network judges work; `floor_bits` is log2 of the least work that its own rules allow (its `powLimit`)."""

    proof_of_work: Callable[[bytes], bytes]
    floor_bits: int
    costs: bool


_NETWORKS: Final[Mapping[str, _Network]] = {
    "mainnet": _Network(_double_sha256, 32, costs=True),
    "regtest": _Network(_double_sha256, 0, costs=False),
    "litecoin-regtest": _Network(_scrypt, 0, costs=False),
}


@dataclass(frozen=True, slots=True)
class BitcoinRules:
    """What policy accepts as a block header of one network: "mainnet", "regtest" or "litecoin-regtest".

    `minimum_work_bits` is log2 of the least expected number of hashes behind a header (76 suits mainnet in 2026).
    `checkpoints` gives block ids, in printed (reversed) hex, by height: a header there must be that block.
    "litecoin-regtest" is the toy chain of a Litecoin node, which serves where no Bitcoin node is to be had.

    Raises:
        InvalidFieldError: an unknown network, or work bits outside 0 to 256.
    """

    network: str
    minimum_work_bits: int
    checkpoints: Mapping[int, str]

    def __post_init__(self) -> None:
        if self.network not in _NETWORKS:
            *others, last = _NETWORKS
            raise InvalidFieldError(f"{self.network!r} is not {', '.join(others)} or {last}", place="network")
        if not 0 <= self.minimum_work_bits <= 256:
            raise InvalidFieldError("work is 0 to 256 bits", place="minimum_work_bits")

    @property
    def needed_work(self) -> int:
        """The least expected number of hashes behind a header."""
        return 1 << max(self.minimum_work_bits, _NETWORKS[self.network].floor_bits)

    @property
    def costs_nothing(self) -> bool:
        """Whether anybody can make blocks of this network at will."""
        return not _NETWORKS[self.network].costs


def block_id(header: bytes) -> str:
    """Return the id of a raw 80-byte header, as it is printed (reversed hex).

    Raises:
        AnchorMalformedError: not 80 bytes.
    """
    if len(header) != HEADER_BYTES:
        raise AnchorMalformedError(f"a block header has {HEADER_BYTES} bytes, not {len(header)}")
    return _double_sha256(header)[::-1].hex()


def merkle_root(header: bytes) -> bytes:
    """Return the Merkle root of a raw header, unreversed, as proofs lead to it."""
    return header[36:68]


def stated_time(header: bytes) -> datetime:
    """Return the time that a raw header states, which is good to a few hours."""
    return datetime.fromtimestamp(int.from_bytes(header[68:72], "little"), UTC)


def header_work(header: bytes) -> int:
    """Return the expected number of hashes that a raw header's own target asks for, met or not.

    Raises:
        AnchorMalformedError: a target that no header can have.
    """
    return (1 << 256) // (_target(header) + 1)


def accepting_rules(header: bytes, bitcoin: Sequence[BitcoinRules]) -> BitcoinRules:
    """Return the most demanding rules that a raw header satisfies.

    The most demanding ones decide, so that a mainnet header is held to mainnet's checkpoints even where
    regtest is accepted too. Each rule judges the header by its own network's proof of work.

    Raises:
        AnchorMalformedError: a target that no header can have.
        AnchorUntrustedError: the work is missing, or less than any rule asks.
    """
    target, work = _target(header), header_work(header)
    is_met = not bitcoin
    for rules in sorted(bitcoin, key=lambda rules: rules.needed_work, reverse=True):
        if int.from_bytes(_NETWORKS[rules.network].proof_of_work(header), "little") > target:
            continue
        if work >= rules.needed_work:
            return rules
        is_met = True
    if not is_met:
        raise AnchorUntrustedError("the block header does not meet its own target")
    accepted = ", ".join(f"{rules.network} with 2^{rules.needed_work.bit_length() - 1}" for rules in bitcoin) or "none"
    raise AnchorUntrustedError(f"the block header has 2^{work.bit_length() - 1} hashes of work; accepted: {accepted}")


def _target(header: bytes) -> int:
    compact = int.from_bytes(header[72:76], "little")
    mantissa, shift = compact & 0x7FFFFF, 8 * ((compact >> 24) - 3)
    target = mantissa << shift if shift >= 0 else mantissa >> -shift
    if compact & 0x800000 or not 0 < target < 1 << 256:
        raise AnchorMalformedError(f"no block header has the target {compact:08x}")
    return target
