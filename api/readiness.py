"""Does what is served keep up with the log?

That is looked for in the databases themselves, not in what the server believes of them. That something stands still
shows only over time, so `Health.follow` looks every second: whoever asks after a quiet hour is told the truth at the
first time of asking.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import select

from api.parts import Parts
from ledger.errors import NotFoundError, StoreError
from projections.writing import CURSORS

PATIENCE_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 1.0

_LOG: Final = logging.getLogger(__name__)


class CheckpointAge(msgspec.Struct, frozen=True, kw_only=True):
    """The published checkpoint: how many entries it covers, and how many seconds ago it was signed."""

    size: int
    age_seconds: float


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Submissions that wait for the writer: how many groups, and how many seconds the oldest has waited."""

    groups: int
    seconds: float


class AnchoringAge(msgspec.Struct, frozen=True, kw_only=True):
    """Up to how many entries outside clocks vouch for the log, and how many seconds ago the first beyond was received.

    Anchors themselves owe none; `unanchored_seconds` is null where nothing else is beyond.
    """

    anchored_size: int
    unanchored_seconds: float | None


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, and what to do about it."""

    reason: str
    detail: str
    cure: str


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """How a registry does: `size` entries in the log, projected up to `cursor`; null is what cannot be told.

    `lag` is what is between them. `waiting` is null on a mirror, which takes no submissions. `status` is `ready` where
    there are no `reasons` against it; `warnings` are for its operator and take nothing out of service.
    """

    status: str
    size: int | None
    cursor: int | None
    lag: int | None
    checkpoint: CheckpointAge | None
    waiting: Waiting | None
    anchoring: AnchoringAge
    reasons: list[Reason]
    warnings: list[Reason]


class Standstill:
    """For how long something has been short of its goal without moving.

    Only looks that find it short count: between two of them with nothing gained it was never there, however long
    nobody looked before.

    Args:
        clock: returns seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reached: int | None = None
        self._since = 0.0

    def seen(self, reached: int, goal: int) -> float:
        """Take a look; return how many seconds it has stood still by now, 0 where it moved or is there."""
        now = self._clock()
        if reached >= goal:
            self._reached = None
            return 0.0
        if reached != self._reached:
            self._reached, self._since = reached, now
        return now - self._since


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look found: `None` for a database that cannot be read; how long the cursor and the sight stand still."""

    size: int | None
    cursor: int | None
    faulty: tuple[str, ...]
    cursor_stands: float
    sight_stands: float


class Health:
    """Watches one registry.

    Args:
        patience: for how many seconds things may stand still, or submissions wait.
        clock: returns seconds that never go back.
    """

    def __init__(
        self, parts: Parts, *, patience: float = PATIENCE_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._parts = parts
        self._patience = patience
        self._lock = threading.Lock()
        self._cursor = Standstill(clock)
        self._sight = Standstill(clock)

    async def follow(self) -> None:
        """Look again and again; runs until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self._look)
            except Exception:
                _LOG.exception("readiness cannot be told")
            await asyncio.sleep(LOOK_SECONDS)

    def readiness(self) -> Readiness:
        """Look now and say how things are; for worker threads."""
        look = self._look()
        reasons = _reasons(look, self._patience, self._parts.present.sight.size)
        waiting = self._waiting()
        if waiting is not None and waiting.seconds >= self._patience:
            reasons.append(_submissions_wait(waiting))
        anchoring = self._anchoring()
        return Readiness(
            status="failing" if reasons else "ready",
            size=look.size,
            cursor=look.cursor,
            lag=None if look.size is None or look.cursor is None else max(0, look.size - look.cursor),
            checkpoint=self._checkpoint(),
            waiting=waiting,
            anchoring=anchoring,
            reasons=reasons,
            warnings=[
                *_warnings(anchoring, self._parts.settings.anchor_patience_seconds),
                *(_keys_behind(label, fault) for label, fault in self._parts.others.faults.items()),
            ],
        )

    def _look(self) -> _Look:
        # One look after the other: an older one that came later would make the newer look like a step back.
        with self._lock:
            size, found = self._size(), self._cursors()
            cursor = min((reached for _, reached, _ in found), default=0) if found is not None else None
            faulty = tuple(name for name, _, error in found or () if error)
            cursor_stands = sight_stands = 0.0
            if size is not None:
                sight_stands = self._sight.seen(self._parts.present.sight.size, size)
                if cursor is not None:
                    cursor_stands = self._cursor.seen(cursor, size)
            return _Look(size, cursor, faulty, cursor_stands, sight_stands)

    def _size(self) -> int | None:
        try:
            return self._parts.store.head().size
        except StoreError as error:
            _LOG.error("the log cannot be read: %s", error)
            return None

    def _cursors(self) -> list[tuple[str, int, str]] | None:
        """Return name, cursor and noted error of each active projection; None where they cannot be read."""
        statement = select(CURSORS.c.projection, CURSORS.c.cursor, CURSORS.c.error).where(CURSORS.c.active)
        try:
            with self._parts.projections.read() as connection:
                rows = connection.execute(statement.order_by(CURSORS.c.projection)).all()
        except StoreError as error:
            _LOG.error("the projections cannot be read: %s", error)
            return None
        return [(row.projection, row.cursor, row.error) for row in rows]

    def _checkpoint(self) -> CheckpointAge | None:
        try:
            published = self._parts.store.checkpoints.published()
        except (NotFoundError, StoreError):
            return None
        age = max(0, self._parts.clock() - published.signed_at) / 1_000_000
        return CheckpointAge(size=published.size, age_seconds=round(age, 3))

    def _anchoring(self) -> AnchoringAge:
        sight = self._parts.present.sight
        seconds = sight.unanchored_seconds(self._parts.clock())
        return AnchoringAge(anchored_size=sight.anchored_size, unanchored_seconds=seconds)

    def _waiting(self) -> Waiting | None:
        if self._parts.intake is None:
            return None
        groups, seconds = self._parts.intake.waiting()
        return Waiting(groups=groups, seconds=round(seconds, 3))


def _reasons(look: _Look, patience: float, sight: int) -> list[Reason]:
    found: list[Reason] = []

    def add(reason: str, detail: str, cure: str) -> None:
        found.append(Reason(reason=reason, detail=detail, cure=cure))

    if look.size is None:
        add(
            "log-unreadable",
            "the log's database cannot be read",
            "look for the reason in the server's own log, and check the disk that holds the data folder",
        )
    if look.cursor is None:
        add(
            "projections-unreadable",
            "the projections' database cannot be read",
            "stop the server, remove projections.db and start it again: they are built anew from the log",
        )
    if look.faulty:
        add(
            "projection-error",
            f"a paper cannot be projected: {', '.join(look.faulty)}",
            "look for the paper in the server's own log, then run `pith rebuild`",
        )
    if look.cursor_stands >= patience:
        add(
            "projections-stand-still",
            f"the projections stand at {look.cursor} of {look.size} entries for {look.cursor_stands:.0f} seconds",
            "look for the reason in the server's own log and restart it; if they still do not move, run `pith rebuild`",
        )
    if look.sight_stands >= patience:
        add(
            "sight-stands-still",
            f"the server knows of {sight} of {look.size} entries for {look.sight_stands:.0f} seconds",
            "restart the server",
        )
    return found


def _warnings(anchoring: AnchoringAge, patience: float | None) -> list[Reason]:
    seconds = anchoring.unanchored_seconds
    if patience is None or seconds is None or seconds < patience:
        return []
    return [
        Reason(
            reason="unanchored",
            detail=f"no outside clock vouches for what is past {anchoring.anchored_size} entries, the oldest of it"
            f" received {seconds:.0f} seconds ago",
            cure="see with `pith jobs` which timestamp service is waited for, and that `pith work` runs",
        )
    ]


def _keys_behind(label: str, fault: str) -> Reason:
    return Reason(
        reason="keys-behind",
        detail=f"the log {label!r} of this registry does not get its newest keys and policies: {fault}",
        cure="see `pith log list` and logs.toml; a key that was revoked may still count there",
    )


def _submissions_wait(waiting: Waiting) -> Reason:
    return Reason(
        reason="submissions-wait",
        detail=f"submissions wait to be appended, the oldest for {waiting.seconds:.0f} seconds",
        cure="see that no other process keeps the log locked and that the disk has room, then restart the server",
    )
