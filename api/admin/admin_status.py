"""How a registry does, for its operators: more than a supervisor needs, none of it about anybody in particular."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import and_, func, select

from api.parts import Parts
from api.readiness import AnchoringAge, CheckpointAge, Health, Reason, Waiting
from ledger.errors import KeyNotValidError
from ledger.keyring import NOW, Registration
from ledger.keys import Role
from ledger.registry import Registry
from projections.projectors import MODERATION
from projections.writing import CURSORS

WATCHED: Final[tuple[Role, ...]] = ("event", "receipt", "log", "moderator", "storage_checker")
"""The roles whose keys an operator must keep an eye on."""


class ProjectionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One active projection; `error` is empty while all is well."""

    projection: str
    generation: int
    cursor: int
    error: str


class KeyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A key that matters to the registry; `invalid_because` is null while it may sign."""

    key_id: str
    role: Role
    signer_id: str
    not_after: str | None
    invalid_because: str | None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The registry's state at one moment; `held` statements wait for moderators, `waiting` ones for the writer."""

    registry: str
    size: int | None
    cursor: int | None
    lag: int | None
    checkpoint: CheckpointAge | None
    waiting: Waiting | None
    anchoring: AnchoringAge
    held: int
    projections: list[ProjectionStatus]
    keys: list[KeyStatus]
    reasons: list[Reason]
    warnings: list[Reason]


def status_of_registry(parts: Parts, health: Health) -> Status:
    """Look now; raises StoreError where the projections cannot be read. For worker threads."""
    readiness = health.readiness()
    projections, held = _projections(parts)
    registry, now = parts.present.sight.registry, parts.clock()
    return Status(
        registry=registry.name,
        size=readiness.size,
        cursor=readiness.cursor,
        lag=readiness.lag,
        checkpoint=readiness.checkpoint,
        waiting=readiness.waiting,
        anchoring=readiness.anchoring,
        held=held,
        projections=projections,
        keys=[_key(registry, key, now) for role in WATCHED for key in registry.keys.of_role(role)],
        reasons=readiness.reasons,
        warnings=readiness.warnings,
    )


def _projections(parts: Parts) -> tuple[list[ProjectionStatus], int]:
    generation = and_(
        CURSORS.c.projection == "moderation", CURSORS.c.active, CURSORS.c.generation == MODERATION.c.generation
    )
    held = select(func.count()).select_from(MODERATION).join(CURSORS, generation).where(MODERATION.c.status == "held")
    with parts.projections.read() as connection:
        rows = connection.execute(select(CURSORS).where(CURSORS.c.active).order_by(CURSORS.c.projection)).all()
        count: int = connection.execute(held).scalar_one()
    found = [
        ProjectionStatus(projection=row.projection, generation=row.generation, cursor=row.cursor, error=row.error)
        for row in rows
    ]
    return found, count


def _key(registry: Registry, key: Registration, now: int) -> KeyStatus:
    reason = None
    try:
        registry.keys.usable(key.key_id, (key.role,), NOW, now)
    except KeyNotValidError as error:
        reason = error.message
    return KeyStatus(
        key_id=key.key_id,
        role=key.role,
        signer_id=key.statement.signer_id,
        not_after=key.statement.not_after,
        invalid_because=reason,
    )
