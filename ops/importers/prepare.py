"""From sources to signed events: what each paper adds to what the log holds about it, and nothing else.

Comparing comes before signing, so a source that says nothing new costs no signature. The work needs the
log only for reading and can be done in several processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ledger.errors import ForeignLogError, LedgerError, SubmissionError
from ledger.events import Entry, Event
from ledger.keyring import KeyHistory
from ledger.rules import has_form
from ledger.signatures import issue_receipt, verify_signatures
from ledger.signing import Signatory
from ops.finding import held_elsewhere
from ops.home import Home
from ops.importers.drafts import Draft
from ops.importers.files import Source, worked_out


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one source adds: the bytes of signed events, and the reason why it, or a part of it, is refused.

    `formed` says that `rules.check_form` lets all the events pass.
    """

    source: Source
    subject: str
    events: tuple[bytes, ...] = ()
    error: LedgerError | None = None
    notes: tuple[str, ...] = ()
    formed: bool = False


def prepare(home: Home, sources: Sequence[Source]) -> list[Prepared]:
    """Work out, compare and sign a batch of sources; their order is kept."""
    signer, receipts = home.signatory("event"), home.signatory("receipt")
    lines = [worked_out(source) for source in sources]
    size = home.store.head().size
    known = home.store.of_subjects({line.draft.subject for line in lines if line.draft}, size)
    held = held_elsewhere(home, [subject for subject, entries in known.items() if not entries])
    keys: KeyHistory | None = None
    prepared = []
    for source, line in zip(sources, lines, strict=True):
        draft = line.draft
        if draft is None:
            prepared.append(Prepared(source, "", error=line.error))
            continue
        late: SubmissionError | None = None
        try:
            if draft.subject in held:
                raise ForeignLogError(f"the record is in the log {held[draft.subject]}", cure="import it there")
            events = list(_difference(draft, known[draft.subject], signer, receipts, home.store.label))
            try:
                events += _graph(draft, known[draft.subject], signer)
            except SubmissionError as error:
                late = error  # the record is good without it
            if draft.pith_receipt is not None:
                keys = keys or home.store.registry().keys
                for event in events:
                    verify_signatures(event, keys)
        except SubmissionError as error:
            prepared.append(Prepared(source, draft.subject, error=error, notes=draft.notes))
        else:
            raws = tuple(event.raw for event in events)
            prepared.append(Prepared(source, draft.subject, raws, late, draft.notes, all(map(has_form, events))))
    return prepared


def _difference(
    draft: Draft, known: Sequence[Entry], signer: Signatory, receipts: Signatory, label: str
) -> Iterator[Event]:
    """Yield the events that bring the log to what a source says of one paper."""
    payloads = [
        entry.event.payload for entry in known if entry.event.event_type in ("record_created", "record_updated")
    ]
    if not payloads:
        yield signer.sign("record_created", draft.subject, _created(draft, receipts, label))[0]
    else:
        if update := _update(draft, payloads):
            yield signer.sign("record_updated", draft.subject, update)[0]
        aliases = {(alias.alias_kind, alias.alias_value) for alias in payloads[0].aliases}
        aliases |= {
            (entry.event.payload.alias_kind, entry.event.payload.alias_value)
            for entry in known
            if entry.event.event_type == "alias_added"
        }
        for alias in draft.aliases:
            if (alias["alias_kind"], alias["alias_value"]) not in aliases:
                yield signer.sign("alias_added", draft.subject, alias)[0]


def _graph(draft: Draft, known: Sequence[Entry], signer: Signatory) -> Iterator[Event]:
    """Yield the snapshot event, if the source's snapshot is another than the log's newest."""
    if draft.graph is not None:
        snapshots = [entry.event.value["payload"] for entry in known if entry.event.event_type == "graph_snapshot"]
        if not snapshots or snapshots[-1] != draft.graph:
            yield signer.sign("graph_snapshot", draft.subject, draft.graph)[0]


def _created(draft: Draft, receipts: Signatory, label: str) -> dict[str, Any]:
    receipt = draft.pith_receipt or issue_receipt(
        receipts.key, bytes.fromhex(draft.canonical_sha256), precise(receipts.clock())
    )
    payload = {
        "canonical_record": draft.canonical_record,
        "canonical_sha256": draft.canonical_sha256,
        "pith_receipt": receipt,
        "paper": draft.paper,
        "aliases": draft.aliases,
    }
    if draft.source_text is not None:
        payload["source_text"] = draft.source_text
    return {**payload, "log": label} if label else payload


def _update(draft: Draft, payloads: Sequence[Any]) -> dict[str, Any]:
    paper: dict[str, Any] = {}
    text: dict[str, str] = {}
    receipt: Mapping[str, Any] = {}
    for payload in payloads:
        paper |= payload.paper if isinstance(payload.paper, dict) else {}
        text |= payload.source_text if isinstance(payload.source_text, dict) else {}
        receipt = payload.pith_receipt if isinstance(payload.pith_receipt, dict) else receipt
    update: dict[str, Any] = {}
    if paper | draft.paper != paper:
        update["paper"] = draft.paper
    if draft.pith_receipt is not None and draft.pith_receipt != receipt:
        update["pith_receipt"] = draft.pith_receipt
    if draft.source_text is not None and text | draft.source_text != text:
        # A part's text stands only beside its value, which it is checked against.
        update |= {"source_text": draft.source_text, "paper": draft.paper, "pith_receipt": draft.pith_receipt}
    return update


def precise(microseconds: int) -> str:
    """Write microseconds since 1970 as receipts do: `2026-05-26T02:04:46.738387Z`."""
    whole, rest = divmod(microseconds, 1_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"
