"""Requests that a key signs: by whom, when, once, for this registry, and nothing else of them counts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api.settings import ApiSettings
from ledger.times import seconds
from tests.api.identity.serving import Identities, identities
from tests.builders import ALICE, BOB, CAROL, MODERATOR, Who, contributor, key, nonce

PATH = "/api/identity/email/confirm"
BODY = b'{"code":"AAAA-BBBB"}'
"""Asked with the right signature, this is answered with `wrong-code`: who asks was known."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identities]:
    with identities(tmp_path_factory.mktemp("requests"), ApiSettings) as served:
        yield served


def unauthorized(served: Identities, answer: Any) -> str:
    served.refused(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Pith-Key ")
    return str(answer.json()["detail"])


@pytest.mark.parametrize("who", [ALICE, BOB, MODERATOR], ids=["alice", "bob", "moderator"])
def test_a_registered_key_is_known(served: Identities, who: Who) -> None:
    served.refused(served.ask(who, "POST", PATH, BODY), 403, "wrong-code")


def test_a_key_is_known_from_the_moment_it_is_registered(served: Identities) -> None:
    for number in range(20):
        who = contributor(f"newcomer-{number}")
        served.registry.admit(served.registry.world.registration(who))
        served.refused(served.ask(who, "POST", PATH, BODY), 403, "wrong-code")


def test_nobody_is_known_without_credentials(served: Identities) -> None:
    unauthorized(served, served.client.post(PATH, content=BODY))


@pytest.mark.parametrize("header", ["", "Pith-Key", "Bearer x", "Basic YTpi", 'Pith-Key key_id="x"', "é", "a" * 4000])
def test_other_credentials_are_none(served: Identities, header: str) -> None:
    answer = served.client.post(PATH, content=BODY, headers={"authorization": header.encode("latin-1")})
    unauthorized(served, answer)


def test_two_headers_are_one_too_many(served: Identities) -> None:
    headers = [("authorization", served.credentials(ALICE, "POST", PATH, BODY)) for _ in range(2)]
    served.refused(served.client.post(PATH, content=BODY, headers=headers), 400, "ambiguous-request")


def test_a_key_that_nobody_registered_is_not_known(served: Identities) -> None:
    assert "not registered" in unauthorized(served, served.ask(CAROL, "POST", PATH, BODY))


def test_the_registrys_own_keys_are_nobodys(served: Identities) -> None:
    served.refused(served.ask(served.registry.world.registry, "POST", PATH, BODY), 403, "forbidden")


def test_a_revoked_key_is_refused(served: Identities) -> None:
    who = contributor("who-loses-a-key")
    served.registry.admit(served.registry.world.registration(who), served.registry.world.revocation(who))
    served.registry.caught_up()
    assert "revoked" in unauthorized(served, served.ask(who, "POST", PATH, BODY))


def test_an_expired_key_is_refused(served: Identities) -> None:
    who = contributor("whose-key-ends")
    end = seconds(served.clock() + 3_600_000_000)
    served.registry.admit(served.registry.world.registration(who, not_after=end))
    served.refused(served.ask(who, "POST", PATH, BODY), 403, "wrong-code")
    served.clock.by += 3_700
    try:
        assert "expired" in unauthorized(served, served.ask(who, "POST", PATH, BODY))
    finally:
        served.clock.by -= 3_700


def test_a_request_is_taken_once(served: Identities) -> None:
    header = {"authorization": served.credentials(ALICE, "POST", PATH, BODY)}
    served.refused(served.client.post(PATH, content=BODY, headers=header), 403, "wrong-code")
    assert "before" in unauthorized(served, served.client.post(PATH, content=BODY, headers=header))


def test_two_keys_may_use_one_nonce(served: Identities) -> None:
    for who in (ALICE, BOB):
        served.refused(served.ask(who, "POST", PATH, BODY, nonce=nonce(77)), 403, "wrong-code")


def test_a_nonce_is_remembered_for_as_long_as_its_request_could_be_taken(served: Identities) -> None:
    ahead = seconds(served.clock() + 55_000_000)
    header = {"authorization": served.credentials(ALICE, "POST", PATH, BODY, now=ahead)}
    served.refused(served.client.post(PATH, content=BODY, headers=header), 403, "wrong-code")
    served.clock.by += 100
    try:
        served.ask(BOB, "POST", PATH, BODY)  # forgets what may be forgotten
        assert "before" in unauthorized(served, served.client.post(PATH, content=BODY, headers=header))
    finally:
        served.clock.by -= 100


@pytest.mark.parametrize("away", [-62, 62, -86_400, 86_400])
def test_a_request_of_another_time_is_refused(served: Identities, away: int) -> None:
    when = seconds(served.clock() + away * 1_000_000)
    assert "60 seconds" in unauthorized(served, served.ask(ALICE, "POST", PATH, BODY, now=when))


@pytest.mark.parametrize("away", [-57, 57])
def test_clocks_may_differ_a_little(served: Identities, away: int) -> None:
    when = seconds(served.clock() + away * 1_000_000)
    served.refused(served.ask(ALICE, "POST", PATH, BODY, now=when), 403, "wrong-code")


@pytest.mark.parametrize(
    "changes",
    [
        {"registry": "other.registry"},
        {"method": "GET"},
        {"path": PATH + "?x=1"},
        {"path": "/api/identity/ssh"},
        {"body": b'{"code":"AAAA-CCCC"}'},
        {"body": b""},
        {"secret_key": key("mallory")},
    ],
)
def test_each_part_of_a_request_must_be_what_was_signed(served: Identities, changes: dict[str, Any]) -> None:
    unauthorized(served, served.ask(ALICE, "POST", PATH, BODY, **changes))


def test_the_query_is_part_of_what_is_signed(served: Identities) -> None:
    path = PATH + "?a=%20b&c"
    served.refused(served.ask(ALICE, "POST", path, BODY), 403, "wrong-code")
    header = {"authorization": served.credentials(ALICE, "POST", path, BODY)}
    unauthorized(served, served.client.post(PATH + "?a=%20b&d", content=BODY, headers=header))


def test_somebody_elses_key_id_needs_their_signature(served: Identities) -> None:
    header = served.credentials(CAROL, "POST", PATH, BODY).replace(CAROL.key.key_id, ALICE.key.key_id)
    unauthorized(served, served.client.post(PATH, content=BODY, headers={"authorization": header}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"{}",
        b'{"code":7}',
        b'{"code":""}',
        b'{"code":"A","code":"B"}',
        b'{"code":"A","other":1}',
        b'{"code":"\\ud800"}',
        b"\xff",
        b"[" * 20_000,
        b'{"code":"' + b"A" * 41 + b'"}',
        b'{"code":1.5}',
    ],
)
def test_a_malformed_body_is_refused_once_it_is_known_who_sent_it(served: Identities, body: bytes) -> None:
    answer = served.ask(ALICE, "POST", PATH, body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert served.client.post(PATH, content=body).status_code == 401


def test_a_long_body_is_not_read(served: Identities) -> None:
    assert served.ask(ALICE, "POST", PATH, b'{"code":"' + b"A" * 70_000 + b'"}').status_code == 413


def test_of_many_equal_requests_at_once_one_is_taken(served: Identities) -> None:
    header = {"authorization": served.credentials(ALICE, "POST", PATH, BODY)}
    with ThreadPoolExecutor(8) as workers:
        answers = list(workers.map(lambda _: served.client.post(PATH, content=BODY, headers=header), range(8)))
    assert sorted(answer.status_code for answer in answers) == [401] * 7 + [403]
