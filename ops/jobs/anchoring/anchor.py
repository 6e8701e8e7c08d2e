"""The job that gives checkpoints to outside clocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger.times import seconds
from ops.jobs.anchoring.health import Clock, shown_name
from ops.jobs.anchoring.learning import follow
from ops.jobs.anchoring.outside import Outside
from ops.jobs.anchoring.owed import is_new, lacks_roots, now_turns, owes, renews, told
from ops.jobs.anchoring.stamping import Submitted, submit
from ops.jobs.anchoring.things import checkpoint_thing, newest_checkpoint
from ops.jobs.leases import Lease
from ops.jobs.work import Owing, Work

ANCHOR_SECONDS: Final = 60.0


class Anchor:
    """The newest checkpoint to the clocks, where anything new stands below it."""

    name = "anchor"

    def __init__(self, outside: Outside, every_seconds: float = ANCHOR_SECONDS) -> None:
        self._outside = outside
        self.every_seconds = every_seconds

    def run(self, work: Work, lease: Lease) -> str:
        if not work.services.anchoring.clocks:
            return ""
        work.home.check_own()
        follow(work, lease)
        every, now = work.services.anchoring.every_seconds, work.clock()
        ready = [turn.clock for turn in now_turns(work) if not turn.waits(now, every)]
        return told(self.stamp(work, lease, ready))

    def stamp(self, work: Work, lease: Lease, clocks: Sequence[Clock]) -> list[Submitted]:
        """Have those of some services stamp the newest checkpoint that owe it; see `submit` for the errors."""
        clocks = self._owing(work, clocks, work.home.store.head().size)
        if not clocks:
            return []
        # Made only where one is owed; where witnesses have to sign, the published one may reach less far.
        thing = checkpoint_thing(work.home, newest_checkpoint(work.home))
        owing = self._owing(work, clocks, thing.tree_size)
        return submit(work, lease, self._outside, {clock: [thing] for clock in owing})

    def owing(self, work: Work) -> list[Owing]:
        found = []
        size, now = work.home.store.head().size, work.clock()
        for turn in now_turns(work):
            since = owes(work, turn.clock.url, size)
            what = "a checkpoint" if since else "a checkpoint under a new certificate"
            if since or renews(work, turn.clock):
                waiting = lacks_roots(work, turn.clock) or turn.waits(now, work.services.anchoring.every_seconds)
                if turn.is_used or turn.doubt:
                    when = f", since {seconds(since)}" if since else ""
                    found.append(Owing(f"{what} to {shown_name(turn.clock.url)}{when}", 1, waiting))
        return found

    def _owing(self, work: Work, clocks: Sequence[Clock], size: int) -> list[Clock]:
        return [
            clock
            for clock in clocks
            if is_new(work, clock.url, size)
            and (owes(work, clock.url, size) or renews(work, clock))
            and not lacks_roots(work, clock)
        ]
