"""The audit of a whole ledger: what holds, what stays open, and what lies of a registry it finds out."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger import notes
from ledger.checkpoints import Checkpoint, issue
from ledger.database import open_sqlite
from ledger.errors import UsageError, VerificationError
from ledger.events import TYPES
from ledger.keys import SecretKey
from ledger.log_keys import log_origin
from ledger.store import Store
from ledger.times import seconds
from ops.audit import Audit, audit_home
from ops.replaying.replay import Crew
from projections.runner import Runner
from tests.builders import ALICE, REGISTRY, SALT_TEXT, Who, World, contributor, key
from tests.ops.audited import Ledger, a_ledger, admit, checkpoint, refusal
from tests.projections.papers import confirmed_checkpoint, note_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return a_ledger(tmp_path_factory.mktemp("audit") / "data", crowd=300)


@pytest.fixture
def ledger(made: Ledger, tmp_path: Path) -> Ledger:
    """A ledger that a test may go on with, or spoil."""
    return made.copy(tmp_path / "data")


def checks(ledger: Ledger, root: str | None = None) -> list[str]:
    """Audit a ledger that must hold; return what was said of it."""
    audit = Audit()
    audit_home(ledger.settings, ledger.now, audit, root)
    return audit.checks


def said(ledger: Ledger, step: str) -> str:
    """Return the one sentence of a step."""
    (found,) = [check for check in checks(ledger) if check.startswith(f"{step}: ")]
    return found


# What holds.


def test_a_ledger_with_every_event_type_holds(made: Ledger) -> None:
    assert {kind for (kind,) in made.ask("SELECT DISTINCT event_type FROM events")} == set(TYPES)
    log, projected = made.audit()
    assert (log.entries.size, projected.cursor) == (336, 336)


def test_every_step_is_named_in_its_order(made: Ledger) -> None:
    steps = [check.partition(":")[0] for check in checks(made)]
    assert steps == [
        *("database", "entries", "root", "texts", "tree", "head", "checkpoints", "anchors", "open", "projections")
    ]


def test_a_log_of_several_pages_holds(tmp_path: Path) -> None:
    log, _ = a_ledger(tmp_path / "data", crowd=1_000).audit()
    assert log.entries.size == 1_036


def test_entries_may_be_gone_over_by_other_processes(made: Ledger) -> None:
    audit = Audit(Crew(workers=2))
    audit_home(made.settings, made.now, audit)
    assert audit.checks == checks(made)


def test_each_sentence_is_said_as_soon_as_it_holds(ledger: Ledger) -> None:
    ledger.change_log("UPDATE log_head SET size = size + 1")
    heard: list[str] = []
    with pytest.raises(VerificationError):
        audit_home(ledger.settings, ledger.now, Audit(say=heard.append))
    assert [sentence.partition(":")[0] for sentence in heard] == ["database", "entries", "root", "texts"]


def test_texts_cosignatures_and_publications_are_counted(made: Ledger) -> None:
    log, _ = made.audit()
    assert log.entries.texts == 6
    found = log.checkpoints
    assert (found.count, found.cosignatures, found.anchored, found.newest, found.published) == (3, 3, 1, 332, 31)


def test_the_audit_writes_nothing(ledger: Ledger) -> None:
    paths = ledger.settings.ledger_path, ledger.settings.projections_path
    before = [path.read_bytes() for path in paths]
    ledger.audit()
    assert [path.read_bytes() for path in paths] == before


def test_a_folder_whose_name_needs_quoting_is_audited(made: Ledger, tmp_path: Path) -> None:
    made.copy(tmp_path / "odd ?name #1%20").audit()


def test_what_a_killed_process_had_committed_is_audited(ledger: Ledger, tmp_path: Path) -> None:
    left = tmp_path / "left"
    with ledger.opened() as log:
        admit(log, [log.world.storage(ALICE)])
        shutil.copytree(ledger.folder, left, ignore=shutil.ignore_patterns("*-shm"))
    assert (left / "ledger.db-wal").stat().st_size
    log_of, _ = Ledger(left, ledger.now).audit()
    assert log_of.entries.size == 337


def test_a_clock_that_was_set_back_leaves_the_checkpoints_in_order(ledger: Ledger) -> None:
    with ledger.opened() as log:
        log.clock.advance(-7_200)
        admit(log, [log.world.storage(ALICE)])
        checkpoint(log, cosigners=0)
    assert ledger.audit()[0].checkpoints.newest == 337


def test_projections_that_lag_behind_hold(ledger: Ledger) -> None:
    with ledger.opened() as log:
        admit(log, [log.world.storage(ALICE)])
    assert ledger.audit()[1].cursor == 336


def test_what_is_appended_and_projected_meanwhile_disturbs_nothing(ledger: Ledger) -> None:
    with ledger.opened() as log:

        @contextmanager
        def going_on(label: str, total: int) -> Iterator[Callable[[int], None]]:
            if label == "entries":
                admit(log, [log.world.storage(ALICE), log.world.registration(contributor("late"))])
                checkpoint(log, cosigners=1)
                _project(ledger, log.store)
            yield lambda _: None

        found, projected = audit_home(ledger.settings, ledger.now, Audit(bar=going_on))
    assert (found.entries.size, found.checkpoints.count, projected.cursor) == (336, 3, 338)
    assert ledger.audit()[0].entries.size == 338


def _project(ledger: Ledger, store: Store) -> None:
    database = open_sqlite(ledger.settings.projections_path, durable=False)
    Runner(store, database).catch_up()
    database.close()


# What stays open.


def test_a_log_without_checkpoints_is_said_to_rest_on_its_keys_alone(ledger: Ledger) -> None:
    for table in ("checkpoints", "cosignatures", "publications"):
        ledger.change_log(f"DELETE FROM {table}")
    assert "open: no checkpoint was signed" in "\n".join(checks(ledger))


def test_entries_past_the_newest_checkpoint_are_said_to_be_the_registrys_word(made: Ledger) -> None:
    assert said(made, "open") == "open: the 4 entries past the newest checkpoint are only the registry's word"


def test_a_checkpoint_over_everything_leaves_nothing_open(ledger: Ledger) -> None:
    with ledger.opened() as log:
        checkpoint(log, cosigners=2)
    assert not [check for check in checks(ledger) if check.startswith("open: ")]


def test_a_log_key_revoked_for_an_earlier_time_leaves_its_checkpoints_standing_but_named(ledger: Ledger) -> None:
    with ledger.opened() as log:
        world = log.world
        admit(log, [world.revocation(world.log, by=world.registry, compromised_from="2026-06-19T16:00:00Z")])
    sentences = checks(ledger)
    assert "open: 3 checkpoints are by a key that was revoked since, for a time before them" in sentences


def test_a_private_text_that_is_not_kept_is_no_fault(ledger: Ledger) -> None:
    ledger.change_log("DELETE FROM disclosures WHERE path = 'statement'")
    assert said(ledger, "texts").startswith("texts: 5 private texts")


def test_the_root_that_was_asked_for_is_compared(made: Ledger) -> None:
    root = made.audit()[0].entries.begins_with
    assert f"root: {root}" in checks(made, root)
    with pytest.raises(VerificationError, match="root: the log begins with"):
        checks(made, f"sha256:{hashlib.sha256(b'another').hexdigest()}")


# What a registry could try.


def issued(size: int, root: bytes, by: SecretKey, name: str = REGISTRY) -> bytes:
    return issue(Checkpoint(log_origin(name), size, root), by).format()


def keep_checkpoint(ledger: Ledger, note: bytes, root: bytes, size: int) -> None:
    """Put a checkpoint among the others as if it had been signed here, right before the first greater one."""
    (signed_at,) = ledger.ask("SELECT signed_at FROM checkpoints WHERE size > ? ORDER BY size LIMIT 1", size)[0]
    ledger.change_log("INSERT INTO checkpoints VALUES (?, ?, ?, ?)", size, root, note, signed_at)


def root_at(ledger: Ledger, size: int) -> bytes:
    with ledger.opened() as log:
        return log.store.tree.root(size)


def test_a_checkpoint_over_another_root_by_the_right_key_is_found(ledger: Ledger) -> None:
    lie = hashlib.sha256(b"another tree").digest()
    keep_checkpoint(ledger, issued(100, lie, World().log.key), lie, 100)
    error = refusal(ledger.audit)
    assert (error.step, error.place) == ("checkpoints", "checkpoint of 100 entries")
    assert lie.hex() in error.message and root_at(ledger, 100).hex() in error.message
    assert "keep the note as evidence" in error.cure


def test_a_checkpoint_over_another_root_is_found_though_its_row_says_the_right_one(ledger: Ledger) -> None:
    lie = hashlib.sha256(b"another tree").digest()
    keep_checkpoint(ledger, issued(100, lie, World().log.key), root_at(ledger, 100), 100)
    assert "its note states the root" in refusal(ledger.audit).message


def test_a_checkpoint_by_an_unknown_key_is_found(ledger: Ledger) -> None:
    root = root_at(ledger, 100)
    keep_checkpoint(ledger, issued(100, root, key("a thief")), root, 100)
    error = refusal(ledger.audit)
    assert (error.step, error.place) == ("key validity", "checkpoint of 100 entries")


@pytest.mark.parametrize("by", ["event", "receipt"])
def test_a_checkpoint_by_another_of_the_registrys_keys_is_found(ledger: Ledger, by: str) -> None:
    root = root_at(ledger, 100)
    keep_checkpoint(ledger, issued(100, root, key(f"{REGISTRY} {by}")), root, 100)
    assert refusal(ledger.audit).step == "key validity"


def test_a_checkpoint_by_a_log_key_that_was_registered_later_is_found(ledger: Ledger) -> None:
    second = Who(key("the second log key"), "pith_registry", f"registry:{REGISTRY}")
    with ledger.opened() as log:
        admit(log, [log.world.registration(second, "log", by=log.world.registry)])
        log.store.checkpoints.sign(second.key, log.clock())
    ledger.audit_log()
    root = root_at(ledger, 100)
    keep_checkpoint(ledger, issued(100, root, second.key), root, 100)
    error = refusal(ledger.audit)
    assert (error.step, error.place) == ("key validity", "checkpoint of 100 entries")


def test_a_checkpoint_by_a_key_that_was_revoked_before_it_is_found(ledger: Ledger) -> None:
    with ledger.opened() as log:
        admit(log, [log.world.revocation(log.world.log, by=log.world.registry)])
        size, root, signed_at = log.store.head().size, log.store.tree.root(log.store.head().size), log.clock()
    note = issued(size, root, World().log.key)
    ledger.change_log("INSERT INTO checkpoints VALUES (?, ?, ?, ?)", size, root, note, signed_at)
    assert refusal(ledger.audit).step == "key validity"


def test_a_log_key_that_has_expired_signs_nothing_that_an_audit_would_refuse(ledger: Ledger) -> None:
    short = Who(key("a short-lived log key"), "pith_registry", f"registry:{REGISTRY}")
    with ledger.opened() as log:
        until = seconds(log.clock.now + 60_000_000)
        admit(log, [log.world.registration(short, "log", by=log.world.registry, not_after=until)])
        log.clock.advance(120)
        with pytest.raises(VerificationError, match="the key expired"):
            log.store.checkpoints.sign(short.key, log.clock())
    ledger.audit()


def test_a_checkpoint_of_another_log_is_found(ledger: Ledger) -> None:
    root = root_at(ledger, 100)
    keep_checkpoint(ledger, issued(100, root, World().log.key, "other.registry"), root, 100)
    assert "of 'other.registry/log', not of 'test.registry/log'" in refusal(ledger.audit).message


def test_an_anchor_of_another_tree_is_found(ledger: Ledger) -> None:
    with ledger.opened() as log:
        admit(log, [confirmed_checkpoint(log.world, 20, note_of(log.world, 20))])
    error = refusal(ledger.audit)
    assert (error.step, error.place) == ("anchor", "position 336")
    assert "what was anchored has the root" in error.message


def test_a_history_rewritten_with_the_registrys_keys_is_found_by_its_checkpoints(tmp_path: Path) -> None:
    told = a_ledger(tmp_path / "told", crowd=3)
    rewritten = a_ledger(tmp_path / "rewritten", crowd=2)
    with rewritten.opened() as log:
        admit(log, [log.world.registration(contributor("instead"))])
    for table in ("checkpoints", "cosignatures", "publications"):
        rewritten.change_log(f"DELETE FROM {table}")
        for row in told.ask(f"SELECT * FROM {table}"):
            rewritten.change_log(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", *row)
    error = refusal(rewritten.audit)
    assert (error.step, error.place) == ("checkpoints", "checkpoint of 35 entries")


def test_a_redacted_text_that_came_back_is_found(ledger: Ledger) -> None:
    (position,) = next(iter(ledger.ask("SELECT position FROM events WHERE event_type = 'challenge' ORDER BY 1 DESC")))
    ledger.change_log(
        "INSERT INTO disclosures (position, path, salt, text) VALUES (?, 'text', ?, 'It is off by one.')",
        position,
        SALT_TEXT,
    )
    error = refusal(ledger.audit)
    assert (error.step, error.place) == ("texts", f"position {position}, disclosures.text")
    assert "redacted it" in error.message


def test_the_same_event_at_two_positions_is_found_on_different_pages(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path / "data", crowd=1_000)
    ledger.change_log(
        "INSERT INTO events SELECT 1036, received_at, event_key, subject_key, event_type, event_id, event"
        " FROM events WHERE position = 30"
    )
    assert "positions 30 and 1036 hold the same event" in refusal(ledger.audit_log).message


# What cannot be audited.


def test_a_folder_without_a_ledger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no ledger"):
        Ledger(tmp_path, 0).audit()


def test_projections_that_are_not_there_are_left_open(ledger: Ledger) -> None:
    ledger.settings.projections_path.unlink()
    audit = Audit()
    _, projected = audit_home(ledger.settings, ledger.now, audit)
    assert (projected, audit.checks[-1].startswith("open: there are no projections")) == (None, True)


def test_projections_beyond_the_log_are_named_and_left_as_they_are(ledger: Ledger) -> None:
    ledger.change_projections("UPDATE cursors SET cursor = 400")
    before = ledger.settings.projections_path.read_bytes()
    assert "the cursor is 400, the log has 336 entries" in refusal(ledger.audit).message
    assert ledger.settings.projections_path.read_bytes() == before


@pytest.mark.parametrize("name", ["ledger.db", "projections.db"])
@pytest.mark.parametrize("content", [b"", b"no database at all\n" * 1_000])
def test_a_file_that_is_no_database_is_named(ledger: Ledger, name: str, content: bytes) -> None:
    (ledger.folder / name).write_bytes(content)
    assert refusal(ledger.audit).place in (name, "sqlite_master")


def test_a_log_that_lost_all_its_entries_is_refused(ledger: Ledger) -> None:
    ledger.change_log("DELETE FROM events")
    assert "not even its root" in refusal(ledger.audit).message


def test_a_log_that_does_not_begin_with_a_registry_is_refused(ledger: Ledger) -> None:
    (row,) = ledger.ask("SELECT * FROM events WHERE event_type = 'record_created' ORDER BY position LIMIT 1")
    ledger.change_log("DELETE FROM events")
    ledger.change_log("INSERT INTO events VALUES (0, ?, ?, ?, ?, ?, ?)", *row[1:])
    assert "does not begin with a registry's own key" in refusal(ledger.audit).message


def test_a_signature_line_that_hides_another_is_found(ledger: Ledger) -> None:
    (size, text) = next(
        (size, notes.parse(note).text) for size, note in ledger.ask("SELECT size, note FROM checkpoints")
    )
    extra = notes.cosign(text, "stranger.example", key("a stranger"), 1).format()
    ledger.change_log("UPDATE cosignatures SET line = line || ? WHERE size = ?", extra, size)
    assert "2 signature lines are kept as one" in refusal(ledger.audit).message
