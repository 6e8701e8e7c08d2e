"""The client on a real registry: what it asks, what it is told, and what it has verified."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.client import Client
from api.client.answers import Refused, Submitted
from api.client.papers import judged_paper, proven_record
from api.client.problems import CODES, RemoteError
from api.client.submitting import batches
from ledger.appending import Submission
from ledger.errors import (
    AmbiguousError,
    NotFoundError,
    RecordMissingError,
    SignatureInvalidError,
    SubmissionError,
    UsageError,
    VerificationError,
)
from ledger.events import Event, from_value
from ledger.log_keys import log_verifier
from ledger.proofs.trust import Trust
from ledger.proofs.verify_receipt import verify_consistency_file, verify_inclusion_file, verify_receipt_file
from ops.rotation import rotate
from projections.verify_bundle import verify_bundle
from tests.api.asking import a_citation, a_paper, known_alice
from tests.api.clients import a_client, root_of, signatory
from tests.api.registry import Registry, a_registry
from tests.builders import ALICE, BOB, MODERATOR, NUMBER, OTHER_NUMBER, REGISTRY, disclosed
from tests.processes import ROOT, environment

NO_EVENT = f"sha256:{'0' * 64}"


@pytest.fixture(scope="module")
def client(registry: Registry) -> Any:
    with a_client(registry) as client:
        yield client


def citations(registry: Registry, count: int, number: str = NUMBER) -> list[Event]:
    return [a_citation(registry, number, citing=f"arxiv:2601.{at:05}") for at in range(count)]


# Submitting.


def test_a_submitted_event_comes_back_with_a_receipt_that_anybody_can_verify(
    registry: Registry, client: Client
) -> None:
    event = registry.world.citation()
    done = client.submit(event)
    assert done.receipt is not None
    entry = registry.home.store.find(event.event_id)
    assert (done.position, done.received_at, done.created) == (entry.position, entry.received_at, True)
    assert verify_receipt_file(done.receipt.value, Trust(root=root_of(registry))) == list(done.receipt.checks)
    assert from_value(done.receipt.value["event"]).raw == event.raw


def test_the_same_event_again_is_the_same_entry(registry: Registry, client: Client) -> None:
    event = registry.world.citation()
    first, again = client.submit(event), client.submit(event)
    assert (again.position, again.received_at, again.created) == (first.position, first.received_at, False)


def test_private_texts_go_with_their_event(registry: Registry, client: Client) -> None:
    event = registry.world.author()
    done = client.submit(event, {"statement": disclosed("I wrote this.")})
    assert registry.home.store.disclosures([done.position])[done.position]["statement"].text == "I wrote this."


def test_a_refusal_is_the_error_that_the_ledger_itself_raises(registry: Registry, client: Client) -> None:
    event = registry.world.citation()
    forged = {**event.value, "signature_b64": registry.world.citation().value["signature_b64"]}
    with pytest.raises(SignatureInvalidError) as caught:
        client.submit(from_value(forged))
    assert caught.value.cure == SignatureInvalidError.default_cure


def test_a_refusal_says_where_and_what_to_do(registry: Registry, client: Client) -> None:
    with pytest.raises(RecordMissingError) as caught:
        client.submit(a_citation(registry, OTHER_NUMBER))
    direct = registry.post(a_citation(registry, OTHER_NUMBER)).json()
    assert (caught.value.message, caught.value.cure) == (direct["detail"], direct["cure"])
    assert caught.value.place == direct.get("place", "")


def test_a_registry_that_vouches_for_itself_is_taken_at_its_word_and_that_is_said(registry: Registry) -> None:
    with Client(registry.address) as client:
        done = client.submit(registry.world.citation())
        assert not client.is_pinned
    assert done.receipt and any("by its own word" in check for check in done.receipt.checks)


@pytest.mark.parametrize("root", ["own", NO_EVENT])
def test_a_pinned_root_decides(registry: Registry, root: str) -> None:
    with Client(registry.address, Trust(root=root_of(registry) if root == "own" else root)) as client:
        assert client.is_pinned
        if root == "own":
            done = client.submit(registry.world.citation())
            assert done.receipt and any("as you asked" in check for check in done.receipt.checks)
        else:
            with pytest.raises(VerificationError) as caught:
                client.submit(registry.world.citation())
            assert caught.value.step == "root"


def test_a_pinned_log_key_decides(registry: Registry) -> None:
    own = log_verifier(REGISTRY, registry.world.log.key.public_key)
    other = log_verifier(REGISTRY, registry.world.receipt.key.public_key)
    with Client(registry.address, Trust(log_key=own)) as client:
        assert client.submit(registry.world.citation()).receipt
        assert client.checkpoint().checkpoint.size == registry.home.store.head().size
    with Client(registry.address, Trust(log_key=other)) as client:
        with pytest.raises(VerificationError) as submitted:
            client.submit(registry.world.citation())
        with pytest.raises(VerificationError) as published:
            client.checkpoint()
    assert (submitted.value.step, published.value.step) == ("key validity", "checkpoint")


# Submitting many.


def test_many_events_are_entries_in_their_order(registry: Registry, client: Client) -> None:
    events = citations(registry, 12)
    done = [outcome for outcome in client.submit_all(map(Submission, events)) if isinstance(outcome, Submitted)]
    assert [outcome.event.id_text for outcome in done] == [event.id_text for event in events]
    assert [outcome.position for outcome in done] == [registry.home.store.find(e.event_id).position for e in events]
    assert all(outcome.receipt is not None for outcome in done)


def test_bad_events_among_many_are_refused_by_name_and_the_others_kept(registry: Registry, client: Client) -> None:
    good, bad, last = a_citation(registry, NUMBER), a_citation(registry, OTHER_NUMBER), a_citation(registry, NUMBER)
    first, refused, third = client.submit_all(map(Submission, (good, bad, last)))
    assert isinstance(first, Submitted) and isinstance(third, Submitted) and isinstance(refused, Refused)
    assert (type(refused.error), refused.event) == (RecordMissingError, bad)
    assert registry.home.store.find(last.event_id).position == third.position


def test_what_was_interrupted_is_simply_sent_again(registry: Registry, client: Client) -> None:
    events = citations(registry, 4)
    interrupted = client.submit_all(map(Submission, events[:2]))
    positions = [next(interrupted).position, next(interrupted).position]  # type: ignore[union-attr]
    done = list(client.submit_all(map(Submission, events)))
    assert [outcome.created for outcome in done if isinstance(outcome, Submitted)] == [False, False, True, True]
    assert [outcome.position for outcome in done if isinstance(outcome, Submitted)][:2] == positions


def test_more_than_a_registry_takes_at_once_goes_in_several_requests(registry: Registry) -> None:
    submissions = [Submission(event) for event in citations(registry, 7)]
    groups = list(batches(iter(submissions), most=3))
    assert [len(group) for group, _ in groups] == [3, 3, 1]
    assert [submission for group, _ in groups for submission in group] == submissions
    longest = max(len(submission.event.raw) for submission in submissions) + 1
    assert all(len(body) <= 2 * longest for _, body in batches(iter(submissions), limit=2 * longest))
    assert [len(group) for group, _ in batches(iter(submissions), limit=1)] == [1] * 7


def test_nothing_to_send_is_no_request() -> None:
    with Client("http://127.0.0.1:1") as client:
        assert list(client.submit_all([])) == []


# Papers.


def test_a_paper_has_many_names(registry: Registry, client: Client) -> None:
    names = (NUMBER, NUMBER[10:], NUMBER[10:20], "arxiv:2606.00001", "https://arxiv.org/abs/2606.00001v1")
    assert {client.record(name).value["pith_number"] for name in names} == {NUMBER}


def test_the_document_is_the_one_that_the_registry_serves(registry: Registry, client: Client) -> None:
    served = registry.client.get(f"/api/records/{NUMBER[10:]}")
    assert client.record(NUMBER).raw == served.content


def test_whoever_waits_for_an_entry_reads_what_it_did(registry: Registry, client: Client) -> None:
    number = a_paper(registry)
    done = client.submit(a_citation(registry, number))
    shown = client.record(number, wait_for=done.position).value["events"]
    assert [event["event_id"] for event in shown] == [done.event.id_text]
    client.wait_for(done.position)


def test_the_record_of_the_past_is_the_one_shown_then(registry: Registry, client: Client) -> None:
    number = a_paper(registry)
    before = client.record(number).value
    size = registry.home.store.head().size
    done = client.submit(a_citation(registry, number))
    assert client.record(number, as_of=size, wait_for=done.position).value == before


def test_a_history_of_many_pages_has_every_entry_once(registry: Registry, client: Client) -> None:
    number = a_paper(registry)
    events = citations(registry, 230, number)
    last = registry.admit(*events)
    rows = list(client.history(number, wait_for=last.position))
    assert [row.event["event_id"] for row in rows[1:]] == [event.id_text for event in events]
    assert rows[0].event["event_type"] == "record_created"
    assert {row.status for row in rows[1:]} == {"held"}


def test_words_and_names_are_looked_up(registry: Registry, client: Client) -> None:
    number = a_paper(registry, "Quaternions of the North")
    assert [hit.pith_number for hit in client.search("quaternions")] == [number]
    assert client.search("nothing has these words") == []
    with pytest.raises(NotFoundError):
        client.resolve("quaternions")


def test_a_name_of_several_papers_is_answered_with_the_choices(registry: Registry, client: Client) -> None:
    doi = "10.1000/shared"
    numbers = [a_paper(registry, f"Shared {at}") for at in range(2)]
    registry.admit(*(registry.world.alias_added("doi", doi, number) for number in numbers))
    registry.caught_up()
    with pytest.raises(AmbiguousError) as caught:
        client.resolve(f"doi:{doi}")
    assert sorted(caught.value.choices) == sorted(numbers)


def test_a_bundle_is_verified_and_gives_the_very_record(registry: Registry, client: Client) -> None:
    number = a_paper(registry)
    known_alice(registry)
    done = client.submit(a_citation(registry, number))
    bundle = client.bundle(number)
    assert verify_bundle(bundle.value, Trust(root=root_of(registry))) == list(bundle.checks)
    served = client.record(number, wait_for=done.position).value
    computed = proven_record(bundle.value)
    here = ("schema_url", "links", "agent_actions")
    told = {name: part for name, part in served.items() if name not in here}
    again = httpx.Response(200, json={name: part for name, part in computed.items() if name not in here}).json()
    assert again == told
    assert [judgement.verdict.status for judgement in judged_paper(bundle.value).judgements] == ["counted", "counted"]


def test_state_events_and_graph_are_about_the_paper(registry: Registry, client: Client) -> None:
    number = a_paper(registry)
    done = client.submit(a_citation(registry, number))
    client.wait_for(done.position)
    assert client.state(number)["event_count"] == 2
    assert [event["position"] for event in client.paper_events(number)["events"]] == [done.position]
    assert client.graph(number)["pith_number"] == number


# The log.


def test_an_entry_is_found_by_its_event_and_by_its_position(registry: Registry, client: Client) -> None:
    done = client.submit(registry.world.replication())
    found = client.event(done.event.id_text)
    assert (found.entry.event.raw, found.entry.position) == (done.event.raw, done.position)
    assert found.fate and found.fate.status == "held"
    assert client.entry(done.position).event.raw == done.event.raw
    assert client.event(root_of(registry)).fate is None


@pytest.mark.parametrize("ask", ["event", "receipt", "proof"])
def test_an_event_that_is_not_there_is_not_found(client: Client, ask: str) -> None:
    with pytest.raises(NotFoundError):
        getattr(client, ask)(NO_EVENT)


@pytest.mark.parametrize("ask", ["event", "receipt", "proof"])
def test_what_is_no_event_id_is_not_even_asked_for(client: Client, ask: str) -> None:
    with pytest.raises(UsageError):
        getattr(client, ask)("../../secrets")


def test_an_entry_beyond_the_end_is_not_found(registry: Registry, client: Client) -> None:
    size = registry.home.store.head().size
    for position in (size, size + 5):
        with pytest.raises(NotFoundError):
            client.entry(position)


def test_a_receipt_can_be_asked_for_later(registry: Registry, client: Client) -> None:
    done = client.submit(registry.world.citation())
    later = client.receipt(done.event.id_text)
    assert verify_receipt_file(later.value, Trust(root=root_of(registry))) == list(later.checks)


def test_an_entry_that_no_checkpoint_covers_yet_is_not_proven_yet(registry: Registry) -> None:
    entry = registry.admit(registry.world.citation())
    with a_client(registry) as client:
        with pytest.raises(RemoteError) as caught:
            client.receipt(entry.event.id_text)
        assert (caught.value.code, caught.value.status) == ("not-yet-proven", 503)
        registry.checkpoint()
        assert client.receipt(entry.event.id_text).value["position"] == entry.position


def test_a_proof_is_a_file_that_verifies_with_the_logs_key(registry: Registry, client: Client) -> None:
    done = client.submit(registry.world.citation())
    raw, checks = client.proof(done.event.id_text)
    own = log_verifier(REGISTRY, registry.world.log.key.public_key)
    assert verify_inclusion_file(raw, Trust(log_key=own))
    assert any(f"leaf {done.position}" in check for check in checks)


def test_growth_between_two_checkpoints_is_proven(registry: Registry, client: Client) -> None:
    old = client.submit(registry.world.citation()).position + 1
    new = client.submit(registry.world.citation()).position + 1
    found = client.growth(old, new)
    assert verify_consistency_file(found.value, Trust(root=root_of(registry))) == list(found.checks)
    with pytest.raises(NotFoundError):
        client.growth(1, new)


def test_the_newest_checkpoint_is_the_one_published(registry: Registry, client: Client) -> None:
    done = client.submit(registry.world.citation())
    found = client.checkpoint()
    assert found.checkpoint.size > done.position
    assert found.note == registry.home.store.checkpoints.published().note


def test_a_new_log_key_is_followed_from_the_root(tmp_path: Path) -> None:
    with a_registry(tmp_path) as registry, a_client(registry) as client:
        before = client.checkpoint()
        rotate(registry.home, "log")
        registry.checkpoint()
        after = client.checkpoint()
    assert after.checkpoint.size > before.checkpoint.size
    assert after.note.splitlines()[-1][:40] != before.note.splitlines()[-1][:40]


def test_the_registry_is_called_by_its_name(client: Client) -> None:
    assert client.registry_name() == REGISTRY


def test_several_threads_may_ask_at_once(registry: Registry, client: Client) -> None:
    events = citations(registry, 16)
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(client.submit, events))
    assert len({outcome.position for outcome in done}) == 16 and all(outcome.receipt for outcome in done)


# Following.


def test_following_has_every_entry_once_and_then_the_new_ones(registry: Registry, client: Client) -> None:
    size = registry.home.store.head().size
    following = client.follow()
    before = list(islice(following, size))
    event = registry.world.citation()
    done = client.submit(event)
    new = next(following)
    following.close()
    assert [entry.position for entry in before] == list(range(size))
    assert [entry.event.raw for entry in before] == [entry.event.raw for entry in registry.home.store.entries(0, size)]
    assert (new.position, new.event.raw, new.received_at) == (done.position, event.raw, done.received_at)


def test_following_begins_after_the_entry_that_is_named(registry: Registry, client: Client) -> None:
    size = registry.home.store.head().size
    following = client.follow(size - 3)
    assert [entry.position for entry in islice(following, 2)] == [size - 2, size - 1]
    following.close()


def test_who_has_more_than_the_log_holds_is_told(registry: Registry, client: Client) -> None:
    with pytest.raises(RemoteError) as caught:
        next(client.follow(registry.home.store.head().size))
    assert caught.value.code == "beyond-head"


# As the holder of a key.


def test_a_moderator_reads_what_waits(registry: Registry, client: Client) -> None:
    event = registry.world.author(BOB)
    done = client.submit(event, {"statement": disclosed("I wrote this.")})
    client.wait_for(done.position)
    waiting = {found.event_id: found for found in client.moderation_queue(signatory(MODERATOR, "moderator"))}
    found = waiting[event.id_text]
    assert found.payload == event.value["payload"]
    assert found.texts and found.texts["statement"].text == "I wrote this."


def test_anybody_sees_that_something_waits_and_not_what(registry: Registry, client: Client) -> None:
    event = registry.world.replication()
    client.wait_for(client.submit(event).position)
    waiting = {found.event_id: found for found in client.moderation_queue()}
    assert waiting[event.id_text].payload is None


def test_a_queue_of_many_pages_has_every_statement_once(registry: Registry, client: Client) -> None:
    number = a_paper(registry)
    registry.admit(*(a_citation(registry, number, BOB, citing=f"arxiv:2602.{at:05}") for at in range(120)))
    registry.caught_up()
    positions = [found.position for found in client.moderation_queue()]
    assert len(positions) > 120 and positions == sorted(set(positions))


def test_a_contributor_may_not_read_what_waits(client: Client) -> None:
    with pytest.raises(RemoteError) as caught:
        next(client.moderation_queue(signatory(ALICE, "contributor")))
    assert (caught.value.code, caught.value.status) == ("forbidden", 403)


def test_a_registry_without_logins_says_so(client: Client) -> None:
    with pytest.raises(RemoteError) as caught:
        client.begin_login(signatory(ALICE, "contributor"))
    assert (caught.value.code, caught.value.status) == ("not-offered", 501)


# Its own care.


@pytest.mark.parametrize(
    "url",
    [
        "ftp://pith.example",
        "pith.example",
        "https://",
        "https://pith.example?x=1",
        "https://pith.example#x",
        "https://someone:secret@pith.example",
        "http://[::1",
        "http://a b",
        "http://pith.example\r\nx: y",
    ],
)
def test_what_is_no_address_of_a_registry_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        Client(url)


def test_private_texts_are_not_sent_where_others_can_read_them(registry: Registry) -> None:
    with Client("http://pith.example") as client:
        texts = {"statement": disclosed("I wrote this.")}
        with pytest.raises(UsageError):
            client.submit(registry.world.author(), texts)
        with pytest.raises(UsageError):
            list(client.submit_all([Submission(registry.world.author(), texts)]))
        with pytest.raises(UsageError):
            next(client.moderation_queue(signatory(MODERATOR, "moderator")))
        with pytest.raises(UsageError):
            client.begin_login(signatory(ALICE, "contributor"))


def test_a_closed_client_asks_nothing_more(registry: Registry) -> None:
    client = a_client(registry)
    client.close()
    client.close()
    with pytest.raises(UsageError):
        client.checkpoint()


def test_a_reader_may_be_left_open_by_whoever_closes_the_client(registry: Registry) -> None:
    with a_client(registry) as client:
        following = client.follow()
        next(following)
    following.close()


def test_a_client_does_without_the_web_framework() -> None:
    program = "import sys, api.client.client; sys.exit(sum(name in sys.modules for name in ('litestar', 'uvicorn')))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment(), timeout=60).returncode == 0


def test_refusals_of_the_ledger_have_their_own_classes() -> None:
    assert CODES["record-missing"] is RecordMissingError
    assert {code for code, kind in CODES.items() if issubclass(kind, SubmissionError)} >= {"float", "weak-key"}
    assert not {"verification", "fork"} & set(CODES)
