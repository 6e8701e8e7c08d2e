"""What people say about a paper over HTTP: signed, or as a form that the registry signs on their behalf."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from api.app import create_app
from api.identity.cookies import SESSION as SESSION_COOKIE
from api.identity.cookies import cookie_name
from api.identity.sessions import open_session
from api.present import Present
from api.submitting.actions import ACTIONS
from api.submitting.forms import FORMS
from ledger.events import Event
from tests.api.registry import BASE_URL, Registry, a_registry
from tests.builders import (
    ALICE,
    BOB,
    HASH,
    NUMBER,
    OTHER_NUMBER,
    OTHER_PAPER,
    OTHER_RECORD,
    PAPER,
    SHA256,
    World,
    a_record,
    disclosed,
    secret,
)
from tests.simulators import pending_anchor
from tests.witnesses import served

SUFFIX: Final = NUMBER[10:]
TARGETED: Final = ("challenge", "challenge_response", "withdrawal")
AUTHOR: Final = {"author_name": "A. Author", "statement": "I wrote this."}
DOI: Final = "10.1000/shared"


@pytest.fixture(scope="module", autouse=True)
def papers(registry: Registry) -> None:
    """Let the registry have further papers, two of which share a DOI."""
    world = registry.world
    third, paper = a_record(title="A third paper", ident="2606.00007")
    created = world.record_created(third, paper)
    registry.admit(
        world.record_created(OTHER_RECORD, OTHER_PAPER),
        created,
        world.alias_added("doi", DOI, OTHER_NUMBER),
        world.alias_added("doi", DOI, created.subject),
    )
    registry.caught_up()


def act(registry: Registry, action: str, form: dict[str, Any], **headers: str) -> httpx.Response:
    return registry.client.post(f"/pith/{SUFFIX}/action/{action}", json=form, headers=headers)


def done(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Return a problem of some kind, which says what is wrong in words."""
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"urn:pith:error:{code}"), answer.text
    assert answer.headers["content-type"] == "application/problem+json" and problem["detail"]
    return problem


def event_of(registry: Registry, answer: dict[str, Any]) -> Event:
    return registry.home.store.find(bytes.fromhex(answer["event_id"][7:])).event


def texts_of(registry: Registry, answer: dict[str, Any]) -> dict[str, str]:
    held = registry.home.store.disclosures([answer["position"]]).get(answer["position"], {})
    return {path: text.text for path, text in held.items()}


def size(registry: Registry) -> int:
    return registry.home.store.head().size


def logged_in(registry: Registry, identifier: str = "orcid:0000-0002-1825-0097") -> dict[str, str]:
    """Return the cookie of somebody who has logged in."""
    token = open_session(registry.parts, identifier)
    return {"cookie": f"{cookie_name(registry.parts.settings, SESSION_COOKIE)}={token}"}


def a_form(registry: Registry, action: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the documented example of a form, fit for this registry, and the headers it needs."""
    form, headers = dict(ACTIONS[action][1]), {}
    if action == "timestamp_anchor":
        proof = pending_anchor(bytes.fromhex(SHA256), "https://calendar.example.org")
        form["proof_b64"] = base64.b64encode(proof).decode()
    if action in TARGETED:
        aimed = "challenge" if action == "challenge_response" else "author_attestation"
        said = done(
            act(registry, aimed, {"target": "C1", "about": "it", "text": "no"} if aimed == "challenge" else AUTHOR)
        )
        form["target"], headers = said["event_id"], {"pith-person": said["person"]}
    return form, headers


# Forms.


@pytest.mark.parametrize("action", FORMS)
def test_a_form_becomes_an_event_that_the_registry_signs_on_somebodys_behalf(registry: Registry, action: str) -> None:
    form, headers = a_form(registry, action)
    answer = done(act(registry, action, form, **headers))
    signer = event_of(registry, answer).signer
    assert (signer.signer_type, signer.signer_id) == ("pith_registry", f"registry:{registry.world.name}")
    assert signer.on_behalf_of.kind == "anonymous"
    assert answer["status"] == ("counted" if action == "withdrawal" else "held")


@pytest.mark.parametrize("action", FORMS)
def test_a_form_is_about_the_paper_of_its_address(registry: Registry, action: str) -> None:
    form, headers = a_form(registry, action)
    event = event_of(registry, done(act(registry, action, form, **headers)))
    assert (event.event_type, event.subject) == (action, NUMBER)


def test_private_texts_are_hidden_in_the_event_and_kept_beside_it(registry: Registry) -> None:
    answer = done(act(registry, "author_attestation", {**AUTHOR, "statement": "Only I could put it so."}))
    assert b"Only I could" not in event_of(registry, answer).raw
    assert texts_of(registry, answer) == {"statement": "Only I could put it so."}


def test_the_answer_says_where_the_event_stands_and_what_became_of_it(registry: Registry) -> None:
    answer = done(act(registry, "author_attestation", AUTHOR))
    assert answer["position"] == size(registry) - 1
    assert answer["status_address"] == f"{BASE_URL}/pith/{SUFFIX}.json"
    assert answer["receipt_address"] == f"{BASE_URL}/api/receipts/{answer['event_id']}"
    assert answer["receipt"]["event"]["event_id"] == answer["event_id"]
    assert "held" in answer["message"] and "moderator" in answer["message"]


def test_no_cache_keeps_an_answer_with_a_secret(registry: Registry) -> None:
    assert act(registry, "author_attestation", AUTHOR).headers["cache-control"] == "no-store"


def test_storage_is_claimed_whoever_says_so(registry: Registry) -> None:
    form = {"url": "https://example.org/paper.pdf", "sha256": HASH, "bytes": 12}
    assert event_of(registry, done(act(registry, "storage_attestation", form))).payload.grade == "claimed"


@pytest.mark.parametrize(
    ("typed", "citing"),
    [
        ("arXiv:2606.00003", OTHER_NUMBER),
        (OTHER_NUMBER, OTHER_NUMBER),
        (OTHER_NUMBER[10:18].lower(), OTHER_NUMBER),
        ("https://arxiv.org/abs/2605.25619v2", "arxiv:2605.25619"),
        ("doi:10.1000/Unknown", "doi:10.1000/unknown"),
    ],
)
def test_a_citing_paper_is_found_by_any_name(registry: Registry, typed: str, citing: str) -> None:
    answer = done(act(registry, "citation_signature", {"citing": typed, "relationship": "cites"}))
    assert event_of(registry, answer).payload.citing == citing


def test_a_name_of_several_citing_papers_is_answered_with_the_choices(registry: Registry) -> None:
    answer = act(registry, "citation_signature", {"citing": DOI, "relationship": "cites"})
    problem = refused(answer, 400, "invalid-field")
    assert problem["place"] == "citing" and OTHER_NUMBER in problem["cure"]


def test_a_paper_does_not_cite_itself_by_another_name(registry: Registry) -> None:
    answer = act(registry, "citation_signature", {"citing": "arxiv:2606.00001", "relationship": "cites"})
    assert refused(answer, 422, "rule-violation")["place"] == "citing"


@pytest.mark.parametrize(
    ("form", "status", "code", "place"),
    [
        ({}, 400, "missing-field", "author_name"),
        ({"author_name": "A"}, 400, "missing-field", "statement"),
        ({**AUTHOR, "grade": 1}, 400, "unknown-field", "grade"),
        ({**AUTHOR, "author_name": 1}, 400, "invalid-field", "author_name"),
        ({**AUTHOR, "statement": "é" * 10_000}, 400, "invalid-field", "statement"),
        ({**AUTHOR, "claims": [f"{at}" + "x" * 190 for at in range(100)], "orcid": "x"}, 400, "invalid-field", "orcid"),
    ],
)
def test_a_form_that_is_refused_names_the_field_and_leaves_nothing(
    registry: Registry, form: dict[str, Any], status: int, code: str, place: str
) -> None:
    before = size(registry)
    assert refused(act(registry, "author_attestation", form), status, code)["place"] == place
    assert size(registry) == before


def test_an_anchor_of_something_else_is_refused(registry: Registry) -> None:
    proof = base64.b64encode(pending_anchor(bytes(32), "https://calendar.example.org")).decode()
    form = {"method": "opentimestamps", "service": "https://calendar.example.org", "proof_b64": proof}
    refused(act(registry, "timestamp_anchor", form), 422, "anchor-mismatch")


def test_a_challenge_of_nothing_is_refused(registry: Registry) -> None:
    form = {"target": f"sha256:{HASH}", "about": "it", "text": "no"}
    assert refused(act(registry, "challenge", form), 422, "target-missing")["place"] == "target"


# Who is behind a form.


def person_behind(registry: Registry, answer: dict[str, Any]) -> tuple[str, str]:
    on_behalf_of = event_of(registry, answer).signer.on_behalf_of
    return on_behalf_of.kind, on_behalf_of.subject


def test_somebody_new_is_given_a_secret_once(registry: Registry) -> None:
    first = done(act(registry, "author_attestation", AUTHOR))
    again = done(act(registry, "author_attestation", AUTHOR, **{"pith-person": first["person"]}))
    assert "withdraw" in first["person_message"]
    assert "person" not in again and "person_message" not in again
    assert person_behind(registry, again) == person_behind(registry, first)


def test_two_people_without_a_secret_are_two_people(registry: Registry) -> None:
    one, other = (done(act(registry, "author_attestation", AUTHOR)) for _ in range(2))
    assert person_behind(registry, one) != person_behind(registry, other)


def test_the_secret_is_kept_nowhere(registry: Registry) -> None:
    secret_of_person = done(act(registry, "author_attestation", AUTHOR))["person"]
    raw = base64.urlsafe_b64decode(secret_of_person + "=")
    files = [path for path in registry.home.settings.data.rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        assert secret_of_person.encode() not in content and raw not in content, path


def test_a_session_is_the_same_person_after_each_login(registry: Registry) -> None:
    answers = [done(act(registry, "author_attestation", AUTHOR, **logged_in(registry))) for _ in range(2)]
    people = {person_behind(registry, answer) for answer in answers}
    assert len(people) == 1 and people.pop()[0] == "session"
    assert not any("person" in answer for answer in answers)


def test_a_secret_that_is_none_is_refused(registry: Registry) -> None:
    refused(act(registry, "author_attestation", AUTHOR, **{"pith-person": "me"}), 400, "invalid-field")


def test_who_said_it_anonymously_withdraws_it_with_the_secret(registry: Registry) -> None:
    said = done(act(registry, "author_attestation", AUTHOR))
    withdrawal = {"target": said["event_id"], "reason": "a slip"}
    done(act(registry, "withdrawal", withdrawal, **{"pith-person": said["person"]}))
    assert status_of(registry, said["event_id"]) == "withdrawn"


def test_who_said_it_in_a_session_withdraws_it_in_a_later_one(registry: Registry) -> None:
    said = done(act(registry, "author_attestation", AUTHOR, **logged_in(registry)))
    done(act(registry, "withdrawal", {"target": said["event_id"]}, **logged_in(registry)))
    assert status_of(registry, said["event_id"]) == "withdrawn"


@pytest.mark.parametrize("who", ["nobody", "another secret", "another login"])
def test_a_stranger_withdraws_nothing(registry: Registry, who: str) -> None:
    said = done(act(registry, "author_attestation", AUTHOR))
    stranger: Callable[[], dict[str, str]] = {
        "nobody": dict,
        "another secret": lambda: {"pith-person": done(act(registry, "author_attestation", AUTHOR))["person"]},
        "another login": lambda: logged_in(registry),
    }[who]
    answer = act(registry, "withdrawal", {"target": said["event_id"]}, **stranger())
    problem = refused(answer, 422, "signer-not-allowed")
    assert "Pith-Person" in problem["cure"] and "person" not in problem
    assert status_of(registry, said["event_id"]) == "held"


def status_of(registry: Registry, event_id: str) -> str:
    registry.caught_up()
    events = registry.client.get(f"/pith/{SUFFIX}.json").json()["events"]
    (status,) = (event["status"] for event in events if event["event_id"] == event_id)
    return str(status)


def test_a_policy_that_holds_nothing_lets_forms_count_at_once(tmp_path: Path) -> None:
    world = World()
    with a_registry(tmp_path, world=world) as registry:
        registry.admit(world.moderation_policy(server_signed="accepted"))
        registry.caught_up()
        answer = done(act(registry, "author_attestation", AUTHOR))
    assert (answer["status"], answer["message"]) == ("counted", "it is in the log for good, and counts")


# Signed events.


def test_a_signed_event_is_appended_as_anywhere_else(registry: Registry) -> None:
    event = registry.world.author(statement=secret("I wrote this."))
    body = {"event": event.value, "disclosures": {"statement": {"salt": disclosed("").salt, "text": "I wrote this."}}}
    first = act(registry, "author_attestation", body)
    again = registry.post(event)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == {**again.json(), "created": True}
    assert texts_of(registry, first.json()) == {"statement": "I wrote this."}


@pytest.mark.parametrize("suffix", [SUFFIX, SUFFIX[:8], SUFFIX.lower()])
def test_a_signed_event_is_taken_under_any_form_of_its_papers_suffix(registry: Registry, suffix: str) -> None:
    event = registry.world.citation(BOB)
    assert registry.client.post(f"/pith/{suffix}/action/citation_signature", json=event.value).status_code == 201


def test_a_signed_event_of_another_type_is_sent_elsewhere(registry: Registry) -> None:
    problem = refused(act(registry, "challenge", registry.world.citation().value), 400, "invalid-field")
    assert problem["place"] == "event_type" and "citation_signature" in problem["cure"]


def test_a_signed_event_about_another_paper_is_refused(registry: Registry) -> None:
    event = registry.world.citation(BOB)
    answer = registry.client.post(f"/pith/{OTHER_NUMBER[10:]}/action/citation_signature", json=event.value)
    assert refused(answer, 400, "invalid-field")["place"] == "subject_pith_number"


def test_a_changed_event_is_refused_by_the_rule_it_breaks(registry: Registry) -> None:
    value = {**registry.world.citation().value, "target": "elsewhere"}
    assert refused(act(registry, "citation_signature", value), 422, "event-id-mismatch")["cure"]


def test_a_signer_withdraws_what_they_signed(registry: Registry) -> None:
    said = registry.world.citation(ALICE, citing="arxiv:2606.00042")
    registry.admit(said)
    assert act(registry, "withdrawal", registry.world.withdrawal(said, ALICE).value).status_code == 201
    refused(act(registry, "withdrawal", registry.world.withdrawal(said, BOB).value), 422, "signer-not-allowed")
    assert status_of(registry, said.id_text) == "withdrawn"


# Addresses.


@pytest.mark.parametrize("suffix", ["A" * 26, "AAAAAAAA", "short", "0" * 26, "sha256", "%00" * 10, "é" * 26])
def test_a_form_about_no_paper_finds_nothing(registry: Registry, suffix: str) -> None:
    answer = registry.client.post(f"/pith/{suffix}/action/author_attestation", json=AUTHOR)
    assert answer.status_code == 404 and answer.json()["status"] == 404


def test_there_are_no_other_actions(registry: Registry) -> None:
    assert act(registry, "record_created", {}).status_code == 404
    assert registry.client.get(f"/pith/{SUFFIX}/action/challenge").status_code == 405


def test_a_mirror_takes_nothing(registry: Registry) -> None:
    present = Present(registry.home.store, registry.home.projections)
    mirror = dataclasses.replace(registry.parts, intake=None, present=present)
    with served(create_app(mirror)) as address:
        for body in (AUTHOR, registry.world.author().value):
            answer = httpx.post(f"{address}/pith/{SUFFIX}/action/author_attestation", json=body)
            refused(answer, 501, "not-offered")


# Other sites' pages, and other hostile things.


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/jsonx"],
)
def test_only_json_is_read_so_that_browsers_ask_first(registry: Registry, kind: str) -> None:
    before = size(registry)
    answer = registry.client.post(
        f"/pith/{SUFFIX}/action/author_attestation", content=json.dumps(AUTHOR), headers={"content-type": kind}
    )
    assert "application/json" in refused(answer, 415, "unsupported-media")["cure"]
    assert size(registry) == before


def test_a_charset_does_no_harm(registry: Registry) -> None:
    kind = {"content-type": "Application/JSON; charset=utf-8"}
    address = f"/pith/{SUFFIX}/action/author_attestation"
    assert registry.client.post(address, content=json.dumps(AUTHOR), headers=kind).status_code == 201


def test_browsers_that_ask_are_not_let_in(registry: Registry) -> None:
    asking = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    asking["access-control-request-headers"] = "content-type, pith-person"
    answer = registry.client.request("OPTIONS", f"/pith/{SUFFIX}/action/withdrawal", headers=asking)
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_another_sites_page_cannot_use_a_session(registry: Registry) -> None:
    headers = {**logged_in(registry), "origin": "https://evil.example"}
    refused(act(registry, "author_attestation", AUTHOR, **headers), 403, "forbidden")


HOSTILE: Final[dict[str, bytes]] = {
    "nothing": b"",
    "no JSON": b"{nope",
    "a list": b"[]",
    "a string": b'"schema"',
    "null": b"null",
    "a number": b"1",
    "not UTF-8": b'{"author_name":"\xff"}',
    "a byte order mark": b'\xef\xbb\xbf{"author_name":"A"}',
    "a key twice": b'{"author_name":"A","author_name":"B","statement":"x"}',
    "a fraction": b'{"author_name":"A","statement":"x","author_position":1.5}',
    "a great number": b'{"author_name":"A","statement":"x","author_position":99999999999999999999}',
    "half a character": b'{"author_name":"A","statement":"\\ud800"}',
    "a deep nest": b'{"author_name":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "a schema alone": b'{"schema":"pith-event/1"}',
    "an event that is none": b'{"event":1}',
    "an event of nothing": b'{"event":{}}',
    "an event and more": b'{"event":{},"more":1}',
    "a long name": b'{"' + b"x" * 50_000 + b'":1}',
    "a long name with marks": b'{"' + b"`\\n" * 9_000 + b'":1}',
}


@pytest.mark.parametrize("action", ["author_attestation", "withdrawal"])
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bodies_are_refused_in_few_words(registry: Registry, action: str, body: bytes) -> None:
    before = size(registry)
    answer = registry.client.post(
        f"/pith/{SUFFIX}/action/{action}", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code in (400, 413, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json" and len(answer.content) < 2_000
    assert size(registry) == before


def test_a_body_without_end_is_not_read(registry: Registry) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 65_536

    address = f"/pith/{SUFFIX}/action/author_attestation"
    answer = registry.client.post(address, content=endless(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_texts_of_any_characters_are_kept_as_they_are(registry: Registry) -> None:
    text = "\x00\x1b[31m<script>alert(1)</script> \u202eevil\u2028 \U0001f9ea ' OR 1=1 --"
    answer = done(act(registry, "author_attestation", {**AUTHOR, "statement": text}))
    assert texts_of(registry, answer) == {"statement": text}


def test_the_papers_own_metadata_is_untouched_by_all_this(registry: Registry) -> None:
    registry.caught_up()
    paper = registry.client.get(f"/pith/{SUFFIX}.json").json()["paper"]
    assert paper["title"] == PAPER["title"]
