"""Everything that is read about papers and single entries, put together: one memory for all of its answers."""

from __future__ import annotations

from litestar.handlers import HTTPRouteHandler

from api.parts import Parts
from api.protocol.published_keys import key_handlers
from api.protocol.schemas import schema_handlers
from api.reading.history import history_handlers
from api.reading.papers import Papers
from api.reading.proofs import proof_handlers
from api.reading.receipts import receipt_handlers
from api.reading.records import record_handlers
from api.reading.remembered import Remembered
from api.reading.resolving import resolving_handlers
from api.reading.search import search_handlers


def reading_handlers(parts: Parts, remembered: Remembered) -> list[HTTPRouteHandler]:
    """Return the routes of papers, their histories and proofs, and of what describes them.

    Args:
        remembered: the one memory that all of them share.
    """
    papers = Papers(parts, remembered)
    return [
        *record_handlers(parts, papers),
        *history_handlers(parts, papers),
        *resolving_handlers(parts, papers),
        *search_handlers(parts),
        *receipt_handlers(parts),
        *proof_handlers(parts),
        *key_handlers(parts),
        *schema_handlers(parts.settings.base_url),
    ]
