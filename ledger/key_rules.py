"""Who may register, rotate and revoke which key.

Position 0 is the registry's root: the registration of its event key, signed by that key. From there on
every key is brought in by a statement that the key itself signed, so nobody can register a key that
they do not hold; only a foreign registry's receipt key, which cannot be asked, comes by its source.
"""

from __future__ import annotations

from typing import Final

from ledger.errors import (
    ForeignRegistryError,
    InvalidFieldError,
    MissingFieldError,
    RuleViolationError,
    SignerMismatchError,
    SignerNotAllowedError,
    TargetMissingError,
)
from ledger.events import Entry
from ledger.keyring import Registration, microseconds
from ledger.keys import Role, check_public_key, key_id
from ledger.payloads import KeyRegistered, KeyRevoked, KeyRotated, KeyStatement
from ledger.records import check_time
from ledger.registry import Registry

SELF_REGISTERED: Final[tuple[Role, ...]] = ("contributor",)
"""Roles that a key may claim for itself; every other role is given by the registry."""

MAX_ROTATIONS: Final = 64
"""A line of rotations is walked whenever one of its keys is judged."""

MAX_LINEAGE: Final = 100
"""So are the keys on whose word a key is known: by rotation, or because one registered the next."""

REGISTRY_ROLES: Final[tuple[Role, ...]] = ("receipt", "event", "log")
_SIGNING: Final[dict[str, tuple[Role, ...]]] = {
    "pith_registry": ("event",),
    "contributor": ("contributor", "storage_checker"),
    "moderator": ("moderator",),
}


def check_key_event(entry: Entry, registry: Registry) -> None:
    """Refuse a key event that its signer may not make.

    Raises:
        SubmissionError: the child names the rule.
    """
    match entry.event.payload:
        case KeyRegistered():
            _registered(entry, registry)
        case KeyRotated():
            _rotated(entry, registry)
        case KeyRevoked():
            _revoked(entry, registry)


def _registered(entry: Entry, registry: Registry) -> None:
    event, payload = entry.event, entry.event.payload
    statement: KeyStatement = payload.statement
    introduced = _check_statement(entry, statement, registry, "payload.statement")
    if statement.role == "foreign_receipt":
        if payload.statement_signature_b64 is not None:
            raise InvalidFieldError("a foreign key makes no statement here", place="payload.statement_signature_b64")
        if not isinstance(payload.source, str):
            raise MissingFieldError("a foreign key comes with its source", place="payload.source")
    elif payload.statement_signature_b64 is None:
        raise MissingFieldError("the key must sign its own statement", place="payload.statement_signature_b64")
    own = event.signer.key_id == introduced
    if entry.position == 0:
        if not own or statement.role != "event" or event.signer.signer_type != "pith_registry":
            raise RuleViolationError("a log begins with the registry's own event key", place="payload.statement.role")
    elif statement.role in SELF_REGISTERED and own:
        if event.signer.signer_type != "contributor":
            raise SignerNotAllowedError("a key registers itself as a contributor", place="signer.signer_type")
    else:
        if event.signer.signer_type != "pith_registry":
            raise SignerNotAllowedError(
                f"only the registry registers a {statement.role} key",
                place="signer.signer_type",
                cure="hand the key's signed statement (`pith keygen`) to the registry's operator",
            )
        _check_lineage(_signing_key(entry, registry).key_id, registry, "payload.statement")
    if own and event.signer.signer_id != statement.signer_id:
        raise SignerMismatchError("signer and statement name different identities", place="signer.signer_id")


def _rotated(entry: Entry, registry: Registry) -> None:
    event, rotation = entry.event, entry.event.payload.rotation
    if rotation.registry != registry.name:
        raise ForeignRegistryError(f"made for {rotation.registry}", place="payload.rotation.registry")
    statement: KeyStatement = rotation.statement
    successor = _check_statement(entry, statement, registry, "payload.rotation.statement")
    if registry.keys.rotations(rotation.old_key_id) >= MAX_ROTATIONS:
        raise RuleViolationError(
            f"the key comes from {MAX_ROTATIONS} rotations", place="payload.rotation", cure="register a new key instead"
        )
    _check_lineage(rotation.old_key_id, registry, "payload.rotation")
    old = registry.keys.usable(rotation.old_key_id, (statement.role,), entry.position, entry.received_at)
    if old.statement.signer_id != statement.signer_id:
        raise SignerMismatchError("old and new key name different identities", place="payload.rotation.statement")
    if event.signer.signer_type == "pith_registry" and event.signer.key_id not in (old.key_id, successor):
        _signing_key(entry, registry)
    elif event.signer.key_id not in (old.key_id, successor):
        raise SignerNotAllowedError("a rotation is signed by the old or the new key", place="signer.key_id")
    elif event.signer.signer_id != statement.signer_id:
        raise SignerMismatchError(f"the key was registered for {statement.signer_id}", place="signer.signer_id")
    elif statement.role not in _SIGNING[event.signer.signer_type]:
        raise SignerNotAllowedError(f"a {statement.role} key is not a {event.signer.signer_type}'s", place="signer")


def _revoked(entry: Entry, registry: Registry) -> None:
    event = entry.event
    payload: KeyRevoked = event.payload
    if payload.compromised_from is not None:
        check_time(payload.compromised_from, "payload.compromised_from")
    revoked = registry.keys.find(payload.key_id, entry.position)
    if revoked is None:
        raise TargetMissingError("the key is not registered here", place="payload.key_id")
    key = _signing_key(entry, registry)
    cut = None if payload.compromised_from is None else microseconds(payload.compromised_from)
    vouched = key.predecessor is None and key.signed_by == revoked.key_id != key.key_id
    if vouched and cut is not None and cut <= key.received_at:
        raise RuleViolationError(
            "the key that signs was vouched for by the revoked key after that time and would fall with it",
            place="payload.compromised_from",
            cure="name a later time, or revoke with a successor made by key_rotated",
        )
    if event.signer.signer_type == "pith_registry":
        return
    same_id = key.statement.signer_id == revoked.statement.signer_id
    if not same_id or not registry.keys.same_person(key.key_id, revoked.key_id, event.signer.signer_id, entry.position):
        raise SignerNotAllowedError(
            "a key is revoked by itself, by another proven key of its holder, or by the registry", place="signer"
        )


def _check_statement(entry: Entry, statement: KeyStatement, registry: Registry, place: str) -> str:
    public_key = bytes.fromhex(statement.public_key)
    check_public_key(public_key)
    check_time(statement.not_before, f"{place}.not_before")
    if statement.not_after is not None and statement.not_after <= statement.not_before:
        raise InvalidFieldError("the key ends before it begins", place=f"{place}.not_after")
    if statement.not_after is not None:
        check_time(statement.not_after, f"{place}.not_after")
    if statement.registry != registry.name:
        raise ForeignRegistryError(f"made for {statement.registry}, this is {registry.name}", place=f"{place}.registry")
    stated = statement.signer_id
    right = (
        stated == f"registry:{registry.name}"
        if statement.role in REGISTRY_ROLES
        else not stated.startswith("registry:")
    )
    if not right:
        raise SignerMismatchError(
            f"registry:{registry.name} holds the roles {', '.join(REGISTRY_ROLES)} and nobody else does",
            place=f"{place}.signer_id",
        )
    if (statement.role == "foreign_receipt") != isinstance(statement.label, str):
        raise InvalidFieldError("a foreign receipt key, and no other, has a label", place=f"{place}.label")
    introduced = key_id(public_key)
    if registry.keys.find(introduced, entry.position) is not None:
        raise RuleViolationError(
            "the key is registered already", place=place, cure="one key, one role: make a new key with `pith keygen`"
        )
    return introduced


def _check_lineage(voucher: str, registry: Registry, place: str) -> None:
    if registry.keys.lineage(voucher) >= MAX_LINEAGE:
        raise RuleViolationError(
            f"{MAX_LINEAGE} keys vouched one for the next up to this one",
            place=place,
            cure="register a new key by an event key nearer to the root, such as a backup",
        )


def _signing_key(entry: Entry, registry: Registry) -> Registration:
    signer = entry.event.signer
    roles = _SIGNING[signer.signer_type]
    key = registry.keys.usable(signer.key_id, roles, entry.position, entry.received_at)
    if key.statement.signer_id != signer.signer_id:
        raise SignerMismatchError(f"the key was registered for {key.statement.signer_id}", place="signer.signer_id")
    return key
