"""The files by which one registry's log can be checked, as they come: nothing here is verified."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from api.client.answers import decoded
from api.client.asking import Asking
from api.client.exchange import Request
from ledger.merkle import HASH_BYTES
from ledger.notes import MAX_NOTE_BYTES
from ledger.publication import CHECKPOINT_PATH, IDENTITY_PATH
from ledger.tiles import Tile
from ledger.tlog_proof import MAX_BYTES as MAX_PROOF_BYTES

MAX_FILE_BYTES: Final = 64 << 20
_ANY: Final = "*/*"
_ANEW: Final = {"cache-control": "no-cache"}


class LogFiles:
    """Fetches the files of a log; every method raises LedgerError where one cannot be had."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def identity(self) -> Mapping[str, Any]:
        return self._json(f"/{IDENTITY_PATH}", _ANEW)

    def note(self) -> bytes:
        return self._asking.ask(Request(f"/{CHECKPOINT_PATH}", MAX_NOTE_BYTES, _ANY, headers=_ANEW)).content

    def tile(self, tile: Tile) -> bytes:
        """Return a tile of hashes, as many as it says."""
        return self._asking.ask(Request(f"/{tile.path()}", tile.width * HASH_BYTES, _ANY)).content

    def receipt(self, event_id: str) -> Mapping[str, Any]:
        return self._json(f"/api/receipts/{event_id}")

    def bundle(self, suffix: str) -> Mapping[str, Any]:
        return self._json(f"/pith/{suffix}/bundle.json")

    def inclusion(self, event_id: str) -> bytes:
        """Return a C2SP tlog-proof."""
        asked = urlencode({"event_id": event_id})
        return self._asking.ask(Request(f"/api/proof/inclusion?{asked}", MAX_PROOF_BYTES, _ANY)).content

    def consistency(self, old: int, new: int) -> Mapping[str, Any]:
        return self._json(f"/api/proof/consistency?{urlencode({'from': old, 'to': new})}")

    def _json(self, target: str, headers: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        answer = self._asking.ask(Request(target, MAX_FILE_BYTES, headers=headers or {}))
        return decoded(answer, dict[str, Any])
