"""`/api/proof/…`: that an entry is in the log, and that the log only grew from one checkpoint to another."""

from __future__ import annotations

import asyncio
import base64
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import route
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import QueryParameter
from litestar.response.base import ASGIResponse

from api.answers import JSON, TEXT, Answer
from api.caching import IMMUTABLE, SHORT
from api.documented import METHODS, PROOFS, answers, operation
from api.parts import Parts
from api.reading.covering import covering
from api.reading.names import Asked
from api.reading.parameters import event_id_of, whole
from api.reading.receipts import entry_of
from ledger.checkpoint_store import SignedCheckpoint
from ledger.errors import InvalidFieldError, NotFoundError
from ledger.events import Entry
from ledger.merkle import leaf_hash
from ledger.proofs.receipts import consistency, inclusion
from ledger.store import Store


class InclusionPath(msgspec.Struct, frozen=True, kw_only=True):
    """The way from a leaf to the root of the tree of so many leaves (RFC 9162, 2.1.3); hashes in base64, leaf first."""

    position: int
    tree_size: int
    leaf_hash: str
    inclusion_proof: list[str]
    root: str


def _number(description: str, name: str | None = None) -> QueryParameter:
    schema = {"type": "integer", "minimum": 0}
    return QueryParameter(description=description, name=name, schema_extra=schema, examples=[Example(value=508)])


def proof_handlers(parts: Parts) -> list[HTTPRouteHandler]:
    """Return the routes of proofs of inclusion and consistency."""

    @route(
        "/api/proof/inclusion",
        http_method=METHODS,
        summary="That an entry is in the log",
        operation_id=operation("getInclusionProof"),
        tags=[PROOFS],
        responses=answers(
            "Without `size` a C2SP tlog-proof (`text/plain`) that leads to the published checkpoint and has the leaf "
            "data as its extra data; with `size` the bare path.",
            InclusionPath,
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    )
    async def inclusion_proof(
        request: Asked,
        event_id: Annotated[str, QueryParameter(description="The event's id; or give `position`.")] = "",
        position: Annotated[str, _number("The entry's position; or give `event_id`.")] = "",
        size: Annotated[str, _number("A number of entries: the path in the tree of so many, which stays.")] = "",
    ) -> ASGIResponse:
        """Return the proof that the log holds an entry."""
        if bool(event_id) == bool(position):
            raise InvalidFieldError(
                "an entry is named by its event_id or by its position", place="query", cure="give one of the two"
            )
        tree_size = whole(size, "size", 1) if size else None
        at = whole(position, "position") if position else None
        return (await asyncio.to_thread(_inclusion, parts, event_id, at, tree_size)).to(request)

    @route(
        "/api/proof/consistency",
        http_method=METHODS,
        summary="That the log only grew",
        operation_id=operation("getConsistencyProof"),
        tags=[PROOFS],
        responses=answers(
            "Two signed checkpoints with the proof between them, and the key events to check their signatures.",
            dict[str, Any],
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    )
    async def consistency_proof(
        request: Asked,
        older: Annotated[str, _number("The size of the smaller checkpoint; must be given.", "from")] = "",
        newer: Annotated[str, _number("The size of the greater one; must be given.", "to")] = "",
    ) -> ASGIResponse:
        """Return the proof that the tree of one checkpoint begins with the whole tree of an earlier one.

        Both sizes must be those of signed checkpoints; where one is not, the problem says which are near.
        """
        sizes = whole(older, "from", 1), whole(newer, "to", 1)
        if sizes[0] > sizes[1]:
            raise InvalidFieldError("a log does not shrink", place="from", cure="give the smaller size as `from`")
        return (await asyncio.to_thread(_consistency, parts, *sizes)).to(request)

    return [inclusion_proof, consistency_proof]


def _inclusion(parts: Parts, event_id: str, position: int | None, size: int | None) -> Answer:
    store = parts.store
    entry = entry_of(parts, event_id_of(event_id)) if position is None else _entry_at(store, position)
    if size is None:
        covering(store, entry.position)
        return Answer(inclusion(store, entry), TEXT, SHORT)
    return Answer(msgspec.json.encode(_path(store, entry, size)), JSON, IMMUTABLE)


def _entry_at(store: Store, position: int) -> Entry:
    try:
        return store.entry(position)
    except NotFoundError as error:
        raise NotFoundError(error.message, place="position", cure="positions are counted from 0") from None


def _path(store: Store, entry: Entry, size: int) -> InclusionPath:
    head = store.head().size
    if size > head:
        raise NotFoundError(f"the log has {head} entries, not {size}", place="size", cure="give a smaller size")
    if entry.position >= size:
        raise InvalidFieldError(
            f"a tree of {size} leaves has none at {entry.position}", place="size", cure="give a greater size"
        )
    path = store.tree.inclusion_proof(entry.position, size)
    return InclusionPath(
        position=entry.position,
        tree_size=size,
        leaf_hash=_base64(leaf_hash(entry.leaf())),
        inclusion_proof=[_base64(found) for found in path],
        root=_base64(store.tree.root(size)),
    )


def _consistency(parts: Parts, older: int, newer: int) -> Answer:
    store, sight = parts.store, parts.present.sight
    published = covering(store, 0).size
    old, new = (_checkpoint(store, size, published, place) for size, place in ((older, "from"), (newer, "to")))
    found = consistency(store, old, new, sight.stream if published <= sight.size else None)
    return Answer(msgspec.json.encode(found), JSON, SHORT)


def _checkpoint(store: Store, size: int, published: int, place: str) -> SignedCheckpoint:
    """Return the checkpoint of a size; raises NotFoundError, which names those near it."""
    try:
        if size <= published:
            return store.checkpoints.at(size)
    except NotFoundError:
        pass
    near = store.checkpoints.near(size, published)
    cure = f"there are checkpoints of {' and of '.join(map(str, near))} entries" if near else ""
    raise NotFoundError(f"no checkpoint of {size} entries was published", place=place, cure=cure)


def _base64(found: bytes) -> str:
    return base64.b64encode(found).decode()
