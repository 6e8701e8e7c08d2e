"""`hold`: keeping copies of papers, and proving it to whoever asks."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from ledger.errors import KeyRoleError, UsageError
from ledger.possession import format_location
from ops.cli.output import Json, say
from ops.counting import counted
from ops.keyfiles import read_key


def register(app: typer.Typer) -> None:
    app.command()(hold)


def hold(
    folder: Annotated[Path, typer.Argument(help="The folder with the copies; files are known by their SHA-256.")],
    key: Annotated[Path, typer.Option("--key", help="The key file that answers, made for this with `pith keygen`.")],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 for any.", min=0, max=65535)] = 8082,
    json: Json = False,
) -> None:
    """Hold copies: answer challenges that only who has the whole file can answer, until interrupted."""
    # Imported here so that no other command waits for the web server.
    from ops.serving import serve
    from ops.storage.holding import PATH, Holdings, create_holder_app, watching

    if not folder.is_dir():
        raise UsageError("there is no such folder", place=str(folder))
    held = read_key(key)
    if held.role != "contributor":
        cure = "make a key for holding: pith keygen did:web:HOST -o FILE"
        raise KeyRoleError(f"the key has the role {held.role}", place=str(key), cure=cure)
    holdings = Holdings(folder, held.key)
    found = holdings.scan()

    def announce(address: str) -> None:
        facts = {
            "address": address,
            "location": format_location(f"{address}{PATH}", held.key.public_key),
            "key": held.key.public_key.hex(),
            "files": found.files,
            "bytes": found.bytes,
            "unreadable": found.unreadable,
            "folder": str(folder),
        }
        if json:
            typer.echo(json_format.dumps(facts))
            return
        unreadable = f" ({found.unreadable} could not be read)" if found.unreadable else ""
        say(
            f"holding    {counted(found.files, 'file')}, {counted(found.bytes, 'byte')}{unreadable}",
            f"address    {address}",
            f"location   {facts['location']}",
            "           of every copy here, for a storage_attestation with the kind holder;",
            "           put your public https address in place of this one, the key stays",
        )

    with watching(holdings):
        serve(create_holder_app(holdings), host, port, announce)
