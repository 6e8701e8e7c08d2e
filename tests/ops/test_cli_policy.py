"""`pith policy`: seeing and changing what verdicts depend on, piece by piece."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

import pytest

from tests.processes import Pith
from tests.simulators import TimestampAuthority

GENESIS = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"


@pytest.fixture
def pith(tmp_path: Path) -> Pith:
    pith = Pith.at(tmp_path / "data")
    pith.fine("init", "press.example")
    return pith


def size_of(pith: Pith) -> int:
    return int(pith.fine("checkpoint", "--json").json["size"])


def test_looking_at_the_policy_appends_nothing(pith: Pith) -> None:
    before = size_of(pith)
    shown = pith.fine("policy").out
    assert "1 must vouch" in shown and "mainnet, at least 2^76 hashes" in shown and "300 seconds of skew" in shown
    assert size_of(pith) == before


def test_one_piece_is_changed_and_the_others_stay(pith: Pith) -> None:
    before = pith.fine("policy", "--json").json
    assert "appended" in pith.fine("policy", "--clocks", "2").out
    assert pith.fine("policy", "--json").json == {**before, "independent_clocks": 2}


def test_the_same_change_again_appends_nothing(pith: Pith) -> None:
    pith.fine("policy", "--clocks", "2")
    size = size_of(pith)
    assert "appended" not in pith.fine("policy", "--clocks", "2").out
    assert size_of(pith) == size


def test_certificates_are_accepted_from_pem_named_by_hash_and_dropped(pith: Pith, tmp_path: Path) -> None:
    authority = TimestampAuthority(tmp_path)
    pem, name = tmp_path / "root.pem", hashlib.sha256(authority.root_der).hexdigest()
    pem.write_text(ssl.DER_cert_to_PEM_cert(authority.root_der))
    assert f"authority    {name}" in pith.fine("policy", "--timestamp-root", pem, "--timestamp-root", pem).out
    assert len(pith.fine("policy", "--json").json["timestamp_roots"]) == 1
    assert name not in pith.fine("policy", "--drop-timestamp-root", name).out


def test_a_block_is_fixed_by_its_height(pith: Pith) -> None:
    shown = pith.fine("policy", "--block", f"0={GENESIS}").out
    assert "1 block fixed" in shown
    assert pith.fine("policy", "--json").json["bitcoin"][0]["checkpoints"] == {"0": GENESIS}
    assert "fixed" not in pith.fine("policy", "--drop-block", "0").out
    assert pith.fine("policy", "--json").json["bitcoin"][0]["checkpoints"] == {}


def test_without_roots_it_says_how_to_accept_one(pith: Pith) -> None:
    assert "authority    none; accept one with `pith policy --timestamp-root root.pem`" in pith.fine("policy").out


def test_a_toy_network_is_accepted_with_a_warning_and_dropped(pith: Pith) -> None:
    before = pith.fine("policy", "--json").json
    assert "WARNING" not in pith.fine("policy").out
    shown = pith.fine("policy", "--accept-network", "regtest", "--accept-network", "regtest").out
    assert "bitcoin      regtest, at least 2^0 hashes" in shown
    assert "WARNING      anybody can make blocks of regtest for nothing" in shown
    assert [rule["network"] for rule in pith.fine("policy", "--json").json["bitcoin"]] == ["mainnet", "regtest"]
    assert "WARNING" not in pith.fine("policy", "--drop-network", "regtest").out
    assert pith.fine("policy", "--json").json == before


def test_mainnet_is_accepted_again_as_it_is_at_first(pith: Pith) -> None:
    before = pith.fine("policy", "--json").json
    assert "bitcoin      none" in pith.fine("policy", "--drop-network", "mainnet").out
    pith.fine("policy", "--accept-network", "mainnet")
    assert pith.fine("policy", "--json").json == before


def test_after_some_checkers_every_one_is_believed_again(pith: Pith) -> None:
    assert f"checker      {'ab' * 32}" in pith.fine("policy", "--checker", "ab" * 32).out
    assert "every key with the role storage_checker" in pith.fine("policy", "--checker", "any").out
    assert pith.fine("policy", "--json").json["checkers"] == []


def test_a_mirror_shows_its_policy_and_changes_nothing(pith: Pith) -> None:
    (pith.data / "following").touch()
    pith.fine("policy")
    for options in (("--clocks", "2"), ("--drop-network", "no such"), ("--checker", "any")):
        done = pith("policy", *options)
        assert done.code == 2 and "mirror" in done.err


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "no such file": (("--timestamp-root", "nowhere.pem"), "cannot be read"),
    "no certificate": (("--timestamp-root", "README.md"), "no certificate in PEM form"),
    "unknown root": (("--drop-timestamp-root", "00" * 32), "no accepted certificate"),
    "no block": (("--block", "one=two"), "no HEIGHT=ID"),
    "no hex": (("--block", "1=" + "g" * 64), "is no id of a block"),
    "short id": (("--block", "1=" + "a" * 63), "is no id of a block"),
    "no height": (("--drop-block", "-1"), "is no height"),
    "no such block": (("--drop-block", "7"), "no block is fixed at 7"),
    "no network": (("--accept-network", "testnet"), "there is no network 'testnet'"),
    "no such network": (("--drop-network", "regtest"), "no network 'regtest' is accepted"),
    "no clocks": (("--clocks", "0"), "--clocks"),
    "no key": (("--checker", "my key"), "is no key id"),
    "any and one": (("--checker", "any", "--checker", "ab" * 32), "is no key id"),
}


@pytest.mark.parametrize(("options", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_meant_is_refused_and_appends_nothing(pith: Pith, options: tuple[str, ...], said: str) -> None:
    before = size_of(pith)
    done = pith("policy", *options)
    assert done.code == 2 and said in done.err
    assert size_of(pith) == before
