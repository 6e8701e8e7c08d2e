"""`audit`: a ledger, or an export of one, checked byte by byte."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from ledger.proofs.trust import Trust
from ops.audit import Audit, audit_home
from ops.cli.output import Json, progress, settings, show_checks, tell
from ops.cli.proving import Root
from ops.home import now
from ops.verify_export import verify_export


def register(app: typer.Typer) -> None:
    app.command()(audit)


def audit(
    export: Annotated[
        Path | None, typer.Argument(help="An exported folder; without it the ledger of PITH_DATA is audited.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Threads that check signatures.", min=1)] = os.cpu_count() or 1,
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
    course = Audit(workers, progress) if json else Audit(workers, progress, lambda check: show_checks([check]))
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
