"""Submitting signed events: answered when durable, with a receipt that a stranger can check; refused by name."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.appending import Submission
from ledger.checkpoints import parse
from ledger.errors import LedgerError, LogCorruptedError
from ledger.events import Event
from ledger.notes import parse as parse_note
from ledger.proofs.trust import Trust
from ledger.proofs.verify_receipt import verify_receipt_file
from ops.checkpointing import newest
from ops.home import open_home
from ops.mirror import mirror
from ops.publications import StorePublication
from ops.rotation import rotate
from ops.settings import Settings
from tests.api.registry import BASE_URL, Registry, a_home, a_registry, serving
from tests.builders import ALICE, BOB, CAROL, NUMBER, SALT_TEXT, World, disclosed, secret
from tests.forgeries import with_signature

LINES = "application/x-ndjson"


def size(registry: Registry) -> int:
    return registry.home.store.head().size


def lines(registry: Registry, *events: Event | bytes) -> list[dict[str, Any]]:
    """Submit JSON lines; return the lines of the answer."""
    body = b"\n".join(event if isinstance(event, bytes) else event.raw for event in events)
    answer = registry.client.post("/api/events", content=body, headers={"content-type": LINES})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == LINES
    return [json.loads(line) for line in answer.content.splitlines()]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return a problem's status and code."""
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == answer.status_code
    return answer.status_code, found["type"].removeprefix("urn:pith:error:")


def trust(registry: Registry) -> Trust:
    return Trust(registry.home.store.entry(0).event.id_text)


# --- one event -----------------------------------------------------------------------------


def test_an_event_is_answered_with_a_receipt_that_verifies(registry: Registry) -> None:
    event = registry.world.citation(ALICE)
    answer = registry.post(event)
    found = answer.json()
    assert (answer.status_code, found["event_id"], found["created"]) == (201, event.id_text, True)
    entry = registry.home.store.find(event.event_id)
    assert (found["position"], found["received_at"]) == (entry.position, entry.received_at)
    assert found["receipt"]["event"] == event.value
    verify_receipt_file(found["receipt"], trust(registry))


def test_the_receipt_is_under_a_checkpoint_that_is_served(registry: Registry) -> None:
    receipt = registry.post(registry.world.citation(ALICE)).json()["receipt"]
    published = registry.client.get("/checkpoint").content
    assert parse(parse_note(published).text).size >= parse(parse_note(receipt["checkpoint"].encode()).text).size


def test_the_same_event_again_is_the_same_entry(registry: Registry) -> None:
    event = registry.world.citation(BOB)
    first, second = registry.post(event), registry.post(event)
    assert (first.status_code, second.status_code) == (201, 200)
    same = ("event_id", "position", "received_at")
    assert [first.json()[name] for name in same] == [second.json()[name] for name in same]
    assert second.json()["created"] is False
    verify_receipt_file(second.json()["receipt"], trust(registry))


def test_another_spelling_of_an_event_is_the_same_event(registry: Registry) -> None:
    event = registry.world.citation(BOB)
    spelled = json.dumps(event.value, indent=3).encode()
    headers = {"content-type": "application/json; charset=utf-8"}
    first = registry.client.post("/api/events", content=spelled, headers=headers)
    assert first.status_code == 201
    assert registry.home.store.find(event.event_id).event.raw == event.raw
    assert registry.post(event).json()["position"] == first.json()["position"]


def test_many_who_send_one_event_at_once_get_one_entry(registry: Registry) -> None:
    event, before = registry.world.citation(ALICE), size(registry)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: registry.post(event), range(32)))
    assert sorted(answer.status_code for answer in answers) == [200] * 31 + [201]
    assert len({answer.json()["position"] for answer in answers}) == 1
    assert size(registry) == before + 1


def test_events_of_many_at_once_are_each_answered_with_their_own(registry: Registry) -> None:
    events = [registry.world.citation(who) for who in (ALICE, BOB) for _ in range(40)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(registry.post, events))
    for event, answer in zip(events, answers, strict=True):
        assert (answer.status_code, answer.json()["event_id"]) == (201, event.id_text)
        verify_receipt_file(answer.json()["receipt"], trust(registry))


def test_private_texts_travel_beside_their_event(registry: Registry) -> None:
    event = registry.world.citation(ALICE, quote=secret("Table 3 shows it."))
    assert registry.post(event, {"quote": disclosed("Table 3 shows it.")}).status_code == 201
    position = registry.home.store.find(event.event_id).position
    assert registry.home.store.disclosures([position])[position]["quote"].text == "Table 3 shows it."


def test_another_text_than_the_event_commits_to_is_refused(registry: Registry) -> None:
    event, before = registry.world.citation(ALICE, quote=secret("Table 3 shows it.")), size(registry)
    assert refusal(registry.post(event, {"quote": disclosed("Table 4 shows it.")})) == (422, "commitment-mismatch")
    assert size(registry) == before


def test_a_forged_signature_is_refused(registry: Registry) -> None:
    event = registry.world.citation(ALICE)
    forged = with_signature(event, registry.world.citation(ALICE).signature)
    assert refusal(registry.post(forged)) == (422, "signature-invalid")


def test_a_key_that_nobody_registered_is_refused(registry: Registry) -> None:
    answer = registry.post(registry.world.citation(CAROL))
    assert refusal(answer) == (422, "unknown-key")
    assert answer.json()["place"] == "signer.key_id"


def test_a_changed_word_is_refused_with_the_place(registry: Registry) -> None:
    value = json.loads(registry.world.citation(ALICE).raw)
    value["payload"]["relationship"] = "refutes"
    answer = registry.client.post("/api/events", json=value)
    assert refusal(answer) == (422, "event-id-mismatch")
    assert answer.json()["place"] == "event_id"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "not-json")),
        (b"[]", (400, "not-json")),
        (b"null", (400, "not-json")),
        (b"{", (400, "not-json")),
        (b"\xff\xfe{\x00}\x00", (400, "not-json")),
        (b"{}", (400, "missing-field")),
        (b'{"schema": "pith-event/1", "schema": "pith-event/1"}', (400, "duplicate-key")),
        (b'{"schema": 1.5}', (400, "float")),
        (b'{"schema": 12345678901234567890}', (400, "integer-range")),
        (b'{"schema": "\\ud800"}', (400, "lone-surrogate")),
        (b"[" * 100_000 + b"]" * 100_000, (413, "too-large")),
        (b"[" * 1_000 + b"]" * 1_000, (400, "too-deep")),
        (b'{"event": 1}', (400, "invalid-field")),
        (b'{"event": {}, "further": 1}', (400, "invalid-field")),
        (b'{"event": {}, "disclosures": {"quote": "text"}}', (400, "invalid-field")),
        (b'{"event": {}}', (400, "missing-field")),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else None,
)
def test_what_is_no_event_is_refused_by_its_rule(registry: Registry, body: bytes, expected: tuple[int, str]) -> None:
    before = size(registry)
    headers = {"content-type": "application/json"}
    assert refusal(registry.client.post("/api/events", content=body, headers=headers)) == expected
    assert size(registry) == before


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_another_media_type_is_not_read(registry: Registry, kind: str) -> None:
    body = registry.world.citation(ALICE).raw
    headers = {"content-type": kind} if kind else {}
    assert refusal(registry.client.post("/api/events", content=body, headers=headers)) == (415, "unsupported-media")


# --- JSON lines ----------------------------------------------------------------------------


def test_each_line_has_its_own_answer(registry: Registry) -> None:
    good, known = registry.world.citation(ALICE), registry.world.citation(BOB)
    registry.post(known)
    bad = with_signature(good, known.signature)
    other = registry.world.citation(BOB)
    found = lines(registry, good, bad, b"nonsense", known, other)
    assert [line.get("created") for line in found] == [True, None, None, False, True]
    assert [line.get("type") for line in found[1:3]] == ["urn:pith:error:signature-invalid", "urn:pith:error:not-json"]
    assert [line["status"] for line in found[1:3]] == [422, 400]
    for line in (found[0], found[3], found[4]):
        verify_receipt_file(line["receipt"], trust(registry))


def test_a_key_may_be_registered_in_the_line_before_its_first_event(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        found = lines(registry, registry.world.registration(CAROL), registry.world.citation(CAROL))
        assert [line["created"] for line in found] == [True, True]
        verify_receipt_file(found[1]["receipt"], trust(registry))


def test_lines_that_are_all_refused_append_nothing(registry: Registry) -> None:
    before = size(registry)
    found = lines(registry, b"{}", b"[]")
    assert [line["status"] for line in found] == [400, 400]
    assert size(registry) == before


def test_a_thousand_lines_are_taken_and_no_more(registry: Registry) -> None:
    event = registry.world.citation(ALICE)
    assert len(lines(registry, *[event] * 1_000)) == 1_000
    body = b"\n".join([event.raw] * 1_001)
    headers = {"content-type": LINES}
    assert refusal(registry.client.post("/api/events", content=body, headers=headers)) == (413, "too-large")


@pytest.mark.parametrize("body", [b"", b"\n\r\n  \n"])
def test_no_line_at_all_is_refused(registry: Registry, body: bytes) -> None:
    headers = {"content-type": LINES}
    assert refusal(registry.client.post("/api/events", content=body, headers=headers)) == (400, "invalid-field")


# --- what serves ---------------------------------------------------------------------------


def test_what_was_signed_is_remembered_when_the_server_ends(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        registry.post(registry.world.citation(ALICE))
        registry.post(registry.world.citation(ALICE))
        expected = size(registry)
    assert parse(parse_note((tmp_path / "signed").read_bytes()).text).size == expected


def test_what_was_signed_is_noted_while_the_server_runs(tmp_path: Path) -> None:
    world = World()
    home = a_home(tmp_path, world)
    with serving(home, world, follow_seconds=0.05) as registry:
        registry.post(world.citation(ALICE))
        deadline = time.monotonic() + 30
        while parse(parse_note(home.settings.signed_path.read_bytes()).text).size < size(registry):
            assert time.monotonic() < deadline, "the newest checkpoint is not noted"
            threading.Event().wait(0.02)


def test_readers_are_answered_while_forms_wait_for_the_log(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry, ThreadPoolExecutor(12) as people:
        other = sqlite3.connect(registry.home.settings.ledger_path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            form = {"citing": "arxiv:2606.00002", "relationship": "cites"}
            address = f"{registry.address}/pith/{NUMBER[10:]}/action/citation_signature"
            posted = [people.submit(httpx.post, address, json=form, timeout=60) for _ in range(12)]
            while registry.parts.intake is not None and not registry.parts.intake.waiting()[0]:
                threading.Event().wait(0.02)
            for path in ("/checkpoint", "/health/ready", "/api/events?limit=1", f"/pith/{NUMBER[10:]}/state.json"):
                assert registry.client.get(path).status_code == 200
            assert not any(answer.done() for answer in posted)
        finally:
            other.execute("ROLLBACK")
            other.close()
        assert [answer.result().status_code for answer in posted] == [201] * 12


def test_what_another_process_appends_is_signed_over_soon(tmp_path: Path) -> None:
    world = World()
    home = a_home(tmp_path, world)
    newest(home)
    with serving(home, world, follow_seconds=0.05) as registry:
        (appended,) = registry.home.append([Submission(registry.world.citation(ALICE))])
        entry = appended.entry
        deadline = time.monotonic() + 30
        while (answer := registry.client.get(f"/api/receipts/{entry.event.id_text}")).status_code == 503:
            assert time.monotonic() < deadline, "no checkpoint covers it"
            threading.Event().wait(0.05)
        verify_receipt_file(answer.json(), trust(registry))


def test_a_log_key_rotated_while_serving_signs_the_next_checkpoint(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        before = registry.post(registry.world.citation(ALICE)).json()["receipt"]
        rotate(registry.home, "log")
        after = registry.post(registry.world.citation(ALICE)).json()["receipt"]
        notes = [parse_note(receipt["checkpoint"].encode()) for receipt in (before, after)]
        assert notes[0].signatures[0].key_hash != notes[1].signatures[0].key_hash
        verify_receipt_file(after, trust(registry))


def test_an_event_key_rotated_while_serving_signs_the_next_form(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        form = {"citing": "arxiv:2606.00002", "relationship": "cites"}
        address = f"/pith/{NUMBER[10:]}/action/citation_signature"
        before = registry.client.post(address, json=form).json()
        rotate(registry.home, "event")
        after = registry.client.post(address, json=form)
        assert after.status_code == 201
        signers = [answer["receipt"]["event"]["signer"]["key_id"] for answer in (before, after.json())]
        assert signers[0] != signers[1]


@pytest.mark.parametrize("policy", [False, True], ids=["alone", "with witnesses"])
def test_a_log_behind_what_was_signed_is_not_served(tmp_path: Path, policy: bool) -> None:
    with a_registry(tmp_path / "one") as registry:
        shutil.copy(registry.home.settings.ledger_path, tmp_path / "backup.db")
        registry.post(registry.world.citation(ALICE))
        world, settings = registry.world, registry.home.settings
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (settings.data / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup.db", settings.ledger_path)
    restored = open_home(replace(settings, witness_policy=tmp_path / "policy" if policy else None))
    with pytest.raises(LogCorruptedError, match="no continuation"), serving(restored, world):
        pass


def test_where_witnesses_must_cosign_nothing_is_promised_before_they_have(tmp_path: Path) -> None:
    world = World()
    home = a_home(tmp_path, world)
    newest(home)
    signed = home.store.checkpoints.published().size
    with serving(replace(home, settings=replace(home.settings, witness_policy=tmp_path / "policy")), world) as registry:
        answer = registry.post(world.citation(ALICE))
        assert (answer.status_code, answer.json()["receipt"]) == (201, None)
        assert home.store.checkpoints.published().size == signed


def test_without_the_log_key_events_are_taken_and_have_no_receipt_yet(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry:
        (registry.home.settings.keys / "log.json").unlink()
        answer = registry.post(registry.world.citation(ALICE))
        assert (answer.status_code, answer.json()["receipt"]) == (201, None)


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Registry]:
    with a_registry(tmp_path / "original") as original:
        settings = Settings(tmp_path / "mirror", BASE_URL)
        mirror(StorePublication(original.home.store), settings, Trust(), lambda _: None, original.home.clock)
    with serving(open_home(settings), original.world) as served:
        yield served


def test_a_mirror_takes_nothing_of_its_own(copy: Registry) -> None:
    assert refusal(copy.post(copy.world.citation(ALICE))) == (501, "not-offered")
    assert copy.client.get(f"/pith/{NUMBER[10:]}.json").status_code == 200


def test_salts_are_spelled_in_one_way(registry: Registry) -> None:
    event = registry.world.citation(ALICE, quote=secret("Table 3 shows it."))
    body = {"event": event.value, "disclosures": {"quote": {"salt": SALT_TEXT + "=", "text": "Table 3 shows it."}}}
    assert refusal(registry.client.post("/api/events", json=body)) == (400, "invalid-field")


def test_every_refusal_has_the_code_of_an_error(registry: Registry) -> None:
    codes = {kind.code for kind in _tree(LedgerError)}
    answer = registry.client.post("/api/events", content=b"{}", headers={"content-type": "application/json"})
    assert refusal(answer)[1] in codes


def _tree(kind: type[LedgerError]) -> list[type[LedgerError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _tree(child))]
