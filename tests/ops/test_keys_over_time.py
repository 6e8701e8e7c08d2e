"""Keys that are rotated, revoked and stolen: what was signed before keeps its proofs, by the root alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.errors import KeyExpiredError, KeyRevokedError, VerificationError
from ledger.events import Entry, Event
from ledger.log_keys import log_verifier
from ops.authority import identity
from projections.queries import record_as_of
from tests.builders import ALICE, BOB, MODERATOR, NUMBER, OPENED, OTHER_PAPER, OTHER_RECORD, SUCCESSOR, Who, key
from tests.logs import Log
from tests.ops.false_notes import a_note
from tests.ops.proofs import (
    a_bundle,
    a_growth,
    a_receipt,
    an_export,
    entry_of,
    failed_step,
    first_of,
    root_of_log,
    written,
)
from tests.projections.papers import confirmed_checkpoint, open_policy

THEFT, LATER = "2026-06-19T16:00:30Z", "2026-06-19T18:00:00Z"
ROLES = ["contributor", "event", "log", "receipt"]


def registry_key(log: Log, name: str) -> Who:
    return Who(key(name), "pith_registry", log.world.registry.signer_id)


def opened(folder: Path) -> Log:
    """Return a log that counts at once what anybody says, with a backup of the registry's event key."""
    log = Log.opened(folder)
    log.admit(open_policy(log.world), log.world.registration(registry_key(log, "backup"), "event"))
    return log


# Rotation.


def rotate(log: Log, role: str) -> None:
    """Replace the key of a role in a log's world by its successor."""
    world, new = log.world, registry_key(log, f"another {role} key")
    match role:
        case "contributor":
            log.admit(world.rotation(ALICE, SUCCESSOR))
        case "event":
            log.admit(world.rotation(world.registry, new, "event"))
            world.registry = new
        case "log":
            log.admit(world.rotation(world.log, new, "log", by=world.registry))
            world.log = new
        case "receipt":
            log.admit(world.rotation(world.receipt, new, "receipt", by=world.registry))
            world.receipt = new


@dataclass(slots=True)
class Rotated:
    """A log with a rotation in its middle, and the files that it handed out before and after."""

    log: Log
    folder: Path
    before: dict[str, object] = field(default_factory=dict)
    after: dict[str, object] = field(default_factory=dict)

    def hand_out(self, found: dict[str, object], *events: Event) -> None:
        checkpoints = self.log.store.checkpoints
        found["bundle"] = a_bundle(self.log)
        for event in events:
            found[f"receipt of {event.event_type}"] = a_receipt(self.log, entry_of(self.log, event))
        found["growth"] = a_growth(self.log, next(checkpoints.all()), checkpoints.published())
        found["export"] = an_export(self.log, self.folder / f"export-{len(self.before)}")


@pytest.fixture(scope="module", params=[*ROLES, "every one"])
def rotated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Rotated:
    folder = tmp_path_factory.mktemp("rotated")
    found = Rotated(opened(folder), folder)
    log, world = found.log, found.log.world
    log.checkpoint()
    old = [world.citation(ALICE), world.record_updated()]
    log.admit(*old)
    found.hand_out(found.before, *old)
    log.clock.advance(60)
    for role in ROLES if request.param == "every one" else [request.param]:
        rotate(log, role)
    alice = SUCCESSOR if request.param in ("contributor", "every one") else ALICE
    new = [world.author(alice), world.record_created(OTHER_RECORD, OTHER_PAPER)]
    log.admit(*new)
    found.hand_out(found.after, *old, *new)
    return found


def steps_of(files: dict[str, object], folder: Path, root: str) -> dict[str, str]:
    """Return the files that do not verify under a root, with the step at which they fail."""
    steps = {
        name: failed_step(file if isinstance(file, Path) else written(folder, file), root=root)
        for name, file in files.items()
    }
    return {name: step for name, step in steps.items() if step != "verified"}


def test_what_was_handed_out_before_a_rotation_still_verifies(rotated: Rotated, tmp_path: Path) -> None:
    assert steps_of(rotated.before, tmp_path, root_of_log(rotated.log)) == {}


def test_what_is_handed_out_after_a_rotation_verifies_under_the_same_root(rotated: Rotated, tmp_path: Path) -> None:
    assert steps_of(rotated.after, tmp_path, root_of_log(rotated.log)) == {}


def test_the_identity_names_the_key_that_signs_now(rotated: Rotated) -> None:
    world = rotated.log.world
    assert identity(rotated.log.store)["log_key"] == log_verifier(world.name, world.log.key.public_key).format()


def test_the_old_log_key_signs_no_checkpoint_beyond_its_rotation(tmp_path: Path) -> None:
    log = opened(tmp_path)
    old = log.world.log
    rotate(log, "log")
    log.checkpoint()
    receipt = a_receipt(log, first_of(log, "record_created"))
    size = log.store.head().size
    receipt["checkpoint"] = a_note(log.world, size, log.store.tree.root(size), old.key)
    assert failed_step(written(tmp_path, receipt)) == "key validity"


def test_the_new_log_key_signs_no_checkpoint_from_before_its_registration(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.admit(log.world.citation())
    early = log.checkpoint()
    receipt = a_receipt(log, first_of(log, "record_created"))
    rotate(log, "log")
    log.checkpoint()
    later = a_receipt(log, first_of(log, "record_created"))
    later["inclusion_proof"] = receipt["inclusion_proof"]
    later["checkpoint"] = a_note(log.world, early.size, early.root)
    assert failed_step(written(tmp_path, later)) == "key validity"


@pytest.mark.parametrize("role", ["contributor", "log"])
def test_a_receipt_that_leaves_out_a_rotation_it_relies_on_fails_at_the_key(tmp_path: Path, role: str) -> None:
    log = opened(tmp_path)
    rotate(log, role)
    entry = log.admit(log.world.author(SUCCESSOR if role == "contributor" else ALICE))
    log.checkpoint()
    receipt = a_receipt(log, entry)
    receipt["key_events"] = [row for row in receipt["key_events"] if row["event_type"] != "key_rotated"]
    assert failed_step(written(tmp_path, receipt)) == "key validity"


# Revocation.


@dataclass(slots=True)
class Revoked:
    """A log in which Bob spoke before and after a theft that was told at the end, with all that was shown before."""

    log: Log
    early: Entry
    late: Entry
    told: Entry
    shown: list[bytes]
    files: dict[str, object]


def document(log: Log, position: int) -> bytes:
    return msgspec.json.encode(record_as_of(log.store, NUMBER, position, log.store.registry()))


def positions(log: Log) -> range:
    return range(first_of(log, "record_created").position + 1, log.store.head().size + 1)


@pytest.fixture(params=[None, THEFT, LATER], ids=["from now on", "from the theft", "from later"])
def revoked(request: pytest.FixtureRequest, tmp_path: Path) -> Revoked:
    log = opened(tmp_path)
    early = log.admit(log.world.citation(BOB))
    log.clock.advance(60)
    late = log.admit(log.world.citation(BOB, relationship="extends"))
    log.checkpoint()
    files: dict[str, object] = {"bundle": a_bundle(log), "early": a_receipt(log, early), "late": a_receipt(log, late)}
    shown = [document(log, position) for position in positions(log)]
    log.clock.advance(60)
    told = log.admit(log.world.revocation(BOB, by=log.world.registry, compromised_from=request.param))
    log.checkpoint()
    return Revoked(log, early, late, told, shown, files)


def is_cut(revoked: Revoked) -> bool:
    return bool(revoked.told.event.payload.compromised_from == THEFT)


def test_what_came_before_the_theft_keeps_counting(revoked: Revoked) -> None:
    assert revoked.log.status(revoked.early.event) == "counted"


def test_what_came_after_the_theft_counts_no_more(revoked: Revoked) -> None:
    assert revoked.log.status(revoked.late.event) == ("revoked" if is_cut(revoked) else "counted")


def test_a_revoked_key_signs_nothing_more(revoked: Revoked) -> None:
    assert isinstance(revoked.log.refusal(revoked.log.world.author(BOB)), KeyRevokedError)


def test_views_of_the_time_before_stay_as_they_were(revoked: Revoked) -> None:
    now = [document(revoked.log, position) for position in positions(revoked.log)]
    assert now[: len(revoked.shown)] == revoked.shown


def test_the_view_of_now_follows_the_revocation(revoked: Revoked) -> None:
    assert (document(revoked.log, revoked.told.position + 1) == revoked.shown[-1]) is not is_cut(revoked)


def test_files_from_before_the_revocation_still_verify(revoked: Revoked, tmp_path: Path) -> None:
    assert steps_of(revoked.files, tmp_path, root_of_log(revoked.log)) == {}


def test_a_new_receipt_of_what_came_before_the_theft_verifies(revoked: Revoked, tmp_path: Path) -> None:
    receipt = a_receipt(revoked.log, revoked.early)
    assert failed_step(written(tmp_path, receipt), root=root_of_log(revoked.log)) == "verified"


def test_a_new_receipt_of_what_came_after_the_theft_fails_at_the_key(revoked: Revoked, tmp_path: Path) -> None:
    receipt = a_receipt(revoked.log, revoked.late)
    step = "key validity" if is_cut(revoked) else "verified"
    assert failed_step(written(tmp_path, receipt), root=root_of_log(revoked.log)) == step


def test_a_new_bundle_verifies_and_says_what_became_of_each(revoked: Revoked, tmp_path: Path) -> None:
    bundle = a_bundle(revoked.log)
    verdicts = bundle["state"]["verdicts"]
    assert failed_step(written(tmp_path, bundle), root=root_of_log(revoked.log)) == "verified"
    assert verdicts[revoked.late.event.id_text] == ("revoked" if is_cut(revoked) else "counted")


def test_an_export_with_the_revocation_verifies(revoked: Revoked, tmp_path: Path) -> None:
    folder = an_export(revoked.log, tmp_path / "export")
    assert failed_step(folder, root=root_of_log(revoked.log)) == "verified"


def test_the_revocation_itself_is_provable(revoked: Revoked, tmp_path: Path) -> None:
    receipt = a_receipt(revoked.log, revoked.told)
    assert failed_step(written(tmp_path, receipt), root=root_of_log(revoked.log)) == "verified"


def test_a_keys_own_revocation_is_provable_though_it_voids_its_signature(tmp_path: Path) -> None:
    log = opened(tmp_path)
    told = log.admit(log.world.revocation(BOB, compromised_from=OPENED))
    log.checkpoint()
    assert failed_step(written(tmp_path, a_receipt(log, told)), root=root_of_log(log)) == "verified"


def test_an_anchor_over_an_entry_is_never_older_than_its_theft(tmp_path: Path) -> None:
    """What was anchored before the theft keeps its anchor: nothing else is asked than when the log took it."""
    log = opened(tmp_path)
    early = log.admit(log.world.citation(BOB))
    signed = log.checkpoint()
    log.admit(confirmed_checkpoint(log.world, signed.size, signed.note.decode()))
    log.clock.advance(60)
    log.admit(log.world.revocation(BOB, by=log.world.registry, compromised_from=THEFT))
    log.checkpoint()
    receipt = a_receipt(log, early)
    assert (len(receipt["anchors"]), failed_step(written(tmp_path, receipt))) == (1, "verified")


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
    log = opened(tmp_path_factory.mktemp("stolen"))
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
    log = opened(folder)
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
    log = opened(tmp_path)
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
    log = opened(tmp_path)
    claim = log.admit(log.world.citation(BOB))
    log.clock.advance(60)
    decision = log.admit(log.world.decision(claim.event, "rejected", MODERATOR))
    assert log.status(claim.event) == "rejected"
    log.admit(log.world.revocation(MODERATOR, by=log.world.registry, compromised_from=THEFT))
    log.checkpoint()
    assert log.status(claim.event) == "counted"
    assert failed_step(written(tmp_path, a_receipt(log, decision))) == "key validity"


def test_a_rotated_key_signs_nothing_more(tmp_path: Path) -> None:
    log = opened(tmp_path)
    rotate(log, "contributor")
    assert isinstance(log.refusal(log.world.author(ALICE)), KeyExpiredError)
