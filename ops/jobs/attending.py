"""Which workers there are: each says now and then that it goes on, since when and with which jobs.

What a run leaves behind cannot tell that, since a job that finds nothing to do writes nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, insert, select

from ledger.database import Database
from ops.jobs.resting import DAY, SECOND
from ops.jobs.tables import WORKERS

EVERY_SECONDS: Final = 60.0
"""How often a worker says that it goes on."""

SLACK_SECONDS: Final = 90.0
"""How much later than that it may say so, before nobody counts on it."""

_LIFE: Final = int((EVERY_SECONDS + SLACK_SECONDS) * SECOND)


@dataclass(frozen=True, slots=True)
class Attending:
    """One worker: who, since when, when it last said so (microseconds), and the names of its jobs."""

    holder: str
    since: int
    seen_at: int
    jobs: tuple[str, ...]


def attend(database: Database, worker: Attending) -> None:
    """Note that a worker goes on, and forget those that have not said so for a day; raises StoreError."""
    row = {"holder": worker.holder, "since": worker.since, "seen_at": worker.seen_at, "jobs": json.dumps(worker.jobs)}
    with database.write() as connection:
        is_old = WORKERS.c.seen_at < worker.seen_at - DAY
        connection.execute(delete(WORKERS).where(is_old | (WORKERS.c.holder == worker.holder)))
        connection.execute(insert(WORKERS).values(**row))


def leave(database: Database, holder: str) -> None:
    """Note that a worker has ended; raises StoreError."""
    with database.write() as connection:
        connection.execute(delete(WORKERS).where(WORKERS.c.holder == holder))


def attending(database: Database, now: int) -> list[Attending]:
    """Return the workers that go on, as far as they said so lately; raises StoreError."""
    with database.read() as connection:
        rows = connection.execute(select(WORKERS).order_by(WORKERS.c.since, WORKERS.c.holder)).all()
    found = [Attending(row.holder, row.since, row.seen_at, tuple(json.loads(row.jobs))) for row in rows]
    # Whoever was seen in the future was so before the clock was set back.
    return [worker for worker in found if abs(now - worker.seen_at) < _LIFE]
