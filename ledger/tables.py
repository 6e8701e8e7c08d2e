"""The log's tables, and the law that its database keeps by itself: events are never changed or removed.

Ids and subjects are looked up by the first 64 bits of their SHA-256, as integers: a third of the index of
the whole hash, which is what slows inserts once a log outgrows the page cache. Readers compare the rest.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any, ClassVar, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine
from sqlmodel import Field, SQLModel

TILE_BYTES: Final = 510 * 32
"""What is stored of a full tile: its 256 hashes and the nodes above them, but for the topmost."""

Key64 = BigInteger().with_variant(Integer, "sqlite")


class AnyText(TypeDecorator[str]):
    """Text with whatever characters it has: PostgreSQL's own has no U+0000, so there it is kept as UTF-8 bytes."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(LargeBinary() if dialect.name == "postgresql" else String())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | bytes | None:
        return value.encode() if value is not None and dialect.name == "postgresql" else value

    def process_result_value(self, value: str | bytes | None, dialect: Dialect) -> str | None:
        return value.decode() if isinstance(value, bytes) else value


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
    """The one row that gives out positions: `size` is the next one; `frontier` is the Merkle tree's right edge.

    `log_label` says which of the registry's logs this is; the first one's is empty.
    """

    __tablename__ = "log_head"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    registry_name: str = Field(max_length=63)
    log_label: str = Field(default="", max_length=31, sa_column_kwargs={"server_default": ""})
    size: int = Field(sa_column=Column(Key64, nullable=False))
    received_at: int = Field(sa_column=Column(Key64, nullable=False))
    frontier: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class TileRow(LogTable, table=True):
    """One tile of the Merkle tree: its hashes, and after each the nodes that it completes (`tree.complete`).

    A proof so finds every node it needs; a partial tile grows at its end until it is full.
    """

    __tablename__ = "tiles"

    level: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    number: int = Field(sa_column=Column(Key64, primary_key=True, autoincrement=False))
    nodes: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class CheckpointRow(LogTable, table=True):
    """A checkpoint that the log's key signed: the signed note's bytes; at most one for a size."""

    __tablename__ = "checkpoints"

    size: int = Field(sa_column=Column(Key64, primary_key=True, autoincrement=False))
    root: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
    note: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    signed_at: int = Field(sa_column=Column(Key64, nullable=False))


class CosignatureRow(LogTable, table=True):
    """A witness's signature line under a checkpoint; `verifier` is the witness's key (name+hash+base64)."""

    __tablename__ = "cosignatures"

    size: int = Field(sa_column=Column(Key64, primary_key=True, autoincrement=False))
    verifier: str = Field(sa_column=Column(String(400).with_variant(Text(), "postgresql"), primary_key=True))
    line: str = Field(sa_column=Column(String(800).with_variant(Text(), "postgresql"), nullable=False))


class PublicationRow(LogTable, table=True):
    """That a checkpoint has the cosignatures it needs and is served."""

    __tablename__ = "publications"

    size: int = Field(sa_column=Column(Key64, primary_key=True, autoincrement=False))


class DisclosureRow(LogTable, table=True):
    """Private text behind a commitment; the only rows of a log that may be deleted."""

    __tablename__ = "disclosures"
    __table_args__ = (UniqueConstraint("position", "path"),)

    id: int | None = Field(sa_column=Column(Key64, Identity(), primary_key=True))
    position: int = Field(sa_column=Column(Key64, nullable=False))
    path: str = Field(max_length=40)
    salt: str = Field(max_length=43)
    text: str = Field(sa_column=Column(AnyText, nullable=False))


def table_of(row: type[SQLModel]) -> Table:
    """Return the Core table behind a table model: what the hot paths write and read."""
    table: Table = row.__table__  # type: ignore[attr-defined]
    return table


EVENTS: Final = table_of(EventRow)
HEAD: Final = table_of(HeadRow)
DISCLOSURES: Final = table_of(DisclosureRow)
TILES: Final = table_of(TileRow)
CHECKPOINTS: Final = table_of(CheckpointRow)
COSIGNATURES: Final = table_of(CosignatureRow)
PUBLICATIONS: Final = table_of(PublicationRow)


def key_of_id(event_id: bytes) -> int:
    """Return the signed 64-bit look-up key of a raw 32-byte event id."""
    return int.from_bytes(event_id[:8], "big", signed=True)


@lru_cache(maxsize=8_192)
def key_of_subject(subject: str) -> int:
    """Return the signed 64-bit look-up key of a subject."""
    return int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], "big", signed=True)


_EVENTS_AND_HEAD: Final = (
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
      OR NEW.registry_name <> OLD.registry_name OR NEW.log_label <> OLD.log_label OR NEW.id <> OLD.id
      OR (NEW.size = OLD.size AND NEW.frontier <> OLD.frontier)
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

_TILES: Final = (
    """
    CREATE TRIGGER IF NOT EXISTS tiles_insert BEFORE INSERT ON tiles
    WHEN EXISTS (SELECT 1 FROM tiles WHERE level = NEW.level AND number = NEW.number)
    BEGIN SELECT RAISE(ABORT, 'a tile is never replaced'); END
    """,
    f"""
    CREATE TRIGGER IF NOT EXISTS tiles_update BEFORE UPDATE ON tiles
    WHEN NEW.level <> OLD.level OR NEW.number <> OLD.number
      OR length(OLD.nodes) >= {TILE_BYTES} OR length(NEW.nodes) <= length(OLD.nodes)
      OR substr(NEW.nodes, 1, length(OLD.nodes)) <> OLD.nodes
    BEGIN SELECT RAISE(ABORT, 'a tile only grows, and not once it is full'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS tiles_delete BEFORE DELETE ON tiles
    BEGIN SELECT RAISE(ABORT, 'tiles are never removed'); END
    """,
)


def _append_only(table: str, taken: str) -> tuple[str, ...]:
    """Return the triggers of a table whose rows are only ever added; `taken` says when a new one is refused."""
    exists = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {taken})"  # noqa: S608  (only this module's own words)
    refusals = [("UPDATE", ""), ("DELETE", ""), ("INSERT", exists)]
    return tuple(
        f"CREATE TRIGGER IF NOT EXISTS {table}_{verb.lower()} BEFORE {verb} ON {table} {when}"
        f" BEGIN SELECT RAISE(ABORT, '{table} are append-only: {verb} is refused'); END"
        for verb, when in refusals
    )


GUARDS: Final = (
    *_EVENTS_AND_HEAD,
    *_TILES,
    *_append_only("checkpoints", "size >= NEW.size"),
    *_append_only("cosignatures", "size = NEW.size AND verifier = NEW.verifier"),
    *_append_only("publications", "size >= NEW.size"),
)
"""SQLite's triggers on the log; PostgreSQL keeps the same law by those of `postgresql_guards`."""
