"""Which timestamp services are asked, and when: one that fails rests longer each time, one in doubt is asked last.

A service is in doubt after three failures in a row, when it refused, or while a promise of its own is stale. Others
are then used in its place, where there are any; it is still tried once a day, so that one that works again is known
again. What it refused, or answered and policy did not accept, is asked for again as soon as policy changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import Connection, func, insert, select, update

from ledger.errors import LedgerError
from ledger.signing import Randomness
from ledger.times import seconds
from ops.jobs.anchoring.tables import ANCHORS, CLOCKS, NOT_REFUSED, PENDING
from ops.jobs.resting import DAY, SECOND, is_refusal, rest_after, rests
from ops.services import Anchoring, Authority, Calendar

Clock = Calendar | Authority

DOUBT_FAILURES: Final = 3
MAX_SAID: Final = 400
_FRESH: Final = {"failures": 0, "try_at": 0, "said": "", "refused_under": NOT_REFUSED}


@dataclass(frozen=True, slots=True)
class Health:
    """How one service has been answering; times in microseconds, 0 where there is none.

    `failures` counts those in a row in which it was not reached; `refused_under` is the position of the policy under
    which it refused since.
    """

    failures: int = 0
    tried_at: int = 0
    try_at: int = 0
    stamped_at: int = 0
    said: str = ""
    oldest_pending: int = 0
    pending: int = 0
    refused_under: int = NOT_REFUSED

    @property
    def is_refused(self) -> bool:
        return self.refused_under != NOT_REFUSED

    def under(self, policy_at: int) -> Health:
        """Return the health under the policy at a position: a refusal under another one counts no more."""
        if self.refused_under in (NOT_REFUSED, policy_at):
            return self
        return replace(self, try_at=0, refused_under=NOT_REFUSED)

    def doubt(self, anchoring: Anchoring, now: int) -> str:
        """Say why the service is in doubt; empty where it is not."""
        if self.is_stale(anchoring, now):
            return f"it promised something on {seconds(self.oldest_pending)} and has not kept it"
        if self.is_refused:
            return f"it refused: {self.said}"
        if self.failures >= DOUBT_FAILURES:
            return f"it failed {self.failures} times in a row"
        return ""

    def is_stale(self, anchoring: Anchoring, now: int) -> bool:
        return bool(self.pending) and now - self.oldest_pending > anchoring.stale_seconds * SECOND


@dataclass(frozen=True, slots=True)
class Turn:
    """One service and its part in what is asked next.

    `is_used` says that it is one of as many as are to be asked, `doubt` why it is in doubt (empty where it is not), and
    `is_stale` that this is for a promise it has not kept.
    """

    clock: Clock
    health: Health
    is_used: bool
    doubt: str
    is_stale: bool

    def waits(self, now: int, every_seconds: int) -> str:
        """Say why the service is not given a checkpoint now; empty where it is."""
        health = self.health
        if rests(health.try_at, now):
            return f"not before {seconds(health.try_at)}: {health.said}"
        if not self.is_used and not self.doubt:
            return "enough other services are used"
        every = every_seconds * SECOND
        if self.is_stale:
            every = max(every, DAY)
        elif self.doubt and not self.is_used and 0 <= now - health.tried_at < DAY:
            return f"tried once a day: {self.doubt}"
        if health.stamped_at and 0 <= now - health.stamped_at < every:
            return f"asked every {every // SECOND} seconds, next at {seconds(health.stamped_at + every)}"
        return ""


def shown_name(url: str) -> str:
    """Return how a service is called in a line for people: its host, and its path where it has one."""
    parts = urlsplit(url)
    return (parts.netloc.rpartition("@")[2] + parts.path).rstrip("/") or url


def turns(anchoring: Anchoring, healths: Mapping[str, Health], now: int, unusable: Mapping[str, str]) -> list[Turn]:
    """Return all services in the order of their turn: as many as are used first, by their order and without doubt.

    Args:
        unusable: services that are of no use as things are, and why.
    """
    known = {clock.url: healths.get(clock.url, Health()) for clock in anchoring.clocks}
    doubts = {url: unusable.get(url) or health.doubt(anchoring, now) for url, health in known.items()}
    ordered = sorted(anchoring.clocks, key=lambda clock: bool(doubts[clock.url]))
    used = {clock.url for clock in ordered[: anchoring.use or len(ordered)]}
    return [
        Turn(clock, health, clock.url in used, doubts[clock.url], health.is_stale(anchoring, now))
        for clock in ordered
        for health in [known[clock.url]]
    ]


def healths(connection: Connection, policy_at: int) -> dict[str, Health]:
    """Return what is known of every service under the policy at a position, by its address."""
    pending = select(ANCHORS.c.service, func.min(ANCHORS.c.submitted_at), func.count())
    promised = {
        service: (oldest, number)
        for service, oldest, number in connection.execute(
            pending.where(ANCHORS.c.state == PENDING).group_by(ANCHORS.c.service)
        )
    }
    found: dict[str, Health] = {}
    for row in connection.execute(select(CLOCKS)):
        oldest, number = promised.pop(row.service, (0, 0))
        known = Health(row.failures, row.tried_at, row.try_at, row.stamped_at, row.said, oldest, number)
        found[row.service] = replace(known, refused_under=row.refused_under).under(policy_at)
    for service, (oldest, number) in promised.items():
        found[service] = Health(oldest_pending=oldest, pending=number)
    return found


def answered(connection: Connection, service: str, now: int) -> None:
    """Note that a service answered as it should."""
    _note(connection, service, {**_FRESH, "tried_at": now})


def stamped(connection: Connection, service: str, at: int) -> None:
    """Note that a service took a checkpoint, unless a later one is noted."""
    known = connection.execute(select(CLOCKS.c.stamped_at).where(CLOCKS.c.service == service)).scalar()
    _note(connection, service, {"stamped_at": max(known or 0, at)})


def failed(
    connection: Connection, service: str, error: LedgerError, now: int, random: Randomness, policy_at: int
) -> Health:
    """Note that a service failed; return its health now.

    One that cannot be reached rests a minute, then twice as long each time up to six hours, by chance up to half of
    that less. One that refuses would refuse the same again: it is in doubt at once, and rests a day or until policy
    changes.

    Args:
        policy_at: the position of the policy in force when it was asked.
    """
    known = connection.execute(select(CLOCKS.c.failures).where(CLOCKS.c.service == service)).scalar()
    failures, rest, refused_under = (known or 0) + 1, DAY, NOT_REFUSED
    if is_refusal(error):
        failures, refused_under = 0, policy_at
    else:
        rest = rest_after(failures, random)
    facts = {"failures": failures, "tried_at": now, "try_at": now + rest, "said": str(error)[:MAX_SAID]}
    _note(connection, service, {**facts, "refused_under": refused_under})
    return Health(failures, now, now + rest, 0, str(error)[:MAX_SAID], refused_under=refused_under)


def _note(connection: Connection, service: str, facts: Mapping[str, object]) -> None:
    changed = connection.execute(update(CLOCKS).where(CLOCKS.c.service == service).values(**facts))
    if not changed.rowcount:
        row = {**_FRESH, "tried_at": 0, "stamped_at": 0, **facts}
        connection.execute(insert(CLOCKS).values(service=service, **row))
