"""What people ask to be preserved, done at a real web archive (pywb) and a real object store (SeaweedFS)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import delete

from api.submitting.requested import ask
from ops.jobs.running import run
from ops.jobs.work import Job
from ops.services import Services, Storing
from ops.storage.rows import PRESERVATIONS
from tests.ops.storage.archives import RealArchive, Switches, eventually, web_archive
from tests.ops.storage.seaweed import SeaweedFS, seaweed
from tests.ops.storage.storehouses import (
    DAY,
    HOUR,
    Storehouse,
    reopened,
    services,
    storehouse,
)
from tests.ops.storage.strangers import Send, Stranger, reply, stranger

PAPER = b"%PDF-1.7 the paper that is to be kept, number "


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealArchive]:
    with web_archive(tmp_path_factory.mktemp("archive")) as found:
        yield found


@pytest.fixture
def archive(real: RealArchive) -> Iterator[RealArchive]:
    """The archive, honest at the beginning of each test."""
    real.switches, real.ordered[:] = Switches(), []
    yield real
    real.switches = Switches()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    with seaweed(tmp_path_factory.mktemp("weed")) as found:
        yield found


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[Stranger]:
    """A site of papers, each at an address of its own and with a content of its own."""

    def script(target: str, send: Send) -> None:
        send(reply(page(target), 200, "content-type: application/pdf"))

    with stranger(script) as found:
        yield found


def page(target: str) -> bytes:
    return PAPER + target.encode()


@pytest.fixture
def house(tmp_path: Path, archive: RealArchive, site: Stranger) -> Iterator[Storehouse]:
    with storehouse(tmp_path, services(site, archives=[archive])) as found:
        yield found


def paper_at(site: Stranger, name: str) -> str:
    return f"http://127.0.0.1:{site.port}/{name}.pdf"


def work_on(house: Storehouse, job: Job | str, is_done: Callable[[], bool]) -> None:
    """Let the job run every few seconds of its clock until something has come about."""

    def once() -> bool:
        house.run(job)
        house.later(6)
        return is_done()

    eventually(once)


def preserved(house: Storehouse, url: str) -> None:
    house.asked(url)
    work_on(house, house.job("preserve"), lambda: house.requests == 0)


def test_a_page_is_preserved_claimed_and_fetched(house: Storehouse, archive: RealArchive, site: Stranger) -> None:
    url = paper_at(site, "whole-round")
    preserved(house, url)
    (claim,) = house.attestations()
    payload = claim.event.payload
    (stamp,) = archive.stamps(url)
    assert payload.location.kind == "wayback" and payload.location.url == f"{archive.address}/web/{stamp}/{url}"
    assert payload.grade == "claimed" and payload.captured_at.replace("-", "").replace(":", "") == (
        f"{stamp[:8]}T{stamp[8:]}Z"
    )
    assert payload.content.sha256 == sha256(page("/whole-round.pdf")).hexdigest()
    assert payload.content.media_type == "application/pdf"
    assert payload.content.swhid and payload.content.cid and payload.content.chunk_root
    assert claim.event.signer.signer_type == "pith_registry" and not house.is_verified
    assert archive.ordered == [url]

    assert house.run("check").said == "1 stored"
    assert house.is_verified
    fetched = house.attestations()[-1].event.payload
    assert fetched.captured_at == payload.captured_at and fetched.content == payload.content
    assert fetched.check.final_url == f"{archive.address}/web/{stamp}id_/{url}"

    # Its WARC loses the record: missing, after two looks.
    house.later(34 * DAY)
    with archive.without_warcs():
        house.run("check")
        assert house.is_verified
        house.later(2 * HOUR)
        assert house.run("check").said == "1 missing"
        assert not house.is_verified
    house.later(7 * HOUR)
    assert house.run("check").said == "1 stored"
    assert house.is_verified

    # A byte in its WARC changes: changed, after two looks.
    house.later(34 * DAY)
    with archive.with_changed(b"is to be kept", b"is to be lost"):
        house.run("check")
        assert house.is_verified
        house.later(2 * HOUR)
        assert house.run("check").said == "1 changed"
        assert not house.is_verified
    house.later(7 * HOUR)
    house.run("check")
    assert house.is_verified
    house.home.catch_up()


def test_the_same_wish_again_does_nothing_more(house: Storehouse, archive: RealArchive, site: Stranger) -> None:
    url = paper_at(site, "twice")
    preserved(house, url)
    preserved(house, url)
    assert len(house.attestations()) == 1 and archive.ordered == [url]


def test_an_archive_that_lies_about_the_content_is_found_out(
    house: Storehouse, archive: RealArchive, site: Stranger
) -> None:
    preserved(house, paper_at(site, "lied-about"))
    archive.switches.other_bytes = b"%PDF-1.7 a forgery"
    house.run("check")
    house.later(7 * HOUR)
    assert house.run("check").said == "1 changed"
    assert not house.is_verified
    assert house.attestations()[-1].event.payload.content.sha256 == sha256(b"%PDF-1.7 a forgery").hexdigest()


@pytest.mark.parametrize(
    ("switch", "value", "why"),
    [
        ("other_stamp", "20200101000000", "elsewhere"),
        ("other_datetime", "Wed, 01 Jan 2020 00:00:00 GMT", "2020-01-01"),
        ("other_datetime", "some day", "does not say"),
        ("replay_status", 403, "403"),
        ("replay_status", 503, "503"),
    ],
)
def test_another_capture_or_a_refusal_is_neither_good_nor_bad(
    house: Storehouse, archive: RealArchive, site: Stranger, switch: str, value: str | int, why: str
) -> None:
    preserved(house, paper_at(site, f"other-{why.replace(' ', '-')}"))
    setattr(archive.switches, switch, value)
    for _ in range(4):
        house.run("check")
        house.later(7 * HOUR)
    assert why in house.copies()[0].said
    assert house.said() == [("claimed", "stored")] and not house.is_verified
    archive.switches = Switches()
    house.run("check")
    assert house.is_verified


def test_an_archive_that_is_at_it_for_ever_is_asked_anew_and_then_has_it(
    house: Storehouse, archive: RealArchive, site: Stranger
) -> None:
    url = paper_at(site, "pending")
    archive.switches.is_pending = archive.switches.is_unindexed = True
    house.asked(url)
    job = house.job("preserve")
    for _ in range(4):
        house.run(job)
        house.later(21 * 60)
    (row,) = house.preservations()
    assert (row.state, row.tries) == ("owed", 1) and "did not end" in row.said
    assert house.requests == 1 and house.attestations() == []
    archive.switches = Switches()
    eventually(lambda: archive.stamps(url))
    house.later(HOUR)
    work_on(house, job, lambda: house.requests == 0)
    assert len(house.attestations()) == 1 and len(archive.stamps(url)) == 1


@pytest.mark.parametrize(
    ("switch", "code"),
    [
        ("error", "error:user-session-limit"),
        ("job_error", "error:gateway-timeout"),
        ("job_error", "error:job-failed"),
        ("status", 503),
        ("status", 429),
    ],
)
def test_an_archive_that_cannot_now_is_asked_again_later(
    house: Storehouse, archive: RealArchive, site: Stranger, switch: str, code: str | int
) -> None:
    url = paper_at(site, f"later-{switch}-{str(code).rpartition(':')[2]}")
    setattr(archive.switches, switch, code)
    archive.switches.is_unindexed = True
    house.asked(url)
    for _ in range(3):
        house.run("preserve")
        house.later(10)
    (row,) = house.preservations()
    assert row.state == "owed" and str(code) in row.said and row.next_at > house.clock() - 60 * 1_000_000
    (owing,) = house.job("preserve").owing(house.work)
    assert str(code) in owing.waiting and (owing.url, owing.subject) == (url, house.subject)
    assert owing.try_at == row.next_at and not owing.is_given_up
    archive.switches = Switches()
    house.later(HOUR)
    work_on(house, "preserve", lambda: house.requests == 0)
    assert len(house.attestations()) == 1


@pytest.mark.parametrize("code", ["error:blocked-url", "error:something-new"])
def test_a_refusal_is_final_and_said(house: Storehouse, archive: RealArchive, site: Stranger, code: str) -> None:
    archive.switches.error = code
    house.asked(paper_at(site, f"refused-{code[6:]}"))
    house.run("preserve")
    (row,) = house.preservations()
    assert row.state == "failed" and code in row.said and house.requests == 0
    (owing,) = house.job("preserve").owing(house.work)
    assert owing.is_given_up and code in owing.waiting and owing.waiting.endswith("; ask again with the same form")
    (row,) = house.preservations()
    assert owing.what == f"a copy of {row.url} for {house.subject} in the archive {row.place.partition(':')[2]}"


def test_what_was_given_up_is_tried_again_when_somebody_asks_again(
    house: Storehouse, archive: RealArchive, site: Stranger
) -> None:
    url = paper_at(site, "revived")
    archive.switches.error = "error:blocked-url"
    house.asked(url)
    house.run("preserve")
    assert house.preservations()[0].state == "failed"
    archive.switches = Switches()
    preserved(house, url)
    assert len(house.attestations()) == 1


def test_a_capture_that_others_asked_for_today_is_taken(
    house: Storehouse, archive: RealArchive, site: Stranger
) -> None:
    url = paper_at(site, "by-others")
    stamp = archive.captured(url)
    archive.switches.error = "error:too-many-daily-captures"
    house.later(60)
    preserved(house, url)
    assert house.attestations()[0].event.payload.location.url == f"{archive.address}/web/{stamp}/{url}"


def test_a_capture_from_before_the_wish_is_not_taken_for_it(
    house: Storehouse, archive: RealArchive, site: Stranger
) -> None:
    url = paper_at(site, "long-before")
    archive.captured(url)
    house.later(2 * HOUR)
    house.asked(url)
    house.run("preserve")
    assert archive.ordered == [url]


class Died(BaseException):
    """A worker's end without any warning."""


class Mortal:
    """A worker's clock that ends it at a certain look, or once something has come about."""

    def __init__(self, house: Storehouse, looks: int, is_over: Callable[[], bool] = lambda: False) -> None:
        self._house, self._looks, self._is_over = house, looks, is_over
        self._worker = threading.get_ident()

    def __call__(self) -> int:
        if threading.get_ident() != self._worker:
            return self._house.clock()  # what it has under way elsewhere does not know yet
        self._looks -= 1
        if self._looks < 0 or self._is_over():
            raise Died
        return self._house.clock()


def run_mortally(house: Storehouse, job: str, clock: Mortal) -> bool:
    """Run a job by such a clock; say whether it lived."""
    try:
        run(house.job(job), replace(house.work, clock=clock))
    except Died:
        # Its lease is left to run out.
        house.later(120)
        return False
    return True


def test_a_worker_that_died_after_asking_does_not_ask_twice(
    house: Storehouse, archive: RealArchive, site: Stranger
) -> None:
    url = paper_at(site, "killed")
    house.asked(url)
    assert not run_mortally(house, "preserve", Mortal(house, 1_000, lambda: bool(archive.ordered)))
    assert archive.ordered == [url] and house.attestations() == []
    eventually(lambda: archive.stamps(url))
    work_on(house, "preserve", lambda: house.requests == 0)
    assert archive.ordered == [url] and len(house.attestations()) == 1


def test_a_worker_may_die_at_every_step(house: Storehouse, archive: RealArchive, site: Stranger) -> None:
    deaths = 0
    for looks in range(0, 45, 3):
        url = paper_at(site, f"steps-{looks}")
        house.asked(url)
        for _ in range(3):
            deaths += not run_mortally(house, "preserve", Mortal(house, looks))
        eventually(lambda url=url: archive.stamps(url) or not run_mortally(house, "preserve", Mortal(house, 1_000)))
        work_on(house, "preserve", lambda: house.requests == 0)
        for _ in range(2):
            deaths += not run_mortally(house, "check", Mortal(house, looks))
        assert len(archive.stamps(url)) == 1, f"died at look {looks}"
    house.run("check")
    assert deaths > 25
    for grade in ("claimed", "fetched"):
        urls = [
            entry.event.payload.location.url for entry in house.attestations() if entry.event.payload.grade == grade
        ]
        assert len(urls) == len(set(urls)) == 15


def test_two_workers_at_once_ask_and_claim_once(house: Storehouse, archive: RealArchive, site: Stranger) -> None:
    urls = [paper_at(site, f"at-once-{number}") for number in range(3)]
    for url in urls:
        house.asked(url)
    jobs = [house.job("preserve") for _ in range(3)]

    def all_at_once() -> bool:
        threads = [threading.Thread(target=run, args=(job, house.work)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        house.later(6)
        return house.requests == 0

    eventually(all_at_once)
    assert sorted(archive.ordered) == urls and len(house.attestations()) == 3


def test_lost_rows_cost_no_second_capture(house: Storehouse, archive: RealArchive, site: Stranger) -> None:
    done, under_way = paper_at(site, "lost-done"), paper_at(site, "lost-under-way")
    preserved(house, done)
    archive.switches.is_pending = archive.switches.is_unindexed = True
    house.asked(under_way)
    house.run("preserve")
    house.work.database.close()
    for suffix in ("", "-wal", "-shm"):
        path = house.home.settings.jobs_path
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    archive.switches = Switches()
    eventually(lambda: archive.stamps(under_way))
    with reopened(house) as again:
        assert again.requests == 1, "it waits where people put it until it is done"
        again.later(2 * HOUR)
        again.asked(done)
        work_on(again, "preserve", lambda: again.requests == 0)
        assert archive.ordered == [done, under_way]
        assert len(again.attestations()) == 2


def test_what_may_not_be_fetched_is_given_up_with_the_reason(house: Storehouse, archive: RealArchive) -> None:
    for url in ("http://169.254.169.254/latest/meta-data/", "https://elsewhere.example/p.pdf"):
        house.asked(url)
    house.run("preserve")
    assert [row.state for row in house.preservations()] == ["failed", "failed"]
    assert all("nothing is fetched from" in row.said for row in house.preservations())
    assert archive.ordered == [] and house.requests == 0


def test_an_original_that_is_gone_for_weeks_is_given_up(tmp_path: Path, archive: RealArchive) -> None:
    with (
        stranger(lambda _, send: send(reply(b"gone", 404))) as site,
        storehouse(tmp_path, services(site, archives=[archive])) as house,
    ):
        house.asked(paper_at(site, "gone"))
        for _ in range(80):
            house.run("preserve")
            house.later(6 * HOUR)
        (row,) = house.preservations()
        assert row.state == "failed" and "404" in row.said and house.requests == 0
        assert archive.ordered == [] and len(site.asked) < 80


def test_a_place_that_is_not_configured_any_more_ends_the_wish(
    tmp_path: Path, house: Storehouse, archive: RealArchive, site: Stranger
) -> None:
    archive.switches.is_pending = archive.switches.is_unindexed = True
    house.asked(paper_at(site, "no-more"))
    house.run("preserve")
    with reopened(house, services(site)) as again:
        again.later(60)
        again.run("preserve")
        (row,) = again.preservations()
        assert row.state == "failed" and "not configured" in row.said


def test_without_any_place_wishes_wait_and_say_so(tmp_path: Path, site: Stranger) -> None:
    with storehouse(tmp_path, services(site)) as house:
        house.asked(paper_at(site, "nowhere"))
        house.run("preserve")
        assert house.requests == 1 and site.asked == []
        (owing,) = house.job("preserve").owing(house.work)
        assert owing.number == 1 and "no archive and no bucket" in owing.waiting
        assert "nowhere" in owing.url


def test_a_wish_about_a_paper_that_nobody_knows_is_dropped(house: Storehouse, site: Stranger) -> None:
    assert house.work.private is not None
    ask(house.work.private, "preserve", "A" * 26, paper_at(site, "x"), house.clock(), house.home.random)
    house.run("preserve")
    assert house.requests == 0 and site.asked == []


def test_a_copy_goes_into_a_bucket_and_is_read_back(tmp_path: Path, store: SeaweedFS, site: Stranger) -> None:
    base = services(site)
    bucket = store.bucket()
    configured = Services(fetched=base.fetched, storing=Storing(buckets=(bucket,)))
    with storehouse(tmp_path, configured) as house:
        preserved(house, paper_at(site, "bucket"))
        (claim,) = house.attestations()
        digest = sha256(page("/bucket.pdf")).hexdigest()
        assert claim.event.payload.location.url == f"s3://{bucket.bucket}/pith/{digest}"
        assert house.run("check").said == "1 stored" and house.is_verified
        # The rows are lost and somebody asks again: the same copy is not claimed twice.
        with house.work.database.write() as connection:
            connection.execute(delete(PRESERVATIONS))
        preserved(house, paper_at(site, "bucket"))
        assert len(house.said("claimed")) == 1

        house.later(34 * DAY)
        key = f"pith/{digest}"
        store.client().put_object(Bucket=bucket.bucket, Key=key, Body=b"another content")
        house.run("check")
        house.later(2 * HOUR)
        assert house.run("check").said == "1 changed" and not house.is_verified
        assert house.copies()[0].said == "it is changed"


def test_a_bucket_that_is_down_is_tried_again(tmp_path: Path, store: SeaweedFS, site: Stranger) -> None:
    base = services(site)
    bucket = store.bucket()
    down = Services(fetched=base.fetched, storing=Storing(buckets=(replace(bucket, endpoint="http://127.0.0.1:9"),)))
    with storehouse(tmp_path, down) as house:
        house.asked(paper_at(site, "bucket-down"))
        house.run("preserve")
        (row,) = house.preservations()
        assert row.state == "owed" and bucket.secret_key not in row.said
        up = Services(fetched=base.fetched, storing=Storing(buckets=(bucket,)))
        house.later(HOUR)
        with reopened(house, up) as again:
            work_on(again, "preserve", lambda: again.requests == 0)
            assert len(again.attestations()) == 1
