"""Mirrors: a copy that checked everything, goes on where it stopped, and catches a log that forks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.database import open_sqlite
from ledger.errors import ForkError, SourceUnreadableError, UsageError, VerificationError
from ledger.proofs.trust import Trust
from ledger.publication import Publication
from ledger.store import Store
from ledger.tiles import ENTRIES, Tile
from ops.evidence import verify_evidence
from ops.home import open_home
from ops.mirror import Mirrored, mirror
from ops.publications import StorePublication
from ops.settings import Settings
from projections.rebuild import replay
from tests.builders import ALICE, Who, World, key
from tests.logs import Log, Ticking

Changed = Callable[[Tile, bytes], bytes]


class Through:
    """A publication as it arrives over a line on which somebody sits: tiles are changed, or stop coming."""

    def __init__(self, publication: Publication, change: Changed, tiles: int = 1_000_000) -> None:
        self._publication, self._change, self._left = publication, change, tiles

    def checkpoint(self) -> bytes:
        return self._publication.checkpoint()

    def identity(self) -> bytes:
        return self._publication.identity()

    def tile(self, tile: Tile) -> bytes:
        if tile.level == ENTRIES:
            self._left -= 1
            if self._left < 0:
                raise SourceUnreadableError("the line is cut", place="here")
        return self._change(tile, self._publication.tile(tile))


def unchanged(_tile: Tile, data: bytes) -> bytes:
    return data


def with_papers(log: Log, count: int) -> Log:
    """Add cheap events, so that the log has more than one tile."""
    log.admit(*(log.world.citation(ALICE) for _ in range(count)))
    return log


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Log:
    log = with_papers(Log.opened(tmp_path_factory.mktemp("original")), 1_400)
    log.checkpoint()
    return log


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "mirror", "http://127.0.0.1:8080")


def follow(log: Log | Publication, settings: Settings, **trust: Any) -> Mirrored:
    publication = StorePublication(log.store) if isinstance(log, Log) else log
    return mirror(publication, settings, Trust(**trust), lambda _: None, Ticking("2026-07-01T00:00:00Z"))


def held(settings: Settings) -> Store:
    return Store(open_sqlite(settings.ledger_path))


def root_of(log: Log) -> str:
    return log.store.entry(0).event.id_text


def test_a_mirror_holds_what_the_log_holds(original: Log, settings: Settings) -> None:
    done = follow(original, settings, root=root_of(original))
    copy = held(settings)
    assert (done.added, list(copy.rows())) == (original.store.head().size, list(original.store.rows()))


def test_a_mirror_comes_to_the_same_state(original: Log, settings: Settings) -> None:
    size = follow(original, settings).size
    assert replay(held(settings), size) == replay(original.store, size)


def test_a_mirror_hands_out_the_registrys_own_checkpoint_and_tiles(original: Log, settings: Settings) -> None:
    follow(original, settings)
    mine, theirs = StorePublication(held(settings)), StorePublication(original.store)
    assert mine.checkpoint() == theirs.checkpoint()
    assert mine.identity() == theirs.identity()
    assert mine.tile(Tile(0, 1)) == theirs.tile(Tile(0, 1))


def test_a_mirror_can_be_mirrored(original: Log, settings: Settings, tmp_path: Path) -> None:
    follow(original, settings)
    again = Settings(tmp_path / "again", settings.base_url)
    follow(StorePublication(held(settings)), again, root=root_of(original))
    assert held(again).head() == original.store.head()


def test_a_second_run_adds_nothing(original: Log, settings: Settings) -> None:
    follow(original, settings)
    assert follow(original, settings).added == 0


def test_a_later_run_adds_what_is_new(settings: Settings, tmp_path: Path) -> None:
    log = with_papers(Log.opened(tmp_path), 300)
    log.checkpoint()
    follow(log, settings)
    with_papers(log, 10).checkpoint()
    assert (follow(log, settings).added, held(settings).head()) == (10, log.store.head())


def test_a_run_that_was_broken_off_goes_on_where_it_stopped(original: Log, settings: Settings) -> None:
    with pytest.raises(SourceUnreadableError):
        follow(Through(StorePublication(original.store), unchanged, tiles=5), settings)
    kept = held(settings).head().size
    assert 0 < kept < original.store.head().size
    assert follow(original, settings).added == original.store.head().size - kept


def test_a_broken_off_mirror_shows_no_checkpoint_it_does_not_reach(original: Log, settings: Settings) -> None:
    with pytest.raises(SourceUnreadableError):
        follow(Through(StorePublication(original.store), unchanged, tiles=5), settings)
    assert held(settings).checkpoints.newest() is None


@pytest.mark.parametrize("level", [ENTRIES, 0, 1])
@pytest.mark.parametrize("index", [0, 3, 5])
def test_a_changed_byte_on_the_line_is_refused_and_not_kept(
    original: Log, settings: Settings, level: int, index: int
) -> None:
    def flip(tile: Tile, data: bytes) -> bytes:
        if tile.level != level or tile.index != min(index, 0 if level == 1 else index):
            return data
        at = min(len(data) - 1, 40 * index + 30)
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    with pytest.raises(VerificationError):
        follow(Through(StorePublication(original.store), flip), settings)
    copy = held(settings)
    assert list(copy.rows()) == list(original.store.rows(0, copy.head().size))


def test_another_root_than_the_one_asked_for_is_refused(original: Log, settings: Settings) -> None:
    with pytest.raises(VerificationError) as caught:
        follow(original, settings, root="sha256:" + "0" * 64)
    assert (caught.value.step, settings.ledger_path.exists()) == ("root", False)


def test_a_mirror_keeps_to_the_root_it_began_with(original: Log, settings: Settings, tmp_path: Path) -> None:
    follow(original, settings)
    thief = World()
    thief.registry = Who(key("a thief"), "pith_registry", thief.registry.signer_id)
    (tmp_path / "thief").mkdir()
    other = Log.opened(tmp_path / "thief", thief)
    other.checkpoint()
    with pytest.raises(VerificationError) as caught:
        follow(other, settings)
    assert caught.value.step == "root"


def test_a_folder_with_a_registry_of_its_own_is_left_alone(original: Log, settings: Settings) -> None:
    settings.keys.mkdir(parents=True)
    (settings.keys / "event.json").write_text("{}")
    with pytest.raises(UsageError, match="registry's own"):
        follow(original, settings)


def test_a_mirror_takes_no_events_of_its_own(original: Log, settings: Settings) -> None:
    follow(original, settings)
    home = open_home(settings)
    with pytest.raises(UsageError, match="takes nothing of its own"):
        home.append([])
    home.close()


# Forks.


@pytest.fixture
def fork(tmp_path: Path) -> tuple[Log, Log]:
    """Two copies of one log with the same keys, which part after their first checkpoint."""
    (tmp_path / "one").mkdir()
    one = with_papers(Log.opened(tmp_path / "one"), 300)
    one.checkpoint()
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    other = Log(World(), Store(open_sqlite(tmp_path / "other" / "log.sqlite", durable=False)))
    other.clock.advance(60)
    return one, other


def grown(log: Log, count: int, who: str) -> Log:
    log.admit(*(log.world.author(ALICE, author_name=f"{who} {at}") for at in range(count)))
    log.checkpoint()
    return log


@pytest.mark.parametrize(("first", "second"), [(5, 5), (5, 9), (9, 5), (1, 400)])
def test_a_log_that_shows_a_second_history_is_caught_with_evidence(
    fork: tuple[Log, Log], settings: Settings, first: int, second: int
) -> None:
    one, other = fork
    follow(grown(one, first, "One"), settings)
    with pytest.raises(ForkError) as caught:
        follow(grown(other, second, "Other"), settings)
    assert any("cannot both be true" in line or "two roots" in line for line in _verified(caught.value, one))


@pytest.mark.parametrize("at", [20, 1_200])
def test_a_fork_is_caught_with_evidence_after_a_run_that_was_broken_off(
    tmp_path: Path, settings: Settings, at: int
) -> None:
    (tmp_path / "one").mkdir()
    one = with_papers(Log.opened(tmp_path / "one"), at)
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    other = Log(World(), Store(open_sqlite(tmp_path / "other" / "log.sqlite", durable=False)))
    other.clock.advance(60)
    grown(one, 1_400 - at, "One")
    grown(other, 1_500 - at, "Other")
    with pytest.raises(SourceUnreadableError):
        follow(Through(StorePublication(one.store), unchanged, tiles=5), settings)
    assert held(settings).checkpoints.newest() is None
    with pytest.raises(ForkError) as caught:
        follow(other, settings)
    assert _verified(caught.value, one)


def test_an_answer_that_nobody_vouches_for_makes_no_mirror(original: Log, settings: Settings) -> None:
    with pytest.raises(VerificationError):
        follow(original, settings, root="sha256:" + "1" * 64)
    assert follow(original, settings).size == original.store.head().size


def test_a_fork_changes_nothing_in_the_mirror(fork: tuple[Log, Log], settings: Settings) -> None:
    one, other = fork
    follow(grown(one, 5, "One"), settings)
    with pytest.raises(ForkError):
        follow(grown(other, 9, "Other"), settings)
    assert list(held(settings).rows()) == list(one.store.rows())


def test_a_log_that_shows_less_than_before_is_no_fork(fork: tuple[Log, Log], settings: Settings) -> None:
    one, stale = fork
    follow(grown(one, 5, "One"), settings)
    done = follow(stale, settings)
    assert (done.size, done.added) == (one.store.head().size, 0)


def _verified(error: ForkError, log: Log) -> list[str]:
    return verify_evidence(error.evidence, root_of(log), None)
