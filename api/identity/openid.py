"""A provider of OpenID Connect logins (OpenID Connect Core 1.0, Discovery 1.0): the code flow with PKCE, RS256 only.

The provider is the operator's choice; nothing about it comes from a request. `nonce` ties its signature to what the
login is for: a key's statement, whose hash the nonce is. Who keeps the token and the provider's key can check
that later without asking either of us.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from api.identity.fetching import fetched, fetched_json
from api.identity.refusals import CodeRefusedError, LoginDeclinedError, TokenInvalidError, UnavailableError
from api.problems import NotOfferedError
from api.settings import OpenIdProvider
from ledger.appending import Clock
from ledger.payloads import SignerId

METADATA_SECONDS: Final = 3600
SKEW_SECONDS: Final = 60
MAX_AGE_SECONDS: Final = 600
"""How old a token may be: it is made when the code is exchanged."""

MAX_TOKEN_CHARACTERS: Final = 8_192
MIN_RSA_BITS: Final = 2_048
CALLBACK_PATH: Final = "/api/identity/openid/callback"


class _Metadata(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class _Jwks(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str | None = None


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    sub: str
    aud: str | list[str]
    exp: float
    iat: float
    nonce: str
    azp: str | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """A login that was verified: who, and what shows it (`key` is the JWK that the token verifies under)."""

    sub: str
    id_token: str
    key: Mapping[str, Any]
    jwks_uri: str


class Provider:
    """The operator's provider, asked from worker threads."""

    def __init__(self, settings: OpenIdProvider, base_url: str, clock: Clock) -> None:
        self.settings = settings
        self._redirect_uri = base_url + CALLBACK_PATH
        self._clock = clock
        self._lock = threading.Lock()
        self._known: tuple[int, _Metadata] | None = None

    def origin(self) -> str:
        """Return where its login page is, as `scheme://host`; raises UnavailableError."""
        parts = urlsplit(self._metadata().authorization_endpoint)
        return f"{parts.scheme}://{parts.netloc}"

    def address(self, state: str, nonce: str, verifier: str) -> str:
        """Return the address to send the browser to; raises UnavailableError."""
        challenge = encoded(hashlib.sha256(verifier.encode()).digest())
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = self._metadata().authorization_endpoint
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    def login(self, answer: Mapping[str, str], nonce: str, verifier: str) -> Login:
        """Finish a login by what the provider sent back in the address.

        Args:
            answer: `code` or `error`, and `iss` where it gives it.

        Raises:
            LoginDeclinedError, CodeRefusedError, TokenInvalidError: why it is none.
            UnavailableError: the provider does not answer.
        """
        metadata = self._metadata()
        is_named = "iss" in answer or metadata.authorization_response_iss_parameter_supported
        if is_named and answer.get("iss") != self.settings.issuer:
            # RFC 9207: the answer of another provider, mixed in.
            raise LoginDeclinedError("the answer is not by the provider that was asked", place="iss")
        if "error" in answer:
            raise LoginDeclinedError(f"the provider says {answer['error'][:40]!r}", place="error")
        token = self._exchanged(metadata, answer.get("code", ""), verifier)
        jwks: _Jwks = fetched_json(metadata.jwks_uri, _Jwks, fetched(metadata.jwks_uri, self._clock))
        return self.verified(token, jwks.keys, nonce, metadata.jwks_uri)

    def identifier(self, login: Login) -> str:
        """Return the identifier of who logged in; raises TokenInvalidError where the `sub` makes none."""
        try:
            return msgspec.convert(f"{self.settings.scheme}:{login.sub}", SignerId)
        except msgspec.ValidationError:
            raise TokenInvalidError("the token names nobody that can be named here", place="id_token.sub") from None

    def verified(self, token: str, keys: list[dict[str, Any]], nonce: str, jwks_uri: str) -> Login:
        """Verify an ID token (OpenID Connect Core, 3.1.3.7).

        Raises:
            TokenInvalidError: it is not signed by the provider, not for us, not for this login, or not of now.
        """
        found = _key_of(token, keys)
        try:
            if int.from_bytes(_decoded(found["n"])).bit_length() < MIN_RSA_BITS:
                raise TokenInvalidError("the provider's key is too short", place="id_token")
            key = RSAKey.import_key(_public(found))
            claims = msgspec.convert(jwt.decode(token, key, algorithms=["RS256"]).claims, _Claims)
        except (JoseError, ValueError, TypeError, KeyError):  # whatever a key or token may hold
            raise TokenInvalidError("the token is not signed by the provider", place="id_token") from None
        self._check(claims, nonce)
        return Login(claims.sub, token, _public(found), jwks_uri)

    def _check(self, claims: _Claims, nonce: str) -> None:
        now, client = self._clock() // 1_000_000, self.settings.client_id
        audience = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if claims.iss != self.settings.issuer:
            raise TokenInvalidError("the token is of another issuer", place="id_token.iss")
        if client not in audience or (claims.azp or client) != client or (len(audience) > 1 and not claims.azp):
            raise TokenInvalidError("the token is for another client", place="id_token.aud")
        if claims.exp <= now - SKEW_SECONDS:
            raise TokenInvalidError("the token has expired", place="id_token.exp")
        if not now - MAX_AGE_SECONDS <= claims.iat <= now + SKEW_SECONDS:
            raise TokenInvalidError("the token was not made just now", place="id_token.iat")
        if claims.nonce != nonce:
            raise TokenInvalidError("the token is for another login", place="id_token.nonce")

    def _exchanged(self, metadata: _Metadata, code: str, verifier: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        client, secret = self.settings.client_id, self.settings.client_secret
        auth = None
        if secret and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            # RFC 6749, 2.3.1: each is form-encoded before they are put together.
            auth = quote_plus(client), quote_plus(secret)
        else:
            form |= {"client_id": client, **({"client_secret": secret} if secret else {})}
        status, content = fetched(metadata.token_endpoint, self._clock, form=form, auth=auth)
        if status in (400, 401, 403):
            raise CodeRefusedError("the provider gives no token for this code", place="code")
        tokens: _Tokens = fetched_json(metadata.token_endpoint, _Tokens, (status, content))
        return tokens.id_token

    def _metadata(self) -> _Metadata:
        with self._lock:
            now = self._clock()
            if self._known is None or not 0 <= now - self._known[0] < METADATA_SECONDS * 1_000_000:
                url = f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration"
                found: _Metadata = fetched_json(url, _Metadata, fetched(url, self._clock))
                _check_metadata(found, self.settings.issuer)
                self._known = now, found
            return self._known[1]


def required(offered: Provider | None) -> Provider:
    """Return the provider; raises NotOfferedError where the operator has configured none."""
    if offered is None:
        raise NotOfferedError("this registry offers no logins", cure="prove another identifier, or sign with a key")
    return offered


def _check_metadata(found: _Metadata, issuer: str) -> None:
    if found.issuer != issuer:
        raise UnavailableError("the provider names another issuer", place="issuer", cure="tell the registry's operator")
    schemes = {urlsplit(issuer).scheme, "https"}
    for address in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
        if urlsplit(address).scheme not in schemes or not urlsplit(address).netloc:
            raise UnavailableError("the provider's addresses are not safe", cure="tell the registry's operator")


def _key_of(token: str, keys: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the one key that a token can be signed with; the algorithm is ours to choose, not the token's."""
    try:
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise ValueError
        header = msgspec.json.decode(_decoded(token.partition(".")[0]), type=_Header)
    except (ValueError, RecursionError):
        raise TokenInvalidError("the provider's token cannot be read", place="id_token") from None
    fitting = [
        key
        for key in keys
        if key.get("kty") == "RSA"
        and key.get("use", "sig") == "sig"
        and key.get("alg", "RS256") == "RS256"
        and header.kid in (None, key.get("kid"))
    ]
    if header.alg != "RS256" or len(fitting) != 1:
        raise TokenInvalidError("the token is not signed with a key of the provider", place="id_token")
    return fitting[0]


def _public(key: Mapping[str, Any]) -> dict[str, Any]:
    return {name: key[name] for name in ("kty", "kid", "use", "alg", "n", "e") if isinstance(key.get(name), str)}


def encoded(found: bytes) -> str:
    """Return bytes in base64url without padding."""
    return base64.urlsafe_b64encode(found).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
