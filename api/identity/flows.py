"""Logins under way, from the first address to the provider's answer; each is finished once, by the browser it began in.

The flow's address is known to who asked for it. The first browser that opens it gets a cookie and owns it from then
on. Only when its person agrees does the flow get a `state` (RFC 6749, 10.12), by which the provider's answer finds it.
PKCE verifier (RFC 7636) and a session's nonce follow from the state and the registry's secret: nothing that could
finish somebody's login is kept.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from api.identity.refusals import LoginOverError, OtherBrowserError
from api.identity.sessions import digest_of_secret, new_token
from api.identity.tables import FLOWS
from api.parts import Parts
from api.private import derive

FLOW_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Flow:
    """What a login is for; `key_id` empty: for a session. `expires_at` in microseconds, UTC."""

    key_id: str
    consent: bool
    return_to: str
    expires_at: int


def begin(parts: Parts, key_id: str, *, consent: bool) -> tuple[str, Flow]:
    """Begin a login that is to prove something for a key; returns the token of its address."""
    token, flow = new_token(parts), Flow(key_id, consent, "", _end(parts))
    _add(parts, token, flow, state=None, browser=None)
    return token, flow


def begin_session(parts: Parts, return_to: str) -> tuple[str, str]:
    """Begin a login for a session; returns its state, and what the browser's cookie is to hold."""
    state, browser = new_token(parts), new_token(parts)
    _add(parts, new_token(parts), Flow("", False, return_to, _end(parts)), state=state, browser=browser)
    return state, browser


def opened_by(parts: Parts, token: str, browser: str | None) -> tuple[Flow, str | None]:
    """Return a flow for the browser that opens its address, and a new cookie's value where it is the first.

    Raises:
        LoginOverError, OtherBrowserError: it is over, or another browser's.
    """
    with parts.private.write() as connection:
        row = _found(connection, parts, FLOWS.c.flow_sha256 == digest_of_secret(token))
        if row.browser_sha256 is not None:
            _check_browser(row, browser)
            return _flow(row), None
        made = new_token(parts)
        own = update(FLOWS).where(FLOWS.c.flow_sha256 == row.flow_sha256)
        connection.execute(own.values(browser_sha256=digest_of_secret(made)))
        return _flow(row), made


def agreed(parts: Parts, token: str, browser: str | None) -> tuple[Flow, str]:
    """Take note that the flow's person goes on to the provider; returns the state. Raises as `opened_by` does."""
    state = new_token(parts)
    with parts.private.write() as connection:
        row = _found(connection, parts, FLOWS.c.flow_sha256 == digest_of_secret(token))
        _check_browser(row, browser)
        own = update(FLOWS).where(FLOWS.c.flow_sha256 == row.flow_sha256)
        connection.execute(own.values(state_sha256=digest_of_secret(state)))
        return _flow(row), state


def finished(parts: Parts, state: str, browser: str | None) -> Flow:
    """Take the flow of a state away: whatever comes of it, it is used. Raises as `opened_by` does."""
    with parts.private.write() as connection:
        row = _found(connection, parts, FLOWS.c.state_sha256 == digest_of_secret(state))
        _check_browser(row, browser)
        connection.execute(delete(FLOWS).where(FLOWS.c.flow_sha256 == row.flow_sha256))
        return _flow(row)


def verifier_of(parts: Parts, state: str) -> str:
    """Return the PKCE verifier that belongs to a state (43 characters)."""
    return _encoded(derive(parts.private, "pkce", state))


def nonce_of(parts: Parts, state: str) -> str:
    """Return the nonce of a session's login (43 characters)."""
    return _encoded(derive(parts.private, "login nonce", state))


def _encoded(found: bytes) -> str:
    return base64.urlsafe_b64encode(found).decode().rstrip("=")


def _end(parts: Parts) -> int:
    return parts.clock() + FLOW_SECONDS * 1_000_000


def _add(parts: Parts, token: str, flow: Flow, *, state: str | None, browser: str | None) -> None:
    row = {
        "flow_sha256": digest_of_secret(token),
        "state_sha256": digest_of_secret(state) if state else None,
        "browser_sha256": digest_of_secret(browser) if browser else None,
        "key_id": flow.key_id,
        "consent": flow.consent,
        "return_to": flow.return_to,
        "expires_at": flow.expires_at,
    }
    with parts.private.write() as connection:
        connection.execute(delete(FLOWS).where(FLOWS.c.expires_at <= parts.clock()))
        connection.execute(insert(FLOWS).values(row))


def _found(connection: Connection, parts: Parts, named: object) -> Row[tuple[object, ...]]:
    row = connection.execute(select(FLOWS).where(named, FLOWS.c.expires_at > parts.clock())).first()  # type: ignore[arg-type]
    if row is None:
        raise LoginOverError("no login is under way here: it was finished, took too long or never began")
    return row


def _check_browser(row: Row[tuple[object, ...]], browser: str | None) -> None:
    if row.browser_sha256 is None or not hmac.compare_digest(row.browser_sha256, digest_of_secret(browser or "")):
        raise OtherBrowserError("this login was opened in another browser", place="cookie")


def _flow(row: Row[tuple[object, ...]]) -> Flow:
    return Flow(row.key_id, row.consent, row.return_to, row.expires_at)
