"""The job `check`: looks at every copy the log speaks of, in turn, and tells the log what it found.

The log is followed for locations; whether one is looked at, and what should be there, is what counts in the log at that
moment. A look is an event only where it says something new or the newest is too old; what could not be reached is kept
in its row alone.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import Row, func, select

from ledger.checkpoints import Checkpoint
from ledger.errors import LedgerError, NotFoundError, UsageError
from ledger.payloads import Location
from ledger.signing import Signatory
from ops.counting import counted
from ops.jobs.asking import Answered, Ask, asked, outcome_of
from ops.jobs.following import is_read, note_read, read_anew, read_to
from ops.jobs.leases import Lease
from ops.jobs.outbox import deliver, put
from ops.jobs.resting import SECOND
from ops.jobs.work import Owing, Work
from ops.services import Services
from ops.storage.checker import CHECKER, SOFTWARE, checker
from ops.storage.deciding import Suspicion, decide
from ops.storage.guard import Resolver, resolved
from ops.storage.hosts import InTurn
from ops.storage.looking import Look, Looking
from ops.storage.ready import ready_copies
from ops.storage.rows import (
    COPIES,
    NEVER,
    add_copy,
    change_copy,
    count_due_copies,
    due_copies,
    forget_copies,
    hasten_all_copies,
    hasten_copies,
)
from ops.storage.standing import Standing
from ops.storage.statements import finding

EVERY_SECONDS: Final = 10.0
PAGE: Final = 50_000
"""How many positions of the log are looked through at a time."""

AT_ONCE: Final = 50
"""How many copies are looked at in one run."""

LISTED: Final = 20
"""How many copies are named one by one for whoever looks at what is owed."""

MAX_SAID: Final = 400

_FOLLOWED: Final = ("storage_attestation", "moderation_decision", "withdrawal", "identity_evidence")
_CURSOR: Final = "copies"
T = TypeVar("T")


class Check:
    """Follows the log for copies and checks them; see `ops.jobs.work.Job`.

    Args:
        resolve: takes the place of the system's resolver.
    """

    name = "check"
    every_seconds = EVERY_SECONDS

    def __init__(self, services: Services, resolve: Resolver = resolved) -> None:
        self._services = services
        self._resolve = resolve
        self._looking: Looking | None = None

    def is_due(self, work: Work) -> bool:
        """Say whether a run would find anything to do; asks nobody and writes nothing."""
        if not is_read(work.database, work.home.store, _CURSOR):
            return True
        if not due_copies(work.database, work.clock(), 1):
            return False
        try:
            checker(work, work.home.store.registry())
        except UsageError:
            return False
        return True

    def run(self, work: Work, lease: Lease) -> str:
        """Learn what the log has gained, then look at what is due; raises as `ops.jobs.work.Job` says."""
        self._follow(work, lease)
        if not due_copies(work.database, work.clock(), 1):
            return ""
        registry = work.home.store.registry()
        try:
            signatory = checker(work, registry)
        except UsageError:
            return ""  # everything waits, and `owing` says for what
        looks: dict[str, list[tuple[Row[Any], Standing]]] = {}
        looking = self._asking(work)
        for row, stands in ready_copies(work, lease, self._services.storing, registry, signatory, AT_ONCE):
            looks.setdefault(looking.host(Location(row.kind, row.url)), []).append((row, stands))
        checkpoint = _newest(work)
        asks: dict[str, list[Ask[Look]]] = {}
        for host, some in looks.items():
            look = InTurn(partial(_look, looking, checkpoint), lambda look: look.is_silent)
            asks[host] = [partial(look, one) for one in some]
        told = {"stored": 0, "missing": 0, "changed": 0}
        for answer in asked(asks, work.stopped, lease.renew, work.lease_seconds / 3):
            row, stands = looks[answer.service][answer.index]
            outcome = self._alone(work, lease, row, partial(self._settled, work, lease, row, stands, answer, signatory))
            if outcome:
                told[outcome] += 1
        return ", ".join(f"{number} {outcome}" for outcome, number in told.items() if number)

    def owing(self, work: Work) -> list[Owing]:
        """Say how many copies are due, and why others wait."""
        now = work.clock()
        due = count_due_copies(work.database, now)
        why = ""
        try:
            checker(work, work.home.store.registry())
        except UsageError as error:
            why = str(error)
        found = [Owing(f"{counted(due, 'copy', 'copies')} to look at", due, why)] if due else []
        mine = COPIES.c.said != ""
        statement = select(COPIES).where(mine).order_by(COPIES.c.next_at, COPIES.c.id)
        with work.database.read() as connection:
            more = connection.execute(select(func.count()).select_from(COPIES).where(mine)).scalar_one() - LISTED
            for row in connection.execute(statement.limit(LISTED)):
                what = f"another look at the copy of {row.subject} at {row.url}"
                try_at = row.next_at if row.next_at != NEVER else 0
                found.append(Owing(what, 1, row.said, url=row.url, subject=row.subject, try_at=try_at))
        return (
            [*found, Owing(f"another look at {counted(more, 'copy', 'copies')} more", more, "")] if more > 0 else found
        )

    def _asking(self, work: Work) -> Looking:
        if self._looking is None:
            self._looking = Looking(self._services, work.clock, self._resolve)
        return self._looking

    def _follow(self, work: Work, lease: Lease) -> None:
        """Learn of copies from what the log has gained."""
        store = work.home.store
        size = store.head().size
        with work.database.read() as connection:
            start = read_to(connection, store, _CURSOR)
        if start is None:
            # Restored from a backup: copies it does not speak of any more are none, and what was found may be gone.
            start = 0
            with lease.write() as connection:
                forget_copies(connection)
                read_anew(connection, _CURSOR)
        while start < size and not work.stopped.is_set():
            stop = min(start + PAGE, size)
            entries = store.of_types(_FOLLOWED, start, stop)
            now = work.clock()
            with lease.write() as connection:
                for entry in entries:
                    if entry.event.event_type == "storage_attestation":
                        location = entry.event.payload.location
                        add_copy(connection, entry.event.subject, location.kind, location.url, now)
                    elif entry.event.event_type == "identity_evidence":
                        hasten_all_copies(connection, now)
                    else:
                        hasten_copies(connection, entry.event.subject, now)
                note_read(connection, store, _CURSOR, stop)
            start = stop

    def _alone(self, work: Work, lease: Lease, row: Row[Any], act: Ask[T]) -> T | None:
        """Do something for one copy; what goes wrong with it puts it off, and keeps no other copy waiting.

        Raises:
            StoreError, UsageError: it is not this copy's doing.
        """
        result = outcome_of(act, row.url)
        if isinstance(result, UsageError):
            raise result
        if isinstance(result, LedgerError):
            again = work.clock() + self._services.storing.again_seconds * SECOND
            self._put_off(lease, row, again, result.message[:MAX_SAID])
            return None
        return result

    def _put_off(self, lease: Lease, row: Row[Any], until: int, why: str) -> None:
        with lease.write() as connection:
            change_copy(connection, row.id, next_at=until, said=why)

    def _settled(
        self,
        work: Work,
        lease: Lease,
        row: Row[Any],
        stands: Standing,
        answer: Answered[Look],
        signatory: Signatory,
    ) -> str:
        """Keep what came of a look; raises what went wrong with it."""
        if isinstance(answer.result, LedgerError):
            raise answer.result
        return self._looked(work, lease, row, stands, answer.result, signatory)

    def _looked(
        self, work: Work, lease: Lease, row: Row[Any], stands: Standing, look: Look, signatory: Signatory
    ) -> str:
        """Keep what a look found and tell the log what follows; return that."""
        chance = int.from_bytes(work.random(4), "big") / (1 << 32)
        before = Suspicion(row.suspect, row.suspect_at)
        decided = decide(look, stands, before, row.tries, self._services.storing, chance)
        facts = {
            "tries": decided.tries,
            "looked_at": look.ended_at,
            "next_at": decided.next_at,
            "said": decided.said[:MAX_SAID],
            "suspect": decided.suspicion.what,
            "suspect_at": decided.suspicion.at,
            "evidence": look.evidence,
        }
        event = None
        if decided.outcome:
            stated = finding(Location(row.kind, row.url), look, decided.outcome, SOFTWARE)
            event, _ = signatory.sign("storage_attestation", row.subject, stated)
            facts["event_id"] = event.event_id
        with lease.write() as connection:
            change_copy(connection, row.id, **facts)
            if event is not None:
                put(connection, event, key_name=CHECKER, now=work.clock())
        if event is not None:
            deliver(work, lease)
        return decided.outcome


def _look(looking: Looking, checkpoint: Checkpoint | None, one: tuple[Row[Any], Standing]) -> Look:
    row, stands = one
    assert stands.content is not None
    return looking.look(Location(row.kind, row.url), stands.content, checkpoint, stands.read)


def _newest(work: Work) -> Checkpoint | None:
    """Return the newest published checkpoint of this log; None where there is none."""
    store = work.home.store
    try:
        published = store.checkpoints.published()
    except NotFoundError:
        return None
    return Checkpoint(store.registry_name, published.size, published.root)
