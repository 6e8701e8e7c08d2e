"""Papers by their suffix, each in several representations, given from memory where that still stands."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from litestar.response.base import ASGIResponse

from api.parts import Parts
from api.present import Sight
from api.reading.log_documents import paper_bundle, paper_events, paper_graph, paper_state
from api.reading.names import Asked, elsewhere, is_as_written, is_suffix
from api.reading.remembered import Basis, Made, Remembered
from api.reading.representations import negotiated_json, negotiated_linked_data, negotiated_page, record_json

RECORD: Final = "record"
PAGE: Final = "page"
PAGE_JSON: Final = "page as JSON"
PAGE_JSON_LD: Final = "page as JSON-LD"
BUNDLE: Final = "bundle"
STATE: Final = "state"
GRAPH: Final = "graph"
EVENTS: Final = "events"

_MAKERS: Final[dict[str, tuple[Callable[[Parts, str, Sight, Made | None], Made], Basis]]] = {
    RECORD: (record_json, Basis.PROJECTIONS),
    PAGE: (negotiated_page, Basis.LOG),
    PAGE_JSON: (negotiated_json, Basis.PROJECTIONS),
    PAGE_JSON_LD: (negotiated_linked_data, Basis.PROJECTIONS),
    BUNDLE: (paper_bundle, Basis.CHECKPOINT),
    STATE: (paper_state, Basis.LOG),
    GRAPH: (paper_graph, Basis.PROJECTIONS),
    EVENTS: (paper_events, Basis.LOG),
}
"""How each representation is made. Pages show private texts, which only the log says whether to show."""


class Papers:
    """The papers of one registry; for use on the event loop."""

    def __init__(self, parts: Parts, remembered: Remembered) -> None:
        self._parts = parts
        self._remembered = remembered

    async def give(self, request: Asked, name: str, form: str, address: str) -> ASGIResponse:
        """Answer with a representation, or with the way to its one address.

        Args:
            name: as it stands in the address that was asked for.
            address: the representation's address with `{}` in the place of the suffix.

        Raises:
            NotFoundError, AmbiguousError: the name means no paper, or several.
            LedgerError: what the representation's maker raises.
        """
        if is_as_written(request):
            key = name, form
            make, basis = _MAKERS[form]
            if basis is not Basis.CHECKPOINT and (answer := self._remembered.at_hand(key)) is not None:
                return answer.to(request)
            if is_suffix(name):
                answer = await self._remembered.get(key, partial(make, self._parts, name), basis)
                return answer.to(request)
        return await elsewhere(self._parts, request, name, address)
