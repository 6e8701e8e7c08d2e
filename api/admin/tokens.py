"""Operators' tokens: 32 random bytes, shown once when they are made and kept as their SHA-256.

    Authorization: Bearer pith_…

A token has a name, so that the server's log says who did what, and is revoked by it. A revoked name is not given
again. Tokens let operators attach evidence and bring in people's keys; none can touch the registry's own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from litestar import Request
from sqlalchemy import Column, LargeBinary, insert, select, update
from sqlmodel import Field

from api.parts import Parts
from api.private import PrivateTable
from api.problems import UnauthorizedError
from ledger.database import Database
from ledger.errors import NotFoundError, UsageError
from ledger.tables import Key64, table_of

PREFIX: Final = "pith_"
"""Marks a token for people and for programs that look for secrets in the wrong places."""

SCHEME: Final = "Bearer"
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?", re.ASCII)
_TOKEN: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}", re.ASCII)


class TokenRow(PrivateTable, table=True):
    """A token by the hash of its text; times in microseconds, UTC."""

    __tablename__ = "operator_tokens"

    name: str = Field(max_length=63, primary_key=True)
    token_sha256: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False, unique=True))
    created_at: int = Field(sa_column=Column(Key64, nullable=False))
    revoked_at: int | None = Field(default=None, sa_column=Column(Key64))


TOKENS: Final = table_of(TokenRow)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is listed; times in microseconds, UTC."""

    name: str
    created_at: int
    revoked_at: int | None


def create_token(private: Database, name: str, now: int, random: Callable[[int], bytes]) -> str:
    """Make a token and return its text, which is kept nowhere.

    Raises:
        UsageError: no name for a token, or one that was given before.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name[:80]!r} is no name for a token", cure="use up to 63 of a-z, 0-9, hyphen and full stop")
    token = PREFIX + base64.urlsafe_b64encode(random(32)).decode().rstrip("=")
    with private.write() as connection:
        if connection.execute(select(TOKENS.c.name).where(TOKENS.c.name == name)).first():
            raise UsageError(f"there is or was a token {name!r}", cure="choose another name")
        connection.execute(insert(TOKENS).values(name=name, token_sha256=_digest(token), created_at=now))
    return token


def tokens(private: Database) -> list[Token]:
    """Return all tokens that were ever made, by name."""
    with private.read() as connection:
        rows = connection.execute(select(TOKENS).order_by(TOKENS.c.name)).all()
    return [Token(row.name, row.created_at, row.revoked_at) for row in rows]


def revoke_token(private: Database, name: str, now: int) -> None:
    """End a token, at once and for good; one that has ended already stays as it is.

    Raises:
        NotFoundError: there is none of that name.
    """
    own = TOKENS.c.name == name
    with private.write() as connection:
        if connection.execute(select(TOKENS.c.name).where(own)).first() is None:
            raise NotFoundError(f"there is no token {name[:80]!r}", cure="see `pith token list`")
        connection.execute(update(TOKENS).where(own, TOKENS.c.revoked_at.is_(None)).values(revoked_at=now))


def operator_of(request: Request[Any, Any, Any], parts: Parts) -> str:
    """Return the name of the token that a request carries. For worker threads.

    Raises:
        UnauthorizedError: none, or one that is not known or was revoked; these are answered alike.
    """
    headers = request.headers.getall("authorization", [])
    scheme, _, given = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() == SCHEME.lower() and _TOKEN.fullmatch(given.strip()):
        digest = _digest(given.strip())
        with parts.private.read() as connection:
            row = connection.execute(select(TOKENS).where(TOKENS.c.token_sha256 == digest)).first()
        # The look-up went by the hash, which nobody can steer; the comparison is made whole all the same.
        if row is not None and hmac.compare_digest(row.token_sha256, digest) and row.revoked_at is None:
            name: str = row.name
            return name
    error = UnauthorizedError(
        "this is for the registry's operators", place="authorization", cure="send a token made by `pith token new`"
    )
    error.headers = {"www-authenticate": f'{SCHEME} realm="operators"'}
    raise error


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
