"""Leases: the right to do a job for a while, held by one worker at a time, with a number that only grows.

A lease runs out by the clock, so that a worker that died keeps nobody waiting for long. A clock can be wrong and a
worker can sleep; what keeps two of them from both writing is the fence: whoever takes a lease raises it, and a
transaction that belongs to a lease first checks, under the database's own lock, that the fence is still its own.
(Kleppmann, "How to do distributed locking", 2016.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, insert, select, update

from ledger.appending import Clock
from ledger.database import Database
from ledger.errors import LeaseLostError
from ops.jobs.resting import SECOND
from ops.jobs.tables import LEASES

LEASE_SECONDS: Final = 60.0
"""How long a lease lasts unless it is renewed: longer than any one service is waited for."""

SLACK_SECONDS: Final = 60.0
"""How much longer than its length a lease may seem to last, before the clock must have been set back since."""


class Lease:
    """One worker's hold on one job; not shared between threads that take and release it.

    Args:
        database: the worker's database.
        name: of the job.
        clock: now, in microseconds since 1970, UTC.
        seconds: how long it lasts from when it is taken or renewed.
        holder: who holds it, in words, for whoever looks.
    """

    def __init__(self, database: Database, name: str, clock: Clock, seconds: float, holder: str) -> None:
        self._database = database
        self.name = name
        self._clock = clock
        self._microseconds = int(seconds * SECOND)
        self._holder = holder
        self._fence: int | None = None

    @property
    def fence(self) -> int:
        """The number this hold was given.

        Raises:
            LeaseLostError: it is not held.
        """
        if self._fence is None:
            raise self._lost()
        return self._fence

    def take(self) -> bool:
        """Take the lease if it is free or has run out; say whether it is held now.

        Raises:
            StoreError: the database failed.
        """
        now = self._clock()
        with self._database.write() as connection:
            row = connection.execute(select(LEASES).where(LEASES.c.name == self.name).with_for_update()).first()
            if row is None:
                fence = 1
                held = {"holder": self._holder, "expires_at": now + self._microseconds, "fence": fence}
                connection.execute(insert(LEASES).values(name=self.name, **held))
            else:
                # One that lasts longer than any could is from before the clock was set back.
                longest = self._microseconds + int(SLACK_SECONDS * SECOND)
                if now < row.expires_at <= now + longest:
                    return False
                fence = row.fence + 1
                held = {"holder": self._holder, "expires_at": now + self._microseconds, "fence": fence}
                connection.execute(update(LEASES).where(LEASES.c.name == self.name).values(**held))
        self._fence = fence
        return True

    def renew(self) -> None:
        """Let the lease last its whole length from now.

        Raises:
            LeaseLostError: somebody else has taken it; nothing may be written any more.
            StoreError: the database failed.
        """
        with self.write():
            pass

    def release(self) -> None:
        """Let others take it at once; nothing happens where it is not held any more."""
        fence, self._fence = self._fence, None
        if fence is None:
            return
        with self._database.write() as connection:
            mine = (LEASES.c.name == self.name, LEASES.c.fence == fence)
            connection.execute(update(LEASES).where(*mine).values(expires_at=0, holder=""))

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a write transaction that is only there while the lease is ours, and renew it.

        A lease that ran out, and that nobody has taken since, is still ours.

        Raises:
            LeaseLostError: somebody else has taken it; nothing was written.
            StoreError: the database failed; nothing was written.
        """
        fence = self.fence
        with self._database.write() as connection:
            # As an UPDATE this locks the row until the transaction ends, so that nobody takes the lease meanwhile.
            kept = connection.execute(
                update(LEASES)
                .where(LEASES.c.name == self.name, LEASES.c.fence == fence)
                .values(expires_at=self._clock() + self._microseconds)
            )
            if kept.rowcount != 1:
                self._fence = None
                raise self._lost()
            yield connection

    def _lost(self) -> LeaseLostError:
        return LeaseLostError(f"the lease of {self.name} is not held any more", place=self.name)
