"""`token new`, `token list`, `token revoke`: the tokens by which operators use `/api/admin`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import typer

from ledger.database import Database
from ledger.times import seconds
from ops.cli.output import Json, opened, say, tell
from ops.databases import open_private
from ops.home import Home

Name = Annotated[str, typer.Argument(help="What the token is called, such as who or what holds it.")]


def register(app: typer.Typer) -> None:
    commands = typer.Typer(help="Make, list and revoke operators' tokens.", no_args_is_help=True, rich_markup_mode=None)
    commands.command()(new)
    commands.command("list")(show)
    commands.command()(revoke)
    app.add_typer(commands, name="token")


def new(name: Name, json: Json = False) -> None:
    """Make a token and show it this once; the registry keeps only its hash."""
    from api.admin.tokens import create_token

    with _private() as (home, private):
        token = create_token(private, name, home.clock(), home.random)
    if json:
        tell({"name": name, "token": token})
        return
    say(
        f"token      {token}",
        "           shown this once: keep it as you keep a key, it is sent as `Authorization: Bearer …`",
        f"next       pith token revoke {name}, when it is no longer needed or anybody else has seen it",
    )


def show(json: Json = False) -> None:
    """List the tokens that were made, the revoked ones too."""
    from api.admin.tokens import tokens

    with _private() as (_, private):
        found = tokens(private)
    facts = [
        {
            "name": token.name,
            "created_at": seconds(token.created_at),
            "revoked_at": None if token.revoked_at is None else seconds(token.revoked_at),
        }
        for token in found
    ]
    if json:
        tell(facts)
        return
    if not facts:
        say("there are no tokens; make one with `pith token new NAME`")
    say(
        *(
            f"{fact['name']:24} {fact['created_at']}  {'revoked ' + fact['revoked_at'] if fact['revoked_at'] else ''}"
            for fact in facts
        )
    )


def revoke(name: Name, json: Json = False) -> None:
    """End a token, at once and for good."""
    from api.admin.tokens import revoke_token

    with _private() as (home, private):
        revoke_token(private, name, home.clock())
    if json:
        tell({"name": name, "revoked": True})
        return
    say(f"{name} is revoked; a running server refuses it from now on")


@contextmanager
def _private() -> Iterator[tuple[Home, Database]]:
    with opened() as home, closing(open_private(home.settings, home.random)) as private:
        yield home, private
