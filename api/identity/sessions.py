"""Sessions: what a login leaves behind for people who hold no key.

The token is 32 random bytes in a cookie and stands here as its SHA-256. What was logged in is kept as a pseudonym
only: the same person has the same one after each login, and nobody without the registry's secret can tell whose.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, insert, select

from api.identity.tables import SESSIONS
from api.parts import Parts
from api.private import derive

SESSION_SECONDS: Final = 12 * 3600


@dataclass(frozen=True, slots=True)
class Session:
    """A session that has not ended; `expires_at` in microseconds, UTC."""

    subject: str
    expires_at: int


def open_session(parts: Parts, identifier: str) -> str:
    """Begin a session for an identifier that was just logged in; returns the token."""
    token, now = new_token(parts), parts.clock()
    subject = derive(parts.private, "session", identifier).hex()
    with parts.private.write() as connection:
        connection.execute(delete(SESSIONS).where(SESSIONS.c.expires_at <= now))
        expires_at = now + SESSION_SECONDS * 1_000_000
        row = {"token_sha256": digest_of_secret(token), "subject": subject, "expires_at": expires_at}
        connection.execute(insert(SESSIONS).values(row))
    return token


def find_session(parts: Parts, token: str) -> Session | None:
    """Return the session of a token; None where it has ended or never was."""
    with parts.private.read() as connection:
        row = connection.execute(select(SESSIONS).where(SESSIONS.c.token_sha256 == digest_of_secret(token))).first()
    if row is None or row.expires_at <= parts.clock():
        return None
    return Session(row.subject, row.expires_at)


def close_session(parts: Parts, token: str) -> None:
    with parts.private.write() as connection:
        connection.execute(delete(SESSIONS).where(SESSIONS.c.token_sha256 == digest_of_secret(token)))


def new_token(parts: Parts) -> str:
    """Return 32 random bytes in base64url without padding (43 characters)."""
    return base64.urlsafe_b64encode(parts.random(32)).decode().rstrip("=")


def digest_of_secret(text: str) -> bytes:
    """Return what is kept of a secret: its SHA-256. Look-ups go by it, so their timing tells nothing of the secret."""
    return hashlib.sha256(text.encode(errors="replace")).digest()
