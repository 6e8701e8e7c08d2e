from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import UsageError
from ops.bench.results import Measured, Sample, compared, ratio, read_run, write_run
from tests.ops.bench.runs import group, row, run, samples


def measured(found: list[Sample]) -> Measured:
    return Measured("a", "a", "ours", "", found)


def test_disturbed_samples_do_not_count() -> None:
    found = measured(samples(100, 900, 110, 120, disturbed=(1,)))
    assert found.rates == pytest.approx([100, 110, 120])
    assert found.median == pytest.approx(110)


def test_disturbed_samples_count_where_there_are_no_others() -> None:
    assert measured(samples(100, 300, disturbed=(0, 1))).median == pytest.approx(200)


def test_ratio_is_of_medians_and_spans_single_rounds() -> None:
    found = ratio(row("over", 100, 200, 300), row("under", 100, 100, 600))
    assert (found.middle, found.low, found.high) == pytest.approx((2.0, 0.5, 2.0))


def test_ratio_pairs_only_samples_of_the_same_round() -> None:
    over = measured(samples(100, 200, 300, disturbed=(0,)))
    under = measured(samples(1, 100, 100))
    assert ratio(over, under).high == pytest.approx(3.0)


def test_ratio_spans_its_middle_where_no_round_is_shared() -> None:
    over = measured(samples(100, 200, disturbed=(1,)))
    under = measured(samples(100, 50, disturbed=(0,)))
    found = ratio(over, under)
    assert found.low == found.middle == found.high == pytest.approx(2.0)


def test_a_row_is_compared_with_its_neighbour_and_never_with_itself() -> None:
    ours, peer = row("ours", 300, beside="ours"), row("peer", 100, beside="ours")
    both = group("one", ours, peer)
    found = compared(both, peer)
    assert found is not None
    assert found.middle == pytest.approx(3.0)
    assert compared(both, ours) is None


def test_facts_are_medians_of_what_was_seen() -> None:
    found = row("a", 100, 200, cpu=0.5, peak_memory_mb=70)
    assert found.fact("peak_memory_mb") == 70
    assert found.microseconds("cpu") == pytest.approx(500)
    assert found.fact("absent") is None
    assert found.microseconds("absent") is None


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = run(group("one", row("ours", 1.5, 2.5, cpu=0.1)))
    write_run(tmp_path / "run.json", found)
    assert read_run(tmp_path / "run.json") == found
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"at": 1}', b"[]"])
def test_what_is_no_run_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(UsageError, match="no run"):
        read_run(tmp_path / "run.json")


def test_a_missing_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run"):
        read_run(tmp_path / "run.json")
