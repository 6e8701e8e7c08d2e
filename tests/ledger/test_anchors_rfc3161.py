"""RFC 3161 tokens: those of real authorities, and those of our own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ledger.anchors import Confirmation, check_proof, confirm
from ledger.errors import AnchorError, AnchorMalformedError, AnchorMismatchError, AnchorUntrustedError
from tests.ledger.timestamps import DIGEST, HELLO, MAINNET, OTHER, ROOT, TOKEN, TSR, last_certificate
from tests.programs import program
from tests.simulators import OTHER_POLICY, POLICY, TimestampAuthority


def confirm_token(proof: bytes, digest: bytes, *roots: bytes) -> Confirmation:
    return confirm("rfc3161", digest, proof, block_header=None, height=None, bitcoin=[MAINNET], roots=roots)


# Tokens of real authorities.


def test_real_token_confirms_under_its_root() -> None:
    check_proof("rfc3161", HELLO, TOKEN)
    found = confirm_token(TOKEN, HELLO, ROOT)
    assert found.attested_time == "2025-05-09T11:58:55Z"
    assert found.authority == "rfc3161 CN=sigstore-tsa,O=sigstore.dev, policy 1.3.6.1.4.1.57264.2"
    assert "revocation" in found.trust
    assert found.clock == f"rfc3161 {hashlib.sha256(ROOT).hexdigest()}"


def test_real_token_is_untrusted_without_its_root() -> None:
    mock_root = last_certificate(TSR / "sigstore.mock" / "ts_chain.pem")
    for roots in ([], [mock_root], [b"not a certificate"]):
        with pytest.raises(AnchorUntrustedError):
            confirm_token(TOKEN, HELLO, *roots)


def test_token_confirms_whatever_other_roots_stand_beside_its_own() -> None:
    mock_root = last_certificate(TSR / "sigstore.mock" / "ts_chain.pem")
    for roots in ([mock_root, ROOT], [ROOT, mock_root], [b"not a certificate", ROOT], [ROOT, ROOT]):
        assert confirm_token(TOKEN, HELLO, *roots).clock == f"rfc3161 {hashlib.sha256(ROOT).hexdigest()}"


def test_token_about_other_content_is_a_mismatch() -> None:
    with pytest.raises(AnchorMismatchError):
        check_proof("rfc3161", OTHER, TOKEN)
    with pytest.raises(AnchorMismatchError):
        confirm_token(TOKEN, OTHER, ROOT)


@pytest.mark.parametrize("name", ["response-sha384", "response-sha512"])
def test_token_over_another_hash_algorithm_is_a_mismatch(name: str) -> None:
    with pytest.raises(AnchorMismatchError, match="algorithm"):
        check_proof("rfc3161", HELLO, (TSR / "sigstage" / f"{name}.tsr").read_bytes())


@pytest.mark.parametrize("name", ["response-invalid-signature", "response-no-embedded-cert"])
def test_token_with_a_bad_signature_or_no_certificate_is_untrusted(name: str) -> None:
    proof = (TSR / "sigstage" / f"{name}.tsr").read_bytes()
    check_proof("rfc3161", HELLO, proof)
    with pytest.raises(AnchorUntrustedError):
        confirm_token(proof, HELLO, ROOT)


def test_token_without_certificate_from_an_expired_chain_is_untrusted() -> None:
    folder = TSR / "sigstore.mock"
    digest = hashlib.sha256((folder / "payload").read_bytes()).digest()
    proof = (folder / "response-expired.tsr").read_bytes()
    check_proof("rfc3161", digest, proof)
    with pytest.raises(AnchorUntrustedError):
        confirm_token(proof, digest, last_certificate(folder / "ts_chain.pem"))


# Our own authority.


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TimestampAuthority:
    need_openssl()
    return TimestampAuthority(tmp_path_factory.mktemp("authority"))


def need_openssl() -> None:
    program("openssl", "it serves as timestamp authority")


def test_own_authority_confirms(authority: TimestampAuthority) -> None:
    reply = authority.stamp(OTHER)
    check_proof("rfc3161", OTHER, reply)
    found = confirm_token(reply, OTHER, authority.root_der)
    assert found.authority.startswith("rfc3161 CN=tsa") and found.authority.endswith(f"policy {POLICY}")
    assert found.attested_time.endswith("Z") and len(found.attested_time) == 20


def test_policy_asked_for_is_named(authority: TimestampAuthority) -> None:
    found = confirm_token(authority.stamp(OTHER, OTHER_POLICY), OTHER, authority.root_der)
    assert found.authority.endswith(f"policy {OTHER_POLICY}")


def test_wrong_digest_under_own_authority_is_a_mismatch(authority: TimestampAuthority) -> None:
    with pytest.raises(AnchorMismatchError):
        confirm_token(authority.stamp(OTHER), DIGEST, authority.root_der)


def test_other_authoritys_root_is_untrusted(authority: TimestampAuthority, tmp_path: Path) -> None:
    other = TimestampAuthority(tmp_path)
    with pytest.raises(AnchorUntrustedError):
        confirm_token(authority.stamp(OTHER), OTHER, other.root_der)
    confirm_token(authority.stamp(OTHER), OTHER, other.root_der, authority.root_der)


def test_rejected_reply_is_malformed_and_says_why(authority: TimestampAuthority) -> None:
    with pytest.raises(AnchorMalformedError, match=r"status 2.*policy is not supported"):
        check_proof("rfc3161", OTHER, authority.stamp(OTHER, "1.2.3"))


def test_flipped_byte_is_refused_or_changes_nothing_said(authority: TimestampAuthority) -> None:
    reply = authority.stamp(OTHER)
    good = confirm_token(reply, OTHER, authority.root_der)
    refused = 0
    for position in range(len(reply)):
        flipped = reply[:position] + bytes([reply[position] ^ 0x01]) + reply[position + 1 :]
        try:
            assert confirm_token(flipped, OTHER, authority.root_der) == good
        except AnchorError:
            refused += 1
    assert refused > len(reply) * 0.9


def test_token_redated_by_hand_is_untrusted(authority: TimestampAuthority) -> None:
    reply = authority.stamp(OTHER)
    year = confirm_token(reply, OTHER, authority.root_der).attested_time[:4].encode()
    at = reply.index(b"\x18", reply.index(OTHER)) + 2
    assert reply[at : at + 4] == year
    redated = reply[:at] + b"2024" + reply[at + 4 :]
    check_proof("rfc3161", OTHER, redated)
    with pytest.raises(AnchorUntrustedError):
        confirm_token(redated, OTHER, authority.root_der)


def test_truncated_reply_is_malformed(authority: TimestampAuthority) -> None:
    reply = authority.stamp(OTHER)
    for length in (0, 1, 9, 100, len(reply) - 1):
        with pytest.raises(AnchorMalformedError):
            confirm_token(reply[:length], OTHER, authority.root_der)


def test_trailing_byte_or_html_page_is_malformed(authority: TimestampAuthority) -> None:
    for reply in (authority.stamp(OTHER) + b"\0", b"<!doctype html><title>502 Bad Gateway</title>"):
        with pytest.raises(AnchorMalformedError):
            confirm_token(reply, OTHER, authority.root_der)


def test_intermediate_left_out_of_the_reply_may_be_listed_beside_its_root(tmp_path: Path) -> None:
    need_openssl()
    authority = TimestampAuthority(tmp_path, intermediate=True)
    assert authority.intermediate_der is not None
    reply = authority.stamp(OTHER)
    for roots in ([authority.root_der], [authority.intermediate_der]):
        with pytest.raises(AnchorUntrustedError):
            confirm_token(reply, OTHER, *roots)
    for roots in (
        [authority.root_der, authority.intermediate_der],
        [authority.intermediate_der, ROOT, authority.root_der],
    ):
        assert confirm_token(reply, OTHER, *roots).clock == f"rfc3161 {hashlib.sha256(authority.root_der).hexdigest()}"


def test_authorities_under_one_root_are_one_clock_and_under_two_are_two(tmp_path: Path) -> None:
    need_openssl()
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    one, other = (TimestampAuthority(folder) for folder in folders)
    roots = [one.root_der, other.root_der]
    found = [confirm_token(reply, OTHER, *roots).clock for reply in (one.stamp(OTHER), one.stamp(OTHER, OTHER_POLICY))]
    assert found[0] == found[1] != confirm_token(other.stamp(OTHER), OTHER, *roots).clock


def test_root_of_the_same_name_is_another_clock(tmp_path: Path) -> None:
    need_openssl()
    folders = [tmp_path / name / "same" for name in ("first", "second")]
    for folder in folders:
        folder.mkdir(parents=True)
    one, other = (TimestampAuthority(folder) for folder in folders)
    for roots in ([one.root_der, other.root_der], [other.root_der, one.root_der]):
        for authority in (one, other):
            clock = confirm_token(authority.stamp(OTHER), OTHER, *roots).clock
            assert clock == f"rfc3161 {hashlib.sha256(authority.root_der).hexdigest()}"


def test_token_signed_over_sha1_is_untrusted(tmp_path: Path) -> None:
    need_openssl()
    authority = TimestampAuthority(tmp_path, signer_digest="sha1")
    with pytest.raises(AnchorUntrustedError, match="weaker than SHA-256"):
        confirm_token(authority.stamp(OTHER), OTHER, authority.root_der)
