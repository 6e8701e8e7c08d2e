"""`moderate`: what waits for a moderator, and a moderator's decisions on it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from ledger.appending import Submission
from ledger.errors import NotFoundError, UsageError
from ledger.events import Entry
from ledger.signing import Signatory
from ledger.times import instant
from ops.cli.output import Json, console, opened, plain, say, tell
from ops.home import Home, now
from ops.keyfiles import read_key
from projections.moderation import STATUSES, Moderated, fate_of, with_status

EventArgument = Annotated[str, typer.Argument(help="An event id (sha256:…) or a position.")]
KeyFile = Annotated[Path, typer.Option("--key", help="The moderator's key file.")]
Reason = Annotated[str, typer.Option(help="Why; it is shown while the decision stands.")]

NO_KEY: Final = Path()


def register(app: typer.Typer) -> None:
    commands = typer.Typer(no_args_is_help=True, help="See what waits for a moderator, and decide on it.")
    commands.command("list")(show_list)
    for command in (show, accept, reject, redact):
        commands.command()(command)
    app.add_typer(commands, name="moderate")


def show_list(
    status: Annotated[str, typer.Option(help=f"One of {', '.join(STATUSES)}.")] = "held",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    after: Annotated[int, typer.Option(help="Only what stands past this position.")] = -1,
    json: Json = False,
) -> None:
    """List the statements that are held, oldest first, or those of another status."""
    if status not in STATUSES:
        raise UsageError(f"{status[:40]!r} is no status", place="--status", cure=f"use one of {', '.join(STATUSES)}")
    with opened() as home:
        home.catch_up()
        found = with_status(home.projections, status, after, limit)
    if json:
        tell([_facts(moderated) for moderated in found])
        return
    if not found:
        say(f"nothing is {status}")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("position", "received", "type", "paper", "signer", "event"):
        table.add_column(column, no_wrap=True)
    for moderated in found:
        cells = (
            moderated.position,
            instant(moderated.received_at)[:19],
            moderated.event_type,
            moderated.subject,
            _signer(moderated.signer),
            moderated.event_id[:19],
        )
        table.add_row(*(Text(plain(cell)) for cell in cells))
    console.print(table, markup=False, emoji=False)


def show(event: EventArgument, json: Json = False) -> None:
    """Show everything a decision needs: what was said, about which paper, by whom, and its private texts."""
    with opened() as home:
        home.catch_up()
        entry = _entry(home, event)
        moderated = _fate(home, entry)
        texts = home.store.disclosures([entry.position]).get(entry.position, {})
    payload = entry.event.value["payload"]
    if json:
        tell({**_facts(moderated), "payload": payload, "texts": {path: text.text for path, text in texts.items()}})
        return
    say(
        f"{moderated.event_type}   {moderated.status}",
        f"event     {moderated.event_id}",
        f"paper     {moderated.subject}",
        f"target    {moderated.target}",
        f"received  {instant(moderated.received_at)[:19]} at position {moderated.position}",
        f"signer    {_signer(moderated.signer)}",
        "",
    )
    for path, value in _leaves(payload):
        # A commitment tells nothing; the text that it stands for does.
        lines = texts[path].text.splitlines() if path in texts else [value]
        say(f"  {path:20} {lines[0] if lines else ''}", *(f"  {'':20} {line}" for line in lines[1:]))


def accept(event: EventArgument, key: KeyFile = NO_KEY, reason: Reason = "", json: Json = False) -> None:
    """Accept a statement: from now on it counts."""
    _decide("accepted", event, key, reason, json=json)


def reject(event: EventArgument, key: KeyFile = NO_KEY, reason: Reason = "", json: Json = False) -> None:
    """Reject a statement: it stays in the log and does not count."""
    if not reason:
        raise UsageError("a rejection says why", place="--reason", cure="give the reason, for its signer to read")
    _decide("rejected", event, key, reason, json=json)


def redact(event: EventArgument, key: KeyFile = NO_KEY, reason: Reason = "", json: Json = False) -> None:
    """Reject a statement and delete its private texts for good."""
    _decide("redacted", event, key, reason, json=json)


def _decide(decision: str, event: str, key: Path, reason: str, *, json: bool) -> None:
    if key == NO_KEY:
        raise UsageError(
            "no key is given", place="--key", cure="give a registered moderator's key file; see Moderate in the README"
        )
    signatory = Signatory(read_key(key), now, os.urandom)
    with opened() as home:
        home.catch_up()
        entry = _entry(home, event)
        _fate(home, entry)
        payload = {"decision": decision, **({"reason": reason} if reason else {})}
        target = entry.event.id_text
        signed, disclosures = signatory.sign("moderation_decision", entry.event.subject, payload, target=target)
        (appended,) = home.append([Submission(signed, disclosures)])
        home.catch_up()
        moderated = _fate(home, entry)
    if json:
        tell({**_facts(moderated), "decision": signed.id_text, "decided_at": appended.entry.position})
    else:
        say(f"{moderated.position:>8}  {moderated.event_type:20} {moderated.event_id} {moderated.status}")


def _entry(home: Home, event: str) -> Entry:
    if event.isascii() and event.isdigit() and len(event) < 20:
        return home.store.entry(int(event))
    digits = event.removeprefix("sha256:")
    if len(digits) != 64 or digits.strip("0123456789abcdef"):
        raise UsageError(
            f"{event[:80]!r} is neither an event id nor a position",
            cure="give its position, or all 64 digits of its id",
        )
    return home.store.find(bytes.fromhex(digits))


def _fate(home: Home, entry: Entry) -> Moderated:
    found = fate_of(home.projections, entry.event.id_text)
    if found is None:
        raise NotFoundError(
            f"{entry.event.event_type} is not for moderators to decide on",
            cure="give its position, or all 64 digits of its id",
        )
    return found


def _facts(found: Moderated) -> dict[str, Any]:
    return {
        "event_id": found.event_id,
        "event_type": found.event_type,
        "subject": found.subject,
        "target": found.target,
        "position": found.position,
        "received_at": instant(found.received_at),
        "status": found.status,
        "signer": found.signer,
    }


def _signer(signer: dict[str, Any]) -> str:
    on_behalf = signer.get("on_behalf_of")
    return f"{on_behalf['kind']} {on_behalf['subject'][:12]}…" if on_behalf else str(signer["signer_id"])


def _leaves(value: Any, path: str = "") -> list[tuple[str, str]]:
    """Return the values of a payload with their dotted paths."""
    if isinstance(value, dict):
        parts = [(f"{path}.{name}" if path else name, item) for name, item in value.items()]
    elif isinstance(value, list):
        parts = [(f"{path}.{at}", item) for at, item in enumerate(value)]
    else:
        return [(path, str(value))]
    return [leaf for name, item in parts for leaf in _leaves(item, name)]
