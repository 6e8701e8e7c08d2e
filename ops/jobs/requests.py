"""What people asked the registry to do: taken over from the private tables into the worker's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, delete, insert, select, update

from api.submitting.requested import open_requests, remove
from ledger.database import Database
from ops.jobs.leases import Lease
from ops.jobs.resting import DAY
from ops.jobs.tables import REQUESTS
from ops.jobs.work import Work

Kind = Literal["timestamp", "preserve"]

AT_ONCE: Final = 100
KEEP_DAYS: Final = 30
"""How long a request that was done is known, so that one taken over a second time is not done a second time."""


def are_waiting(work: Work, kind: Kind) -> bool:
    """Say whether anything of a kind is open, here or in the private tables."""
    if open_here(work.database, kind, 1):
        return True
    return work.private is not None and bool(open_requests(work.private, 1, kind))


def take_over(work: Work, lease: Lease, kind: Kind) -> None:
    """Bring the requests of a kind here; they stand in both places for a moment, and in none at no time.

    Raises:
        LeaseLostError, StoreError: they stay where they are.
    """
    if work.private is None:
        return
    asked = open_requests(work.private, AT_ONCE, kind)
    if not asked:
        return
    now = work.clock()
    with lease.write() as connection:
        ids = [request.id for request in asked]
        known = set(connection.execute(select(REQUESTS.c.id).where(REQUESTS.c.id.in_(ids))).scalars())
        for request in asked:
            if request.id not in known:
                facts = {"kind": kind, "suffix": request.suffix, "url": request.url, "asked_at": request.asked_at}
                connection.execute(insert(REQUESTS).values(id=request.id, done_at=0, said="", **facts))
        old = now - KEEP_DAYS * DAY
        connection.execute(delete(REQUESTS).where(REQUESTS.c.done_at > 0, REQUESTS.c.done_at < old))
    remove(work.private, ids)


def open_here(database: Database, kind: Kind, limit: int = AT_ONCE) -> Sequence[Row[Any]]:
    """Return the open requests of a kind that were taken over, those first that were asked first."""
    statement = select(REQUESTS).where(REQUESTS.c.kind == kind, REQUESTS.c.done_at == 0)
    with database.read() as connection:
        return connection.execute(statement.order_by(REQUESTS.c.asked_at, REQUESTS.c.id).limit(limit)).all()


def done(connection: Connection, request_id: str, said: str, now: int) -> None:
    """Note in the caller's transaction that a request is done with, and in words how."""
    connection.execute(update(REQUESTS).where(REQUESTS.c.id == request_id).values(done_at=now, said=said))
