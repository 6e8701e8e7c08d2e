"""`sign` and `append`: making statements and handing them in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from ledger import canonical
from ledger.appending import Appended, Outcome, Submission
from ledger.bulk import BATCH, append_all, open_workers
from ledger.canonical import MAX_EVENT_BYTES
from ledger.commitments import MAX_TEXT_BYTES, Disclosure
from ledger.errors import InvalidFieldError, LedgerError, NotJsonError, SubmissionError, UsageError
from ledger.events import Event, from_decoded, parse_quickly
from ledger.proofs import receipts
from ledger.signing import Signatory
from ledger.store import Store
from ledger.subjects import is_number
from ops.checkpointing import newest
from ops.cli.output import Json, opened, read_argument, say, tell
from ops.cli.remote import ItsLogKey, ItsRoot, connected, handed_in, remark
from ops.databases import open_log
from ops.finding import found_anywhere
from ops.home import collect_rarely, now
from ops.keyfiles import read_key
from ops.settings import Settings
from ops.whole_files import as_file, write_whole

if TYPE_CHECKING:
    from api.client.client import Client

MAX_LINE_BYTES: Final = MAX_EVENT_BYTES + 8 * MAX_TEXT_BYTES


def register(app: typer.Typer) -> None:
    app.command()(sign)
    app.command()(append)


def sign(
    context: typer.Context,
    event_type: Annotated[str, typer.Argument(help="Such as citation_signature; see the README's protocol chapter.")],
    subject: Annotated[
        str, typer.Argument(help="A Pith Number, or any name that `pith find` resolves, or `registry`.")
    ] = "registry",
    payload: Annotated[
        str | None, typer.Argument(help="JSON, @FILE, or - for standard input; private texts stand in it plainly.")
    ] = None,
    key: Annotated[Path, typer.Option("--key", help="The key file to sign with.")] = Path(),
    target: Annotated[
        str | None, typer.Option(help="What it speaks about, where the type leaves a choice: sha256:… or a claim.")
    ] = None,
    successor: Annotated[Path | None, typer.Option(help="For key_rotated: the new key's file.")] = None,
    send: Annotated[
        bool, typer.Option("--send", help="With --url: hand it in at once, instead of printing it.")
    ] = False,
    root: ItsRoot = None,
    log_key: ItsLogKey = None,
    json: Json = False,
) -> None:
    """Sign a statement and print it as one line of JSON, ready for `pith append`."""
    if key == Path():
        raise UsageError("no key is given", place="--key", cure="make one with `pith keygen`")
    signatory = Signatory(read_key(key), now, os.urandom)
    content: dict[str, Any]
    if payload is not None:
        content = canonical.decode(read_argument(payload))
        if not isinstance(content, dict):
            raise NotJsonError("a payload is a JSON object")
    elif event_type == "key_registered":
        content = signatory.statement()
    elif event_type == "key_rotated" and successor is not None:
        content = signatory.rotation(Signatory(read_key(successor), now, os.urandom))
    else:
        raise UsageError(f"{event_type} needs a payload", cure="give it as JSON, @FILE or -")
    client = connected(context, root, log_key)
    if send and client is None:
        cure = "name a registry with `pith --url URL sign …`, or pipe it into `pith append -`"
        raise UsageError("there is nowhere to send it", place="--send", cure=cure)
    with client or nullcontext() as registry:
        if subject != "registry" and not is_number(subject):
            subject = _number(registry, subject)
        event, disclosures = signatory.sign(event_type, subject, content, target=target)
        if send and registry is not None:
            (outcome,) = handed_in(registry, [Submission(event, disclosures)])
            if isinstance(outcome, LedgerError):
                raise outcome
            if json:
                tell([_result(1, outcome)])
            else:
                _show(_result(1, outcome))
            return
    line: dict[str, Any] = event.value
    if disclosures:
        line = {"event": event.value, "disclosures": disclosures}
    typer.echo(msgspec.json.encode(line))


def append(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(help="A file of signed events, one JSON object a line; - for standard input.")
    ],
    receipt: Annotated[
        Path | None, typer.Option("--receipt", "-o", help="Write the event's receipt to this file, for `pith verify`.")
    ] = None,
    root: ItsRoot = None,
    log_key: ItsLogKey = None,
    json: Json = False,
) -> int:
    """Append signed events to the log; bad ones are refused with their reason, the others kept."""
    raw = read_argument(source if source == "-" else f"@{source}")
    lines = [line for line in raw.splitlines() if line.strip()]
    if len(lines) > 1 and _is_one_object(raw):
        lines = [raw]
    if receipt is not None and len(lines) != 1:
        cure = "append one event, or ask for each with `pith receipt`"
        raise UsageError(f"a receipt is of one event, these are {len(lines)}", place="--receipt", cure=cure)
    results: list[dict[str, Any]] = []
    refused = 0
    with connected(context, root, log_key) or nullcontext() as registry:
        outcomes = _append(lines, receipt) if registry is None else handed_in(registry, _parsed(lines), receipt)
        for number, outcome in enumerate(outcomes, 1):
            result = _result(number, outcome)
            refused += "error" in result
            results.append(result)
            if not json:
                _show(result)
    if json:
        tell(results)
    return 2 if refused else 0


def _append(lines: list[bytes], receipt: Path | None) -> Iterator[Outcome | LedgerError]:
    with opened() as home:
        home.check_own()
        opener = partial(_opened_log, home.settings)
        with open_workers(opener) if len(lines) > BATCH else nullcontext() as workers:
            for outcome in chain.from_iterable(append_all(home.store, lines, home.clock, workers, read=_submission)):
                yield outcome
                if receipt is not None and isinstance(outcome, Appended):
                    newest(home)
                    write_whole(receipt, as_file(receipts.receipt(home.store, outcome.entry)))
        home.catch_up()


def _opened_log(settings: Settings) -> Store:
    collect_rarely()
    return Store(open_log(settings))


def _number(registry: Client | None, name: str) -> str:
    """Return the number of the paper that a name means."""
    if registry is None:
        with opened() as home, found_anywhere(home, name) as (_, named):
            return named.subject
    found = registry.resolve(name).pith_number
    remark(f"open: {name} is {found}, by the registry's word: this is what is signed about")
    return found


def _parsed(lines: list[bytes]) -> list[Submission | LedgerError]:
    parsed: list[Submission | LedgerError] = []
    for line in lines:
        try:
            parsed.append(_submission(line))
        except LedgerError as error:
            parsed.append(error)
    return parsed


def _submission(line: bytes) -> Submission:
    """Read one submitted line: an event, or `{"event": …, "disclosures": {path: {salt, text}}}`."""
    if (event := parse_quickly(line)) is not None:
        return Submission(event)
    value = canonical.decode(line, max_bytes=MAX_LINE_BYTES)
    if not isinstance(value, dict):
        raise NotJsonError("a submission is a JSON object")
    if "event" not in value:
        return Submission(from_decoded(value))
    try:
        disclosures = msgspec.convert(value.get("disclosures", {}), dict[str, Disclosure])
    except msgspec.ValidationError as error:
        raise InvalidFieldError(str(error), place="disclosures") from None
    if not isinstance(value["event"], dict) or set(value) - {"event", "disclosures"}:
        raise InvalidFieldError("a submission holds an event and its disclosures", place="event")
    return Submission(from_decoded(value["event"]), disclosures)


def _is_one_object(raw: bytes) -> bool:
    try:
        return isinstance(canonical.decode(raw, max_bytes=MAX_LINE_BYTES), dict)
    except SubmissionError:
        return False


def _result(number: int, outcome: Outcome | LedgerError) -> dict[str, Any]:
    if isinstance(outcome, LedgerError):
        return {"line": number, **outcome.facts()}
    event: Event = outcome.entry.event
    return {
        "line": number,
        "event_id": event.id_text,
        "event_type": event.event_type,
        "subject": event.subject,
        "position": outcome.entry.position,
        "received_at": outcome.entry.received_at,
        "created": outcome.created,
    }


def _show(result: dict[str, Any]) -> None:
    if "error" in result:
        place = f" (at {result['place']})" if "place" in result else ""
        cure = f"; {result['cure']}" if "cure" in result else ""
        say(f"line {result['line']} refused: {result['error']}: {result['message']}{place}{cure}")
    else:
        known = "" if result["created"] else " (known already)"
        say(f"{result['position']:>8}  {result['event_type']:20} {result['event_id']}{known}")
