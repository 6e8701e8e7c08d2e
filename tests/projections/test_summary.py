"""`event_summary` and `equivocations`: how much was said, and who says both A and not A."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ledger.events import Event
from ledger.times import instant
from tests.builders import ALICE, BOB, CHECKER, HASH, MALLORY, SESSION, SHA256, SUCCESSOR, World
from tests.logs import Log
from tests.projections.papers import confirmed_anchor, contradictions, summary

# event_summary.


def test_a_paper_nobody_spoke_about_has_an_empty_summary(log: Log) -> None:
    assert summary(log) == {}


@pytest.mark.parametrize("make", [World.record_updated, World.graph_snapshot, World.alias_added, World.author_identity])
def test_what_the_registry_keeps_about_a_paper_is_not_summarised(log: Log, make: Callable[[World], Event]) -> None:
    log.admit(make(log.world))
    assert summary(log) == {}


SPOKEN: dict[str, Callable[[World], Event]] = {
    "timestamp_anchor": World.anchor,
    "storage_attestation": World.storage,
    "author_attestation": World.author,
    "citation_signature": World.citation,
    "replication_record": World.replication,
    "challenge": World.challenge,
    "challenge_response": lambda world: world.response("C1"),
    "integrity_finding": World.finding,
    "integrity_rescinded": World.finding_rescinded,
}


@pytest.mark.parametrize("kind", SPOKEN)
def test_what_is_said_about_a_paper_is_summarised_by_type(log: Log, kind: str) -> None:
    log.admit(SPOKEN[kind](log.world))
    assert {name: found["count"] for name, found in summary(log).items()} == {kind: 1}


def test_withdrawals_and_decisions_are_not_summarised_themselves(lenient: Log) -> None:
    claim = lenient.world.author()
    lenient.admit(claim, lenient.world.decision(claim), lenient.world.withdrawal(claim))
    assert set(summary(lenient)) == {"author_attestation"}


def test_everything_of_a_type_is_counted(lenient: Log) -> None:
    lenient.admit(lenient.world.citation(), lenient.world.citation(), lenient.world.citation(BOB))
    assert summary(lenient)["citation_signature"]["count"] == 3


def test_the_first_and_the_last_are_named_by_when_the_log_took_them(lenient: Log) -> None:
    first = lenient.admit(lenient.world.citation())
    lenient.clock.advance(5)
    last = lenient.admit(lenient.world.citation())
    found = summary(lenient)["citation_signature"]
    assert (found["first_received_at"], found["last_received_at"], found["last_event_id"]) == (
        instant(first.received_at),
        instant(last.received_at),
        last.event.id_text,
    )


def test_what_waits_is_held_and_not_rejected(log: Log) -> None:
    log.admit(log.world.citation())
    found = summary(log)["citation_signature"]
    assert (found["held"], found["rejected"]) == (1, 0)


def test_what_counts_is_neither_held_nor_rejected(lenient: Log) -> None:
    lenient.admit(lenient.world.citation())
    found = summary(lenient)["citation_signature"]
    assert (found["held"], found["rejected"]) == (0, 0)


def rejected(world: World, said: Event) -> Event:
    return world.decision(said, "rejected")


def redacted(world: World, said: Event) -> Event:
    return world.decision(said, "redacted")


def withdrawn(world: World, said: Event) -> Event:
    return world.withdrawal(said)


def revoked(world: World, said: Event) -> Event:
    return world.revocation(ALICE, compromised_from="2026-06-19T16:00:00Z")


@pytest.mark.parametrize("end", [rejected, redacted, withdrawn, revoked])
def test_what_no_longer_counts_is_rejected(lenient: Log, end: Callable[[World, Event], Event]) -> None:
    said = lenient.world.citation()
    lenient.admit(said)
    lenient.admit(end(lenient.world, said))
    found = summary(lenient)["citation_signature"]
    assert (found["count"], found["held"], found["rejected"]) == (1, 0, 1)


# equivocations.

Saying = Callable[..., Event]
PAIRS: dict[str, tuple[Saying, dict[str, Any], dict[str, Any]]] = {
    "two names": (World.author, {"author_name": "A. Author"}, {"author_name": "Another"}),
    "two names in one position": (
        World.author,
        {"author_position": 1, "author_name": "A. Author"},
        {"author_position": 1, "author_name": "Another"},
    ),
    "two sets of claims": (World.author, {"claims": ["C1"]}, {"claims": ["C2"]}),
    "supports and refutes": (World.citation, {"relationship": "supports"}, {"relationship": "refutes"}),
    "supports and refutes one claim": (
        World.citation,
        {"relationship": "supports", "claim_id": "C1"},
        {"relationship": "refutes", "claim_id": "C1"},
    ),
    "two outcomes": (World.replication, {"outcome": "reproduced"}, {"outcome": "not_reproduced"}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_contradiction_is_shown_with_both_sides(lenient: Log, name: str) -> None:
    say, one, other = PAIRS[name]
    first, second = say(lenient.world, **one), say(lenient.world, **other)
    lenient.admit(first, second)
    assert contradictions(lenient) == [[first.id_text, second.id_text]]


@pytest.mark.parametrize("name", PAIRS)
def test_two_people_do_not_contradict_each_other(lenient: Log, name: str) -> None:
    say, one, other = PAIRS[name]
    lenient.admit(say(lenient.world, **one), say(lenient.world, BOB, **other))
    assert contradictions(lenient) == []


@pytest.mark.parametrize("name", PAIRS)
def test_saying_the_same_twice_is_no_contradiction(lenient: Log, name: str) -> None:
    say, one, _ = PAIRS[name]
    lenient.admit(say(lenient.world, **one), say(lenient.world, **one))
    assert contradictions(lenient) == []


@pytest.mark.parametrize("name", PAIRS)
def test_somebody_who_only_names_a_signer_cannot_make_them_contradict_themselves(lenient: Log, name: str) -> None:
    say, one, other = PAIRS[name]
    lenient.admit(lenient.world.registration(MALLORY), lenient.world.proof_of_identity(ALICE))
    lenient.admit(say(lenient.world, **one), say(lenient.world, MALLORY, **other))
    assert contradictions(lenient) == []


def test_somebody_who_names_an_unproven_signer_cannot_make_them_contradict_themselves(lenient: Log) -> None:
    lenient.admit(lenient.world.registration(MALLORY))
    lenient.admit(lenient.world.citation(), lenient.world.citation(MALLORY, relationship="refutes"))
    assert contradictions(lenient) == []


def test_two_keys_of_one_proven_person_contradict_each_other(lenient: Log) -> None:
    lenient.admit(lenient.world.registration(MALLORY))
    lenient.admit(lenient.world.proof_of_identity(ALICE), lenient.world.proof_of_identity(MALLORY))
    lenient.admit(lenient.world.citation(), lenient.world.citation(MALLORY, relationship="refutes"))
    assert len(contradictions(lenient)) == 1


def test_a_key_and_its_successor_contradict_each_other(lenient: Log) -> None:
    lenient.admit(lenient.world.citation(), lenient.world.rotation(ALICE, SUCCESSOR))
    lenient.admit(lenient.world.citation(SUCCESSOR, relationship="refutes"))
    assert len(contradictions(lenient)) == 1


def test_two_sessions_of_the_registry_do_not_contradict_each_other(lenient: Log) -> None:
    registry = lenient.world.registry
    for session, name in ((SESSION, "A. Author"), ({**SESSION, "subject": HASH}, "Another")):
        lenient.admit(lenient.world.author(registry, on_behalf_of=session, author_name=name))
    assert contradictions(lenient) == []


@pytest.mark.parametrize(
    ("say", "one", "other"),
    [
        pytest.param(World.author, {"author_position": 1}, {"author_position": 2, "author_name": "B"}, id="positions"),
        pytest.param(World.citation, {"relationship": "supports"}, {"relationship": "cites"}, id="cites too"),
        pytest.param(
            World.citation,
            {"relationship": "supports", "claim_id": "C1"},
            {"relationship": "refutes", "claim_id": "C2"},
            id="another claim",
        ),
        pytest.param(
            World.citation,
            {"relationship": "supports"},
            {"relationship": "refutes", "citing": "arxiv:2606.00003"},
            id="from another paper",
        ),
        pytest.param(
            World.replication,
            {"outcome": "reproduced"},
            {"outcome": "inconclusive", "artefacts": [{"url": "https://example.org/b", "sha256": SHA256}]},
            id="another artefact",
        ),
    ],
)
def test_speaking_of_something_else_is_no_contradiction(
    lenient: Log, say: Saying, one: dict[str, Any], other: dict[str, Any]
) -> None:
    lenient.admit(say(lenient.world, **one), say(lenient.world, **other))
    assert contradictions(lenient) == []


def test_a_check_that_finds_otherwise_later_is_no_contradiction(lenient: Log) -> None:
    for outcome in ("stored", "missing", "changed"):
        lenient.admit(lenient.world.storage(CHECKER, grade="fetched", outcome=outcome))
    assert contradictions(lenient) == []


def test_a_newer_snapshot_is_no_contradiction(lenient: Log) -> None:
    for count in (1, 2):
        lenient.admit(lenient.world.graph_snapshot(graph_snapshot={"references": {"count": count}}))
    assert contradictions(lenient) == []


def test_an_anchor_that_was_pending_and_is_confirmed_is_no_contradiction(lenient: Log) -> None:
    lenient.admit(lenient.world.anchor(), confirmed_anchor(lenient.world))
    assert contradictions(lenient) == []


def test_a_finding_that_is_rescinded_is_no_contradiction(lenient: Log) -> None:
    lenient.admit(lenient.world.finding(), lenient.world.finding_rescinded())
    assert contradictions(lenient) == []


def test_a_third_voice_joins_the_contradiction_in_order_of_position(lenient: Log) -> None:
    said = [lenient.world.author(author_name=name) for name in ("A", "B", "A")]
    lenient.admit(*said)
    assert contradictions(lenient) == [[event.id_text for event in said]]


def test_two_contradictions_are_two_groups(lenient: Log) -> None:
    lenient.admit(lenient.world.citation(), lenient.world.citation(relationship="refutes"))
    lenient.admit(lenient.world.author(author_name="A"), lenient.world.author(author_name="B"))
    assert len(contradictions(lenient)) == 2
