"""Outside timestamp proofs: real Bitcoin and authority vectors, our own regtest and authority, and hostile bytes."""

from __future__ import annotations

import hashlib
import json
import shutil
import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentimestamps.core.notary import (  # type: ignore[import-untyped]
    BitcoinBlockHeaderAttestation,
    LitecoinBlockHeaderAttestation,
    UnknownAttestation,
)

from ledger.anchors import MAX_PROOF_BYTES, BitcoinRules, Confirmation, check_proof, confirm
from ledger.errors import (
    AnchorError,
    AnchorMalformedError,
    AnchorMismatchError,
    AnchorUntrustedError,
    InvalidFieldError,
)
from ops.regtest import attested
from ops.regtest import mine as mine_regtest
from ops.regtest import stamp as regtest_anchor
from tests.simulators import (
    OTHER_POLICY,
    POLICY,
    TimestampAuthority,
    pending_anchor,
)

# Random bytes may hold the reverse operation, of which the library warns.
pytestmark = pytest.mark.filterwarnings("ignore:OpReverse:PendingDeprecationWarning")

VECTORS = Path(__file__).parents[1] / "vectors"
OTS = VECTORS / "opentimestamps"
TSR = VECTORS / "rfc3161"

MAINNET = BitcoinRules("mainnet", 60, {})
REGTEST = BitcoinRules("regtest", 0, {})

HEIGHT = 358391
BLOCK_ID = "000000000000000003e892881a8cdcdc117c06d444057c98b6f04a9ee75a2319"
HEADER = bytes.fromhex(json.loads((OTS / "headers.json").read_text())[str(HEIGHT)])
PROOF = (OTS / "hello-world.txt.ots").read_bytes()
DIGEST = hashlib.sha256(b"Hello World!\n").digest()
OTHER = hashlib.sha256(b"something else").digest()

HELLO = hashlib.sha256(b"hello").digest()
TOKEN = (TSR / "sigstage" / "response-sha256.tsr").read_bytes()


def last_certificate(chain: Path) -> bytes:
    pem = chain.read_text()
    return ssl.PEM_cert_to_DER_cert(pem[pem.rindex("-----BEGIN CERTIFICATE") :])


ROOT = last_certificate(TSR / "sigstage" / "ts_chain.pem")


def confirm_block(
    proof: bytes = PROOF,
    digest: bytes = DIGEST,
    header: bytes | None = HEADER,
    height: int | None = HEIGHT,
    bitcoin: tuple[BitcoinRules, ...] = (MAINNET,),
) -> Confirmation:
    return confirm("opentimestamps", digest, proof, block_header=header, height=height, bitcoin=bitcoin, roots=[])


def confirm_token(proof: bytes, digest: bytes, *roots: bytes) -> Confirmation:
    return confirm("rfc3161", digest, proof, block_header=None, height=None, bitcoin=[MAINNET], roots=roots)


# --- OpenTimestamps: what confirms -----------------------------------------------------------


def test_real_bitcoin_proof_confirms_with_its_block_header() -> None:
    found = confirm_block()
    assert found.attested_time == "2015-05-28T15:41:18Z"
    assert found.authority == "bitcoin mainnet block 358391"
    assert "2^67 hashes" in found.trust and "registry's word" in found.trust


def test_checkpoint_takes_the_place_of_the_registrys_word() -> None:
    found = confirm_block(bitcoin=(BitcoinRules("mainnet", 60, {HEIGHT: BLOCK_ID}),))
    assert "registry's word" not in found.trust


def test_regtest_proof_confirms_under_a_regtest_rule_and_says_what_that_is_worth() -> None:
    proof, header = regtest_anchor(OTHER, 1_700_000_000, 104)
    found = confirm_block(proof, OTHER, header, 104, (MAINNET, REGTEST))
    assert found.attested_time == "2023-11-14T22:13:20Z"
    assert found.authority == "bitcoin regtest block 104"
    assert "nothing about time" in found.trust


@pytest.mark.parametrize("order", [(MAINNET, REGTEST), (REGTEST, MAINNET)])
def test_mainnet_header_is_mainnets_even_where_regtest_is_accepted(order: tuple[BitcoinRules, ...]) -> None:
    assert confirm_block(bitcoin=order).authority == "bitcoin mainnet block 358391"


def test_proof_with_several_attestations_of_one_height_confirms_by_the_one_that_fits() -> None:
    proof, header = regtest_anchor(OTHER, 1_700_000_000, 104)
    start = proof[:65]
    stray = bytes.fromhex("ff00 0588960d73d71901 01 68")
    assert confirm_block(start + stray + proof[65:], OTHER, header, 104, (REGTEST,)).authority.endswith("block 104")


# --- OpenTimestamps: the vectors -------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "bad-stamp.txt",
        "different-blockchains.txt",
        "empty",
        "hello-world.txt",
        "incomplete.txt",
        "known-and-unknown-notary.txt",
        "merkle1.txt",
        "merkle2.txt",
        "merkle3.txt",
        "two-calendars.txt",
        "unknown-notary.txt",
    ],
)
def test_example_proof_is_about_the_file_beside_it(name: str) -> None:
    digest = hashlib.sha256((OTS / name).read_bytes()).digest()
    proof = (OTS / f"{name}.ots").read_bytes()
    check_proof("opentimestamps", digest, proof)
    with pytest.raises(AnchorMismatchError):
        check_proof("opentimestamps", OTHER, proof)


def test_example_proof_without_its_file_is_about_the_digest_it_states() -> None:
    proof = (OTS / "gdp2q25-2nd.pdf.ots").read_bytes()
    check_proof("opentimestamps", proof[33:65], proof)


@pytest.mark.parametrize("name", ["sha1/a-or-b.ots", "bitcoin.pdf.ots"])
def test_proof_about_a_sha1_is_refused(name: str) -> None:
    with pytest.raises(AnchorMismatchError, match="sha1"):
        check_proof("opentimestamps", hashlib.sha256((OTS / "sha1/a").read_bytes()).digest(), (OTS / name).read_bytes())


@pytest.mark.parametrize("path", sorted((OTS / "invalid").glob("*.ots")), ids=lambda path: path.stem)
def test_invalid_example_is_malformed(path: Path) -> None:
    with pytest.raises(AnchorMalformedError):
        check_proof("opentimestamps", path.read_bytes()[33:65], path.read_bytes())


def test_every_example_is_covered() -> None:
    assert len(list(OTS.rglob("*.ots"))) == 11 + 1 + 2 + 3


def test_bad_stamp_does_not_lead_to_the_block_it_names() -> None:
    digest = hashlib.sha256((OTS / "bad-stamp.txt").read_bytes()).digest()
    with pytest.raises(AnchorMismatchError, match="Merkle root"):
        confirm_block((OTS / "bad-stamp.txt.ots").read_bytes(), digest)


# --- OpenTimestamps: what does not confirm ---------------------------------------------------


@pytest.mark.parametrize("name", ["incomplete.txt", "two-calendars.txt", "unknown-notary.txt", "merkle1.txt"])
def test_pending_or_unknown_example_never_confirms(name: str) -> None:
    digest = hashlib.sha256((OTS / name).read_bytes()).digest()
    with pytest.raises(AnchorMismatchError, match="pending"):
        confirm_block((OTS / f"{name}.ots").read_bytes(), digest, bitcoin=(MAINNET, REGTEST))


def test_pending_proof_is_a_proof_but_never_confirms() -> None:
    header = mine_regtest(OTHER, 1_700_000_000)
    proof = pending_anchor(OTHER, "https://calendar.example.org")
    check_proof("opentimestamps", OTHER, proof)
    with pytest.raises(AnchorMismatchError):
        confirm_block(proof, OTHER, header, 7, (REGTEST,))


def test_only_a_bitcoin_attestation_confirms() -> None:
    header = mine_regtest(OTHER, 1_700_000_000)
    bitcoin = attested(OTHER, BitcoinBlockHeaderAttestation(7))
    confirm_block(bitcoin, OTHER, header, 7, (REGTEST,))
    for attestation in (LitecoinBlockHeaderAttestation(7), UnknownAttestation(b"\x01" * 8, b"\x07")):
        proof = attested(OTHER, attestation)
        check_proof("opentimestamps", OTHER, proof)
        with pytest.raises(AnchorMismatchError):
            confirm_block(proof, OTHER, header, 7, (REGTEST,))


def test_wrong_digest_is_refused() -> None:
    with pytest.raises(AnchorMismatchError):
        confirm_block(digest=OTHER)


def test_proof_relabelled_with_another_digest_does_not_lead_to_the_block() -> None:
    relabelled = PROOF[:33] + OTHER + PROOF[65:]
    check_proof("opentimestamps", OTHER, relabelled)
    with pytest.raises(AnchorMismatchError, match="Merkle root"):
        confirm_block(relabelled, OTHER)


def test_header_of_another_block_is_refused() -> None:
    proof, header = regtest_anchor(OTHER, 1_700_000_000, 104)
    other_header = mine_regtest(DIGEST, 1_700_000_000)
    confirm_block(proof, OTHER, header, 104, (REGTEST,))
    with pytest.raises(AnchorMismatchError):
        confirm_block(proof, OTHER, other_header, 104, (REGTEST,))


@pytest.mark.parametrize("height", [HEIGHT + 1, 0, -1])
def test_other_height_is_refused(height: int) -> None:
    with pytest.raises(AnchorMismatchError, match="no attestation"):
        confirm_block(height=height)


@pytest.mark.parametrize(("header", "height"), [(None, HEIGHT), (HEADER, None), (None, None)])
def test_header_and_height_are_both_needed(header: bytes | None, height: int | None) -> None:
    with pytest.raises(AnchorMalformedError):
        confirm_block(header=header, height=height)


@pytest.mark.parametrize("header", [b"", HEADER[:-1], HEADER + b"\0", HEADER.hex().encode()])
def test_header_of_another_length_is_malformed(header: bytes) -> None:
    with pytest.raises(AnchorMalformedError, match="80 bytes"):
        confirm_block(header=header)


@pytest.mark.parametrize("position", [0, 10, 68, 76])
def test_changed_header_does_not_meet_its_own_target(position: int) -> None:
    changed = bytearray(HEADER)
    changed[position] ^= 1
    with pytest.raises(AnchorUntrustedError, match="own target"):
        confirm_block(header=bytes(changed), bitcoin=(MAINNET, REGTEST))


def test_header_with_a_target_eased_to_regtests_is_not_mainnets() -> None:
    for nonce in range(100):
        eased = HEADER[:72] + bytes.fromhex("ffff7f20") + nonce.to_bytes(4, "little")
        try:
            confirm_block(header=eased)
        except AnchorUntrustedError as error:
            if "own target" not in error.message:
                assert "2^1 hashes" in error.message and "mainnet with 2^60" in error.message
                return
    raise AssertionError("half of all nonces fit a regtest target")


@pytest.mark.parametrize(
    "bits",
    [
        "00000000",  # zero
        "00000020",  # zero mantissa
        "ffff0000",  # shifted out to zero
        "86169818",  # the sign bit
        "ffff7f21",  # over 256 bits
        "ffffffff",
        "010000ff",
    ],
)
def test_impossible_target_is_malformed(bits: str) -> None:
    header = HEADER[:72] + bytes.fromhex(bits) + HEADER[76:]
    with pytest.raises(AnchorMalformedError, match="target"):
        confirm_block(header=header, bitcoin=(REGTEST,))


def test_header_with_less_work_than_the_rule_asks_is_refused() -> None:
    confirm_block(bitcoin=(BitcoinRules("mainnet", 67, {}),))
    with pytest.raises(AnchorUntrustedError, match=r"2\^67 hashes"):
        confirm_block(bitcoin=(BitcoinRules("mainnet", 68, {}),))


def test_regtest_is_refused_without_a_regtest_rule() -> None:
    proof, header = regtest_anchor(OTHER, 1_700_000_000, 104)
    with pytest.raises(AnchorUntrustedError):
        confirm_block(proof, OTHER, header, 104, (MAINNET,))
    with pytest.raises(AnchorUntrustedError, match="none"):
        confirm_block(proof, OTHER, header, 104, ())


def test_mainnet_rule_set_to_no_work_still_refuses_regtest() -> None:
    proof, header = regtest_anchor(OTHER, 1_700_000_000, 104)
    with pytest.raises(AnchorUntrustedError):
        confirm_block(proof, OTHER, header, 104, (BitcoinRules("mainnet", 0, {}),))


@pytest.mark.parametrize("also", [(), (REGTEST,)])
def test_header_that_is_not_the_checkpoint_is_refused(also: tuple[BitcoinRules, ...]) -> None:
    rules = BitcoinRules("mainnet", 60, {HEIGHT: "0" * 64})
    with pytest.raises(AnchorUntrustedError, match=BLOCK_ID):
        confirm_block(bitcoin=(rules, *also))


def test_checkpoint_at_another_height_does_not_matter() -> None:
    confirm_block(bitcoin=(BitcoinRules("mainnet", 60, {HEIGHT + 1: "0" * 64}),))


@pytest.mark.parametrize(("network", "bits"), [("testnet", 60), ("", 60), ("mainnet", -1), ("mainnet", 257)])
def test_rules_for_an_unknown_network_or_impossible_work_cannot_be_made(network: str, bits: int) -> None:
    with pytest.raises(InvalidFieldError):
        BitcoinRules(network, bits, {})


# --- OpenTimestamps: hostile bytes -----------------------------------------------------------


def test_truncated_proof_is_malformed() -> None:
    for length in range(len(PROOF)):
        with pytest.raises(AnchorMalformedError):
            check_proof("opentimestamps", DIGEST, PROOF[:length])


@pytest.mark.parametrize("trailing", [b"\0", b"\n", PROOF])
def test_trailing_bytes_are_malformed(trailing: bytes) -> None:
    with pytest.raises(AnchorMalformedError, match="Trailing"):
        confirm_block(PROOF + trailing)


def test_wrong_magic_is_malformed() -> None:
    with pytest.raises(AnchorMalformedError, match="magic"):
        confirm_block(b"\x01" + PROOF[1:])


def test_deep_nesting_is_malformed() -> None:
    with pytest.raises(AnchorMalformedError):
        check_proof("opentimestamps", DIGEST, PROOF[:65] + b"\x08" * 5_000 + PROOF[65:])


def test_huge_numbers_are_malformed() -> None:
    endless = b"\xff" * 20_000 + b"\x01"
    with pytest.raises(AnchorMalformedError):
        check_proof("opentimestamps", DIGEST, PROOF[:65] + b"\xf0" + endless)
    height = b"\xff" * 8_000 + b"\x01"
    attestation = bytes.fromhex("00 0588960d73d71901") + b"\xc1\x3e" + height
    check_proof("opentimestamps", DIGEST, PROOF[:65] + attestation)
    with pytest.raises(AnchorMismatchError):
        confirm_block(PROOF[:65] + attestation)


@pytest.mark.parametrize("method", ["opentimestamps", "rfc3161"])
def test_oversized_proof_is_malformed(method: str) -> None:
    with pytest.raises(AnchorMalformedError, match="more than 16384"):
        check_proof(method, DIGEST, bytes(MAX_PROOF_BYTES + 1))


def refuses(method: str, digest: bytes, proof: bytes) -> bool:
    """Return whether a proof is refused by an AnchorError; any other exception goes through."""
    try:
        check_proof(method, digest, proof)
        confirm(
            method, digest, proof, block_header=HEADER, height=HEIGHT, bitcoin=[MAINNET, REGTEST], roots=[ROOT, b""]
        )
    except AnchorError as error:
        assert len(str(error)) < 400
        return True
    return False


@pytest.mark.parametrize("method", ["opentimestamps", "rfc3161"])
@given(garbage=st.binary(max_size=300))
def test_garbage_is_refused(method: str, garbage: bytes) -> None:
    assert refuses(method, DIGEST, garbage)


@given(tree=st.binary(max_size=300))
def test_garbage_behind_a_valid_start_is_refused(tree: bytes) -> None:
    assert refuses("opentimestamps", DIGEST, PROOF[:65] + tree)


MUTATIONS = st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 2), st.binary(max_size=4)), min_size=1, max_size=5)


def mutated(proof: bytes, mutations: list[tuple[int, int, bytes]]) -> bytes:
    """Return the proof after replacing, at each position, a number of bytes by others."""
    for position, removed, added in mutations:
        at = position % (len(proof) + 1)
        proof = proof[:at] + added + proof[at + removed :]
    return proof


@given(mutations=MUTATIONS)
def test_mutated_bitcoin_proof_never_confirms_another_digest(mutations: list[tuple[int, int, bytes]]) -> None:
    refuses("opentimestamps", DIGEST, mutated(PROOF, mutations))
    assert refuses("opentimestamps", OTHER, mutated(PROOF, mutations))
    assert refuses("opentimestamps", OTHER, PROOF[:33] + OTHER + mutated(PROOF[65:], mutations))


@given(mutations=MUTATIONS)
def test_mutated_token_never_confirms_another_digest(mutations: list[tuple[int, int, bytes]]) -> None:
    refuses("rfc3161", HELLO, mutated(TOKEN, mutations))
    assert refuses("rfc3161", OTHER, mutated(TOKEN, mutations))
    assert refuses("rfc3161", OTHER, mutated(TOKEN.replace(HELLO, OTHER), mutations))


# --- both methods: the call ------------------------------------------------------------------


@pytest.mark.parametrize("method", ["", "OpenTimestamps", "roughtime"])
def test_unknown_method_is_an_invalid_field(method: str) -> None:
    with pytest.raises(InvalidFieldError):
        check_proof(method, DIGEST, PROOF)
    with pytest.raises(InvalidFieldError):
        confirm(method, DIGEST, PROOF, block_header=HEADER, height=HEIGHT, bitcoin=[MAINNET], roots=[])


def test_digest_of_another_length_is_an_invalid_field() -> None:
    with pytest.raises(InvalidFieldError, match="32 bytes"):
        check_proof("opentimestamps", DIGEST[:20], PROOF)


@pytest.mark.parametrize(("method", "proof"), [("opentimestamps", TOKEN), ("rfc3161", PROOF)])
def test_proof_of_one_method_is_malformed_as_the_other(method: str, proof: bytes) -> None:
    with pytest.raises(AnchorMalformedError):
        check_proof(method, DIGEST, proof)


# --- RFC 3161: tokens of real authorities ----------------------------------------------------


def test_real_token_confirms_under_its_root() -> None:
    check_proof("rfc3161", HELLO, TOKEN)
    found = confirm_token(TOKEN, HELLO, ROOT)
    assert found.attested_time == "2025-05-09T11:58:55Z"
    assert found.authority == "rfc3161 CN=sigstore-tsa,O=sigstore.dev, policy 1.3.6.1.4.1.57264.2"
    assert "revocation" in found.trust


def test_real_token_is_untrusted_without_its_root() -> None:
    mock_root = last_certificate(TSR / "sigstore.mock" / "ts_chain.pem")
    for roots in ([], [mock_root], [b"not a certificate"]):
        with pytest.raises(AnchorUntrustedError):
            confirm_token(TOKEN, HELLO, *roots)


def test_token_confirms_whatever_other_roots_stand_beside_its_own() -> None:
    mock_root = last_certificate(TSR / "sigstore.mock" / "ts_chain.pem")
    for roots in ([mock_root, ROOT], [ROOT, mock_root], [b"not a certificate", ROOT], [ROOT, ROOT]):
        confirm_token(TOKEN, HELLO, *roots)


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


# --- RFC 3161: our own authority -------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TimestampAuthority:
    need_openssl()
    return TimestampAuthority(tmp_path_factory.mktemp("authority"))


def need_openssl() -> None:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl program is not installed: it serves as timestamp authority")


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
    confirm_token(reply, OTHER, authority.root_der, authority.intermediate_der)


def test_token_signed_over_sha1_is_untrusted(tmp_path: Path) -> None:
    need_openssl()
    authority = TimestampAuthority(tmp_path, signer_digest="sha1")
    with pytest.raises(AnchorUntrustedError, match="weaker than SHA-256"):
        confirm_token(authority.stamp(OTHER), OTHER, authority.root_der)
