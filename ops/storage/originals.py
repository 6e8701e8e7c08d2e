"""The originals of what is to be preserved: fetched once for all places, so that it is known what a copy must hold.

What goes into a bucket is put there from here; an archive fetches for itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Final

from sqlalchemy import Row, or_, update

from ledger.errors import LedgerError, ServiceUnavailableError
from ledger.payloads import Location
from ops.jobs.asking import Answered, Ask, asked, outcome_of
from ops.jobs.outbox import deliver
from ops.services import Bucket, Services
from ops.storage.allowance import bring, brought, next_day
from ops.storage.fetched import Copy, CopyFetching
from ops.storage.guard import AddressRefusedError, Guard, Resolver
from ops.storage.hosts import InTurn, host_group
from ops.storage.ids import identifiers
from ops.storage.progress import Progress
from ops.storage.rows import OWED, PRESERVATIONS, due_preservations
from ops.storage.s3 import S3Copies

AT_ONCE: Final = 20
"""For how many preservations of one place originals are fetched in one run."""

FULL: Final = "as much as may be brought in a day was brought today (max_bytes_a_day in services.toml)"


class Originals:
    """Fetches originals and puts them into buckets.

    Args:
        buckets: by the names that preservations have for them.
    """

    def __init__(self, services: Services, resolve: Resolver, buckets: Mapping[str, Bucket]) -> None:
        self._fetched = services.fetched
        self._resolve = resolve
        self._buckets = buckets
        self._fetching: CopyFetching | None = None

    @cached_property
    def _guard(self) -> Guard:
        return Guard.of(self._fetched, resolve=self._resolve)

    def fetch(self, progress: Progress, places: Sequence[str]) -> int:
        """Fetch what is owed to places, as far as it has to be; return how many copies were claimed."""
        work = progress.work
        now = work.clock()
        groups: dict[tuple[str, str], list[Row[Any]]] = {}
        for place in places:
            is_wanted = or_(PRESERVATIONS.c.content == "", PRESERVATIONS.c.place.in_(self._buckets))
            mine = PRESERVATIONS.c.place == place
            for row in due_preservations(work.database, now, AT_ONCE, mine, is_wanted, states=(OWED,)):
                groups.setdefault((row.subject, row.url), []).append(row)
        hosts: dict[str, list[list[Row[Any]]]] = {}
        is_full = brought(work.database, now) >= self._fetched.max_bytes_a_day
        for (_, url), rows in groups.items():
            if refusal := self._refusal(url):
                _all_again(progress, rows, refusal, is_final=True)
            elif is_full:
                _all_again(progress, rows, FULL, until=next_day(now))
            else:
                hosts.setdefault(host_group(url), []).append(rows)
        return self._from_hosts(progress, hosts)

    def _refusal(self, url: str) -> str:
        """Say why an address is never fetched, empty where it may be; its name may lead elsewhere another day."""
        if url.startswith("*") or url.endswith("*"):
            return "an address that begins or ends with * stands for many"
        try:
            self._guard.check(url)
        except AddressRefusedError as error:
            return str(error)
        return ""

    def _from_hosts(self, progress: Progress, hosts: Mapping[str, Sequence[Sequence[Row[Any]]]]) -> int:
        if not hosts:
            return 0
        work = progress.work
        if self._fetching is None:
            self._fetching = CopyFetching(self._guard, self._fetched, work.clock)
        asks: dict[str, list[Ask[Copy]]] = {}
        for host, some in hosts.items():
            fetch = InTurn(self._fetching.fetch, lambda copy: copy.is_silent)
            asks[host] = [partial(fetch, rows[0].url) for rows in some]
        number = 0
        failed: set[str] = set()
        for answer in asked(asks, work.stopped, progress.lease.renew, work.lease_seconds / 3):
            rows = hosts[answer.service][answer.index]
            result = outcome_of(partial(self._handled, progress, rows, answer, failed), rows[0].url)
            if isinstance(result, LedgerError):
                _all_again(progress, rows, f"the original: {result}")
            elif result:
                number += result
                deliver(work, progress.lease)
        return number

    def _handled(self, progress: Progress, rows: Sequence[Row[Any]], answer: Answered[Copy], failed: set[str]) -> int:
        """Keep what came of fetching one original; return how many copies were claimed, or raise what went wrong."""
        if isinstance(answer.result, LedgerError):
            raise answer.result
        with answer.result as copy:
            if copy.outcome == "missing":
                for row in rows:
                    progress.gone(row, f"the original: {copy.reason}")
            elif copy.body is None:
                _all_again(progress, rows, f"the original: {copy.reason}")
            else:
                return self._held(progress, rows, copy, failed)
        return 0

    def _held(self, progress: Progress, rows: Sequence[Row[Any]], copy: Copy, failed: set[str]) -> int:
        """Note what an original holds and put it into the buckets, unless that is too much for today."""
        assert copy.body is not None
        work, now = progress.work, progress.work.clock()
        count = copy.length * len(rows)
        if brought(work.database, now) + count > self._fetched.max_bytes_a_day:
            _all_again(progress, rows, FULL, until=next_day(now))
            return 0
        content = {**identifiers(copy.body), "media_type": copy.media_type}
        of_these = PRESERVATIONS.c.id.in_([row.id for row in rows])
        with progress.lease.write() as connection:
            bring(connection, now, count)
            known = update(PRESERVATIONS).where(of_these)
            connection.execute(known.values(content=json.dumps(content), gone_at=0))
        number = 0
        for row in rows:
            if row.place in self._buckets and row.place not in failed:
                number += self._put(progress, row, copy, content, failed)
        return number

    def _put(self, progress: Progress, row: Row[Any], copy: Copy, content: Mapping[str, Any], failed: set[str]) -> int:
        """Put a content into the bucket that a row names; return 1 if that copy was claimed."""
        assert copy.body is not None
        work = progress.work
        upload: Ask[str] = partial(S3Copies(self._buckets[row.place], work.clock).put, copy.body, content["sha256"])
        for answer in asked({row.place: [upload]}, work.stopped, progress.lease.renew, work.lease_seconds / 3):
            if isinstance(answer.result, str):
                progress.answered(row.place)
                return progress.claim(row, Location("s3", answer.result), work.signatory().now(), content)
            # A bucket's refusal is for its owner to mend: it is tried again.
            progress.again(row, str(answer.result))
            if isinstance(answer.result, ServiceUnavailableError):
                failed.add(row.place)
                progress.rest(row.place, str(answer.result))
        return 0


def _all_again(
    progress: Progress, rows: Sequence[Row[Any]], why: str, *, is_final: bool = False, until: int = 0
) -> None:
    for row in rows:
        progress.again(row, why, is_final=is_final, until=until)
