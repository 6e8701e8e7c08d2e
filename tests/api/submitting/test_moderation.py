"""Moderation over HTTP: what waits and who sees it, decisions and what follows from them, and which texts are shown."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest

from api.admin.tokens import create_token, revoke_token
from ledger.appending import Submission
from ledger.commitments import Disclosure, commit
from ledger.events import Event
from ledger.signed_requests import signed_request
from ledger.times import instant, seconds
from tests.api.registry import Registry, a_registry
from tests.builders import (
    ALICE,
    BOB,
    CHECKER,
    HASH,
    MODERATOR,
    NUMBER,
    Who,
    contributor,
    disclosed,
    nonce,
    secret,
)

SUFFIX: Final = NUMBER[10:]
QUEUE: Final = "/api/moderation/queue"
TEXT: Final = "These words stand in no other file of this registry."


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Registry]:
    """A registry of its own, for tests that count what waits."""
    with a_registry(tmp_path) as registry:
        yield registry


def say(registry: Registry, event: Event, **texts: str) -> Event:
    """Append an event with the texts that it commits to."""
    disclosures = {path: disclosed(text) for path, text in texts.items()}
    registry.home.append([Submission(event, disclosures)])
    registry.caught_up()
    return event


def a_claim(registry: Registry, who: Who = BOB, text: str = TEXT) -> Event:
    return say(registry, registry.world.author(who, statement=secret(text)), statement=text)


def decide(registry: Registry, event: Event, decision: str = "accepted", **payload: str) -> httpx.Response:
    """Send a moderator's decision to its own address."""
    signed = registry.world.decision(event, decision, **payload)
    answer = registry.client.post(f"/api/moderation/{event.id_text}", json=signed.value)
    registry.caught_up()
    return answer


def texts(registry: Registry, event: Event | str) -> httpx.Response:
    event_id = event if isinstance(event, str) else event.id_text
    return registry.client.get(f"/api/events/{event_id}/texts")


def by_key(registry: Registry, who: Who, path: str = QUEUE, **changes: Any) -> dict[str, str]:
    """Return the header by which somebody's key signs a request now."""
    now = seconds(changes.get("now", registry.parts.clock()))
    number = changes.get("number", int.from_bytes(registry.parts.random(15), "big"))
    given = signed_request(who.key, registry.world.name, "GET", path, b"", now, nonce(number))
    return {"authorization": given}


def by_token(registry: Registry, name: str) -> dict[str, str]:
    token = create_token(registry.parts.private, name, registry.parts.clock(), registry.parts.random)
    return {"authorization": f"Bearer {token}"}


def listed(registry: Registry, query: str = "", **headers: str) -> list[dict[str, Any]]:
    answer = registry.client.get(f"{QUEUE}{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["events"]
    return found


def document(registry: Registry) -> dict[str, Any]:
    registry.caught_up()
    found: dict[str, Any] = registry.client.get(f"/pith/{SUFFIX}.json").json()
    return found


def shown(registry: Registry, event: Event | str) -> dict[str, Any]:
    """Return how the paper's record shows an event."""
    event_id = event if isinstance(event, str) else event.id_text
    (found,) = (row for row in document(registry)["events"] if row["event_id"] == event_id)
    return dict(found)


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"urn:pith:error:{code}"), answer.text
    return problem


# What waits.


def test_everybody_sees_that_something_waits_and_nobody_what(alone: Registry) -> None:
    claim = a_claim(alone)
    entry = alone.home.store.find(claim.event_id)
    assert listed(alone) == [
        {
            "event_id": claim.id_text,
            "event_type": "author_attestation",
            "subject": NUMBER,
            "target": "author",
            "position": entry.position,
            "received_at": instant(entry.received_at),
            "status": "held",
            "signer": claim.value["signer"],
        }
    ]


def test_what_waits_comes_in_order_page_by_page(alone: Registry) -> None:
    claims = [a_claim(alone) for _ in range(5)]
    found: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(3):
        page = alone.client.get(f"{QUEUE}?limit=2&cursor={cursor}").json()
        found += page["events"]
        cursor = page["next_cursor"]
    assert [row["event_id"] for row in found] == [claim.id_text for claim in claims] and cursor is None


def test_a_page_that_ends_with_the_last_is_the_last(alone: Registry) -> None:
    for _ in range(2):
        a_claim(alone)
    assert alone.client.get(f"{QUEUE}?limit=2").json()["next_cursor"] is None


def test_what_was_decided_waits_no_longer(alone: Registry) -> None:
    claims = {decision: a_claim(alone) for decision in ("accepted", "rejected", "redacted")}
    for decision, claim in claims.items():
        assert decide(alone, claim, decision).status_code == 201
    assert listed(alone) == []
    for status, decision in (("counted", "accepted"), ("rejected", "rejected"), ("redacted", "redacted")):
        assert [row["event_id"] for row in listed(alone, f"?status={status}")] == [claims[decision].id_text]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("?cursor=x", "cursor"),
        ("?cursor=-1", "cursor"),
        ("?cursor=99999999999999999999", "cursor"),
        ("?cursor=%D9%A1", "cursor"),
        ("?limit=0", "limit"),
        ("?limit=101", "limit"),
        ("?limit=", "limit"),
        ("?limit=1.0", "limit"),
        ("?status=refused", "status"),
        ("?status=", "status"),
        ("?status=%00", "status"),
        ("?status=' OR 1=1", "status"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(registry: Registry, query: str, place: str) -> None:
    assert refused(registry.client.get(QUEUE + query), 400, "invalid-field")["place"] == place


def test_the_public_queue_is_cached_for_seconds_and_apart_from_a_moderators(registry: Registry) -> None:
    answer = registry.client.get(QUEUE)
    assert answer.headers["cache-control"] == "public, max-age=5" and answer.headers["vary"] == "authorization"
    known = registry.client.get(QUEUE, headers={"if-none-match": answer.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


# Who sees what was said.


def test_a_moderator_sees_what_was_said(alone: Registry) -> None:
    claim = a_claim(alone)
    (row,) = listed(alone, **by_key(alone, MODERATOR))
    assert row["payload"] == claim.value["payload"]
    assert row["texts"] == {"statement": msgspec.to_builtins(disclosed(TEXT))}


def test_an_operator_sees_it_with_a_token(alone: Registry) -> None:
    a_claim(alone)
    (row,) = listed(alone, **by_token(alone, "desk"))
    assert row["texts"]["statement"]["text"] == TEXT


def test_no_cache_keeps_what_a_moderator_sees(registry: Registry) -> None:
    answer = registry.client.get(QUEUE, headers=by_key(registry, MODERATOR))
    assert answer.headers["cache-control"] == "no-store" and "etag" not in answer.headers


@pytest.mark.parametrize("who", [ALICE, CHECKER])
def test_no_other_key_sees_it(registry: Registry, who: Who) -> None:
    a_claim(registry)
    answer = registry.client.get(QUEUE, headers=by_key(registry, who))
    refused(answer, 403, "forbidden")
    assert TEXT not in answer.text


def test_credentials_that_do_not_hold_are_refused(registry: Registry) -> None:
    a_claim(registry)
    used = by_key(registry, MODERATOR)
    listed(registry, **used)
    revoked = by_token(registry, "revoked")
    revoke_token(registry.parts.private, "revoked", registry.parts.clock())
    for headers in (
        used,
        revoked,
        by_key(registry, contributor("stranger")),
        by_key(registry, MODERATOR, path=f"{QUEUE}?limit=1"),
        by_key(registry, MODERATOR, now=registry.parts.clock() - 3_600_000_000),
        {"authorization": "Bearer pith_" + "A" * 43},
        {"authorization": "Bearer"},
        {"authorization": ""},
        {"authorization": "Basic bW9kOm1vZA=="},
    ):
        answer = registry.client.get(QUEUE, headers=headers)
        assert answer.status_code == 401 and TEXT not in answer.text, headers
        assert answer.headers["www-authenticate"]


# Decisions.


def test_an_accepted_statement_counts(alone: Registry) -> None:
    claim = a_claim(alone)
    assert (shown(alone, claim)["status"], document(alone)["verification_status"]["weak_author_claims"]) == ("held", 0)
    answer = decide(alone, claim)
    assert answer.status_code == 201 and answer.json()["created"]
    assert (shown(alone, claim)["status"], document(alone)["verification_status"]["weak_author_claims"]) == (
        "counted",
        1,
    )


def test_what_is_held_is_shown_without_what_it_says(registry: Registry) -> None:
    held = shown(registry, a_claim(registry))
    assert "payload" not in held and "moderator" not in held["reason"]


def test_a_rejected_statement_does_not_count(alone: Registry) -> None:
    claim = a_claim(alone)
    decide(alone, claim, "rejected")
    assert shown(alone, claim)["status"] == "rejected"
    assert document(alone)["verification_status"]["weak_author_claims"] == 0


def test_the_latest_decision_holds(registry: Registry) -> None:
    claim = a_claim(registry)
    for decision, status in (("accepted", "counted"), ("rejected", "rejected"), ("accepted", "counted")):
        decide(registry, claim, decision)
        assert shown(registry, claim)["status"] == status


def test_the_same_decision_again_is_the_same(registry: Registry) -> None:
    claim = a_claim(registry)
    signed = registry.world.decision(claim)
    answers = [registry.post(signed), registry.client.post(f"/api/moderation/{claim.id_text}", json=signed.value)]
    assert [answer.status_code for answer in answers] == [201, 200]


def test_a_decision_brings_its_reason(registry: Registry) -> None:
    claim = a_claim(registry)
    signed = registry.world.decision(claim, "rejected", reason=secret("It is not so."))
    body = {"event": signed.value, "disclosures": {"reason": msgspec.to_builtins(disclosed("It is not so."))}}
    assert registry.client.post(f"/api/moderation/{claim.id_text}", json=body).status_code == 201
    assert texts(registry, signed).json()["reason"]["text"] == "It is not so."


def test_nobody_but_a_moderator_decides(registry: Registry) -> None:
    claim = a_claim(registry)
    stranger = Who(contributor("nobody").key, "moderator", "name:nobody")
    pretender = Who(ALICE.key, "moderator", ALICE.signer_id)
    for who, code in ((stranger, "unknown-key"), (pretender, "key-role")):
        signed = registry.world.decision(claim, who=who)
        refused(registry.client.post(f"/api/moderation/{claim.id_text}", json=signed.value), 422, code)
    assert shown(registry, claim)["status"] == "held"


def test_a_decision_is_about_the_event_of_its_address(registry: Registry) -> None:
    claim, other = a_claim(registry), a_claim(registry)
    answer = registry.client.post(f"/api/moderation/{other.id_text}", json=registry.world.decision(claim).value)
    assert refused(answer, 400, "invalid-field")["place"] == "target"
    answer = registry.client.post(f"/api/moderation/{claim.id_text}", json=registry.world.citation().value)
    assert refused(answer, 400, "invalid-field")["place"] == "event_type"


def test_records_are_not_decided_on(registry: Registry) -> None:
    record = next(entry for entry in registry.home.store.entries() if entry.event.event_type == "record_created")
    refused(decide(registry, record.event, "rejected"), 422, "rule-violation")


@pytest.mark.parametrize("event_id", ["sha256:abc", "queue2", f"sha256:{HASH.upper()}", "%00"])
def test_an_address_of_no_event_is_none(registry: Registry, event_id: str) -> None:
    decision = registry.world.decision(registry.world.author()).value
    refused(registry.client.post(f"/api/moderation/{event_id}", json=decision), 404, "not-found")
    refused(registry.client.get(f"/api/events/{event_id}/texts"), 404, "not-found")


def test_a_decision_on_what_is_not_there_is_refused(registry: Registry) -> None:
    refused(decide(registry, registry.world.author()), 422, "target-missing")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"nope", b'{"event":{}}', b"[" * 9_000])
def test_what_is_no_decision_is_refused(registry: Registry, body: bytes) -> None:
    address = f"/api/moderation/sha256:{HASH}"
    answer = registry.client.post(address, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    answer = registry.client.post(address, content=body, headers={"content-type": "text/plain"})
    assert answer.status_code == 415


# Texts.


def test_texts_are_shown_while_the_event_counts(registry: Registry) -> None:
    claim = a_claim(registry)
    refused(texts(registry, claim), 403, "forbidden")
    decide(registry, claim)
    answer = texts(registry, claim)
    found = msgspec.convert(answer.json()["statement"], Disclosure)
    assert (found.text, answer.headers["cache-control"]) == (TEXT, "no-store")
    salt = base64.urlsafe_b64decode(found.salt + "=")
    assert commit(salt, found.text) == claim.value["payload"]["statement"]
    assert hashlib.sha256(salt + found.text.encode()).hexdigest() == claim.value["payload"]["statement"]
    decide(registry, claim, "rejected")
    refused(texts(registry, claim), 403, "forbidden")


def test_redacted_texts_are_gone_from_the_api_and_every_file(alone: Registry) -> None:
    claim = a_claim(alone)
    decide(alone, claim)
    assert texts(alone, claim).json()["statement"]["text"] == TEXT
    decide(alone, claim, "redacted")
    refused(texts(alone, claim), 410, "gone")
    (row,) = listed(alone, "?status=redacted", **by_key(alone, MODERATOR, path=f"{QUEUE}?status=redacted"))
    assert row["texts"] == {} and row["payload"] == claim.value["payload"]
    assert not files_with(alone, TEXT)


def files_with(registry: Registry, text: str) -> list[Path]:
    files = [path for path in registry.home.settings.data.rglob("*") if path.is_file()]
    assert len(files) > 5
    return [path for path in files if text.encode() in path.read_bytes()]


def test_a_form_that_is_repeated_does_not_bring_redacted_texts_back(alone: Registry) -> None:
    address, form = f"/pith/{SUFFIX}/action/author_attestation", {"author_name": "A. Author", "statement": TEXT}
    headers = {"idempotency-key": "again"}
    said = alone.client.post(address, json=form, headers=headers).json()
    event = alone.home.store.entry(said["position"]).event
    assert files_with(alone, TEXT)
    decide(alone, event, "redacted")
    again = alone.client.post(address, json=form, headers=headers).json()
    assert (again["event_id"], again["status"]) == (said["event_id"], "redacted")
    assert alone.home.store.disclosures([said["position"]]) == {} and not files_with(alone, TEXT)


def test_an_event_that_is_sent_again_does_not_bring_redacted_texts_back(alone: Registry) -> None:
    claim = a_claim(alone)
    decide(alone, claim, "redacted")
    assert alone.post(claim, {"statement": disclosed(TEXT)}).status_code == 200
    decide(alone, claim, "accepted")
    assert (shown(alone, claim)["status"], texts(alone, claim).json()) == ("counted", {})


def test_withdrawn_texts_are_gone(registry: Registry) -> None:
    claim = a_claim(registry)
    decide(registry, claim)
    say(registry, registry.world.withdrawal(claim, BOB))
    refused(texts(registry, claim), 410, "gone")


def test_the_texts_of_a_stolen_key_are_not_shown(alone: Registry) -> None:
    claim = a_claim(alone)
    decide(alone, claim)
    say(alone, alone.world.revocation(BOB, compromised_from="2026-01-01T00:00:00Z"))
    assert "revoked" in refused(texts(alone, claim), 403, "forbidden")["detail"]


def test_what_nobody_moderates_is_not_shown(registry: Registry) -> None:
    """Else anybody could publish anything as the reason of a withdrawal."""
    claim = a_claim(registry)
    withdrawal = registry.world.withdrawal(claim, BOB, reason=secret("buy this"))
    say(registry, withdrawal, reason="buy this")
    proof = "the token that the provider gave"
    evidence = say(registry, registry.world.proof_of_identity(ALICE), evidence=proof)
    for event in (withdrawal, evidence):
        refused(texts(registry, event), 403, "forbidden")


def test_an_event_without_texts_has_none(registry: Registry) -> None:
    record = next(entry for entry in registry.home.store.entries() if entry.event.event_type == "record_created")
    citation = say(registry, registry.world.citation(BOB))
    decide(registry, citation)
    assert (texts(registry, record.event).json(), texts(registry, citation).json()) == ({}, {})


def test_texts_of_no_event_are_not_found(registry: Registry) -> None:
    refused(texts(registry, f"sha256:{HASH}"), 404, "not-found")


# From end to end.


def act(registry: Registry, action: str, form: dict[str, Any], person: str | None = None) -> dict[str, Any]:
    headers = {"pith-person": person} if person else {}
    answer = registry.client.post(f"/pith/{SUFFIX}/action/{action}", json=form, headers=headers)
    assert answer.status_code == 201, answer.text
    registry.caught_up()
    found: dict[str, Any] = answer.json()
    return found


def event_of(registry: Registry, said: dict[str, Any]) -> Event:
    return registry.home.store.entry(said["position"]).event


def test_a_challenge_by_one_and_the_answer_of_another_stand_in_the_record(alone: Registry) -> None:
    claim = a_claim(alone, ALICE)
    challenge = act(alone, "challenge", {"target": claim.id_text, "about": "authorship", "text": "Show a draft."})
    answer = alone.world.response(event_of(alone, challenge), ALICE)
    posted = alone.client.post(f"/pith/{SUFFIX}/action/challenge_response", json=answer.value)
    assert posted.status_code == 201
    for event in (event_of(alone, challenge), answer):
        assert shown(alone, event)["status"] == "held" and "payload" not in shown(alone, event)
        decide(alone, event)
    assert (shown(alone, challenge["event_id"])["target"], shown(alone, answer)["target"]) == (
        claim.id_text,
        challenge["event_id"],
    )
    assert shown(alone, challenge["event_id"])["status"] == shown(alone, answer)["status"] == "counted"
    assert document(alone)["event_summary"]["challenge"]["count"] == 1
    assert texts(alone, challenge["event_id"]).json()["text"]["text"] == "Show a draft."


def test_who_challenged_answers_again_with_the_same_secret(registry: Registry) -> None:
    challenge = act(registry, "challenge", {"target": "C1", "about": "it", "text": "no"})
    form = {"target": challenge["event_id"], "about": "it", "text": "after all, yes"}
    answer = act(registry, "challenge_response", form, challenge["person"])
    people = {event_of(registry, said).signer.on_behalf_of for said in (challenge, answer)}
    assert len(people) == 1


def test_an_answer_to_what_is_no_challenge_is_refused(registry: Registry) -> None:
    claim = a_claim(registry)
    form = {"target": claim.id_text, "about": "it", "text": "no"}
    answer = registry.client.post(f"/pith/{SUFFIX}/action/challenge_response", json=form)
    assert refused(answer, 422, "rule-violation")["place"] == "target"


def test_an_accepted_form_counts_until_its_person_withdraws_it(alone: Registry) -> None:
    citation = act(alone, "citation_signature", {"citing": "arxiv:2605.25619", "relationship": "supports"})
    decide(alone, event_of(alone, citation))
    assert document(alone)["verification_status"]["citation_signatures"] == 1
    act(alone, "withdrawal", {"target": citation["event_id"]}, citation["person"])
    assert shown(alone, citation["event_id"])["status"] == "withdrawn"
    assert document(alone)["verification_status"]["citation_signatures"] == 0


def test_who_says_both_is_shown_to_say_both(alone: Registry) -> None:
    form = {"citing": "arxiv:2605.25619", "relationship": "supports"}
    one = act(alone, "citation_signature", form)
    other = act(alone, "citation_signature", {**form, "relationship": "refutes"}, one["person"])
    act(alone, "citation_signature", {**form, "relationship": "refutes"})
    assert document(alone)["equivocations"] == [[one["event_id"], other["event_id"]]]
    act(alone, "withdrawal", {"target": other["event_id"]}, one["person"])
    assert "equivocations" not in document(alone)


def test_two_equal_forms_of_one_person_count_once(alone: Registry) -> None:
    form = {"citing": "arxiv:2605.25619", "relationship": "supports"}
    one = act(alone, "citation_signature", form)
    other = act(alone, "citation_signature", form, one["person"])
    for said in (one, other):
        decide(alone, event_of(alone, said))
    assert document(alone)["verification_status"]["citation_signatures"] == 1
