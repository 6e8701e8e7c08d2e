"""Which copies are to be looked at now, and what counts of them in the log; the others that are due are put off.

A copy whose claim waits for a moderator comes back only with a decision, so that any number of them costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from sqlalchemy import Row, select

from ledger.errors import LedgerError
from ledger.keyring import NOW
from ledger.registry import Registry
from ledger.signing import Signatory
from ops.jobs.asking import outcome_of
from ops.jobs.leases import Lease
from ops.jobs.resting import SECOND
from ops.jobs.tables import OUTBOX
from ops.jobs.work import Work
from ops.services import Storing
from ops.storage.rows import NEVER, change_copy, due_copies
from ops.storage.standing import Standing, Standings
from projections.queries import judged_as_of

PAGE: Final = 500
MAX_ROWS: Final = 10_000
"""How many copies are judged in one run."""

MAX_SAID: Final = 400


def ready_copies(
    work: Work, lease: Lease, storing: Storing, registry: Registry, signatory: Signatory, limit: int
) -> list[tuple[Row[Any], Standing]]:
    """Return up to so many copies to look at, with what the log says of them; each paper is judged once.

    Args:
        signatory: the checker's, whose own statements count as fresh.

    Raises:
        LeaseLostError, StoreError: nothing more can be put off.
    """
    now = work.clock()
    papers: dict[str, Standings | LedgerError] = {}
    ready: list[tuple[Row[Any], Standing]] = []
    judged = 0
    while len(ready) < limit and judged < MAX_ROWS and not work.stopped.is_set():
        # What is put off is not due any more, and what is ready stays where it is.
        rows = due_copies(work.database, now, PAGE, skip=len(ready))
        put_off: list[tuple[int, Mapping[str, Any]]] = []
        for row in rows:
            if row.subject not in papers:
                of_paper = partial(_standings, work, row.subject, registry, signatory)
                papers[row.subject] = outcome_of(of_paper, row.subject)
            found = _ready(work, storing, row, now, papers[row.subject])
            if not isinstance(found, Standing):
                put_off.append((row.id, found))
            elif len(ready) < limit:
                ready.append((row, found))
        judged += len(rows)
        if put_off:
            with lease.write() as connection:
                for id, facts in put_off:
                    change_copy(connection, id, **facts)
        if len(rows) < PAGE:
            break
    return ready


def _ready(
    work: Work, storing: Storing, row: Row[Any], now: int, paper: Standings | LedgerError
) -> Standing | Mapping[str, Any]:
    """Return what the log says of a copy if it is to be looked at now; else what to note of it, and until when."""
    again = now + storing.again_seconds * SECOND
    if isinstance(paper, LedgerError):
        return {"next_at": again, "said": paper.message[:MAX_SAID]}
    stands = paper.of(row.kind, row.url)
    if stands.waits:
        return {"next_at": NEVER if stands.is_decided_on else again, "said": stands.waits}
    if stands.content is None:
        return {"next_at": again, "said": "nobody has said what should be there"}
    fresh_until = stands.own_at + storing.recheck_seconds * SECOND
    if not row.looked_at and stands.outcome == "stored" and stands.own_at <= now < fresh_until:
        # The row was lost and not the statement.
        return {"next_at": fresh_until, "looked_at": stands.own_at, "said": ""}
    if row.event_id:
        with work.database.read() as connection:
            waiting = select(OUTBOX.c.refused).where(OUTBOX.c.event_id == row.event_id)
            refused: str | None = connection.execute(waiting).scalar()
        if refused is not None:
            return {"next_at": again, "said": f"what was found before waits for the log: {refused}"[:MAX_SAID]}
    return stands


def _standings(work: Work, subject: str, registry: Registry, signatory: Signatory) -> Standings:
    return Standings(judged_as_of(work.home.store, subject, NOW, registry), signatory.held.signer_id)
