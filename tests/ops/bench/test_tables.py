from __future__ import annotations

import re

import pytest

from ops.bench.aims import AIMS, outcomes
from ops.bench.groups import NAMES, PLANS
from ops.bench.tables import figure, markdown, text
from tests.ops.bench.runs import group, row, run


@pytest.mark.parametrize(
    ("value", "said"), [(1234567.8, "1,234,568"), (100, "100"), (99.94, "99.9"), (0.01234, "0.0123")]
)
def test_figures_have_the_digits_they_deserve(value: float, said: str) -> None:
    assert figure(value) == said


def test_tables_tell_rates_ratios_and_promises() -> None:
    ours, peer = row("ours", 300, beside="ours"), row("es", 100, kind="peer", beside="ours")
    found = text(run(group("one", ours, peer)))
    assert re.search(r"ours +300 +300–300 +1/1 .* – +on disk", found)
    assert re.search(r"es +100 .* 3\.00 +on disk", found)


def test_what_was_left_out_is_said_with_its_reason() -> None:
    found = run(group("one", row("ours", 300)))
    found.groups[0].left_out.append("hypercore: node is not installed")
    assert "left out: hypercore: node is not installed" in text(found)
    assert "Left out: hypercore: node is not installed" in markdown(found)


def test_names_cannot_break_a_table_of_markdown() -> None:
    hostile = "a | b\n| `c` <script> [x](y) *z*"
    found = markdown(run(group("one", row("ours", 300, title=hostile), title=hostile)))
    lines = [line for line in found.splitlines() if "script" in line and line.startswith("|")]
    assert len(lines) == 1
    assert len(re.findall(r"(?<!\\)\|", lines[0])) == len(re.findall(r"\|", found.splitlines()[-2]))
    assert "<script" not in found
    assert "\\[x\\]" in lines[0]


def states(*found: tuple[str, float, float]) -> dict[str, str]:
    """Return the state of each aim by its title, for rows of the bulk group: ours, PostgreSQL's, limit."""
    rows = [row(key, *rates) for key, *rates in found]
    return {outcome.title: outcome.state for outcome in outcomes(run(group("bulk", *rows)))}


BULK = next(aim for aim in AIMS if (aim.group, aim.over) == ("bulk", "ours"))


@pytest.mark.parametrize(
    ("rate", "state"), [(74, "missed"), (75, "reached"), (84, "reached"), (85, "goal reached"), (120, "goal reached")]
)
def test_an_aim_is_reached_at_its_bound(rate: float, state: str) -> None:
    assert states(("ours", rate, rate), ("verify-all", 100, 100))[BULK.title] == state


def test_an_aim_whose_rows_are_missing_was_not_measured() -> None:
    assert set(states(("ours", 100, 100)).values()) == {"not measured"}


@pytest.mark.parametrize(("slower", "state"), [(1.14, "reached"), (1.16, "missed")])
def test_growth_is_measured_by_the_cost_at_the_larger_size(slower: float, state: str) -> None:
    found = run(group("growth", row("prove-10000", 100), row("prove-1000000", 100 / slower)))
    aim = next(aim for aim in AIMS if aim.over == "prove-10000")
    assert {outcome.title: outcome.state for outcome in outcomes(found)}[aim.title] == state


@pytest.mark.parametrize(("peak", "state"), [(299.0, "reached"), (301.0, "missed")])
def test_the_memory_of_a_replay_is_an_aim(peak: float, state: str) -> None:
    found = run(group("growth", row("replay-1000000", 100, peak_memory_mb=peak)))
    assert [outcome.state for outcome in outcomes(found) if "memory" in outcome.title] == [state]


def test_every_aim_is_about_rows_that_are_measured() -> None:
    rows = {(plan.name, row.key) for plan in PLANS for row in plan.rows}
    for aim in AIMS:
        assert aim.group in NAMES
        if aim.group != "growth":
            assert {(aim.group, aim.over), (aim.group, aim.under)} <= rows
