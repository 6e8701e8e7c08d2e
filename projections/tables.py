"""The projections' tables. All of it can be thrown away and built again from the log.

Rows belong to a generation: one build of one projection. Readers use the generation that the projection's
cursor row names as active, so a rebuild grows beside it and is switched to in one row.
"""

from __future__ import annotations

from typing import ClassVar, Final

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData
from sqlmodel import Field, SQLModel

from ledger.tables import Key64


class ProjectionTable(SQLModel):
    metadata: ClassVar[MetaData] = MetaData()


class CursorRow(ProjectionTable, table=True):
    """One generation of one projection: `cursor` is the position it has read up to (exclusive)."""

    __tablename__ = "cursors"

    projection: str = Field(max_length=20, primary_key=True)
    generation: int = Field(primary_key=True)
    cursor: int = Field(sa_column=Column(Key64, nullable=False))
    active: bool
    error: str = ""


class LogRow(ProjectionTable, table=True):
    """The log these projections are of: the raw event id of its root."""

    __tablename__ = "projected_log"

    id: int = Field(sa_column=Column(Integer, primary_key=True))
    root: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))


class RecordRow(ProjectionTable, table=True):
    """The current view of a paper; `document` is JSON in the public key order, its served keys null."""

    __tablename__ = "records"
    __table_args__ = (Index("ix_records_suffix", "suffix", "generation", unique=True),)

    id: int | None = Field(default=None, primary_key=True)
    generation: int
    suffix: str = Field(max_length=26)
    subject: str = Field(max_length=36)
    position: int = Field(sa_column=Column(Key64, nullable=False))
    source_kind: str = Field(max_length=20)
    source_id: str
    version: int
    document: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class RecordSignerRow(ProjectionTable, table=True):
    """Which keys signed something about which paper, so that a revocation finds what it touches."""

    __tablename__ = "record_signers"
    __table_args__ = (Index("ix_record_signers_key", "key_id"), Index("ix_record_signers_suffix", "suffix"))

    id: int | None = Field(default=None, primary_key=True)
    generation: int
    suffix: str = Field(max_length=26)
    subject: str = Field(max_length=36)
    key_id: str = Field(max_length=64)


class AliasRow(ProjectionTable, table=True):
    """Another name of a paper; short forms are not kept here, they are prefixes of the suffix."""

    __tablename__ = "aliases"
    __table_args__ = (Index("ix_aliases_value", "alias_value", "alias_kind"), Index("ix_aliases_suffix", "suffix"))

    id: int | None = Field(default=None, primary_key=True)
    generation: int
    suffix: str = Field(max_length=26)
    alias_kind: str = Field(max_length=20)
    alias_value: str


class CitationRow(ProjectionTable, table=True):
    """One signed citation: `suffix` is the cited paper, `citing` a Pith Number or `kind:value`."""

    __tablename__ = "citations"
    __table_args__ = (Index("ix_citations_citing", "citing"), Index("ix_citations_suffix", "suffix"))

    id: int | None = Field(default=None, primary_key=True)
    generation: int
    suffix: str = Field(max_length=26)
    citing: str
    relationship: str = Field(max_length=20)
    claim_id: str
    event_id: str = Field(max_length=71)
    position: int = Field(sa_column=Column(Key64, nullable=False))
    status: str = Field(max_length=20)


class ModerationRow(ProjectionTable, table=True):
    """One statement that moderators may decide on, and what became of it; `signer` is the JSON of its signer block."""

    __tablename__ = "moderation"
    __table_args__ = (
        Index("ix_moderation_status", "status", "position"),
        Index("ix_moderation_event", "event_id"),
        Index("ix_moderation_suffix", "suffix"),
    )

    id: int | None = Field(default=None, primary_key=True)
    generation: int
    suffix: str = Field(max_length=26)
    subject: str = Field(max_length=36)
    position: int = Field(sa_column=Column(Key64, nullable=False))
    received_at: int = Field(sa_column=Column(Key64, nullable=False))
    event_id: str = Field(max_length=71)
    event_type: str = Field(max_length=24)
    target: str = Field(max_length=80)
    status: str = Field(max_length=20)
    signer: str


class SearchRow(ProjectionTable, table=True):
    """Which row of the full-text index belongs to which paper of which generation."""

    __tablename__ = "search_rows"
    __table_args__ = (Index("ix_search_rows_suffix", "suffix"),)

    id: int = Field(sa_column=Column(Integer, primary_key=True))
    generation: int
    suffix: str = Field(max_length=26)


SEARCH_INDEX: Final = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS search_text"
    " USING fts5(title, authors, abstract, tokenize = 'unicode61 remove_diacritics 2')",
)
"""SQLite's full-text index; its rowid is `search_rows.id`."""
