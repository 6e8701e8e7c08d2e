"""`replay`, `rebuild`: everything anew from the log's first event."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from ledger.errors import VerificationError
from ops.cli.output import AsOf, Json, opened, position_of, progress, say, tell
from ops.importers.run import peak_memory_mb
from ops.verify_log import verify_all, verify_all_signers, verify_by_checkpoint
from projections.rebuild import rebuild as rebuild_projections
from projections.rebuild import replay as replay_projections

Root = Annotated[str | None, typer.Option("--root", help="The event id the log must begin with (sha256:…).")]


class Mode(StrEnum):
    all = "all"
    signers = "signers"
    checkpoint = "checkpoint"
    none = "none"


_CHECKED = {
    Mode.all: "every signature and rule checked",
    Mode.signers: "every signature checked",
    Mode.checkpoint: "every entry checked against the signed checkpoint",
    Mode.none: "nothing checked",
}


_CHECKS = {Mode.all: verify_all, Mode.signers: verify_all_signers, Mode.checkpoint: verify_by_checkpoint}


def register(app: typer.Typer) -> None:
    for command in (replay, rebuild):
        app.command()(command)


def replay(
    verify: Annotated[
        Mode, typer.Option(help=f"{'; '.join(f'{mode}: {what}' for mode, what in _CHECKED.items())}.")
    ] = Mode.all,
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
        if verify is not Mode.none:
            with progress("verifying", stop) as advance, ThreadPoolExecutor(workers) as threads:
                _CHECKS[verify](home.store, stop, threads if workers > 1 else None, advance)
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
    say(
        f"{stop} events replayed, {_CHECKED[verify]}: {seconds:.1f} s, {facts['events_per_second']:,} events/s, "
        f"peak memory {facts['peak_memory_mb']} MB",
        f"state digest {digest}",
    )


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
