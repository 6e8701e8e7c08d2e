"""Files to verify and ways to spoil them: bundles, receipts, proofs and exports of a log with a past."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from api.addresses import served
from ledger import canonical, notes
from ledger.checkpoint_store import SignedCheckpoint
from ledger.errors import LedgerError
from ledger.events import Entry, Event
from ledger.keys import SecretKey
from ledger.log_keys import log_verifier
from ledger.notes import COSIGNATURE, Verifier
from ledger.proofs import receipts
from ledger.proofs.trust import Trust
from ledger.quorum import Policy
from ledger.quorum import parse as parse_policy
from ops.export import export
from ops.verify import verify_path
from projections import bundles
from projections.queries import record_as_of
from projections.rebuild import replay
from tests.builders import ALICE, BOB, CHECKER, MODERATOR, NUMBER, OPENED, Who, World, key
from tests.logs import Log
from tests.projections.papers import confirmed_anchor, confirmed_checkpoint, open_policy, regtest_policy
from tests.simulators import TimestampAuthority

Spoil = Callable[[dict[str, Any]], object]
BASE_URL: Final = "https://pith.example"
NO_ROOT: Final = "sha256:" + "0" * 64
NO_HASH: Final = base64.b64encode(bytes(32)).decode()
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

WITNESS: Final = key("a witness")
WITNESS_KEY: Final = Verifier("witness.example/w", COSIGNATURE, WITNESS.public_key)


# Logs.


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


def an_anchored_log(folder: Path) -> Log:
    """Return a log like `a_log` whose first entries a Bitcoin block and a timestamp authority vouch for."""
    log = a_log(folder)
    (folder / "authority").mkdir()
    authority = TimestampAuthority(folder / "authority")
    log.admit(regtest_policy(log.world, timestamp_roots=[base64.b64encode(authority.root_der).decode()]))
    signed = log.checkpoint()
    payload = confirmed_checkpoint(log.world, signed.size, signed.note.decode()).value["payload"]
    proof = authority.stamp(bytes.fromhex(payload["anchored"]["sha256"]))
    stamped = {
        "anchored": payload["anchored"],
        "method": "rfc3161",
        "service": "https://tsa.example.org",
        "proof_b64": base64.b64encode(proof).decode(),
        "status": "confirmed",
    }
    log.admit(log.world.checkpoint_anchor(**stamped), log.world.citation(relationship="extends"))
    log.checkpoint()
    return log


def thiefs_log(folder: Path) -> Log:
    """Return somebody else's log of the same name: every key but the name is the thief's own."""
    world = World()
    for role in ("registry", "receipt", "log"):
        setattr(world, role, Who(key(f"a thief's {role}"), "pith_registry", world.registry.signer_id))
    return Log.opened(folder, world)


def registry_key(log: Log, name: str) -> Who:
    """Return another key of a log's registry."""
    return Who(key(name), "pith_registry", log.world.registry.signer_id)


def with_a_backup(folder: Path) -> Log:
    """Return a log that counts at once what anybody says, with a backup of the registry's event key."""
    log = Log.opened(folder)
    log.admit(open_policy(log.world), log.world.registration(registry_key(log, "backup"), "event"))
    return log


def with_citations(log: Log, count: int) -> Log:
    """Add cheap events, so that the log has more than one tile."""
    log.admit(*(log.world.citation(ALICE) for _ in range(count)))
    return log


def root_of_log(log: Log) -> str:
    return log.store.entry(0).event.id_text


def log_key_of(log: Log) -> Verifier:
    return log_verifier(log.world.name, log.world.log.key.public_key)


def entry_of(log: Log, event: Event) -> Entry:
    return log.store.find(event.event_id)


def first_of(log: Log, event_type: str) -> Entry:
    return next(entry for entry in log.store.entries() if entry.event.event_type == event_type)


def cosigned(log: Log, by: SecretKey = WITNESS, verifier: Verifier = WITNESS_KEY) -> SignedCheckpoint:
    """Publish a checkpoint that a made-up witness has cosigned."""
    signed = log.checkpoint()
    line = notes.cosign(notes.parse(signed.note).text, verifier.name, by, 1_767_139_200)
    log.store.checkpoints.add_cosignatures(signed.size, {verifier: line})
    return log.store.checkpoints.published()


def policy_of(*verifiers: Verifier, threshold: str = "all", log: Verifier | None = None) -> Policy:
    """Return a policy that asks for some of the witnesses with these keys."""
    lines = [f"log {log.format()}"] if log else []
    lines += [f"witness w{at} {verifier.format()}" for at, verifier in enumerate(verifiers)]
    lines.append(f"group all {threshold} " + " ".join(f"w{at}" for at in range(len(verifiers))))
    return parse_policy("".join(f"{line}\n" for line in (*lines, "quorum all")).encode())


# Files.


def as_read(value: object) -> dict[str, Any]:
    """Return a value as somebody reads it from its file."""
    found: dict[str, Any] = json.loads(msgspec.json.encode(value))
    return found


def a_bundle(log: Log) -> dict[str, Any]:
    """Return a paper's bundle as a reader gets it."""
    log.checkpoint()
    return as_read(bundles.bundle(log.store, NUMBER))


def a_receipt(log: Log, entry: Entry) -> dict[str, Any]:
    """Return an entry's receipt, up to the published checkpoint, as a reader gets it."""
    return as_read(receipts.receipt(log.store, entry))


def a_growth(log: Log, old: SignedCheckpoint, new: SignedCheckpoint) -> dict[str, Any]:
    """Return the proof of consistency between two checkpoints as a reader gets it."""
    return as_read(receipts.consistency(log.store, old, new))


def a_document(log: Log) -> dict[str, Any]:
    """Return a paper's record document as a reader gets it."""
    document = record_as_of(log.store, NUMBER, log.store.head().size, log.store.registry())
    return as_read(served(document, BASE_URL))


def an_export(log: Log, folder: Path) -> Path:
    size = log.checkpoint().size
    export(log.store, folder, log.store.checkpoints.published(), replay(log.store, size), lambda _: None)
    return folder


def files_of(folder: Path) -> list[str]:
    """Return the names of all files in a folder, in their order."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def written(folder: Path, value: object) -> Path:
    path = folder / "proof.json"
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return path


def failed_step(path: Path, **trust: Any) -> str:
    """Return the step at which verification fails, the error's code where it names no step, or `verified`."""
    try:
        verify_path(path, Trust(**trust))
    except LedgerError as error:
        return str(getattr(error, "step", error.code))
    return "verified"


# Ways to spoil them.


def put(*path: str | int, value: Any) -> Spoil:
    """Put another value at a path."""

    def spoil(found: Any) -> None:
        for part in path[:-1]:
            found = found[part]
        found[path[-1]] = value

    return spoil


def without(*path: str | int) -> Spoil:
    def spoil(found: Any) -> None:
        for part in path[:-1]:
            found = found[part]
        del found[path[-1]]

    return spoil


def changed(*path: str | int, by: Callable[[Any], Any]) -> Spoil:
    """Replace the value at a path by what a function makes of it."""

    def spoil(found: Any) -> None:
        for part in path[:-1]:
            found = found[part]
        found[path[-1]] = by(found[path[-1]])

    return spoil


def more(value: int) -> int:
    return value + 1


def shorter(proof: list[str]) -> list[str]:
    return proof[:-1]


def headless(proof: list[str]) -> list[str]:
    return proof[1:]


def longer(proof: list[str]) -> list[str]:
    return [*proof, NO_HASH]


def backwards(proof: list[str]) -> list[str]:
    return proof[::-1]


def another_hash(proof: list[str]) -> list[str]:
    return [NO_HASH, *proof[1:]]


def unpadded(proof: list[str]) -> list[str]:
    return [proof[0].rstrip("="), *proof[1:]]


def loose_bits_of(encoded: str) -> str:
    """Spell base64 that is padded with one or two = with bits set that it does not need."""
    digits = encoded.rstrip("=")
    return digits[:-1] + _LETTERS[_LETTERS.index(digits[-1]) | 1] + "=" * (len(encoded) - len(digits))


def loose_bits(proof: list[str]) -> list[str]:
    """Spell the first hash so that a careless reader takes it for the same bytes."""
    return [loose_bits_of(proof[0]), *proof[1:]]


def wrapped(proof: list[str]) -> list[str]:
    return [proof[0] + "\n", *proof[1:]]


def short_hash(proof: list[str]) -> list[str]:
    return [base64.b64encode(bytes(31)).decode(), *proof[1:]]


FORMS: Final = [unpadded, loose_bits, wrapped, short_hash]
"""Proofs that are not spelled as they must be."""

LIES: Final = [shorter, headless, longer, backwards, another_hash]
"""Proofs that lead elsewhere."""


def event_of(bundle: dict[str, Any], event_type: str) -> dict[str, Any]:
    """Return the first event of a type in a bundle, or among its key events."""
    rows: list[dict[str, Any]] = [*bundle["events"], *bundle["key_events"]]
    return next(row for row in rows if row["event_type"] == event_type)


def dropped(event_type: str) -> Spoil:
    """Leave out every event of a type."""

    def spoil(bundle: dict[str, Any]) -> None:
        for name in ("events", "key_events"):
            if name in bundle:
                bundle[name] = [row for row in bundle[name] if row["event_type"] != event_type]

    return spoil


def reidentified(row: dict[str, Any]) -> None:
    """Give a changed event the id that belongs to it now; the signature stays."""
    outside = ("event_id", "signature_b64", "position", "received_at", "inclusion_proof", "consistency_proof")
    body = {name: item for name, item in row.items() if name not in outside}
    row["event_id"] = f"sha256:{hashlib.sha256(canonical.encode(body)).hexdigest()}"


def one_byte_changed(raw: bytes, seed: int, count: int) -> Iterator[bytes]:
    """Yield copies of which each differs in one byte: by one bit, or by any."""
    chance = random.Random(seed)
    for _ in range(count):
        spoiled, at = bytearray(raw), chance.randrange(len(raw))
        spoiled[at] ^= chance.choice([1 << chance.randrange(8), chance.randrange(1, 256)])
        yield bytes(spoiled)
