"""A log gone over in one pass: the same state and the same first error as one step after another, in every mode."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Final

import pytest

from ledger.appending import Submission
from ledger.errors import LogCorruptedError, NotFoundError, UsageError, VerificationError
from ledger.events import Event
from ledger.ranges import Range
from ledger.store import Store
from ops.replaying.checking import Mode
from ops.replaying.places import FilePlace
from ops.replaying.work import Job, RangeWork
from projections.rebuild import replay
from tests.builders import REGISTRY, SHA256
from tests.forgeries import with_signature
from tests.logs import Log
from tests.ops.replaying.courses import File, crowded
from tests.projections.histories import eventful

LENGTH: Final = 1_000
"""How many steps of chance make a log of three tiles."""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[File]:
    """Logs of several tiles: one of many papers that are spoken of long after, one of every event type by chance."""
    folders = [tmp_path_factory.mktemp(name) for name in ("crowded", "eventful")]
    for log in (crowded(folders[0]), eventful(folders[1], 1, LENGTH)):
        assert log.store.head().size > 512
        log.checkpoint()
    return [File(folder / "log.sqlite") for folder in folders]


@pytest.fixture
def file(logs: list[File], tmp_path: Path) -> File:
    return copied(logs[0], tmp_path)


def copied(file: File, folder: Path) -> File:
    """Return a copy of a log; what is still in its write-ahead log comes along."""
    for suffix in ("", "-wal"):
        source = file.path.with_name(file.path.name + suffix)
        if source.exists():
            shutil.copy(source, folder)
    return File(folder / file.path.name)


# The state.


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("mode", Mode)
def test_the_state_is_the_one_that_projecting_step_by_step_gives(
    logs: list[File], tmp_path: Path, at: int, mode: Mode
) -> None:
    assert logs[at].gone_over(mode)[0] == logs[at].folded_step_by_step(tmp_path, logs[at].size())


@pytest.mark.parametrize("stop", [0, 1, 255, 256, 257, 500])
def test_the_state_as_of_a_position_is_that_of_what_stood_below_it(logs: list[File], tmp_path: Path, stop: int) -> None:
    found = {logs[0].gone_over(mode, stop)[0] for mode in Mode}
    assert found == {logs[0].folded_step_by_step(tmp_path, stop)}


def test_several_processes_find_the_same(logs: list[File]) -> None:
    assert logs[0].gone_over(workers=2) == logs[0].gone_over()


def test_an_export_and_a_replay_agree(logs: list[File]) -> None:
    with logs[0].opened() as database:
        assert replay(Store(database), logs[0].size()) == logs[0].gone_over(Mode.none)[0]


def test_a_worker_whose_copy_is_behind_gives_no_older_state(file: File) -> None:
    size = file.size()
    job = Job("behind", (REGISTRY, ""), "nothing", size, size, (size,), "digest")
    work = RangeWork(FilePlace(str(file.path)), job)
    file.change("DELETE FROM events WHERE position >= 600")
    with pytest.raises(UsageError, match=f"finds 600 of {size} entries"):
        work(Range(0, 256))


# The first error.


def spoilt(file: File, chance: random.Random) -> None:
    """Do something to a log, at a place by chance, that no honest registry does."""
    at = chance.randrange(file.size())
    with file.opened() as database:
        event = Store(database).entry(at).event
    raw = bytearray(event.raw)
    raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(7)
    match chance.randrange(6):
        case 0:
            file.change("UPDATE events SET event = ? WHERE position = ?", bytes(raw), at)
        case 1:
            file.change("UPDATE events SET received_at = received_at + ? WHERE position = ?", 1 << 50, at)
        case 2:
            file.change("UPDATE events SET received_at = received_at - ? WHERE position = ?", 1 << 45, at)
        case 3:
            file.change("UPDATE events SET subject_key = subject_key + 1 WHERE position = ?", at)
        case 4:
            forged = with_signature(event, bytes(64)).raw
            file.change("UPDATE events SET event = ? WHERE position = ?", forged, at)
        case 5:
            _replaced(file, at, event, chance)


def _replaced(file: File, at: int, event: Event, chance: random.Random) -> None:
    """Put an event of another place over an entry, with columns that say what it is."""
    with file.opened() as database:
        other = chance.randrange(Store(database).head().size)
    columns = "event_key", "subject_key", "event_type", "event_id", "event"
    values = ", ".join(f"{name} = (SELECT {name} FROM events WHERE position = {other})" for name in columns)
    file.change(f"UPDATE events SET {values} WHERE position = ?", at)


@pytest.mark.parametrize("seed", range(24))
def test_the_error_that_is_named_is_the_one_that_checking_entry_by_entry_names(
    logs: list[File], tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    file = copied(chance.choice(logs), tmp_path)
    for _ in range(chance.randrange(1, 4)):
        spoilt(file, chance)
    expected = file.refused_singly()
    found = file.refused()
    assert found == expected or (expected is None and found is not None and found[0] in ("checkpoint", "tree"))


def test_several_processes_name_the_same_error(file: File) -> None:
    file.change("UPDATE events SET subject_key = 1 WHERE position = 700")
    file.change("UPDATE events SET received_at = 5 WHERE position = 300")
    found = file.refused(workers=2)
    assert found is not None and found == file.refused() and found[2].startswith("position 300, ")


def test_an_event_that_stands_twice_is_named(file: File) -> None:
    size = file.size()
    columns = "received_at, event_key, subject_key, event_type, event_id, event"
    file.change(f"INSERT INTO events SELECT {size}, {columns} FROM events WHERE position = 3")
    assert file.refused() == ("log-corrupted", f"positions 3 and {size} hold the same event", "")


def test_a_missing_entry_is_named_by_its_position(file: File) -> None:
    file.change("DELETE FROM events WHERE position = 400")
    for mode in Mode:
        assert file.refused(mode) == ("log-corrupted", "the entry at position 400 is missing", "")


def test_of_a_damaged_and_a_missing_entry_the_first_is_named(file: File) -> None:
    file.change("DELETE FROM events WHERE position = 340")
    file.change("UPDATE events SET subject_key = 1 WHERE position = 330")
    assert file.refused() == (
        "log-corrupted",
        "the look-up columns at position 330 do not belong to its event",
        "",
    )


SHIFTED: Final = "substr(frontier, 1, 9) || substr(frontier, 9, length(frontier) - 9)"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE tiles SET nodes = zeroblob(length(nodes)) WHERE level = 1", "tree"),
        ("UPDATE tiles SET nodes = zeroblob(length(nodes)) WHERE level = 0", "tree"),
        (f"UPDATE log_head SET frontier = CAST({SHIFTED} AS BLOB)", "head"),
        ("UPDATE checkpoints SET note = CAST(replace(note, 'log', 'gol') AS BLOB)", "checkpoint"),
    ],
)
def test_what_contradicts_the_entries_beside_them_is_named(file: File, statement: str, found: str) -> None:
    file.change(statement)
    outcome = file.refused()
    assert outcome is not None and outcome[0] == found


# What each mode trusts.


def test_checkpoint_trusts_what_stands_under_the_signed_root(file: File) -> None:
    file.change("UPDATE events SET received_at = received_at + 1 WHERE position = ?", file.size() - 1)
    outcomes = {mode: file.refused(mode) for mode in Mode}
    steps = {mode.value: outcome and outcome[0] for mode, outcome in outcomes.items()}
    assert steps == {"all": "tree", "signers": "checkpoint", "checkpoint": "checkpoint", "none": None}


@pytest.mark.parametrize("stop", [None, 256])
def test_no_revocation_is_hidden_by_the_column_it_is_looked_up_by(file: File, stop: int | None) -> None:
    place = "(SELECT max(position) FROM events WHERE event_type = 'key_revoked')"
    file.change(f"UPDATE events SET subject_key = subject_key + 1 WHERE position = {place}")
    with pytest.raises(LogCorruptedError, match="look-up columns"):
        file.gone_over(Mode.checkpoint, stop)


@pytest.mark.parametrize("column", ["event", "received_at"])
@pytest.mark.parametrize("mode", Mode)
def test_a_value_of_the_wrong_kind_is_named(file: File, mode: Mode, column: str) -> None:
    file.change(f"UPDATE events SET {column} = 'text' WHERE position = 300")
    outcome = file.refused(mode)
    assert outcome is not None and "300" in outcome[1] + outcome[2]


def test_all_says_what_was_checked_and_what_is_the_registrys_word(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    signed = log.checkpoint().size
    log.admit(log.world.author())
    _, sentences = File(tmp_path / "log.sqlite").gone_over()
    assert [sentence.partition(":")[0] for sentence in sentences] == ["entries", "tree", "root", "checkpoint", "open"]
    assert f"its first {signed} entries" in sentences[3] and "the 1 entries past" in sentences[4]


def test_signers_and_checkpoint_say_what_they_leave_open(logs: list[File]) -> None:
    for mode in (Mode.signers, Mode.checkpoint, Mode.none):
        assert any(sentence.startswith("open: ") for sentence in logs[0].gone_over(mode)[1])
    assert not any(sentence.startswith("open: ") for sentence in logs[0].gone_over(Mode.all)[1])


@pytest.mark.parametrize("mode", [Mode.signers, Mode.checkpoint])
def test_modes_that_rest_on_a_checkpoint_need_one(tmp_path: Path, mode: Mode) -> None:
    Log.opened(tmp_path)
    with pytest.raises(NotFoundError, match="no checkpoint"):
        File(tmp_path / "log.sqlite").gone_over(mode)


@pytest.mark.parametrize("mode", [Mode.signers, Mode.checkpoint])
def test_modes_that_rest_on_a_checkpoint_need_one_over_every_entry(tmp_path: Path, mode: Mode) -> None:
    log = Log.opened(tmp_path)
    size = log.checkpoint().size
    log.admit(log.world.author())
    with pytest.raises(VerificationError, match=f"it covers {size} of {size + 1} entries"):
        File(tmp_path / "log.sqlite").gone_over(mode)


def test_a_forged_signature_is_found_by_signers_and_not_by_checkpoint(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    forged = with_signature(log.world.author(), bytes(64))
    log.store.append([Submission(forged, verified=True)], log.clock)
    log.checkpoint()
    file = File(tmp_path / "log.sqlite")
    steps = {mode.value: outcome and outcome[0] for mode, outcome in ((mode, file.refused(mode)) for mode in Mode)}
    assert steps == {"all": "signature", "signers": "signature", "checkpoint": None, "none": None}


@pytest.mark.parametrize("mode", Mode)
def test_a_pinned_root_must_be_the_logs(logs: list[File], mode: Mode) -> None:
    with pytest.raises(VerificationError) as caught:
        logs[0].gone_over(mode, root=f"sha256:{SHA256}")
    assert caught.value.step == "root"
