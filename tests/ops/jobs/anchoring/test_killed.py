"""Workers killed fifty times at random points of anchoring, two of them at once at times: nothing lost or doubled."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from ledger.database import Database
from ledger.payloads import TimestampAnchor
from ops.home import now
from ops.jobs.running import UNDER_WAY, runs
from ops.jobs.tables import OUTBOX
from tests.ops.jobs.anchoring.anchorages import Anchorage, anchorage, services_toml
from tests.ops.jobs.anchoring.forked_workers import Fast
from tests.processes import module

KILLS = 50
ALONE = 20
"""So many are killed while nobody else works; the others in pairs."""

LONGEST = 0.8
"""How long a worker lives at most: from its start to the end of a first round of anchoring, and some more."""


@dataclass(slots=True)
class Yard:
    """A process that forks workers."""

    process: subprocess.Popen[bytes]

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()


@contextmanager
def yard(data: Path, epoch: int) -> Iterator[Yard]:
    process = module("tests.ops.jobs.anchoring.forked_workers", data, epoch)
    try:
        yield Yard(process)
    finally:
        process.kill()
        process.communicate(timeout=30)


def requests(found: Anchorage) -> int:
    assert found.authority is not None
    return sum(len(served.requests) for served in (*found.calendars, found.authority))


def interrupted(database: Database) -> list[str]:
    """Return what a killed worker left undone: the jobs under way, and whether the outbox holds anything."""
    found = [name for name, run in runs(database).items() if run.outcome == UNDER_WAY]
    with database.read() as connection:
        if connection.execute(select(func.count()).select_from(OUTBOX)).scalar_one():
            found.append("outbox")
    return found


def uncovered(found: Anchorage, records: list[str]) -> list[str]:
    """Return what is owed still, in words."""
    confirmed: list[tuple[str, TimestampAnchor]] = [
        (entry.event.subject, entry.event.payload) for entry in found.anchors("confirmed")
    ]
    lacking = []
    for clock in found.services.anchoring.clocks:
        mine = [(subject, told) for subject, told in confirmed if told.service == clock.url]
        sizes = [told.anchored.tree_size for _, told in mine if isinstance(told.anchored.tree_size, int)]
        if found.home.store.unanchored(max(sizes, default=0)) is not None:
            lacking.append(f"{clock.url}: the log beyond {max(sizes, default=0)}")
        stamped = {subject for subject, _ in mine}
        lacking += [f"{clock.url}: {subject}" for subject in records if subject not in stamped]
    return lacking


def test_workers_killed_fifty_times_lose_and_double_nothing(tmp_path: Path) -> None:
    chance = random.Random("fifty kills")
    epoch = now()
    clock = Fast(epoch)
    with ExitStack() as cleaning:
        found = cleaning.enter_context(anchorage(tmp_path, number=2, authority=True, every_seconds=60, clock=clock))
        data = found.home.settings.data
        found.home.settings.services_path.write_text(services_toml({"every_seconds": 60}, found))
        yards = [cleaning.enter_context(yard(data, epoch)) for _ in range(2)]
        records: list[str] = []
        seen: Counter[str] = Counter()
        kills = number = 0
        while kills < KILLS:
            number += 1
            if number % 5 == 0:
                records.append(found.paper())
                found.ask(records[-1])
            else:
                found.event()
            if number % 4 == 0:
                found.keep_promises()
            before = requests(found)
            working = yards[:1] if kills < ALONE else yards
            for one in working:
                one.tell(f"kill {chance.uniform(0, LONGEST):.4f} {chance.randrange(1 << 30)}")
            for one in working:
                assert one.answer() == "killed"
            kills += len(working)
            seen.update(interrupted(found.work.database))
            seen["asked"] += requests(found) > before

        assert seen["asked"] >= 8, seen
        assert sum(seen[name] for name in ("anchor", "stamp", "upgrade")) >= 8, seen

        yards[0].tell("start 1")
        assert yards[0].answer() == "started"
        deadline = time.monotonic() + 60
        while lacking := uncovered(found, records):
            assert time.monotonic() < deadline, lacking
            found.keep_promises()
            time.sleep(0.1)
        yards[0].tell("stop")
        assert yards[0].answer() == "0"
        assert interrupted(found.work.database) == []
        found.check()
        pending = Counter(entry.event.id_text for entry in found.anchors("pending"))
        upgraded = Counter(entry.event.payload.upgrades for entry in found.anchors("confirmed"))
        assert all(number == 1 for promise, number in upgraded.items() if promise in pending)
