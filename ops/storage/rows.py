"""What is to be preserved where, and which copies are looked at when.

These rows hold only what is under way: when to look again, what was seen once and waits for a second look. What is
known of a copy stands in the log, so that lost rows are found again from there. Times are microseconds, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    Row,
    Text,
    UniqueConstraint,
    and_,
    case,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlmodel import Field

from ledger.database import Database
from ledger.tables import Key64, table_of
from ops.jobs.tables import JobTable

OWED: Final = "owed"
SAVING: Final = "saving"
CLAIMED: Final = "claimed"
FAILED: Final = "failed"
OPEN: Final = (OWED, SAVING)

FAR: Final = 400 * 86_400 * 1_000_000
"""No rest is longer: a moment further off is from before the clock was set back."""


class PreservationRow(JobTable, table=True):
    """One address of a paper that is to be kept in one place: `archive:NAME` or `bucket:NAME`.

    `owed`: to be fetched and handed over; `saving`: the archive is at it, as its job, since `begun_at`; `claimed`: the
    log was told; `failed`: given up, `said` says why. `content` is the payload's block as JSON, once it was fetched.
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
    tries: int
    next_at: int = Field(sa_column=Column(Key64, nullable=False, index=True))
    said: str = Field(sa_column=Column(Text, nullable=False))


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
    said: str = Field(sa_column=Column(Text, nullable=False))
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
    fresh = {"state": OWED, "job": "", "begun_at": 0, "content": "", "tries": 0, "next_at": 0, "said": ""}
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


def due_preservations(database: Database, now: int, limit: int) -> Sequence[Row[Any]]:
    """Return what is to be done now, the longest due first."""
    due = PRESERVATIONS.c.state.in_(OPEN), _is_due(PRESERVATIONS.c.next_at, now)
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
    """Note that there is said to be a copy, unless it is known."""
    known = COPIES.c.subject == subject, COPIES.c.kind == kind, COPIES.c.url == url
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
    waiting = COPIES.c.subject == subject, COPIES.c.looked_at == 0, COPIES.c.next_at > now
    connection.execute(update(COPIES).where(*waiting).values(next_at=now))


def change_copy(connection: Connection, id: int, **facts: Any) -> None:
    connection.execute(update(COPIES).where(COPIES.c.id == id).values(**facts))


def due_copies(database: Database, now: int, limit: int) -> Sequence[Row[Any]]:
    """Return the copies to look at now, the longest due first."""
    statement = select(COPIES).where(_is_due(COPIES.c.next_at, now)).order_by(COPIES.c.next_at, COPIES.c.id)
    with database.read() as connection:
        return connection.execute(statement.limit(limit)).all()


def count_due_copies(database: Database, now: int) -> int:
    """Return how many copies are to be looked at now."""
    statement = select(func.count()).select_from(COPIES).where(_is_due(COPIES.c.next_at, now))
    with database.read() as connection:
        found: int = connection.execute(statement).scalar_one()
    return found


def _is_due(column: Any, now: int) -> Any:
    return or_(column <= now, column > now + FAR)
