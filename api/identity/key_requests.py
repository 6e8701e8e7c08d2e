"""Who signed a request with a registered key (`ledger.signed_requests`): near in time, once, and in a role that may."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request
from sqlalchemy import delete, insert, select

from api.identity.tables import NONCES
from api.parts import Parts
from api.problems import ForbiddenError, UnauthorizedError
from ledger.errors import KeyRoleError, LedgerError, SubmissionError
from ledger.keyring import NOW, Registration, microseconds
from ledger.keys import Role
from ledger.registry import Registry
from ledger.signed_requests import SCHEME, Credentials, Requested, parse_credentials, verify_signed_request

WINDOW_SECONDS: Final = 60
"""How far a request's time may lie from ours, either way."""

PERSONAL: Final[tuple[Role, ...]] = ("contributor", "storage_checker", "moderator")
"""The roles of people and programs, as opposed to the registry's own keys."""


def authenticated(
    request: Request[Any, Any, Any], parts: Parts, roles: tuple[Role, ...] = PERSONAL, body: bytes = b""
) -> Registration:
    """Return the registration of the key that signed a request. For worker threads.

    Args:
        roles: those that may ask this.
        body: the raw bytes of the request's body.

    Raises:
        UnauthorizedError: no credentials, or such that do not hold here and now.
        ForbiddenError: the key's role may not ask this.
    """
    headers = request.headers.getall("authorization", [])
    try:
        if len(headers) != 1:
            raise UnauthorizedError("this is asked with a key", place="authorization", cure="sign the request")
        credentials = parse_credentials(headers[0])
        created = microseconds(credentials.created)
        if abs(parts.clock() - created) > WINDOW_SECONDS * 1_000_000:
            raise UnauthorizedError(
                f"the request was not signed within {WINDOW_SECONDS} seconds of now",
                place="authorization.created",
                cure="set the clock and sign it again",
            )
        registration = key_in_use(parts, credentials.key_id, roles)
        asked = Requested(parts.store.registry_name, request.method, _target(request), body)
        verify_signed_request(registration.public_key, asked, credentials)
    except KeyRoleError as error:
        raise ForbiddenError(error.message, place="authorization.key_id", cure=error.cure) from None
    except (SubmissionError, UnauthorizedError) as error:
        raise unauthorized(error, SCHEME) from None
    _use_nonce(parts, credentials, created)
    return registration


def key_in_use(parts: Parts, key_id: str, roles: tuple[Role, ...] = PERSONAL) -> Registration:
    """Return the registration of a key that may sign now; raises as `KeyHistory.usable` does."""
    return known_by_now(parts, key_id).keys.usable(key_id, roles, NOW, parts.clock())


def known_by_now(parts: Parts, key_id: str) -> Registry:
    """Return the registry's stream, with what was appended since the last look where that may be the key itself."""
    sight = parts.present.sight
    if sight.registry.keys.find(key_id) is not None:
        return sight.registry
    added = parts.store.of_registry(sight.size, parts.store.head().size)
    if not added:
        return sight.registry
    registry = sight.registry.copy()
    for entry in added:
        registry.add(entry)
    return registry


def unauthorized(error: LedgerError, scheme: str) -> UnauthorizedError:
    """Return an error as the answer 401, which names the scheme of credentials that would do (RFC 9110, 11.6.1)."""
    place = error.place.replace("signer.", "authorization.") or "authorization"
    found = UnauthorizedError(error.message, place=place, cure=error.cure)
    found.headers = {"www-authenticate": f'{scheme} realm="registry"'}
    return found


def _target(request: Request[Any, Any, Any]) -> str:
    raw: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return (raw + b"?" + query if query else raw).decode("latin-1")


def _use_nonce(parts: Parts, credentials: Credentials, created: int) -> None:
    """Remember a nonce for as long as its request would be taken; only signed requests come so far."""
    nonce = f"{credentials.key_id}:{credentials.nonce}"
    with parts.private.write() as connection:
        connection.execute(delete(NONCES).where(NONCES.c.expires_at < parts.clock()))
        if connection.execute(select(NONCES.c.nonce).where(NONCES.c.nonce == nonce)).first() is None:
            expires_at = created + WINDOW_SECONDS * 1_000_000
            connection.execute(insert(NONCES).values(nonce=nonce, expires_at=expires_at))
            return
    raise unauthorized(
        UnauthorizedError("this request was made before", place="authorization.nonce", cure="sign it anew"), SCHEME
    )
