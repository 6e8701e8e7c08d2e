"""The job that has single records stamped, as people ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row

from ledger.errors import AmbiguousError, NotFoundError
from ops.counting import counted
from ops.jobs.anchoring.health import Clock, shown_name
from ops.jobs.anchoring.learning import follow
from ops.jobs.anchoring.outside import Outside
from ops.jobs.anchoring.owed import AT_ONCE, NO_CLOCKS, NOT_CONFIGURED, by_service, lacks_roots, now_turns, told
from ops.jobs.anchoring.rows import change, find, in_state, owe, waits
from ops.jobs.anchoring.stamping import Submitted, submit
from ops.jobs.anchoring.tables import OWED
from ops.jobs.anchoring.things import Thing, method_of, record_thing
from ops.jobs.leases import Lease
from ops.jobs.requests import are_waiting, done, open_here, take_over
from ops.jobs.resting import DAY, rests
from ops.jobs.work import Owing, Work

STAMP_SECONDS: Final = 2.0


class Stamp:
    """Records that people want stamped, at once."""

    name = "stamp"

    def __init__(self, outside: Outside, every_seconds: float = STAMP_SECONDS) -> None:
        self._outside = outside
        self.every_seconds = every_seconds

    def is_due(self, work: Work) -> bool:
        if not work.services.anchoring.clocks:
            return False
        return are_waiting(work, "timestamp") or bool(self._due(work))

    def run(self, work: Work, lease: Lease) -> str:
        work.home.check_own()
        follow(work, lease)
        take_over(work, lease, "timestamp")
        for request in open_here(work.database, "timestamp"):
            self._accept(work, lease, request)
        wanted: dict[Clock, list[Thing]] = {}
        for clock, row in self._due(work):
            try:
                thing = record_thing(work.home, row.subject)
            except (NotFoundError, AmbiguousError) as error:
                # As after the log was restored from a backup; it may be imported again.
                facts = {"said": error.message, "tries": row.tries + 1, "try_at": work.clock() + DAY}
                with lease.write() as connection:
                    change(connection, row.service, row.sha256, facts, OWED)
            else:
                wanted.setdefault(clock, []).append(thing)
        return told(submit(work, lease, self._outside, wanted))

    def stamp(self, work: Work, lease: Lease, thing: Thing, clocks: Sequence[Clock]) -> list[Submitted]:
        """Have services stamp a record now, unless they were given it already; see `submit` for the errors."""
        wanted: dict[Clock, list[Thing]] = {}
        with lease.write() as connection:
            for clock in clocks:
                owe(connection, clock.url, method_of(clock), thing, work.clock())
                row = find(connection, clock.url, thing.sha256)
                if row is not None and row.state == OWED and not lacks_roots(work, clock):
                    wanted[clock] = [thing]
        return submit(work, lease, self._outside, wanted)

    def owing(self, work: Work) -> list[Owing]:
        found = []
        clocks = {clock.url: clock for clock in work.services.anchoring.clocks}
        if asked := len(open_here(work.database, "timestamp")):
            what = counted(asked, "record that people want stamped", "records that people want stamped")
            found.append(Owing(what, asked, "" if clocks else NO_CLOCKS))
        for service, rows in by_service(in_state(work.database, OWED)).items():
            clock = clocks.get(service)
            waiting = lacks_roots(work, clock) if clock else NOT_CONFIGURED
            what = f"{counted(len(rows), 'record')} to {shown_name(service)}"
            subject = rows[0].subject if len(rows) == 1 else ""
            found.append(Owing(what, len(rows), waiting or rows[0].said, subject=subject, try_at=rows[0].try_at))
        return found

    def _accept(self, work: Work, lease: Lease, request: Row[Any]) -> None:
        """Turn a request into a row for each service that is used; a paper that is not here is none's to stamp."""
        now = work.clock()
        try:
            thing = record_thing(work.home, request.suffix)
        except (NotFoundError, AmbiguousError) as error:
            with lease.write() as connection:
                done(connection, request.id, error.message, now)
            return
        clocks = [turn.clock for turn in now_turns(work) if turn.is_used]
        with lease.write() as connection:
            for clock in clocks:
                owe(connection, clock.url, method_of(clock), thing, now)
            done(connection, request.id, f"to {counted(len(clocks), 'timestamp service')}", now)

    def _due(self, work: Work) -> list[tuple[Clock, Row[Any]]]:
        """Return the owed rows whose time has come, with their services."""
        rows = in_state(work.database, OWED)
        if not rows:
            return []
        now, policy_at = work.clock(), work.policy_at()
        ready = {turn.clock.url: turn.clock for turn in now_turns(work) if not rests(turn.health.try_at, now)}
        due = [(ready[row.service], row) for row in rows if row.service in ready and not waits(row, now, policy_at)]
        return [(clock, row) for clock, row in due if not lacks_roots(work, clock)][:AT_ONCE]
