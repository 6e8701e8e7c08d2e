"""The JSON Schemas (2020-12) of events and of the log's receipts, derived from the code that reads events.

What a schema cannot say is left to the code and the README: canonical bytes, hashes, signatures, and which events a
log admits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from ledger.events import SCHEMA, TYPES, Signer, TypeRules
from ledger.log_keys import log_origin
from ledger.payloads import PAYLOADS
from ledger.proofs.receipts import RECEIPT_TYPE, VERSION
from ledger.records import HEX64, TIME
from ledger.subjects import LOG_LABEL, NUMBER, REGISTRY_NAME

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
EVENT_PATH: Final = "/schemas/pith-event/v1.json"
RECEIPT_PATH: Final = "/schemas/pith-receipt/v1.json"

Schema = dict[str, Any]

_EVENT_ID: Final = "^sha256:[0-9a-f]{64}$"
_SIGNATURE: Final = "^[A-Za-z0-9+/]{86}==$"
_NONCE: Final = "^[A-Za-z0-9_-]{21}[AQgw]$"
_CLAIM: Final = "^[A-Za-z][A-Za-z0-9_.-]{0,63}$"
_LOG: Final = f"{re.escape(log_origin(''))}(?:/{LOG_LABEL})?"
_HASH: Final = "^[A-Za-z0-9+/]{43}=$"
_TARGETS: Final[Mapping[str, Schema]] = {
    "event": {"pattern": _EVENT_ID},
    "event-or-claim": {"anyOf": [{"pattern": _EVENT_ID}, {"pattern": _CLAIM}]},
}


def event_schema(base_url: str) -> Schema:
    """Return the schema of a signed event: its envelope, and by its type its payload, target and signer."""
    return {
        "$schema": DIALECT,
        "$id": f"{base_url}{EVENT_PATH}",
        "title": "A signed event (pith-event/1)",
        "description": "event_id is the SHA-256 of the canonical bytes (RFC 8785) of the event without event_id and "
        "signature_b64; the signature is Ed25519 over 'pith-event/1\\n' and those 32 bytes.",
        "$ref": "#/$defs/event",
        "unevaluatedProperties": False,
        "$defs": {"event": _event(), **components([Signer, *PAYLOADS.values()])},
    }


def receipt_schema(base_url: str) -> Schema:
    """Return the schema of a receipt; the events' own schema comes with it."""
    event = f"{base_url}{EVENT_PATH}#/$defs/event"
    place: Schema = {
        "position": {"type": "integer", "minimum": 0},
        "received_at": {
            "type": "integer",
            "minimum": 0,
            "description": "When the log took it: microseconds since 1970, UTC.",
        },
        "inclusion_proof": {"$ref": "#/$defs/hashes"},
    }
    members: Schema = {
        "receipt_type": {"const": RECEIPT_TYPE},
        "receipt_version": {"const": VERSION},
        "origin": {"type": "string", "pattern": f"^{REGISTRY_NAME}{_LOG}$"},
        "registry": {"type": "string", "pattern": f"^{REGISTRY_NAME}$"},
        "root": {"type": "string", "pattern": _EVENT_ID, "description": "The event id of the log's first entry."},
        "event": {"$ref": event, "unevaluatedProperties": False},
        **place,
        "checkpoint": {"type": "string", "description": "A signed note (C2SP tlog-checkpoint)."},
        "anchors": {"type": "array", "items": {"$ref": "#/$defs/row"}},
        "key_events": {"type": "array", "items": {"$ref": "#/$defs/row"}},
    }
    return {
        "$schema": DIALECT,
        "$id": f"{base_url}{RECEIPT_PATH}",
        "title": "A receipt: that a log holds an event",
        "type": "object",
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
        "$defs": {
            "hashes": {
                "description": "32-byte hashes in base64, from the leaf up.",
                "type": "array",
                "items": {"type": "string", "pattern": _HASH},
            },
            "row": {
                "description": "An event with its place in the log.",
                "$ref": event,
                "properties": {**place, "consistency_proof": {"$ref": "#/$defs/hashes"}},
                "required": list(place),
                "unevaluatedProperties": False,
            },
            "pith-event": event_schema(base_url),
        },
    }


def components(types: Iterable[type[Any]]) -> dict[str, Schema]:
    """Return the schemas of structs and of all they are made of, by name, for use as `$defs`."""
    _, found = msgspec.json.schema_components(list(types), ref_template="#/$defs/{name}")
    return {name: portable(schema) for name, schema in found.items()}


def portable(schema: Any) -> Any:
    """Return a schema whose patterns end as JSON Schema's regular expressions (ECMA-262) do."""
    if isinstance(schema, dict):
        return {
            name: value.replace(r"\Z", "$") if name == "pattern" and isinstance(value, str) else portable(value)
            for name, value in schema.items()
        }
    return [portable(item) for item in schema] if isinstance(schema, list) else schema


def _event() -> Schema:
    members: Schema = {
        "schema": {"const": SCHEMA},
        "event_type": {"enum": list(TYPES)},
        "subject_pith_number": {"type": "string", "pattern": f"^(?:{NUMBER}|pith:registry:{REGISTRY_NAME})$"},
        "target": {"type": "string", "maxLength": 80},
        "registry": {"type": ["string", "null"], "pattern": f"^{REGISTRY_NAME}$"},
        "nonce": {"type": "string", "pattern": _NONCE},
        "created_at": {"type": "string", "pattern": portable({"pattern": TIME})["pattern"]},
        "signer": {"$ref": "#/$defs/Signer"},
        "payload": {"type": "object"},
        "event_id": {"type": "string", "pattern": _EVENT_ID},
        "signature_b64": {"type": "string", "pattern": _SIGNATURE},
    }
    return {
        "type": "object",
        "properties": members,
        "required": list(members),
        "allOf": [
            {"if": {"properties": {"event_type": {"const": name}}}, "then": {"properties": _by_type(name, rules)}}
            for name, rules in TYPES.items()
        ],
    }


def _by_type(name: str, rules: TypeRules) -> Schema:
    words = [word for word in (rules.of_record, rules.of_registry) if word is not None]
    target = _TARGETS.get(words[0], {"enum": words})
    return {
        "payload": {"$ref": f"#/$defs/{PAYLOADS[name].__name__}"},
        "target": target,
        "signer": {"properties": {"signer_type": {"enum": sorted(rules.signers)}}},
    }


HEX64_PATTERN: Final = portable({"pattern": HEX64})["pattern"]
