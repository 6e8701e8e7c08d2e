"""How much people's requests have brought into archives and buckets on one day (UTC), so that it stays bounded."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Connection, delete, insert, select
from sqlmodel import Field

from ledger.database import Database
from ledger.tables import Key64, table_of
from ops.jobs.resting import DAY
from ops.jobs.tables import JobTable


class BroughtRow(JobTable, table=True):
    """The bytes of one day, counted since 1970; each content counts once for every place that it is meant for."""

    __tablename__ = "brought"

    day: int = Field(sa_column=Column(Key64, primary_key=True))
    bytes: int = Field(sa_column=Column(Key64, nullable=False))


BROUGHT: Final = table_of(BroughtRow)


def brought(database: Database, now: int) -> int:
    """Return how many bytes were brought on the day of a moment (microseconds, UTC)."""
    with database.read() as connection:
        found: int | None = connection.execute(select(BROUGHT.c.bytes).where(BROUGHT.c.day == now // DAY)).scalar()
    return found or 0


def bring(connection: Connection, now: int, count: int) -> None:
    """Add to the bytes of a day, and forget the days before."""
    mine = BROUGHT.c.day == now // DAY
    before: int | None = connection.execute(select(BROUGHT.c.bytes).where(mine)).scalar()
    connection.execute(delete(BROUGHT).where(BROUGHT.c.day <= now // DAY))
    connection.execute(insert(BROUGHT).values(day=now // DAY, bytes=(before or 0) + count))


def next_day(now: int) -> int:
    """Return when the day after a moment begins, in microseconds."""
    return (now // DAY + 1) * DAY
