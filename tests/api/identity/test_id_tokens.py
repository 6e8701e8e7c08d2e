"""ID tokens: one that a real provider signed holds, and nothing that was made of it or beside it does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from api.identity.openid import CALLBACK_PATH, Login, Provider
from api.identity.refusals import TokenInvalidError, UnavailableError
from api.settings import ApiSettings, OpenIdProvider
from ops.home import now
from tests.api.identity.programs import a_provider
from tests.api.identity.serving import Browser, Identities, begin, came_back, event_of, identities
from tests.builders import ALICE

OWN = ALICE.signer_id.removeprefix("orcid:")


@dataclass(frozen=True, slots=True)
class Real:
    """A provider, and a login for Alice's key that it signed."""

    served: Identities
    provider: OpenIdProvider
    token: str
    keys: list[dict[str, Any]]
    nonce: str

    def verified(self, token: str | None = None, keys: Any = None, *, later: int = 0, **changes: str) -> Login:
        """Verify a token as at its login, but for what is named."""
        named = {name: getattr(self.provider, name) for name in ("issuer", "client_id", "client_secret")}
        nonce = changes.pop("nonce", self.nonce)
        provider = Provider(OpenIdProvider(**named | changes), "http://127.0.0.1", lambda: now() + later * 1_000_000)
        return provider.verified(token or self.token, self.keys if keys is None else keys, nonce, "")

    def payload(self) -> dict[str, Any]:
        return dict(json.loads(decoded(self.token.split(".")[1])))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    found: list[OpenIdProvider] = []
    with ExitStack() as stack, Browser() as browser:

        def settings(address: str) -> ApiSettings:
            # The other way of showing the client's secret, too.
            found.append(stack.enter_context(a_provider(address + CALLBACK_PATH, "client_secret_post")))
            return ApiSettings(address, openid=found[0])

        served = stack.enter_context(identities(tmp_path_factory.mktemp("tokens"), settings))
        page = browser.get(came_back(served, browser, ALICE, OWN))
        text = json.loads(served.private_text(event_of(page.text)) or "")
        nonce = encoded(bytes.fromhex(text["statement_sha256"]))
        yield Real(served, found[0], text["id_token"], text["jwks"]["keys"], nonce)


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def a_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def jwk(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    numbers = key.public_key().public_numbers()
    n, e = (number.to_bytes((number.bit_length() + 7) // 8) for number in (numbers.n, numbers.e))
    return {"kty": "RSA", "n": encoded(n), "e": encoded(e)}


def made(key: rsa.RSAPrivateKey, header: dict[str, Any], payload: dict[str, Any]) -> str:
    """Return a token as a provider with this key would sign it."""
    text = ".".join(encoded(json.dumps(part).encode()) for part in (header, payload))
    return f"{text}.{encoded(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def test_what_the_provider_signed_holds(real: Real) -> None:
    assert real.verified().sub == OWN


def test_a_forged_payload_does_not(real: Real) -> None:
    head, _, signature = real.token.split(".")
    forged = encoded(json.dumps(real.payload() | {"sub": "0000-0001-5109-3700"}).encode())
    with pytest.raises(TokenInvalidError, match="not signed"):
        real.verified(f"{head}.{forged}.{signature}")


def test_a_token_without_a_signature_does_not(real: Real) -> None:
    _, payload, _ = real.token.split(".")
    for algorithm in ("none", "None", ""):
        head = encoded(json.dumps({"alg": algorithm, "kid": real.keys[0]["kid"]}).encode())
        with pytest.raises(TokenInvalidError):
            real.verified(f"{head}.{payload}.")


def test_the_providers_public_key_is_no_shared_secret(real: Real) -> None:
    """The old trick: sign with HS256 and the public key, which everybody knows."""
    numbers = (int.from_bytes(decoded(real.keys[0][name])) for name in ("e", "n"))
    public = rsa.RSAPublicNumbers(*numbers).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "kid": real.keys[0]["kid"]}
    text = ".".join(encoded(json.dumps(part).encode()) for part in (header, real.payload()))
    with pytest.raises(TokenInvalidError):
        real.verified(f"{text}.{encoded(hmac.digest(public, text.encode(), hashlib.sha256))}")


@pytest.mark.parametrize("named", [True, False])
def test_somebody_elses_key_does_not_sign_for_the_provider(real: Real, named: bool) -> None:
    header = {"alg": "RS256", **({"kid": real.keys[0]["kid"]} if named else {})}
    with pytest.raises(TokenInvalidError, match="not signed"):
        real.verified(made(a_key(), header, real.payload()))


def test_a_key_that_the_token_brings_along_is_not_looked_at(real: Real) -> None:
    key = a_key()
    header = {"alg": "RS256", "kid": real.keys[0]["kid"], "jwk": jwk(key)}
    with pytest.raises(TokenInvalidError, match="not signed"):
        real.verified(made(key, header, real.payload()))


def signed(real: Real, bits: int = 2048, header: dict[str, Any] | None = None, **claims: Any) -> Login:
    """Verify a token that a provider with a key of ours made; `claims` replace those of the real one."""
    key = a_key(bits)
    payload = {name: value for name, value in (real.payload() | claims).items() if value is not None}
    return real.verified(made(key, {"alg": "RS256", **(header or {})}, payload), [jwk(key)])


def test_the_claims_are_what_the_next_tests_change(real: Real) -> None:
    assert signed(real).sub == OWN
    assert signed(real, aud=["pith", "other"], azp="pith").sub == OWN
    for padding_of in ("", "x", "xx", "xxx"):
        assert signed(real, header={"typ": padding_of}).sub == OWN, "a header of any length is read"


@pytest.mark.parametrize(
    ("claims", "place"),
    [
        ({"iss": "https://evil.example"}, "id_token.iss"),
        ({"aud": "other"}, "id_token.aud"),
        ({"aud": ["other"]}, "id_token.aud"),
        ({"aud": []}, "id_token.aud"),
        ({"aud": ["pith", "other"]}, "id_token.aud"),
        ({"azp": "other"}, "id_token.aud"),
        ({"exp": 1}, "id_token.exp"),
        ({"iat": 1}, "id_token.iat"),
        ({"iat": 4_000_000_000, "exp": 4_000_000_001}, "id_token.iat"),
        ({"nonce": "A" * 43}, "id_token.nonce"),
        ({"nonce": None}, "id_token"),
        ({"sub": None}, "id_token"),
        ({"exp": None}, "id_token"),
        ({"exp": "4000000000"}, "id_token"),
        ({"sub": 7}, "id_token"),
    ],
)
def test_each_claim_must_be_of_this_login(real: Real, claims: dict[str, Any], place: str) -> None:
    with pytest.raises(TokenInvalidError) as refusal:
        signed(real, **claims)
    assert refusal.value.place == place


@pytest.mark.parametrize("sub", ["", "a b", "é", "x" * 161, "a\nb"])
def test_a_sub_that_makes_no_identifier_is_refused(real: Real, sub: str) -> None:
    login = signed(real, sub=sub)
    with pytest.raises(TokenInvalidError):
        Provider(real.provider, "http://127.0.0.1", now).identifier(login)


def test_an_hour_later_it_proves_nothing_any_more(real: Real) -> None:
    with pytest.raises(TokenInvalidError):
        real.verified(later=3600)


def test_a_short_key_is_not_believed(real: Real) -> None:
    with pytest.raises(TokenInvalidError):
        signed(real, bits=1024)


def test_a_header_that_must_be_understood_is_not_passed_over(real: Real) -> None:
    with pytest.raises(TokenInvalidError):
        signed(real, header={"crit": ["other"], "other": 1})


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [{}],
        [{"kty": "RSA"}],
        [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}],
        [{"kty": "RSA", "n": 7, "e": None}],
        [{"kty": "oct", "k": "AAAA"}],
    ],
)
def test_keys_that_are_none_verify_nothing(real: Real, keys: list[dict[str, Any]]) -> None:
    with pytest.raises(TokenInvalidError):
        real.verified(keys=keys)


def test_two_keys_that_fit_are_one_too_many(real: Real) -> None:
    with pytest.raises(TokenInvalidError):
        real.verified(keys=[*real.keys, *real.keys])


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: f"{encoded(raw)}.{encoded(raw)}.{encoded(raw)}"))
def test_no_text_breaks_the_reader(text: str) -> None:
    provider = Provider(OpenIdProvider("https://orcid.org", "pith", ""), "http://127.0.0.1", now)
    with pytest.raises(TokenInvalidError):
        provider.verified(text or "x", [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}], "", "")


# Providers that do not answer as one.


def test_a_provider_that_does_not_answer_is_said_so(tmp_path: Any, browser: Browser) -> None:
    dead = OpenIdProvider("http://127.0.0.1:9", "pith", "")
    with identities(tmp_path, lambda address: ApiSettings(address, openid=dead)) as served:
        flow = begin(served, ALICE)
        served.refused(browser.get(flow), 502, "outside-unavailable", served.size())
        served.refused(served.client.get("/api/session/openid"), 502, "outside-unavailable")


def test_a_registry_without_a_provider_offers_no_logins(tmp_path: Any) -> None:
    with identities(tmp_path, ApiSettings) as served:
        served.refused(served.ask(ALICE, "POST", "/api/identity/openid", {}), 501, "not-offered")
        served.refused(served.client.get("/api/session/openid"), 501, "not-offered")
        assert served.client.get("/api/session").json() == {"kind": "none", "subject": None, "expires_at": None}


def test_a_provider_under_another_name_is_not_used(real: Real) -> None:
    other = OpenIdProvider(real.provider.issuer.replace("127.0.0.1", "localhost"), "pith", "")
    with pytest.raises(UnavailableError, match="another issuer"):
        Provider(other, "http://127.0.0.1", now).origin()


def test_the_flow_of_a_login_is_in_no_referrer_or_cache(real: Real, browser: Browser) -> None:
    page = browser.get(begin(real.served, ALICE))
    assert (page.headers["referrer-policy"], page.headers["cache-control"]) == ("same-origin", "no-store")
    with httpx.Client() as client:
        assert client.get(real.served.registry.address + CALLBACK_PATH).headers["cache-control"] == "no-store"
