"""What outside clocks vouch for, in words, and what a reader still has to believe."""

from __future__ import annotations

from ledger.anchors import Confirmation
from ledger.errors import VerificationError
from ledger.events import Entry
from ledger.payloads import TimestampAnchor
from ledger.proofs.trust import Trust


def outside_word(what: str, anchor: Entry, confirmed: Confirmation, trust: Trust) -> str:
    """Say what a confirmed anchor proves, as one sentence.

    Where the reader brought headers of their own, the block must be among them.

    Args:
        what: what existed, as the beginning of a sentence ("the record existed").

    Raises:
        VerificationError: step `anchor`; the block at this height is another one.
    """
    payload: TimestampAnchor = anchor.event.payload
    still = confirmed.trust
    if trust.headers and isinstance(payload.height, int):
        header = trust.headers.get(payload.height)
        if header is None:
            still = f"Your headers do not reach block {payload.height}. {still}"
        elif header.hex() != payload.block_header:
            raise VerificationError(
                "anchor",
                f"block {payload.height} is another one in the headers you gave",
                place=f"position {anchor.position}",
                cure="if your headers are of the chain that counts, this anchor proves nothing",
            )
        else:
            still = "The block is in the headers you gave; the time a block states is good to a few hours."
    service = payload.service.partition("://")[2] or payload.service
    return f"anchor: {what} by {confirmed.attested_time}, says {confirmed.authority} (asked through {service}). {still}"
