"""`serve`: a log over HTTP."""

from __future__ import annotations

import json as json_format
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ledger.publication import CHECKPOINT_PATH, IDENTITY_PATH, Publication
from ops.checkpointing import newest
from ops.cli.output import Json, opened, say
from ops.publications import StorePublication, open_folder


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Serve the files of an export or a mirror, not the log of PITH_DATA."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 for any.", min=0, max=65535)] = 8080,
    json: Json = False,
) -> None:
    """Serve a log's checkpoint, tiles and keys (C2SP tlog-tiles), until interrupted."""
    # Imported here so that no other command waits for the web framework.
    from api.log import create_log_app
    from ops.serving import serve as serve_application

    def announce(address: str) -> None:
        facts = {
            "address": address,
            "checkpoint": f"{address}/{CHECKPOINT_PATH}",
            "identity": f"{address}/{IDENTITY_PATH}",
        }
        if json:
            typer.echo(json_format.dumps(facts))
            return
        say(
            *(f"{name:10} {value}" for name, value in facts.items()),
            f"next       pith monitor {address} --root sha256:…",
        )

    with ExitStack() as cleaning:
        publication: Publication
        if folder:
            publication = open_folder(folder)
        else:
            home = cleaning.enter_context(opened())
            newest(home)  # what was appended since the last checkpoint is published with it
            publication = StorePublication(home.store)
        serve_application(create_log_app(publication), host, port, announce)
