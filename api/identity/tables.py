"""Private tables of this package. What is secret stands as its SHA-256 only; all times are microseconds, UTC."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, LargeBinary
from sqlmodel import Field

from api.private import PrivateTable
from ledger.tables import Key64, table_of


class SessionRow(PrivateTable, table=True):
    """A login that lasts; `subject` is the pseudonym (hex) of the identifier that was logged in."""

    __tablename__ = "sessions"

    token_sha256: bytes = Field(sa_column=Column(LargeBinary(32), primary_key=True))
    subject: str = Field(max_length=64)
    expires_at: int = Field(sa_column=Column(Key64, nullable=False, index=True))


class NonceRow(PrivateTable, table=True):
    """A nonce that a key has used for a request; `nonce` is key id and nonce together."""

    __tablename__ = "request_nonces"

    nonce: str = Field(max_length=90, primary_key=True)
    expires_at: int = Field(sa_column=Column(Key64, nullable=False, index=True))


class FlowRow(PrivateTable, table=True):
    """A login under way.

    `key_id` is empty where it opens a session, which then leads to `return_to`. `browser_sha256` is set once a
    browser has opened it, `state_sha256` once its person agreed to go on to the provider.
    """

    __tablename__ = "login_flows"

    flow_sha256: bytes = Field(sa_column=Column(LargeBinary(32), primary_key=True))
    state_sha256: bytes | None = Field(default=None, sa_column=Column(LargeBinary(32), unique=True))
    browser_sha256: bytes | None = Field(default=None, sa_column=Column(LargeBinary(32)))
    key_id: str = Field(max_length=64)
    consent: bool
    return_to: str = Field(max_length=200)
    expires_at: int = Field(sa_column=Column(Key64, nullable=False, index=True))


class LetterRow(PrivateTable, table=True):
    """A letter that was sent, whose code is awaited; one for each key.

    `address` stands in clear until then: it will be part of the evidence. `code` is kept under the registry's secret.
    """

    __tablename__ = "letters"

    key_id: str = Field(max_length=64, primary_key=True)
    code: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
    address: str = Field(max_length=254)
    consent: bool
    tries_left: int
    sent_at: int = Field(sa_column=Column(Key64, nullable=False))
    expires_at: int = Field(sa_column=Column(Key64, nullable=False, index=True))


class SendingRow(PrivateTable, table=True):
    """That a letter was sent for a key or to an address (`whom`: `key:` or `address:` and 64 hex digits)."""

    __tablename__ = "sendings"

    id: int | None = Field(default=None, primary_key=True)
    whom: str = Field(max_length=80, index=True)
    at: int = Field(sa_column=Column(Key64, nullable=False, index=True))


class EvidenceRow(PrivateTable, table=True):
    """The text that an identity_evidence event commits to, and its salt (as in a disclosure)."""

    __tablename__ = "evidence_texts"

    event_id: str = Field(max_length=71, primary_key=True)
    salt: str = Field(max_length=43)
    text: str


SESSIONS: Final = table_of(SessionRow)
NONCES: Final = table_of(NonceRow)
FLOWS: Final = table_of(FlowRow)
LETTERS: Final = table_of(LetterRow)
SENDINGS: Final = table_of(SendingRow)
EVIDENCE: Final = table_of(EvidenceRow)
