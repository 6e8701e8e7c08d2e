"""The file of services while a worker runs."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ops.jobs.services_watch import ServicesWatch
from ops.services import Anchoring, Authority, Services
from ops.services_file import read_services

AUTHORITY = '[[anchoring.authorities]]\nurl = "https://{}.example"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "services.toml"
    path.write_text(AUTHORITY.format("a"))
    return path


def watching(path: Path) -> ServicesWatch:
    return ServicesWatch(path, read_services(path, {}), {})


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_changed_file_is_taken_up_once_when_two_looks_find_the_same(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    watch = watching(path)
    assert watch.changed() is None
    path.write_text(AUTHORITY.format("b"))
    assert watch.changed() is None  # perhaps it is half written
    assert watch.changed() == Services(Anchoring(authorities=(Authority("https://b.example"),)))
    assert watch.changed() is None
    assert said(caplog) == ["services.toml changed: starting anew"]


def test_a_file_that_says_the_same_in_other_words_changes_nothing(path: Path) -> None:
    watch = watching(path)
    path.write_text("# of ours\n" + AUTHORITY.format("a"))
    assert [watch.changed() for _ in range(3)] == [None, None, None]


def test_a_faulty_file_is_said_once_with_place_and_cure_and_what_it_said_before_stays(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = watching(path)
    path.write_text("[anchoring]\nuse = 2\n" + AUTHORITY.format("a"))
    assert [watch.changed() for _ in range(5)] == [None] * 5
    (message,) = said(caplog)
    assert "anchoring.use" in message and "name more, or write use = 1" in message
    path.write_text(AUTHORITY.format("a"))
    assert [watch.changed() for _ in range(3)] == [None] * 3  # as it was
    path.write_text(AUTHORITY.format("c"))
    assert [bool(watch.changed()) for _ in range(3)] == [False, True, False]


def test_another_secret_in_its_file_is_a_change(tmp_path: Path) -> None:
    path, secret = tmp_path / "services.toml", tmp_path / "node"
    secret.write_text("http://u:one@127.0.0.1")
    path.write_text('[[anchoring.headers]]\nkind = "node"\naddress_file = "node"\n')
    watch = watching(path)
    secret.write_text("http://u:two@127.0.0.1")
    assert [bool(watch.changed()) for _ in range(3)] == [False, True, False]
