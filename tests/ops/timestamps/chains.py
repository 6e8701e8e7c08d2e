"""Chains of blocks for tests: a toy of one process, and a real Litecoin node in regtest.

Both take a hash into a block (`bury`), tell headers, and grow on demand; `rules` are what accepts their headers.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.error import HTTPError, URLError
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

from opentimestamps.core.notary import BitcoinBlockHeaderAttestation  # type: ignore[import-untyped]
from opentimestamps.core.op import OpAppend, OpPrepend, OpSHA256  # type: ignore[import-untyped]
from opentimestamps.core.timestamp import Timestamp  # type: ignore[import-untyped]

from ledger.anchors import BitcoinRules
from ledger.block_headers import block_id
from ops.regtest import mine
from tests.programs import program

FIRST_HEIGHT = 101


class Chain(Protocol):
    rules: BitcoinRules

    def bury(self, root: Timestamp) -> int:
        """Put a hash into a new block: lead its timestamp on to the block's attestation, and return the height."""

    def grow(self, number: int) -> None:
        """Put empty blocks upon the newest."""

    def header(self, height: int) -> bytes | None:
        """Return the raw header at a height, None above the tip."""

    @property
    def tip(self) -> int: ...


class ToyChain:
    """Blocks with real proof of work (`ops.regtest`) at a time of the clock (microseconds), from height 101 on."""

    def __init__(self, clock: Callable[[], int] = lambda: time.time_ns() // 1_000) -> None:
        self.rules = BitcoinRules("regtest", 0, {})
        self.clock = clock
        self._headers: list[bytes] = []
        self._lock = threading.Lock()

    def bury(self, root: Timestamp) -> int:
        merkle = root.ops.add(OpPrepend(sha256(b"coinbase").digest())).ops.add(OpSHA256()).ops.add(OpSHA256())
        with self._lock:
            height = self._mine(merkle.msg)
        merkle.attestations.add(BitcoinBlockHeaderAttestation(height))
        return height

    def grow(self, number: int) -> None:
        with self._lock:
            for _ in range(number):
                self._mine(sha256(b"empty %d" % len(self._headers)).digest())

    def header(self, height: int) -> bytes | None:
        at = height - FIRST_HEIGHT
        return self._headers[at] if 0 <= at < len(self._headers) else None

    def replace(self, height: int) -> None:
        """Let another block stand at a height, as after a reorganisation."""
        self._headers[height - FIRST_HEIGHT] = mine(sha256(b"another").digest(), self.clock() // 1_000_000)

    @property
    def tip(self) -> int:
        return FIRST_HEIGHT + len(self._headers) - 1

    def _mine(self, merkle_root: bytes) -> int:
        self._headers.append(mine(merkle_root, self.clock() // 1_000_000))
        return self.tip


class Litecoin:
    """A real node in regtest with coins to spend; a context manager. Skips or fails where `litecoind` is missing.

    `rpc_url` is its JSON-RPC address with user and password in it.
    """

    def __init__(self) -> None:
        self.rules = BitcoinRules("litecoin-regtest", 0, {})
        litecoind = program("litecoind", "apt install litecoind")
        self._folder = tempfile.TemporaryDirectory(prefix="pith-litecoin-", ignore_cleanup_errors=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.rpc_url = f"http://pith:s3cret@127.0.0.1:{self.port}"
        options = {
            "datadir": self._folder.name, "rpcuser": "pith", "rpcpassword": "s3cret", "rpcport": self.port,
            "rpcbind": "127.0.0.1", "rpcallowip": "127.0.0.1", "listen": 0, "dnsseed": 0, "fallbackfee": "0.0002",
            "listenonion": 0, "server": 1, "rpcservertimeout": 2,
            # What a legacy address holds is spent without a witness, so that a transaction's bytes hash to its id.
            "addresstype": "legacy", "changetype": "legacy",
        }  # fmt: skip
        command = [litecoind, "-regtest", *(f"-{name}={value}" for name, value in options.items())]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self._wait()
            self.call("createwallet", "w")
            self._address = self.call("getnewaddress")
            self.grow(101)
        except BaseException:
            self.close()
            raise

    def call(self, method: str, *parameters: object) -> Any:
        """Return the result of a call to the node; raises RuntimeError with its error."""
        body = json.dumps({"method": method, "params": parameters, "id": 1}).encode()
        token = base64.b64encode(b"pith:s3cret").decode()
        request = HttpRequest(f"http://127.0.0.1:{self.port}/", body, {"Authorization": f"Basic {token}"})
        try:
            with urlopen(request, timeout=60) as answer:
                return json.load(answer)["result"]
        except HTTPError as error:
            with error:
                raise RuntimeError(error.read().decode()) from None

    def bury(self, root: Timestamp) -> int:
        raw = self.call("createrawtransaction", [], {"data": root.msg.hex()})
        # The change is spent next time, so it must be a legacy address's too.
        funded = self.call("fundrawtransaction", raw, {"changeAddress": self._address})["hex"]
        signed = bytes.fromhex(self.call("signrawtransactionwithwallet", funded)["hex"])
        id = self.call("sendrawtransaction", signed.hex())
        (block,) = self.call("generatetoaddress", 1, self._address)
        before, after = signed.split(root.msg)
        transaction = root.ops.add(OpPrepend(before)).ops.add(OpAppend(after)).ops.add(OpSHA256()).ops.add(OpSHA256())
        described = self.call("getblock", block, 1)
        merkle = _to_merkle_root(transaction, [bytes.fromhex(one)[::-1] for one in described["tx"]])
        assert bytes.fromhex(id)[::-1] == transaction.msg
        assert bytes.fromhex(described["merkleroot"])[::-1] == merkle.msg
        merkle.attestations.add(BitcoinBlockHeaderAttestation(described["height"]))
        return int(described["height"])

    def grow(self, number: int) -> None:
        self.call("generatetoaddress", number, self._address)

    def header(self, height: int) -> bytes | None:
        if height > self.tip:
            return None
        return bytes.fromhex(self.call("getblockheader", self.call("getblockhash", height), False))

    @property
    def tip(self) -> int:
        return int(self.call("getblockcount"))

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self.call("getblockcount")
                return
            except (URLError, ConnectionError, RuntimeError) as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    said = Path(self._folder.name, "regtest", "debug.log")
                    log = said.read_text()[-800:] if said.exists() else "no log"
                    raise RuntimeError(f"litecoind does not start: {error}\n{log}") from error
                time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _to_merkle_root(transaction: Timestamp, ids: list[bytes]) -> Timestamp:
    """Lead a transaction on through a block's Merkle tree (raw ids, in order; an odd last one is doubled)."""
    at, level = ids.index(transaction.msg), ids
    while len(level) > 1:
        if len(level) % 2:
            level = [*level, level[-1]]
        step = OpPrepend(level[at - 1]) if at % 2 else OpAppend(level[at + 1])
        transaction = transaction.ops.add(step).ops.add(OpSHA256()).ops.add(OpSHA256())
        level = [sha256(sha256(a + b).digest()).digest() for a, b in zip(level[::2], level[1::2], strict=True)]
        at //= 2
    return transaction


def id_at(chain: Chain, height: int) -> str | None:
    """Return the id of the block at a height, None above the tip."""
    header = chain.header(height)
    return None if header is None else block_id(header)
