"""The job that looks after what calendars promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row

from ledger.times import seconds
from ops.counting import counted
from ops.jobs.anchoring.health import healths, shown_name
from ops.jobs.anchoring.learning import follow
from ops.jobs.anchoring.outside import Outside
from ops.jobs.anchoring.owed import AT_ONCE, BY_HAND, NOT_CONFIGURED, by_service
from ops.jobs.anchoring.rows import in_state, waits
from ops.jobs.anchoring.tables import FAILED, PENDING
from ops.jobs.anchoring.upgrading import NOT_YET, upgrade
from ops.jobs.leases import Lease
from ops.jobs.resting import SECOND, rests
from ops.jobs.work import Owing, Work

UPGRADE_SECONDS: Final = 60.0
AGAIN: Final = "`pith anchor --again` takes up what was given up"


class Upgrade:
    """Promises of calendars, until a block bears them out or they are given up."""

    name = "upgrade"

    def __init__(self, outside: Outside, every_seconds: float = UPGRADE_SECONDS) -> None:
        self._outside = outside
        self.every_seconds = every_seconds

    def run(self, work: Work, lease: Lease) -> str:
        if not work.services.anchoring.clocks:
            return ""
        follow(work, lease)
        now, policy_at = work.clock(), work.policy_at()
        due = [row for row in in_state(work.database, PENDING) if row.event_id and not waits(row, now, policy_at)]
        return self.look(work, lease, due[:AT_ONCE])

    def look(self, work: Work, lease: Lease, rows: Sequence[Row[Any]]) -> str:
        """Look after pending rows now; see `upgrade` for the errors."""
        return "; ".join(upgrade(work, lease, self._outside, rows, self._resting(work, rows)))

    def owing(self, work: Work) -> list[Owing]:
        found = []
        policy_at = work.policy_at()
        stale = work.clock() - work.services.anchoring.stale_seconds * SECOND
        clocks = {clock.url for clock in work.services.anchoring.clocks}
        for service, rows in by_service(in_state(work.database, PENDING)).items():
            oldest = min(rows, key=lambda row: row.submitted_at)
            age = f"stale: promised on {seconds(oldest.submitted_at)}" if oldest.submitted_at < stale else ""
            reason = oldest.said if service in clocks else NOT_CONFIGURED
            asking = BY_HAND if oldest.refused_under == policy_at else ""
            waiting = "; ".join(part for part in (age, reason or NOT_YET, asking) if part)
            what = f"{counted(len(rows), 'promise')} of {shown_name(service)}"
            found.append(Owing(what, len(rows), waiting))
        for service, rows in by_service(in_state(work.database, FAILED)).items():
            what = f"{counted(len(rows), 'promise')} of {shown_name(service)}"
            found.append(Owing(what, len(rows), AGAIN, is_given_up=True))
        return found

    def _resting(self, work: Work, rows: Sequence[Row[Any]]) -> Mapping[str, str]:
        """Return the services that are not to be asked now, and why."""
        clocks = {clock.url for clock in work.services.anchoring.calendars}
        with work.database.read() as connection:
            known = healths(connection, work.policy_at())
        found = {row.service: NOT_CONFIGURED for row in rows if row.service not in clocks}
        now = work.clock()
        return found | {url: health.said for url, health in known.items() if rests(health.try_at, now)}
