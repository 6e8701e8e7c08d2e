"""Bodies of requests: JSON as strict as that of events, read only once it is known who sent it."""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar

import msgspec
from litestar.openapi.spec import Operation

from ledger import canonical
from ledger.errors import InvalidFieldError, NotJsonError

MAX_BODY_BYTES: Final = 64 * 1024

_T = TypeVar("_T")
_PATH: Final = re.compile(r" - at `\$\.?([^`]*)`$")


def read_body(raw: bytes, kind: type[_T]) -> _T:
    """Read a body as a msgspec struct.

    Raises:
        MalformedError: no JSON, or a field that is missing, unknown or of another form, with its place.
    """
    value = canonical.decode(raw)
    if not isinstance(value, dict):
        raise NotJsonError("the body is one JSON object")
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        found = _PATH.search(str(error))
        message = _PATH.sub("", str(error))
        raise InvalidFieldError(
            message[:1].lower() + message[1:],
            place=found[1] if found else "body",
            cure="see /schema for what this address takes",
        ) from None


def taking(
    kind: type[msgspec.Struct], example: dict[str, Any], other: type[msgspec.Struct] | None = None
) -> type[Operation]:
    """Return the OpenAPI operation of a handler that reads its body itself, with the body's schema and an example.

    Args:
        other: what the body may be instead.
    """
    kinds = [kind] if other is None else [kind, other]
    _, found = msgspec.json.schema_components(kinds, ref_template="{name}")
    schemas = [_inlined(found[each.__name__], found) for each in kinds]
    schema = schemas[0] if other is None else {"anyOf": schemas}

    class Taking(Operation):
        def to_schema(self) -> dict[str, Any]:
            content = {"application/json": {"schema": schema, "example": example}}
            return {**super().to_schema(), "requestBody": {"required": True, "content": content}}

    return Taking


def asked_with(parameters: dict[str, str]) -> type[Operation]:
    """Return the OpenAPI operation of a handler that reads its query itself; `parameters` says what each one is."""
    described = [
        {"name": name, "in": "query", "description": said, "schema": {"type": "string"}}
        for name, said in parameters.items()
    ]

    class AskedWith(Operation):
        def to_schema(self) -> dict[str, Any]:
            return {**super().to_schema(), "parameters": described}

    return AskedWith


def _inlined(schema: Any, known: dict[str, Any]) -> Any:
    """Put in place of each reference what it refers to, so that the schema stands alone."""
    if isinstance(schema, list):
        return [_inlined(item, known) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(known[schema["$ref"]], known)
    found = {name: _inlined(item, known) for name, item in schema.items()}
    if isinstance(found.get("pattern"), str):
        # JSON Schema's patterns are ECMAScript's, which has no \Z and whose $ is the end.
        found["pattern"] = found["pattern"].replace("\\Z", "$")
    return found
