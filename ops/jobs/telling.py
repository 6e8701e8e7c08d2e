"""What jobs have done and what is owed, as plain facts for `pith jobs`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import func, select

from ledger.times import seconds
from ops.jobs.anchoring.health import Health, Turn
from ops.jobs.anchoring.owed import lacks_roots, now_turns
from ops.jobs.anchoring.rows import newest_confirmed
from ops.jobs.anchoring.tables import ANCHORS
from ops.jobs.attending import attending
from ops.jobs.outbox import waiting
from ops.jobs.resting import SECOND, rests
from ops.jobs.running import Run, runs
from ops.jobs.work import Job, Owing, Work
from ops.services import Authority

SETTING_UP: Final = (
    "no outside clock is configured: nothing proves to others when this log existed",
    "name timestamp services in {path}:",
    "",
    "  [[anchoring.calendars]]",
    '  url = "https://alice.btc.calendar.opentimestamps.org"',
    "",
    "  [[anchoring.headers]]",
    '  kind = "esplora"',
    '  address = "https://blockstream.info/api"',
    "",
    "  [[anchoring.authorities]]",
    '  url = "https://freetsa.org/tsr"',
    "",
    "an authority counts once policy accepts its root: `pith policy --timestamp-root root.pem`",
)


def facts(work: Work, jobs: Sequence[Job]) -> dict[str, Any]:
    """Return what each job did last and owes, how each service answers, what waits for the log, and who works."""
    known, workers = runs(work.database), attending(work.database, work.clock())
    attended = {name for worker in workers for name in worker.jobs}
    number, refused = waiting(work.database)
    return {
        "jobs": [_job(work, job, known.get(job.name), attended) for job in jobs],
        "services": _services(work),
        "outbox": {
            "waiting": number,
            "refused": [
                {"event_id": one.event.id_text, "event_type": one.event.event_type, "reason": one.reason}
                for one in refused
            ],
        },
        "is_working": bool(workers),
        "workers": [
            {
                "worker": worker.holder,
                "since": seconds(worker.since),
                "seen_at": seconds(worker.seen_at),
                "jobs": list(worker.jobs),
            }
            for worker in workers
        ],
        "nobody_runs": [job.name for job in jobs if job.name not in attended],
        "advice": advice(work),
    }


def advice(work: Work) -> list[str]:
    """Say what an operator has to do before anything is anchored."""
    if not work.services.anchoring.clocks:
        return [line.format(path=work.home.settings.services_path) for line in SETTING_UP]
    return sorted({why for clock in work.services.anchoring.clocks if (why := lacks_roots(work, clock))})


def _job(work: Work, job: Job, run: Run | None, attended: Collection[str]) -> dict[str, Any]:
    last = None
    if run is not None:
        last = {
            "started_at": seconds(run.started_at),
            "outcome": run.outcome,
            "seconds": (run.ended_at - run.started_at) / SECOND if run.ended_at >= run.started_at else None,
            "said": run.said,
            "failures": run.failures,
            "worker": run.holder,
        }
    is_attended = job.name in attended
    # A look that finds nothing leaves nothing behind: a time in the past says only that there was one since.
    has_next = is_attended and run is not None and run.next_at > work.clock()
    return {
        "name": job.name,
        "every_seconds": job.every_seconds,
        "is_attended": is_attended,
        "last_run": last,
        "next_run": seconds(run.next_at) if run is not None and has_next else None,
        "owed": [_owed(work, one) for one in job.owing(work)],
    }


def _owed(work: Work, owing: Owing) -> dict[str, Any]:
    return {
        "what": owing.what,
        "number": owing.number,
        "waiting": owing.waiting,
        "url": owing.url or None,
        "subject": owing.subject or None,
        "try_at": seconds(owing.try_at) if owing.try_at > work.clock() else None,
        "is_given_up": owing.is_given_up,
    }


def _services(work: Work) -> list[dict[str, Any]]:
    anchoring, now = work.services.anchoring, work.clock()
    with work.database.read() as connection:
        counted = select(ANCHORS.c.service, ANCHORS.c.state, func.count()).group_by(ANCHORS.c.service, ANCHORS.c.state)
        counts: dict[str, dict[str, int]] = {}
        for service, state, number in connection.execute(counted):
            counts.setdefault(service, {})[state] = number
        newest = {clock.url: newest_confirmed(connection, clock.url) for clock in anchoring.clocks}
    found = []
    for turn in now_turns(work):
        row = newest[turn.clock.url]
        facts = {
            "service": turn.clock.url,
            "method": "rfc3161" if isinstance(turn.clock, Authority) else "opentimestamps",
            "is_used": turn.is_used,
            "state": _state(work, turn),
            **_asked(turn.health, now),
            "anchors": counts.get(turn.clock.url, {}),
            "anchored_size": row.tree_size if row is not None else 0,
        }
        if row is not None and isinstance(turn.clock, Authority):
            facts["certificate_ends"] = seconds(row.ends_at) if row.ends_at else None
        found.append(facts)
    return found


def _state(work: Work, turn: Turn) -> str:
    """Say in words how a service stands."""
    health = turn.health
    if why := lacks_roots(work, turn.clock):
        return f"of no use yet: {why}"
    if turn.doubt:
        return f"in doubt: {turn.doubt}"
    if health.failures:
        return "failing"
    if health.said:
        return "asked again at the next look, since policy has changed"
    return "well" if health.tried_at or health.stamped_at else "not asked yet"


def _asked(health: Health, now: int) -> dict[str, Any]:
    return {
        "last_asked": seconds(health.tried_at) if health.tried_at else None,
        "not_before": seconds(health.try_at) if rests(health.try_at, now) else None,
        "failures": health.failures,
        "is_refused": health.is_refused,
        "said": health.said,
        "oldest_promise": seconds(health.oldest_pending) if health.pending else None,
    }
