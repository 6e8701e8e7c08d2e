"""`GET /api/keys/{key_id}`: what the log says of a key, each fact with the entry that says it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from litestar import HttpMethod, Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter

from api.caching import SHORT, cached
from api.identity.described import KEY_EXAMPLE, KEYS, answered
from api.identity.evidence import statement_digest
from api.identity.key_requests import known_by_now
from api.identity.ssh import namespace
from api.parts import Parts
from ledger.errors import KeyNotValidError, NotFoundError
from ledger.events import Entry
from ledger.keyring import NOW, Registration
from ledger.keys import key_id as key_id_of
from ledger.payloads import IdentityEvidence, KeyRevoked, KeyRotated
from ledger.proofs.stream import Stream
from ledger.registry import Registry
from ledger.times import instant

Asked = Request[Any, Any, Any]
KeyId = Annotated[str, PathParameter(description="Hex SHA-256 of the public key.")]

_EXAMPLE: Final = {
    "key_id": KEY_EXAMPLE,
    "statement": {"registry": "pith.example", "signer_id": "orcid:0000-0002-1825-0097", "role": "contributor"},
    "valid_now": True,
    "identifiers": [{"identifier": "orcid:0000-0002-1825-0097", "method": "openid-connect", "position": 512}],
}


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry about the key; the fields beyond the first three depend on its type."""

    position: int
    event_id: str
    received_at: str
    identifier: str | None = None
    method: str | None = None
    successor: str | None = None
    compromised_from: str | None = None


class KnownKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as the log knows it.

    `statement_sha256` is what an SSH key signs to vouch for it, under `ssh_namespace`. `invalid_because` names the
    rule that keeps it from signing now. `proofs` are those that still stand, of this key itself; `identifiers` also
    those of the keys that it was rotated from and to.
    """

    key_id: str
    statement: dict[str, Any]
    statement_sha256: str
    ssh_namespace: str
    position: int
    registered_at: str
    registered_by: str
    rotated_from: str | None
    valid_now: bool
    invalid_because: str | None
    identifiers: list[str]
    proofs: list[Said]
    rotations: list[Said]
    revocations: list[Said]


def key_handlers(parts: Parts) -> list[HTTPRouteHandler]:
    """Return the route of known keys."""

    @route(
        "/api/keys/{key_id:str}",
        http_method=[HttpMethod.GET, HttpMethod.HEAD],
        sync_to_thread=True,
        summary="What is known of a key",
        operation_id=lambda _handler, method, _path: "getKey" if method == HttpMethod.GET else "headKey",
        tags=[KEYS],
        responses=answered(
            HTTPStatus.OK, "Facts and the entries that say them.", KnownKey, HTTPStatus.NOT_FOUND, example=_EXAMPLE
        ),
        description="E-mail addresses stand as salted commitments. Nothing private is told, whoever asks.",
    )
    def known(request: Asked, key_id: KeyId) -> Response[bytes]:
        registry = known_by_now(parts, key_id)
        registration = registry.keys.find(key_id)
        if registration is None:
            raise NotFoundError(f"no key {key_id[:64]!r} is registered here", place="key_id", cure="")
        stream = parts.present.sight.stream
        found = _known(registry, stream, registration, parts.clock())
        return cached(request, msgspec.json.encode(found), "application/json", SHORT)

    return [known]


def _known(registry: Registry, stream: Stream, key: Registration, now: int) -> KnownKey:
    proofs: list[Said] = []
    rotations: list[Said] = []
    revocations: list[Said] = []
    for entry in stream.entries:
        match entry.event.payload:
            case IdentityEvidence(key_id=about, identifier=identifier, method=method) if about == key.key_id:
                if not _is_cut(registry, entry):
                    proofs.append(_said(entry, identifier=identifier, method=method))
            case KeyRotated(rotation=rotation) if rotation.old_key_id == key.key_id:
                rotations.append(_said(entry, successor=key_id_of(bytes.fromhex(rotation.statement.public_key))))
            case KeyRevoked(key_id=about, compromised_from=since) if about == key.key_id:
                revocations.append(_said(entry, compromised_from=since))
    reason = _why_invalid(registry, key, now)
    return KnownKey(
        key_id=key.key_id,
        statement=msgspec.to_builtins(key.statement),
        statement_sha256=statement_digest(key).hex(),
        ssh_namespace=namespace(registry.name),
        position=key.position,
        registered_at=instant(key.received_at),
        registered_by=key.signed_by,
        rotated_from=key.predecessor,
        valid_now=reason is None,
        invalid_because=reason,
        identifiers=sorted(registry.keys.identifiers(key.key_id)),
        proofs=proofs,
        rotations=rotations,
        revocations=revocations,
    )


def _why_invalid(registry: Registry, key: Registration, now: int) -> str | None:
    try:
        registry.keys.usable(key.key_id, (key.role,), NOW, now)
    except KeyNotValidError as error:
        return error.message
    return None


def _is_cut(registry: Registry, entry: Entry) -> bool:
    return registry.keys.is_cut(entry.event.signer.key_id, entry.position, entry.received_at)


def _said(entry: Entry, **facts: str | None) -> Said:
    return Said(position=entry.position, event_id=entry.event.id_text, received_at=instant(entry.received_at), **facts)
