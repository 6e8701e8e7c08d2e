"""A witness's tables, and the law that its database keeps by itself: what was cosigned is never forgotten.

For each origin the sizes and times of what was cosigned only grow, and a size has one root. The notes are
kept whole: with two of them, signed by one log, anybody can see that it showed two histories.
"""

from __future__ import annotations

from typing import ClassVar, Final

from sqlalchemy import Column, Integer, LargeBinary, MetaData, String
from sqlmodel import Field, SQLModel

from ledger.tables import Key64, table_of


class WitnessTable(SQLModel):
    metadata: ClassVar[MetaData] = MetaData()


class IdentityRow(WitnessTable, table=True):
    """The one row that says which witness's memory this is."""

    __tablename__ = "witness"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    name: str = Field(sa_column=Column(String, nullable=False))


class CosignedRow(WitnessTable, table=True):
    """A checkpoint that was cosigned: the note with its log's signatures, and the time last vouched for.

    `time` are seconds since 1970, as in the cosignature.
    """

    __tablename__ = "cosigned_checkpoints"

    origin: str = Field(sa_column=Column(String, primary_key=True))
    size: int = Field(sa_column=Column(Key64, primary_key=True, autoincrement=False))
    root: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
    note: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    time: int = Field(sa_column=Column(Key64, nullable=False))


class ContradictionRow(WitnessTable, table=True):
    """The first note, signed by the log, that gives a cosigned size another root; `time` is when it came."""

    __tablename__ = "contradictions"

    origin: str = Field(sa_column=Column(String, primary_key=True))
    size: int = Field(sa_column=Column(Key64, primary_key=True, autoincrement=False))
    root: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
    note: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    time: int = Field(sa_column=Column(Key64, nullable=False))


IDENTITY: Final = table_of(IdentityRow)
COSIGNED: Final = table_of(CosignedRow)
CONTRADICTIONS: Final = table_of(ContradictionRow)

WITNESS_GUARDS: Final = (
    """
    CREATE TRIGGER IF NOT EXISTS cosigned_insert BEFORE INSERT ON cosigned_checkpoints
    WHEN EXISTS (SELECT 1 FROM cosigned_checkpoints WHERE origin = NEW.origin AND size >= NEW.size)
      OR NEW.time < (SELECT time FROM cosigned_checkpoints WHERE origin = NEW.origin ORDER BY size DESC LIMIT 1)
    BEGIN SELECT RAISE(ABORT, 'the sizes and times cosigned for an origin only grow'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS cosigned_update BEFORE UPDATE ON cosigned_checkpoints
    WHEN NEW.origin IS NOT OLD.origin OR NEW.size IS NOT OLD.size OR NEW.root IS NOT OLD.root
      OR NEW.note IS NOT OLD.note OR NEW.time IS NULL OR NEW.time < OLD.time
      OR EXISTS (SELECT 1 FROM cosigned_checkpoints WHERE origin = OLD.origin AND size > OLD.size)
    BEGIN SELECT RAISE(ABORT, 'a cosigned checkpoint stays; only the time of the latest grows'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS cosigned_delete BEFORE DELETE ON cosigned_checkpoints
    BEGIN SELECT RAISE(ABORT, 'a cosigned checkpoint stays: DELETE is refused'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS contradictions_insert BEFORE INSERT ON contradictions
    WHEN EXISTS (SELECT 1 FROM contradictions WHERE origin = NEW.origin AND size = NEW.size)
      OR NOT EXISTS (
        SELECT 1 FROM cosigned_checkpoints WHERE origin = NEW.origin AND size = NEW.size AND root <> NEW.root
      )
    BEGIN SELECT RAISE(ABORT, 'evidence is the first note that contradicts a cosigned one'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS contradictions_update BEFORE UPDATE ON contradictions
    BEGIN SELECT RAISE(ABORT, 'evidence stays: UPDATE is refused'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS contradictions_delete BEFORE DELETE ON contradictions
    BEGIN SELECT RAISE(ABORT, 'evidence stays: DELETE is refused'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS witness_insert BEFORE INSERT ON witness
    WHEN EXISTS (SELECT 1 FROM witness)
    BEGIN SELECT RAISE(ABORT, 'a database is the memory of one witness'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS witness_update BEFORE UPDATE ON witness
    BEGIN SELECT RAISE(ABORT, 'a witness keeps its name'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS witness_delete BEFORE DELETE ON witness
    BEGIN SELECT RAISE(ABORT, 'a witness keeps its name'); END
    """,
)
