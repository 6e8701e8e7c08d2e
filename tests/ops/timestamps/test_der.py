"""The little DER of our own: requests that others read, and certificates put in order."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rfc3161_client import decode_timestamp_response
from rfc3161_client._rust import parse_timestamp_request

from ledger.anchors import confirm
from ops.timestamps.der import sorted_certificates, timestamp_request
from tests.ledger.timestamps import HELLO, ROOT, TOKEN, TSR
from tests.programs import program


@given(
    nonce=st.integers(1, 2**256),
    policy=st.none()
    | st.tuples(st.integers(0, 1), st.integers(0, 39), st.integers(0, 2**70))
    | st.tuples(st.just(2), st.integers(0, 2**29), st.integers(0, 200), st.integers(0, 2**28)),
)
def test_request_is_what_it_was_made_of(nonce: int, policy: tuple[int, ...] | None) -> None:
    oid = ".".join(map(str, policy)) if policy else None
    request = parse_timestamp_request(timestamp_request(HELLO, nonce, oid))
    assert request.nonce == nonce and request.cert_req and request.message_imprint.message == HELLO
    assert (request.policy.dotted_string if request.policy else None) == oid


def test_request_is_byte_for_byte_that_of_openssl() -> None:
    openssl = program("openssl", "apt install openssl")
    for options, policy in (([], None), (["-tspolicy", "1.3.6.1.4.1.99999.1"], "1.3.6.1.4.1.99999.1")):
        command = [openssl, "ts", "-query", "-digest", HELLO.hex(), "-sha256", "-cert", *options]
        known = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
        nonce = parse_timestamp_request(known).nonce
        assert nonce is not None and timestamp_request(HELLO, nonce, policy) == known


@pytest.mark.parametrize("path", sorted(TSR.rglob("*.tsr")), ids=lambda path: path.stem)
def test_real_replies_stand_in_order_already(path: Path) -> None:
    assert sorted_certificates(path.read_bytes()) == path.read_bytes()


def with_certificates(reply: bytes, *certificates: bytes) -> bytes:
    """Return a reply with other certificates in place of its only one, all lengths adjusted."""
    (own,) = decode_timestamp_response(reply).signed_data.certificates
    start = reply.index(own)
    end = start + len(own)
    added = b"".join(certificates)
    grown = reply[:start] + added + reply[end:]
    # The reply, the token, its content, SignedData and the set each have a length of two bytes before the certificate.
    for tag in (reply.index(b"\x30\x82"), *_wrappers(reply, start)):
        length = int.from_bytes(grown[tag + 2 : tag + 4], "big") + len(added) - len(own)
        grown = grown[: tag + 2] + length.to_bytes(2, "big") + grown[tag + 4 :]
    return grown


def _wrappers(reply: bytes, start: int) -> list[int]:
    signed_data_id = bytes.fromhex("06092a864886f70d010702")
    at = reply.index(signed_data_id)
    return [at - 4, at + len(signed_data_id), at + len(signed_data_id) + 4, start - 4]


def test_certificates_out_of_order_are_put_in_order_and_nothing_else_is_moved() -> None:
    (own,) = decode_timestamp_response(TOKEN).signed_data.certificates
    first, last = sorted([own, ROOT])
    turned = with_certificates(TOKEN, last, first)
    with pytest.raises(ValueError, match="InvalidSetOrdering"):
        decode_timestamp_response(turned)
    found = sorted_certificates(turned)
    assert found == with_certificates(TOKEN, first, last)
    confirm("rfc3161", HELLO, found, block_header=None, height=None, bitcoin=[], roots=[ROOT])


@given(raw=st.binary(max_size=200))
def test_other_bytes_come_back_as_they_are(raw: bytes) -> None:
    assert sorted_certificates(raw) == raw


@given(at=st.integers(0, len(TOKEN) - 1), byte=st.integers(0, 255))
def test_no_byte_of_a_changed_reply_is_lost(at: int, byte: int) -> None:
    changed = TOKEN[:at] + bytes([byte]) + TOKEN[at + 1 :]
    found = sorted_certificates(changed)
    assert sorted(found) == sorted(changed)
    assert hashlib.sha256(sorted_certificates(found)).digest() == hashlib.sha256(found).digest()


@pytest.mark.parametrize("policy", ["", "1", "x.y", "3.1", "0.40", "1.2.-3", "."])
def test_what_is_no_object_identifier_is_refused(policy: str) -> None:
    with pytest.raises(ValueError):
        timestamp_request(HELLO, 1, policy)
