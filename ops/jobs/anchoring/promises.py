"""The job that looks after what calendars promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row

from ledger.times import seconds
from ops.jobs.anchoring.health import healths, host_of
from ops.jobs.anchoring.outside import Outside
from ops.jobs.anchoring.owed import AT_ONCE, NOT_CONFIGURED, by_service
from ops.jobs.anchoring.rows import follow, in_state
from ops.jobs.anchoring.tables import PENDING
from ops.jobs.anchoring.upgrading import NOT_YET, upgrade
from ops.jobs.leases import Lease
from ops.jobs.resting import SECOND, rests
from ops.jobs.work import Owing, Work

UPGRADE_SECONDS: Final = 60.0


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
        now = work.clock()
        due = [row for row in in_state(work.database, PENDING) if row.event_id and not rests(row.try_at, now)]
        return self.look(work, lease, due[:AT_ONCE])

    def look(self, work: Work, lease: Lease, rows: Sequence[Row[Any]]) -> str:
        """Look after pending rows now; see `upgrade` for the errors."""
        return "; ".join(upgrade(work, lease, self._outside, rows, self._resting(work, rows)))

    def owing(self, work: Work) -> list[Owing]:
        found = []
        stale = work.clock() - work.services.anchoring.stale_seconds * SECOND
        clocks = {clock.url for clock in work.services.anchoring.clocks}
        for service, rows in by_service(in_state(work.database, PENDING)).items():
            oldest = min(rows, key=lambda row: row.submitted_at)
            age = f"stale: promised on {seconds(oldest.submitted_at)}" if oldest.submitted_at < stale else ""
            reason = oldest.said if service in clocks else NOT_CONFIGURED
            waiting = "; ".join(part for part in (age, reason or NOT_YET) if part)
            found.append(Owing(f"promises of {host_of(service)}", len(rows), waiting))
        return found

    def _resting(self, work: Work, rows: Sequence[Row[Any]]) -> Mapping[str, str]:
        """Return the services that are not to be asked now, and why."""
        clocks = {clock.url for clock in work.services.anchoring.calendars}
        with work.database.read() as connection:
            known = healths(connection)
        found = {row.service: NOT_CONFIGURED for row in rows if row.service not in clocks}
        now = work.clock()
        return found | {url: health.said for url, health in known.items() if rests(health.try_at, now)}
