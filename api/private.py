"""The registry's private tables: what it knows about people and must be able to forget.

They stand in a database of their own, beside the log and never in an export: nothing that is proven depends on them.
Each module that needs one declares its table on `PrivateTable`; all are made when the database is opened.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import ClassVar, Final

from sqlalchemy import Column, LargeBinary, MetaData, insert, select
from sqlmodel import Field, SQLModel

from ledger.database import Database, create_tables
from ledger.tables import table_of


class PrivateTable(SQLModel):
    metadata: ClassVar[MetaData] = MetaData()


class SecretRow(PrivateTable, table=True):
    """The secret from which salts and pseudonyms are derived; without it nobody can link a pseudonym to a person."""

    __tablename__ = "secrets"

    id: int = Field(primary_key=True)
    secret: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))


SECRETS: Final = table_of(SecretRow)


def create_private_tables(database: Database, random: Callable[[int], bytes]) -> None:
    """Create the tables that are missing of those declared by now, and the secret where there is none."""
    create_tables(database, PrivateTable.metadata)
    keep_secret(database, random)


def keep_secret(database: Database, random: Callable[[int], bytes]) -> None:
    """Make the secret where there is none, once for all processes that share the tables."""
    with database.read() as connection:
        if connection.execute(select(SECRETS.c.id)).first() is not None:
            return
    with database.write() as connection:
        if connection.execute(select(SECRETS.c.id)).first() is None:
            connection.execute(insert(SECRETS).values(id=1, secret=random(32)))


def derive(database: Database, purpose: str, text: str) -> bytes:
    """Return 32 bytes that only this registry can tell for a text: HMAC-SHA-256 under its secret.

    Args:
        purpose: keeps apart what is derived for different ends.
    """
    with database.read() as connection:
        secret: bytes = connection.execute(select(SECRETS.c.secret)).scalar_one()
    return hmac.digest(secret, f"{purpose}\n{text}".encode(), hashlib.sha256)
