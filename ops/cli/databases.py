"""`database show`, `upgrade`, `grant`, `move`: where a registry's data is, and whose tables it is in."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.errors import UsageError
from ops.cli.output import Json, say, settings, tell
from ops.migrations.lines import LOG
from ops.moving import move as move_all
from ops.new_databases import grant as grant_role
from ops.upgrading import standing, upgrade_all


def register(app: typer.Typer) -> None:
    commands = typer.Typer(
        help="Show a registry's databases, and upgrade them.", no_args_is_help=True, rich_markup_mode=None
    )
    commands.command()(show)
    commands.command()(upgrade)
    commands.command()(grant)
    commands.command()(move)
    app.add_typer(commands, name="database")


def show(json: Json = False) -> None:
    """Show where each database is, which version its tables have, and in PostgreSQL whose they are."""
    found = list(standing(settings()))
    if json:
        facts = [
            {
                "database": each.line.name,
                "place": each.place,
                "version": each.version,
                "newest": each.line.head,
                "server": each.server,
                "role": each.role,
                "owner": each.owner,
            }
            for each in found
        ]
        tell(facts)
        return
    for each in found:
        version = each.version or "no tables yet"
        say(f"{each.line.name:10} {version:16} {each.place}")
        if each.server:
            owned = each.owner or "nobody, for there is no such schema"
            say(f"{'':10} PostgreSQL {each.server}, used as {each.role}, owned by {owned}")
    if any(each.version and not each.is_current for each in found):
        say("next       pith database upgrade (make a backup first)")


def upgrade(json: Json = False) -> None:
    """Bring every database to this release's tables. Stop servers and workers first, and make a backup."""
    rows = [
        {"database": done.line.name, "before": done.before, "after": done.after} for done in upgrade_all(settings())
    ]
    if json:
        tell(rows)
        return
    for row in rows:
        what = "as it was" if row["before"] == row["after"] else f"from {row['before'] or 'nothing'}"
        say(f"{row['database']:10} {row['after']:16} {what}")
    say("projections are built anew by the first command that reads, where they are of another release")


def grant(
    role: Annotated[str, typer.Argument(help="A role of the PostgreSQL server, which another server connects as.")],
    json: Json = False,
) -> None:
    """Let a further role append, redact and serve: it can neither change nor remove an event."""
    found = settings()
    if not found.database_url:
        raise UsageError("rights are given in PostgreSQL alone", cure="set PITH_DATABASE_URL")
    if all(each.version is None for each in standing(found) if each.line is LOG):
        raise UsageError("there are no tables yet", cure="make them with `pith init NAME`")
    grant_role(found, role)
    if json:
        tell({"role": role, "granted": True})
    else:
        say(f"{role} may append, redact and serve; run this again after each `pith database upgrade`")


def move(json: Json = False) -> None:
    """Move a registry from the files of PITH_DATA into the database of PITH_DATABASE_URL. Stop its servers first."""
    found = move_all(settings())
    if json:
        tell([{"database": each.line.name, "rows": each.rows, "kept": str(each.kept)} for each in found])
        return
    say(*(f"{each.line.name:10} {each.rows:8} rows moved; its file is kept as {each.kept}" for each in found))
    say("next       pith audit, and remove the files once it holds: private texts are in them")
