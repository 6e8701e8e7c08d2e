"""What outside clocks vouch for, in words, and what a reader still has to believe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ledger.anchors import Confirmation
from ledger.errors import VerificationError
from ledger.events import Entry
from ledger.keyring import microseconds
from ledger.payloads import TimestampAnchor
from ledger.proofs.trust import Trust
from ledger.times import instant

TOLERANCE: Final = 24 * 3_600 * 1_000_000
"""Blocks state their time to some hours; registries keep theirs better than that."""


def check_header(anchor: Entry, trust: Trust) -> bool:
    """Look for a confirmed anchor's block among the headers that a reader brought; say whether it is there.

    Raises:
        VerificationError: step `anchor`; the block at this height is another one.
    """
    payload: TimestampAnchor = anchor.event.payload
    header = trust.headers.get(payload.height) if _names_block(payload) else None  # type: ignore[arg-type]
    if header is not None and header.hex() != payload.block_header:
        raise VerificationError(
            "anchor",
            f"block {payload.height} is another one in the headers you gave",
            place=f"position {anchor.position}",
            cure="if your headers are of the chain that counts, this anchor proves nothing",
        )
    return header is not None


def outside_word(what: str, anchor: Entry, confirmed: Confirmation, trust: Trust) -> str:
    """Say what a confirmed anchor proves, as one sentence.

    Args:
        what: what existed, as the beginning of a sentence ("the record existed").

    Raises:
        VerificationError: as `check_header` does.
    """
    payload: TimestampAnchor = anchor.event.payload
    still = confirmed.trust
    if check_header(anchor, trust):
        still = "The block is in the headers you gave; the time a block states is good to a few hours."
    elif trust.headers and _names_block(payload):
        still = f"Your headers do not reach block {payload.height}. {still}"
    service = payload.service.partition("://")[2] or payload.service
    return f"anchor: {what} by {confirmed.attested_time}, says {confirmed.authority} (asked through {service}). {still}"


def contradictions(vouched: Iterable[tuple[Confirmation, int]]) -> list[str]:
    """Say where an outside clock saw something long before the log says that it had received it.

    Args:
        vouched: what clocks say, each with the newest time (microseconds) at which the log received anything that is
            known to lie under it.
    """
    return [
        f"open: {said.authority} vouches for an entry by {said.attested_time}, which the log says it received at"
        f" {instant(received_at)}: one of these clocks is wrong"
        for said, received_at in vouched
        if microseconds(said.attested_time) + TOLERANCE < received_at
    ]


def _names_block(payload: TimestampAnchor) -> bool:
    return payload.method == "opentimestamps" and isinstance(payload.height, int)
