"""What jobs have done and what is owed, as plain facts for `pith jobs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import func, select

from ledger.times import seconds
from ops.jobs.anchoring.health import Health, host_of
from ops.jobs.anchoring.owed import lacks_roots, now_turns
from ops.jobs.anchoring.rows import newest_confirmed
from ops.jobs.anchoring.tables import ANCHORS
from ops.jobs.outbox import waiting
from ops.jobs.resting import SECOND, rests
from ops.jobs.running import Run, runs
from ops.jobs.work import Job, Work
from ops.services import Authority

LATE_SECONDS: Final = 120
"""How long after a look was due it is said that nobody seems to look."""

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
    "an authority's root certificate has to be accepted first: see `pith policy`",
)


def facts(work: Work, jobs: Sequence[Job]) -> dict[str, Any]:
    """Return what each job did last and owes, how each service answers, and what waits for the log."""
    known, now = runs(work.database), work.clock()
    number, refused = waiting(work.database)
    return {
        "jobs": [_job(work, job, known.get(job.name)) for job in jobs],
        "services": _services(work),
        "outbox": {
            "waiting": number,
            "refused": [
                {"event_id": one.event.id_text, "event_type": one.event.event_type, "reason": one.reason}
                for one in refused
            ],
        },
        "is_working": any(
            now - run.started_at < (job.every_seconds + LATE_SECONDS) * SECOND
            for job in jobs
            if (run := known.get(job.name)) is not None
        ),
        "advice": advice(work),
    }


def advice(work: Work) -> list[str]:
    """Say what an operator has to do before anything is anchored."""
    if not work.services.anchoring.clocks:
        return [line.format(path=work.home.settings.services_path) for line in SETTING_UP]
    return sorted({why for clock in work.services.anchoring.clocks if (why := lacks_roots(work, clock))})


def _job(work: Work, job: Job, run: Run | None) -> dict[str, Any]:
    owed = [{"what": one.what, "number": one.number, "waiting": one.waiting} for one in job.owing(work)]
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
    next_at = seconds(run.next_at) if run is not None and run.next_at else None
    return {"name": job.name, "every_seconds": job.every_seconds, "last_run": last, "next_run": next_at, "owed": owed}


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
            "state": (turn.doubt and f"in doubt: {turn.doubt}") or ("failing" if turn.health.failures else "well"),
            **_asked(turn.health, now),
            "anchors": counts.get(turn.clock.url, {}),
            "anchored_size": row.tree_size if row is not None else 0,
        }
        if row is not None and isinstance(turn.clock, Authority):
            facts["certificate_ends"] = seconds(row.ends_at) if row.ends_at else None
        found.append(facts)
    return found


def _asked(health: Health, now: int) -> dict[str, Any]:
    return {
        "last_asked": seconds(health.tried_at) if health.tried_at else None,
        "not_before": seconds(health.try_at) if rests(health.try_at, now) else None,
        "failures": health.failures,
        "said": health.said,
        "oldest_promise": seconds(health.oldest_pending) if health.pending else None,
    }


def lines(told: dict[str, Any]) -> list[str]:
    """Write the facts as lines for people."""
    found = []
    for job in told["jobs"]:
        last = job["last_run"]
        if last is None:
            found.append(f"{job['name']:12} has never run")
        else:
            took = "" if last["seconds"] is None else f", took {last['seconds']:.1f} s"
            next_run = f", next {job['next_run']}" if job["next_run"] else ""
            found.append(f"{job['name']:12} {last['started_at']} {last['outcome']}{took}{next_run}")
            if last["said"]:
                found.append(f"{'':12} {last['said']}")
        for owed in job["owed"]:
            why = f": {owed['waiting']}" if owed["waiting"] else ""
            found.append(f"{'':12} owed: {owed['number']} {owed['what']}{why}")
    if told["services"]:
        found += ["", *(line for service in told["services"] for line in _service_lines(service))]
    outbox = told["outbox"]
    if outbox["waiting"]:
        found += ["", f"{outbox['waiting']} signed events wait for the log"]
        found += [f"  refused: {one['event_type']} {one['event_id']}: {one['reason']}" for one in outbox["refused"]]
    if not told["is_working"]:
        found += ["", "no worker seems to run: start one with `pith work`, or `pith serve --work`"]
    return found + (["", *told["advice"]] if told["advice"] else [])


def _service_lines(service: dict[str, Any]) -> list[str]:
    counts = ", ".join(f"{number} {state}" for state, number in sorted(service["anchors"].items())) or "no anchors yet"
    used = "" if service["is_used"] else ", in reserve"
    found = [f"{host_of(service['service'])}: {service['state']}{used}; {counts}"]
    if service["anchored_size"]:
        found.append(f"  vouches for the first {service['anchored_size']} entries")
    if service["said"]:
        found.append(f"  last answer: {service['said']}")
    if service["not_before"]:
        found.append(f"  asked again from {service['not_before']} on")
    if service.get("certificate_ends"):
        found.append(f"  its certificate ends {service['certificate_ends']}")
    return found
