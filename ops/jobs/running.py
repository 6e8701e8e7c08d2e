"""One run of one job, by whichever worker gets its lease: noted when it begins and ends, and never the worker's end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from ledger.database import Database
from ledger.errors import LeaseLostError, LedgerError
from ops.jobs.leases import Lease
from ops.jobs.outbox import deliver
from ops.jobs.resting import SECOND
from ops.jobs.tables import RUNS
from ops.jobs.work import Job, Watchful, Work

UNDER_WAY: Final = "under way"
DONE: Final = "done"
FAILED: Final = "failed"

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a run: `done`, `failed`, or nothing (None) where it was not ours to do; and in words what."""

    outcome: str | None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """The newest run of a job, as it was noted; times in microseconds, 0 where there is none."""

    started_at: int
    ended_at: int
    next_at: int
    outcome: str
    said: str
    failures: int
    holder: str


def run(job: Job, work: Work) -> Ran:
    """Run a job once if nobody else does; whatever goes wrong is noted and logged, and raised to nobody."""
    lease = work.lease(job.name)
    try:
        if (isinstance(job, Watchful) and not job.is_due(work)) or not lease.take():
            return Ran(None)
    except (LedgerError, OSError, SQLAlchemyError) as error:
        return _failed(job, error)
    try:
        before = _begin(work, lease, job)
        try:
            # What a worker left behind that was killed between its decision and the log goes first.
            deliver(work, lease)
            ran = Ran(DONE, job.run(work, lease))
            deliver(work, lease)
        except LeaseLostError:
            raise
        except (LedgerError, OSError, SQLAlchemyError) as error:
            ran = Ran(FAILED, _reason(error))
        except Exception as error:
            _LOG.exception("the job %s failed in a way that nobody foresaw", job.name)
            ran = Ran(FAILED, f"{type(error).__name__}: see the worker's log")
        _tell(job, ran, before)
        _end(work, lease, job, ran, before)
        lease.release()
    except LeaseLostError:
        return Ran(None, "another worker has taken over")
    except (LedgerError, OSError, SQLAlchemyError) as error:
        return _failed(job, error)
    return ran


def runs(database: Database) -> dict[str, Run]:
    """Return the newest run of each job by its name."""
    with database.read() as connection:
        return {
            row.name: Run(row.started_at, row.ended_at, row.next_at, row.outcome, row.said, row.failures, row.holder)
            for row in connection.execute(select(RUNS))
        }


def _begin(work: Work, lease: Lease, job: Job) -> Run | None:
    """Note that a run began; return the one before it."""
    with lease.write() as connection:
        row = connection.execute(select(RUNS).where(RUNS.c.name == job.name)).first()
        before = None
        if row is not None:
            before = Run(row.started_at, row.ended_at, row.next_at, row.outcome, row.said, row.failures, row.holder)
        facts = {"holder": work.holder, "started_at": work.clock(), "ended_at": 0, "next_at": 0, "outcome": UNDER_WAY}
        if before is None:
            connection.execute(insert(RUNS).values(name=job.name, said="", failures=0, **facts))
        else:
            _change(connection, job, facts)
    return before


def _end(work: Work, lease: Lease, job: Job, ran: Ran, before: Run | None) -> None:
    now = work.clock()
    # A run that had nothing to do says nothing of the one before, which did.
    said = ran.said or (before.said if before and before.outcome == DONE else "")
    failures = (before.failures if before else 0) + 1 if ran.outcome == FAILED else 0
    facts = {
        "ended_at": now,
        "next_at": now + int(job.every_seconds * SECOND),
        "outcome": ran.outcome,
        "said": said,
        "failures": failures,
    }
    with lease.write() as connection:
        _change(connection, job, facts)


def _change(connection: Connection, job: Job, facts: Mapping[str, object]) -> None:
    connection.execute(update(RUNS).where(RUNS.c.name == job.name).values(**facts))


def _tell(job: Job, ran: Ran, before: Run | None) -> None:
    """Log what was done, and a failure once until it is another."""
    if ran.outcome == DONE:
        if before is not None and before.failures:
            _LOG.info("%s: it works again", job.name)
        if ran.said:
            _LOG.info("%s: %s", job.name, ran.said)
    elif before is None or not before.failures or before.said != ran.said:
        _LOG.error("%s: %s", job.name, ran.said)


def _failed(job: Job, error: Exception) -> Ran:
    """Say that a run could not even be noted; only the log is left for that."""
    reason = _reason(error)
    _LOG.error("%s: %s", job.name, reason)
    return Ran(FAILED, reason)


def _reason(error: Exception) -> str:
    if isinstance(error, SQLAlchemyError):
        return f"the database refused: {str(getattr(error, 'orig', None) or type(error).__name__).splitlines()[0]}"
    return str(error) or type(error).__name__
