from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from ledger.appending import Appended, Submission
from ledger.events import parse_stored
from ops.bench.events import ATTESTATIONS, CONTRIBUTORS, EACH, create_registry, lines, paper, read
from ops.settings import Settings


def test_events_are_the_same_bytes_each_time() -> None:
    assert list(paper(7)) == list(paper(7))
    assert not set(paper(7)) & set(paper(8))


def test_a_paper_is_a_record_and_nine_attestations_of_about_1_kb() -> None:
    events = [parse_stored(raw) for number in range(30) for raw in paper(number)]
    assert len(events) == 30 * EACH
    assert [event.event_type for event in events[::EACH]] == ["record_created"] * 30
    assert len({event.subject for event in events}) == 30
    assert len({event.signer.key_id for event in events if event.signer.signer_type == "contributor"}) > 100
    assert 900 < statistics.mean(len(event.raw) for event in events) < 1_150
    assert ATTESTATIONS == EACH - 1


def test_the_registry_takes_every_event_in_order(tmp_path: Path) -> None:
    home = create_registry(Settings(tmp_path / "registry", "http://127.0.0.1:8080"))
    before = home.store.head().size
    raws = [raw for number in range(5) for raw in paper(number)]
    outcomes = home.store.append([Submission(parse_stored(raw)) for raw in raws], home.clock)
    assert [outcome for outcome in outcomes if not isinstance(outcome, Appended)] == []
    assert home.store.head().size == before + len(raws)
    home.close()


def test_two_registries_have_the_same_keys(tmp_path: Path) -> None:
    roots = []
    for name in ("one", "other"):
        home = create_registry(Settings(tmp_path / name, "http://127.0.0.1:8080"))
        roots.append(home.store.tree.root(home.store.head().size))
        assert home.store.head().size > CONTRIBUTORS
        home.close()
    assert roots[0] == roots[1]


def test_signed_events_are_kept_and_a_broken_off_file_is_not_taken_for_one(tmp_path: Path) -> None:
    def interrupted(_step: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lines(tmp_path, 600, interrupted)
    signed: list[int] = []
    made = lines(tmp_path, 25, signed.append)
    assert sum(signed) == 30
    assert list(read(made, 0, 100)) == [raw for number in range(3) for raw in paper(number)]
    assert list(read(made, 9, 11)) == [list(paper(0))[9], next(paper(1))]
    assert lines(tmp_path, 30, signed.append) == made
    assert sum(signed) == 30
