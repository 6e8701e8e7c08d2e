"""From a judged paper to rows: one pure projector for each projection.

A projector says which tables it owns and which rows one paper has in them. That a paper's old rows go
when it is judged anew, cursors, generations and transactions are the runner's affair.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

import msgspec
from sqlalchemy import Table

from ledger.events import MODERATED
from ledger.subjects import source_aliases
from ledger.tables import table_of
from projections.document import document
from projections.judged import Judged
from projections.tables import AliasRow, CitationRow, ModerationRow, RecordRow, RecordSignerRow, SearchRow
from projections.verbatim import signer_text

RECORDS: Final = table_of(RecordRow)
RECORD_SIGNERS: Final = table_of(RecordSignerRow)
ALIASES: Final = table_of(AliasRow)
CITATIONS: Final = table_of(CitationRow)
MODERATION: Final = table_of(ModerationRow)
SEARCH_ROWS: Final = table_of(SearchRow)

Row = tuple[Any, ...]
"""The values of a row, in the order of its table's columns but for `id` and `generation`; see `columns_of`."""


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
        suffix, subject, record = judged.suffix, judged.subject, judged.record
        source = record.event.payload.canonical_record["source"]
        view = msgspec.json.encode(document(judged))
        yield RECORDS, (suffix, subject, record.position, source["kind"], source["id"], source["version"], view)
        keys = {judgement.entry.event.signer.key_id for judgement in judged.judgements}
        for key in sorted(keys - {record.event.signer.key_id}):
            yield RECORD_SIGNERS, (suffix, subject, key)


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
                yield ALIASES, (judged.suffix, kind, value)


class Citations:
    """Signed citations of a paper, found from either end."""

    name = "citations"
    tables = (CITATIONS,)

    def rows(self, judged: Judged) -> Iterator[tuple[Table, Row]]:
        for judgement in judged.judgements:
            entry, event, status = judgement.entry, judgement.entry.event, judgement.verdict.status
            if event.event_type == "citation_signature" and status != "refused":
                payload = event.payload
                claim = payload.claim_id if isinstance(payload.claim_id, str) else ""
                said = payload.citing, payload.relationship, claim
                yield CITATIONS, (judged.suffix, *said, event.id_text, entry.position, status)


class Moderation:
    """What moderators may decide on: where it stands and what became of it, so that what waits is found at once."""

    name = "moderation"
    tables = (MODERATION,)

    def rows(self, judged: Judged) -> Iterator[tuple[Table, Row]]:
        paper = judged.suffix, judged.subject
        for judgement in judged.judgements:
            entry, event, status = judgement.entry, judgement.entry.event, judgement.verdict.status
            if event.event_type in MODERATED and status != "refused":
                signer = signer_text(event).decode()
                where = entry.position, entry.received_at
                yield MODERATION, (*paper, *where, event.id_text, event.event_type, event.target, status, signer)


class Search:
    """Words of title, authors and abstract; the runner puts these three into the full-text index."""

    name = "search"
    tables = (SEARCH_ROWS,)

    def rows(self, judged: Judged) -> Iterator[tuple[Table, Row]]:
        paper = judged.paper()
        abstract = paper.get("abstract", paper.get("abstract_excerpt", ""))
        texts = paper.get("title", ""), paper.get("authors_text", ""), abstract
        yield SEARCH_ROWS, (judged.suffix, *map(str, texts))


PROJECTORS: Final[Mapping[str, Projector]] = {
    projector.name: projector for projector in (Records(), Aliases(), Citations(), Moderation(), Search())
}


def columns_of(table: Table) -> tuple[str, ...]:
    """Return what the values of a table's rows are called; for the full-text index, its texts come last."""
    names = tuple(column.name for column in table.c if column.name not in ("id", "generation"))
    return (*names, "title", "authors", "abstract") if table is SEARCH_ROWS else names
