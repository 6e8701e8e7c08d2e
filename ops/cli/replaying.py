"""`replay`, `rebuild`: everything anew from the log's first event."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from ledger.errors import VerificationError
from ledger.registry import Registry
from ledger.store import Store
from ledger.verification import Head, verify_entries
from ops.cli.output import AsOf, Json, opened, position_of, progress, say, tell
from ops.importers.run import peak_memory_mb
from projections.rebuild import rebuild as rebuild_projections
from projections.rebuild import replay as replay_projections
from projections.runner import BATCH

Root = Annotated[str | None, typer.Option("--root", help="The event id the log must begin with (sha256:…).")]


class Mode(StrEnum):
    all = "all"
    none = "none"


def register(app: typer.Typer) -> None:
    for command in (replay, rebuild):
        app.command()(command)


def replay(
    verify: Annotated[Mode, typer.Option(help="all: check every signature and rule; none: fold only.")] = Mode.all,
    workers: Annotated[int, typer.Option(help="Threads that check signatures.", min=1)] = os.cpu_count() or 1,
    as_of: AsOf = None,
    root: Root = None,
    json: Json = False,
) -> None:
    """Fold the log from its first event and print the state digest."""
    with opened() as home:
        stop = position_of(home.store, as_of)
        begins_with = home.store.entry(0).event.id_text
        if root not in (None, begins_with):
            raise VerificationError("root", f"the log begins with {begins_with}")
        started = time.perf_counter()
        if verify is Mode.all:
            with progress("verifying", stop) as advance:
                verify_log(home.store, stop, workers, advance)
        verified = time.perf_counter()
        with progress("folding", stop) as advance:
            digest = replay_projections(home.store, stop, progress=advance)
        seconds = time.perf_counter() - started
    facts = {
        "events": stop,
        "verify": verify.value,
        "seconds": round(seconds, 3),
        "verify_seconds": round(verified - started, 3),
        "events_per_second": round(stop / seconds) if seconds else 0,
        "peak_memory_mb": round(peak_memory_mb()),
        "state_digest": digest,
    }
    if json:
        tell(facts)
        return
    checked = "every signature and rule checked" if verify is Mode.all else "nothing checked"
    say(
        f"{stop} events replayed, {checked}: {seconds:.1f} s, {facts['events_per_second']:,} events/s, "
        f"peak memory {facts['peak_memory_mb']} MB",
        f"state digest {digest}",
    )


def verify_log(store: Store, stop: int, workers: int, advance: Callable[[int], None]) -> None:
    """Check every entry of a log below a position; raises VerificationError at the first that fails."""
    store.check_unique()
    registry, head = Registry(store.registry_name), Head(0, 0)
    with ThreadPoolExecutor(workers) as threads:
        for start in range(0, stop, BATCH):
            entries = store.checked_entries(start, min(start + BATCH, stop))
            with store.targets_of(entries) as targets:
                head = verify_entries(entries, registry, targets, head, threads if workers > 1 else None)
            advance(len(entries))


def rebuild(
    projection: Annotated[
        str | None, typer.Argument(help="records, aliases, citations or search; default: all.")
    ] = None,
    json: Json = False,
) -> int:
    """Build projections anew beside the old ones, compare, and switch to them."""
    with opened() as home, progress("rebuilding", home.store.head().size) as advance:
        found = rebuild_projections(home.store, home.projections, [projection] if projection else [], advance)
    if json:
        tell([{**msgspec.to_builtins(outcome), "same": outcome.same} for outcome in found])
    else:
        for outcome in found:
            verdict = "same as before" if outcome.same else f"CHANGED from {outcome.old_digest}"
            say(f"{outcome.projection:10} generation {outcome.generation}  {outcome.new_digest}  {verdict}")
    return 0 if all(outcome.same for outcome in found) else 1
