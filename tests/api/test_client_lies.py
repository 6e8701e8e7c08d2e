"""The client against registries that lie: each lie is named, and a forked history becomes evidence."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.client import Client
from api.client.problems import RemoteError
from ledger.appending import Submission
from ledger.errors import ForkError, SourceUnreadableError, VerificationError
from ledger.log_keys import log_verifier
from ledger.proofs.trust import Trust
from ops.verify import verify_path
from tests.api.asking import a_citation, a_paper
from tests.api.clients import hasty, root_of, signatory
from tests.api.liars import PROBLEM, Asked, Liar, Reply, Script, honest, lying, scripted
from tests.api.registry import Registry, a_registry
from tests.builders import MODERATOR, NUMBER, REGISTRY, Who, World, key

NO_HASH = base64.b64encode(bytes(32)).decode()
NO_ID = f"sha256:{'0' * 64}"


@pytest.fixture(scope="module")
def thief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Somebody else's registry of the same name: every key but those of the people is the thief's own."""
    world = World()
    for role in ("registry", "receipt", "log"):
        setattr(world, role, Who(key(f"a thief's {role}"), "pith_registry", world.registry.signer_id))
    with a_registry(tmp_path_factory.mktemp("thief"), world=world) as registry:
        yield registry


def trusting(registry: Registry, liar: Liar) -> Client:
    return hasty(liar.address, Trust(root=root_of(registry)))


@contextmanager
def facing(registry: Registry, script: Script) -> Iterator[Client]:
    """Yield a client that knows a registry's root, and meets a script where it looks for that registry."""
    with scripted(script) as liar, trusting(registry, liar) as client:
        yield client


# What a registry answers to a submission.


def another_event(answer: Any) -> None:
    answer["event_id"] = NO_ID


def a_position_that_moved(answer: Any) -> None:
    answer["position"] += 1


def another_time(answer: Any) -> None:
    answer["received_at"] += 1


def a_wrong_proof(answer: Any) -> None:
    answer["receipt"]["inclusion_proof"][0] = NO_HASH


def a_proof_that_is_none(answer: Any) -> None:
    answer["receipt"]["inclusion_proof"] = "yes"


def a_receipt_moved_with_its_answer(answer: Any) -> None:
    answer["position"] -= 1
    answer["receipt"]["position"] -= 1


def a_checkpoint_of_another_size(answer: Any) -> None:
    origin, size, rest = answer["receipt"]["checkpoint"].split("\n", 2)
    answer["receipt"]["checkpoint"] = f"{origin}\n{int(size) + 1}\n{rest}"


def an_event_with_another_payload(answer: Any) -> None:
    answer["receipt"]["event"]["payload"]["relationship"] = "refutes"


def another_root_than_its_keys_give(answer: Any) -> None:
    answer["receipt"]["root"] = NO_ID


def no_key_events(answer: Any) -> None:
    answer["receipt"]["key_events"] = []


def a_version_nobody_knows(answer: Any) -> None:
    answer["receipt"]["receipt_version"] = "9.0"


def an_empty_receipt(answer: Any) -> None:
    answer["receipt"] = {}


LIES: dict[Callable[[Any], None], str] = {
    another_event: "inclusion",
    a_position_that_moved: "position",
    another_time: "time",
    a_wrong_proof: "inclusion",
    a_proof_that_is_none: "canonical form",
    a_receipt_moved_with_its_answer: "inclusion",
    a_checkpoint_of_another_size: "checkpoint",
    an_event_with_another_payload: "canonical form",
    another_root_than_its_keys_give: "root",
    no_key_events: "root",
    a_version_nobody_knows: "canonical form",
    an_empty_receipt: "canonical form",
}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_an_answer_that_does_not_prove_what_it_says_is_named(registry: Registry, lie: Callable[[Any], None]) -> None:
    with facing(registry, lying(registry.address, lie)) as client, pytest.raises(VerificationError) as caught:
        client.submit(registry.world.citation(relationship="extends"))
    assert caught.value.step == LIES[lie]


@pytest.mark.parametrize("lie", [another_event, a_position_that_moved, a_wrong_proof])
def test_one_lie_among_many_answers_is_named(registry: Registry, lie: Callable[[Any], None]) -> None:
    def script(asked: Asked) -> Reply:
        reply = honest(registry.address)(asked)
        answers = [json.loads(line) for line in reply.content.splitlines()]
        lie(answers[1])
        return replace(reply, content=b"".join(json.dumps(answer).encode() + b"\n" for answer in answers))

    submissions = [Submission(registry.world.citation()) for _ in range(3)]
    with scripted(script) as liar, trusting(registry, liar) as client:
        outcomes = client.submit_all(submissions)
        assert next(outcomes).event is submissions[0].event
        with pytest.raises(VerificationError) as caught:
            next(outcomes)
    assert caught.value.step == LIES[lie]


def test_fewer_answers_than_events_are_no_answer(registry: Registry) -> None:
    def script(asked: Asked) -> Reply:
        reply = honest(registry.address)(asked)
        return replace(reply, content=reply.content.splitlines(keepends=True)[0])

    with scripted(script) as liar, trusting(registry, liar) as client, pytest.raises(SourceUnreadableError):
        list(client.submit_all(Submission(registry.world.citation()) for _ in range(2)))


def test_the_receipt_of_another_event_proves_nothing(registry: Registry) -> None:
    other = registry.post(registry.world.citation()).json()["receipt"]

    def lie(answer: Any) -> None:
        answer["receipt"] = other

    with facing(registry, lying(registry.address, lie)) as client, pytest.raises(VerificationError) as caught:
        client.submit(registry.world.citation())
    assert caught.value.step == "inclusion"


def test_another_event_in_the_place_of_the_one_sent_is_named(registry: Registry) -> None:
    sent = registry.world.citation()
    other = registry.post(registry.world.citation()).json()
    with (
        facing(registry, lambda _: Reply.of({**other, "event_id": sent.id_text})) as client,
        pytest.raises(VerificationError) as caught,
    ):
        client.submit(sent)
    assert caught.value.step == "inclusion"


def test_a_registry_that_proves_nothing_gives_no_receipt(registry: Registry) -> None:
    def lie(answer: Any) -> None:
        answer["receipt"] = None

    with scripted(lying(registry.address, lie)) as liar, trusting(registry, liar) as client:
        assert client.submit(registry.world.citation()).receipt is None


def test_a_thief_with_keys_of_its_own_is_found_out(registry: Registry, thief: Registry) -> None:
    key_of_the_log = log_verifier(REGISTRY, registry.world.log.key.public_key)
    for trust, step in ((Trust(root=root_of(registry)), "root"), (Trust(log_key=key_of_the_log), "key validity")):
        with hasty(thief.address, trust) as client, pytest.raises(VerificationError) as caught:
            client.submit(registry.world.citation())
        assert caught.value.step == step


def test_who_pins_nothing_is_not_moved_from_one_log_to_another(registry: Registry, thief: Registry) -> None:
    turns = [registry.address, thief.address]
    with scripted(lambda asked: honest(turns[0])(asked)) as liar, hasty(liar.address) as client:
        client.submit(registry.world.citation())
        turns.pop(0)
        for ask in (lambda: client.submit(registry.world.citation()), client.checkpoint, lambda: client.bundle(NUMBER)):
            with pytest.raises(VerificationError) as caught:
                ask()
            assert caught.value.step == "root"


# What a registry hands out.


def answering(registry: Registry, about: str, reply: Reply) -> Script:
    tell = honest(registry.address)
    return lambda asked: reply if asked.target.startswith(about) else tell(asked)


def test_the_receipt_of_another_event_is_not_the_one_asked_for(registry: Registry) -> None:
    first, second = (registry.post(registry.world.citation()).json() for _ in range(2))
    with (
        facing(registry, answering(registry, "/api/receipts/", Reply.of(first["receipt"]))) as client,
        pytest.raises(VerificationError) as caught,
    ):
        client.receipt(second["event_id"])
    assert caught.value.step == "inclusion"


def test_the_proof_of_another_event_is_not_the_one_asked_for(registry: Registry) -> None:
    first, second = (registry.post(registry.world.citation()).json()["event_id"] for _ in range(2))
    proof = registry.client.get("/api/proof/inclusion", params={"event_id": first})
    with (
        facing(registry, answering(registry, "/api/proof/", Reply(proof.content))) as client,
        pytest.raises(VerificationError) as caught,
    ):
        client.proof(second)
    assert caught.value.step == "inclusion"


def test_a_proof_with_another_hash_leads_nowhere(registry: Registry) -> None:
    event_id = registry.post(registry.world.citation()).json()["event_id"]
    proof = registry.client.get("/api/proof/inclusion", params={"event_id": event_id}).text
    index = next(line for line in proof.splitlines() if line.startswith("index "))
    path = proof.split(f"{index}\n")[1].split("\n")[0]
    spoiled = proof.replace(path, NO_HASH).encode()
    with (
        facing(registry, answering(registry, "/api/proof/", Reply(spoiled))) as client,
        pytest.raises(VerificationError) as caught,
    ):
        client.proof(event_id)
    assert caught.value.step == "inclusion"


def test_proofs_of_other_sizes_are_not_what_was_asked_for(registry: Registry) -> None:
    sizes = [registry.post(registry.world.citation()).json()["position"] + 1 for _ in range(3)]
    proof = registry.client.get("/api/proof/consistency", params={"from": sizes[0], "to": sizes[1]})
    with (
        facing(registry, answering(registry, "/api/proof/", Reply(proof.content))) as client,
        pytest.raises(VerificationError) as caught,
    ):
        client.growth(sizes[0], sizes[2])
    assert caught.value.step == "size"


def test_the_bundle_of_another_paper_is_not_the_one_asked_for(registry: Registry) -> None:
    other = a_paper(registry)
    registry.checkpoint()
    bundle = registry.client.get(f"/pith/{other[10:]}/bundle.json")
    with (
        facing(registry, answering(registry, "/pith/", Reply(bundle.content))) as client,
        pytest.raises(VerificationError) as caught,
    ):
        client.bundle(NUMBER)
    assert caught.value.step == "number"


def test_a_bundle_whose_state_does_not_follow_is_named(registry: Registry) -> None:
    def lie(bundle: Any) -> None:
        bundle["state"]["attestation_state"] = "replicated"

    with facing(registry, lying(registry.address, lie, "/pith/")) as client, pytest.raises(VerificationError) as caught:
        client.bundle(NUMBER)
    assert caught.value.step == "state"


def test_the_record_of_another_paper_is_not_the_one_asked_for(registry: Registry) -> None:
    other = a_paper(registry)
    record = registry.client.get(f"/api/records/{other[10:]}")
    with (
        facing(registry, answering(registry, "/api/records/", Reply(record.content))) as client,
        pytest.raises(VerificationError) as caught,
    ):
        client.record(NUMBER)
    assert caught.value.step == "number"


def test_a_record_that_does_not_hash_to_its_number_is_named(registry: Registry) -> None:
    def lie(record: Any) -> None:
        record["canonical_record"]["metadata"]["license"] = "mine"

    with (
        facing(registry, lying(registry.address, lie, "/api/records/")) as client,
        pytest.raises(VerificationError) as caught,
    ):
        client.record(NUMBER)
    assert caught.value.step == "number"


def test_an_event_in_a_history_is_what_its_id_says(registry: Registry) -> None:
    number = a_paper(registry)

    def lie(page: Any) -> None:
        page["entries"][0]["event"]["payload"]["paper"]["title"] = "Another title"

    with (
        facing(registry, lying(registry.address, lie, "/api/records/")) as client,
        pytest.raises(VerificationError) as caught,
    ):
        list(client.history(number))
    assert caught.value.step == "canonical form"


def test_events_about_something_else_are_no_part_of_a_papers_history(registry: Registry) -> None:
    other = a_paper(registry)
    page = registry.client.get(f"/api/records/{other[10:]}/events")
    with (
        facing(registry, answering(registry, "/api/records/", Reply(page.content))) as client,
        pytest.raises(VerificationError) as caught,
    ):
        list(client.history(NUMBER))
    assert caught.value.step == "number"


def test_a_history_does_not_go_round_in_circles(registry: Registry) -> None:
    def lie(page: Any) -> None:
        page["next"] = "/api/records/X/events?cursor=again"

    page = registry.client.get(f"/api/records/{NUMBER[10:]}/events").json()
    lie(page)
    with (
        facing(registry, answering(registry, "/api/records/", Reply.of(page))) as client,
        pytest.raises(VerificationError) as caught,
    ):
        list(client.history(NUMBER))
    assert caught.value.step == "position"


@pytest.mark.parametrize(
    "following", ["/api/records/X/events?cursor=again", "/api/records/X/events", "?cursor=a&cursor=b"]
)
def test_pages_that_lead_nowhere_are_named(registry: Registry, following: str) -> None:
    page = {"pith_number": NUMBER, "entries": [], "next": following}
    queue = {"status": "held", "events": [], "next_cursor": "7"}
    with facing(registry, lambda asked: Reply.of(queue if "moderation" in asked.target else page)) as client:
        for ask in (lambda: client.history(NUMBER), client.moderation_queue):
            with pytest.raises(SourceUnreadableError):
                list(ask())


def test_only_the_cursor_of_a_next_page_is_taken(registry: Registry) -> None:
    page = registry.client.get(f"/api/records/{NUMBER[10:]}/events").json()
    replies = [Reply.of({**page, "next": "http://169.254.169.254/?cursor=c&x=y"}), Reply.of({**page, "entries": []})]
    with scripted(lambda _: replies.pop(0)) as liar, trusting(registry, liar) as client:
        assert len(list(client.history(NUMBER))) == len(page["entries"])
    assert liar.targets[1] == f"GET /api/records/{NUMBER[10:]}/events?cursor=c&limit=200"


def test_another_event_than_asked_for_is_named(registry: Registry) -> None:
    first, second = (registry.post(registry.world.citation()).json()["event_id"] for _ in range(2))
    entry = registry.client.get(f"/api/events/{first}")
    with (
        facing(registry, answering(registry, "/api/events/", Reply(entry.content))) as client,
        pytest.raises(VerificationError) as caught,
    ):
        client.event(second)
    assert caught.value.step == "canonical form"


def test_an_entry_of_another_position_is_named(registry: Registry) -> None:
    page = registry.client.get("/api/events", params={"after": 0, "limit": 1})
    with (
        facing(registry, answering(registry, "/api/events?", Reply(page.content))) as client,
        pytest.raises(VerificationError) as caught,
    ):
        client.entry(0)
    assert caught.value.step == "position"


@pytest.mark.parametrize("flow", ["javascript:alert(1)", "file:///etc/passwd", ""])
def test_a_login_leads_to_an_address_that_a_browser_may_open(registry: Registry, flow: str) -> None:
    begun = Reply.of({"flow": flow, "expires_at": "2026-06-19T16:22:24Z"}, 201)
    with scripted(lambda _: begun) as liar, trusting(registry, liar) as client, pytest.raises(VerificationError):
        client.begin_login(signatory(MODERATOR, "moderator"))


def test_a_registry_cannot_say_that_a_check_of_ours_failed(registry: Registry) -> None:
    claims = {"type": "urn:pith:error:fork", "status": 422, "detail": "the log signed two histories"}
    with facing(registry, lambda _: Reply.of(claims, 422, PROBLEM)) as client, pytest.raises(RemoteError) as caught:
        client.checkpoint()
    assert (caught.value.code, caught.value.status) == ("remote", 422)


# One log, shown as two.


@pytest.fixture
def twins(tmp_path: Path) -> Iterator[tuple[Registry, Registry]]:
    """Two registries with the same keys and the same root, each of which goes its own way."""
    with a_registry(tmp_path / "one") as one, a_registry(tmp_path / "two") as two:
        assert root_of(one) == root_of(two)
        yield one, two


def grown(registry: Registry, number: int) -> None:
    """Let a log grow by some entries at once, and publish a checkpoint over them."""
    if number:
        registry.admit(*(a_citation(registry, NUMBER, citing=f"arxiv:2603.{at:05}") for at in range(number)))
    registry.checkpoint()


def check_evidence(error: ForkError, registry: Registry, folder: Path) -> None:
    file = folder / "evidence.json"
    file.write_text(json.dumps(error.evidence))
    checks = verify_path(file, Trust(root=root_of(registry)))
    assert any("cannot both be true" in check or "two roots" in check for check in checks)


@pytest.mark.parametrize("sizes", [(0, 0), (0, 1), (1, 3), (2, 300), (299, 300)])
def test_two_histories_are_evidence_that_convinces_everybody(
    twins: tuple[Registry, Registry], tmp_path: Path, sizes: tuple[int, int]
) -> None:
    turns = [registry.address for registry in twins]
    for registry, size in zip(twins, sizes, strict=True):
        grown(registry, size)
    with scripted(lambda asked: honest(turns[0])(asked)) as liar, trusting(twins[0], liar) as client:
        client.checkpoint()
        turns.pop(0)
        with pytest.raises(ForkError) as caught:
            client.checkpoint()
    check_evidence(caught.value, twins[0], tmp_path)


@pytest.mark.parametrize("ask", ["submit", "receipt", "bundle", "growth"])
def test_a_fork_is_found_wherever_a_checkpoint_comes_from(
    twins: tuple[Registry, Registry], tmp_path: Path, ask: str
) -> None:
    one, two = twins
    turns = [one.address, two.address]
    size = two.home.store.head().size
    grown(two, 3)
    asked: dict[str, tuple[Any, ...]] = {
        "submit": (two.world.citation(),),
        "receipt": (root_of(two),),
        "bundle": (NUMBER,),
        "growth": (size, size + 3),
    }
    with scripted(lambda asked: honest(turns[0])(asked)) as liar, trusting(one, liar) as client:
        client.submit(one.world.citation())
        turns.pop(0)
        with pytest.raises(ForkError) as caught:
            getattr(client, ask)(*asked[ask])
    check_evidence(caught.value, one, tmp_path)


def test_a_log_that_shrank_and_cannot_show_the_larger_tree_is_not_believed(
    twins: tuple[Registry, Registry],
) -> None:
    one, two = twins
    turns = [one.address, two.address]
    with scripted(lambda asked: honest(turns[0])(asked)) as liar, trusting(one, liar) as client:
        client.submit(one.world.citation())
        turns.pop(0)
        with pytest.raises(VerificationError) as caught:
            client.checkpoint()
    assert caught.value.step == "consistency" and not isinstance(caught.value, ForkError)


def test_evidence_under_a_pinned_key_needs_no_root(twins: tuple[Registry, Registry], tmp_path: Path) -> None:
    turns = [registry.address for registry in twins]
    own = log_verifier(REGISTRY, twins[0].world.log.key.public_key)
    with scripted(lambda asked: honest(turns[0])(asked)) as liar, hasty(liar.address, Trust(log_key=own)) as client:
        client.checkpoint()
        turns.pop(0)
        with pytest.raises(ForkError) as caught:
            client.checkpoint()
    file = tmp_path / "evidence.json"
    file.write_text(json.dumps(caught.value.evidence))
    assert verify_path(file, Trust(log_key=own))


def test_a_log_that_grows_is_asked_to_prove_it(registry: Registry) -> None:
    with scripted(honest(registry.address)) as liar, trusting(registry, liar) as client:
        first, second = (client.submit(registry.world.citation()).position + 1 for _ in range(2))
    assert f"GET /api/proof/consistency?from={first}&to={second}" in liar.targets


def test_a_checkpoint_from_before_is_compared_too(registry: Registry) -> None:
    before = registry.client.get("/checkpoint")
    stale = answering(registry, "/checkpoint", Reply(before.content))
    with scripted(stale) as liar, trusting(registry, liar) as client:
        newer = client.submit(registry.world.citation()).position + 1
        older = client.checkpoint().checkpoint.size
        assert f"GET /api/proof/consistency?from={older}&to={newer}" in liar.targets
        newest = client.submit(registry.world.citation()).position + 1
    assert f"GET /api/proof/consistency?from={newer}&to={newest}" in liar.targets


WORTHLESS = {
    "none": Reply.of({"type": "urn:pith:error:not-found", "status": 404, "detail": "no"}, 404, PROBLEM),
    "a refusal": Reply.of({"type": "urn:pith:error:invalid-field", "status": 400, "detail": "no"}, 400, PROBLEM),
    "an empty one": Reply.of({}),
    "other hashes": Reply.of({"consistency_proof": [NO_HASH] * 3}),
    "no hashes": Reply.of({"consistency_proof": 7}),
}


@pytest.mark.parametrize("proof", WORTHLESS)
def test_where_a_proof_is_worthless_the_tiles_decide(registry: Registry, proof: str) -> None:
    script = answering(registry, "/api/proof/consistency", WORTHLESS[proof])
    with scripted(script) as liar, trusting(registry, liar) as client:
        client.submit(registry.world.citation())
        client.submit(registry.world.citation())
    assert any(target.startswith("GET /tile/") for target in liar.targets)


@pytest.mark.parametrize("code", ["store", "too-many-requests", "log-corrupted"])
def test_a_proof_that_cannot_be_had_now_is_no_lie(registry: Registry, code: str) -> None:
    busy = Reply.of({"type": f"urn:pith:error:{code}", "status": 503, "detail": "not now"}, 503, PROBLEM)
    with facing(registry, answering(registry, "/api/proof/consistency", busy)) as client:
        client.submit(registry.world.citation())
        with pytest.raises(SourceUnreadableError) as caught:
            client.submit(registry.world.citation())
    assert "cannot be had now: not now" in caught.value.message


def test_who_proves_no_growth_at_all_is_not_believed(registry: Registry) -> None:
    def script(asked: Asked) -> Reply:
        withheld = asked.target.startswith(("/tile/", "/api/proof/"))
        return WORTHLESS["none"] if withheld else honest(registry.address)(asked)

    with scripted(script) as liar, trusting(registry, liar) as client:
        client.submit(registry.world.citation())
        with pytest.raises(VerificationError) as caught:
            client.submit(registry.world.citation())
    assert caught.value.step == "consistency" and not isinstance(caught.value, ForkError)
