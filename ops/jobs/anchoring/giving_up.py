"""When a promise is given up: neither for one bad answer, nor because the worker was away.

A calendar that answers, and has no block for something after all that time, has not kept its promise. One that does not
answer is waited for longer, from when somebody was there to ask: it must have been asked in vain so many times, over
half of that time. What names a block is a promise kept, whatever headers say of it by now, and is never given up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, case, update

from ledger.errors import AnchorError
from ops.jobs.anchoring.tables import ANCHORS, PENDING
from ops.jobs.resting import SECOND
from ops.timestamps.proofs import heights

VAIN_LOOKS: Final = 20


@dataclass(frozen=True, slots=True)
class Vain:
    """How often in a row a promise was asked about in vain, and since when (microseconds, 0 where it was not)."""

    times: int = 0
    since: int = 0

    @classmethod
    def of(cls, row: Row[Any]) -> Vain:
        return cls(row.failures, row.failing_since)

    def once_more(self, now: int) -> Vain:
        return Vain(self.times + 1, self.since or now)

    @property
    def facts(self) -> dict[str, int]:
        return {"failures": self.times, "failing_since": self.since}


def is_over(row: Row[Any], proof: bytes, vain: Vain, now: int, give_up_seconds: int) -> bool:
    """Say whether a promise that was just asked about is given up.

    Args:
        proof: as it is now.
        vain: with this time, where it was in vain; none, where its calendar answered.
    """
    age, long = now - row.owed_at, give_up_seconds * SECOND
    if age <= long or names_block(proof):
        return False
    return not vain.times or (vain.times >= VAIN_LOOKS and now - vain.since >= long // 2)


def names_block(proof: bytes) -> bool:
    try:
        return bool(heights(proof))
    except AnchorError:
        return False


def note_silence(connection: Connection, service: str, now: int) -> None:
    """Note, of all that a calendar has promised, that it did not answer."""
    since = case((ANCHORS.c.failing_since > 0, ANCHORS.c.failing_since), else_=now)
    mine = ANCHORS.c.service == service, ANCHORS.c.state == PENDING
    facts = {"failures": ANCHORS.c.failures + 1, "failing_since": since}
    connection.execute(update(ANCHORS).where(*mine).values(**facts))
