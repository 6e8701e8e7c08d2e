"""The JSON Schema (2020-12) of the record document, as `/pith/{suffix}.json` serves it."""

from __future__ import annotations

from typing import Any, Final, get_args

from api.protocol.event_schema import DIALECT, HEX64_PATTERN, Schema, components
from ledger.events import Signer
from ledger.payloads import PithReceipt
from ledger.records import CanonicalRecord
from ledger.subjects import ALIAS_KINDS, NUMBER
from ledger.verdicts import Status
from projections.status import State, VerificationStatus
from projections.summary import SUMMARISED

RECORD_PATH: Final = "/schemas/pith-number/v1.json"

_TEXT: Final[Schema] = {"type": "string"}
_ADDRESS: Final[Schema] = {"type": "string", "format": "uri"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_EVENT_ID: Final[Schema] = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}


def record_schema(base_url: str) -> Schema:
    """Return the schema of a record document; what a source alone decides (`paper`, snapshots) is left open."""
    members: Schema = {
        "record_type": {"const": "pith_number_record"},
        "schema_url": {"const": f"{base_url}{RECORD_PATH}"},
        "pith_number": {"type": "string", "pattern": f"^{NUMBER}$"},
        "short_pith_number": {"type": "string", "pattern": "^pith:[A-Z2-7]{8}$"},
        "schema_version": {"const": "1.0"},
        "canonical_sha256": {
            "description": "SHA-256 of the canonical bytes (RFC 8785) of canonical_record; the number follows from it.",
            "type": "string",
            "pattern": HEX64_PATTERN,
        },
        "source": {"$ref": "#/$defs/Source"},
        "attestation_state": {"enum": list(get_args(State))},
        "paper": {"type": "object", "properties": {"title": _TEXT, "authors_text": _TEXT, "abstract_excerpt": _TEXT}},
        "verification_status": {"$ref": "#/$defs/VerificationStatus"},
        "canonical_record": {"$ref": "#/$defs/CanonicalRecord"},
        "receipt": {"$ref": "#/$defs/PithReceipt"},
        "graph_snapshot": {"type": ["object", "null"]},
        "aliases": {"type": "array", "items": _alias()},
        "events": {"type": "array", "items": {"$ref": "#/$defs/event"}},
        "event_summary": {
            "type": "object",
            "propertyNames": {"enum": list(SUMMARISED)},
            "additionalProperties": _summary(),
        },
        "paper_claims": {"type": "array"},
        "inbound_citations": {"type": "object"},
        "formal_canon": {"type": "object"},
        "links": _addresses("html", "json", "graph_json", "events_json", "paper"),
        "agent_actions": {"type": "object", "properties": {"actions": {"additionalProperties": _ADDRESS}}},
        "created_at": _TEXT,
        "updated_at": _TEXT,
    }
    optional: Schema = {
        "source_status": {
            "description": "The status that the record was published with elsewhere, where ours differs.",
            "type": "object",
        },
        "equivocations": {
            "description": "Groups of events in which one person says two things that cannot both hold.",
            "type": "array",
            "items": {"type": "array", "items": _EVENT_ID, "minItems": 2},
        },
    }
    return {
        "$schema": DIALECT,
        "$id": f"{base_url}{RECORD_PATH}",
        "title": "The record of a paper under its Pith Number",
        "type": "object",
        "properties": {**members, **optional},
        "required": list(members),
        "additionalProperties": False,
        "$defs": {**components([CanonicalRecord, PithReceipt, VerificationStatus, Signer]), "event": _event()},
    }


def _event() -> Schema:
    members: Schema = {
        "event_id": _EVENT_ID,
        "event_type": {"enum": list(SUMMARISED)},
        "target": _TEXT,
        "position": _COUNT,
        "created_at": _TEXT,
        "received_at": _TEXT,
        "status": {"enum": [status for status in get_args(Status) if status != "refused"]},
        "reason": _TEXT,
        "signer": {"$ref": "#/$defs/Signer"},
    }
    optional: Schema = {
        "payload": {"type": "object"},
        "claim": {"enum": ["strong", "weak"]},
        "name_matches": {"type": "boolean"},
    }
    return {
        "description": "What was said about the paper, and what became of it; without its payload while it is held.",
        "type": "object",
        "properties": {**members, **optional},
        "required": list(members),
        "additionalProperties": False,
        "if": {"properties": {"status": {"const": "held"}}},
        "then": {"not": {"required": ["payload"]}},
        "else": {"required": ["payload"]},
    }


def _summary() -> Schema:
    members: Schema = {
        "count": _COUNT,
        "first_received_at": _TEXT,
        "last_received_at": _TEXT,
        "last_event_id": _EVENT_ID,
        "held": _COUNT,
        "rejected": _COUNT,
    }
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


def _alias() -> Schema:
    members: Schema = {"alias_kind": {"enum": list(ALIAS_KINDS)}, "alias_value": _TEXT, "created_at": _TEXT}
    return {"type": "object", "properties": members, "required": list(members)}


def _addresses(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": dict.fromkeys(names, _ADDRESS), "required": list(names)}
