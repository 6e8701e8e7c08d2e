"""Health: a registry says that it does not keep up, and why, while it goes on answering."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from api.app import create_app
from api.health import health_handlers
from api.parts import Parts
from api.readiness import Health, Standstill
from api.settings import ApiSettings
from ledger.appending import Submission
from ops.checkpointing import newest
from ops.home import Home, now, open_home
from ops.projecting import project
from ops.registry_app import composed
from ops.settings import Settings
from tests.api.registry import BASE_URL, Registry, a_home
from tests.api.streaming import reached
from tests.builders import ALICE, World
from tests.logs import Ticking
from tests.projections.papers import confirmed_checkpoint, regtest_policy
from tests.witnesses import served

PATIENCE = 0.2


@dataclass(frozen=True, slots=True)
class Watched:
    """A served registry whose health loses patience soon."""

    home: Home
    parts: Parts
    client: httpx.Client

    def append(self, number: int = 1) -> None:
        world = World()
        self.home.append([Submission(world.citation(ALICE)) for _ in range(number)])

    def change_projections(self, statement: str) -> None:
        with self.home.projections.write() as connection:
            connection.execute(text(statement))

    def ready(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get("/health/ready").json()
        return found

    def reasons(self) -> set[str]:
        return {reason["reason"] for reason in self.ready()["reasons"]}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = a_home(tmp_path, World())
    yield home
    home.close()


@pytest.fixture
def watched(home: Home) -> Iterator[Watched]:
    with a_watched(home) as watched:
        reached(lambda: not watched.reasons() and watched.ready()["lag"] == 0)
        yield watched


@contextmanager
def a_watched(home: Home, clock: Callable[[], float] = time.monotonic) -> Iterator[Watched]:
    stopped = threading.Event()
    with composed(home, ApiSettings(BASE_URL)) as parts:
        projecting = threading.Thread(target=project, args=(home.store, home.projections, stopped, now))
        projecting.start()
        try:
            app = create_app(parts, health=Health(parts, patience=PATIENCE, clock=clock))
            with served(app) as address, httpx.Client(base_url=address, timeout=30) as client:
                yield Watched(home, parts, client)
        finally:
            stopped.set()
            projecting.join()


# All is well.


def test_a_process_that_answers_is_alive(registry: Registry) -> None:
    answer = registry.client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_registry_that_keeps_up_is_ready(registry: Registry) -> None:
    registry.checkpoint()
    registry.caught_up()
    answer = registry.client.get("/health/ready")
    size = registry.home.store.head().size
    found = answer.json()
    age = found["checkpoint"].pop("age_seconds")
    unanchored = found["anchoring"].pop("unanchored_seconds")
    assert answer.status_code == 200
    assert found == {
        "status": "ready",
        "size": size,
        "cursor": size,
        "lag": 0,
        "checkpoint": {"size": size},
        "waiting": {"groups": 0, "seconds": 0.0},
        "anchoring": {"anchored_size": 0},
        "reasons": [],
        "warnings": [],
    }
    assert age >= 0 and unanchored >= 0


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_is_json_that_nobody_keeps(registry: Registry, path: str) -> None:
    answer = registry.client.get(path)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_head_answers_the_same_without_words(registry: Registry, path: str) -> None:
    answer = registry.client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_is_only_read(registry: Registry, path: str) -> None:
    answer = registry.client.post(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


# Outside clocks.


@contextmanager
def a_waiting(folder: Path, patience: float | None) -> Iterator[tuple[Watched, Ticking]]:
    """Serve a registry whose clock the test holds, and whose operator waits so many seconds for an anchor."""
    home, clock = a_home(folder, World()), Ticking("2026-07-01T00:00:00Z")
    home.close()
    home = dataclasses.replace(open_home(Settings(folder, BASE_URL)), clock=clock)
    clock.now = now()
    settings = ApiSettings(BASE_URL, anchor_patience_seconds=patience)
    with (
        closing(home),
        composed(home, settings) as parts,
        served(create_app(parts)) as address,
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        yield Watched(home, parts, client), clock


def anchored(watched: Watched) -> int:
    """Anchor all that the log holds; return how many entries that are."""
    world = World()
    watched.home.append([Submission(regtest_policy(world))])
    note = newest(watched.home).note.decode()
    size = watched.home.store.head().size
    watched.home.append([Submission(confirmed_checkpoint(world, size, note))])
    return size


def test_how_long_an_entry_waits_for_an_outside_clock_is_told(tmp_path: Path) -> None:
    with a_waiting(tmp_path, None) as (watched, clock):
        received_at = watched.home.store.entry(0).received_at
        clock.advance(3 * 86_400)
        found = watched.ready()
        assert found["anchoring"]["anchored_size"] == 0
        age = (clock.now - received_at) / 1_000_000
        assert abs(found["anchoring"]["unanchored_seconds"] - age) < 0.01
        assert (found["status"], found["warnings"]) == ("ready", [])


def test_a_registry_whose_anchors_cover_all_owes_none(tmp_path: Path) -> None:
    with a_waiting(tmp_path, 3_600) as (watched, clock):
        size = anchored(watched)
        clock.advance(86_400)
        reached(lambda: watched.ready()["anchoring"]["anchored_size"] == size)
        found = watched.ready()
        assert (found["anchoring"]["unanchored_seconds"], found["warnings"]) == (None, [])


def test_what_comes_after_an_anchor_owes_the_next_one(tmp_path: Path) -> None:
    with a_waiting(tmp_path, None) as (watched, clock):
        size = anchored(watched)
        reached(lambda: watched.ready()["anchoring"]["anchored_size"] == size)
        clock.advance(1_000)
        watched.append()
        clock.advance(50)
        watched.append()
        reached(lambda: watched.ready()["anchoring"]["unanchored_seconds"] is not None)
        assert watched.ready()["anchoring"]["unanchored_seconds"] == pytest.approx(50, abs=0.1)
        clock.advance(10)
        assert watched.ready()["anchoring"]["unanchored_seconds"] == pytest.approx(60, abs=0.1)


def test_impatience_is_a_warning_and_takes_nothing_out_of_service(tmp_path: Path) -> None:
    with a_waiting(tmp_path, 3_600) as (watched, clock):
        clock.advance(3_000)
        assert watched.ready()["warnings"] == []
        clock.advance(1_000)
        answer = watched.client.get("/health/ready")
        (warning,) = answer.json()["warnings"]
        assert (answer.status_code, answer.json()["status"], answer.json()["reasons"]) == (200, "ready", [])
        assert warning["reason"] == "unanchored" and "pith jobs" in warning["cure"]


# Projections that cannot go on.


def test_projections_that_stand_still_are_named_while_reads_go_on(watched: Watched) -> None:
    size = watched.home.store.head().size
    watched.change_projections("UPDATE cursors SET cursor = cursor - 1 WHERE projection = 'search'")
    watched.append(3)
    reached(lambda: watched.reasons() == {"projections-stand-still"})
    answer = watched.client.get("/health/ready")
    found = answer.json()
    assert (answer.status_code, found["status"]) == (503, "failing")
    assert (found["size"], found["cursor"], found["lag"]) == (size + 3, size - 1, 4)
    assert f"stand at {size - 1} of {size + 3} entries" in found["reasons"][0]["detail"]
    assert "pith rebuild" in found["reasons"][0]["cure"]
    assert watched.client.get("/health/live").status_code == 200
    assert watched.client.get("/api/events").json()["head"] == size + 3


def test_projections_that_go_on_again_are_ready(watched: Watched) -> None:
    watched.change_projections("ALTER TABLE citations RENAME TO lost")
    watched.append()
    reached(lambda: watched.reasons() == {"projections-stand-still"})
    watched.change_projections("ALTER TABLE lost RENAME TO citations")
    reached(lambda: not watched.reasons())
    assert watched.client.get("/health/ready").status_code == 200


def test_a_paper_that_cannot_be_projected_is_named_at_once(watched: Watched) -> None:
    watched.change_projections("UPDATE cursors SET error = 'secret: KeyError()' WHERE projection = 'aliases'")
    answer = watched.client.get("/health/ready")
    assert (answer.status_code, answer.json()["lag"]) == (503, 0)
    (reason,) = answer.json()["reasons"]
    assert (reason["reason"], reason["detail"]) == ("projection-error", "a paper cannot be projected: aliases")
    assert "secret" not in answer.text


def test_an_error_of_a_generation_that_nobody_reads_is_no_reason(watched: Watched) -> None:
    watched.change_projections("INSERT INTO cursors VALUES ('records', 99, 0, 0, 'no')")
    assert watched.client.get("/health/ready").status_code == 200


def test_projections_that_cannot_be_read_are_named(watched: Watched) -> None:
    watched.change_projections("DROP TABLE cursors")
    answer = watched.client.get("/health/ready")
    found = answer.json()
    assert answer.status_code == 503
    assert [reason["reason"] for reason in found["reasons"]] == ["projections-unreadable"]
    assert (found["cursor"], found["lag"]) == (None, None)
    assert watched.client.get("/health/live").status_code == 200
    assert watched.client.get("/api/events?limit=1").status_code == 200


# A log that cannot go on.


def test_a_log_that_cannot_be_read_is_named(watched: Watched) -> None:
    with watched.home.ledger.write() as connection:
        connection.execute(text("ALTER TABLE log_head RENAME TO lost"))
    answer = watched.client.get("/health/ready")
    found = answer.json()
    assert answer.status_code == 503
    assert [reason["reason"] for reason in found["reasons"]] == ["log-unreadable"]
    assert (found["size"], found["lag"]) == (None, None)
    assert watched.client.get("/health/live").status_code == 200
    with watched.home.ledger.write() as connection:
        connection.execute(text("ALTER TABLE lost RENAME TO log_head"))
    reached(lambda: not watched.reasons())


def test_submissions_that_wait_are_named(watched: Watched) -> None:
    intake = watched.parts.intake
    assert intake is not None
    event = World().citation(ALICE)
    appending = threading.Thread(target=intake.append, args=(Submission(event),))
    with watched.home.ledger.write():  # as another process may, that hangs in the middle of a transaction
        appending.start()
        reached(lambda: "submissions-wait" in watched.reasons())
        found = watched.ready()
        assert found["waiting"]["groups"] == 1 and found["waiting"]["seconds"] >= PATIENCE
        assert watched.client.get("/health/ready").status_code == 503
    appending.join()
    reached(lambda: not watched.reasons())
    assert watched.home.store.find(event.event_id).position == watched.home.store.head().size - 1


def test_a_mirror_has_nothing_that_waits(home: Home) -> None:
    home.settings.followed_path.write_text("https://registry.example")
    with a_watched(home) as watched:
        reached(lambda: not watched.reasons())
        assert watched.ready()["waiting"] is None


def test_a_log_without_a_checkpoint_has_no_age(home: Home) -> None:
    (home.settings.keys / "log.json").unlink()
    with a_watched(home) as watched:
        assert watched.ready()["checkpoint"] is None


def test_a_server_that_does_not_see_the_log_grow_is_named(home: Home) -> None:
    with composed(home, ApiSettings(BASE_URL)) as parts:
        # Nobody looks for this server at the log: its `Present.follow` does not run.
        app = Litestar(health_handlers(Health(parts, patience=PATIENCE)), openapi_config=None)
        with served(app) as address, httpx.Client(base_url=address) as client:
            watched = Watched(home, parts, client)
            size = home.store.head().size
            watched.append(2)
            reached(lambda: "sight-stands-still" in watched.reasons())
            details = {reason["reason"]: reason["detail"] for reason in watched.ready()["reasons"]}
    assert f"knows of {size} of {size + 2} entries" in details["sight-stands-still"]


# Over time.


class Held:
    """A clock that the test holds; it counts how often it was looked at."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.now


def test_a_standstill_is_known_at_the_first_time_of_asking(home: Home) -> None:
    clock = Held()
    with a_watched(home, clock) as watched:
        reached(lambda: watched.parts.present.sight.cursor == home.store.head().size)
        watched.change_projections("ALTER TABLE citations RENAME TO lost")
        watched.append()
        known = clock.looks
        reached(lambda: clock.looks >= known + 4)
        clock.now += PATIENCE
        assert watched.reasons() == {"projections-stand-still"}


@pytest.fixture
def clock() -> Held:
    return Held()


def test_what_does_not_move_stands_still(clock: Held) -> None:
    standstill = Standstill(clock)
    assert standstill.seen(5, 6) == 0
    clock.now += 7
    assert standstill.seen(5, 6) == 7
    clock.now += 7
    assert standstill.seen(5, 9) == 14


def test_what_moves_however_slowly_does_not_stand_still(clock: Held) -> None:
    standstill = Standstill(clock)
    for position in range(5):
        assert standstill.seen(position, 100) == 0
        clock.now += 1_000


def test_what_is_there_does_not_stand_still(clock: Held) -> None:
    standstill = Standstill(clock)
    for _ in range(5):
        assert standstill.seen(6, 6) == 0
        clock.now += 1_000


def test_what_was_there_and_fell_behind_begins_anew(clock: Held) -> None:
    standstill = Standstill(clock)
    for goal in (7, 6, 7):  # taken back and appended again, as a restored log may be
        assert standstill.seen(6, goal) == 0
        clock.now += 1_000


def test_a_long_time_without_looks_is_no_standstill(clock: Held) -> None:
    standstill = Standstill(clock)
    standstill.seen(6, 6)
    clock.now += 100_000
    assert standstill.seen(6, 7) == 0
    clock.now += 3
    assert standstill.seen(6, 7) == 3
