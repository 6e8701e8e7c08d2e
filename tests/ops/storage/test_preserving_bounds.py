"""What goes wrong with one address, one archive or one stranger's request keeps nothing else from being preserved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from api.submitting.requested import REQUESTS
from ledger.appending import Submission
from ops.jobs.running import run
from ops.jobs.tables import OUTBOX
from ops.services import Services, Storing
from ops.storage.originals import AT_ONCE
from ops.storage.preserving import Preserve
from tests.api.liars import Reply
from tests.ops.storage.archives import shared_fetching
from tests.ops.storage.orders import Orders, orders, refusing
from tests.ops.storage.seaweed import SeaweedFS, seaweed
from tests.ops.storage.storehouses import DAY, HOUR, SITE, Storehouse, reopened, services, storehouse
from tests.ops.storage.strangers import Send, Stranger, reply, stranger

PAPER = b"%PDF the paper, "


@pytest.fixture
def site() -> Iterator[Stranger]:
    """A site whose addresses under /bad cannot be followed and under /gone lead to nothing."""

    def script(target: str, send: Send) -> None:
        if target.startswith("/bad"):
            send(reply(b"", 302, "location: http://xn--a/"))
        elif target.startswith("/gone"):
            send(reply(b"gone", 404))
        else:
            send(reply(PAPER + target.encode(), 200, "content-type: application/pdf"))

    with stranger(script) as found:
        yield found


@pytest.fixture
def archive() -> Iterator[Orders]:
    with orders() as found:
        yield found


def keeping(site: Stranger, *archives: Orders, **fetched: Any) -> Services:
    base = services(site)
    named = tuple(archive.settings(f"archive-{number}") for number, archive in enumerate(archives))
    return replace(base, fetched=replace(base.fetched, **fetched), storing=Storing(archives=named))


def at(site: Stranger, path: str) -> str:
    return f"http://127.0.0.1:{site.port}{path}"


def many_asked(house: Storehouse, *urls: str) -> None:
    """Let more be asked for than one paper's limit allows."""
    assert house.work.private is not None
    with house.work.private.write() as connection:
        for number, url in enumerate(urls):
            facts = {"kind": "preserve", "suffix": house.subject[10:], "url": url, "asked_at": house.clock()}
            connection.execute(insert(REQUESTS).values(id=f"{number:032x}", **facts))


def states(house: Storehouse, place: str = "archive:archive-0") -> list[str]:
    return [row.state for row in house.preservations() if row.place == place]


def work_on(house: Storehouse, times: int, seconds: float = 6) -> None:
    job = house.job("preserve")
    for _ in range(times):
        house.run(job)
        house.later(seconds)


def test_an_address_that_nobody_can_follow_keeps_no_other_waiting(
    tmp_path: Path, site: Stranger, archive: Orders
) -> None:
    with storehouse(tmp_path, keeping(site, archive)) as house:
        for path in ("/bad", "/good-1", "/good-2"):
            house.asked(at(site, path))
        work_on(house, 3)
        assert states(house) == ["owed", "claimed", "claimed"]
        bad = house.preservations()[0]
        assert bad.tries == 1 and "cannot be read" in bad.said
        assert archive.ordered == [at(site, "/good-1"), at(site, "/good-2")] and house.requests == 1


def test_an_archive_that_sends_where_nobody_can_follow_is_left_alone_and_comes_back(
    tmp_path: Path, site: Stranger, archive: Orders
) -> None:
    with storehouse(tmp_path, keeping(site, archive)) as house:
        archive.failing = Reply(b"", 302, {"location": "http://xn--a/"})
        house.asked(at(site, "/p"))
        work_on(house, 3)
        assert states(house) == ["owed"] and len(archive.asked) == 1
        archive.failing = None
        work_on(house, 4, HOUR)
        assert states(house) == ["claimed"] and house.requests == 0


@pytest.mark.parametrize(
    "failing",
    [refusing(302, location="https://offline.example/"), refusing(404), refusing(400), Reply(b"<html>sorry</html>")],
    ids=["sends elsewhere", "404", "400", "a page"],
)
def test_an_archive_that_is_out_for_an_hour_costs_no_request(
    tmp_path: Path, site: Stranger, archive: Orders, failing: Reply
) -> None:
    with storehouse(tmp_path, keeping(site, archive)) as house:
        archive.failing = failing
        house.asked(at(site, "/p"))
        work_on(house, 6, 600)
        assert states(house) == ["owed"] and house.requests == 1
        archive.failing = None
        work_on(house, 4, 6 * HOUR)
        assert states(house) == ["claimed"] and house.requests == 0


def test_a_dead_archive_keeps_nobody_from_a_good_one(tmp_path: Path, site: Stranger, archive: Orders) -> None:
    number = 3 * AT_ONCE
    with orders() as dead, storehouse(tmp_path, keeping(site, dead, archive)) as house:
        dead.failing = refusing(503)
        many_asked(house, *(at(site, f"/{one}") for one in range(number)))
        work_on(house, 8)
        assert states(house, "archive:archive-1") == ["claimed"] * number
        assert states(house, "archive:archive-0") == ["owed"] * number and len(dead.asked) < 4
        dead.failing = None
        work_on(house, 1, HOUR)
        work_on(house, 8)
        assert states(house, "archive:archive-0").count("claimed") > AT_ONCE


def test_how_long_an_archive_wants_to_be_left_alone_is_respected(
    tmp_path: Path, site: Stranger, archive: Orders
) -> None:
    with storehouse(tmp_path, keeping(site, archive)) as house:
        archive.failing = refusing(429, retry_after=str(5 * HOUR))
        many_asked(house, at(site, "/a"), at(site, "/b"))
        work_on(house, 9, HOUR / 2)
        assert len(archive.asked) == 1
        work_on(house, 4, HOUR / 2)
        assert len(archive.asked) == 2


def test_nobody_is_left_alone_for_longer_than_a_day(tmp_path: Path, site: Stranger, archive: Orders) -> None:
    with storehouse(tmp_path, keeping(site, archive)) as house:
        archive.failing = refusing(503, retry_after="9" * 30)
        house.asked(at(site, "/a"))
        work_on(house, 20, HOUR)
        assert len(archive.asked) == 1
        work_on(house, 5, HOUR)
        assert len(archive.asked) == 2


def test_an_archive_that_answered_again_begins_anew_with_short_rests(
    tmp_path: Path, site: Stranger, archive: Orders
) -> None:
    with storehouse(tmp_path, keeping(site, archive)) as house:
        archive.failing = refusing(503)
        house.asked(at(site, "/a"))
        work_on(house, 40, 600)
        archive.failing = None
        work_on(house, 4, 6 * HOUR)
        assert states(house) == ["claimed"]
        archive.failing = refusing(503)
        house.asked(at(site, "/b"))
        house.run("preserve")
        before = len(archive.asked)
        house.later(120)
        house.run("preserve")
        assert len(archive.asked) == before + 1


def test_an_address_that_an_archive_cannot_capture_keeps_no_other_waiting(
    tmp_path: Path, site: Stranger, archive: Orders
) -> None:
    with storehouse(tmp_path, keeping(site, archive)) as house:
        archive.broken = at(site, "/a")
        for name in "abc":
            house.asked(at(site, f"/{name}"))
        house.run("preserve")
        assert states(house) == ["owed", "saving", "saving"]


def test_what_waits_for_a_dead_archive_for_weeks_is_given_up(tmp_path: Path, site: Stranger, archive: Orders) -> None:
    with storehouse(tmp_path, keeping(site, archive)) as house:
        archive.failing = refusing(503)
        many_asked(house, *(at(site, f"/{one}") for one in range(30)))
        work_on(house, 70, 6 * HOUR)
        assert states(house) == ["failed"] * 30 and house.requests == 0 and len(archive.asked) < 100


def test_a_busy_archive_is_still_asked_how_far_captures_are(tmp_path: Path, site: Stranger, archive: Orders) -> None:
    with storehouse(tmp_path, keeping(site, archive)) as house:
        archive.is_pending = True
        house.asked(at(site, "/first"))
        work_on(house, 1)
        many_asked(house, *(at(site, f"/{one}") for one in range(3 * AT_ONCE)))
        archive.is_pending, archive.is_busy = False, True
        house.run("preserve")
        assert states(house)[0] == "claimed" and states(house).count("owed") == 3 * AT_ONCE
        archive.is_busy = False
        house.later(HOUR)
        work_on(house, 8)
        assert states(house).count("claimed") > AT_ONCE, "its others were not left alone for that"


def test_an_original_that_is_gone_is_given_up_after_a_second_look(
    tmp_path: Path, site: Stranger, archive: Orders
) -> None:
    with storehouse(tmp_path, keeping(site, archive)) as house:
        house.asked(at(site, "/gone"))
        work_on(house, 5, 600)
        assert states(house) == ["owed"] and site.asked == ["/gone"]
        work_on(house, 2, 1_000)
        assert states(house) == ["failed"] and site.asked == ["/gone"] * 2
        assert "404" in house.preservations()[0].said and house.requests == 0


def test_what_a_name_leads_to_today_is_no_final_word(tmp_path: Path, site: Stranger, archive: Orders) -> None:
    configured = keeping(site, archive)
    with storehouse(tmp_path, configured) as house:
        house.asked(site.at(SITE, "/p.pdf"))
        portal = Preserve(configured, lambda _host, _port: ["10.0.0.1"], shared_fetching())
        house.run(portal)
        assert states(house) == ["owed"] and "10.0.0.1" in house.preservations()[0].said and not site.asked
        work_on(house, 4, HOUR)
        assert states(house) == ["claimed"]


def test_where_a_server_sends_today_is_no_final_word(tmp_path: Path, archive: Orders) -> None:
    """A captive portal sends everybody to a page of its own."""
    locations = ["location: http://login.example/"]

    def script(_: str, send: Send) -> None:
        send(reply(b"", 302, locations.pop()) if locations else reply(PAPER))

    with stranger(script) as site, storehouse(tmp_path, keeping(site, archive)) as house:
        house.asked(at(site, "/p.pdf"))
        house.run("preserve")
        assert states(house) == ["owed"] and "login.example" in house.preservations()[0].said
        house.later(HOUR)
        work_on(house, 3)
        assert states(house) == ["claimed"]


def test_an_address_that_stands_for_many_is_never_asked_for(tmp_path: Path, site: Stranger, archive: Orders) -> None:
    with storehouse(tmp_path, keeping(site, archive)) as house:
        house.asked(at(site, "/p?x=*"))
        house.run("preserve")
        assert states(house) == ["failed"] and "stands for many" in house.preservations()[0].said
        assert not site.asked and not archive.asked


def test_a_capture_of_another_address_is_not_taken_for_ones_own(
    tmp_path: Path, site: Stranger, archive: Orders
) -> None:
    with storehouse(tmp_path, keeping(site, archive)) as house:
        stamp = house.home.signatory("event").now().translate(str.maketrans("", "", "-:TZ"))
        archive.index = [["timestamp", "original", "statuscode"], [stamp, at(site, "/p.pdf?more"), "200"]]
        house.asked(at(site, "/p.pdf"))
        work_on(house, 2)
        assert archive.ordered == [at(site, "/p.pdf")]


@pytest.mark.parametrize("is_accepted", [False, True], ids=["held", "accepted"])
def test_a_strangers_form_is_no_claim_of_the_registrys(
    tmp_path: Path, site: Stranger, archive: Orders, is_accepted: bool
) -> None:
    with storehouse(tmp_path, keeping(site, archive)) as house:
        url = at(site, "/p.pdf")
        signatory = house.home.signatory("event")
        stated = {
            "location": {"kind": "wayback", "url": f"{archive.address}/web/20010101000000/{url}"},
            "captured_at": signatory.now(),
            "grade": "claimed",
            "outcome": "stored",
            "content": {"sha256": "0" * 64, "bytes": 1, "media_type": "application/pdf"},
        }
        nobody = {"kind": "anonymous", "subject": "a" * 64}
        event, texts = signatory.sign("storage_attestation", house.subject, stated, on_behalf_of=nobody)
        house.home.append([Submission(event, texts)])
        if is_accepted:
            moderator = house.person("moderator", "moderator")
            accepted, _ = moderator.sign(
                "moderation_decision", house.subject, {"decision": "accepted"}, target=event.id_text
            )
            house.home.append([Submission(accepted)])
        house.asked(url)
        work_on(house, 3)
        assert archive.ordered == [url] and house.requests == 0
        assert len(house.said("claimed")) == 2


@pytest.mark.parametrize("decision", ["rejected", "accepted"])
def test_a_claim_that_a_moderator_rejected_is_none(
    tmp_path: Path, site: Stranger, archive: Orders, decision: str
) -> None:
    with storehouse(tmp_path, keeping(site, archive)) as house:
        url = at(site, "/p.pdf")
        claim = house.claim("wayback", f"{archive.address}/web/20010101000000/{url}", "0" * 64)
        moderator = house.person("moderator", "moderator")
        decided, _ = moderator.sign(
            "moderation_decision", house.subject, {"decision": decision}, target=claim.event.id_text
        )
        house.home.append([Submission(decided)])
        house.asked(url)
        work_on(house, 3)
        assert archive.ordered == ([url] if decision == "rejected" else []) and house.requests == 0


def test_a_request_is_let_go_only_once_the_log_has_the_claim(tmp_path: Path, site: Stranger, archive: Orders) -> None:
    with storehouse(tmp_path, keeping(site, archive)) as house:
        ahead = replace(house.work, clock=lambda: house.clock() + 10 * DAY * 1_000_000)
        house.asked(at(site, "/p.pdf"))
        for _ in range(4):
            run(house.job("preserve"), ahead)  # it signs in a future that the log refuses
            house.later(6)
        assert states(house) == ["telling"] and house.requests == 1 and house.attestations() == []
        assert "waits for the log" in house.preservations()[0].said
        with house.work.database.read() as connection:
            assert len(connection.execute(OUTBOX.select()).all()) == 1
        house.later(11 * DAY)
        for _ in range(2):
            run(house.job("preserve"), ahead)
            house.later(100)
        assert states(house) == ["claimed"] and house.requests == 0 and house.said() == [("claimed", "stored")]


def test_a_claim_that_was_lost_on_its_way_is_made_anew(tmp_path: Path, site: Stranger, archive: Orders) -> None:
    with storehouse(tmp_path, keeping(site, archive)) as house:
        ahead = replace(house.work, clock=lambda: house.clock() + 10 * DAY * 1_000_000)
        house.asked(at(site, "/p.pdf"))
        for _ in range(3):
            run(house.job("preserve"), ahead)
            house.later(6)
        house.work.database.close()
        for suffix in ("", "-wal", "-shm"):
            path = house.home.settings.jobs_path
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        with reopened(house) as again:
            assert again.requests == 1
            work_on(again, 3)
            assert again.said() == [("claimed", "stored")] and again.requests == 0


def test_a_day_brings_no_more_bytes_than_it_may(tmp_path: Path, site: Stranger, archive: Orders) -> None:
    each = len(PAPER + b"/1")
    with storehouse(tmp_path, keeping(site, archive, max_bytes_a_day=3 * each)) as house:
        house.later(DAY - house.clock() // 1_000_000 % DAY)  # so that no day ends meanwhile
        many_asked(house, *(at(site, f"/{one}") for one in range(5)))
        work_on(house, 4)
        assert sorted(states(house)) == ["claimed"] * 3 + ["owed"] * 2 and len(archive.ordered) == 3
        waiting = [owing for owing in house.job("preserve").owing(house.work) if not owing.is_given_up]
        assert len(waiting) == 2 and all("max_bytes_a_day" in owing.waiting for owing in waiting)
        fetched = len(site.asked)
        work_on(house, 4, HOUR)
        house.asked(at(site, "/late"))
        work_on(house, 2)
        assert len(site.asked) == fetched, "nothing is fetched in vain"
        house.later(DAY)
        work_on(house, 4)
        assert states(house) == ["claimed"] * 5 + ["owed"], "the next day brings three more"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    with seaweed(tmp_path_factory.mktemp("weed")) as found:
        yield found


def test_a_dead_bucket_keeps_nobody_from_a_good_one(tmp_path: Path, site: Stranger, store: SeaweedFS) -> None:
    bucket = store.bucket()
    dead = replace(bucket, name="dead", endpoint="http://127.0.0.1:9")
    configured = replace(services(site), storing=Storing(buckets=(dead, replace(bucket, name="good"))))
    with storehouse(tmp_path, configured) as house:
        many_asked(house, *(at(site, f"/{one}") for one in range(AT_ONCE + 5)))
        work_on(house, 4)
        assert states(house, "bucket:good") == ["claimed"] * (AT_ONCE + 5)
        rows = [row for row in house.preservations() if row.place == "bucket:dead"]
        assert sum(row.tries for row in rows) == 1, "one was enough to know"


def test_one_content_at_two_addresses_is_claimed_once_while_the_log_refuses(tmp_path: Path, store: SeaweedFS) -> None:
    with stranger(lambda _, send: send(reply(PAPER))) as site:
        configured = replace(services(site), storing=Storing(buckets=(store.bucket(),)))
        with storehouse(tmp_path, configured) as house:
            ahead = replace(house.work, clock=lambda: house.clock() + 10 * DAY * 1_000_000)
            for name in "ab":
                house.asked(at(site, f"/{name}"))
            for _ in range(3):
                run(house.job("preserve"), ahead)
                house.later(6)
            with house.work.database.read() as connection:
                assert len(connection.execute(OUTBOX.select()).all()) == 1
            assert [row.state for row in house.preservations()] == ["telling"] * 2
            house.later(11 * DAY)
            for _ in range(2):
                run(house.job("preserve"), ahead)
                house.later(100)
            assert house.requests == 0 and house.said() == [("claimed", "stored")]
