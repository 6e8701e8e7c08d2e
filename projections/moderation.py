"""What moderators may decide on, read from the projection `moderation`: what waits, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, get_args

import msgspec
from sqlalchemy import ColumnElement, Row, Select, and_, select

from ledger.database import Database
from ledger.verdicts import Status
from projections.projectors import MODERATION
from projections.writing import CURSORS

STATUSES: Final = tuple(status for status in get_args(Status) if status != "refused")
"""What may have become of a statement that the log holds."""


@dataclass(frozen=True, slots=True)
class Moderated:
    """One statement and its fate; `received_at` in microseconds, UTC, `signer` the event's signer block."""

    event_id: str
    event_type: str
    subject: str
    target: str
    position: int
    received_at: int
    status: str
    signer: dict[str, Any]


def with_status(database: Database, status: str, after: int, limit: int) -> list[Moderated]:
    """Return the statements of one status past a position, at most so many, in order of position."""
    statement = _active((MODERATION.c.status == status) & (MODERATION.c.position > after))
    with database.read() as connection:
        rows = connection.execute(statement.order_by(MODERATION.c.position).limit(limit)).all()
    return [_moderated(row) for row in rows]


def fate_of(database: Database, event_id: str) -> Moderated | None:
    """Return what became of an event (`sha256:…`); None if it is no statement of this kind, or not projected yet."""
    with database.read() as connection:
        row = connection.execute(_active(MODERATION.c.event_id == event_id)).first()
    return None if row is None else _moderated(row)


def _active(condition: ColumnElement[bool]) -> Select[Any]:
    generation = and_(
        CURSORS.c.projection == "moderation", CURSORS.c.active, CURSORS.c.generation == MODERATION.c.generation
    )
    return select(MODERATION).join(CURSORS, generation).where(condition)


def _moderated(row: Row[Any]) -> Moderated:
    return Moderated(
        event_id=row.event_id,
        event_type=row.event_type,
        subject=row.subject,
        target=row.target,
        position=row.position,
        received_at=row.received_at,
        status=row.status,
        signer=msgspec.json.decode(row.signer),
    )
