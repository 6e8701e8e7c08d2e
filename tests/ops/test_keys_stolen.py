"""Stolen keys of a registry: what it signed before keeps its proofs, what the thief signed has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import VerificationError
from ledger.events import Entry
from ledger.log_keys import log_verifier
from ledger.proofs.authority import identity
from tests.builders import ALICE, BOB, MODERATOR, Who, key
from tests.logs import Log
from tests.ops.false_notes import a_note
from tests.ops.proofs import (
    a_bundle,
    a_growth,
    a_receipt,
    an_export,
    failed_step,
    first_of,
    registry_key,
    root_of_log,
    with_a_backup,
    written,
)
from tests.projections.papers import confirmed_checkpoint, open_policy

THEFT = "2026-06-19T16:00:30Z"


# A stolen event key.


@dataclass(slots=True)
class Stolen:
    """A log whose event key was stolen: what the registry, then the thief set up, until a backup key told of it."""

    log: Log
    honest: Entry
    forged: dict[str, Entry]
    thiefs_log_key: Who


@pytest.fixture(scope="module")
def stolen(tmp_path_factory: pytest.TempPathFactory) -> Stolen:
    log = with_a_backup(tmp_path_factory.mktemp("stolen"))
    world, backup = log.world, registry_key(log, "backup")
    honest = log.admit(world.record_updated())
    held = log.admit(world.replication(BOB))
    log.clock.advance(60)
    rogue, log_key = Who(key("rogue"), "moderator", "name:rogue"), registry_key(log, "the thief's log key")
    forged = {
        "a moderator": log.admit(world.registration(rogue, "moderator")),
        "a decision by that moderator": log.admit(world.decision(held.event, "rejected", rogue)),
        "a policy": log.admit(open_policy(world, skew_seconds=86_400)),
        "an update": log.admit(world.record_updated(paper={"headline": "Forged"})),
        "a log key": log.admit(world.registration(log_key, "log")),
        "a proof of identity": log.admit(world.proof_of_identity(BOB, "name:bob")),
    }
    log.clock.advance(60)
    log.admit(world.revocation(world.registry, by=backup, compromised_from=THEFT))
    world.registry = backup
    log.checkpoint()
    return Stolen(log, honest, forged, log_key)


FORGED = ["a moderator", "a decision by that moderator", "a policy", "an update", "a log key", "a proof of identity"]


@pytest.mark.parametrize("name", FORGED)
def test_a_receipt_of_what_the_thief_said_fails_at_the_key(stolen: Stolen, tmp_path: Path, name: str) -> None:
    receipt = a_receipt(stolen.log, stolen.forged[name])
    assert failed_step(written(tmp_path, receipt), root=root_of_log(stolen.log)) == "key validity"


def test_a_receipt_of_what_the_registry_said_before_verifies(stolen: Stolen, tmp_path: Path) -> None:
    receipt = a_receipt(stolen.log, stolen.honest)
    assert failed_step(written(tmp_path, receipt), root=root_of_log(stolen.log)) == "verified"


def test_the_root_still_has_a_receipt(stolen: Stolen, tmp_path: Path) -> None:
    receipt = a_receipt(stolen.log, stolen.log.store.entry(0))
    assert failed_step(written(tmp_path, receipt), root=root_of_log(stolen.log)) == "verified"


def test_the_registry_goes_on_with_its_backup_key(stolen: Stolen, tmp_path: Path) -> None:
    entry = stolen.log.admit(stolen.log.world.graph_snapshot())
    stolen.log.checkpoint()
    receipt = a_receipt(stolen.log, entry)
    assert failed_step(written(tmp_path, receipt), root=root_of_log(stolen.log)) == "verified"


def test_a_bundle_shows_what_the_thief_said_and_that_it_does_not_count(stolen: Stolen, tmp_path: Path) -> None:
    bundle = a_bundle(stolen.log)
    verdicts = bundle["state"]["verdicts"]
    assert failed_step(written(tmp_path, bundle), root=root_of_log(stolen.log)) == "verified"
    assert verdicts[stolen.forged["an update"].event.id_text] == "revoked"


def test_an_export_of_a_log_with_a_theft_verifies(stolen: Stolen, tmp_path: Path) -> None:
    folder = an_export(stolen.log, tmp_path / "export")
    assert failed_step(folder, root=root_of_log(stolen.log)) == "verified"


def test_the_identity_does_not_name_the_thiefs_log_key(stolen: Stolen) -> None:
    world = stolen.log.world
    assert identity(stolen.log.store)["log_key"] == log_verifier(world.name, world.log.key.public_key).format()


def thiefs_note(stolen: Stolen) -> str:
    """Return the checkpoint of the true tree, signed by the log key that the thief had registered."""
    signed = stolen.log.checkpoint()
    return a_note(stolen.log.world, signed.size, signed.root, stolen.thiefs_log_key.key)


def receipt_of(stolen: Stolen, folder: Path) -> Path:
    return written(folder, {**a_receipt(stolen.log, stolen.honest), "checkpoint": thiefs_note(stolen)})


def bundle_of(stolen: Stolen, folder: Path) -> Path:
    return written(folder, {**a_bundle(stolen.log), "checkpoint": thiefs_note(stolen)})


def growth_of(stolen: Stolen, folder: Path) -> Path:
    signed = stolen.log.checkpoint()
    growth = a_growth(stolen.log, signed, signed)
    return written(folder, {**growth, "checkpoints": [growth["checkpoints"][0], thiefs_note(stolen)]})


def export_of(stolen: Stolen, folder: Path) -> Path:
    found = an_export(stolen.log, folder / "export")
    (found / "checkpoint").write_text(thiefs_note(stolen))
    return found


FILES: list[Callable[[Stolen, Path], Path]] = [receipt_of, bundle_of, growth_of, export_of]


@pytest.mark.parametrize("made", FILES, ids=lambda made: made.__name__)
def test_the_log_key_that_a_thief_registered_signs_no_checkpoint(
    stolen: Stolen, tmp_path: Path, made: Callable[[Stolen, Path], Path]
) -> None:
    assert failed_step(made(stolen, tmp_path), root=root_of_log(stolen.log)) == "key validity"


def test_the_ledger_itself_signs_nothing_with_the_thiefs_log_key(stolen: Stolen) -> None:
    stolen.log.admit(stolen.log.world.record_updated())
    with pytest.raises(VerificationError) as refused:
        stolen.log.store.checkpoints.sign(stolen.thiefs_log_key.key, stolen.log.clock())
    assert refused.value.step == "key validity"


# A stolen log key.


@dataclass(slots=True)
class Taken:
    """A log whose log key was stolen and revoked, and who signs now."""

    log: Log
    old: Who
    first: Any


def taken_from(folder: Path, compromised_from: str | None) -> Taken:
    log = with_a_backup(folder)
    log.admit(log.world.citation(ALICE))
    first = log.checkpoint()
    log.admit(confirmed_checkpoint(log.world, first.size, first.note.decode()))
    log.clock.advance(60)
    log.admit(log.world.citation(BOB))
    old, new = log.world.log, registry_key(log, "another log key")
    log.admit(log.world.revocation(old, by=log.world.registry, compromised_from=compromised_from))
    log.admit(log.world.registration(new, "log"))
    log.world.log = new
    log.checkpoint()
    return Taken(log, old, first)


@pytest.fixture(params=[None, THEFT], ids=["from now on", "from the theft"])
def taken(request: pytest.FixtureRequest, tmp_path: Path) -> Taken:
    return taken_from(tmp_path, request.param)


def a_receipt_of_bob(log: Log) -> dict[str, Any]:
    claims = (entry for entry in log.store.entries() if entry.event.signer.key_id == BOB.key.key_id)
    return a_receipt(log, next(entry for entry in claims if entry.event.event_type == "citation_signature"))


def test_the_log_goes_on_under_another_log_key(taken: Taken, tmp_path: Path) -> None:
    receipt = a_receipt(taken.log, first_of(taken.log, "citation_signature"))
    assert failed_step(written(tmp_path, receipt), root=root_of_log(taken.log)) == "verified"


def test_a_checkpoint_that_the_stolen_log_key_signed_after_its_revocation_fails_at_the_key(
    taken: Taken, tmp_path: Path
) -> None:
    size = taken.log.store.head().size
    receipt = a_receipt(taken.log, first_of(taken.log, "citation_signature"))
    receipt["checkpoint"] = a_note(taken.log.world, size, taken.log.store.tree.root(size), taken.old.key)
    assert failed_step(written(tmp_path, receipt), root=root_of_log(taken.log)) == "key validity"


@pytest.mark.parametrize("made", [a_receipt_of_bob, a_bundle], ids=["receipt", "bundle"])
def test_a_checkpoint_that_the_thief_signed_before_the_theft_was_told_fails_at_the_key(
    tmp_path: Path, made: Callable[[Log], dict[str, Any]]
) -> None:
    """It is smaller than the revocation's position, but the file itself shows what came after the theft."""
    log = taken_from(tmp_path, THEFT).log
    size = first_of(log, "key_revoked").position
    stolen_key = key(f"{log.world.name} log")
    found = {**made(log), "checkpoint": a_note(log.world, size, log.store.tree.root(size), stolen_key)}
    assert failed_step(written(tmp_path, found), root=root_of_log(log)) == "key validity"


def test_growth_from_a_checkpoint_of_before_the_theft_is_provable(taken: Taken, tmp_path: Path) -> None:
    growth = a_growth(taken.log, taken.first, taken.log.store.checkpoints.published())
    assert failed_step(written(tmp_path, growth), root=root_of_log(taken.log)) == "verified"


def test_an_export_under_another_log_key_verifies(taken: Taken, tmp_path: Path) -> None:
    assert failed_step(an_export(taken.log, tmp_path / "export"), root=root_of_log(taken.log)) == "verified"


def test_what_was_anchored_before_the_theft_stays_anchored(taken: Taken, tmp_path: Path) -> None:
    """The anchored checkpoint was signed by the key that was stolen later."""
    receipt = a_receipt(taken.log, first_of(taken.log, "citation_signature"))
    assert len(receipt["anchors"]) == 1
    assert failed_step(written(tmp_path, receipt), root=root_of_log(taken.log)) == "verified"


def test_what_was_anchored_after_the_theft_is_anchored_no_more(tmp_path: Path) -> None:
    """The clock that vouches for it names a time at which a thief could have signed it."""
    log = with_a_backup(tmp_path)
    signed = log.checkpoint()
    log.admit(confirmed_checkpoint(log.world, signed.size, signed.note.decode()))
    old, new = log.world.log, registry_key(log, "another log key")
    theft = "2026-06-19T15:59:59Z"
    log.admit(log.world.revocation(old, by=log.world.registry, compromised_from=theft))
    log.admit(log.world.registration(new, "log"))
    log.world.log = new
    log.checkpoint()
    receipt = a_receipt(log, first_of(log, "record_created"))
    assert (receipt["anchors"], failed_step(written(tmp_path, receipt))) == ([], "verified")


def test_a_moderator_whose_key_was_cut_decides_nothing(tmp_path: Path) -> None:
    log = with_a_backup(tmp_path)
    claim = log.admit(log.world.citation(BOB))
    log.clock.advance(60)
    decision = log.admit(log.world.decision(claim.event, "rejected", MODERATOR))
    assert log.status(claim.event) == "rejected"
    log.admit(log.world.revocation(MODERATOR, by=log.world.registry, compromised_from=THEFT))
    log.checkpoint()
    assert log.status(claim.event) == "counted"
    assert failed_step(written(tmp_path, a_receipt(log, decision))) == "key validity"
