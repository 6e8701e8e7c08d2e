"""From a judged paper to rows: one pure projector for each projection.

A projector says which tables it owns and which rows one paper has in them. That a paper's old rows go
when it is judged anew, cursors, generations and transactions are the runner's affair.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

import msgspec
from sqlalchemy import Table

from ledger import canonical
from ledger.events import MODERATED
from ledger.subjects import source_aliases
from ledger.tables import table_of
from projections.document import document
from projections.judged import Judged
from projections.tables import AliasRow, CitationRow, ModerationRow, RecordRow, RecordSignerRow, SearchRow

RECORDS: Final = table_of(RecordRow)
RECORD_SIGNERS: Final = table_of(RecordSignerRow)
ALIASES: Final = table_of(AliasRow)
CITATIONS: Final = table_of(CitationRow)
MODERATION: Final = table_of(ModerationRow)
SEARCH_ROWS: Final = table_of(SearchRow)

Row = dict[str, Any]


class Projector(Protocol):
    """One projection: its name, the tables it owns, and a paper's rows in them."""

    @property
    def name(self) -> str: ...

    @property
    def tables(self) -> tuple[Table, ...]: ...

    def rows(self, judged: Judged) -> Iterator[tuple[Table, Row]]:
        """Yield (table, row) for everything one paper has in this projection."""


class Records:
    """The record view, and whose keys it depends on."""

    name = "records"
    tables = (RECORDS, RECORD_SIGNERS)

    def rows(self, judged: Judged) -> Iterator[tuple[Table, Row]]:
        source = judged.record.event.payload.canonical_record["source"]
        yield (
            RECORDS,
            {
                "suffix": judged.suffix,
                "subject": judged.subject,
                "position": judged.record.position,
                "source_kind": source["kind"],
                "source_id": source["id"],
                "version": source["version"],
                "document": msgspec.json.encode(document(judged)),
            },
        )
        own = judged.record.event.signer.key_id
        for key in sorted({j.entry.event.signer.key_id for j in judged.judgements} - {own}):
            yield RECORD_SIGNERS, {"suffix": judged.suffix, "subject": judged.subject, "key_id": key}


class Aliases:
    """Every name of a paper but its short forms."""

    name = "aliases"
    tables = (ALIASES,)

    def rows(self, judged: Judged) -> Iterator[tuple[Table, Row]]:
        source = judged.record.event.payload.canonical_record["source"]
        derived = source_aliases(source["kind"], source["id"], source["version"], judged.suffix)
        pairs = {(alias.kind, alias.value) for alias in derived}
        for entry in judged.counted("record_created"):
            pairs |= {(alias.alias_kind, alias.alias_value) for alias in entry.event.payload.aliases}
        pairs |= {
            (entry.event.payload.alias_kind, entry.event.payload.alias_value) for entry in judged.counted("alias_added")
        }
        for kind, value in sorted(pairs):
            if not kind.startswith("pith_short_"):
                yield ALIASES, {"suffix": judged.suffix, "alias_kind": kind, "alias_value": value}


class Citations:
    """Signed citations of a paper, found from either end."""

    name = "citations"
    tables = (CITATIONS,)

    def rows(self, judged: Judged) -> Iterator[tuple[Table, Row]]:
        for judgement in judged.judgements:
            event, payload = judgement.entry.event, judgement.entry.event.payload
            if event.event_type == "citation_signature" and judgement.verdict.status != "refused":
                row = {
                    "suffix": judged.suffix,
                    "citing": payload.citing,
                    "relationship": payload.relationship,
                    "claim_id": payload.claim_id if isinstance(payload.claim_id, str) else "",
                    "event_id": event.id_text,
                    "position": judgement.entry.position,
                    "status": judgement.verdict.status,
                }
                yield CITATIONS, row


class Moderation:
    """What moderators may decide on: where it stands and what became of it, so that what waits is found at once."""

    name = "moderation"
    tables = (MODERATION,)

    def rows(self, judged: Judged) -> Iterator[tuple[Table, Row]]:
        for judgement in judged.judgements:
            entry, event = judgement.entry, judgement.entry.event
            if event.event_type in MODERATED and judgement.verdict.status != "refused":
                row = {
                    "suffix": judged.suffix,
                    "subject": judged.subject,
                    "position": entry.position,
                    "received_at": entry.received_at,
                    "event_id": event.id_text,
                    "event_type": event.event_type,
                    "target": event.target,
                    "status": judgement.verdict.status,
                    "signer": canonical.encode_decoded(event.value["signer"]).decode(),
                }
                yield MODERATION, row


class Search:
    """Words of title, authors and abstract; the runner puts these three into the full-text index."""

    name = "search"
    tables = (SEARCH_ROWS,)

    def rows(self, judged: Judged) -> Iterator[tuple[Table, Row]]:
        paper = judged.paper()
        row = {
            "suffix": judged.suffix,
            "title": str(paper.get("title", "")),
            "authors": str(paper.get("authors_text", "")),
            "abstract": str(paper.get("abstract", paper.get("abstract_excerpt", ""))),
        }
        yield SEARCH_ROWS, row


PROJECTORS: Final[Mapping[str, Projector]] = {
    projector.name: projector for projector in (Records(), Aliases(), Citations(), Moderation(), Search())
}
