"""`/schemas/…`: what documents look like, for programs (JSON Schema 2020-12), and the context of our JSON-LD."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from litestar import route
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import PathParameter
from litestar.response.base import ASGIResponse

from api.answers import HOUR, JSON, JSON_LD, Answer
from api.documented import METHODS, PROTOCOL, answers, operation
from api.protocol.event_schema import EVENT_PATH, RECEIPT_PATH, event_schema, receipt_schema
from api.protocol.linked import CONTEXT_PATH, context
from api.protocol.record_schema import RECORD_PATH, record_schema
from api.reading.names import Asked, is_as_written
from ledger.errors import NotFoundError

SCHEMA_JSON: Final = "application/schema+json"


class SchemaLink(msgspec.Struct, frozen=True, kw_only=True):
    """A schema and its address."""

    title: str
    url: str


class SchemaIndex(msgspec.Struct, frozen=True, kw_only=True):
    """The schemas that there are."""

    schemas: list[SchemaLink]


Kind = Annotated[
    str,
    PathParameter(
        description="What it describes.", examples=[Example(value="pith-number"), Example(value="pith-event")]
    ),
]
Version = Annotated[
    str,
    PathParameter(description="Its version, and the ending of its kind of file.", examples=[Example(value="v1.json")]),
]


def schema_handlers(base_url: str) -> list[HTTPRouteHandler]:
    """Return the routes of the schemas and of their index; all of them are made here, once."""
    schemas = {
        RECORD_PATH: record_schema(base_url),
        EVENT_PATH: event_schema(base_url),
        RECEIPT_PATH: receipt_schema(base_url),
    }
    made = {path: Answer(msgspec.json.encode(schema), SCHEMA_JSON, HOUR) for path, schema in schemas.items()}
    made[CONTEXT_PATH] = Answer(msgspec.json.encode(context()), JSON_LD, HOUR)
    listed = [SchemaLink(title=schema["title"], url=f"{base_url}{path}") for path, schema in schemas.items()]
    listed.append(SchemaLink(title="The context of papers in JSON-LD", url=f"{base_url}{CONTEXT_PATH}"))
    listing = Answer(msgspec.json.encode(SchemaIndex(schemas=listed)), JSON, HOUR)

    @route(
        "/schemas",
        http_method=METHODS,
        summary="The schemas that there are",
        operation_id=operation("listSchemas"),
        tags=[PROTOCOL],
        responses=answers("Their addresses.", SchemaIndex),
    )
    async def index(request: Asked) -> ASGIResponse:
        """Return the addresses of the schemas."""
        return listing.to(request)

    @route(
        "/schemas/{kind:str}/{version:str}",
        http_method=METHODS,
        summary="A schema",
        operation_id=operation("getSchema"),
        tags=[PROTOCOL],
        responses=answers(
            "The JSON Schema, or the JSON-LD context.", dict[str, object], HTTPStatus.NOT_FOUND, kind=SCHEMA_JSON
        ),
    )
    async def schema(request: Asked, kind: Kind, version: Version) -> ASGIResponse:
        """Return `pith-number/v1.json`, `pith-event/v1.json`, `pith-receipt/v1.json` or `pith-context/v1.jsonld`."""
        found = made.get(f"/schemas/{kind}/{version}")
        if found is None or not is_as_written(request):
            raise NotFoundError(f"there is no schema {kind[:40]}/{version[:40]}", cure="/schemas/ lists them")
        return found.to(request)

    return [index, schema]
