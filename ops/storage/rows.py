"""What is to be preserved where, and which copies are looked at when.

These rows hold only what is under way: when to look again, what was seen once and waits for a second look. What is
known of a copy stands in the log, so that lost rows are found again from there. Times are microseconds, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    Text,
    UniqueConstraint,
    and_,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlmodel import Field

from ledger.database import Database
from ledger.tables import Key64, table_of
from ops.jobs.resting import DAY
from ops.jobs.tables import OUTBOX, JobTable, Words

OWED: Final = "owed"
SAVING: Final = "saving"
TELLING: Final = "telling"
CLAIMED: Final = "claimed"
FAILED: Final = "failed"
OPEN: Final = (OWED, SAVING, TELLING)

FAR: Final = 4_400 * DAY
"""No rest is longer, whatever is configured: a moment further off is from before the clock was set back."""

NEVER: Final = 1 << 62
"""In place of a moment: not before something was decided."""


class PreservationRow(JobTable, table=True):
    """One address of a paper that is to be kept in one place: `archive:NAME` or `bucket:NAME`.

    `owed`: to be fetched and handed over; `saving`: the archive is at it, as its job, since `begun_at`; `telling`: the
    claim of `location` is signed and on its way to the log; `claimed`: it stands there; `failed`: given up, `said` says
    why. `content` is the payload's block as JSON, once it was fetched; `gone_at` is when the original was first said to
    be gone, 0 where it was not.
    """

    __tablename__ = "preservations"
    __table_args__ = (UniqueConstraint("subject", "url", "place"),)

    id: int | None = Field(default=None, sa_column=Column(Key64, primary_key=True, autoincrement=True))
    subject: str = Field(max_length=40)
    url: str = Field(max_length=2_000)
    place: str = Field(max_length=120)
    request_id: str = Field(max_length=32, index=True)
    asked_at: int = Field(sa_column=Column(Key64, nullable=False))
    state: str = Field(max_length=10)
    job: str = Field(max_length=200)
    begun_at: int = Field(sa_column=Column(Key64, nullable=False))
    content: str = Field(sa_column=Column(Text, nullable=False))
    location: str = Field(sa_column=Column(Text, nullable=False))
    gone_at: int = Field(sa_column=Column(Key64, nullable=False))
    tries: int
    next_at: int = Field(sa_column=Column(Key64, nullable=False, index=True))
    said: str = Field(sa_column=Column(Words, nullable=False))


class CopyRow(JobTable, table=True):
    """One location of a paper's copy and when it is looked at next.

    `suspect` is what a first look saw that only a second one makes a statement of: `missing`, or `changed:` and the
    SHA-256 found; seen at `suspect_at`. `evidence` is the head of the last answer. `event_id` is the last event that
    was made of a look, b"" where there is none. `looked_at` is 0 until the copy was looked at.
    """

    __tablename__ = "copies"
    __table_args__ = (UniqueConstraint("subject", "kind", "url"),)

    id: int | None = Field(default=None, sa_column=Column(Key64, primary_key=True, autoincrement=True))
    subject: str = Field(max_length=40)
    kind: str = Field(max_length=10)
    url: str = Field(max_length=2_000)
    tries: int
    looked_at: int = Field(sa_column=Column(Key64, nullable=False))
    next_at: int = Field(sa_column=Column(Key64, nullable=False, index=True))
    said: str = Field(sa_column=Column(Words, nullable=False))
    suspect: str = Field(max_length=80)
    suspect_at: int = Field(sa_column=Column(Key64, nullable=False))
    evidence: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    event_id: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))


PRESERVATIONS: Final = table_of(PreservationRow)
COPIES: Final = table_of(CopyRow)


def add_preservation(connection: Connection, facts: Mapping[str, Any]) -> None:
    """Note that something is to be preserved; a request that comes again later takes up what was given up.

    Args:
        facts: subject, url, place, request_id, asked_at, and what else is known.
    """
    mine = and_(*(PRESERVATIONS.c[name] == facts[name] for name in ("subject", "url", "place")))
    row = connection.execute(select(PRESERVATIONS).where(mine)).first()
    fresh = {"state": OWED, "job": "", "begun_at": 0, "content": "", "location": "", "gone_at": 0}
    fresh |= {"tries": 0, "next_at": 0, "said": ""}
    if row is None:
        connection.execute(insert(PRESERVATIONS).values(**{**fresh, **facts}))
    elif row.request_id != facts["request_id"]:
        kept = {name: facts[name] for name in ("request_id", "asked_at")} if row.state in OPEN else {**fresh, **facts}
        if row.state != CLAIMED:
            connection.execute(update(PRESERVATIONS).where(mine).values(**kept))
        else:
            connection.execute(update(PRESERVATIONS).where(mine).values(request_id=facts["request_id"]))


def change_preservation(connection: Connection, id: int, **facts: Any) -> None:
    connection.execute(update(PRESERVATIONS).where(PRESERVATIONS.c.id == id).values(**facts))


def due_preservations(
    database: Database, now: int, limit: int, *which: ColumnElement[bool], states: Sequence[str] = OPEN
) -> Sequence[Row[Any]]:
    """Return what is to be done now, the longest due first.

    Args:
        which: what else has to be true of a row.
    """
    due = PRESERVATIONS.c.state.in_(states), _is_due(PRESERVATIONS.c.next_at, now), *which
    statement = select(PRESERVATIONS).where(*due).order_by(PRESERVATIONS.c.next_at, PRESERVATIONS.c.id)
    with database.read() as connection:
        return connection.execute(statement.limit(limit)).all()


def requests_known(database: Database, ids: Sequence[str]) -> dict[str, bool]:
    """Return those of some requests that rows stand for, and whether anything of each is still open."""
    if not ids:
        return {}
    is_open = func.max(case((PRESERVATIONS.c.state.in_(OPEN), 1), else_=0))
    statement = select(PRESERVATIONS.c.request_id, is_open).where(PRESERVATIONS.c.request_id.in_(ids))
    with database.read() as connection:
        rows = connection.execute(statement.group_by(PRESERVATIONS.c.request_id))
        return {request: bool(open) for request, open in rows}


def add_copy(connection: Connection, subject: str, kind: str, url: str, now: int) -> None:
    """Note that there is said to be a copy; one that is known is looked at if it only waited for another word of it."""
    known = COPIES.c.subject == subject, COPIES.c.kind == kind, COPIES.c.url == url
    connection.execute(update(COPIES).where(*known, COPIES.c.next_at == NEVER).values(next_at=now))
    if connection.execute(select(COPIES.c.id).where(*known)).first() is None:
        fresh = {
            "tries": 0,
            "looked_at": 0,
            "said": "",
            "suspect": "",
            "suspect_at": 0,
            "evidence": b"",
            "event_id": b"",
        }
        connection.execute(insert(COPIES).values(subject=subject, kind=kind, url=url, next_at=now, **fresh))


def hasten_copies(connection: Connection, subject: str, now: int) -> None:
    """Have what was not looked at yet of a paper be looked at now: something was decided about it."""
    is_waiting = or_(COPIES.c.looked_at == 0, COPIES.c.next_at == NEVER)
    waiting = COPIES.c.subject == subject, is_waiting, COPIES.c.next_at > now
    connection.execute(update(COPIES).where(*waiting).values(next_at=now))


def hasten_all_copies(connection: Connection, now: int) -> None:
    """Have what waits for a decision be looked at now: something became known of whoever signed it."""
    connection.execute(update(COPIES).where(COPIES.c.next_at == NEVER).values(next_at=now))


def forget_copies(connection: Connection) -> None:
    """Forget all copies but those of which something waits for the log."""
    kept = COPIES.c.event_id.in_(select(OUTBOX.c.event_id))
    connection.execute(delete(COPIES).where(~kept))


def change_copy(connection: Connection, id: int, **facts: Any) -> None:
    connection.execute(update(COPIES).where(COPIES.c.id == id).values(**facts))


def due_copies(database: Database, now: int, limit: int, skip: int = 0) -> Sequence[Row[Any]]:
    """Return the copies to look at now but for the first few, the longest due first."""
    statement = select(COPIES).where(_is_due(COPIES.c.next_at, now)).order_by(COPIES.c.next_at, COPIES.c.id)
    with database.read() as connection:
        return connection.execute(statement.limit(limit).offset(skip)).all()


def count_due_copies(database: Database, now: int) -> int:
    """Return how many copies are to be looked at now."""
    statement = select(func.count()).select_from(COPIES).where(_is_due(COPIES.c.next_at, now))
    with database.read() as connection:
        found: int = connection.execute(statement).scalar_one()
    return found


def _is_due(column: Any, now: int) -> Any:
    return or_(column <= now, and_(column > now + FAR, column != NEVER))
