"""Signed requests: what the signature covers, and which headers are read at all."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidFieldError, SignatureInvalidError, WeakKeyError
from ledger.keys import SecretKey
from ledger.signed_requests import Requested, parse_credentials, signed_request, verify_signed_request
from tests.builders import key, nonce

KEY = key("somebody")
ASKED = Requested("test.registry", "POST", "/api/identity/email?x=1", b'{"address":"a@example.org"}')
CREATED = "2026-06-19T16:00:00Z"


def header(**changes: Any) -> str:
    given: dict[str, Any] = {
        "secret_key": KEY,
        "registry": ASKED.registry,
        "method": ASKED.method,
        "path": ASKED.path,
        "body": ASKED.body,
        "now": CREATED,
        "nonce": nonce(1),
        **changes,
    }
    return signed_request(**given)


def test_the_signature_is_what_the_protocol_says() -> None:
    request = {
        "registry": ASKED.registry,
        "method": ASKED.method,
        "path": ASKED.path,
        "body_sha256": hashlib.sha256(ASKED.body).hexdigest(),
        "created": CREATED,
        "nonce": nonce(1),
        "key_id": KEY.key_id,
    }
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(canonical).digest()
    assert parse_credentials(header()).signature == _base64(KEY.sign_request(digest))


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def test_a_signed_request_verifies() -> None:
    verify_signed_request(KEY.public_key, ASKED, parse_credentials(header()))


@pytest.mark.parametrize(
    "changes",
    [
        {"registry": "other.registry"},
        {"method": "GET"},
        {"path": "/api/identity/email?x=2"},
        {"path": "/api/identity/email"},
        {"body": b'{"address":"b@example.org"}'},
        {"body": b""},
    ],
)
def test_each_part_of_a_request_is_signed(changes: dict[str, Any]) -> None:
    with pytest.raises(SignatureInvalidError):
        verify_signed_request(KEY.public_key, replace(ASKED, **changes), parse_credentials(header()))


@pytest.mark.parametrize("changes", [{"now": "2026-06-19T16:00:01Z"}, {"nonce": nonce(2)}])
def test_time_and_nonce_are_signed(changes: dict[str, str]) -> None:
    text = header(**changes).replace(changes.get("now", CREATED), CREATED).replace(nonce(2), nonce(1))
    with pytest.raises(SignatureInvalidError):
        verify_signed_request(KEY.public_key, ASKED, parse_credentials(text))


def test_an_events_signature_is_none_of_a_request() -> None:
    found = parse_credentials(header())
    forged = replace_signature(found, KEY.sign_event(bytes(32)))
    with pytest.raises(SignatureInvalidError):
        verify_signed_request(KEY.public_key, ASKED, forged)


def replace_signature(found: Any, signature: bytes) -> Any:
    return msgspec.structs.replace(found, signature=_base64(signature))


def test_anybodys_key_is_no_key() -> None:
    """Under a point of small order a signature holds for any request (see tests/vectors)."""
    small = (1).to_bytes(32, "little")
    forged = replace_signature(parse_credentials(header()), small + bytes(32))
    with pytest.raises(WeakKeyError):
        verify_signed_request(small, ASKED, forged)


def test_a_request_is_no_note() -> None:
    with pytest.raises(ValueError, match="note"):
        SecretKey(bytes(32)).sign_note(b"pith-request/1\n" + bytes(40) + b"\n")


def test_parameters_may_stand_in_any_order_and_case_of_scheme() -> None:
    scheme, _, rest = header().partition(" ")
    turned = ",".join(reversed(rest.split(", ")))
    assert parse_credentials(f"{scheme.upper()} {turned}") == parse_credentials(header())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Pith-Key",
        "Pith-Key ",
        "Bearer pith_x",
        header().replace("Pith-Key", "Basic"),
        header().replace('nonce="', 'nonce="x'),
        header().replace(", signature", ", signatures"),
        header() + ', signature="x"',
        header() + ', other="x"',
        header() + ",",
        header().replace('"', "'"),
        header().replace(KEY.key_id, KEY.key_id.upper()),
        header().replace(CREATED, "2026-06-19T16:00:00+00:00"),
        header().replace(CREATED, "2026-02-30T16:00:00Z"),
        header().replace(CREATED, "２026-06-19T16:00:00Z"),
        header() + "\x00",
        "Pith-Key " + 'key_id="x", ' * 10_000,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidFieldError):
        parse_credentials(text)


@given(st.text(max_size=300))
def test_no_header_breaks_the_reader(text: str) -> None:
    with pytest.raises(InvalidFieldError):
        parse_credentials(text)
