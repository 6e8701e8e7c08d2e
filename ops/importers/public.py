"""Record documents and bundles of the public registry.

The public documents are kept as they were written: each opaque part goes into `source_text` as the
source's own JSON text, so that it can be shown again in its own order and spelling. What can be checked
is checked here: the record against its number and hash, the title (and an abstract that is whole)
against the record's hashes, the aliases against the record. Signatures are for the caller to check.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ledger import canonical, records
from ledger.errors import (
    InvalidFieldError,
    MalformedError,
    MissingFieldError,
    TooDeepError,
)
from ledger.records import Identity
from ledger.subjects import SHORT_LENGTHS, Alias, check_alias
from ops.importers.drafts import EXCERPT_LENGTH, Draft, alias_rows
from ops.importers.strict import decode_object, required_text

RECORD_TYPE: Final = "pith_number_record"
BUNDLE_TYPE: Final = "pith_open_graph_bundle"
GRAPH_PARTS: Final = ("graph_snapshot", "inbound_citations", "paper_claims", "formal_canon")
MAX_BYTES: Final = 4 * 1024 * 1024


def drafts_from_record_document(raw: bytes) -> Draft:
    """Read a public record document (`record_type` pith_number_record).

    Raises:
        MalformedError: not the shape of a record document; `place` names the part.
        NumberMismatchError, HashMismatchError, TextMismatchError: it contradicts itself.
    """
    document = decode_object(raw)
    _check_type(document, "record_type", RECORD_TYPE)
    texts = _texts(raw)
    record, identity = _checked_record(document, texts)
    receipt = _checked_receipt(_part(texts, "receipt"), identity, "receipt")
    paper = _checked_paper(_part(texts, "paper"), record, "paper")
    aliases = _checked_aliases(_part(texts, "aliases"), record, identity, "aliases")
    for key in ("created_at", "updated_at"):
        required_text(document, key)
    row_times = f'{{"created_at":{texts["created_at"]},"updated_at":{texts["updated_at"]}}}'
    return Draft(
        subject=identity.number,
        canonical_record=record,
        canonical_sha256=identity.digest.hex(),
        paper=paper,
        aliases=aliases,
        pith_receipt=receipt,
        graph=_graph(texts),
        source_text={
            "receipt": texts["receipt"],
            "paper": texts["paper"],
            "aliases": texts["aliases"],
            "row_times": row_times,
            "verification_status": _part(texts, "verification_status"),
        },
    )


def _graph(texts: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the snapshot's parts as they stand in the source; None where the registry has no snapshot."""
    if texts.get("graph_snapshot") == "null":
        return None
    return {"source_text": {name: _part(texts, name) for name in GRAPH_PARTS}}


def draft_from_bundle(raw: bytes) -> Draft:
    """Read a public bundle (`bundle_type` pith_open_graph_bundle).

    Its events follow rules that nobody publishes: they are kept as text and verify nothing.

    Raises:
        MissingFieldError: a part is missing; without a title the record document must be imported instead.
        MalformedError: not the shape of a bundle; `place` names the part.
        NumberMismatchError, HashMismatchError, TextMismatchError: it contradicts itself.
    """
    bundle = decode_object(raw)
    _check_type(bundle, "bundle_type", BUNDLE_TYPE)
    texts = _texts(raw)
    record, identity = _checked_record(bundle, texts)
    aliases = _checked_aliases(_part(texts, "source_aliases"), record, identity, "source_aliases")
    events = _bundle_events(_part(texts, "events"))
    created = _payload(events, 0)
    if _value(_part(created, "canonical_record", "events[0].payload."), "events[0].payload.canonical_record") != record:
        raise InvalidFieldError("the record is another than the bundle's", place="events[0].payload.canonical_record")
    receipt_text = _part(created, "receipt", "events[0].payload.")
    receipt = _checked_receipt(receipt_text, identity, "events[0].payload.receipt")
    paper_text, place = _bundle_paper(events)
    return Draft(
        subject=identity.number,
        canonical_record=record,
        canonical_sha256=identity.digest.hex(),
        paper=_checked_paper(paper_text, record, place),
        aliases=aliases,
        pith_receipt=receipt,
        source_text={
            "receipt": receipt_text,
            "paper": paper_text,
            "aliases": texts["source_aliases"],
            "events": texts["events"],
        },
        notes=(f"{len(events)} foreign events kept as source text, not verified",),
    )


def _texts(raw: bytes | str) -> dict[str, str]:
    """Cut a JSON object that was already checked into the verbatim texts of its members."""
    try:
        found = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except RecursionError:
        raise TooDeepError("nested too deep to be read") from None
    return {key: bytes(text).decode() for key, text in found.items()}


def _part(texts: Mapping[str, str], key: str, prefix: str = "") -> str:
    if texts.get(key, "null") == "null":
        raise MissingFieldError(f"there is no {key}", place=f"{prefix}{key}")
    return texts[key]


def _value(text: str, place: str) -> Any:
    """Parse a part that goes into a signed event, so it may hold no floats."""
    try:
        return canonical.decode(text.encode(), max_bytes=MAX_BYTES)
    except RecursionError:
        raise TooDeepError("nested too deep to be signed", place=place) from None
    except MalformedError as error:
        raise type(error)(error.message, place=place, cure=error.cure) from None


def _object(text: str, place: str) -> dict[str, Any]:
    value = _value(text, place)
    if not isinstance(value, dict):
        raise InvalidFieldError(f"a {type(value).__name__}, not an object", place=place)
    return value


def _check_type(document: Mapping[str, Any], key: str, expected: str) -> None:
    if required_text(document, key) != expected:
        raise InvalidFieldError(f"{key} {document[key][:60]!r} is not {expected}", place=key)


def _checked_record(document: Mapping[str, Any], texts: Mapping[str, str]) -> tuple[dict[str, Any], Identity]:
    record = _object(_part(texts, "canonical_record"), "canonical_record")
    identity = records.check_record(record, required_text(document, "pith_number"))
    records.check_digest(required_text(document, "canonical_sha256"), identity)
    if document.get("short_pith_number", identity.short) != identity.short:
        raise InvalidFieldError(f"the short number is {identity.short}", place="short_pith_number")
    if document.get("source", record["source"]) != record["source"]:
        raise InvalidFieldError("the source is another than the record's", place="source")
    return record, identity


def _checked_receipt(text: str, identity: Identity, place: str) -> dict[str, Any]:
    receipt = _object(text, place)
    stated = receipt.get("canonical_sha256")
    if not isinstance(stated, str):
        raise MissingFieldError("the receipt names no hash", place=f"{place}.canonical_sha256")
    records.check_digest(stated, identity, f"{place}.canonical_sha256")
    return receipt


def _checked_paper(text: str, record: Mapping[str, Any], place: str) -> dict[str, Any]:
    paper = _object(text, place)
    title, abstract, excerpt = (paper.get(name) for name in ("title", "abstract", "abstract_excerpt"))
    if not isinstance(title, str) or not title.strip():
        raise MissingFieldError("there is no title", place=f"{place}.title")
    for name, value in (("abstract", abstract), ("abstract_excerpt", excerpt)):
        if not isinstance(value, str | None):
            raise InvalidFieldError(f"{name} is not a string", place=f"{place}.{name}")
    if abstract is None and excerpt is not None and len(excerpt) < EXCERPT_LENGTH:
        abstract = excerpt
    records.check_texts(record, title, abstract)
    return paper


def _checked_aliases(text: str, record: Mapping[str, Any], identity: Identity, place: str) -> list[dict[str, str]]:
    rows = _value(text, place)
    if not isinstance(rows, list):
        raise InvalidFieldError("the aliases are no list", place=place)
    source = record["source"]
    own = {f"pith_short_{length}": identity.suffix[:length] for length in SHORT_LENGTHS}
    own[source["kind"]] = source["id"]
    found: set[Alias] = set()
    for index, row in enumerate(rows):
        here = f"{place}[{index}]"
        kind, value = (row.get("alias_kind"), row.get("alias_value")) if isinstance(row, dict) else (None, None)
        if not isinstance(kind, str) or not isinstance(value, str):
            raise MissingFieldError("an alias has alias_kind and alias_value", place=here)
        try:
            check_alias(kind, value)
        except InvalidFieldError as error:
            raise InvalidFieldError(error.message, place=here, cure=error.cure) from None
        if own.get(kind, value) != value:
            raise InvalidFieldError(f"{value[:80]!r} is the {kind} alias of another record", place=here)
        found.add(Alias(kind, value))
    return alias_rows(found)


def _bundle_events(text: str) -> list[dict[str, str]]:
    if not text.startswith("["):
        raise InvalidFieldError("the events are no list", place="events")
    events = [bytes(event).decode() for event in msgspec.json.decode(text, type=list[msgspec.Raw])]
    for index, event in enumerate(events):
        if not event.startswith("{"):
            raise InvalidFieldError("an event is an object", place=f"events[{index}]")
    found = [_texts(event) for event in events]
    if not found or found[0].get("event_type") != '"record_created"':
        raise MissingFieldError("the first event is no record_created", place="events[0].event_type")
    return found


def _payload(events: list[dict[str, str]], index: int) -> dict[str, str]:
    text = _part(events[index], "payload", f"events[{index}].")
    if not text.startswith("{"):
        raise InvalidFieldError("a payload is an object", place=f"events[{index}].payload")
    return _texts(text)


def _bundle_paper(events: list[dict[str, str]]) -> tuple[str, str]:
    for index in reversed(range(len(events))):
        if events[index].get("event_type") != '"graph_snapshot"':
            continue
        snapshot = _payload(events, index).get("graph_snapshot", "")
        if snapshot.startswith("{") and (text := _texts(snapshot).get("paper", "")).startswith("{"):
            return text, f"events[{index}].payload.graph_snapshot.paper"
    raise MissingFieldError(
        "no event of the bundle holds the paper's title",
        place="events",
        cure="import the record document (SUFFIX.json) instead of the bundle",
    )
