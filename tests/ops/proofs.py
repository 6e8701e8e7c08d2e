"""Files to verify and ways to spoil them: a bundle, an export and a document of a log with a past."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from api.addresses import served
from ledger import canonical
from ledger.errors import LedgerError
from ops import bundles
from ops.export import export
from ops.trust import Trust
from ops.verify import verify_path
from projections.queries import record_as_of
from projections.rebuild import replay
from tests.builders import ALICE, BOB, CHECKER, MODERATOR, NUMBER, OPENED
from tests.logs import Log
from tests.projections.papers import confirmed_anchor, confirmed_checkpoint, regtest_policy

Spoil = Callable[[dict[str, Any]], object]
BASE_URL: Final = "https://pith.example"


def a_log(folder: Path) -> Log:
    """Return a log in which a withdrawal, a decision and a revocation each decide what counts."""
    log = Log.opened(folder)
    world = log.world
    withdrawn, held = world.citation(relationship="refutes"), world.replication()
    log.admit(world.proof_of_identity(ALICE), world.proof_of_identity(BOB), regtest_policy(world))
    log.admit(world.author(), world.citation(), withdrawn, held, world.author(BOB, author_name="Bob"))
    log.admit(world.storage(CHECKER, grade="fetched"), confirmed_anchor(world))
    anchored = log.checkpoint()
    log.admit(confirmed_checkpoint(world, anchored.size, anchored.note.decode()))
    log.clock.advance(10)
    log.admit(world.withdrawal(withdrawn), world.decision(held, "accepted", MODERATOR), world.graph_snapshot())
    log.admit(world.revocation(BOB, compromised_from=OPENED))
    return log


def a_bundle(log: Log) -> dict[str, Any]:
    """Return a paper's bundle as a reader gets it."""
    log.checkpoint()
    found: dict[str, Any] = json.loads(msgspec.json.encode(bundles.bundle(log.store, NUMBER)))
    return found


def a_document(log: Log) -> dict[str, Any]:
    """Return a paper's record document as a reader gets it."""
    document = record_as_of(log.store, NUMBER, log.store.head().size, log.store.registry())
    found: dict[str, Any] = json.loads(msgspec.json.encode(served(document, BASE_URL)))
    return found


def an_export(log: Log, folder: Path) -> Path:
    size = log.checkpoint().size
    export(log.store, folder, replay(log.store, size), lambda _: None)
    return folder


def written(folder: Path, value: object) -> Path:
    path = folder / "proof.json"
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return path


def failed_step(path: Path, keys: dict[str, bytes] | None = None, root: str | None = None) -> str:
    """Return the step at which verification fails, the error's code where it names no step, or `verified`."""
    try:
        verify_path(path, Trust(root, receipt_keys=keys or {}))
    except LedgerError as error:
        return str(getattr(error, "step", error.code))
    return "verified"


def event_of(bundle: dict[str, Any], event_type: str) -> dict[str, Any]:
    """Return the first event of a type in a bundle, or among its key events."""
    rows: list[dict[str, Any]] = [*bundle["events"], *bundle["key_events"]]
    return next(row for row in rows if row["event_type"] == event_type)


def dropped(event_type: str) -> Spoil:
    """Leave out every event of a type."""

    def spoil(bundle: dict[str, Any]) -> None:
        for name in ("events", "key_events"):
            bundle[name] = [row for row in bundle[name] if row["event_type"] != event_type]

    return spoil


def reidentified(row: dict[str, Any]) -> None:
    """Give a changed event the id that belongs to it now; the signature stays."""
    outside = ("event_id", "signature_b64", "position", "received_at")
    body = {name: item for name, item in row.items() if name not in outside}
    row["event_id"] = f"sha256:{hashlib.sha256(canonical.encode(body)).hexdigest()}"
