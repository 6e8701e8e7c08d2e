"""`/pith-signing-key.json` and `/pith-mirrors.json`: who signs here, and where the same documents are to be had.

Both are a convenience. What the registry's keys are follows from its log, beginning with its root event.
"""

from __future__ import annotations

import base64
import hashlib
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import route
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from api.answers import JSON, Answer
from api.caching import SHORT
from api.documented import METHODS, PROTOCOL, answers, operation
from api.parts import Parts
from api.present import Sight
from api.reading.names import Asked, missing
from ledger.errors import KeyNotValidError
from ledger.keyring import NOW, Registration
from ledger.keys import Role
from ledger.log_keys import log_verifier
from ledger.records import suffix_of
from ledger.times import seconds
from projections.bundles import MERGE_VERSION

KEY_PATH: Final = "/pith-signing-key.json"
OWN_ROLES: Final[tuple[Role, ...]] = ("receipt", "event", "log")

_NOTES: Final = (
    "Signs the 32 bytes of canonical_sha256 in pith_receipts, and nothing else. The log's root event vouches for it: "
    "see /pith-log.json."
)
_MIRROR_NOTES: Final = (
    "Anybody may serve the same bundles. What a paper's state is follows from its events by the merge rules, "
    "whoever serves them."
)


def key_handlers(parts: Parts) -> list[HTTPRouteHandler]:
    """Return the routes of the registry's keys and of the mirror manifest."""

    @route(
        KEY_PATH,
        http_method=METHODS,
        summary="The registry's keys",
        operation_id=operation("getSigningKey"),
        tags=[PROTOCOL],
        responses=answers(
            "The key that signs pith_receipts, with the registry's other keys.", dict[str, Any], HTTPStatus.NOT_FOUND
        ),
    )
    async def signing_key(request: Asked) -> ASGIResponse:
        """Return the key that signs this registry's pith_receipts, in the public protocol's shape.

        `keys` are all keys that the registry may sign with at present, and `root` is the event that vouches for them.
        """
        sight, now = parts.present.sight, parts.clock()
        found = public_key(sight, now, parts.settings.base_url)
        if found is None:
            raise missing("the registry has no receipt key that is valid at present")
        keys = [_key(key, sight) for role in OWN_ROLES for key in current(sight, role, now)]
        root = sight.stream.entries[0].event.id_text
        return _json({**found, "registry": sight.registry.name, "root": root, "keys": keys}).to(request)

    @route(
        "/pith-mirrors.json",
        http_method=METHODS,
        summary="Where these documents are to be had",
        operation_id=operation("getMirrors"),
        tags=[PROTOCOL],
        responses=answers("The mirror manifest.", dict[str, Any]),
    )
    async def mirrors(request: Asked) -> ASGIResponse:
        """Return the mirror manifest: this registry, or this copy of it."""
        sight, base_url = parts.present.sight, parts.settings.base_url
        found = {
            "manifest_type": "pith_mirror_manifest",
            "manifest_version": "1.0",
            # What it says follows from the registry's stream, so it is as old as the newest entry there.
            "generated_at": seconds(sight.stream.entries[-1].received_at),
            "merge_version": MERGE_VERSION,
            "mirrors": [
                {
                    "name": sight.registry.name,
                    "mirror_type": base_url.partition(":")[0],
                    "base_url": base_url,
                    "bundle_pattern": f"{base_url}/pith/{{suffix}}/bundle.json",
                    "state_pattern": f"{base_url}/pith/{{suffix}}/state.json",
                    "well_known_pattern": f"{base_url}/.well-known/pith/{{suffix}}/bundle.json",
                    "public_key": public_key(sight, parts.clock(), base_url),
                    "status": "mirror" if parts.intake is None else "primary",
                }
            ],
            "notes": _MIRROR_NOTES,
        }
        return _json(found).to(request)

    return [signing_key, mirrors]


def public_key(sight: Sight, now: int, base_url: str) -> dict[str, Any] | None:
    """Return the newest valid receipt key as the public protocol's `public_key` object; None if there is none.

    Args:
        now: microseconds since 1970, UTC.
    """
    keys = current(sight, "receipt", now)
    if not keys:
        return None
    raw = keys[-1].public_key
    return {
        "key_id": keys[-1].key_id,
        "algorithm": "ed25519",
        "format": "raw",
        "public_key_b64": base64.b64encode(raw).decode(),
        "public_key_hex": raw.hex(),
        "fingerprint_sha256_b32_first128bits": suffix_of(hashlib.sha256(raw).digest()),
        "fingerprint_sha256_hex": keys[-1].key_id[:32],
        "rotates_at": keys[-1].statement.not_after,
        "url": f"{base_url}{KEY_PATH}",
        "notes": _NOTES,
    }


def current(sight: Sight, role: Role, now: int) -> list[Registration]:
    """Return the registry's keys of a role that are valid at a time (microseconds), in order of position."""
    found = []
    for key in sight.registry.keys.of_role(role):
        try:
            found.append(sight.registry.keys.usable(key.key_id, (role,), NOW, now))
        except KeyNotValidError:
            continue
    return found


def _key(key: Registration, sight: Sight) -> dict[str, Any]:
    found: dict[str, Any] = {
        "role": key.role,
        "key_id": key.key_id,
        "algorithm": "ed25519",
        "public_key_hex": key.public_key.hex(),
        "not_before": key.statement.not_before,
        "not_after": key.statement.not_after,
        "position": key.position,
    }
    if key.role == "log":
        verifier = log_verifier(sight.registry.name, key.public_key, sight.registry.label)
        found |= {"origin": sight.registry.origin, "verifier_key": verifier.format()}
    return found


def _json(found: dict[str, Any]) -> Answer:
    return Answer(msgspec.json.encode(found), JSON, SHORT)
