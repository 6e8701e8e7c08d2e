"""`serve`: the registry over HTTP, or the files of somebody's log."""

from __future__ import annotations

import json as json_format
import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ledger.errors import UsageError
from ledger.publication import CHECKPOINT_PATH, IDENTITY_PATH
from ops.cli.output import Json, opened, say
from ops.publications import open_folder

Folder = Annotated[
    Path | None,
    typer.Option("--folder", help="Serve the files of an export or a mirror, not the registry of PITH_DATA."),
]


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    folder: Folder = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 for any.", min=0, max=65535)] = 8080,
    work: Annotated[bool, typer.Option("--work", help="Run the jobs too, as `pith work` does.")] = False,
    json: Json = False,
) -> None:
    """Serve the registry: pages, records, submissions, feed, and its log (C2SP tlog-tiles), until interrupted.

    With --folder, only the checkpoint, tiles and keys of an exported or mirrored log.
    """
    # Imported here so that no other command waits for the web framework.
    from api.log import create_log_app
    from ops.serving import serve as serve_application

    def announce(address: str) -> None:
        facts = {
            "address": address,
            "checkpoint": f"{address}/{CHECKPOINT_PATH}",
            "identity": f"{address}/{IDENTITY_PATH}",
        }
        if folder is None:
            facts |= {"search": f"{address}/search", "schema": f"{address}/schema", "feed": f"{address}/api/events"}
        if json:
            typer.echo(json_format.dumps(facts))
            return
        say(
            *(f"{name:10} {value}" for name, value in facts.items()),
            f"next       pith monitor {address} --root sha256:…",
        )

    if folder is not None:
        if work:
            raise UsageError("the files of a log owe nothing", place="--work", cure="leave it out with --folder")
        serve_application(create_log_app(open_folder(folder)), host, port, announce)
        return
    from api.app import create_app
    from api.following.stream import Streams
    from api.front.logs import configure_logging
    from ops.beside import kept_running
    from ops.home import collect_rarely
    from ops.projecting import projecting
    from ops.registry_app import composed
    from ops.settings import api_settings

    with ExitStack() as cleaning:
        home = cleaning.enter_context(opened())
        settings = api_settings(home.settings, os.environ)
        if port and "PITH_BASE_URL" not in os.environ:
            settings = replace(settings, base_url=f"http://{f'[{host}]' if ':' in host else host}:{port}")
        configure_logging(sys.stderr, json=json or not sys.stderr.isatty())
        if work:
            home.check_own()
        cleaning.enter_context(projecting(home.settings))
        if work:
            cleaning.enter_context(kept_running("working", "ops", ("work", "--with-parent"), home.settings))
        parts = cleaning.enter_context(composed(home, settings))
        collect_rarely()
        streams = Streams(parts)
        app = create_app(parts, streams)
        serve_application(app, host, port, announce, home.settings.trusted_proxies, streams.end)
