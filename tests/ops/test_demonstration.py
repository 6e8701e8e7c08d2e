"""The demonstration: a registry from nothing, with every kind of attestation; run again, it finds its work done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger.events import ATTESTATIONS
from tests.processes import Pith, module


@dataclass(frozen=True, slots=True)
class Shown:
    """What two runs printed, and what replay and rebuild say after them."""

    first: str
    second: str
    sizes: tuple[int, int]
    digests: tuple[str, str]
    rebuilt: list[dict[str, Any]]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    pith = Pith.at(tmp_path_factory.mktemp("demonstration") / "data")
    outs, states = [], []
    for _ in range(2):
        outs.append(run(pith.data))
        states.append(pith.fine("replay", "--json").json)
    sizes, digests = ([state[name] for state in states] for name in ("events", "state_digest"))
    rebuilt = pith.fine("rebuild", "--json").json
    return Shown(outs[0], outs[1], (sizes[0], sizes[1]), (digests[0], digests[1]), rebuilt)


def run(data: Path) -> str:
    process = module("ops.demonstration", PITH_DATA=str(data))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.parametrize("run", ["first", "second"])
@pytest.mark.parametrize("kind", ATTESTATIONS)
def test_every_kind_of_attestation_is_shown_as_counted(shown: Shown, run: str, kind: str) -> None:
    lines = [line.split() for line in getattr(shown, run).splitlines()]
    assert [kind, "counted"] in [line[:2] for line in lines]


@pytest.mark.parametrize("run", ["first", "second"])
@pytest.mark.parametrize("check", ["number", "canonical form", "root", "signatures", "state"])
def test_the_verification_is_shown(shown: Shown, run: str, check: str) -> None:
    assert f"ok  {check}: " in getattr(shown, run)


@pytest.mark.parametrize("run", ["first", "second"])
def test_the_record_has_reached_the_top_of_the_ladder(shown: Shown, run: str) -> None:
    assert "   replicated\n" in getattr(shown, run)


def test_the_second_run_adds_no_event(shown: Shown) -> None:
    assert shown.sizes[0] == shown.sizes[1]


def test_the_second_run_changes_no_state(shown: Shown) -> None:
    assert shown.digests[0] == shown.digests[1]


def test_rebuilding_finds_what_the_demonstration_made(shown: Shown) -> None:
    assert all(outcome["same"] for outcome in shown.rebuilt)


def test_the_first_run_imports_every_sample(shown: Shown) -> None:
    assert ", 0 there already, 0 refused" in shown.first
