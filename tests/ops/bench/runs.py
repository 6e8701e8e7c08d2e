"""Runs of the bench, made by hand."""

from __future__ import annotations

from ops.bench.results import Group, Kind, Measured, Run, Sample


def samples(*rates: float, disturbed: tuple[int, ...] = ()) -> list[Sample]:
    """Return one sample a round with these rates; those of the named rounds are disturbed."""
    return [Sample(at, 1_000, 1_000 / rate, 1.0 if at in disturbed else 0.0) for at, rate in enumerate(rates)]


def row(key: str, *rates: float, title: str = "", kind: Kind = "ours", beside: str = "", **facts: float) -> Measured:
    """Return a row with one sample for each rate, all with the same further facts."""
    found = [Sample(sample.round, 1_000, sample.seconds, 0.0, dict(facts)) for sample in samples(*rates)]
    return Measured(key, title or key, kind, "on disk", found, beside=beside)


def group(name: str, *rows: Measured, title: str = "") -> Group:
    return Group(name, title or name, "events/s", "pith ÷ it", list(rows))


def run(*groups: Group) -> Run:
    return Run("2026-01-01 00:00 UTC", quick=False, machine={"processor": "2 × any"}, groups=list(groups))
