"""State is a function of the set of entries: the order of folding, and folding twice, change nothing."""

from __future__ import annotations

import random
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.events import TYPES, Entry
from ledger.keyring import NOW
from ledger.record_state import RecordState
from ledger.registry import Registry
from projections.document import document
from projections.judged import judge
from projections.status import verification_status
from projections.summary import equivocations, event_summary
from tests.builders import REGISTRY
from tests.logs import Log, history
from tests.projections.histories import NUMBERS, eventful, touching_old_papers

Entries = list[Entry]


class Histories(list[Entries]):
    """The entries of several logs, named briefly where a test fails."""

    def __repr__(self) -> str:
        return "the histories"


SEEDS = range(6)
EXAMPLES = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Histories:
    """Return the entries of several logs: a plain one, one that turns on its own past, and some made by chance."""
    plain = Log.empty(tmp_path_factory.mktemp("plain"))
    plain.admit(*history(plain.world))
    made = [plain, touching_old_papers(tmp_path_factory.mktemp("touching"))]
    made += [eventful(tmp_path_factory.mktemp("chance"), seed) for seed in SEEDS]
    return Histories(list(log.store.entries()) for log in made)


def views(entries: Iterable[Entry], before: int = NOW) -> bytes:
    """Fold entries in the order given; return everything that anybody sees of any paper, in bytes."""
    registry = Registry(REGISTRY)
    states = [RecordState(number) for number in NUMBERS]
    for entry in entries:
        registry.add(entry)
        for state in states:
            state.fold(entry)
    size = registry.anchored_size(before)
    found: list[object] = [size]
    for state in states:
        paper = judge(state, registry, before)
        if paper is not None:
            found += [
                document(paper, anchored_size=size),
                verification_status(paper, anchored_size=size),
                event_summary(paper),
                equivocations(paper),
                [(j.entry.position, j.verdict.status, j.verdict.reason) for j in paper.judgements],
            ]
    return msgspec.json.encode(found)


def test_the_histories_hold_every_event_type(logs: Histories) -> None:
    assert all({entry.event.event_type for entry in entries} == set(TYPES) for entries in (logs[0], *logs[2:]))


def test_the_histories_reach_every_verdict(logs: Histories) -> None:
    seen = b"".join(map(views, logs))
    wanted = (b"counted", b"held", b"rejected", b"redacted", b"withdrawn", b"revoked")
    assert all(b'"' + status + b'"' in seen for status in wanted)


@EXAMPLES
@given(at=st.integers(0, len(SEEDS) + 1), chance=st.integers())
def test_any_order_of_folding_gives_the_same_state(logs: Histories, at: int, chance: int) -> None:
    shuffled = random.Random(chance).sample(logs[at], len(logs[at]))
    assert views(shuffled) == views(logs[at])


@EXAMPLES
@given(at=st.integers(0, len(SEEDS) + 1), chance=st.integers())
def test_folding_entries_twice_changes_nothing(logs: Histories, at: int, chance: int) -> None:
    entries = logs[at]
    again = random.Random(chance).choices(entries, k=len(entries))
    assert views([*entries, *again]) == views(entries)


@EXAMPLES
@given(at=st.integers(0, len(SEEDS) + 1), chance=st.integers())
def test_state_as_of_a_position_is_the_fold_of_what_stood_below_it(logs: Histories, at: int, chance: int) -> None:
    position = random.Random(chance).randrange(len(logs[at]) + 1)
    assert views(logs[at], position) == views(logs[at][:position], position)


@EXAMPLES
@given(at=st.integers(0, len(SEEDS) + 1), chance=st.integers())
def test_a_position_is_the_present_of_its_own_prefix(logs: Histories, at: int, chance: int) -> None:
    prefix = logs[at][: random.Random(chance).randrange(len(logs[at]) + 1)]
    assert views(prefix, len(prefix)) == views(prefix)
