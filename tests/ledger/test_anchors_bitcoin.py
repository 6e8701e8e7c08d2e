"""OpenTimestamps proofs: real Bitcoin vectors, our own regtest, and bytes that are no proof."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from opentimestamps.core.notary import (  # type: ignore[import-untyped]
    BitcoinBlockHeaderAttestation,
    LitecoinBlockHeaderAttestation,
    UnknownAttestation,
)

from ledger.anchors import BitcoinRules, Confirmation, check_proof, confirm
from ledger.errors import AnchorMalformedError, AnchorMismatchError, AnchorUntrustedError, InvalidFieldError
from ops.regtest import attested
from ops.regtest import mine as mine_regtest
from ops.regtest import stamp as regtest_anchor
from tests.ledger.timestamps import DIGEST, HEADER, HEIGHT, MAINNET, OTHER, OTS, PROOF, REGTEST
from tests.simulators import pending_anchor

BLOCK_ID = "000000000000000003e892881a8cdcdc117c06d444057c98b6f04a9ee75a2319"


def confirm_block(
    proof: bytes = PROOF,
    digest: bytes = DIGEST,
    header: bytes | None = HEADER,
    height: int | None = HEIGHT,
    bitcoin: tuple[BitcoinRules, ...] = (MAINNET,),
) -> Confirmation:
    return confirm("opentimestamps", digest, proof, block_header=header, height=height, bitcoin=bitcoin, roots=[])


# What confirms.


def test_real_bitcoin_proof_confirms_with_its_block_header() -> None:
    found = confirm_block()
    assert found.attested_time == "2015-05-28T15:41:18Z"
    assert found.authority == "bitcoin mainnet block 358391"
    assert "2^67 hashes" in found.trust and "registry's word" in found.trust
    assert found.clock == "bitcoin mainnet"


def test_checkpoint_takes_the_place_of_the_registrys_word() -> None:
    found = confirm_block(bitcoin=(BitcoinRules("mainnet", 60, {HEIGHT: BLOCK_ID}),))
    assert "registry's word" not in found.trust


def test_regtest_proof_confirms_under_a_regtest_rule_and_says_what_that_is_worth() -> None:
    proof, header = regtest_anchor(OTHER, 1_700_000_000, 104)
    found = confirm_block(proof, OTHER, header, 104, (MAINNET, REGTEST))
    assert found.attested_time == "2023-11-14T22:13:20Z"
    assert found.authority == "bitcoin regtest block 104"
    assert "nothing about time" in found.trust
    assert found.clock == "bitcoin regtest"


@pytest.mark.parametrize("order", [(MAINNET, REGTEST), (REGTEST, MAINNET)])
def test_mainnet_header_is_mainnets_even_where_regtest_is_accepted(order: tuple[BitcoinRules, ...]) -> None:
    assert confirm_block(bitcoin=order).authority == "bitcoin mainnet block 358391"


def test_proof_with_several_attestations_of_one_height_confirms_by_the_one_that_fits() -> None:
    proof, header = regtest_anchor(OTHER, 1_700_000_000, 104)
    start = proof[:65]
    stray = bytes.fromhex("ff00 0588960d73d71901 01 68")
    assert confirm_block(start + stray + proof[65:], OTHER, header, 104, (REGTEST,)).authority.endswith("block 104")


def test_every_block_of_a_chain_is_the_same_clock() -> None:
    other_height = 428648
    headers = json.loads((OTS / "headers.json").read_text())
    merkle = bytes.fromhex(headers[str(other_height)])[36:68]
    proof = attested(merkle, BitcoinBlockHeaderAttestation(other_height))
    other = confirm_block(proof, merkle, bytes.fromhex(headers[str(other_height)]), other_height)
    assert other.authority != confirm_block().authority and other.clock == confirm_block().clock


# Litecoin's toy chain: the same headers, another proof of work.

LITECOIN = BitcoinRules("litecoin-regtest", 0, {})
# Block 1 of a litecoind in regtest: scrypt meets its target, double SHA-256 does not.
LITECOIN_HEADER = bytes.fromhex(
    "00000020f916c456fc51df627885d7d674ed02dc88a225adb3f02ad13eb4938ff3270853"
    "758590b168f45bb5f6c5123475263bdb572e85548cc62d3f9faeb47f138fde06d710036bffff7f2001000000"
)
LITECOIN_ROOT = LITECOIN_HEADER[36:68]
LITECOIN_PROOF = attested(LITECOIN_ROOT, BitcoinBlockHeaderAttestation(1))


@pytest.mark.parametrize("rules", [(LITECOIN,), (MAINNET, REGTEST, LITECOIN), (LITECOIN, REGTEST)])
def test_litecoin_regtest_header_is_judged_by_scrypt(rules: tuple[BitcoinRules, ...]) -> None:
    found = confirm_block(LITECOIN_PROOF, LITECOIN_ROOT, LITECOIN_HEADER, 1, rules)
    assert found.attested_time == "2026-11-22T15:57:11Z"
    assert found.authority == "bitcoin litecoin-regtest block 1"
    assert found.clock == "bitcoin litecoin-regtest"
    assert "nothing about time" in found.trust


def test_checkpoint_of_a_litecoin_block_is_its_double_sha256_id() -> None:
    id = "c372378ae11d916d2ff7594f5e46b5100c6bef08b166457f9f5455ea0e08faad"
    rules = BitcoinRules("litecoin-regtest", 0, {1: id})
    confirm_block(LITECOIN_PROOF, LITECOIN_ROOT, LITECOIN_HEADER, 1, (rules,))
    with pytest.raises(AnchorUntrustedError, match=id):
        confirm_block(
            LITECOIN_PROOF, LITECOIN_ROOT, LITECOIN_HEADER, 1, (BitcoinRules(rules.network, 0, {1: "0" * 64}),)
        )


@pytest.mark.parametrize("rules", [(REGTEST,), (MAINNET, REGTEST), (BitcoinRules("mainnet", 0, {}),)])
def test_litecoin_header_does_no_work_on_a_chain_of_bitcoin(rules: tuple[BitcoinRules, ...]) -> None:
    with pytest.raises(AnchorUntrustedError, match="own target"):
        confirm_block(LITECOIN_PROOF, LITECOIN_ROOT, LITECOIN_HEADER, 1, rules)


def test_mainnet_header_does_no_work_on_litecoins_chain() -> None:
    with pytest.raises(AnchorUntrustedError, match="own target"):
        confirm_block(bitcoin=(LITECOIN,))
    assert confirm_block(bitcoin=(LITECOIN, MAINNET)).clock == "bitcoin mainnet"


def test_changed_litecoin_header_does_not_meet_its_target() -> None:
    for nonce in range(2, 100):
        changed = LITECOIN_HEADER[:76] + nonce.to_bytes(4, "little")
        try:
            confirm_block(LITECOIN_PROOF, LITECOIN_ROOT, changed, 1, (LITECOIN,))
        except AnchorUntrustedError as error:
            assert "own target" in error.message
            return
    raise AssertionError("half of all nonces miss a regtest target")


# The vectors.


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


# What does not confirm.


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


# Hostile bytes.


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
