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
    assert "1 must vouch" in shown and "mainnet, at least 2^60 hashes" in shown and "300 seconds of skew" in shown
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
    assert "1 blocks fixed" in shown
    assert pith.fine("policy", "--json").json["bitcoin"][0]["checkpoints"] == {"0": GENESIS}


REFUSED = {
    "no such file": (("--timestamp-root", "nowhere.pem"), "cannot be read"),
    "no certificate": (("--timestamp-root", "README.md"), "no certificate in PEM form"),
    "unknown root": (("--drop-timestamp-root", "00" * 32), "no accepted certificate"),
    "no block": (("--block", "one=two"), "no HEIGHT=ID"),
    "no hex": (("--block", "1=" + "g" * 64), "payload"),
    "no clocks": (("--clocks", "0"), "--clocks"),
    "no key": (("--checker", "my key"), "payload.checkers"),
}


@pytest.mark.parametrize(("options", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_meant_is_refused_and_appends_nothing(pith: Pith, options: tuple[str, str], said: str) -> None:
    before = size_of(pith)
    done = pith("policy", *options)
    assert done.code == 2 and said in done.err
    assert size_of(pith) == before
