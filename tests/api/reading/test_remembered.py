"""Answers kept in memory: made once for all who wait, made anew when what they show may have changed, and bounded."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from api.answers import OVERHEAD, Answer
from api.caching import SHORT
from api.present import Sight
from api.reading.remembered import Basis, Made, Maker, Remembered
from ledger.errors import NotFoundError
from tests.api.asking import a_citation, a_still_registry
from tests.api.registry import Registry
from tests.builders import NUMBER

KEY = ("SUFFIX", "record")


class Counting:
    """A maker that tells how often it was asked, and by which look."""

    def __init__(self, content: bytes = b"content", source: object = None) -> None:
        self.content, self.source = content, source
        self.sights: list[Sight] = []
        self.befores: list[Made | None] = []

    def __call__(self, sight: Sight, before: Made | None) -> Made:
        self.sights.append(sight)
        self.befores.append(before)
        return Made(Answer(self.content, "text/plain", SHORT), self.source)


def remembered(registry: Registry, limit: int = 1_000_000) -> Remembered:
    registry.caught_up()
    return Remembered(registry.parts.present, limit)


def an_entry(registry: Registry) -> None:
    """Let the log grow, and the projections with it."""
    registry.admit(a_citation(registry, NUMBER))
    registry.caught_up()


def got(memory: Remembered, make: Maker, basis: Basis, key: tuple[str, str] = KEY) -> bytes:
    return asyncio.run(memory.get(key, make, basis)).content


@pytest.mark.parametrize("basis", [Basis.PROJECTIONS, Basis.LOG])
def test_an_answer_is_at_hand_until_something_is_appended(registry: Registry, basis: Basis) -> None:
    memory, make = remembered(registry), Counting()
    assert memory.at_hand(KEY) is None
    assert got(memory, make, basis) == got(memory, make, basis) == b"content"
    found = memory.at_hand(KEY)
    assert found is not None and found.content == b"content"
    an_entry(registry)
    assert memory.at_hand(KEY) is None
    got(memory, make, basis)
    assert len(make.sights) == 2
    assert make.sights[1].size > make.sights[0].size


def test_the_log_may_be_ahead_of_the_projections(tmp_path: Path) -> None:
    with a_still_registry(tmp_path, is_looked_at=False) as registry:
        present = registry.parts.present
        memory, of_log, of_projections = Remembered(present), Counting(), Counting()
        for _ in range(2):
            got(memory, of_log, Basis.LOG, ("A", "events"))
            got(memory, of_projections, Basis.PROJECTIONS, ("A", "record"))
            registry.admit(a_citation(registry, NUMBER))
            present.look()
        assert (len(of_log.sights), len(of_projections.sights)) == (2, 1)


def test_what_a_checkpoint_proves_is_asked_for_each_time(registry: Registry) -> None:
    memory, make = remembered(registry), Counting(source="the note")
    for _ in range(3):
        got(memory, make, Basis.CHECKPOINT)
    assert [before and before.source for before in make.befores] == [None, "the note", "the note"]


def test_a_maker_is_shown_what_it_made_before(registry: Registry) -> None:
    memory, make = remembered(registry), Counting(source="the row")
    got(memory, make, Basis.PROJECTIONS)
    an_entry(registry)
    got(memory, make, Basis.PROJECTIONS)
    assert [before and before.source for before in make.befores] == [None, "the row"]


def test_all_who_wait_get_what_is_made_once(registry: Registry) -> None:
    memory, make = remembered(registry), Counting()
    go_on = threading.Event()

    def slowly(sight: Sight, before: Made | None) -> Made:
        assert go_on.wait(10)
        return make(sight, before)

    async def ask() -> list[Answer]:
        asked = [asyncio.create_task(memory.get(KEY, slowly, Basis.LOG)) for _ in range(20)]
        await asyncio.sleep(0)
        asked[0].cancel()
        go_on.set()
        return [answer for answer in await asyncio.gather(*asked, return_exceptions=True) if isinstance(answer, Answer)]

    answers = asyncio.run(ask())
    assert (len(answers), len({id(answer) for answer in answers}), len(make.sights)) == (19, 1, 1)


def test_who_asks_later_is_not_given_what_was_begun_before(registry: Registry) -> None:
    memory, make = remembered(registry), Counting()
    begun, go_on = threading.Event(), threading.Event()

    def slowly(sight: Sight, before: Made | None) -> Made:
        begun.set()
        assert go_on.wait(10)
        return make(sight, before)

    async def ask() -> None:
        first = asyncio.create_task(memory.get(KEY, slowly, Basis.LOG))
        await asyncio.to_thread(begun.wait, 10)
        await asyncio.to_thread(an_entry, registry)
        second = asyncio.create_task(memory.get(KEY, make, Basis.LOG))
        await second
        go_on.set()
        await first

    asyncio.run(ask())
    later, earlier = make.sights
    assert later.size > earlier.size
    # What was begun earlier came last, and is not taken for the newer.
    assert memory.at_hand(KEY) is None
    got(memory, make, Basis.LOG)
    assert len(make.sights) == 3


def test_a_failure_is_told_to_all_and_not_kept(registry: Registry) -> None:
    memory, make = remembered(registry), Counting()
    asked: list[None] = []

    def fail(_sight: Sight, _before: Made | None) -> Made:
        asked.append(None)
        raise NotFoundError("nothing")

    async def ask() -> list[Answer | BaseException]:
        waiting = (memory.get(KEY, fail, Basis.LOG) for _ in range(3))
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert all(isinstance(told, NotFoundError) for told in asyncio.run(ask()))
    assert len(asked) == 1
    assert got(memory, make, Basis.LOG) == b"content"


def test_what_was_asked_for_longest_ago_is_forgotten_first(registry: Registry) -> None:
    size = 1_000
    memory = remembered(registry, limit=3 * (size + OVERHEAD))
    keys = [(name, "record") for name in "ABCD"]
    for key in keys[:3]:
        got(memory, Counting(b"x" * size), Basis.LOG, key)
    assert all(memory.at_hand(key) for key in keys[:3])
    assert memory.at_hand(keys[0])
    got(memory, Counting(b"x" * size), Basis.LOG, keys[1])
    got(memory, Counting(b"x" * size), Basis.LOG, keys[3])
    assert [memory.at_hand(key) is not None for key in keys] == [True, True, False, True]


def test_what_is_larger_than_the_memory_is_given_and_not_kept(registry: Registry) -> None:
    memory = remembered(registry, limit=10_000)
    got(memory, Counting(b"small"), Basis.LOG, ("A", "record"))
    assert got(memory, Counting(b"x" * 20_000), Basis.LOG, ("B", "record")) == b"x" * 20_000
    assert memory.at_hand(("B", "record")) is None
    assert memory.at_hand(("A", "record")) is not None


def test_an_answer_that_grows_counts_once(registry: Registry) -> None:
    memory = remembered(registry, limit=4 * (1_000 + OVERHEAD))
    got(memory, Counting(b"x" * 1_000), Basis.LOG, ("A", "record"))
    for _ in range(6):
        an_entry(registry)
        got(memory, Counting(b"x" * 1_000), Basis.LOG, ("B", "record"))
    got(memory, Counting(b"x" * 1_000), Basis.LOG, ("A", "record"))
    assert memory.at_hand(("A", "record")) and memory.at_hand(("B", "record"))


def test_makers_run_beside_the_loop(registry: Registry) -> None:
    memory, threads = remembered(registry), []

    def make(sight: Sight, before: Made | None) -> Made:
        threads.append(threading.current_thread())
        return Counting()(sight, before)

    got(memory, make, Basis.LOG)
    assert threads[0] is not threading.current_thread()
