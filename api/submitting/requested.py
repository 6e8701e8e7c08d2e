"""What people asked the registry to do outside: to stamp a record, to preserve a copy of a paper.

Requests wait in a private table until the jobs take them over, which read them here, put them into tables of their
own and remove them. An id is never given out twice, so that a request which was taken over but not yet removed is
known again. That somebody asked is nobody's business afterwards: nothing here says who.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

from sqlalchemy import Column, Connection, UniqueConstraint, delete, func, insert, select
from sqlmodel import Field

from api.private import PrivateTable
from api.problems import RefusedError
from ledger.database import Database
from ledger.signing import Randomness
from ledger.tables import Key64, table_of

Kind = Literal["timestamp", "preserve"]

MAX_OPEN: Final = 1_000
"""How many requests of a kind may be open at once."""

MAX_OPEN_OF_ONE: Final = 10
"""How many of them may be about one paper."""

WAIT_SECONDS: Final = 3_600


class RequestsFullError(RefusedError):
    """More is asked for than the jobs get done."""

    code = "requests-full"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    default_cure = "ask again in an hour"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.headers = {"retry-after": str(WAIT_SECONDS)}


class RequestRow(PrivateTable, table=True):
    """One open request: `suffix` is all 26 characters of the paper's, `url` is "" for a timestamp."""

    __tablename__ = "requests"
    __table_args__ = (UniqueConstraint("kind", "suffix", "url"),)

    id: str = Field(max_length=32, primary_key=True)
    kind: str = Field(max_length=16)
    suffix: str = Field(max_length=26)
    url: str = Field(max_length=2_000)
    asked_at: int = Field(sa_column=Column(Key64, nullable=False, index=True))


REQUESTS: Final = table_of(RequestRow)


@dataclass(frozen=True, slots=True)
class Requested:
    """One open request: `id` is 32 hex digits, `asked_at` microseconds since 1970, `url` "" for a timestamp."""

    id: str
    kind: Kind
    suffix: str
    url: str
    asked_at: int


def ask(private: Database, kind: Kind, suffix: str, url: str, now: int, random: Randomness) -> Requested:
    """Put a request down, durably, unless the very same is open already; return the one that is open now.

    Args:
        suffix: all of the paper's.
        url: what to preserve; "" for a timestamp.
        now: microseconds since 1970.

    Raises:
        RequestsFullError: too many of the kind are open, in all or about this paper.
    """
    with private.write() as connection:
        same = select(REQUESTS).where(REQUESTS.c.kind == kind, REQUESTS.c.suffix == suffix, REQUESTS.c.url == url)
        if row := connection.execute(same).first():
            return Requested(**row._mapping)
        if _count(connection, kind) >= MAX_OPEN:
            raise RequestsFullError("this registry has more such requests than it gets done")
        if _count(connection, kind, suffix) >= MAX_OPEN_OF_ONE:
            raise RequestsFullError("this registry has several such requests about this paper to do first")
        made = Requested(random(16).hex(), kind, suffix, url, now)
        connection.execute(
            insert(REQUESTS).values(id=made.id, kind=kind, suffix=suffix, url=url, asked_at=made.asked_at)
        )
    return made


def open_requests(private: Database, limit: int, kind: Kind | None = None) -> list[Requested]:
    """Return the requests that were asked first; all kinds of them, or one."""
    statement = select(REQUESTS).order_by(REQUESTS.c.asked_at, REQUESTS.c.id).limit(limit)
    if kind is not None:
        statement = statement.where(REQUESTS.c.kind == kind)
    with private.read() as connection:
        return [Requested(**row._mapping) for row in connection.execute(statement)]


def remove(private: Database, ids: Sequence[str]) -> None:
    """Forget requests by their ids, once they stand elsewhere; those that are not there are passed over."""
    with private.write() as connection:
        connection.execute(delete(REQUESTS).where(REQUESTS.c.id.in_(ids)))


def _count(connection: Connection, kind: Kind, suffix: str | None = None) -> int:
    statement = select(func.count()).select_from(REQUESTS).where(REQUESTS.c.kind == kind)
    if suffix is not None:
        statement = statement.where(REQUESTS.c.suffix == suffix)
    found: int = connection.execute(statement).scalar_one()
    return found
