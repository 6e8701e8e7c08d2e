"""Idempotency-Key: one key, one body, one event, whatever fails or races in between."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from api.private import keep_secret
from api.submitting.idempotency import KEPT, REMEMBERED, Attempt, KeyReusedError, forget, keep, known, read_key, settle
from ledger.database import Database
from ledger.errors import InvalidFieldError
from ledger.events import Event
from ops.migrations.lines import PRIVATE
from tests.api.registry import Registry
from tests.builders import NUMBER, World, disclosed
from tests.ops.shared import BOTH, tables_in

FORM = {"author_name": "A. Author", "statement": "Nobody else has ever put it in these words."}
ADDRESS = f"/pith/{NUMBER[10:]}/action/author_attestation"
UUID = "8e03978e-40d5-43dd-bc93-6894a57f9324"


def send(registry: Registry, key: str, form: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
    return registry.client.post(ADDRESS, json=form or FORM, headers={"idempotency-key": key, **headers})


def size(registry: Registry) -> int:
    return registry.home.store.head().size


def kept_events(registry: Registry) -> list[bytes]:
    with registry.parts.private.read() as connection:
        return list(connection.execute(select(KEPT.c.event).order_by(KEPT.c.made_at)).scalars())


# The header.


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (f'"{UUID}"', UUID),
        (UUID, UUID),
        (f' "{UUID}" ', UUID),
        ('"with a space"', "with a space"),
        (r'"a \"quote\" and a \\"', 'a "quote" and a \\'),
        ("x" * 255, "x" * 255),
        ('"' + "x" * 255 + '"', "x" * 255),
        ("k", "k"),
    ],
)
def test_a_key_is_a_string_or_a_word(header: str, key: str) -> None:
    assert read_key([header]) == key


@pytest.mark.parametrize(
    "headers",
    [
        [""],
        ['""'],
        ['"open'],
        ['open"quote" "'],
        ["x" * 256],
        ['"' + "x" * 256 + '"'],
        ["two words"],
        ["caf\xe9"],
        ['"a\x00b"'],
        [r'"a\b"'],
        ['"a";b=1'],
        ["one", "two"],
        ["one", "one"],
    ],
)
def test_what_is_no_key_is_refused(headers: list[str]) -> None:
    with pytest.raises(InvalidFieldError):
        read_key(headers)


def test_no_header_is_no_key() -> None:
    assert read_key([]) is None


# The table.


@pytest.fixture(params=BOTH)
def private(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with tables_in(request.param, PRIVATE, tmp_path, request) as database:
        keep_secret(database, bytes)
        yield database


def attempt(
    private: Database, key: str = "k", asker: str = "client 1", path: str = "p", body: bytes = b"{}"
) -> Attempt:
    return Attempt.of(private, key, asker, path, body)


def an_event() -> Event:
    return World().author()


def rows(private: Database) -> int:
    with private.read() as connection:
        return int(connection.execute(select(func.count()).select_from(KEPT)).scalar_one())


def test_a_key_stands_for_the_first_event_kept_under_it(private: Database) -> None:
    world, texts = World(), {"statement": disclosed("I wrote this.")}
    first = keep(private, attempt(private), world.author(), texts, 0)
    second = keep(private, attempt(private), world.author(), texts, 1)
    assert second.event.raw == first.event.raw and second.disclosures({"statement": "I wrote this."}) == texts


def test_a_key_with_another_body_is_refused(private: Database) -> None:
    keep(private, attempt(private), an_event(), {}, 0)
    other = attempt(private, body=b"[]")
    for ask in (lambda: known(private, other, 0), lambda: keep(private, other, an_event(), {}, 0)):
        with pytest.raises(KeyReusedError) as caught:
            ask()
        assert caught.value.place == "Idempotency-Key" and caught.value.cure


@pytest.mark.parametrize("other", [{"key": "l"}, {"asker": "client 2"}, {"path": "q"}, {"key": 'k","client 1'}])
def test_another_key_asker_or_path_is_another_matter(private: Database, other: dict[str, str]) -> None:
    keep(private, attempt(private), an_event(), {}, 0)
    assert known(private, attempt(private, **other), 0) is None


def test_a_key_is_forgotten_after_a_day(private: Database) -> None:
    keep(private, attempt(private), an_event(), {}, 0)
    assert known(private, attempt(private), REMEMBERED - 1)
    assert known(private, attempt(private), REMEMBERED) is None
    assert known(private, attempt(private, body=b"[]"), REMEMBERED) is None


def test_what_is_older_than_a_day_goes_with_the_next_that_is_kept(private: Database) -> None:
    keep(private, attempt(private), an_event(), {}, 0)
    keep(private, attempt(private, "young"), an_event(), {}, 1)
    keep(private, attempt(private, "new"), an_event(), {}, REMEMBERED)
    assert rows(private) == 2 and known(private, attempt(private, "young"), REMEMBERED)


def test_no_salt_is_left_once_the_log_has_the_event(private: Database) -> None:
    keep(private, attempt(private), an_event(), {"statement": disclosed("I wrote this.")}, 0)
    settle(private, attempt(private))
    found = known(private, attempt(private), 0)
    assert found and found.disclosures({}) == {}


def test_only_the_refused_event_itself_is_forgotten(private: Database) -> None:
    world = World()
    kept = keep(private, attempt(private), world.author(), {}, 0)
    forget(private, attempt(private), world.author())
    assert rows(private) == 1
    forget(private, attempt(private), kept.event)
    assert rows(private) == 0


# Over HTTP.


def test_a_repeated_form_is_the_same_event_and_the_same_person(registry: Registry) -> None:
    first, before = send(registry, UUID), size(registry)
    again = send(registry, f'"{UUID}"')
    assert (first.status_code, again.status_code, size(registry)) == (201, 200, before)
    same = ("event_id", "position", "received_at", "person", "status")
    assert [again.json()[name] for name in same] == [first.json()[name] for name in same]


def test_the_salts_go_when_the_log_has_the_event(registry: Registry) -> None:
    send(registry, "salts")
    with registry.parts.private.read() as connection:
        salts = connection.execute(select(KEPT.c.salts).order_by(KEPT.c.made_at.desc())).scalars().first()
    assert salts == b"{}"


def test_a_form_in_another_spelling_is_the_same_form(registry: Registry) -> None:
    first = send(registry, "spelling")
    body = (
        b'{ "statement":"Nobody else has ever put it in these words.",\n"author_name":"\\u0041. Author","orcid":null}'
    )
    again = registry.client.post(
        ADDRESS, content=body, headers={"content-type": "application/json", "idempotency-key": "spelling"}
    )
    assert again.json()["event_id"] == first.json()["event_id"]


def test_another_form_under_the_same_key_is_refused(registry: Registry) -> None:
    send(registry, "another-form")
    before = size(registry)
    answer = send(registry, "another-form", {**FORM, "author_name": "B. Author"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:pith:error:idempotency-key-reused")
    assert size(registry) == before


def test_without_a_key_a_form_that_is_sent_twice_is_two_events(registry: Registry) -> None:
    answers = [registry.client.post(ADDRESS, json=FORM).json() for _ in range(2)]
    assert answers[0]["event_id"] != answers[1]["event_id"] and answers[0]["person"] != answers[1]["person"]


def test_two_people_may_use_the_same_key(registry: Registry) -> None:
    people = [registry.client.post(ADDRESS, json=FORM).json()["person"] for _ in range(2)]
    first, second = (send(registry, "shared", **{"pith-person": person}) for person in people)
    assert first.json()["event_id"] != second.json()["event_id"]


def test_the_same_key_at_another_address_is_another_matter(registry: Registry) -> None:
    send(registry, "everywhere")
    target = {"target": "C1", "about": "it", "text": "no"}
    answer = registry.client.post(
        f"/pith/{NUMBER[10:]}/action/challenge", json=target, headers={"idempotency-key": "everywhere"}
    )
    assert answer.status_code == 201


def test_a_key_that_is_none_is_refused(registry: Registry) -> None:
    answer = send(registry, "two words")
    assert (answer.status_code, answer.json()["place"]) == (400, "Idempotency-Key")


def test_concurrent_repetitions_are_one_event(registry: Registry) -> None:
    before, together = size(registry), threading.Barrier(8)

    def repeat(_: int) -> httpx.Response:
        with httpx.Client(base_url=registry.address, timeout=30) as client:
            together.wait(30)
            return client.post(ADDRESS, json=FORM, headers={"idempotency-key": "at-once"})

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(repeat, range(8)))
    assert len({answer.json()["event_id"] for answer in answers}) == 1
    assert len({answer.json()["person"] for answer in answers}) == 1
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert size(registry) == before + 1


@contextmanager
def full_disk(registry: Registry) -> Iterator[None]:
    """Let the log's database refuse every new entry, as it would without space."""
    with closing(sqlite3.connect(registry.home.settings.ledger_path, timeout=30)) as connection:
        connection.execute(
            "CREATE TRIGGER full_disk BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
        connection.commit()
        try:
            yield
        finally:
            connection.execute("DROP TRIGGER full_disk")
            connection.commit()


def test_what_was_kept_and_not_appended_is_appended_by_the_repetition(registry: Registry) -> None:
    before = size(registry)
    with full_disk(registry):
        answer = send(registry, "crash")
    assert (answer.status_code, size(registry)) == (503, before)
    kept = kept_events(registry)[-1]
    again = send(registry, "crash")
    assert (again.status_code, size(registry)) == (201, before + 1)
    assert registry.home.store.entry(before).event.raw == kept
    assert send(registry, "crash").json()["event_id"] == again.json()["event_id"]


def test_the_texts_come_with_the_repetition(registry: Registry) -> None:
    with full_disk(registry):
        send(registry, "texts")
    position = send(registry, "texts").json()["position"]
    found = registry.home.store.disclosures([position])[position]["statement"]
    assert found.text == FORM["statement"]


def test_a_refused_form_may_be_mended_under_its_key(registry: Registry) -> None:
    address = f"/pith/{NUMBER[10:]}/action/challenge"
    form = {"target": f"sha256:{'0' * 64}", "about": "it", "text": "no"}
    refused = registry.client.post(address, json=form, headers={"idempotency-key": "mended"})
    mended = registry.client.post(address, json={**form, "target": "C1"}, headers={"idempotency-key": "mended"})
    assert (refused.json()["type"], mended.status_code) == ("urn:pith:error:target-missing", 201)


def test_private_texts_never_stand_among_the_keys(registry: Registry) -> None:
    with full_disk(registry):
        send(registry, "unfinished", {**FORM, "statement": "A sentence that stands nowhere else."})
    files = list(registry.home.settings.private_path.parent.glob("private.db*"))
    assert files and not any(b"stands nowhere else" in file.read_bytes() for file in files)
