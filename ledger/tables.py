"""The log's tables, and the law that its database keeps by itself: events are never changed or removed.

Ids and subjects are looked up by the first 64 bits of their SHA-256, as integers: a third of the index of
the whole hash, which is what slows inserts once a log outgrows the page cache. Readers compare the rest.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import ClassVar, Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, UniqueConstraint
from sqlmodel import Field, SQLModel

Key64 = BigInteger().with_variant(Integer, "sqlite")


class LogTable(SQLModel):
    metadata: ClassVar[MetaData] = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s"})


class EventRow(LogTable, table=True):
    """One entry of the log; `event` are the exact signed bytes, `received_at` microseconds since 1970."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_subject", "subject_key", "position"),)

    position: int = Field(sa_column=Column(Key64, primary_key=True, autoincrement=False))
    received_at: int = Field(sa_column=Column(Key64, nullable=False))
    event_key: int = Field(sa_column=Column(Key64, nullable=False, index=True))
    subject_key: int = Field(sa_column=Column(Key64, nullable=False))
    event_type: str = Field(max_length=24)
    event_id: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
    event: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class HeadRow(LogTable, table=True):
    """The one row that gives out positions: `size` is the next one."""

    __tablename__ = "log_head"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    registry_name: str = Field(max_length=63)
    size: int = Field(sa_column=Column(Key64, nullable=False))
    received_at: int = Field(sa_column=Column(Key64, nullable=False))


class DisclosureRow(LogTable, table=True):
    """Private text behind a commitment; the only rows of a log that may be deleted."""

    __tablename__ = "disclosures"
    __table_args__ = (UniqueConstraint("position", "path"),)

    id: int | None = Field(default=None, primary_key=True)
    position: int = Field(sa_column=Column(Key64, nullable=False))
    path: str = Field(max_length=40)
    salt: str = Field(max_length=43)
    text: str


def table_of(row: type[SQLModel]) -> Table:
    """Return the Core table behind a table model: what the hot paths write and read."""
    table: Table = row.__table__  # type: ignore[attr-defined]
    return table


def key_of_id(event_id: bytes) -> int:
    """Return the signed 64-bit look-up key of a raw 32-byte event id."""
    return int.from_bytes(event_id[:8], "big", signed=True)


@lru_cache(maxsize=8_192)
def key_of_subject(subject: str) -> int:
    """Return the signed 64-bit look-up key of a subject."""
    return int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], "big", signed=True)


GUARDS: Final = (
    # The insert guard stands beside the primary key because INSERT OR REPLACE deletes without a trigger
    # on connections that did not set recursive_triggers.
    """
    CREATE TRIGGER IF NOT EXISTS events_insert BEFORE INSERT ON events
    WHEN EXISTS (SELECT 1 FROM events WHERE position = NEW.position)
      OR EXISTS (SELECT 1 FROM events WHERE event_key = NEW.event_key AND event_id = NEW.event_id)
    BEGIN SELECT RAISE(ABORT, 'events are append-only: this position or id is taken'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS events_update BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only: UPDATE is refused'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS events_delete BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only: DELETE is refused'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS log_head_update BEFORE UPDATE ON log_head
    WHEN NEW.size < OLD.size OR NEW.received_at < OLD.received_at
      OR NEW.registry_name <> OLD.registry_name OR NEW.id <> OLD.id
    BEGIN SELECT RAISE(ABORT, 'the head of the log only grows'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS log_head_insert BEFORE INSERT ON log_head
    WHEN EXISTS (SELECT 1 FROM log_head)
    BEGIN SELECT RAISE(ABORT, 'a log has one head'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS log_head_delete BEFORE DELETE ON log_head
    BEGIN SELECT RAISE(ABORT, 'the head of the log stays'); END
    """,
)
"""SQLite's triggers on the log; PostgreSQL keeps the same law by grants and triggers of its own."""
