"""On whose behalf the registry signs for somebody without a key: a pseudonym, the same for a person each time.

A person with a session has one that follows from what they logged in as. An anonymous one has it from a secret that
only they hold, sent as `Pith-Person`: who sends none gets a new secret with the answer, and who loses it is a new
person. The log shows the pseudonym; the registry keeps neither the secret nor who it belongs to.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from litestar import Request

from api.identity.cookies import SESSION, check_same_site, cookie, given_cookie
from api.identity.sessions import find_session
from api.parts import Parts
from api.private import derive
from api.problems import UnauthorizedError
from ledger.commitments import decode_salt

PERSON_HEADER: Final = "Pith-Person"
"""Carries the secret of an anonymous person: 32 bytes in base64url without padding (43 characters)."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whom the registry signs for; `subject` is 64 hex digits, as in `on_behalf_of`.

    `secret` is set where it was made just now: hand it back in the answer (`PERSON_HEADER`), it is kept nowhere.
    """

    kind: Literal["session", "anonymous"]
    subject: str
    secret: str | None = field(default=None, repr=False)


def person_of(request: Request[Any, Any, Any], parts: Parts, seed: str | None = None) -> Person:
    """Return who asks: `Pith-Person` first, then the session's cookie, else somebody new. For worker threads.

    Args:
        seed: makes the secret of somebody new follow from the request, so that a repeated one is the same person's.
            It must hold what others cannot send: an Idempotency-Key together with the digest of the body.

    Raises:
        InvalidFieldError: `Pith-Person` is not 43 characters of base64url.
        UnauthorizedError: the session has ended. The cookie is taken back with the answer.
        ForbiddenError: another site's page sent the session's cookie along.
    """
    given = request.headers.get(PERSON_HEADER)
    if given is not None:
        decode_salt(given, PERSON_HEADER)
        return Person("anonymous", _pseudonym(parts, given))
    token = given_cookie(request, parts.settings, SESSION)
    if token is not None:
        if request.method not in ("GET", "HEAD"):
            check_same_site(request, parts.settings)
        return _with_session(parts, token)
    made = parts.random(32) if seed is None else derive(parts.private, "person", seed)
    secret = base64.urlsafe_b64encode(made).decode().rstrip("=")
    return Person("anonymous", _pseudonym(parts, secret), secret)


def _with_session(parts: Parts, token: str) -> Person:
    session = find_session(parts, token)
    if session is None:
        # Signing anonymously for somebody who believes to be logged in would surprise them.
        error = UnauthorizedError("the session has ended", place="cookie", cure="log in again at /api/session/openid")
        error.headers = {"set-cookie": cookie(parts.settings, SESSION, "", 0).to_header(header="")}
        raise error
    return Person("session", session.subject)


def _pseudonym(parts: Parts, secret: str) -> str:
    return derive(parts.private, "anonymous", secret).hex()
