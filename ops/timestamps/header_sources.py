"""Sources of block headers: a node, an interface such as Esplora's, and a file. Each is asked strictly and bounded.

A source names a block by its id and gives a header; a header that does not hash to that id is no answer. Which chain
it is, and whether its work is enough, the ledger's policy decides (`ledger.block_headers`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from ledger.block_headers import block_id
from ledger.errors import ServiceError, ServiceRefusedError, ServiceUnavailableError, UsageError
from ops.fetching import Fetching
from ops.services import HeaderSource
from ops.timestamps.header_files import HEADER, HEIGHT, read_headers
from ops.timestamps.site import OK, Site, quoted

_MAX_ANSWER_BYTES: Final = 16 * 1024
_ID: Final = re.compile(r"[0-9a-f]{64}")
_NOT_FOUND: Final = 404
_OUT_OF_RANGE: Final = -8
"""What a node answers for a height that its chain has not reached (RPC_INVALID_PARAMETER)."""


@dataclass(frozen=True, slots=True)
class Found:
    """A raw 80-byte header, and how many blocks deep it lies, itself included; None where the source cannot tell."""

    header: bytes
    depth: int | None


class Source(Protocol):
    """One source; `name` can be shown."""

    @property
    def name(self) -> str: ...

    def find(self, height: int) -> Found:
        """Return the block at a height of the chain that the source follows.

        Raises:
            ServiceUnavailableError: it has none there, or gives no answer now.
            ServiceRefusedError: it refuses, or contradicts itself.
        """


def opened(source: HeaderSource, fetching: Fetching) -> Source:
    """Return what a configured source is asked through; raises UsageError for what is no address."""
    match source.kind:
        case "node":
            return Node(source.address, fetching)
        case "esplora":
            return Esplora(source.address, fetching)
        case "file":
            return HeaderFile(Path(source.address))


class Node:
    """A Bitcoin node by its JSON-RPC interface, with user and password in the address or none."""

    def __init__(self, address: str, fetching: Fetching) -> None:
        self._site = Site(address, fetching)
        self.name: Final = self._site.address

    def find(self, height: int) -> Found:
        id = _checked(self._call("getblockhash", height), _ID, self.name)
        header = _identified(self._call("getblockheader", id, False), id, self.name)
        described = self._call("getblockheader", id, True)
        depth = described.get("confirmations") if isinstance(described, dict) else None
        if type(depth) is not int:
            raise ServiceRefusedError("it does not say how many blocks confirm this one", place=self.name)
        if depth < 1:
            raise ServiceUnavailableError(f"block {height} is no longer on its chain", place=self.name)
        return Found(header, depth)

    def _call(self, method: str, *parameters: object) -> Any:
        body = json.dumps({"jsonrpc": "1.0", "id": method, "method": method, "params": parameters}).encode()
        headers = {"content-type": "application/json"}
        answer = self._site.ask("POST", "", _MAX_ANSWER_BYTES, headers=headers, body=body)
        try:
            told = json.loads(answer.body)
        except (ValueError, RecursionError):
            told = None
        # A node gives its errors status 500 or 404, with a body that says more.
        error = told.get("error") if isinstance(told, dict) else None
        if isinstance(error, dict):
            raise self._meaning(error)
        if answer.status != OK:
            raise self._site.refusal(answer)
        if not isinstance(told, dict) or "result" not in told:
            raise ServiceRefusedError("it answers with something else than JSON-RPC", place=self.name)
        return told["result"]

    def _meaning(self, error: Mapping[str, Any]) -> ServiceError:
        if error.get("code") == _OUT_OF_RANGE:
            return ServiceUnavailableError("its chain has not reached this block", place=self.name)
        said = quoted(str(error.get("message")).encode())
        # While it starts, a node refuses everything (RPC_IN_WARMUP), and says so.
        return ServiceUnavailableError(f"it answers with an error, saying: {said}", place=self.name)


class Esplora:
    """An HTTP interface as the block explorer Esplora has it (`/block-height`, `/block/…/header`, `/blocks/tip`)."""

    def __init__(self, address: str, fetching: Fetching) -> None:
        self._site = Site(address, fetching)
        self.name: Final = self._site.address

    def find(self, height: int) -> Found:
        id = _checked(self._text(f"/block-height/{height}"), _ID, self.name)
        header = _identified(self._text(f"/block/{id}/header"), id, self.name)
        tip = int(_checked(self._text("/blocks/tip/height"), HEIGHT, self.name))
        return Found(header, max(tip - height + 1, 0))

    def _text(self, path: str) -> str:
        answer = self._site.ask("GET", path, _MAX_ANSWER_BYTES)
        if answer.status == _NOT_FOUND:
            raise ServiceUnavailableError("its chain has not reached this block", place=self.name)
        if answer.status != OK:
            raise self._site.refusal(answer)
        return answer.body.decode("latin-1").strip()


class HeaderFile:
    """A file of headers in hex by height, read anew each time; it cannot tell how deep a block lies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name: Final = str(path)

    def find(self, height: int) -> Found:
        try:
            header = read_headers(self._path).get(height)
        except UsageError as error:
            raise ServiceUnavailableError(error.message, place=self.name) from error
        if header is None:
            raise ServiceUnavailableError(f"it holds no header of block {height}", place=self.name)
        return Found(header, None)


def _checked(told: object, form: re.Pattern[str], place: str) -> str:
    if not isinstance(told, str) or not form.fullmatch(told):
        said = quoted(str(told)[:80].encode("ascii", "replace"))
        raise ServiceRefusedError(f"it answers with something else than was asked for: {said}", place=place)
    return told


def _identified(told: object, id: str, place: str) -> bytes:
    header = bytes.fromhex(_checked(told, HEADER, place))
    if block_id(header) != id:
        raise ServiceRefusedError(f"the header it gives for block {id} is of block {block_id(header)}", place=place)
    return header
