"""Keys that are rotated and revoked: what was signed before keeps its proofs, by the root alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from ledger.errors import KeyExpiredError, KeyRevokedError
from ledger.events import Entry, Event
from ledger.log_keys import log_verifier
from ledger.proofs.authority import identity
from projections.queries import record_as_of
from tests.builders import ALICE, BOB, NUMBER, OPENED, OTHER_PAPER, OTHER_RECORD, SUCCESSOR
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
    registry_key,
    root_of_log,
    with_a_backup,
    written,
)
from tests.projections.papers import confirmed_checkpoint

THEFT, LATER = "2026-06-19T16:00:30Z", "2026-06-19T18:00:00Z"
ROLES = ["contributor", "event", "log", "receipt"]


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
    found = Rotated(with_a_backup(folder), folder)
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
    log = with_a_backup(tmp_path)
    old = log.world.log
    rotate(log, "log")
    log.checkpoint()
    receipt = a_receipt(log, first_of(log, "record_created"))
    size = log.store.head().size
    receipt["checkpoint"] = a_note(log.world, size, log.store.tree.root(size), old.key)
    assert failed_step(written(tmp_path, receipt)) == "key validity"


def test_the_new_log_key_signs_no_checkpoint_from_before_its_registration(tmp_path: Path) -> None:
    log = with_a_backup(tmp_path)
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
    log = with_a_backup(tmp_path)
    rotate(log, role)
    entry = log.admit(log.world.author(SUCCESSOR if role == "contributor" else ALICE))
    log.checkpoint()
    receipt = a_receipt(log, entry)
    receipt["key_events"] = [row for row in receipt["key_events"] if row["event_type"] != "key_rotated"]
    assert failed_step(written(tmp_path, receipt)) == "key validity"


def test_a_rotated_key_signs_nothing_more(tmp_path: Path) -> None:
    log = with_a_backup(tmp_path)
    rotate(log, "contributor")
    assert isinstance(log.refusal(log.world.author(ALICE)), KeyExpiredError)


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
    log = with_a_backup(tmp_path)
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
    log = with_a_backup(tmp_path)
    told = log.admit(log.world.revocation(BOB, compromised_from=OPENED))
    log.checkpoint()
    assert failed_step(written(tmp_path, a_receipt(log, told)), root=root_of_log(log)) == "verified"


def test_an_anchor_over_an_entry_is_never_older_than_its_theft(tmp_path: Path) -> None:
    """What was anchored before the theft keeps its anchor: nothing else is asked than when the log took it."""
    log = with_a_backup(tmp_path)
    early = log.admit(log.world.citation(BOB))
    signed = log.checkpoint()
    log.admit(confirmed_checkpoint(log.world, signed.size, signed.note.decode()))
    log.clock.advance(60)
    log.admit(log.world.revocation(BOB, by=log.world.registry, compromised_from=THEFT))
    log.checkpoint()
    receipt = a_receipt(log, early)
    assert (len(receipt["anchors"]), failed_step(written(tmp_path, receipt))) == (1, "verified")
