"""The job `preserve`: keeps copies of addresses that people asked for, in every configured archive and bucket.

The bytes are fetched here first, so that it is known what a copy must hold. A capture or an upload is then a claim in
the log, as the registry's own word; that the copy is there and holds these bytes is for the job `check` to find out.
A request stays where people put it until all of it is done, so that nothing is lost with the jobs' own tables.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, Final

from sqlalchemy import Row, func, or_, select

from api.submitting.requested import MAX_OPEN, Requested, open_requests, remove
from ledger.errors import LedgerError
from ledger.keyring import NOW
from ledger.payloads import Location
from ops.counting import counted
from ops.fetching import Fetching
from ops.jobs.asking import asked, outcome_of
from ops.jobs.leases import Lease
from ops.jobs.outbox import deliver
from ops.jobs.resting import SECOND
from ops.jobs.work import Owing, Work
from ops.services import Services
from ops.storage.archive_errors import ArchiveUnavailableError, CaptureRefusedError
from ops.storage.capturing import Step, stepped
from ops.storage.guard import Resolver, resolved
from ops.storage.lost_claims import is_other_log, note_claims, owe_lost_claims
from ops.storage.mementos import parse_memento
from ops.storage.originals import Originals
from ops.storage.progress import Progress
from ops.storage.resting_places import resting
from ops.storage.rows import (
    CLAIMED,
    FAILED,
    OPEN,
    OWED,
    PRESERVATIONS,
    SAVING,
    TELLING,
    add_preservation,
    due_preservations,
    requests_known,
)
from ops.storage.statements import claimed
from ops.storage.wayback import Archive
from projections.queries import judged_as_of, stored

EVERY_SECONDS: Final = 5.0
SERVICE_SECONDS: Final = 30.0
"""How long one request to an archive may take."""

AT_ONCE: Final = 20
"""How many captures of one archive are followed, and as many begun, in one run."""

LISTED: Final = 20
"""How many copies are named one by one for whoever looks at what is owed."""

PENDING: Final = 3_600 * SECOND
"""After how long an archive that is still at it is asked anew; it forgets its jobs after about as long."""

_ARCHIVE: Final = "archive:"
_BUCKET: Final = "bucket:"


class Preserve:
    """Does what people asked to be preserved; see `ops.jobs.work.Job`.

    Args:
        resolve: takes the place of the system's resolver.
        asking: how archives are asked; by default in a way of its own.
    """

    name = "preserve"
    every_seconds = EVERY_SECONDS

    def __init__(self, services: Services, resolve: Resolver = resolved, asking: Fetching | None = None) -> None:
        self._services = services
        self._asking = asking
        self._buckets = {f"{_BUCKET}{bucket.name}": bucket for bucket in services.storing.buckets}
        named = (f"{_ARCHIVE}{archive.name}" for archive in services.storing.archives)
        self._places = [*named, *self._buckets]
        self._originals = Originals(services, resolve, self._buckets)

    @cached_property
    def _archives(self) -> dict[str, Archive]:
        asking = self._asking or Fetching(SERVICE_SECONDS)
        return {f"{_ARCHIVE}{archive.name}": Archive(archive, asking) for archive in self._services.storing.archives}

    def is_due(self, work: Work) -> bool:
        """Say whether a run would find anything to do; asks nobody and writes nothing."""
        now = work.clock()
        is_ours = or_(PRESERVATIONS.c.place.not_in(resting(work.database, now)), PRESERVATIONS.c.state == TELLING)
        if due_preservations(work.database, now, 1, is_ours) or is_other_log(work):
            return True
        waiting = [request.id for request in _requests(work)] if self._places else []
        known = requests_known(work.database, waiting)
        return any(not known.get(id, False) for id in waiting)

    def run(self, work: Work, lease: Lease) -> str:
        """Take requests over and do what is due of them; raises as `ops.jobs.work.Job` says."""
        work.home.check_own()
        work.signatory()
        owe_lost_claims(work, lease)
        self._take_over(work, lease)
        progress = Progress(work, lease, self._services.storing)
        elsewhere = PRESERVATIONS.c.place.not_in(self._places)
        for row in due_preservations(work.database, work.clock(), MAX_OPEN, elsewhere, states=(OWED, SAVING)):
            progress.again(row, "this place is not configured any more", is_final=True)
        progress.settle()
        number = self._originals.fetch(progress, self._awake(work, self._places))
        number += self._at_archives(progress, self._awake(work, list(self._archives)))
        progress.settle()
        note_claims(work, lease)
        self._let_go(work)
        return f"{counted(number, 'copy', 'copies')} claimed" if number else ""

    def _awake(self, work: Work, places: Sequence[str]) -> list[str]:
        """Return those places that do not rest now."""
        asleep = resting(work.database, work.clock())
        return [place for place in places if place not in asleep]

    def owing(self, work: Work) -> list[Owing]:
        """Say what is to be preserved and why it waits, and what was given up."""
        requests = _requests(work)
        known = requests_known(work.database, [request.id for request in requests])
        untaken = [request for request in requests if request.id not in known]
        why = "" if self._places else "no archive and no bucket is configured (services.toml)"
        found = []
        for request in untaken[:LISTED]:
            paper = stored(work.home.projections, request.suffix)
            subject = paper.subject if paper else request.suffix
            what = f"a copy of {request.url} for {subject}"
            found.append(Owing(what, 1, why, url=request.url, subject=subject))
        found += _more(len(untaken), "to be made")
        for states, word in ((OPEN, "to be made"), ((FAILED,), "given up")):
            mine = PRESERVATIONS.c.state.in_(states)
            first = select(PRESERVATIONS).where(mine).order_by(PRESERVATIONS.c.next_at, PRESERVATIONS.c.id)
            with work.database.read() as connection:
                number = connection.execute(select(func.count()).select_from(PRESERVATIONS).where(mine)).scalar_one()
                found += [_owing(row) for row in connection.execute(first.limit(LISTED))]
            found += _more(number, word)
        return found

    # --- requests ----------------------------------------------------------------------------

    def _take_over(self, work: Work, lease: Lease) -> None:
        """Make rows of new requests; what the log has the registry's claim of is done, as after rows were lost."""
        requests = _requests(work) if self._places else []
        known = requests_known(work.database, [request.id for request in requests])
        for request in requests:
            if request.id in known:
                continue
            subject = _subject(work, request.suffix)
            if subject is None:
                # Nobody knows the paper, so nothing can be said of it.
                _forget(work, [request.id])
                continue
            done = outcome_of(partial(self._claimed_places, work, subject, request.url), subject)
            if isinstance(done, LedgerError):
                continue
            with lease.write() as connection:
                for place in self._places:
                    facts = {"subject": subject, "url": request.url, "place": place, "asked_at": request.asked_at}
                    state = {"state": CLAIMED} if place in done else {}
                    add_preservation(connection, {**facts, **state, "request_id": request.id})

    def _claimed_places(self, work: Work, subject: str, url: str) -> set[str]:
        found = set()
        judged = judged_as_of(work.home.store, subject, NOW, work.home.store.registry())
        for location in claimed(judged):
            memento = parse_memento(location.url)
            if memento is not None and memento.url == url:
                found |= {place for place, archive in self._archives.items() if archive.replays(location.url)}
        return found

    def _let_go(self, work: Work) -> None:
        """Forget requests of which nothing is open any more."""
        known = requests_known(work.database, [request.id for request in _requests(work)])
        _forget(work, [id for id, is_open in known.items() if not is_open])

    # --- archives ----------------------------------------------------------------------------

    def _at_archives(self, progress: Progress, places: Sequence[str]) -> int:
        """Take the next step at each archive, at all of them at once; return how many copies were claimed."""
        work = progress.work
        now = work.clock()
        rows: dict[str, list[Row[Any]]] = {}
        for place in places:
            mine = PRESERVATIONS.c.place == place
            # First how far others are: an archive that begins no more captures still tells that.
            saving = due_preservations(work.database, now, AT_ONCE, mine, states=(SAVING,))
            is_known = PRESERVATIONS.c.content != ""
            rows[place] = [*saving, *due_preservations(work.database, now, AT_ONCE, mine, is_known, states=(OWED,))]
        asks = {
            place: [partial(stepped, self._archives[place], row, now) for row in some]
            for place, some in rows.items()
            if some
        }
        number = 0
        for answer in asked(asks, work.stopped, progress.lease.renew, work.lease_seconds / 3):
            row = rows[answer.service][answer.index]
            result = outcome_of(partial(self._taken, progress, row, answer.result), row.url)
            if isinstance(result, LedgerError):
                progress.again(row, str(result))
            elif result:
                number += result
                deliver(work, progress.lease)
        return number

    def _taken(self, progress: Progress, row: Row[Any], result: Step | LedgerError) -> int:
        """Keep what came of a step; return 1 if a copy was claimed."""
        if isinstance(result, ArchiveUnavailableError):
            progress.again(row, str(result))
            progress.rest(row.place, str(result), result.retry_after)
            return 0
        progress.answered(row.place)
        if isinstance(result, LedgerError):
            result = Step(trouble=result)
        if result.trouble is not None:
            # What else is wrong may be mended, there or here.
            progress.again(row, str(result.trouble), is_final=isinstance(result.trouble, CaptureRefusedError))
            return 0
        if result.stamp:
            memento = self._archives[row.place].memento(result.stamp, row.url)
            location = Location("wayback", memento.address)
            return progress.claim(row, location, memento.captured_at, json.loads(row.content))
        now = progress.work.clock()
        if row.job and not 0 <= now - row.begun_at < PENDING:
            progress.again(row, "the archive began and did not end")
        else:
            progress.saving(row, result.job, row.begun_at if row.job else now)
        return 0


def _owing(row: Row[Any]) -> Owing:
    """Say in words how a copy in one place stands."""
    kind, _, name = row.place.partition(":")
    what = f"a copy of {row.url} for {row.subject} in the {kind} {name}"
    if row.state == FAILED:
        said = f"{row.said}; ask again with the same form"
        return Owing(what, 1, said, url=row.url, subject=row.subject, is_given_up=True)
    said = row.said or ("it is being captured" if row.state == SAVING else "")
    return Owing(what, 1, said, url=row.url, subject=row.subject, try_at=row.next_at if row.tries else 0)


def _more(number: int, word: str) -> list[Owing]:
    """Count the copies that are not named one by one."""
    more = number - LISTED
    is_given_up = word == "given up"
    return (
        [Owing(f"{counted(more, 'copy', 'copies')} more {word}", more, "", is_given_up=is_given_up)] if more > 0 else []
    )


def _requests(work: Work) -> list[Requested]:
    return [] if work.private is None else open_requests(work.private, MAX_OPEN, "preserve")


def _forget(work: Work, ids: Sequence[str]) -> None:
    if ids and work.private is not None:
        remove(work.private, ids)


def _subject(work: Work, suffix: str) -> str | None:
    """Return the number of a paper; the projections may be behind."""
    paper = stored(work.home.projections, suffix)
    if paper is None:
        work.home.catch_up()
        paper = stored(work.home.projections, suffix)
    return paper.subject if paper else None
