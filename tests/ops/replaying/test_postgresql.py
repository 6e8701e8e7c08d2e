"""Replays of a log in PostgreSQL: each worker opens it by itself, by the address in its environment alone."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from ledger.errors import UsageError
from ops.home import Home, create_home
from ops.importers import files
from ops.importers.run import Report, import_sources
from ops.replaying.checking import Course, Mode
from ops.replaying.engines import Engine, Here, Processes
from ops.replaying.places import SchemaPlace, place_of_log
from ops.replaying.replay import replay
from ops.replaying.work import Job, RangeWork
from ops.settings import Settings
from tests.builders import REGISTRY
from tests.logs import Ticking
from tests.ops.homes import BASE_URL, a_line, as_lines


@pytest.fixture
def home(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A registry whose log of several tiles is in PostgreSQL."""
    monkeypatch.setenv("PITH_DATABASE_URL", postgres_url)
    home = create_home(Settings(tmp_path / "data", BASE_URL, database_url=postgres_url), REGISTRY, Ticking())
    papers = tmp_path / "papers.jsonl"
    papers.write_bytes(as_lines(map(a_line, range(290))))
    import_sources(home, files.sources(papers), Report(), lambda _: None)
    return home


def gone_over(home: Home, engine: Engine) -> tuple[str, list[str]]:
    course = Course(home.ledger, home.store, Mode.all, home.store.head().size, tiles=1)
    return replay(course, engine), course.sentences


def test_worker_processes_find_what_one_process_finds(home: Home) -> None:
    place = place_of_log(home.settings)
    assert home.store.head().size > 256
    assert gone_over(home, Processes(place, 2)) == gone_over(home, Here(home.ledger))
    home.close()


def test_what_goes_to_workers_holds_no_address() -> None:
    settings = Settings(Path("data"), BASE_URL, database_url="postgresql://pith:a-secret@db.example/pith")
    work = RangeWork(place_of_log(settings), Job("1", (REGISTRY, ""), "all", 0, 0, ()))
    assert b"a-secret" not in pickle.dumps(work) and "a-secret" not in repr(work)


def test_a_worker_without_an_address_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PITH_DATABASE_URL", raising=False)
    with pytest.raises(UsageError, match="does not know the database"):
        SchemaPlace("pith_log").open()
