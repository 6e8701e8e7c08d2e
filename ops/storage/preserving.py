"""The job `preserve`: keeps copies of addresses that people asked for, in every configured archive and bucket.

The bytes are fetched here first, so that it is known what a copy must hold. A capture or an upload is then a claim in
the log, as the registry's own word; that the copy is there and holds these bytes is for the job `check` to find out.
A request stays where people put it until all of it is done, so that nothing is lost with the jobs' own tables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Final, TypeVar

from sqlalchemy import Row, func, select

from api.submitting.requested import MAX_OPEN, Requested, open_requests, remove
from ledger.errors import LedgerError, ServiceRefusedError
from ledger.payloads import Location
from ops.fetching import Fetching
from ops.jobs.asking import Ask, asked
from ops.jobs.leases import Lease
from ops.jobs.outbox import deliver, put
from ops.jobs.resting import rest_after
from ops.jobs.work import Owing, Work
from ops.services import Services
from ops.storage.capturing import DAY, step
from ops.storage.deciding import SECOND
from ops.storage.fetched import Copy, CopyFetching
from ops.storage.guard import Guard, Resolver, resolved
from ops.storage.hosts import InTurn, host_of
from ops.storage.ids import identifiers
from ops.storage.mementos import parse_memento
from ops.storage.rows import (
    CLAIMED,
    FAILED,
    OWED,
    PRESERVATIONS,
    SAVING,
    add_preservation,
    change_preservation,
    due_preservations,
    requests_known,
)
from ops.storage.s3 import S3Copies
from ops.storage.statements import claim, claimed
from ops.storage.wayback import Archive
from projections.queries import stored

EVERY_SECONDS: Final = 5.0
SERVICE_SECONDS: Final = 30.0
"""How long one request to an archive may take."""

AT_ONCE: Final = 20
POLL: Final = 5 * SECOND
FIRST_REST: Final = 60 * SECOND
PENDING: Final = 3_600 * SECOND
"""After how long an archive that is still at it is asked anew; it forgets its jobs after about as long."""

GIVE_UP: Final = 14 * DAY
MAX_SAID: Final = 400

_ARCHIVE: Final = "archive:"
_BUCKET: Final = "bucket:"
T = TypeVar("T")


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
        self._resolve = resolve
        self._asking = asking
        self._fetching: CopyFetching | None = None
        self._buckets = {f"{_BUCKET}{bucket.name}": bucket for bucket in services.storing.buckets}
        named = (f"{_ARCHIVE}{archive.name}" for archive in services.storing.archives)
        self._places = [*named, *self._buckets]

    @cached_property
    def _archives(self) -> dict[str, Archive]:
        asking = self._asking or Fetching(SERVICE_SECONDS)
        return {f"{_ARCHIVE}{archive.name}": Archive(archive, asking) for archive in self._services.storing.archives}

    def is_due(self, work: Work) -> bool:
        """Say whether a run would find anything to do; asks nobody and writes nothing."""
        if due_preservations(work.database, work.clock(), 1):
            return True
        waiting = [request.id for request in _requests(work)] if self._places else []
        known = requests_known(work.database, waiting)
        return any(not known.get(id, False) for id in waiting)

    def run(self, work: Work, lease: Lease) -> str:
        """Take requests over and do what is due of them; raises as `ops.jobs.work.Job` says."""
        work.home.check_own()
        work.signatory()
        self._take_over(work, lease)
        for row in due_preservations(work.database, work.clock(), AT_ONCE):
            if row.place not in self._places:
                self._again(work, lease, row, "this place is not configured any more", is_final=True)
        number = self._with_bytes(work, lease) + self._at_archives(work, lease)
        self._let_go(work)
        return f"{number} copies claimed" if number else ""

    def owing(self, work: Work) -> list[Owing]:
        """Say what is to be preserved and why it waits, and what was given up."""
        waiting = [request.id for request in _requests(work)]
        untaken = len(waiting) - len(requests_known(work.database, waiting))
        why = "" if self._places else "no archive and no bucket is configured (services.toml)"
        found = [Owing("addresses to preserve", untaken, why)] if untaken else []
        columns = PRESERVATIONS.c.state, PRESERVATIONS.c.place, PRESERVATIONS.c.said
        statement = select(*columns, func.count()).where(PRESERVATIONS.c.state != CLAIMED).group_by(*columns)
        with work.database.read() as connection:
            rows = connection.execute(statement.order_by(func.count().desc()).limit(20)).all()
        for state, place, said, number in rows:
            what = "copies given up" if state == FAILED else "copies to be made"
            said = said or ("it is being captured" if state == SAVING else "")
            found.append(Owing(what, number, f"{place.partition(':')[2]}: {said}" if said else ""))
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
            done = self._claimed_places(work, subject, request.url)
            with lease.write() as connection:
                for place in self._places:
                    facts = {"subject": subject, "url": request.url, "place": place, "asked_at": request.asked_at}
                    state = {"state": CLAIMED} if place in done else {}
                    add_preservation(connection, {**facts, **state, "request_id": request.id})

    def _claimed_places(self, work: Work, subject: str, url: str) -> set[str]:
        found = set()
        for location in claimed(work.home.store, subject):
            memento = parse_memento(location.url)
            if memento is not None and memento.url == url:
                found |= {place for place, archive in self._archives.items() if archive.replays(location.url)}
        return found

    def _let_go(self, work: Work) -> None:
        """Forget requests of which nothing is open any more."""
        known = requests_known(work.database, [request.id for request in _requests(work)])
        _forget(work, [id for id, is_open in known.items() if not is_open])

    # --- the original, and buckets -----------------------------------------------------------

    def _with_bytes(self, work: Work, lease: Lease) -> int:
        """Fetch originals where it is not known yet what they hold, and where they are put into a bucket."""
        if self._fetching is None:
            guard = Guard.of(self._services.fetched, resolve=self._resolve)
            self._fetching = CopyFetching(guard, self._services.fetched, work.clock)
        groups: dict[tuple[str, str], list[Row[Any]]] = {}
        for row in due_preservations(work.database, work.clock(), AT_ONCE):
            if not row.content or row.place in self._buckets:
                groups.setdefault((row.subject, row.url), []).append(row)
        hosts: dict[str, list[list[Row[Any]]]] = {}
        for (_, url), rows in groups.items():
            hosts.setdefault(host_of(url), []).append(rows)
        asks: dict[str, list[Ask[Copy]]] = {}
        for host, some in hosts.items():
            fetch = InTurn(self._fetching.fetch, lambda copy: copy.outcome == "unreachable" and copy.status is None)
            asks[host] = [partial(fetch, rows[0].url) for rows in some]
        number = 0
        for answer in asked(asks, work.stopped, lease.renew, work.lease_seconds / 3):
            rows = hosts[answer.service][answer.index]
            if isinstance(answer.result, Copy):
                with answer.result as copy:
                    number += self._fetched(work, lease, rows, copy)
        return number

    def _fetched(self, work: Work, lease: Lease, rows: Sequence[Row[Any]], copy: Copy) -> int:
        """Note what an original holds and put it into the buckets; return how many copies were claimed."""
        if copy.body is None:
            for row in rows:
                self._again(work, lease, row, f"the original: {copy.reason}", is_final=copy.outcome == "refused")
            return 0
        content = {**identifiers(copy.body), "media_type": copy.media_type}
        with lease.write() as connection:
            for row in rows:
                change_preservation(connection, row.id, content=json.dumps(content))
        number = 0
        for row in rows:
            if (bucket := self._buckets.get(row.place)) is None:
                continue
            upload = partial(S3Copies(bucket, work.clock).put, copy.body, str(content["sha256"]))
            result = self._one(work, lease, row.place, upload)
            if isinstance(result, str):
                number += self._claim(work, lease, row, Location("s3", result), work.signatory().now(), content)
            elif result is not None:
                # A bucket's refusal is for its owner to mend: it is tried again.
                self._again(work, lease, row, str(result), is_final=False)
        return number

    # --- archives ----------------------------------------------------------------------------

    def _at_archives(self, work: Work, lease: Lease) -> int:
        """Take the next step at each archive, at all of them at once; return how many copies were claimed."""
        rows: dict[str, list[Row[Any]]] = {}
        now = work.clock()
        for row in due_preservations(work.database, now, AT_ONCE):
            if row.content and row.place in self._archives:
                rows.setdefault(row.place, []).append(row)
        asks = {place: [partial(step, self._archives[place], row, now) for row in some] for place, some in rows.items()}
        number = 0
        for answer in asked(asks, work.stopped, lease.renew, work.lease_seconds / 3):
            row, result = rows[answer.service][answer.index], answer.result
            if isinstance(result, LedgerError):
                self._again(work, lease, row, str(result), is_final=isinstance(result, ServiceRefusedError))
            elif result.stamp:
                memento = self._archives[row.place].memento(result.stamp, row.url)
                location = Location("wayback", memento.address)
                number += self._claim(work, lease, row, location, memento.captured_at, json.loads(row.content))
            else:
                self._wait(work, lease, row, result.job)
        return number

    def _wait(self, work: Work, lease: Lease, row: Row[Any], job: str) -> None:
        """Note that an archive is at it; one that is at it for ever is asked anew."""
        now = work.clock()
        if row.job and not 0 <= now - row.begun_at < PENDING:
            self._again(work, lease, row, "the archive began and did not end", is_final=False)
            return
        begun_at = row.begun_at if row.job else now
        facts = {"state": SAVING, "job": job, "begun_at": begun_at, "next_at": now + POLL, "said": ""}
        with lease.write() as connection:
            change_preservation(connection, row.id, **facts)

    # --- what becomes of a row ---------------------------------------------------------------

    def _again(self, work: Work, lease: Lease, row: Row[Any], why: str, *, is_final: bool) -> None:
        """Try a row again later, from asking on; give it up where that cannot help, or was long enough."""
        now = work.clock()
        facts: dict[str, Any] = {"job": "", "said": why[:MAX_SAID]}
        if is_final or now - row.asked_at > GIVE_UP:
            facts["state"] = FAILED
        else:
            longest = self._services.storing.again_seconds * SECOND
            rest = rest_after(row.tries + 1, work.random, FIRST_REST, longest)
            facts.update(state=OWED, tries=row.tries + 1, next_at=now + rest)
        with lease.write() as connection:
            change_preservation(connection, row.id, **facts)

    def _claim(
        self,
        work: Work,
        lease: Lease,
        row: Row[Any],
        location: Location,
        captured_at: str,
        content: Mapping[str, Any],
    ) -> int:
        """Tell the log where a copy is said to be now, unless it was told; return 1 if it was not."""
        event = None
        if location not in claimed(work.home.store, row.subject):
            try:
                stated = claim(location, captured_at, content)
                event, _ = work.signatory().sign("storage_attestation", row.subject, stated)
            except LedgerError as error:
                self._again(work, lease, row, str(error), is_final=True)
                return 0
        with lease.write() as connection:
            change_preservation(connection, row.id, state=CLAIMED, said="", job="")
            if event is not None:
                put(connection, event, now=work.clock())
        deliver(work, lease)
        return int(event is not None)

    def _one(self, work: Work, lease: Lease, service: str, ask: Ask[T]) -> T | LedgerError | None:
        """Ask one thing of one service, and keep the lease meanwhile; None where the worker is to stop."""
        for answer in asked({service: [ask]}, work.stopped, lease.renew, work.lease_seconds / 3):
            return answer.result
        return None


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
