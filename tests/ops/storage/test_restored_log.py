"""A log that was restored from a backup while the worker's database stayed: copies are as that log says."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger.payloads import Location
from ops.home import open_home
from ops.jobs.running import run
from ops.jobs.working import opened_work
from ops.storage.looking import Look, Looking
from ops.storage.lost_claims import is_other_log, note_claims, owe_lost_claims
from ops.storage.rows import CLAIMED, OWED, add_preservation
from tests.ops.storage.storehouses import SITE, Storehouse, services, storehouse
from tests.ops.storage.strangers import Send, Stranger, reply, stranger

CONTENT = b"%PDF the paper as it was deposited"
RIGHT = sha256(CONTENT).hexdigest()


@contextmanager
def a_site() -> Iterator[Stranger]:
    def page(_target: str, send: Send) -> None:
        send(reply(CONTENT, 200, "content-type: application/pdf"))

    with stranger(page) as found:
        yield found


def backup(house: Storehouse, folder: Path) -> Path:
    path = folder / "backup.sqlite"
    with closing(sqlite3.connect(house.home.settings.ledger_path)) as log, closing(sqlite3.connect(path)) as copy:
        log.backup(copy)
    return path


@contextmanager
def restored(house: Storehouse, copy: Path) -> Iterator[Storehouse]:
    house.work.database.close()
    house.home.close()
    settings = house.home.settings
    for ending in ("", "-wal", "-shm"):
        Path(f"{settings.ledger_path}{ending}").unlink(missing_ok=True)
    copy.replace(settings.ledger_path)
    home = open_home(settings, house.clock, house.home.random)
    try:
        with opened_work(home, house.work.services) as work:
            yield Storehouse(work, house.clock, house.subject)
    finally:
        home.close()


def test_copies_of_lost_claims_vanish_and_lost_findings_are_made_again_once(tmp_path: Path) -> None:
    with a_site() as site, storehouse(tmp_path, services(site)) as house:
        kept, gone = site.at(SITE, "/kept.pdf"), site.at(SITE, "/gone.pdf")
        house.claim("https", kept, RIGHT)
        copy = backup(house, tmp_path)
        house.run("check")
        house.claim("https", gone, RIGHT)
        house.run("check")
        assert house.said("fetched") == [("fetched", "stored")] * 2
        with restored(house, copy) as again:
            assert again.said("fetched") == []
            for _ in range(3):
                again.run("check")
            assert again.said("fetched") == [("fetched", "stored")]
            assert again.is_verified
            assert [row.url for row in again.copies()] == [kept]


def test_what_was_claimed_and_is_gone_from_the_log_is_owed_again(tmp_path: Path) -> None:
    with a_site() as site, storehouse(tmp_path, services(site)) as house:
        kept, gone = "https://archive.example/web/20260101000000/https://a.example/", "https://b.example/bucket/one"
        lease = house.work.lease("preserve")

        def claimed(number: int, kind: str, url: str) -> None:
            house.claim(kind, url, RIGHT)
            facts = {"subject": house.subject, "url": f"https://{number}.example/", "place": "archive:one"}
            facts |= {"request_id": str(number), "state": CLAIMED, "location": f"{kind} {url}"}
            with lease.write() as connection:
                add_preservation(connection, {**facts, "asked_at": house.clock()})

        assert lease.take()
        claimed(1, "wayback", kept)
        copy = backup(house, tmp_path)
        claimed(2, "s3", gone)
        note_claims(house.work, lease)
        lease.release()
        with restored(house, copy) as again:
            mine = again.work.lease("preserve")
            assert mine.take()
            assert is_other_log(again.work)
            owe_lost_claims(again.work, mine)
            assert [row.state for row in again.preservations()] == [CLAIMED, OWED]
            assert again.preservations()[1].location == ""
            assert not is_other_log(again.work)


def test_one_copy_whose_look_fails_in_an_unforeseen_way_keeps_no_other_waiting(tmp_path: Path) -> None:
    with a_site() as site, storehouse(tmp_path, services(site)) as house:
        bad, good = site.at(SITE, "/bad.pdf"), site.at(SITE, "/good.pdf")
        house.claim("https", bad, RIGHT)
        house.claim("https", good, RIGHT)
        job = house.job("check")
        job._looking = Surprised(house, bad)  # type: ignore[attr-defined]
        assert run(job, house.work).said == "1 stored"
        (row,) = [row for row in house.copies() if row.url == bad]
        assert "nobody foresaw: KeyError" in row.said
        assert row.next_at > house.clock()  # and it is not looked at again at once


class Surprised(Looking):
    """What looks at copies, where one answers what our parsers have never seen."""

    def __init__(self, house: Storehouse, surprising: str) -> None:
        super().__init__(house.work.services, house.clock, lambda _host, _port: ["127.0.0.1"])
        self._surprising = surprising

    def look(self, location: Location, *known: Any) -> Look:
        if location.url == self._surprising:
            raise KeyError("a header that nobody sends")
        return super().look(location, *known)
