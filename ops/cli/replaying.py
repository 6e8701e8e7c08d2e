"""`replay`, `rebuild`: everything anew from the log's first event."""

from __future__ import annotations

import os
import time
from typing import Annotated

import msgspec
import typer

from ledger.errors import UsageError
from ops.cli.output import AsOf, Json, opened, position_of, progress, say, show_checks, tell
from ops.memory import peak_memory_mb
from ops.replaying.checking import SUMMARY, Course, Mode
from ops.replaying.places import place_of_log
from ops.replaying.replay import Crew, EngineName, rows_of_log
from ops.replaying.replay import replay as replay_log
from ops.replaying.replay import verify as verify_log
from projections.rebuild import rebuild as rebuild_projections

Root = Annotated[str | None, typer.Option("--root", help="The event id the log must begin with (sha256:…).")]
Workers = Annotated[
    int | None, typer.Option(help="Worker processes, by default one a processor; 1 works in this one.", min=1)
]
Engine = Annotated[
    EngineName, typer.Option(help="Who works: processes of this machine, or a Dask cluster (pith-ledger[dask]).")
]
Scheduler = Annotated[
    str, typer.Option(help="The address of a Dask scheduler, as tcp://HOST:8786; without it a cluster is started here.")
]
_HELP = "; ".join(f"{mode}: {what}" for mode, what in SUMMARY.items())


def register(app: typer.Typer) -> None:
    for command in (replay, rebuild):
        app.command()(command)


def replay(
    verify: Annotated[Mode, typer.Option(help=f"{_HELP}.")] = Mode.all,
    workers: Workers = None,
    engine: Engine = EngineName.processes,
    scheduler: Scheduler = "",
    fold: Annotated[bool, typer.Option(help="Fold what is verified to the state digest, or only verify.")] = True,
    as_of: AsOf = None,
    root: Root = None,
    json: Json = False,
) -> None:
    """Verify and fold the log from its first event in one pass, and print the state digest."""
    if not fold and verify is Mode.none:
        raise UsageError("nothing is left to do", place="--no-fold", cure="verify something, or fold")
    with opened() as home:
        stop = position_of(home.store, as_of)
        course = Course(home.ledger, home.store, verify, stop, root)
        chosen = Crew(engine, workers, scheduler).at(place_of_log(home.settings), home.ledger, stop)
        started = time.perf_counter()
        with progress("replaying", stop) as advance:
            digest = ""
            if fold:
                digest = replay_log(course, chosen, advance)
            else:
                verify_log(course, chosen, advance)
        seconds = time.perf_counter() - started
    facts = {
        "events": stop,
        "verify": verify.value,
        "seconds": round(seconds, 3),
        "events_per_second": round(stop / seconds) if seconds else 0,
        "peak_memory_mb": round(sum((course.memory_mb | {os.getpid(): peak_memory_mb()}).values())),
        "checks": course.sentences,
        **({"state_digest": digest} if fold else {}),
    }
    if json:
        tell(facts)
        return
    show_checks(course.sentences)
    done = "replayed" if fold else "gone over"
    say(
        f"{stop} events {done}, {SUMMARY[verify]}: {seconds:.1f} s, {facts['events_per_second']:,} events/s, "
        f"peak memory {facts['peak_memory_mb']} MB",
        *([f"state digest {digest}"] if fold else []),
    )


def rebuild(
    projection: Annotated[
        str | None, typer.Argument(help="records, aliases, citations, moderation or search; default: all.")
    ] = None,
    verify: Annotated[Mode, typer.Option(help=f"{_HELP}.")] = Mode.none,
    workers: Workers = None,
    engine: Engine = EngineName.processes,
    scheduler: Scheduler = "",
    json: Json = False,
) -> int:
    """Build projections anew beside the old ones, compare, and switch to them."""
    with opened() as home:
        size = home.store.head().size
        chosen = Crew(engine, workers, scheduler).at(place_of_log(home.settings), home.ledger, size)
        with progress("rebuilding", size) as advance:
            found = rebuild_projections(
                home.store,
                home.projections,
                [projection] if projection else [],
                advance,
                lambda names, stop: rows_of_log(Course(home.ledger, home.store, verify, stop), chosen, names),
            )
    if json:
        tell([{**msgspec.to_builtins(outcome), "same": outcome.same} for outcome in found])
    else:
        for outcome in found:
            verdict = "same as before" if outcome.same else f"CHANGED from {outcome.old_digest}"
            say(f"{outcome.projection:10} generation {outcome.generation}  {outcome.new_digest}  {verdict}")
    return 0 if all(outcome.same for outcome in found) else 1
