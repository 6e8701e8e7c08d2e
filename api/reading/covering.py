"""What a published checkpoint covers, and what it does not yet: proofs end at it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from api.problems import RefusedError
from ledger.checkpoint_store import SignedCheckpoint
from ledger.errors import NotFoundError
from ledger.store import Store

RETRY_SECONDS = 10


class NotYetProvenError(RefusedError):
    """No checkpoint that covers an entry is published yet; one will be."""

    code = "not-yet-proven"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    default_cure = "ask again when the next checkpoint is published; /checkpoint shows the newest"
    headers: Mapping[str, str] = {"retry-after": str(RETRY_SECONDS)}


def covering(store: Store, position: int) -> SignedCheckpoint:
    """Return the published checkpoint.

    Raises:
        NotYetProvenError: it does not cover a position, or there is none.
    """
    try:
        published = store.checkpoints.published()
    except NotFoundError:
        raise NotYetProvenError("no checkpoint was published yet") from None
    if position >= published.size:
        raise NotYetProvenError(
            f"the published checkpoint covers {published.size} entries, not yet the one at position {position}"
        )
    return published
