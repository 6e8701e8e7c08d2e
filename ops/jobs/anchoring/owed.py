"""What is owed to which clock, by the log and by what it was given already; asks nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row

from ops.jobs.anchoring.health import Clock, Turn, healths, shown_name, turns
from ops.jobs.anchoring.rows import newest_confirmed, newest_submitted, submitted_size
from ops.jobs.anchoring.stamping import Submitted, roots_of
from ops.jobs.anchoring.things import Thing
from ops.jobs.resting import SECOND
from ops.jobs.work import Work
from ops.services import Authority, Calendar

AT_ONCE: Final = 100
"""How many records, or promises, are looked after in one run."""

BY_HAND: Final = "`pith anchor` asks at once"
NO_CLOCKS: Final = "no timestamp service is configured"
NOT_CONFIGURED: Final = "its service is not configured any more"
NO_ROOTS: Final = (
    "policy accepts no root of a timestamp authority; accept its root: `pith policy --timestamp-root root.pem`"
)


def now_turns(work: Work) -> list[Turn]:
    """Return the turns of all services as they are now."""
    anchoring = work.services.anchoring
    unusable = {clock.url: why for clock in anchoring.clocks if (why := lacks_roots(work, clock))}
    policy_at = work.policy_at()
    with work.database.read() as connection:
        return turns(anchoring, healths(connection, policy_at), work.clock(), unusable)


def is_new(work: Work, service: str, size: int) -> bool:
    """Say whether a service was never given a checkpoint of a size, or a greater one."""
    with work.database.read() as connection:
        row = newest_submitted(connection, service)
    return row is None or size > row.tree_size


def owes(work: Work, service: str, size: int) -> int:
    """Return since when (microseconds) a service owes an anchor of the log below a size; 0 where it owes none.

    Anchors themselves owe none, so that an idle registry anchors nothing.
    """
    with work.database.read() as connection:
        submitted = submitted_size(connection, service)
    first = work.home.store.unanchored(submitted)
    return first.received_at if first is not None and first.position < size else 0


def renews(work: Work, clock: Calendar | Authority) -> int:
    """Return when the certificate ends (microseconds) for which an authority is to stamp anew; 0 where it is not to.

    It stamps anew once in the time before its certificate ends, and once more when that has ended.
    """
    if not isinstance(clock, Authority):
        return 0
    with work.database.read() as connection:
        row = newest_confirmed(connection, clock.url)
    if row is None or not row.ends_at:
        return 0
    soon = row.ends_at - work.services.anchoring.renew_seconds * SECOND
    now = work.clock()
    is_due = any(row.submitted_at < at <= now for at in (soon, row.ends_at))
    return int(row.ends_at) if is_due else 0


def lacks_roots(work: Work, clock: Clock | None) -> str:
    """Say why an authority's reply could not be accepted, whatever it is; empty where it could."""
    return NO_ROOTS if isinstance(clock, Authority) and not roots_of(work) else ""


def told(outcomes: Sequence[Submitted]) -> str:
    """Say in a few words what came of submissions."""
    return "; ".join(
        f"{shown_name(one.service)}: {_named(one.thing)} {one.state}" + (f", {one.said}" if one.said else "")
        for one in outcomes
    )


def _named(thing: Thing) -> str:
    return f"checkpoint of {thing.tree_size}" if thing.tree_size >= 0 else thing.subject


def by_service(rows: Sequence[Row[Any]]) -> dict[str, list[Row[Any]]]:
    found: dict[str, list[Row[Any]]] = {}
    for row in rows:
        found.setdefault(row.service, []).append(row)
    return found
