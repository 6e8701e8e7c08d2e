"""Asking a holder to prove that it has a file: the checker's side of `ledger.possession`.

    POST the location's address, with the canonical JSON of {checkpoint_root, sha256}, both in hex
    200 and an answer; 404 or 410 where the holder does not have it

The key that must sign stands in the location, the root to which the chunks must lead comes from the deposit's
statement; nothing that is checked comes from the holder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Protocol

from ledger import canonical
from ledger.checkpoints import Checkpoint
from ledger.errors import NotFoundError, ServiceRefusedError, ServiceUnavailableError
from ledger.possession import MAX_ANSWER_BYTES, Challenge, Deposit, parse_location, verify_answer

_OK: Final = 200
_GONE: Final = (404, 410)
_LATER: Final = (408, 425, 429)


class Answered(Protocol):
    """A whole answer."""

    @property
    def status(self) -> int: ...

    @property
    def body(self) -> bytes: ...


Ask = Callable[[str, str, int, bytes], Answered]
"""Takes method, address, how many bytes the answer can have, and the body; raises a LedgerError where none came."""


@dataclass(frozen=True, slots=True)
class Proved:
    """What a good answer leaves for a `storage_attestation`: its `possession`, and for its `check` the rest."""

    possession: dict[str, Any]
    http_status: int
    evidence_sha256: str


def challenge(location: str, deposit: Deposit, checkpoint: Checkpoint, ask: Ask) -> Proved:
    """Challenge the holder at a location about one file.

    Args:
        location: `http(s)://…#ed25519:HEX`.
        deposit: what was recorded of the file before, see `ledger.possession.deposit_of`.
        checkpoint: this log's newest, checked by the caller; older ones may have been answered before.

    Raises:
        NotFoundError: the holder says that it does not have the file.
        VerificationError: it answered, and the answer does not hold; the step says why. It did not prove anything.
        ServiceUnavailableError: it cannot answer now.
        ServiceRefusedError: it refuses.
        InvalidFieldError, WeakKeyError: the location is no holder's.
    """
    address, key = parse_location(location, "payload.location.url")
    asked = Challenge(checkpoint.root, key, deposit.sha256)
    body = canonical.encode({"checkpoint_root": checkpoint.root.hex(), "sha256": deposit.sha256.hex()})
    answer = ask("POST", address, MAX_ANSWER_BYTES, body)
    if answer.status in _GONE:
        raise NotFoundError(f"the holder does not have it (status {answer.status})", place=address, cure="")
    if answer.status >= 500 or answer.status in _LATER:
        raise ServiceUnavailableError(f"the holder cannot answer now (status {answer.status})", place=address)
    if answer.status != _OK:
        raise ServiceRefusedError(f"the holder does not answer (status {answer.status})", place=address)
    possession = verify_answer(answer.body, asked, deposit, checkpoint.size)
    return Proved(possession, answer.status, sha256(answer.body).hexdigest())
