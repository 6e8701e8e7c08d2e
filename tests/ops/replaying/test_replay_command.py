"""`pith replay` and `pith rebuild` as processes: modes, workers, and memory that a long log does not move."""

from __future__ import annotations

import shutil

import pytest

from ledger.appending import Submission
from ledger.events import Event
from ops.checkpointing import checkpoint
from ops.home import Home, open_home
from ops.keyfiles import read_key
from tests.builders import REGISTRY, Who, World, a_record, contributor, secret
from tests.ops.homes import a_home
from tests.processes import Pith

SMALL, LARGE, STATEMENTS = 1_500, 10_500, 9
ALLOWED_MB = 30
"""how much more memory seven times as many entries may take: a hundred bytes for each paper, and chance."""


def grown(home: Home, size: int, first: int) -> int:
    """Append papers, each with some statements about it, up to a size of the log; return the next paper's number."""
    world, people = World(REGISTRY), [contributor(f"author-{number}") for number in range(20)]
    name = f"registry:{REGISTRY}"
    world.registry = Who(read_key(home.settings.keys / "event.json").key, "pith_registry", name)
    world.receipt = Who(read_key(home.settings.keys / "receipt.json").key, "pith_registry", name)
    events: list[Event] = []
    if not first:
        events += map(world.registration, people)
    while home.store.head().size + len(events) < size:
        record, paper = a_record(f"Paper {first}", "Words. " * 100, ident=f"2606.{first:05}")
        made = world.record_created(record, {"title": paper["title"]})
        author = {"author_name": "A. Author", "statement": secret("I wrote this.")}
        said = [
            world.event(people[(first + at) % 20], "author_attestation", author, subject=made.subject)
            for at in range(STATEMENTS)
        ]
        events += [made, *said]
        first += 1
    for at in range(0, len(events), 1_000):
        home.store.append([Submission(event, verified=True) for event in events[at : at + 1_000]], home.clock)
    checkpoint(home)
    return first


@pytest.fixture(scope="module")
def registries(tmp_path_factory: pytest.TempPathFactory) -> list[Pith]:
    """One registry when its log was small, and when it was seven times as long."""
    folder = tmp_path_factory.mktemp("growing")
    home = a_home(folder / "large")
    first = grown(home, SMALL, 0)
    home.close()
    shutil.copytree(folder / "large", folder / "small")
    home = open_home(home.settings, home.clock)
    grown(home, LARGE, first)
    home.close()
    return [Pith.at(folder / name) for name in ("small", "large")]


def test_memory_does_not_grow_with_the_log(registries: list[Pith]) -> None:
    small, large = (pith.fine("replay", "--workers", "2", "--json").json for pith in registries)
    assert large["events"] > 6 * small["events"]
    assert large["peak_memory_mb"] < small["peak_memory_mb"] + ALLOWED_MB


@pytest.mark.parametrize("mode", ["signers", "checkpoint", "none"])
def test_every_mode_gives_one_state_and_says_what_it_left_open(registries: list[Pith], mode: str) -> None:
    found = registries[0].fine("replay", "--verify", mode, "--json").json
    assert found["state_digest"] == registries[0].fine("replay", "--json", "--workers", "2").json["state_digest"]
    assert any(check.startswith("open: ") for check in found["checks"])


def test_verifying_without_folding_gives_no_state_and_the_same_checks(registries: list[Pith]) -> None:
    found = registries[0].fine("replay", "--no-fold", "--verify", "signers", "--json").json
    assert "state_digest" not in found
    assert found["checks"] == registries[0].fine("replay", "--verify", "signers", "--json").json["checks"]
    assert registries[0]("replay", "--no-fold", "--verify", "none").code == 2


def test_people_read_what_was_checked_and_how_fast(registries: list[Pith]) -> None:
    lines = registries[0].fine("replay").out.splitlines()
    assert [line.partition(":")[0] for line in lines[:4]] == [
        *(f"ok  {step}" for step in ("entries", "tree", "root", "checkpoint"))
    ]
    assert "every signature and rule checked" in lines[4] and lines[5].startswith("state digest ")


def test_a_rebuild_on_several_processes_finds_the_same(registries: list[Pith]) -> None:
    outcomes = registries[0].fine("rebuild", "--workers", "2", "--verify", "all", "--json").json
    assert len(outcomes) == 5 and all(outcome["same"] for outcome in outcomes)
    assert (
        registries[0].fine("audit", "--json").json["state_digest"]
        == registries[0].fine("replay", "--json").json["state_digest"]
    )
