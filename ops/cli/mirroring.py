"""`mirror`: a copy of somebody else's log that has checked all of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ledger.errors import ForkError
from ledger.proofs.trust import Trust
from ops.checkpointing import read_policy
from ops.cli.output import Json, progress, settings, show_checks, tell
from ops.cli.proving import PolicyOption, Root
from ops.evidence_files import keep_evidence
from ops.mirror import mirror as follow
from ops.publications import open_publication


def register(app: typer.Typer) -> None:
    app.command()(mirror)


def mirror(
    source: Annotated[str, typer.Argument(help="The address of a log (http://…), or a folder with its files.")],
    folder: Annotated[Path, typer.Argument(help="The mirror's data folder; a new one is made.")],
    root: Root = None,
    policy: PolicyOption = None,
    json: Json = False,
) -> None:
    """Copy a log and check all of it; run again, it goes on where it stopped. Serve it with PITH_DATA=FOLDER."""
    trust = Trust(root, policy=read_policy(policy) if policy else None)
    where = replace(settings(), data=folder)
    try:
        with progress("mirroring", 0) as advance:
            done = follow(open_publication(source), where, trust, advance)
    except ForkError as error:
        path = keep_evidence(folder, error.evidence)
        error.place = str(path)
        raise
    if json:
        tell({"size": done.size, "added": done.added, "checks": done.checks})
    else:
        show_checks(list(done.checks))
