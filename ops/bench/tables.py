"""Figures as tables: aligned text for a terminal, Markdown for a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from ops.bench.aims import outcomes
from ops.bench.results import Group, Measured, Run, compared

DASH: Final = "–"
FACTS: Final = {"peak_memory_mb": "peak memory {} MB", "p50_ms": "p50 {} ms", "p99_ms": "p99 {} ms"}
"""What else of a row's facts a table tells, beside what it promises."""

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Headings and rows of cells; the first and the last column are words, the others figures."""


def figure(value: float) -> str:
    """Return a figure with as many digits as it deserves."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def cells(group: Group) -> Table:
    """Return a group as a table: rates, quiet samples among all, time, the ratio, and what is promised."""
    served = any(row.microseconds("server_cpu") is not None for row in group.rows)
    headings = ["", group.unit, "least–most", "quiet", "µs", "CPU µs", *(["server CPU µs"] if served else [])]
    headings += [group.beside] if group.beside else []
    rows = []
    for row in group.rows:
        found = [
            row.title,
            figure(row.median),
            _span(row),
            f"{len(row.undisturbed)}/{len(row.samples)}",
            figure(1e6 / row.median),
            _micro(row, "cpu"),
        ]
        found += [_micro(row, "server_cpu")] if served else []
        ratio = compared(group, row)
        found += [f"{ratio.middle:.2f}" if ratio else DASH] if group.beside else []
        rows.append([*found, _note(row)])
    return [*headings, "on disk; checked"], rows


def aims(run: Run) -> Table:
    """Return the aims with what a run found of them."""
    found = [(outcome.title, outcome.wanted, outcome.found, outcome.state) for outcome in outcomes(run)]
    return ("aim, a ratio of rates", "wanted", "found (single rounds)", ""), found


def text(run: Run) -> str:
    """Return a whole run for a terminal."""
    parts = [f"{run.at}, {', '.join(run.machine.values())}{', quick' if run.quick else ''}"]
    for group in run.groups:
        parts += ["", group.title, *_aligned(cells(group)), *(f"  left out: {reason}" for reason in group.left_out)]
    return "\n".join([*parts, "", "Aims", *_aligned(aims(run))])


def markdown(run: Run) -> str:
    """Return a whole run as Markdown."""
    machine = "; ".join(f"{name} {value}" for name, value in run.machine.items())
    parts = [f"Measured {run.at}{' (quick)' if run.quick else ''}: {escape(machine)}.", ""]
    if versions := sorted({row.version for group in run.groups for row in group.rows if row.version}):
        parts += [f"Beside it: {escape('; '.join(versions))}.", ""]
    parts += _rows(aims(run))
    for group in run.groups:
        parts += ["", f"**{escape(group.title)}**", "", *_rows(cells(group))]
        parts += [f"\nLeft out: {escape(reason)}" for reason in group.left_out]
    return "\n".join(parts) + "\n"


def escape(value: str) -> str:
    """Make a text safe for a cell of Markdown: one line, and nothing that means something there."""
    flat = " ".join(value.split())
    for sign in ("\\", "|", "`", "*", "_", "<", "[", "]"):
        flat = flat.replace(sign, "&lt;" if sign == "<" else f"\\{sign}")
    return flat


def _span(row: Measured) -> str:
    return f"{figure(row.rates[0])}{DASH}{figure(row.rates[-1])}"


def _micro(row: Measured, fact: str) -> str:
    found = row.microseconds(fact)
    return DASH if found is None else figure(found)


def _note(row: Measured) -> str:
    said = [row.note]
    for fact, words in FACTS.items():
        if (found := row.fact(fact)) is not None:
            said.append(words.format(figure(found)))
    return "; ".join(said)


def _aligned(table: Table) -> Iterable[str]:
    headings, rows = table
    widths = [max(len(row[at]) for row in (headings, *rows)) for at in range(len(headings))]
    for row in (headings, *rows):
        words = [
            cell.ljust(width) if at in (0, len(row) - 1) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(words).rstrip()


def _rows(table: Table) -> Iterable[str]:
    headings, rows = table
    yield "| " + " | ".join(escape(heading) for heading in headings) + " |"
    yield "|" + "|".join("--" if at in (0, len(headings) - 1) else "--:" for at in range(len(headings))) + "|"
    for row in rows:
        yield "| " + " | ".join(escape(cell) for cell in row) + " |"
