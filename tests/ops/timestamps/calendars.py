"""A real OpenTimestamps calendar over HTTP, and an interface to block headers, both with failure switches.

For whoever tests anchoring:

    with ToyCalendar() as calendar, Explorer(calendar.chain) as explorer:
        calendar.url                  its address; `Calendar(chain)` runs one on any chain (`chains.py`)
        calendar.anchor()             put all that was promised into one block now, and return the height
        calendar.prompt = True        do so by itself whenever a promise is asked about
        calendar.switches.down = True … see `serving.Switches` (down, refusing, hanging, endless, huge, garbage, status)
        calendar.never_confirms       accept everything and keep no promise
        calendar.lies = "digest"      upgrades lead to no block at all: they are made for another commitment
        calendar.lies = "block"       upgrades name the next block instead
        calendar.lies = "blocks"      upgrades name many lower blocks too, which hold nothing of it
        calendar.submitted, .asked    how often each digest (hex) was submitted, and asked about
        explorer.url                  an address for HeaderSource("esplora", …); it has switches too, and `lies`
        calendar.chain.grow(6)        put blocks upon the newest

Several calendars may share one chain. The promises and what they lead to are what the reference server answers, byte
for byte in form; `ots` accepts them (test_regtest_round).
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from typing import Literal

from opentimestamps.core.notary import BitcoinBlockHeaderAttestation, PendingAttestation  # type: ignore[import-untyped]
from opentimestamps.core.op import OpAppend, OpPrepend, OpSHA256  # type: ignore[import-untyped]
from opentimestamps.core.serialize import BytesSerializationContext  # type: ignore[import-untyped]
from opentimestamps.core.timestamp import Timestamp, make_merkle_tree  # type: ignore[import-untyped]

from ops.regtest import mine
from tests.ops.timestamps.chains import Chain, ToyChain, id_at
from tests.ops.timestamps.serving import Reply, Request, Served

OTS = "application/vnd.opentimestamps.v1"


class Calendar(Served):
    """A calendar that anchors in a chain; `promised_as` is the address its promises name, its own if None."""

    def __init__(self, chain: Chain, prefix: str = "", promised_as: str | None = None) -> None:
        self.chain = chain
        self.promised_as = promised_as
        self.prompt = False
        self.never_confirms = False
        self.lies: Literal["", "digest", "block", "blocks"] = ""
        self.submitted: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self._digests: dict[bytes, str] = {}
        self._waiting: list[bytes] = []
        self._kept: dict[bytes, Timestamp] = {}
        self._anchoring = threading.Lock()
        super().__init__(prefix)

    def anchor(self) -> int | None:
        """Put every commitment that waits into one block; return its height, None where nothing waits."""
        with self._anchoring:
            waiting, self._waiting = self._waiting, []
            if self.never_confirms or not waiting:
                self._waiting = waiting
                return None
            stamps = {commitment: Timestamp(commitment) for commitment in waiting}
            height = self.chain.bury(make_merkle_tree([stamp.ops.add(OpSHA256()) for stamp in stamps.values()]))
            self._kept.update(stamps)
            return height

    @property
    def waiting(self) -> int:
        """How many promises are not kept yet."""
        return len(self._waiting)

    def answer(self, request: Request) -> Reply:
        if request.method == "POST" and request.path == "/digest":
            return self._promise(request.body)
        if request.method == "GET" and request.path.startswith("/timestamp/"):
            return self._tell(bytes.fromhex(request.path.removeprefix("/timestamp/")))
        return Reply(404, b"Not found", "text/plain")

    def _promise(self, digest: bytes) -> Reply:
        if len(digest) > 64:
            return Reply(400, b"digest too long", "text/plain")
        self.submitted[digest.hex()] += 1
        promise = Timestamp(digest)
        salted = promise.ops.add(OpAppend(os.urandom(16))).ops.add(OpSHA256())
        dated = salted.ops.add(OpPrepend(int(time.time()).to_bytes(4, "big")))
        committed = dated.ops.add(OpAppend(sha256(b"mac" + dated.msg).digest()[:8]))
        committed.attestations.add(PendingAttestation(self.promised_as or self.url))
        with self._anchoring:
            self._waiting.append(committed.msg)
        self._digests[committed.msg] = digest.hex()
        return Reply(200, written(promise), OTS)

    def _tell(self, commitment: bytes) -> Reply:
        self.asked[self._digests.get(commitment, "unknown")] += 1
        if commitment not in self._digests:
            return Reply(404, b"Commitment not found", "text/plain")
        if self.prompt:
            self.anchor()
        kept = self._kept.get(commitment)
        if kept is None:
            return Reply(404, b"Pending confirmation in Bitcoin blockchain", "text/plain")
        return Reply(200, self._lie(written(kept)), OTS)

    def _lie(self, truth: bytes) -> bytes:
        if self.lies == "digest":
            return bytes(OpSHA256.TAG + OpSHA256.TAG) + truth
        if self.lies == "blocks":
            return b"".join(b"\xff" + _false_branch(height) for height in range(1, 20)) + truth
        if self.lies == "block":
            start, tag, height = truth.partition(BitcoinBlockHeaderAttestation.TAG)
            step = -1 if height[1] & 0x7F == 0x7F else 1
            return bytes(start + tag + height[:1] + bytes([height[1] + step]) + height[2:])
        return truth


class ToyCalendar(Calendar):
    """A calendar with a toy chain of its own, or a shared one."""

    def __init__(
        self,
        chain: ToyChain | None = None,
        prefix: str = "",
        promised_as: str | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        self.toy = chain or ToyChain(clock)
        super().__init__(self.toy, prefix, promised_as)


class Explorer(Served):
    """Headers of a chain as Esplora serves them.

    `lies` "block": another block for every height, which hashes to its id; "header": a header that does not;
    "form": words in place of an id. `behind` is how many of the newest blocks it does not know yet.
    """

    def __init__(self, chain: Chain, prefix: str = "") -> None:
        self.chain = chain
        self.lies: Literal["", "block", "header", "form"] = ""
        self.behind = 0
        super().__init__(prefix)

    def answer(self, request: Request) -> Reply:
        match request.path.strip("/").split("/"):
            case ["blocks", "tip", "height"]:
                return _text(str(self.chain.tip - self.behind))
            case ["block-height", height] if self.lies == "form":
                return _text(f"block {height}, as you wish")
            case ["block-height", height] if self.lies == "block":
                return _text(sha256d_id(self._other()))
            case ["block-height", height] if int(height) <= self.chain.tip - self.behind:
                return _text(id_at(self.chain, int(height)))
            case ["block", id, "header"] if self.lies:
                return _text(self._other().hex())
            case ["block", id, "header"]:
                heights = range(self.chain.tip, -1, -1)
                return _text(next((self._hex(at) for at in heights if id_at(self.chain, at) == id), None))
        return _text(None)

    def _hex(self, height: int) -> str | None:
        header = self.chain.header(height)
        return None if header is None else header.hex()

    def _other(self) -> bytes:
        return mine(sha256(b"another chain").digest(), 1_700_000_000)


def _false_branch(height: int) -> bytes:
    """Return the bytes of a branch that leads, from whatever is below it, to a block that holds nothing of it."""
    branch = Timestamp(bytes(32))
    branch.ops.add(OpAppend(height.to_bytes(1, "big"))).attestations.add(BitcoinBlockHeaderAttestation(height))
    return written(branch)


def sha256d_id(header: bytes) -> str:
    return sha256(sha256(header).digest()).digest()[::-1].hex()


def written(timestamp: Timestamp) -> bytes:
    """Return the bytes of a timestamp as a calendar answers it, without the frame of a file."""
    context = BytesSerializationContext()
    timestamp.serialize(context)
    return bytes(context.getbytes())


def _text(told: str | None) -> Reply:
    return Reply(404, b"Block not found", "text/plain") if told is None else Reply(200, told.encode(), "text/plain")
