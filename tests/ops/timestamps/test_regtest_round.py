"""A whole round with a real node: two calendars, our client, and the official `ots` program as judge of our files.

The node is Litecoin's, in regtest: its proof of work is scrypt, everything else is as in Bitcoin.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.anchors import BitcoinRules, confirm
from ledger.errors import AnchorError, AnchorMismatchError, AnchorUntrustedError, ServiceUnavailableError
from ops.fetching import Fetching
from ops.services import HeaderSource
from ops.timestamps.calendar import CalendarClient
from ops.timestamps.headers import Headers
from ops.timestamps.proofs import heights, merged, pending
from tests.ops.timestamps.calendars import Calendar, Explorer
from tests.ops.timestamps.chains import Litecoin
from tests.processes import environment

FETCHING = Fetching(deadline=20)
CONTENT = b"a signed checkpoint\n"
DIGEST = hashlib.sha256(CONTENT).digest()
DEPTH = 3
OTS = Path(sys.executable).with_name("ots")


@dataclass(frozen=True, slots=True)
class Round:
    """What one round left: the proof while pending, and when complete."""

    node: Litecoin
    calendars: list[Calendar]
    promised: bytes
    proof: bytes


@pytest.fixture(scope="module")
def done() -> Iterator[Round]:
    with Litecoin() as node, Calendar(node) as first, Calendar(node, prefix="/second") as second:
        second.promised_as = f"{second.url}/"  # The official program needs the slash after a path.
        clients = [CalendarClient(calendar.url, FETCHING) for calendar in (first, second)]
        promised = merged(*(client.stamp(DIGEST) for client in clients))
        proof = promised
        for calendar, client in zip((first, second), clients, strict=True):
            assert client.upgrade(proof) is None
            calendar.anchor()
            proof = client.upgrade(proof) or b""
        node.grow(DEPTH - 1)
        yield Round(node, [first, second], promised, proof)


def addresses(done: Round) -> list[str]:
    """Return the calendars' addresses as their promises name them."""
    return [calendar.promised_as or calendar.url for calendar in done.calendars]


def judge(done: Round, folder: Path, content: bytes, proof: bytes, command: str = "verify") -> tuple[int, str]:
    """Return the exit code of the official program on a proof, and what it said."""
    (folder / "content").write_bytes(content)
    (folder / "content.ots").write_bytes(proof)
    options = ["--no-cache", "--no-default-whitelist", "--btc-regtest", "--bitcoin-node", done.node.rpc_url]
    listed = [part for address in addresses(done) for part in ("-l", address)]
    result = subprocess.run(
        [sys.executable, OTS, *options, *listed, command, "content.ots"],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return result.returncode, result.stdout + result.stderr


def headers_of(done: Round, depth: int = DEPTH) -> Headers:
    return Headers([HeaderSource("node", done.node.rpc_url)], FETCHING, depth)


def test_two_calendars_lead_to_two_blocks(done: Round) -> None:
    assert pending(done.promised) == sorted(addresses(done))
    assert pending(done.proof) == [] and len(heights(done.proof)) == 2


def test_both_blocks_confirm_with_the_nodes_headers_and_are_one_clock(done: Round) -> None:
    found = [
        confirm(
            "opentimestamps", DIGEST, done.proof,
            block_header=headers_of(done).header(height), height=height, bitcoin=[done.node.rules], roots=[],
        )
        for height in heights(done.proof)
    ]  # fmt: skip
    assert {one.clock for one in found} == {"bitcoin litecoin-regtest"}
    assert [one.authority for one in found] == [
        f"bitcoin litecoin-regtest block {height}" for height in heights(done.proof)
    ]


def test_official_program_accepts_our_file(done: Round, tmp_path: Path) -> None:
    code, said = judge(done, tmp_path, CONTENT, done.proof)
    assert code == 0 and f"Bitcoin block {heights(done.proof)[0]} attests existence" in said


def test_official_program_reads_in_our_file_what_we_read(done: Round, tmp_path: Path) -> None:
    code, said = judge(done, tmp_path, CONTENT, done.proof, "info")
    assert code == 0 and f"File sha256 hash: {DIGEST.hex()}" in said
    for height in heights(done.proof):
        assert f"BitcoinBlockHeaderAttestation({height})" in said
    for address in addresses(done):
        assert f"PendingAttestation('{address}')" in said


def test_official_program_upgrades_our_promise_to_the_same_blocks(done: Round, tmp_path: Path) -> None:
    code, said = judge(done, tmp_path, CONTENT, done.promised, "upgrade")
    assert code == 0, said
    assert heights((tmp_path / "content.ots").read_bytes()) == heights(done.proof)


def test_promise_is_accepted_by_neither(done: Round, tmp_path: Path) -> None:
    for calendar in done.calendars:
        calendar.switches.down = True
    try:
        code, said = judge(done, tmp_path, CONTENT, done.promised)
    finally:
        for calendar in done.calendars:
            calendar.switches.down = False
    assert code == 1 and "attests existence" not in said
    height = heights(done.proof)[0]
    with pytest.raises(AnchorMismatchError, match="pending"):
        confirm(
            "opentimestamps", DIGEST, done.promised,
            block_header=headers_of(done).header(height), height=height, bitcoin=[done.node.rules], roots=[],
        )  # fmt: skip


def test_other_content_is_accepted_by_neither(done: Round, tmp_path: Path) -> None:
    code, said = judge(done, tmp_path, CONTENT + b"!", done.proof)
    assert code == 1 and "does not match original" in said
    height = heights(done.proof)[0]
    with pytest.raises(AnchorMismatchError):
        confirm(
            "opentimestamps", hashlib.sha256(CONTENT + b"!").digest(), done.proof,
            block_header=headers_of(done).header(height), height=height, bitcoin=[done.node.rules], roots=[],
        )  # fmt: skip


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_tampered_file_is_accepted_by_neither(done: Round, tmp_path: Path, share: float) -> None:
    proof = tampered(done.proof, share)
    code, said = judge(done, tmp_path, CONTENT, proof)
    assert code != 0 and "attests existence" not in said
    for height in heights(done.proof):
        with pytest.raises(AnchorError):
            confirm(
                "opentimestamps", DIGEST, proof,
                block_header=headers_of(done).header(height), height=height, bitcoin=[done.node.rules], roots=[],
            )  # fmt: skip


def tampered(proof: bytes, share: float) -> bytes:
    """Return a proof in which the salts of both branches differ, and one more byte at a share of its length."""
    changed = bytearray(proof)
    at = -1
    while (at := proof.find(b"\xf0\x10", at + 1)) >= 0:
        changed[at + 2] ^= 1
    changed[int(len(proof) * share)] ^= 1
    return bytes(changed)


def test_blocks_of_the_node_are_no_blocks_of_bitcoin(done: Round) -> None:
    height = heights(done.proof)[0]
    header = headers_of(done).header(height)
    for network in ("mainnet", "regtest"):
        rules = BitcoinRules(network, 0, {})
        # Half of all scrypt blocks meet the target of a regtest by chance; then they are worth as little there.
        try:
            found = confirm(
                "opentimestamps", DIGEST, done.proof,
                block_header=header, height=height, bitcoin=[rules], roots=[],
            )  # fmt: skip
        except AnchorUntrustedError:
            continue
        assert network == "regtest" and "costs nothing" in found.trust


def test_node_and_an_interface_to_it_agree(done: Round) -> None:
    with Explorer(done.node) as explorer:
        sources = [HeaderSource("node", done.node.rpc_url), HeaderSource("esplora", explorer.url)]
        height = heights(done.proof)[0]
        assert Headers(sources, FETCHING, DEPTH).header(height) == done.node.header(height)


def test_node_says_how_deep_a_block_lies_and_what_it_has_not_reached(done: Round) -> None:
    tip = done.node.tip
    with pytest.raises(ServiceUnavailableError, match=f"block {tip} is 1 of {DEPTH} deep"):
        headers_of(done).header(tip)
    assert headers_of(done, depth=1).header(tip) == done.node.header(tip)
    with pytest.raises(ServiceUnavailableError, match="not reached"):
        headers_of(done).header(tip + 1)


def test_node_with_another_password_is_named_without_it(done: Round) -> None:
    source = HeaderSource("node", done.node.rpc_url.replace("s3cret", "wr0ng"))
    with pytest.raises(ServiceUnavailableError, match="status 401") as caught:
        Headers([source], FETCHING, DEPTH).header(1)
    assert f"127.0.0.1:{done.node.port}" in str(caught.value)
    assert "wr0ng" not in str(caught.value) and "pith:" not in str(caught.value)


def test_block_that_the_node_has_left_behind_is_no_answer(done: Round) -> None:
    tip, left = done.node.tip, done.node.header(done.node.tip)
    id = done.node.call("getbestblockhash")
    done.node.call("invalidateblock", id)
    try:
        with pytest.raises(ServiceUnavailableError, match="not reached"):
            headers_of(done, depth=1).header(tip)
        elsewhere = done.node.call("getnewaddress")  # or the very same block would come about
        done.node.call("generatetoaddress", 2, elsewhere)
        assert headers_of(done, depth=1).header(tip) != left
    finally:
        done.node.call("reconsiderblock", id)
