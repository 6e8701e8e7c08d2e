"""`bench`: our work and that of others on this machine, in one run, in turns, as tables and a picture."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.errors import UsageError
from ops.cli.output import plain, say
from ops.whole_files import write_whole

if TYPE_CHECKING:
    from ops.bench.results import Run

Only = Annotated[list[str] | None, typer.Option("--only", help="Only this group; may be repeated.", metavar="GROUP")]
Target = Path | None


def register(app: typer.Typer) -> None:
    app.command()(bench)


def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="Small logs and short samples: an impression in minutes.")
    ] = False,
    only: Only = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the groups that an interrupted run finished.")] = False,
    folder: Annotated[
        Target, typer.Option("--folder", help="Where events, peers and results are kept; default: this user's cache.")
    ] = None,
    json: Annotated[Target, typer.Option("--json", help="Write every sample here.", metavar="FILE")] = None,
    markdown: Annotated[Target, typer.Option("--markdown", help="Write the tables here.", metavar="FILE")] = None,
    svg: Annotated[Target, typer.Option("--svg", help="Write the picture here.", metavar="FILE")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Name the groups and end.")] = False,
) -> None:
    """Measure this ledger beside its peers and the machine's limits; nothing else should run meanwhile."""
    # Imported here, so that no other command waits for what only this one needs.
    from ops.bench.groups import GROWTH, NAMES, PLANS
    from ops.bench.plot import svg as picture
    from ops.bench.results import Run, read_run, write_run
    from ops.bench.suite import FULL, QUICK, run_suite
    from ops.bench.tables import markdown as tables
    from ops.bench.tables import text
    from ops.bench.workshop import Workshop, default_folder

    if listed:
        say(*(f"{plan.name:9} {plan.title}" for plan in PLANS), f"{GROWTH:9} The same at growing sizes of the log")
        return
    for name in only or ():
        if name not in NAMES:
            raise UsageError(f"there is no group {name!r}", place="--only", cure=f"use one of {', '.join(NAMES)}")
    effort = QUICK if quick else FULL
    kept = folder or default_folder()
    results = kept / f"run-{'quick' if quick else 'full'}.json"
    run = Run(datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), quick, {})
    if resume and results.exists():
        run = read_run(results)

    def keep(found: Run) -> None:
        write_run(results, found)
        for path, content in (
            (json, results.read_bytes()),
            (markdown, tables(found).encode()),
            (svg, picture(found).encode()),
        ):
            if path is not None:
                write_whole(path, content)

    with _ended_by_signals(), _told() as watch, Workshop(kept, effort.most(only or NAMES), watch.more) as workshop:
        run = _described(run)
        run = run_suite(only or NAMES, workshop, effort, run, keep, watch.line)
        keep(run)  # also where nothing was left to measure
    sys.stdout.write(text(run) + "\n")


def _described(run: Run) -> Run:
    """Return a run with what is to be said of the machine."""
    from msgspec import structs

    from ops.bench.machine import describe

    return structs.replace(run, machine=run.machine or describe())


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM end a run as an interruption does: servers are stopped and folders removed."""
    own = os.getpid()

    def end(number: int, _frame: FrameType | None) -> None:
        if os.getpid() == own:
            raise KeyboardInterrupt
        # A forked worker has this handler too, and has nothing to clear away.
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Watch:
    """Shows what is being done: one line that changes on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self._done: dict[str, int] = {}
        self._is_terminal = sys.stderr.isatty()

    def line(self, words: str) -> None:
        self._show(words, end="" if self._is_terminal else "\n")

    def more(self, what: str, step: int) -> None:
        before = self._done.get(what, 0)
        self._done[what] = before + step
        if self._is_terminal or step == 0 or before // 100_000 != self._done[what] // 100_000:
            self.line(f"{what}: {self._done[what]:,}" if step else what)

    def clear(self) -> None:
        if self._is_terminal:
            self._show("", end="")

    def _show(self, words: str, end: str) -> None:
        start = "\r\x1b[K" if self._is_terminal else ""
        sys.stderr.write(f"{start}{plain(words)[:110]}{end}")
        sys.stderr.flush()


@contextmanager
def _told() -> Iterator[Any]:
    watch = _Watch()
    try:
        yield watch
    finally:
        watch.clear()
