"""What becomes of a preservation: it is tried again, given up, or claimed in the log and then done.

A claim is signed and put into the outbox in one transaction with its row, and the row is done only once the log has
it: until then the request stays where people put it, and nothing is lost with the jobs' own tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Row, select, update

from ledger.errors import LedgerError
from ledger.events import parse_stored
from ledger.keyring import NOW
from ledger.payloads import Location
from ops.jobs.leases import Lease
from ops.jobs.outbox import deliver, put
from ops.jobs.resting import DAY, SECOND, rest_after
from ops.jobs.tables import OUTBOX
from ops.jobs.work import Work
from ops.services import Storing
from ops.storage.resting_places import failing, note_answer, rest_place
from ops.storage.rows import (
    CLAIMED,
    FAILED,
    OWED,
    PRESERVATIONS,
    SAVING,
    TELLING,
    change_preservation,
    due_preservations,
)
from ops.storage.statements import claim, claimed, claims
from projections.queries import judged_as_of

POLL: Final = 5 * SECOND
FIRST_REST: Final = 60 * SECOND
SECOND_LOOK: Final = 3_600 * SECOND
"""How long after the first look an original that is gone is looked for once more."""

TELL_AGAIN: Final = 60 * SECOND
GIVE_UP: Final = 14 * DAY
MAX_SAID: Final = 400
SETTLED_AT_ONCE: Final = 500


class Progress:
    """Notes what becomes of preservations in one run, under its lease."""

    def __init__(self, work: Work, lease: Lease, storing: Storing) -> None:
        self.work = work
        self.lease = lease
        self._longest = storing.again_seconds * SECOND
        self._failing = failing(work.database)

    # --- not now, or never -------------------------------------------------------------------

    def again(self, row: Row[Any], why: str, *, is_final: bool = False, until: int = 0) -> None:
        """Try a row again later, from asking on; give it up where that cannot help, or was long enough.

        Args:
            until: when it is tried again, through no fault of its own; 0 where it rests longer each time.
        """
        now = self.work.clock()
        facts: dict[str, Any] = {"job": "", "said": why[:MAX_SAID]}
        if is_final or now - row.asked_at > GIVE_UP:
            facts["state"] = FAILED
        elif until:
            facts.update(state=OWED, next_at=until)
        else:
            rest = rest_after(row.tries + 1, self.work.random, FIRST_REST, self._longest)
            facts.update(state=OWED, tries=row.tries + 1, next_at=now + rest)
        self._change(row, **facts)

    def gone(self, row: Row[Any], why: str) -> None:
        """Look once more for an original that its own server calls gone; give it up after that."""
        now = self.work.clock()
        first = row.gone_at if 0 < row.gone_at <= now else now
        self._change(row, gone_at=first)
        self.again(row, why, is_final=now - first >= SECOND_LOOK, until=first + SECOND_LOOK)

    def rest(self, place: str, why: str, wished: int = 0) -> None:
        """Let a place rest that did not answer; what waits for it too long already is given up.

        Args:
            wished: for how many seconds it asks to be left alone.
        """
        now, said = self.work.clock(), why[:MAX_SAID]
        with self.lease.write() as connection:
            rest_place(connection, place, now, self.work.random, said, wished, self._longest)
            too_old = PRESERVATIONS.c.place == place, PRESERVATIONS.c.asked_at < now - GIVE_UP
            open_rows = update(PRESERVATIONS).where(*too_old, PRESERVATIONS.c.state.in_((OWED, SAVING)))
            connection.execute(open_rows.values(state=FAILED, job="", said=said))
        self._failing.add(place)

    def saving(self, row: Row[Any], job: str, begun_at: int) -> None:
        """Note that an archive is at it, as a job of its own."""
        next_at = self.work.clock() + POLL
        self._change(row, state=SAVING, job=job, begun_at=begun_at, next_at=next_at, said="")

    def answered(self, place: str) -> None:
        """Note that a place answers."""
        if place in self._failing:
            with self.lease.write() as connection:
                note_answer(connection, place)
            self._failing.discard(place)

    # --- into the log ------------------------------------------------------------------------

    def claim(self, row: Row[Any], location: Location, captured_at: str, content: Mapping[str, Any]) -> int:
        """Tell the log where a copy is said to be now, unless that was told; return 1 if it was not.

        Args:
            captured_at: when the copy came to be there.
            content: of the original, as it was fetched here.
        """
        work = self.work
        judged = judged_as_of(work.home.store, row.subject, NOW, work.home.store.registry())
        if location in claimed(judged):
            self._change(row, state=CLAIMED, said="", job="")
            return 0
        event = None
        if (row.subject, location) not in self._on_their_way():
            try:
                stated = claim(location, captured_at, content)
                event, _ = work.signatory().sign("storage_attestation", row.subject, stated)
            except LedgerError as error:
                self.again(row, str(error), is_final=True)
                return 0
        now = work.clock()
        facts = {"state": TELLING, "location": f"{location.kind} {location.url}", "next_at": now, "said": "", "job": ""}
        with self.lease.write() as connection:
            change_preservation(connection, row.id, **facts)
            if event is not None:
                put(connection, event, now=now)
        return int(event is not None)

    def settle(self) -> None:
        """Deliver what was signed, and have done with what the log has; what got lost on the way is owed again."""
        work = self.work
        deliver(work, self.lease)
        rows = due_preservations(work.database, work.clock(), SETTLED_AT_ONCE, states=(TELLING,))
        if not rows:
            return
        waiting = self._on_their_way()
        for row in rows:
            kind, _, url = row.location.partition(" ")
            location, now = Location(kind, url), work.clock()
            if any(told.location == location for told in claims(work.home.store, row.subject)):
                self._change(row, state=CLAIMED, said="")
            elif (row.subject, location) in waiting:
                self._change(row, said="its claim waits for the log", next_at=now + TELL_AGAIN)
            else:
                self._change(row, state=OWED, said="", next_at=now)

    def _on_their_way(self) -> set[tuple[str, Location]]:
        """Return the claims that are signed and not in the log yet: of which paper, and where its copy is."""
        with self.work.database.read() as connection:
            events = [parse_stored(raw) for raw in connection.execute(select(OUTBOX.c.event)).scalars()]
        told = [event for event in events if event.event_type == "storage_attestation"]
        return {(event.subject, event.payload.location) for event in told if event.payload.grade == "claimed"}

    def _change(self, row: Row[Any], **facts: Any) -> None:
        with self.lease.write() as connection:
            change_preservation(connection, row.id, **facts)
