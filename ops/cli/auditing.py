"""`audit`: a ledger, or an export of one, checked byte by byte."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ledger.proofs.trust import Trust
from ops.audit import Audit, audit_home
from ops.cli.output import Json, progress, settings, show_checks, tell
from ops.cli.proving import Root
from ops.cli.replaying import Engine, Scheduler, Workers
from ops.home import now
from ops.replaying.replay import Crew, EngineName
from ops.verify_export import verify_export


def register(app: typer.Typer) -> None:
    app.command()(audit)


def audit(
    export: Annotated[
        Path | None, typer.Argument(help="An exported folder; without it the ledger of PITH_DATA is audited.")
    ] = None,
    workers: Workers = None,
    engine: Engine = EngineName.processes,
    scheduler: Scheduler = "",
    root: Root = None,
    json: Json = False,
) -> None:
    """Read every byte of a ledger or an export, recompute everything and trust nothing; nothing is written."""
    started = time.perf_counter()
    if export is not None:
        with progress("auditing", 0) as advance:
            checks = verify_export(export, Trust(root), advance)
        if json:
            tell({"audited": True, "checks": checks, "seconds": round(time.perf_counter() - started, 3)})
        else:
            show_checks(checks)
        return
    crew = Crew(engine, workers, scheduler)
    course = Audit(crew, progress) if json else Audit(crew, progress, lambda check: show_checks([check]))
    log, projected = audit_home(settings(), now(), course, root)
    if json:
        tell(
            {
                "audited": True,
                "checks": course.checks,
                "registry": log.entries.registry.name,
                "root": log.entries.begins_with,
                "size": log.entries.size,
                "root_hash": log.entries.frontier.root().hex(),
                "texts": log.entries.texts,
                "checkpoints": log.checkpoints.count,
                "newest_checkpoint": log.checkpoints.newest,
                "published": log.checkpoints.published,
                "cosignatures": log.checkpoints.cosignatures,
                "projected": projected.cursor if projected else 0,
                "state_digest": projected.state_digest if projected else "",
                "seconds": round(time.perf_counter() - started, 3),
            }
        )
