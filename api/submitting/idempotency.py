"""Idempotency-Key (IETF draft-ietf-httpapi-idempotency-key-header): a form that is sent again makes the same event.

The event that the registry signs for a form is kept under the key before it is appended. Whoever repeats the
request, after a lost answer or a crash in between, has the very same bytes appended, and the log knows them. Keys
are remembered for 24 hours. Private texts are not kept, for they come again with the form, and digests stand under
the registry's secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec
from sqlalchemy import Column, Connection, LargeBinary, Row, delete, insert, select, update
from sqlmodel import Field

from api.private import PrivateTable, derive
from api.problems import RefusedError
from ledger.commitments import Disclosure
from ledger.database import Database
from ledger.errors import InvalidFieldError
from ledger.events import Event, parse_stored
from ledger.tables import Key64, table_of

HEADER: Final = "Idempotency-Key"
REMEMBERED: Final = 24 * 3600 * 1_000_000
"""How long a key stands for its event, in microseconds."""

_STRING: Final = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"')
_TOKEN: Final = re.compile(r"[!#-~][!-~]{0,254}")


class KeyReusedError(RefusedError):
    """The key stands for a request with another body."""

    code = "idempotency-key-reused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    default_cure = "repeat a request just as it was, and make a new key for another one"


class KeptRow(PrivateTable, table=True):
    """What a key stands for: the signed event, and the salts of its private texts as JSON ({path: salt}).

    `event` is empty where the request makes none (`reserve`).
    """

    __tablename__ = "idempotency_keys"

    scope: bytes = Field(sa_column=Column(LargeBinary(32), primary_key=True))
    body: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
    event: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    salts: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    made_at: int = Field(sa_column=Column(Key64, nullable=False, index=True))


KEPT: Final = table_of(KeptRow)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request under a key: `scope` says by whom and where, `body` what; 32 bytes each."""

    scope: bytes
    body: bytes

    @classmethod
    def of(cls, private: Database, key: str, asker: str, path: str, body: bytes) -> Attempt:
        """Return the attempt that a request is; `asker` tells people apart, so that none has another's key."""
        scope = msgspec.json.encode([key, asker, path]).decode()
        return cls(derive(private, "idempotency key", scope), derive(private, "idempotent body", body.hex()))


@dataclass(frozen=True, slots=True)
class Kept:
    """An event that a key stands for; no salts are left once the log has taken it."""

    event: Event
    salts: Mapping[str, str]

    def disclosures(self, texts: Mapping[str, str]) -> dict[str, Disclosure]:
        """Return the disclosures of the repeated request's texts."""
        return {path: Disclosure(salt, texts[path]) for path, salt in self.salts.items()}


def read_key(headers: Sequence[str]) -> str | None:
    """Read the key of a request: a string of RFC 8941 or a bare word, of 1 to 255 characters; None if there is none.

    Raises:
        InvalidFieldError: another form, or more than one.
    """
    if not headers:
        return None
    text = headers[0].strip(" \t")
    if len(headers) == 1 and (found := _STRING.fullmatch(text)):
        return re.sub(r"\\(.)", r"\1", found[1])
    if len(headers) == 1 and _TOKEN.fullmatch(text):
        return text
    raise InvalidFieldError(
        "not one key of 1 to 255 visible characters", place=HEADER, cure='send a fresh UUID, such as "8e03978e-40d5-…"'
    )


def known(private: Database, attempt: Attempt, now: int) -> Kept | None:
    """Return the event that a key stands for; raises KeyReusedError where that was of another body."""
    with private.read() as connection:
        return _find(connection, attempt, now)


def keep(private: Database, attempt: Attempt, event: Event, disclosures: Mapping[str, Disclosure], now: int) -> Kept:
    """Let a key stand for an event unless it stands for one already; return the one it stands for from now on.

    Args:
        now: microseconds since 1970; keys older than a day are forgotten.

    Raises:
        KeyReusedError: it stands for an event of another body.
    """
    salts = {path: disclosure.salt for path, disclosure in disclosures.items()}
    with private.write() as connection:
        connection.execute(delete(KEPT).where(KEPT.c.made_at <= now - REMEMBERED))
        if found := _find(connection, attempt, now):
            return found
        row = {"scope": attempt.scope, "body": attempt.body, "event": event.raw, "made_at": now}
        connection.execute(insert(KEPT).values(**row, salts=msgspec.json.encode(salts)))
    return Kept(event, salts)


def reserve(private: Database, attempt: Attempt, now: int) -> None:
    """Let a key stand for a request that is the same by itself when it is repeated, and so needs nothing kept.

    Args:
        now: microseconds since 1970.

    Raises:
        KeyReusedError: it stands for another body.
    """
    with private.write() as connection:
        connection.execute(delete(KEPT).where(KEPT.c.made_at <= now - REMEMBERED))
        if _row(connection, attempt, now) is None:
            row = {"scope": attempt.scope, "body": attempt.body, "event": b"", "salts": b"{}", "made_at": now}
            connection.execute(insert(KEPT).values(**row))


def settle(private: Database, attempt: Attempt) -> None:
    """Forget the salts of an event that the log has taken: a redaction must find them in one place only."""
    with private.write() as connection:
        connection.execute(update(KEPT).where(KEPT.c.scope == attempt.scope).values(salts=b"{}"))


def forget(private: Database, attempt: Attempt, event: Event) -> None:
    """Let a key go whose event the log refused, so that the mended form can be sent under it."""
    with private.write() as connection:
        connection.execute(delete(KEPT).where(KEPT.c.scope == attempt.scope, KEPT.c.event == event.raw))


def _find(connection: Connection, attempt: Attempt, now: int) -> Kept | None:
    row = _row(connection, attempt, now)
    return None if row is None else Kept(parse_stored(row.event), msgspec.json.decode(row.salts, type=dict[str, str]))


def _row(connection: Connection, attempt: Attempt, now: int) -> Row[Any] | None:
    row = connection.execute(select(KEPT).where(KEPT.c.scope == attempt.scope)).first()
    if row is None or row.made_at <= now - REMEMBERED:
        return None
    if row.body != attempt.body:
        raise KeyReusedError("this key was sent with another body", place=HEADER)
    return row
