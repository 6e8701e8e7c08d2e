"""What `pith jobs` tells, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ops.counting import counted
from ops.jobs.anchoring.health import shown_name
from ops.jobs.anchoring.owed import BY_HAND
from ops.jobs.resting import again_from


def lines(told: dict[str, Any]) -> list[str]:
    """Write the facts (`ops.jobs.telling.facts`) as lines for people."""
    found = [line for job in told["jobs"] for line in _job_lines(job)]
    if told["services"]:
        found += ["", *(line for service in told["services"] for line in _service_lines(service))]
    outbox = told["outbox"]
    if outbox["waiting"]:
        found += ["", f"{counted(outbox['waiting'], 'signed event waits', 'signed events wait')} for the log"]
        found += [f"  refused: {one['event_type']} {one['event_id']}: {one['reason']}" for one in outbox["refused"]]
    if not told["is_working"]:
        found += ["", "no worker seems to run: start one with `pith work`, or `pith serve --work`"]
    elif told["nobody_runs"]:
        found += ["", f"nobody runs {', '.join(told['nobody_runs'])}: `pith work` without --job runs every job"]
    # What stands above as the reason of something needs no second telling.
    advice = [line for line in told["advice"] if not line or not any(line in other for other in found)]
    return found + (["", *advice] if any(advice) else [])


def _job_lines(job: dict[str, Any]) -> Iterator[str]:
    last, looks = job["last_run"], f", looks every {job['every_seconds']:g} s" if job["is_attended"] else ""
    if last is None:
        yield f"{job['name']:12} nothing {'to do' if looks else 'done'} so far{looks}"
    else:
        took = "" if last["seconds"] is None else f", took {last['seconds']:.1f} s"
        next_run = f", next {job['next_run']}" if job["next_run"] else looks
        yield f"{job['name']:12} {last['started_at']} {last['outcome']}{took}{next_run}"
        if last["said"]:
            yield f"{'':12} {last['said']}"
    for owed in job["owed"]:
        kind = "given up" if owed["is_given_up"] else "owed"
        again = again_from(owed["try_at"]) if owed["try_at"] else ""
        why = "; ".join(part for part in (owed["waiting"], again) if part)
        yield f"{'':12} {kind}: {owed['what']}" + (f": {why}" if why else "")


def _service_lines(service: dict[str, Any]) -> Iterator[str]:
    counts = ", ".join(f"{number} {state}" for state, number in sorted(service["anchors"].items())) or "no anchors yet"
    used = "" if service["is_used"] else ", in reserve"
    yield f"{shown_name(service['service'])}: {service['state']}{used}; {counts}"
    if service["anchored_size"]:
        yield f"  vouches for the first {counted(service['anchored_size'], 'entry', 'entries')}"
    if service["said"] and service["said"] not in service["state"]:
        yield f"  last answer: {service['said']}"
    if service["not_before"]:
        yield f"  {again_from(service['not_before'])}; {BY_HAND}"
    if service.get("certificate_ends"):
        yield f"  its certificate ends {service['certificate_ends']}"
