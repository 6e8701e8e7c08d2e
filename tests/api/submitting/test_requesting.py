"""Forms that leave the proof out: the registry is asked to stamp a record, or to preserve a copy, over HTTP."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from api.settings import ApiSettings
from api.submitting.requested import MAX_OPEN_OF_ONE, Requested, open_requests, remove
from ledger.events import Event
from ledger.records import identify
from ops.regtest import stamp
from tests.api.registry import BASE_URL, Registry, a_registry
from tests.builders import ALICE, NUMBER, OTHER_NUMBER, OTHER_PAPER, OTHER_RECORD, SESSION, SHA256, World

SUFFIX: Final = NUMBER[10:]
STAMP: Final = f"/pith/{SUFFIX}/action/timestamp_anchor"
PRESERVE: Final = f"/pith/{SUFFIX}/action/storage_attestation"
URL: Final = "https://arxiv.org/pdf/2606.00001"
OFFERING: Final = ApiSettings(BASE_URL, stamps=True, preserves=("arxiv.org", "*.archive.example"))
OTHER_HASH: Final = {"what": "record", "sha256": identify(OTHER_RECORD).digest.hex()}
REGTEST: Final = {"network": "regtest", "minimum_work_bits": 0, "checkpoints": {}}


@pytest.fixture
def offering(tmp_path: Path) -> Iterator[Registry]:
    """A registry whose jobs stamp and preserve on request."""
    with a_registry(tmp_path, OFFERING) as registry:
        registry.admit(registry.world.record_created(OTHER_RECORD, OTHER_PAPER))
        registry.caught_up()
        yield registry


def opened(registry: Registry) -> list[tuple[str, str, str]]:
    return [(found.kind, found.suffix, found.url) for found in waiting(registry)]


def waiting(registry: Registry) -> list[Requested]:
    return open_requests(registry.parts.private, 10_000)


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"urn:pith:error:{code}"), answer.text
    return problem


def confirmed(world: World, time: int = 1_781_884_900, height: int = 7, **changes: Any) -> Event:
    """Let the registry anchor the paper's record in a block."""
    proof, header = stamp(bytes.fromhex(SHA256), time, height)
    return world.anchor(
        proof_b64=base64.b64encode(proof).decode(),
        status="confirmed",
        block_header=header.hex(),
        height=height,
        **changes,
    )


# A timestamp.


@pytest.mark.parametrize("form", [{}, {"method": None, "service": "", "proof_b64": ""}])
def test_an_empty_form_asks_the_registry_to_stamp_the_record(offering: Registry, form: dict[str, Any]) -> None:
    size = offering.home.store.head().size
    answer = offering.client.post(STAMP, json=form)
    assert answer.status_code == HTTPStatus.ACCEPTED, answer.text
    found = answer.json()
    assert found["status"] == "owed" and "stamped" in found["message"]
    assert found["status_address"] == f"{BASE_URL}/pith/{SUFFIX}.json"
    assert answer.headers["cache-control"] == "no-store"
    assert opened(offering) == [("timestamp", SUFFIX, "")]
    assert offering.home.store.head().size == size


def test_the_beginning_of_a_suffix_is_enough_and_the_whole_is_kept(offering: Registry) -> None:
    offering.client.post(f"/pith/{SUFFIX[:8]}/action/timestamp_anchor", json={})
    assert opened(offering) == [("timestamp", SUFFIX, "")]


def test_asking_twice_owes_one_stamp(offering: Registry) -> None:
    answers = [offering.client.post(STAMP, json={}) for _ in range(3)]
    assert [answer.json() for answer in answers] == [answers[0].json()] * 3
    assert len(waiting(offering)) == 1


def test_nothing_says_who_asked(offering: Registry) -> None:
    answer = offering.client.post(STAMP, json={}, headers={"user-agent": "somebody in particular"})
    assert "person" not in answer.json()
    (kept,) = waiting(offering)
    assert set(kept.__slots__) == {"id", "kind", "suffix", "url", "asked_at"}


def test_a_stamp_that_is_promised_is_not_asked_for_again(offering: Registry) -> None:
    offering.admit(offering.world.anchor())
    answer = offering.client.post(STAMP, json={})
    assert (answer.status_code, answer.json()["status"], opened(offering)) == (200, "pending", [])
    assert "promised" in answer.json()["message"]


def test_a_stamp_that_is_there_is_not_asked_for_again(offering: Registry) -> None:
    world = offering.world
    offering.admit(world.policy(bitcoin=[REGTEST]), confirmed(world))
    answer = offering.client.post(STAMP, json={})
    assert (answer.status_code, answer.json()["status"], opened(offering)) == (200, "anchored", [])


def test_a_proof_that_policy_trusts_no_longer_is_owed_anew(offering: Registry) -> None:
    world = offering.world
    offering.admit(world.policy(bitcoin=[REGTEST]), confirmed(world))
    offering.admit(world.policy())
    assert offering.client.post(STAMP, json={}).status_code == HTTPStatus.ACCEPTED
    assert opened(offering) == [("timestamp", SUFFIX, "")]


def test_a_promise_that_came_to_nothing_is_owed_anew(offering: Registry) -> None:
    world = offering.world
    promised = world.anchor()
    offering.admit(promised, world.anchor(status="failed", upgrades=promised.id_text))
    assert offering.client.post(STAMP, json={}).json()["status"] == "owed"


def test_what_others_had_stamped_does_not_stand_in_for_the_registry(offering: Registry) -> None:
    world = offering.world
    on_behalf = world.event(world.registry, "timestamp_anchor", world.anchor().value["payload"], on_behalf_of=SESSION)
    offering.admit(world.anchor(ALICE), on_behalf, world.anchor(subject=OTHER_NUMBER, anchored=OTHER_HASH))
    assert offering.client.post(STAMP, json={}).json()["status"] == "owed"


def test_as_many_clocks_as_policy_asks_for_are_needed(offering: Registry) -> None:
    world = offering.world
    offering.admit(world.policy(bitcoin=[REGTEST], independent_clocks=2), confirmed(world))
    assert offering.client.post(STAMP, json={}).json()["status"] == "owed"


def test_a_form_with_a_proof_is_still_an_attestation(offering: Registry) -> None:
    payload = offering.world.anchor().value["payload"]
    form = {name: payload[name] for name in ("method", "service", "proof_b64")}
    assert offering.client.post(STAMP, json=form).status_code == HTTPStatus.CREATED
    assert opened(offering) == []


@pytest.mark.parametrize("form", [{"method": "rfc3161"}, {"status": "pending"}, {"height": 0}, {"service": URL}])
def test_half_a_form_asks_for_nothing(offering: Registry, form: dict[str, Any]) -> None:
    refused(offering.client.post(STAMP, json=form), 400, "missing-field")
    assert opened(offering) == []


@pytest.mark.parametrize("form", [{"stamp": True}, {"url": URL}])
def test_an_unknown_field_is_no_request_for_a_stamp(offering: Registry, form: dict[str, Any]) -> None:
    assert offering.client.post(STAMP, json=form).status_code == 400
    assert opened(offering) == []


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"0", b'""', b"{", b"{}{}", b"\xff", b"{} {}", b'{"a":1,"a":2}'])
def test_what_is_no_json_object_asks_for_nothing(offering: Registry, body: bytes) -> None:
    answer = offering.client.post(STAMP, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400 and opened(offering) == []


@pytest.mark.parametrize(
    "kind",
    ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "", "application/jsonx"],
)
@pytest.mark.parametrize("address", [STAMP, PRESERVE])
def test_a_page_of_another_site_cannot_ask(offering: Registry, address: str, kind: str) -> None:
    answer = offering.client.post(address, content=b"{}", headers={"content-type": kind} if kind else {})
    refused(answer, 415, "unsupported-media")
    assert opened(offering) == []


def test_only_a_post_asks(offering: Registry) -> None:
    assert offering.client.get(STAMP).status_code in (404, 405)
    assert opened(offering) == []


@pytest.mark.parametrize("suffix", ["A" * 26, "QQQ", "..%2f..", "a'b", "%00", "é" * 26])
def test_nothing_is_asked_for_about_a_paper_that_is_not_there(offering: Registry, suffix: str) -> None:
    answer = offering.client.post(f"/pith/{suffix}/action/timestamp_anchor", json={})
    assert answer.status_code in (400, 404) and opened(offering) == []


# A copy.


def test_a_url_alone_asks_the_registry_to_preserve_what_lies_there(offering: Registry) -> None:
    answer = offering.client.post(PRESERVE, json={"url": f"{URL}#page=2"})
    assert answer.status_code == HTTPStatus.ACCEPTED, answer.text
    found = answer.json()
    assert found["status"] == "owed" and "fetch" in found["message"]
    assert opened(offering) == [("preserve", SUFFIX, URL)]


def test_two_spellings_of_an_address_are_one_request(offering: Registry) -> None:
    for url in (URL, URL.replace("arxiv.org", "ArXiv.org:443"), f"{URL}#a"):
        assert offering.client.post(PRESERVE, json={"url": url}).status_code == HTTPStatus.ACCEPTED
    assert opened(offering) == [("preserve", SUFFIX, URL)]


def test_a_host_that_is_not_allowed_is_refused_with_those_that_are(offering: Registry) -> None:
    problem = refused(offering.client.post(PRESERVE, json={"url": "https://evil.example/"}), 422, "host-not-allowed")
    assert problem["place"] == "url" and "arxiv.org, *.archive.example" in problem["cure"]
    assert opened(offering) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@arxiv.org/",
        "https://evil.example\\@arxiv.org/",
        "file:///etc/passwd",
        "ftp://arxiv.org/",
        f"https://arxiv.org/{'a' * 2_000}",
        "https://arxiv.org/\u202e",
        7,
        ["https://arxiv.org/"],
        {"href": URL},
        True,
    ],
)
def test_what_is_no_plain_address_is_refused_and_not_repeated(offering: Registry, url: Any) -> None:
    answer = offering.client.post(PRESERVE, json={"url": url})
    problem = refused(answer, 400, "invalid-field")
    assert problem["place"] == "url" and "hunter2" not in answer.text
    assert opened(offering) == []


def test_a_form_that_says_what_lies_there_is_still_a_claim(offering: Registry) -> None:
    form = {"url": "https://elsewhere.example/paper.pdf", "sha256": SHA256, "bytes": 12}
    assert offering.client.post(PRESERVE, json=form).status_code == HTTPStatus.CREATED
    missing = {"url": "https://elsewhere.example/paper.pdf", "outcome": "missing"}
    assert offering.client.post(PRESERVE, json=missing).status_code == HTTPStatus.CREATED
    assert opened(offering) == []


@pytest.mark.parametrize("form", [{"url": URL, "sha256": SHA256}, {"url": URL, "kind": "https"}, {}])
def test_half_a_claim_asks_for_nothing(offering: Registry, form: dict[str, Any]) -> None:
    refused(offering.client.post(PRESERVE, json=form), 400, "missing-field")
    assert opened(offering) == []


def test_a_flood_about_one_paper_is_stopped(offering: Registry) -> None:
    for at in range(MAX_OPEN_OF_ONE):
        assert offering.client.post(PRESERVE, json={"url": f"{URL}v{at}"}).status_code == HTTPStatus.ACCEPTED
    answer = offering.client.post(PRESERVE, json={"url": f"{URL}v100"})
    refused(answer, 503, "requests-full")
    assert answer.headers["retry-after"] == "3600"
    assert offering.client.post(PRESERVE, json={"url": f"{URL}v0"}).status_code == HTTPStatus.ACCEPTED
    remove(offering.parts.private, [waiting(offering)[0].id])
    assert offering.client.post(PRESERVE, json={"url": f"{URL}v100"}).status_code == HTTPStatus.ACCEPTED


def test_requests_are_charged_for_as_submissions(tmp_path: Path) -> None:
    settings = ApiSettings(BASE_URL, rate_limits={"submit": 2}, stamps=True)
    with a_registry(tmp_path, settings) as registry:
        statuses = [registry.client.post(STAMP, json={}).status_code for _ in range(3)]
    assert statuses == [202, 202, 429]


# A registry that does not offer it.


@pytest.mark.parametrize(("address", "form"), [(STAMP, {}), (PRESERVE, {"url": URL})])
def test_what_is_not_offered_is_refused_with_what_one_can_do_oneself(
    registry: Registry, address: str, form: dict[str, Any]
) -> None:
    problem = refused(registry.client.post(address, json=form), 501, "not-offered")
    assert "proof_b64" in problem["cure"] or "sha256" in problem["cure"]
    assert opened(registry) == []


# Idempotency-Key.


def test_a_repeated_key_is_the_same_request(offering: Registry) -> None:
    answers = [offering.client.post(STAMP, json={}, headers={"idempotency-key": "once"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert len(waiting(offering)) == 1


def test_a_key_is_refused_with_another_form(offering: Registry) -> None:
    headers = {"idempotency-key": "once"}
    assert offering.client.post(PRESERVE, json={"url": URL}, headers=headers).status_code == 202
    answer = offering.client.post(PRESERVE, json={"url": f"{URL}v2"}, headers=headers)
    refused(answer, 422, "idempotency-key-reused")
    claim = {"url": URL, "sha256": SHA256, "bytes": 12}
    refused(offering.client.post(PRESERVE, json=claim, headers=headers), 422, "idempotency-key-reused")
    assert opened(offering) == [("preserve", SUFFIX, URL)]


def test_a_key_of_a_claim_is_refused_with_a_request(offering: Registry) -> None:
    headers = {"idempotency-key": "once"}
    claim = {"url": URL, "sha256": SHA256, "bytes": 12}
    assert offering.client.post(PRESERVE, json=claim, headers=headers).status_code == 201
    refused(offering.client.post(PRESERVE, json={"url": URL}, headers=headers), 422, "idempotency-key-reused")
    assert opened(offering) == []


def test_a_malformed_key_is_refused(offering: Registry) -> None:
    answer = offering.client.post(STAMP, json={}, headers={"idempotency-key": "two words"})
    assert refused(answer, 400, "invalid-field")["place"] == "Idempotency-Key"
    assert opened(offering) == []


def test_the_description_of_the_api_shows_what_can_be_asked_for(registry: Registry) -> None:
    paths = registry.client.get("/schema/openapi.json").json()["paths"]
    for action in ("timestamp_anchor", "storage_attestation"):
        described = paths[f"/pith/{{suffix}}/action/{action}"]["post"]
        form, asked = described["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
        assert set(asked["properties"]) <= set(form["properties"])
        assert asked["additionalProperties"] is False and "asks the registry itself" in asked["description"]
        assert {"200", "201", "202", "501", "503"} <= described["responses"].keys()
