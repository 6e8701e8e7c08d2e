"""`log add`, `log list`, `log share`: the logs of one registry, one a year or publisher."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.log_keys import log_verifier
from ops.cli.output import Json, opened, plain, say, tell
from ops.counting import counted
from ops.logs import Shown, add_log, standings
from ops.shared_logs import share


def register(app: typer.Typer) -> None:
    commands = typer.Typer(
        help="Several logs of one registry: each with its own papers, all with the same keys and policies.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    commands.command()(add)
    commands.command("list")(show)
    commands.command("share")(bring)
    app.add_typer(commands, name="log")


def add(
    label: Annotated[str, typer.Argument(help="What the log is called, such as 2027 or elsevier.")],
    data: Annotated[Path, typer.Option("--data", help="Its data folder: a new one, or where this was broken off.")],
    address: Annotated[str, typer.Option("--address", help="Where it will be served, such as https://HOST.")] = "",
    json: Json = False,
) -> None:
    """Make a log beside the registry's first one, with a copy of every key and policy."""
    with opened() as home:
        add_log(home, label, data, address)
        shown = next(each for each in standings(home) if each.label == label)
        log_key = log_verifier(home.store.registry_name, home.signatory("log").key.public_key, label).format()
    if json:
        tell({**_facts(shown), "log_key": log_key})
        return
    say(
        f"log        {shown.origin} is ready in {data}, with {counted(shown.size, 'event')} of keys and policies",
        f"log key    {log_key}",
        "           the key that signs its checkpoints, for witnesses and monitors",
        f"next       PITH_DATA={data} pith import FILE…, and pith serve for it as for the first",
    )


def show(json: Json = False) -> int:
    """List the registry's logs; ends with 1 where one of them misses a key or policy, or cannot be read."""
    with opened(apart=True) as home:
        found = standings(home)
    if json:
        tell([_facts(shown) for shown in found])
    else:
        for shown in found:
            size = counted(shown.size, "entry", "entries")
            say(f"{shown.origin:40} {size:>16}  {shown.data}  {shown.address}".rstrip())
            say(*(f"           {line}" for line in _faults(shown)))
    return 0 if all(shown.is_whole for shown in found) else 1


def bring(json: Json = False) -> int:
    """Bring keys and policies of the first log to the others now, as far as they have not got them."""
    with opened(apart=True) as home:
        failed = share(home)
    if json:
        tell({"failed": {label: error.facts() for label, error in failed.items()}})
    else:
        lines = [f"{label}: {error}" for label, error in failed.items()]
        say(*lines or ["every log that is here has them all"])
    return 1 if failed else 0


def _facts(shown: Shown) -> dict[str, Any]:
    shared = shown.shared
    return {
        "label": shown.label,
        "origin": shown.origin,
        "data": str(shown.data),
        "address": shown.address,
        "size": shown.size,
        "shared": shared.held if shared else None,
        "behind": len(shared.behind) if shared else None,
        "left_out": [entry.event.id_text for entry in shared.left_out] if shared else None,
        "fault": shown.fault.facts() if shown.fault else None,
    }


def _faults(shown: Shown) -> list[str]:
    if shown.fault is not None:
        return [plain(shown.fault)]
    assert shown.shared is not None
    lines = [
        f"left out: {entry.event.event_type} {entry.event.id_text}, which it could not take any more"
        for entry in shown.shared.left_out
    ]
    if behind := len(shown.shared.behind):
        lines.insert(0, f"misses {counted(behind, 'key or policy event')} of the first log: run `pith log share`")
    return lines
