"""`show`, `history`, `find`: looking at papers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from api.addresses import served
from ledger.errors import NotFoundError
from ledger.events import Entry
from ledger.proofs.steps import step
from ledger.registry import Registry
from ledger.times import instant
from ledger.verdicts import Verdict
from ops.cli.output import AsOf, Json, console, opened, plain, position_of, say, tell
from ops.cli.remote import ItsLogKey, ItsRoot, connected, remark
from ops.cli.remote_reading import Shown, history_rows, hits, shown
from ops.finding import found_anywhere, searched_anywhere
from ops.home import Home
from projections import queries

if TYPE_CHECKING:
    from api.client.client import Client

Subject = Annotated[str, typer.Argument(help="A Pith Number, a part of its suffix, or an alias (arXiv id, DOI, …).")]


def register(app: typer.Typer) -> None:
    app.command()(show)
    app.command()(history)
    app.command()(find)


def show(
    context: typer.Context,
    subject: Subject,
    as_of: AsOf = None,
    root: ItsRoot = None,
    log_key: ItsLogKey = None,
    json: Json = False,
) -> None:
    """Show a paper's record, now or as it was."""
    client = connected(context, root, log_key)
    if client is None:
        found = _shown(subject, as_of)
    else:
        with client as registry:
            found = shown(registry, subject, as_of)
            _remark(registry, json=json)
    if json:
        tell(found.document)
        return
    with step("canonical form", "the record"):
        show_record(msgspec.json.decode(msgspec.json.encode(found.document)))
    for title, citations in (("cited by", found.incoming), ("cites", found.outgoing)):
        for citation in citations:
            other = citation.citing if title == "cited by" else citation.cited
            say(f"{title:10} {citation.relationship:12} {other}")
    if found.others:
        say("", "other versions: " + ", ".join(found.others))


def _shown(subject: str, as_of: str | None) -> Shown:
    with opened() as here, found_anywhere(here, subject) as (home, named):
        if home is not here:
            remark(f"this paper is in the log {home.store.registry().origin}, in {home.settings.data}")
        registry = home.store.registry()
        if as_of is None:
            document = queries.record(home.projections, named.subject, registry.anchored_size())
        else:
            position = position_of(home.store, as_of)
            document = queries.record_as_of(home.store, named.subject, position, registry)
        # Who cites whom is kept for the present only; a view of the past must not show what came later.
        incoming, outgoing = queries.citations(home.projections, named.subject) if as_of is None else ([], [])
        others = named.other_versions if as_of is None else ()
        return Shown(served(document, home.settings.base_url), incoming, outgoing, others)


def history(
    context: typer.Context,
    subject: Subject,
    as_of: AsOf = None,
    root: ItsRoot = None,
    log_key: ItsLogKey = None,
    json: Json = False,
) -> None:
    """List everything the log holds about a paper (or `registry`), with what became of it."""
    client = connected(context, root, log_key)
    if client is None:
        rows = _history(subject, as_of)
    else:
        with client as registry:
            rows = history_rows(registry, subject, as_of, texts=json)
            _remark(registry, json=json)
    if json:
        tell(rows)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("position", "received", "type", "signer", "status", "event"):
        table.add_column(column, no_wrap=column != "status")
    for row in rows:
        status = row["status"] + (f": {row['reason']}" if row["reason"] else "")
        cells = (
            row["position"],
            row["received_at"][:19],
            row["event_type"],
            row["signer_id"],
            status,
            row["event_id"][:19],
        )
        table.add_row(*(Text(plain(cell)) for cell in cells))
    console.print(table, markup=False, emoji=False)


def _history(subject: str, as_of: str | None) -> list[dict[str, Any]]:
    with opened() as home:
        if subject == "registry":
            position = position_of(home.store, as_of)
            return [_row(entry, Verdict("counted")) for entry in home.store.of_registry(0, position)]
        with found_anywhere(home, subject) as (holder, named):
            position = position_of(holder.store, as_of)
            return _judged_rows(holder, named.subject, position, holder.store.registry())


def _remark(registry: Client, *, json: bool) -> None:
    """Say to people what they read from elsewhere, where nothing proves it."""
    if not (json or registry.is_pinned):
        remark("open: this is the registry's word; with --root it is computed from what its log proves")


def find(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="Words of title, authors or abstract, or an identifier.")],
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    json: Json = False,
) -> None:
    """Find papers by identifier or by words."""
    client = connected(context)
    if client is None:
        found = _hits(text, limit)
    else:
        with client as registry:
            found = hits(registry, text, limit)
    if json:
        tell(found)
        return
    if not found:
        raise NotFoundError(f"nothing here holds all of {text!r}", cure="try fewer words")
    for hit in found:
        say(f"{hit.subject}  {hit.title}", f"{'':37} {hit.authors[:100]}")


def _hits(text: str, limit: int) -> list[queries.Hit]:
    with opened() as home:
        try:
            with found_anywhere(home, text) as (holder, named):
                return [_hit(home, holder, subject) for subject in (named.subject, *named.other_versions)]
        except NotFoundError:
            hits, unread = searched_anywhere(home, text, limit)
            for error in unread:
                remark(str(error))
            return hits


def _hit(home: Home, holder: Home, subject: str) -> queries.Hit:
    """Return a paper with its title; a version of it may be in another log than the newest."""
    known = queries.known(holder.projections, [subject])
    if subject not in known:
        with found_anywhere(home, subject) as (other, _):
            known = queries.known(other.projections, [subject])
    return known.get(subject, queries.Hit(subject, "", ""))


def _judged_rows(home: Home, number: str, position: int, registry: Registry) -> list[dict[str, Any]]:
    judged = queries.judged_as_of(home.store, number, position, registry)
    now = queries.judged_as_of(home.store, number, home.store.head().size, registry)
    shown = {judgement.entry.position for judgement in now.judgements if judgement.verdict.counts}
    texts = home.store.disclosures([judgement.entry.position for judgement in judged.judgements])
    rows = []
    for judgement in judged.judgements:
        row = _row(judgement.entry, judgement.verdict)
        # A text is shown only while its event counts now: not before somebody has looked, not after it fell.
        if judgement.entry.position in shown & texts.keys():
            row["texts"] = {path: text.text for path, text in texts[judgement.entry.position].items()}
        rows.append(row)
    return rows


def _row(entry: Entry, verdict: Verdict) -> dict[str, Any]:
    return {
        "position": entry.position,
        "received_at": instant(entry.received_at),
        "event_type": entry.event.event_type,
        "event_id": entry.event.id_text,
        "target": entry.event.target,
        "signer_id": entry.event.signer.signer_id,
        "key_id": entry.event.signer.key_id,
        "status": verdict.status,
        "reason": verdict.reason,
    }


def show_record(found: dict[str, Any]) -> None:
    """Print a record document for people."""
    paper, source, status = found["paper"], found["source"], found["verification_status"]
    submitted_at = found["canonical_record"]["metadata"]["submitted_at"]
    say(
        paper.get("title", ""),
        paper.get("authors_text", ""),
        "",
        f"{found['pith_number']}   {found['attestation_state']}",
        f"sha256 {found['canonical_sha256']}",
        f"{source['kind']} {source['id']} version {source['version']}, {submitted_at}",
        "",
    )
    for name, value in status.items():
        mark = {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        say(f"  {name:22} {mark}")
    if found["events"]:
        say("")
    for event in found["events"]:
        extra = f" ({event['claim']} claim)" if "claim" in event else ""
        why = f": {event['reason']}" if event["reason"] else ""
        say(f"  {event['event_type']:22} {event['status']}{extra}{why} — {event['signer']['signer_id']}")
    for group in found.get("equivocations", ()):
        say(f"  equivocation: one signer says both {' and '.join(group)}")
