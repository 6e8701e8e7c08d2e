"""A log that was restored from a backup while the worker's database stayed: what is gone is done again, once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from ops.home import open_home
from ops.jobs.anchoring.outside import Outside
from ops.jobs.working import opened_work
from tests.ops.jobs.anchoring.anchorages import HOUR, Anchorage, anchorage


def backup(found: Anchorage, folder: Path) -> Path:
    """Copy the log as it is, as one may while it is in use."""
    path = folder / "backup.sqlite"
    with closing(sqlite3.connect(found.home.settings.ledger_path)) as log, closing(sqlite3.connect(path)) as copy:
        log.backup(copy)
    return path


@contextmanager
def restored(found: Anchorage, copy: Path) -> Iterator[Anchorage]:
    """Go on with a copy of the log, and with all else as it is by now."""
    found.work.database.close()
    found.home.close()
    settings = found.home.settings
    for ending in ("", "-wal", "-shm"):
        Path(f"{settings.ledger_path}{ending}").unlink(missing_ok=True)
    copy.replace(settings.ledger_path)
    home = open_home(settings, found.clock, found.home.random)
    try:
        with opened_work(home, found.services) as work:
            work = replace(work, random=found.work.random)
            outside = Outside(found.services.anchoring, found.outside.clock, 5.0)
            yield replace(found, home=home, work=work, outside=outside)
    finally:
        home.close()


def test_a_checkpoint_whose_anchors_are_gone_is_anchored_again_once(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=1, authority=True) as found:
        found.run("checkpoint")
        copy = backup(found, tmp_path)
        found.run("anchor")
        assert found.counted() == {"pending": 1, "confirmed": 1}
        with restored(found, copy) as again:
            assert again.counted() == {}
            for _ in range(3):
                again.run()
                again.pass_time(2 * HOUR)
            assert again.counted() == {"pending": 1, "confirmed": 1}
            assert again.owing("anchor") == []
            again.check()


def test_a_promise_whose_confirmation_is_gone_is_a_promise_again_and_confirmed_once(tmp_path: Path) -> None:
    with anchorage(tmp_path) as found:
        found.run()
        found.run("checkpoint")
        copy = backup(found, tmp_path)
        found.keep_promises()
        found.pass_time(HOUR)
        found.run("upgrade")
        assert found.counted() == {"pending": 1, "confirmed": 1}
        with restored(found, copy) as again:
            for _ in range(3):
                again.run("anchor", "stamp", "upgrade")
                again.pass_time(2 * HOUR)
            assert again.counted() == {"pending": 1, "confirmed": 1}
            assert sum(found.calendars[0].submitted.values()) == 1
            again.check()


def test_it_is_noticed_too_where_the_log_has_grown_past_the_cursor_since(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=0, authority=True) as found:
        found.run("checkpoint")
        copy = backup(found, tmp_path)
        found.run("anchor")
        size = found.home.store.head().size
        with restored(found, copy) as again:
            while again.home.store.head().size <= size:
                again.event()
            again.run("checkpoint")
            again.pass_time(2 * HOUR)
            again.run("anchor", "upgrade", "anchor")
            assert again.counted() == {"confirmed": 1}
            again.check()


def test_a_record_whose_anchor_is_gone_is_stamped_again(tmp_path: Path) -> None:
    with anchorage(tmp_path, authority=True) as found:
        subject = found.paper()
        found.run()
        found.run("checkpoint")
        copy = backup(found, tmp_path)
        before = found.counted()
        found.ask(subject)
        found.run("stamp")
        assert len(found.anchors()) == sum(before.values()) + 2
        with restored(found, copy) as again:
            for _ in range(3):
                again.run("stamp", "upgrade")
                again.pass_time(2 * HOUR)
            assert len(again.anchors()) == sum(before.values()) + 2
            assert [entry.event.subject for entry in again.anchors()].count(subject) == 2
            again.check()


def test_a_record_that_is_gone_itself_keeps_no_other_from_being_stamped(tmp_path: Path) -> None:
    with anchorage(tmp_path, number=0, authority=True) as found:
        found.run("checkpoint")
        copy = backup(found, tmp_path)
        gone = found.paper()
        found.ask(gone)
        found.run("stamp")
        with restored(found, copy) as again:
            again.event()  # so that the next paper is another one
            other = again.paper()
            assert other != gone
            again.ask(other)
            again.pass_time(HOUR)
            again.run("stamp")
            again.run("stamp")
            assert [entry.event.subject for entry in again.anchors()] == [other]
            (owed,) = again.owing("stamp")
            assert "nothing here is called" in owed.waiting or "no record" in owed.waiting
