"""What people asked for, on its way from the private tables to the worker's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from api.submitting.requested import REQUESTS, ask, open_requests, remove
from ops.jobs.leases import Lease
from ops.jobs.requests import KEEP_DAYS, are_waiting, done, open_here, take_over
from ops.jobs.work import Work
from ops.jobs.working import opened_work
from ops.services import Services
from tests.logs import Ticking
from tests.ops.shared import BOTH, registry_in

SUFFIX = "A" * 26


@pytest.fixture(params=BOTH)
def work(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Work]:
    with registry_in(request.param, tmp_path / "registry", request) as home, opened_work(home, Services()) as found:
        yield found


@pytest.fixture
def lease(work: Work) -> Lease:
    lease = work.lease("stamp")
    assert lease.take()
    return lease


def asked(work: Work, suffix: str = SUFFIX) -> str:
    assert work.private is not None
    return ask(work.private, "timestamp", suffix, "", work.clock(), work.home.random).id


def finish(work: Work, lease: Lease, request: str) -> None:
    with lease.write() as connection:
        done(connection, request, "done", work.clock())


def test_a_request_is_taken_over_once_and_done_once(work: Work, lease: Lease) -> None:
    assert work.private is not None
    assert not are_waiting(work, "timestamp")
    request = asked(work)
    assert are_waiting(work, "timestamp")
    take_over(work, lease, "timestamp")
    assert open_requests(work.private, 9) == []
    (row,) = open_here(work.database, "timestamp")
    assert (row.id, row.suffix, row.url) == (request, SUFFIX, "")
    assert are_waiting(work, "timestamp")
    finish(work, lease, request)
    assert not are_waiting(work, "timestamp")


def test_a_request_taken_over_by_a_worker_that_was_killed_before_removing_it_is_the_same_request(
    work: Work, lease: Lease
) -> None:
    assert work.private is not None
    request = asked(work)
    (kept,) = open_requests(work.private, 9)
    take_over(work, lease, "timestamp")
    finish(work, lease, request)
    with work.private.write() as connection:  # it stands there still
        connection.execute(REQUESTS.insert().values(asdict(kept)))
    take_over(work, lease, "timestamp")
    assert open_here(work.database, "timestamp") == []
    assert open_requests(work.private, 9) == []


def test_other_kinds_stay_for_other_jobs(work: Work, lease: Lease) -> None:
    assert work.private is not None
    ask(work.private, "preserve", SUFFIX, "https://example.org/paper.pdf", work.clock(), work.home.random)
    take_over(work, lease, "timestamp")
    (left,) = open_requests(work.private, 9)
    assert left.kind == "preserve"
    assert not are_waiting(work, "timestamp")


def test_what_was_done_long_ago_is_forgotten(work: Work, lease: Lease) -> None:
    clock: Ticking = work.home.clock  # type: ignore[assignment]
    first = asked(work)
    take_over(work, lease, "timestamp")
    finish(work, lease, first)
    clock.advance((KEEP_DAYS + 1) * 86_400)
    asked(work, "B" * 26)
    take_over(work, lease, "timestamp")
    with work.database.read() as connection:
        ids = [row[0] for row in connection.exec_driver_sql("SELECT id FROM requests")]
    assert len(ids) == 1
    assert first not in ids


def test_requests_are_done_in_the_order_in_which_they_were_asked(work: Work, lease: Lease) -> None:
    suffixes = [letter * 26 for letter in "QXAMB"]
    for suffix in suffixes:
        asked(work, suffix)
    take_over(work, lease, "timestamp")
    assert [row.suffix for row in open_here(work.database, "timestamp")] == suffixes


def test_a_request_that_is_withdrawn_meanwhile_is_nobodys_loss(work: Work, lease: Lease) -> None:
    assert work.private is not None
    remove(work.private, [asked(work)])
    take_over(work, lease, "timestamp")
    assert open_here(work.database, "timestamp") == []
