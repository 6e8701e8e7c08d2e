"""A run as a picture: one panel of bars a group, and how appending goes as a log grows; SVG, written here.

Bars stand on a logarithmic axis, because rates lie orders of magnitude apart; each carries its median as a figure
and its least and greatest sample as a whisker. Colours follow the reader's light or dark setting.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape as escape_text

from ops.bench.results import Curve, Group, Kind, Measured, Run
from ops.bench.tables import figure

WIDTH: Final = 920
NAMES: Final = 290
"""Where the names end and the axis begins."""

END: Final = 800
"""Where the axis ends; right of it there is room for figures."""

ROW: Final = 22
BAR: Final = 14
TITLE: Final = 34
AXIS: Final = 44
CURVE: Final = 190
MARGIN: Final = 14
MOST_LETTERS: Final = 44
LETTER: Final = 13
LINES: Final = (("--ours", "none"), ("--limit", "8 4"), ("--ink", "2 3"), ("--faint", "10 3 2 3"))
"""Colours and dashes of lines in turns: either alone tells them apart."""

KINDS: Final[dict[Kind, str]] = {"ours": "Pith Ledger", "peer": "peers", "limit": "limit of the machine"}

_LIGHT: Final = "--paper: #fff; --ink: #1f2328; --faint: #59636e; --line: #d1d9e0; --ours: #1f6feb; --peer: #8c959f"
_DARK: Final = "--paper: #0d1117; --ink: #e6edf3; --faint: #9198a1; --line: #3d444d; --ours: #4493f8; --peer: #6e7681"
STYLE: Final = f"""
svg {{ {_LIGHT}; --limit: #bf8700 }}
@media (prefers-color-scheme: dark) {{ svg {{ {_DARK}; --limit: #d29922 }} }}
"""
RULES: Final = """text { font: 12px system-ui, sans-serif; fill: var(--ink) }
.title { font-weight: 600; font-size: 14px }
.faint { fill: var(--faint); font-size: 11px }
.line { stroke: var(--line); stroke-width: 1 }
.whisker { stroke: var(--ink); stroke-width: 1.2 }
.ours { fill: var(--ours) } .peer { fill: var(--peer) } .limit { fill: none; stroke: var(--limit); stroke-width: 1.5 }
.curve { fill: none; stroke-width: 2 }
"""


def svg(run: Run) -> str:
    """Return a picture of every group that has a row, as the text of an SVG file."""
    parts: list[str] = []
    top = MARGIN
    parts += _legend(top)
    top += ROW + 8
    for group in run.groups:
        if group.rows and not group.curves:
            parts += _panel(group, top)
            top += TITLE + ROW * len(group.rows) + AXIS
        for curve in group.curves:
            if any(len(points) > 1 for points in curve.lines.values()):
                parts += _curve(curve, top)
                top += TITLE + CURVE + AXIS
    said = f"Medians of rates, measured {run.at} on {run.machine.get('processor', 'this machine')}"
    size = f'width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{_attribute(said)}">'
    return "\n".join(
        [head, f"<title>{_text(said)}</title>", f"<style>{STYLE}{RULES}</style>", _paper(top), *parts, "</svg>\n"]
    )


# --- bars ----------------------------------------------------------------------------------


def _panel(group: Group, top: int) -> Iterator[str]:
    low, high = _decades([rate for row in group.rows for rate in (row.rates[0], row.rates[-1])])
    end = top + TITLE + ROW * len(group.rows)
    yield _label(MARGIN, top + 18, group.title, "title")
    for exponent in range(low, high + 1):
        x = _place(10.0**exponent, low, high)
        yield _line(x, top + TITLE - 6, x, end)
        yield _label(x, end + 14, _power(exponent), "faint", "middle")
    yield _label((NAMES + END) / 2, end + 30, f"{group.unit}, logarithmic", "faint", "middle")
    for at, row in enumerate(group.rows):
        yield from _bar(row, top + TITLE + ROW * at, low, high)


def _bar(row: Measured, top: float, low: int, high: int) -> Iterator[str]:
    x, middle = _place(row.median, low, high), top + BAR / 2
    least, most = _place(row.rates[0], low, high), _place(row.rates[-1], low, high)
    yield "<g>"
    yield f"<title>{_text(f'{row.title}: {figure(row.median)} ({row.note})')}</title>"
    yield _label(NAMES - 8, middle + 4, _short(row.title), "", "end")
    yield f'<rect class="{row.kind}" x="{NAMES}" y="{top}" width="{max(x - NAMES, 1):.1f}" height="{BAR}" rx="2"/>'
    yield _line(least, middle, most, middle, "whisker")
    yield _label(max(x, most) + 6, middle + 4, figure(row.median))
    yield "</g>"


def _legend(top: int) -> Iterator[str]:
    x = MARGIN
    for kind, words in KINDS.items():
        yield f'<rect class="{kind}" x="{x}" y="{top}" width="{BAR}" height="{BAR}" rx="2"/>'
        yield _label(x + BAR + 6, top + 12, words)
        x += 60 + 7 * len(words)
    yield _label(x, top + 12, "whiskers: least and greatest sample", "faint")


# --- the curve -----------------------------------------------------------------------------


def _curve(curve: Curve, top: int) -> Iterator[str]:
    everything = [point for points in curve.lines.values() for point in points]
    low, high = _decades([size for size, _ in everything])
    most = max(value for _, value in everything)
    step = _step(most)
    ceiling = math.ceil(most / step) * step
    floor = top + TITLE + CURVE

    def height(value: float) -> float:
        return floor - value / ceiling * CURVE

    yield _label(MARGIN, top + 18, curve.title, "title")
    for number in range(round(ceiling / step) + 1):
        y = height(number * step)
        yield _line(NAMES, y, END, y)
        yield _label(NAMES - 8, y + 4, figure(number * step) if number else "0", "faint", "end")
    for exponent in range(low, high + 1):
        x = _place(10.0**exponent, low, high)
        yield _label(x, floor + 14, _power(exponent), "faint", "middle")
    yield _label((NAMES + END) / 2, floor + 30, "events in the log, logarithmic", "faint", "middle")
    yield _label(MARGIN, top + TITLE + CURVE / 2, curve.unit, "faint")
    ends: list[tuple[float, float, str]] = []
    for number, (name, points) in enumerate(curve.lines.items()):
        placed = [(_place(size, low, high), height(value)) for size, value in points]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        colour, dashes = LINES[number % len(LINES)]
        yield f'<polyline class="curve" points="{drawn}" style="stroke: var({colour})" stroke-dasharray="{dashes}"/>'
        ends.append((placed[-1][1], placed[-1][0], name))
    above = math.inf
    for y, x, name in sorted(ends, reverse=True):
        above = min(y, above - LETTER)  # names of lines that end close together stand one above the other
        yield _label(min(x, END) + 6, above + 4, name)


# --- the parts of it -----------------------------------------------------------------------


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _place(value: float, low: int, high: int) -> float:
    part = (math.log10(value) - low) / (high - low)
    return NAMES + min(max(part, 0.0), 1.0) * (END - NAMES)


def _step(most: float) -> float:
    """Return a round distance between lines, so that there are three to seven of them."""
    power = 10.0 ** math.floor(math.log10(most))
    return next(power * part for part in (0.2, 0.5, 1.0, 2.0) if most / (power * part) <= 7)


def _power(exponent: int) -> str:
    return f"{10**exponent:,}" if exponent >= 0 else f"{10.0**exponent:g}"


def _short(words: str) -> str:
    return words if len(words) <= MOST_LETTERS else words[: MOST_LETTERS - 1] + "…"


def _label(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_text(words)}</text>'


def _line(x: float, y: float, to_x: float, to_y: float, kind: str = "line") -> str:
    return f'<line class="{kind}" x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"/>'


def _paper(height: int) -> str:
    return f'<rect width="{WIDTH}" height="{height}" style="fill: var(--paper)"/>'


def _text(words: str) -> str:
    """Make any text fit to stand in XML, which knows no control characters."""
    return escape_text("".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in words))


def _attribute(words: str) -> str:
    return _text(words).replace('"', "&quot;")
