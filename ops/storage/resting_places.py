"""Archives and buckets that do not answer: each is left alone for a while, longer each time, whatever waits for it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Connection, delete, insert, select
from sqlmodel import Field

from ledger.database import Database
from ledger.signing import Randomness
from ledger.tables import Key64, table_of
from ops.jobs.resting import DAY, SECOND, rest_after
from ops.jobs.tables import JobTable, Words


class RestingPlaceRow(JobTable, table=True):
    """A place as preservations name it: how often it failed in a row, until when it rests, and what it said."""

    __tablename__ = "resting_places"

    place: str = Field(max_length=120, primary_key=True)
    failures: int
    until: int = Field(sa_column=Column(Key64, nullable=False))
    said: str = Field(sa_column=Column(Words, nullable=False))


RESTING_PLACES: Final = table_of(RestingPlaceRow)


def resting(database: Database, now: int) -> dict[str, str]:
    """Return the places that rest now and what they said last.

    One that would rest for longer than a day does so by a clock that was set back since, and rests no more.
    """
    is_resting = RESTING_PLACES.c.until > now, RESTING_PLACES.c.until <= now + DAY
    with database.read() as connection:
        return {row.place: row.said for row in connection.execute(select(RESTING_PLACES).where(*is_resting))}


def failing(database: Database) -> set[str]:
    """Return the places that have not answered since they failed, whether they rest still or not."""
    with database.read() as connection:
        return set(connection.execute(select(RESTING_PLACES.c.place)).scalars())


def rest_place(
    connection: Connection, place: str, now: int, random: Randomness, said: str, wished: int, longest: int
) -> None:
    """Note that a place failed, and let it rest.

    Args:
        wished: for how many seconds it asks to be left alone; what is more than a day counts as one.
        longest: how long it rests at most by itself, in microseconds.
    """
    mine = RESTING_PLACES.c.place == place
    before: int | None = connection.execute(select(RESTING_PLACES.c.failures).where(mine)).scalar()
    failures = (before or 0) + 1
    rest = min(max(rest_after(failures, random, longest=longest), wished * SECOND), DAY)
    connection.execute(delete(RESTING_PLACES).where(mine))
    connection.execute(insert(RESTING_PLACES).values(place=place, failures=failures, until=now + rest, said=said))


def note_answer(connection: Connection, place: str) -> None:
    """Note that a place answered: what failed before counts no more."""
    connection.execute(delete(RESTING_PLACES).where(RESTING_PLACES.c.place == place))
