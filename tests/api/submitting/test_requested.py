"""Requests that wait for the jobs: each open once, in the order they were asked, and never more than get done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api.private import keep_secret
from api.submitting.requested import (
    MAX_OPEN,
    MAX_OPEN_OF_ONE,
    Kind,
    Requested,
    RequestsFullError,
    ask,
    open_requests,
    remove,
)
from ledger.database import Database
from ops.migrations.lines import PRIVATE
from tests.ops.shared import BOTH, tables_in

SUFFIX = "QKNOCXGU37VTEACJ427TX64VQJ"


@pytest.fixture(params=BOTH)
def private(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with tables_in(request.param, PRIVATE, tmp_path, request) as database:
        keep_secret(database, os.urandom)
        yield database


def asked(private: Database, kind: Kind = "timestamp", suffix: str = SUFFIX, url: str = "", now: int = 1) -> Requested:
    return ask(private, kind, suffix, url, now, os.urandom)


def test_the_same_request_is_one_while_it_is_open(private: Database) -> None:
    first = asked(private, now=1)
    assert asked(private, now=2) == first
    assert open_requests(private, 10) == [first]


def test_another_kind_paper_or_address_is_another_request(private: Database) -> None:
    made = [
        asked(private, now=1),
        asked(private, "preserve", now=2, url="https://a.example/"),
        asked(private, "preserve", now=3, url="https://b.example/"),
        asked(private, suffix="B" * 26, now=4),
    ]
    assert open_requests(private, 10) == made


def test_the_first_asked_are_the_first_given(private: Database) -> None:
    times = [5, 3, 4, 1, 2]
    for at in times:
        asked(private, suffix=str(at) * 26, now=at)
    assert [found.asked_at for found in open_requests(private, 3)] == [1, 2, 3]


def test_one_kind_can_be_asked_for_alone(private: Database) -> None:
    asked(private, now=1)
    preserve = asked(private, "preserve", url="https://a.example/", now=2)
    assert open_requests(private, 10, "preserve") == [preserve]


def test_a_removed_request_can_be_asked_anew_and_has_another_id(private: Database) -> None:
    first = asked(private)
    remove(private, [first.id])
    again = asked(private)
    assert again.id != first.id and open_requests(private, 10) == [again]


def test_removing_what_is_not_there_leaves_the_rest(private: Database) -> None:
    kept = asked(private)
    remove(private, ["0" * 32])
    remove(private, [])
    assert open_requests(private, 10) == [kept]


def test_one_paper_does_not_take_all_there_is(private: Database) -> None:
    for at in range(MAX_OPEN_OF_ONE):
        asked(private, "preserve", url=f"https://a.example/{at}")
    with pytest.raises(RequestsFullError, match="about this paper"):
        asked(private, "preserve", url="https://a.example/further")
    asked(private, "timestamp")
    asked(private, "preserve", suffix="B" * 26, url="https://a.example/further")


@pytest.mark.parametrize("private", ["sqlite"], indirect=True)
def test_a_flood_is_stopped_and_leaves_room_for_the_other_kind(private: Database) -> None:
    for at in range(MAX_OPEN):
        asked(private, suffix=f"{at:A>26}")
    with pytest.raises(RequestsFullError) as refused:
        asked(private, suffix="B" * 26)
    assert refused.value.headers == {"retry-after": "3600"}
    assert len(open_requests(private, 2 * MAX_OPEN)) == MAX_OPEN
    asked(private, "preserve", url="https://a.example/")
    assert asked(private, suffix=f"{0:A>26}") in open_requests(private, MAX_OPEN)


def test_many_at_once_ask_for_one_thing_once(private: Database) -> None:
    with ThreadPoolExecutor(8) as workers:
        found = {made.id for made in workers.map(lambda _: asked(private), range(40))}
    assert found == {request.id for request in open_requests(private, 10)} and len(found) == 1
