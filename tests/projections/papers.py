"""What the projections make of a log under test, and the few events that only these tests need."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final

import msgspec

from ledger.checkpoints import Checkpoint, issue
from ledger.events import Event
from ledger.keyring import NOW, microseconds
from ledger.log_keys import log_origin
from ledger.record_state import fold
from ledger.registry import DEFAULT_POLICY
from ops import regtest
from projections.document import document, events
from projections.judged import Judged, judge
from projections.status import VerificationStatus, attestation_state, verification_status
from projections.summary import equivocations, event_summary
from tests.builders import ALICE, NUMBER, OPENED, SHA256, World
from tests.logs import Log

EVERYTHING: Final = {"server_signed": "accepted", "replications": "accepted", "unverified_keys": "accepted"}
"""A moderation policy under which nothing waits for anybody."""

REGTEST: Final = [{"network": "regtest", "minimum_work_bits": 0, "checkpoints": {}}]
ORCID: Final = ALICE.signer_id.removeprefix("orcid:")
HEIGHT: Final = 101


def judged(log: Log, before: int = NOW, subject: str = NUMBER) -> Judged:
    """Judge a paper by everything a log holds."""
    found = judge(fold(subject, log.store.entries()), log.store.registry(), before)
    assert found is not None, f"{subject} has no record"
    return found


def status(log: Log, before: int = NOW) -> VerificationStatus:
    """Return a paper's status with the log's confirmed checkpoint joined, as readers see it."""
    return verification_status(judged(log, before), anchored_size=log.store.registry().anchored_size(before))


def state(log: Log, before: int = NOW) -> str:
    return attestation_state(judged(log, before), status(log, before))


def summary(log: Log) -> dict[str, Any]:
    return event_summary(judged(log))


def contradictions(log: Log) -> list[list[str]]:
    return equivocations(judged(log))


def listed(log: Log) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(events(judged(log))))
    return found


def shown(log: Log, before: int = NOW) -> dict[str, Any]:
    return document(judged(log, before), anchored_size=log.store.registry().anchored_size(before))


def open_policy(world: World, **changes: Any) -> Event:
    """Accept everything at once, and toy blocks."""
    return world.policy(**{"moderation": EVERYTHING, "bitcoin": REGTEST, **changes})


def regtest_policy(world: World, **changes: Any) -> Event:
    return world.policy(**{"bitcoin": REGTEST, **changes})


def strict_policy(world: World) -> Event:
    """Accept no block below the work of the real network."""
    return world.policy(bitcoin=DEFAULT_POLICY["bitcoin"])


def proof_over(sha256: str) -> dict[str, Any]:
    """Return the fields of an anchor that a toy block confirms."""
    proof, header = regtest.stamp(bytes.fromhex(sha256), microseconds(OPENED) // 1_000_000, HEIGHT)
    return {
        "proof_b64": base64.b64encode(proof).decode(),
        "status": "confirmed",
        "attested_time": OPENED,
        "block_header": header.hex(),
        "height": HEIGHT,
    }


def confirmed_anchor(world: World, **changes: Any) -> Event:
    return world.anchor(**{**proof_over(SHA256), **changes})


def note_of(world: World, tree_size: int) -> str:
    """Return a checkpoint over some tree of this size, signed by the registry's log key."""
    return issue(Checkpoint(log_origin(world.name), tree_size, bytes(32)), world.log.key).format().decode()


def confirmed_checkpoint(world: World, tree_size: int, note: str | None = None) -> Event:
    note = note_of(world, tree_size) if note is None else note
    sha256 = hashlib.sha256(note.encode()).hexdigest()
    anchored = {"what": "checkpoint", "sha256": sha256, "tree_size": tree_size, "note": note}
    return world.checkpoint_anchor(tree_size, **{**proof_over(sha256), "anchored": anchored})


def authors(*orcids: str | None) -> dict[str, Any]:
    """Return the part of a paper block that lists its authors, each with an iD or none."""
    rows = [{"name": f"Author {at}", **({"orcid": orcid} if orcid else {})} for at, orcid in enumerate(orcids, 1)]
    return {"authors": rows}
