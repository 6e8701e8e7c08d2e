"""Anchoring because somebody says so: at all services, now, whatever their schedule and how they answered lately."""

from __future__ import annotations

from typing import Any

from ops.jobs.anchoring.anchor import Anchor
from ops.jobs.anchoring.health import Clock
from ops.jobs.anchoring.learning import follow
from ops.jobs.anchoring.outside import Outside
from ops.jobs.anchoring.owed import lacks_roots
from ops.jobs.anchoring.promises import AGAIN, Upgrade
from ops.jobs.anchoring.rows import find, in_state, newest_submitted, revive
from ops.jobs.anchoring.stamp import Stamp
from ops.jobs.anchoring.stamping import Submitted
from ops.jobs.anchoring.tables import FAILED, PENDING
from ops.jobs.anchoring.things import method_of, record_thing
from ops.jobs.leases import Lease
from ops.jobs.outbox import deliver
from ops.jobs.work import Work


def anchor_checkpoint(work: Work, lease: Lease, promises: Lease, *, again: bool) -> list[dict[str, Any]]:
    """Have all services stamp the newest checkpoint that owe it; return how each stands then.

    Args:
        lease: of the job `anchor`.
        promises: of the job `upgrade`, whose due and undue promises are asked about too.
        again: take up what was given up.

    Raises:
        UsageError, NotFoundError: nothing can be signed here, or no checkpoint is published.
    """
    clocks, outside = _begin(work, lease)
    if again:
        with lease.write() as connection:
            revive(connection, work.clock())
    came = {one.service: one for one in Anchor(outside).stamp(work, lease, clocks)}
    _look(work, promises, outside, None)
    with work.database.read() as connection:
        rows = {clock.url: newest_submitted(connection, clock.url) for clock in clocks}
    return [_facts(work, clock, rows[clock.url], came.get(clock.url)) for clock in clocks]


def anchor_record(work: Work, lease: Lease, promises: Lease, subject: str, *, again: bool) -> list[dict[str, Any]]:
    """Have all services stamp a paper's record that have not; return how each stands then.

    Args:
        lease: of the job `stamp`.
        promises, again: as for a checkpoint.
        subject: whatever names the paper.

    Raises:
        NotFoundError, AmbiguousError: it names no paper here, or several.
        UsageError: nothing can be signed here.
    """
    work.home.catch_up()
    clocks, outside = _begin(work, lease)
    thing = record_thing(work.home, subject)
    if again:
        with lease.write() as connection:
            revive(connection, work.clock(), thing.sha256)
    came = {one.service: one for one in Stamp(outside).stamp(work, lease, thing, clocks)}
    _look(work, promises, outside, thing.sha256)
    with work.database.read() as connection:
        rows = {clock.url: find(connection, clock.url, thing.sha256) for clock in clocks}
    return [_facts(work, clock, rows[clock.url], came.get(clock.url), thing.subject) for clock in clocks]


def _begin(work: Work, lease: Lease) -> tuple[list[Clock], Outside]:
    work.home.check_own()
    deliver(work, lease)
    follow(work, lease)
    return list(work.services.anchoring.clocks), Outside(work.services.anchoring, work.clock)


def _look(work: Work, lease: Lease, outside: Outside, sha256: str | None) -> None:
    """Ask what became of promises, due or not."""
    follow(work, lease)
    rows = [row for row in in_state(work.database, PENDING) if row.event_id and sha256 in (None, row.sha256)]
    Upgrade(outside).look(work, lease, rows)
    follow(work, lease)


def _facts(work: Work, clock: Clock, row: Any, came: Submitted | None, subject: str = "") -> dict[str, Any]:
    """Return how something stands at a service, by its row, if it has one, and what came of asking.

    Args:
        subject: the paper whose record it is; empty of a checkpoint.
    """
    facts: dict[str, Any] = {
        "service": clock.url,
        "method": method_of(clock),
        "subject": subject or None,
        "tree_size": None,
        "sha256": None,
        "state": "owed",
        "said": lacks_roots(work, clock) or (came.said if came else ""),
        "attested_time": None,
        "height": None,
    }
    if row is None:
        return facts if facts["said"] else {**facts, "state": "nothing owed"}
    said = came.said if came is not None and came.said else row.said
    if row.attested_time:
        said = row.attested_time + (f", block {row.height}" if row.height else "")
    elif row.state == FAILED:
        said = "; ".join(part for part in (said, AGAIN) if part)
    return {
        **facts,
        "subject": row.subject,
        "tree_size": row.tree_size if row.tree_size >= 0 else None,
        "sha256": row.sha256,
        "state": row.state,
        "said": said,
        "attested_time": row.attested_time or None,
        "height": row.height or None,
    }
