"""The job `check`: looks at every copy the log speaks of, in turn, and tells the log what it found.

The log is followed for locations; whether one is looked at, and what should be there, is what counts in the log at that
moment. A look is an event only where it says something new or the newest is too old; what could not be reached is kept
in its row alone.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from sqlalchemy import Row, func, select

from ledger.checkpoints import Checkpoint
from ledger.errors import NotFoundError, UsageError
from ledger.keyring import NOW
from ledger.payloads import Location
from ledger.registry import Registry
from ledger.signing import Signatory
from ops.jobs.asking import Ask, asked
from ops.jobs.leases import Lease
from ops.jobs.outbox import deliver, put
from ops.jobs.tables import OUTBOX, advance, cursor
from ops.jobs.work import Owing, Work
from ops.services import Services
from ops.storage.checker import CHECKER, SOFTWARE, checker
from ops.storage.deciding import SECOND, Suspicion, decide
from ops.storage.guard import Resolver, resolved
from ops.storage.hosts import InTurn
from ops.storage.looking import Look, Looking
from ops.storage.rows import COPIES, add_copy, change_copy, count_due_copies, due_copies, hasten_copies
from ops.storage.standing import Standing, standing
from ops.storage.statements import finding
from projections.queries import judged_as_of

EVERY_SECONDS: Final = 10.0
PAGE: Final = 50_000
"""How many positions of the log are looked through at a time."""

AT_ONCE: Final = 50
"""How many copies are looked at in one run."""

MAX_SAID: Final = 400

_FOLLOWED: Final = ("storage_attestation", "moderation_decision", "withdrawal")
_CURSOR: Final = "copies"


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
        with work.database.read() as connection:
            if cursor(connection, _CURSOR) < work.home.store.head().size:
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
        rows = due_copies(work.database, work.clock(), AT_ONCE)
        if not rows:
            return ""
        registry = work.home.store.registry()
        try:
            signatory = checker(work, registry)
        except UsageError:
            return ""  # everything waits, and `owing` says for what
        looks: dict[str, list[tuple[Row[Any], Standing]]] = {}
        looking = self._asking(work)
        for row in rows:
            stands = self._ready(work, lease, row, registry, signatory)
            if stands is not None:
                looks.setdefault(looking.host(Location(row.kind, row.url)), []).append((row, stands))
        checkpoint = _newest(work)
        asks: dict[str, list[Ask[Look]]] = {}
        for host, some in looks.items():
            look = InTurn(partial(_look, looking, checkpoint), lambda look: look.is_silent)
            asks[host] = [partial(look, one) for one in some]
        told = {"stored": 0, "missing": 0, "changed": 0}
        for answer in asked(asks, work.stopped, lease.renew, work.lease_seconds / 3):
            row, stands = looks[answer.service][answer.index]
            if isinstance(answer.result, Look):
                outcome = self._looked(work, lease, row, stands, answer.result, signatory)
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
        found = [Owing("copies to look at", due, why)] if due else []
        statement = select(COPIES.c.said, func.count()).where(COPIES.c.said != "").group_by(COPIES.c.said)
        with work.database.read() as connection:
            rows = connection.execute(statement.order_by(func.count().desc()).limit(20)).all()
        return found + [Owing("copies that are looked at again", number, said) for said, number in rows]

    def _asking(self, work: Work) -> Looking:
        if self._looking is None:
            self._looking = Looking(self._services, work.clock, self._resolve)
        return self._looking

    def _follow(self, work: Work, lease: Lease) -> None:
        """Learn of copies from what the log has gained."""
        store = work.home.store
        size = store.head().size
        with work.database.read() as connection:
            start = cursor(connection, _CURSOR)
        while start < size and not work.stopped.is_set():
            stop = min(start + PAGE, size)
            entries = store.of_types(_FOLLOWED, start, stop)
            now = work.clock()
            with lease.write() as connection:
                for entry in entries:
                    if entry.event.event_type == "storage_attestation":
                        location = entry.event.payload.location
                        add_copy(connection, entry.event.subject, location.kind, location.url, now)
                    else:
                        hasten_copies(connection, entry.event.subject, now)
                advance(connection, _CURSOR, stop)
            start = stop

    def _ready(
        self, work: Work, lease: Lease, row: Row[Any], registry: Registry, signatory: Signatory
    ) -> Standing | None:
        """Return what the log says of a copy if it is to be looked at now; else put it off, with the reason."""
        now = work.clock()
        again = now + self._services.storing.again_seconds * SECOND
        try:
            judged = judged_as_of(work.home.store, row.subject, NOW, registry)
        except NotFoundError as error:
            self._put_off(lease, row, again, error.message)
            return None
        stands = standing(judged, row.kind, row.url, signatory.held.signer_id)
        if not stands.waits and stands.content is None:
            stands = Standing("nobody has said what should be there")
        if stands.waits:
            self._put_off(lease, row, again, stands.waits)
            return None
        fresh_until = stands.own_at + self._services.storing.recheck_seconds * SECOND
        if not row.looked_at and stands.outcome == "stored" and stands.own_at <= now < fresh_until:
            # The row was lost and not the statement.
            with lease.write() as connection:
                change_copy(connection, row.id, next_at=fresh_until, looked_at=stands.own_at, said="")
            return None
        with work.database.read() as connection:
            waiting = select(OUTBOX.c.refused).where(OUTBOX.c.event_id == row.event_id)
            refused: str | None = connection.execute(waiting).scalar()
        if refused is not None:
            self._put_off(lease, row, again, f"what was found before waits for the log: {refused}")
            return None
        return stands

    def _put_off(self, lease: Lease, row: Row[Any], until: int, why: str) -> None:
        with lease.write() as connection:
            change_copy(connection, row.id, next_at=until, said=why)

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
    return looking.look(Location(row.kind, row.url), stands.content, checkpoint)


def _newest(work: Work) -> Checkpoint | None:
    """Return the newest published checkpoint of this log; None where there is none."""
    store = work.home.store
    try:
        published = store.checkpoints.published()
    except NotFoundError:
        return None
    return Checkpoint(store.registry_name, published.size, published.root)
