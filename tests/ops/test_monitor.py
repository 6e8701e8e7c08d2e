"""Following a log: honest growth is quiet, every contradiction is caught with evidence, nothing is forgotten."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.checkpoints import Checkpoint, issue
from ledger.errors import LedgerError, NotFoundError, SourceUnreadableError, UsageError
from ledger.keys import SecretKey
from ledger.notes import ED25519, Verifier
from ledger.publication import Publication
from ledger.tiles import Tile
from ops.evidence import verify_evidence
from ops.monitor import Monitor
from ops.observing import Observation, Status
from ops.publications import FolderPublication, StorePublication
from ops.sightings import KNOWN, REFUSED, SEEN, Sighting, Sightings, open_sightings
from tests.builders import World, key
from tests.ledger.test_checkpoints import TESSERA, TESSERA_KEY
from tests.logs import Log, Ticking
from tests.ops.forks import beginning, grown, root_of, signed, with_next_key

ADDRESS = "http://log.example"


class Watch:
    """A monitor on a folder, started anew for every look, as a machine that is switched off between two of them."""

    def __init__(self, folder: Path, root: str | None = None, log_key: Verifier | None = None) -> None:
        self.folder, self.root, self.log_key, self.clock = folder, root, log_key, Ticking()

    def look(self, source: Log | Publication, address: str = ADDRESS) -> Observation:
        with open_sightings(self.folder) as sightings:
            monitor = Monitor(sightings, self.root, self.log_key, self.clock)
            return monitor.observe(address, StorePublication(source.store) if isinstance(source, Log) else source)

    def sees(self, source: Log | Publication) -> Status:
        return self.look(source).status

    @property
    def remembered(self) -> Sightings:
        return Sightings(self.folder)

    @property
    def newest(self) -> Sighting | None:
        return self.remembered.newest()


class Served:
    """What a log publishes, with some of it changed on the way."""

    def __init__(self, log: Log, **changed: Callable[..., bytes]) -> None:
        self._publication = StorePublication(log.store)
        self._changed = changed

    def checkpoint(self) -> bytes:
        return self._changed.get("checkpoint", self._publication.checkpoint)()

    def identity(self) -> bytes:
        return self._changed.get("identity", self._publication.identity)()

    def tile(self, tile: Tile) -> bytes:
        return self._changed.get("tile", self._publication.tile)(tile)


def raising(error: LedgerError) -> Callable[..., bytes]:
    def answer(*_: object) -> bytes:
        raise error

    return answer


UNREADABLE = raising(SourceUnreadableError("no answer", place=ADDRESS))
GONE = raising(NotFoundError("there is nothing here", place=ADDRESS))


@pytest.fixture
def fork(tmp_path: Path) -> tuple[Log, Log]:
    """Two copies of a log of 20 entries, with no checkpoint yet."""
    return beginning(tmp_path / "one"), beginning(tmp_path / "other")


@pytest.fixture
def watch(tmp_path: Path, fork: tuple[Log, Log]) -> Watch:
    return Watch(tmp_path / "state", root_of(fork[0]))


def checked(observation: Observation, root: str) -> list[str]:
    """Return what verifies of the evidence that an observation names."""
    assert observation.status is Status.fork and observation.evidence is not None
    return verify_evidence(json.loads(observation.evidence.read_bytes()), root, None)


def sizes_of(observation: Observation) -> list[int]:
    assert observation.evidence is not None
    found = json.loads(observation.evidence.read_bytes())["checkpoints"]
    return [int(note.split("\n")[1]) for note in found]


# An honest log.


def test_a_log_that_grows_is_followed(watch: Watch, fork: tuple[Log, Log]) -> None:
    log, _ = fork
    log.checkpoint()
    statuses = [watch.sees(log), watch.sees(log)]
    for size in (21, 25, 255, 256, 257, 300, 513):
        signed(log, size, "honest")
        statuses.append(watch.sees(log))
    assert statuses == [Status.first, Status.same, *[Status.grown] * 7]
    assert watch.newest == Sighting(513, log.store.tree.root(513))


def test_every_checkpoint_is_kept_as_it_was_signed(watch: Watch, fork: tuple[Log, Log]) -> None:
    log, _ = fork
    notes = []
    for size in (20, 30, 40):
        notes.append(signed(log, size, "honest").note)
        watch.look(log)
    remembered = watch.remembered
    assert [remembered.note(sighting) for sighting in remembered.at(KNOWN)] == notes
    assert remembered.at(SEEN) == remembered.at(REFUSED) == []


def test_what_is_kept_of_the_tree_is_the_tree(watch: Watch, fork: tuple[Log, Log]) -> None:
    log, _ = fork
    for size in (20, 255, 300, 700):
        signed(log, size, "honest")
        watch.look(log)
    for tile in (Tile(0, 0), Tile(0, 1), Tile(0, 2, 188), Tile(1, 0, 2)):
        assert watch.remembered.tile(tile) == log.store.tree.tile(tile, 700)


@pytest.mark.parametrize("size", [20, 21, 100, 255, 256, 257, 299])
def test_an_address_that_lags_behind_is_stale_and_no_fork(watch: Watch, fork: tuple[Log, Log], size: int) -> None:
    log, lagging = fork
    signed(lagging, size, "honest")
    signed(log, 300, "honest")
    watch.look(log)
    seen = watch.look(lagging)
    assert (seen.status, seen.newest) == (Status.stale, 300)
    assert seen.message == f"stale: serves {size} entries, 300 were signed before"
    assert watch.newest == Sighting(300, log.store.tree.root(300))


def test_several_addresses_of_one_log_agree(watch: Watch, fork: tuple[Log, Log]) -> None:
    log, mirror = fork
    signed(log, 40, "honest")
    signed(mirror, 40, "honest")
    assert [watch.sees(log), watch.sees(mirror), watch.sees(log)] == [Status.first, Status.same, Status.same]


def test_a_rotated_key_is_followed_to_its_successor(watch: Watch, fork: tuple[Log, Log]) -> None:
    log, lagging = fork
    signed(log, 30, "honest")
    signed(lagging, 30, "honest")
    watch.look(log)
    signed(with_next_key(log), 40, "honest")
    assert watch.sees(log) is Status.grown
    assert watch.sees(lagging) is Status.stale
    signed(log, 50, "honest")
    assert watch.sees(Served(log, identity=UNREADABLE)) is Status.grown


class Tessera:
    """A log that another implementation wrote, as it was at a size."""

    def __init__(self, size: int) -> None:
        self.size = size

    def checkpoint(self) -> bytes:
        return (TESSERA / f"checkpoint.{self.size}").read_bytes()

    def identity(self) -> bytes:
        return FolderPublication(TESSERA).identity()

    def tile(self, tile: Tile) -> bytes:
        return FolderPublication(TESSERA).tile(tile)


def test_a_log_of_another_implementation_is_followed_by_its_key(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "state", log_key=TESSERA_KEY)
    statuses = [watch.sees(Tessera(size)) for size in (*range(16), 4, 0)]
    assert statuses == [Status.first, *[Status.grown] * 15, Status.stale, Status.stale]


# Trust.


def test_the_first_answer_is_taken_and_kept_where_nothing_is_pinned(tmp_path: Path, fork: tuple[Log, Log]) -> None:
    log, _ = fork
    log.checkpoint()
    watch = Watch(tmp_path / "state")
    seen = watch.look(log)
    assert seen.status is Status.first
    assert root_of(log) in seen.trust and "by the first answer's word" in seen.trust
    signed(log, 25, "honest")
    assert watch.sees(Served(log, identity=UNREADABLE)) is Status.grown


def test_another_root_than_at_first_is_refused(tmp_path: Path, fork: tuple[Log, Log]) -> None:
    log, _ = fork
    log.checkpoint()
    watch = Watch(tmp_path / "state")
    watch.look(log)
    stranger = World()
    stranger.registry = replace(stranger.registry, key=key("a stranger"))
    stranger.log = replace(stranger.log, key=key("a stranger's log key"))
    (tmp_path / "stranger").mkdir()
    other = Log.opened(tmp_path / "stranger", stranger)
    signed(other, 25, "a stranger")
    seen = watch.look(other)
    assert (seen.status, "root: the log begins with" in seen.message) == (Status.failed, True)
    assert watch.newest == Sighting(20, log.store.tree.root(20))


def test_another_root_than_the_pinned_one_is_refused(tmp_path: Path, fork: tuple[Log, Log]) -> None:
    log, _ = fork
    log.checkpoint()
    seen = Watch(tmp_path / "state", "sha256:" + "0" * 64).look(log)
    assert (seen.status, seen.message.startswith("root:")) == (Status.failed, True)


def log_key_of(log: Log) -> Verifier:
    return Verifier(f"{log.world.name}/log", ED25519, log.world.log.key.public_key)


def test_a_log_can_be_followed_by_its_key_alone(tmp_path: Path, fork: tuple[Log, Log]) -> None:
    log, other = fork
    watch = Watch(tmp_path / "state", log_key=log_key_of(log))
    signed(log, 25, "one history")
    signed(other, 31, "another history")
    assert watch.sees(Served(log, identity=GONE)) is Status.first
    seen = watch.look(Served(other, identity=GONE))
    assert seen.status is Status.fork and seen.evidence is not None
    assert verify_evidence(json.loads(seen.evidence.read_bytes()), None, log_key_of(log))


def test_another_key_than_the_pinned_one_is_refused(tmp_path: Path, fork: tuple[Log, Log]) -> None:
    log, _ = fork
    log.checkpoint()
    pinned = Verifier(f"{log.world.name}/log", ED25519, key("a stranger").public_key)
    assert Watch(tmp_path / "state", log_key=pinned).sees(log) is Status.failed


def test_a_folder_follows_the_log_it_began_with(watch: Watch, fork: tuple[Log, Log]) -> None:
    fork[0].checkpoint()
    watch.look(fork[0])
    for other in (Watch(watch.folder, "sha256:" + "0" * 64), Watch(watch.folder, log_key=log_key_of(fork[0]))):
        with pytest.raises(UsageError, match="this folder follows"):
            other.look(fork[0])


def test_one_folder_has_one_monitor(watch: Watch) -> None:
    with open_sightings(watch.folder), pytest.raises(UsageError, match="another monitor"), open_sightings(watch.folder):
        pass


# Forks.

FIRST, LAST = 21, 40


@pytest.mark.parametrize(
    ("first", "second"), [(25, 31), (31, 25), (25, 25), (21, 300), (300, 21), (300, 280), (513, 257)]
)
def test_a_second_history_is_caught_with_evidence(watch: Watch, fork: tuple[Log, Log], first: int, second: int) -> None:
    one, other = fork
    signed(one, first, "one history")
    signed(other, second, "another history")
    assert watch.sees(one) is Status.first
    seen = watch.look(other)
    assert checked(seen, root_of(one)) and sizes_of(seen) == sorted([first, second])
    assert seen.message.startswith("FORK")
    with pytest.raises(LedgerError):
        checked(seen, "sha256:" + "0" * 64)


def test_a_fork_changes_nothing_that_was_known(watch: Watch, fork: tuple[Log, Log]) -> None:
    one, other = fork
    signed(one, 25, "one history")
    watch.look(one)
    signed(other, 31, "another history")
    watch.look(other)
    assert watch.newest == Sighting(25, one.store.tree.root(25))
    assert watch.remembered.at(REFUSED) == [Sighting(31, other.store.tree.root(31))]
    assert watch.sees(one) is Status.same
    signed(one, 31, "one history")
    assert watch.sees(one) is Status.grown


def test_a_fork_that_stays_is_found_each_time_and_written_once(watch: Watch, fork: tuple[Log, Log]) -> None:
    one, other = fork
    signed(one, 25, "one history")
    watch.look(one)
    signed(other, 31, "another history")
    paths = {watch.look(other).evidence for _ in range(3)}
    assert paths == {watch.folder / "evidence-25-31.json"}


def test_two_forks_of_the_same_sizes_are_two_files(watch: Watch, fork: tuple[Log, Log], tmp_path: Path) -> None:
    one, other = fork
    third = beginning(tmp_path / "third")
    signed(one, 25, "one history")
    watch.look(one)
    for log in (other, third):
        signed(log, 31, f"the history in {log.store}")
        assert checked(watch.look(log), root_of(one))
    names = [path.name for path in watch.remembered.evidence()]
    assert names == ["evidence-25-31-2.json", "evidence-25-31.json"]


def test_a_fork_between_two_addresses_is_caught_in_one_round(watch: Watch, fork: tuple[Log, Log]) -> None:
    one, other = fork
    signed(one, 40, "one history")
    signed(other, 40, "another history")
    with open_sightings(watch.folder) as sightings:
        monitor = Monitor(sightings, watch.root, None, watch.clock)
        seen = [monitor.observe(name, StorePublication(log.store)) for name, log in (("a", one), ("b", other))]
    assert [observation.status for observation in seen] == [Status.first, Status.fork]


def test_a_fork_right_before_the_known_end_is_caught(watch: Watch, fork: tuple[Log, Log]) -> None:
    one, other = fork
    grown(one, 299, "everyone")
    grown(other, 299, "everyone")
    signed(one, 300, "one history")
    signed(other, 301, "another history")
    watch.look(one)
    assert checked(watch.look(other), root_of(one))


def test_a_fork_behind_a_rotation_of_the_logs_key_is_caught(watch: Watch, fork: tuple[Log, Log]) -> None:
    one, other = fork
    signed(one, 25, "one history")
    watch.look(one)
    signed(with_next_key(other), 31, "another history")
    seen = watch.look(other)
    assert any("two histories of the log's own keys" in check for check in checked(seen, root_of(one)))


def test_a_fork_at_the_same_size_needs_no_tiles(watch: Watch, fork: tuple[Log, Log]) -> None:
    one, other = fork
    signed(one, 25, "one history")
    watch.look(one)
    signed(other, 25, "another history")
    assert checked(watch.look(Served(other, tile=UNREADABLE)), root_of(one))


def test_a_fork_at_a_size_known_from_before_needs_no_tiles(watch: Watch, fork: tuple[Log, Log]) -> None:
    one, other = fork
    for size in (25, 40):
        signed(one, size, "one history")
        watch.look(one)
    shutil.rmtree(watch.folder / "hashes")
    signed(other, 25, "another history")
    assert sizes_of(watch.look(other)) == [25, 25]


def forged(log: Log, size: int, by: SecretKey) -> Callable[[], bytes]:
    """Return a checkpoint over the first entries of a log that somebody else signs."""
    checkpoint = Checkpoint(f"{log.world.name}/log", size, log.store.tree.root(size))
    return lambda: issue(checkpoint, by).format()


@pytest.mark.parametrize("size", [35, 45], ids=["smaller", "larger"])
def test_a_thief_of_a_retired_key_does_not_lead_the_history_astray(
    watch: Watch, fork: tuple[Log, Log], size: int
) -> None:
    """With an identity from before the rotation, the thief continues what is known with entries of their own."""
    log, old = fork
    old.checkpoint()
    identity = StorePublication(old.store).identity
    signed(with_next_key(log), 40, "honest")
    watch.look(log)
    known = watch.newest
    grown(log, 45, "a thief")
    note = forged(log, size, old.world.log.key)
    seen = watch.look(Served(log, checkpoint=note, identity=identity, tile=lambda it: log.store.tree.tile(it, size)))
    assert (seen.status, "leaves out key events" in seen.message) == (Status.failed, True)
    assert watch.newest == known
    assert watch.remembered.at(SEEN) == []


def test_a_fork_by_a_retired_key_that_was_not_judged_is_met_once(watch: Watch, fork: tuple[Log, Log]) -> None:
    log, thief = fork
    signed(with_next_key(log), 30, "honest")
    watch.look(log)
    false = signed(thief, 35, "a thief")
    with open_sightings(watch.folder) as sightings:
        sightings.see(Sighting(false.size, false.root), false.note)
    signed(log, 40, "honest")
    assert [watch.sees(log), watch.sees(log), watch.sees(log)] == [Status.failed, Status.grown, Status.same]


# Memory.


def interrupted(watch: Watch, log: Log) -> None:
    """Let a monitor see a checkpoint and be killed before it could judge it."""
    assert watch.sees(Served(log, tile=UNREADABLE)) is Status.unreachable


def test_what_was_seen_but_not_judged_is_not_forgotten(watch: Watch, fork: tuple[Log, Log]) -> None:
    one, other = fork
    signed(one, 25, "one history")
    interrupted(watch, one)
    assert watch.remembered.at(SEEN) == [Sighting(25, one.store.tree.root(25))]
    signed(other, 31, "another history")
    assert checked(watch.look(other), root_of(one))
    assert watch.newest is None


def test_false_tiles_in_place_of_those_that_show_a_fork_make_nothing_forgotten(
    watch: Watch, fork: tuple[Log, Log]
) -> None:
    one, other = fork
    signed(one, 600, "one history")
    interrupted(watch, one)
    signed(other, 800, "another history")

    def tile(tile: Tile) -> bytes:
        data = StorePublication(other.store).tile(tile)
        return data if tile.level or tile.index == 3 else data[:-32] + bytes(32)

    assert watch.sees(Served(other, tile=tile)) is Status.failed
    assert Sighting(600, one.store.tree.root(600)) in watch.remembered.at(SEEN)
    assert checked(watch.look(other), root_of(one))


def test_what_was_seen_but_not_judged_is_compared_with_a_later_smaller_one(watch: Watch, fork: tuple[Log, Log]) -> None:
    """The tiles of the larger one were never had: only what grows beyond it can show the contradiction."""
    one, other = fork
    signed(one, 31, "one history")
    interrupted(watch, one)
    signed(other, 25, "another history")
    assert watch.sees(other) is Status.first
    signed(other, 40, "another history")
    seen = watch.look(other)
    assert checked(seen, root_of(one)) and sizes_of(seen) == [31, 40]
    assert watch.newest == Sighting(25, other.store.tree.root(25))


def test_what_was_seen_but_not_judged_joins_the_history_it_belongs_to(watch: Watch, fork: tuple[Log, Log]) -> None:
    one, _ = fork
    signed(one, 25, "one history")
    interrupted(watch, one)
    signed(one, 31, "one history")
    assert watch.sees(one) is Status.first
    assert [sighting.size for sighting in watch.remembered.at(KNOWN)] == [25, 31]


def test_a_smaller_one_that_was_not_judged_is_judged_by_the_next_look(watch: Watch, fork: tuple[Log, Log]) -> None:
    one, other = fork
    signed(one, 31, "one history")
    watch.look(one)
    false = signed(other, 25, "another history")
    with open_sightings(watch.folder) as sightings:
        sightings.see(Sighting(false.size, false.root), false.note)
    assert checked(watch.look(one), root_of(one))
    assert watch.sees(one) is Status.same


class Killed(BaseException):
    """The process ends here; what is on the disk stays as it is."""


def look_and_die(watch: Watch, log: Log, step: int, patch: pytest.MonkeyPatch) -> bool:
    """Look at a log and be killed when the disk is waited for the given time; says whether that came to pass."""
    times, wait = itertools.count(), os.fsync

    def fsync(descriptor: int) -> None:
        if next(times) == step:
            raise Killed
        wait(descriptor)

    with patch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        try:
            watch.look(log)
        except Killed:
            return True
    return False


@pytest.mark.parametrize("known", [0, 22], ids=["first", "grown"])
def test_killed_at_any_step_it_forgets_no_checkpoint_that_it_kept(
    tmp_path: Path, fork: tuple[Log, Log], known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = fork
    before = Watch(tmp_path / "before", root_of(one))
    if known:
        grown(other, known, "everyone")
        signed(one, known, "everyone")
        before.look(one)
    signed(one, 300, "one history")
    signed(other, 310, "another history")
    kept = []
    for step in itertools.count():
        watch = Watch(tmp_path / f"killed at {step}", root_of(one))
        if known:
            shutil.copytree(before.folder, watch.folder)
        killed = look_and_die(watch, one, step, monkeypatch)
        kept.append(bool(list(watch.folder.rglob("300-*.note"))))
        again = Watch(tmp_path / f"again after {step}", root_of(one))
        shutil.copytree(watch.folder, again.folder)
        assert again.sees(one) in (Status.first, Status.grown, Status.same)
        assert again.newest == Sighting(300, one.store.tree.root(300))
        assert checked(again.look(other), root_of(one))
        if kept[-1]:
            assert checked(watch.look(other), root_of(one))
        if not killed:
            break
    assert kept == sorted(kept) and len(kept) > 6 and kept[-1]


def test_hashes_of_a_growth_that_was_not_finished_do_no_harm(watch: Watch, fork: tuple[Log, Log]) -> None:
    one, other = fork
    signed(one, 25, "one history")
    watch.look(one)
    spoil = watch.folder / "hashes" / "0"
    spoil.write_bytes(spoil.read_bytes() + bytes(1_000))
    signed(other, 23, "another history")
    assert checked(watch.look(other), root_of(one))
    signed(one, 300, "one history")
    assert watch.sees(one) is Status.grown
    assert watch.remembered.tile(Tile(0, 0)) == one.store.tree.tile(Tile(0, 0), 300)


def test_damaged_hashes_are_noticed_before_they_are_used(watch: Watch, fork: tuple[Log, Log]) -> None:
    one, other = fork
    signed(one, 25, "one history")
    watch.look(one)
    path = watch.folder / "hashes" / "0"
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    signed(other, 23, "another history")
    seen = watch.look(other)
    assert (seen.status, "damaged" in seen.message) == (Status.failed, True)


def test_unfinished_files_are_passed_over(watch: Watch, fork: tuple[Log, Log]) -> None:
    fork[0].checkpoint()
    watch.look(fork[0])
    (watch.folder / "seen" / ".99-.note.new").write_bytes(b"half")
    (watch.folder / "known" / "notes of mine.note").write_bytes(b"mine")
    assert watch.sees(fork[0]) is Status.same


# What is not the log's word, or leads nowhere.


@pytest.mark.parametrize("error", [SourceUnreadableError("no answer"), NotFoundError("nothing here")])
@pytest.mark.parametrize("part", ["checkpoint", "identity", "tile"])
def test_what_cannot_be_had_is_no_accusation(
    watch: Watch, fork: tuple[Log, Log], part: str, error: LedgerError
) -> None:
    fork[0].checkpoint()
    seen = watch.look(Served(fork[0], **{part: raising(error)}))
    assert (seen.status, watch.newest) == (Status.unreachable, None)
    assert watch.sees(fork[0]) is Status.first


def flipped(log: Log, level: int) -> Callable[[Tile], bytes]:
    def tile(tile: Tile) -> bytes:
        data = StorePublication(log.store).tile(tile)
        return bytes([data[0] ^ 1]) + data[1:] if tile.level == level else data

    return tile


@pytest.mark.parametrize("level", [0, 1])
def test_tiles_that_do_not_lead_to_the_signed_root_are_an_alarm_without_evidence(
    watch: Watch, fork: tuple[Log, Log], level: int
) -> None:
    signed(fork[0], 300, "honest")
    seen = watch.look(Served(fork[0], tile=flipped(fork[0], level)))
    assert (seen.status, seen.evidence, watch.newest) == (Status.failed, None, None)
    assert seen.message.startswith("tile:") and "no evidence" in seen.message
    assert watch.sees(fork[0]) is Status.first


def test_tiles_of_the_known_history_do_not_hide_a_fork(watch: Watch, fork: tuple[Log, Log]) -> None:
    """The right edge is the false tree's own; what lies below it is taken from the history that is known."""
    one, other = fork
    signed(one, 300, "one history")
    watch.look(one)
    signed(other, 600, "another history")

    def tile(tile: Tile) -> bytes:
        return one.store.tree.tile(tile, 512) if tile == Tile(0, 1) else StorePublication(other.store).tile(tile)

    grown(one, 512, "one history")
    seen = watch.look(Served(other, tile=tile))
    assert (seen.status, seen.message.startswith("tile:")) == (Status.failed, True)
    assert checked(watch.look(other), root_of(one))


@pytest.mark.parametrize("raw", [b"", b"no note", b"a\n1\n\n", bytes(100)])
def test_what_is_no_checkpoint_is_an_alarm(watch: Watch, fork: tuple[Log, Log], raw: bytes) -> None:
    fork[0].checkpoint()
    seen = watch.look(Served(fork[0], checkpoint=lambda: raw))
    assert (seen.status, seen.message.startswith("checkpoint:")) == (Status.failed, True)


def test_a_checkpoint_that_the_log_did_not_sign_is_not_kept(watch: Watch, fork: tuple[Log, Log]) -> None:
    fork[0].checkpoint()
    watch.look(fork[0])
    seen = watch.look(Served(fork[0], checkpoint=forged(fork[0], 20, key("a stranger"))))
    assert (seen.status, seen.message.startswith("key validity:")) == (Status.failed, True)
    assert [sighting.size for sighting in watch.remembered.at(SEEN)] == []


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"log_key":"none"}', b'{"key_events":[],"registry":"x"}'])
def test_what_is_no_identity_is_an_alarm(tmp_path: Path, fork: tuple[Log, Log], raw: bytes) -> None:
    fork[0].checkpoint()
    assert Watch(tmp_path / "state").sees(Served(fork[0], identity=lambda: raw)) is Status.failed


def test_an_identity_that_leaves_out_a_known_key_event_is_an_alarm(watch: Watch, fork: tuple[Log, Log]) -> None:
    log, _ = fork
    signed(log, 30, "honest")
    watch.look(log)
    with open_sightings(watch.folder) as sightings:
        kept: Any = dict(sightings.trust() or {})
        extra = log.world.registration(replace(log.world.log, key=key("a log key of its own")), "log")
        row = {**extra.value, "position": 19, "received_at": kept["key_events"][-1]["received_at"]}
        sightings.keep_trust({**kept, "key_events": [*kept["key_events"], row]})
    signed(with_next_key(log), 40, "honest")
    seen = watch.look(log)
    assert (seen.status, "leaves out key events" in seen.message) == (Status.failed, True)


# What is said.


def test_an_observation_is_plain_json(watch: Watch, fork: tuple[Log, Log]) -> None:
    one, other = fork
    signed(one, 25, "one history")
    signed(other, 25, "another history")
    first, second = (json.loads(json.dumps(watch.look(log).facts())) for log in (one, other))
    assert list(first) == ["time", "address", "status", "message", "trust", "size", "root_hash", "newest_size"]
    assert (first["status"], second["status"], second["evidence"]) == (
        "first",
        "fork",
        str(watch.folder / "evidence-25-25.json"),
    )
