"""Leases: one holder at a time, fences that only grow, and nothing written by whoever lost one."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import insert, select

from ledger.database import Database
from ledger.errors import LeaseLostError
from ops.jobs.leases import SLACK_SECONDS, Lease
from ops.jobs.tables import CURSORS, LEASES, open_jobs
from ops.migrations.lines import JOBS
from tests.logs import Ticking
from tests.ops.shared import BOTH, tables_in


@pytest.fixture(params=BOTH)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with tables_in(request.param, JOBS, tmp_path, request) as found:
        yield found


def a_lease(database: Database, clock: Ticking, holder: str = "one", seconds: float = 60.0) -> Lease:
    return Lease(database, "anchor", clock, seconds, holder)


def write(lease: Lease, name: str) -> None:
    with lease.write() as connection:
        connection.execute(insert(CURSORS).values(name=name, position=lease.fence))


def written(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(CURSORS.c.name)).scalars())


def test_a_lease_that_is_held_is_not_given_to_another(database: Database) -> None:
    clock = Ticking()
    first, second = a_lease(database, clock), a_lease(database, clock, "two")
    assert first.take()
    assert not second.take()
    with pytest.raises(LeaseLostError):
        write(second, "by two")
    write(first, "by one")
    assert written(database) == ["by one"]


def test_whoever_takes_a_lease_that_ran_out_gets_a_greater_fence_and_the_other_writes_nothing(
    database: Database,
) -> None:
    clock = Ticking()
    first, second = a_lease(database, clock), a_lease(database, clock, "two")
    assert first.take()
    clock.advance(61)
    assert second.take()
    assert second.fence == 2
    with pytest.raises(LeaseLostError, match="not held any more"):
        write(first, "by one")
    with pytest.raises(LeaseLostError):
        first.renew()
    write(second, "by two")
    assert written(database) == ["by two"]


def test_a_lease_that_ran_out_and_nobody_took_is_still_its_holders(database: Database) -> None:
    clock = Ticking()
    first, second = a_lease(database, clock), a_lease(database, clock, "two")
    assert first.take()
    clock.advance(3_600)
    write(first, "late")
    assert written(database) == ["late"]
    assert not second.take()  # writing renewed it


def test_renewing_lets_a_lease_last_from_then_on(database: Database) -> None:
    clock = Ticking()
    first, second = a_lease(database, clock), a_lease(database, clock, "two")
    assert first.take()
    for _ in range(5):
        clock.advance(50)
        first.renew()
        assert not second.take()


def test_what_a_transaction_did_is_undone_when_it_fails(database: Database) -> None:
    lease = a_lease(database, Ticking())
    assert lease.take()

    def fail_half_way() -> None:
        with lease.write() as connection:
            connection.execute(insert(CURSORS).values(name="half", position=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert written(database) == []
    write(lease, "whole")


def test_a_released_lease_is_free_at_once_and_writes_nothing_more(database: Database) -> None:
    clock = Ticking()
    first, second = a_lease(database, clock), a_lease(database, clock, "two")
    assert first.take()
    first.release()
    with pytest.raises(LeaseLostError):
        write(first, "after the end")
    assert second.take()
    first.release()  # twice does no harm to who holds it now
    write(second, "by two")
    assert written(database) == ["by two"]


def test_a_clock_that_was_set_back_by_days_keeps_nobody_out(database: Database) -> None:
    clock = Ticking()
    first, second = a_lease(database, clock), a_lease(database, clock, "two")
    assert first.take()
    clock.advance(-10 * 86_400)
    assert second.take()
    with pytest.raises(LeaseLostError):
        write(first, "by one")


def test_two_clocks_that_differ_a_little_do_not_take_leases_from_each_other(database: Database) -> None:
    ahead, behind = Ticking(), Ticking()
    ahead.advance(int(SLACK_SECONDS) - 1)
    first, second = a_lease(database, ahead), a_lease(database, behind, "two")
    assert first.take()
    assert not second.take()


class Contention(RuleBasedStateMachine):
    """Three holders, and a clock that jumps both ways: whatever they do, only the newest fence writes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.database = open_jobs(Path(self.folder.name) / "jobs.db")
        self.clock = Ticking()
        self.leases = [a_lease(self.database, self.clock, str(number)) for number in range(3)]
        self.newest: int | None = None
        self.fence = self.writes = 0

    @rule(who=st.integers(0, 2))
    def take(self, who: int) -> None:
        if self.leases[who].take():
            assert self.leases[who].fence == self.fence + 1
            self.newest, self.fence = who, self.fence + 1

    @rule(who=st.integers(0, 2))
    def write(self, who: int) -> None:
        try:
            write(self.leases[who], f"{self.writes}")
        except LeaseLostError:
            assert who != self.newest
        else:
            assert who == self.newest
            self.writes += 1

    @rule(who=st.integers(0, 2))
    def release(self, who: int) -> None:
        self.leases[who].release()
        if who == self.newest:
            self.newest = None

    @rule(seconds=st.sampled_from([-1_000_000, -30, 1, 30, 59, 61, 1_000_000]))
    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @invariant()
    def the_row_holds_the_greatest_fence_and_nothing_is_lost(self) -> None:
        with self.database.read() as connection:
            assert (connection.execute(select(LEASES.c.fence)).scalar() or 0) == self.fence
        assert len(written(self.database)) == self.writes

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()


TestContention = Contention.TestCase
TestContention.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def test_of_many_threads_whose_leases_run_out_all_the_time_no_two_write_by_turns(tmp_path: Path) -> None:
    """Each opens the database for itself, as processes do; what is written is in the order of the fences."""
    path = tmp_path / "jobs.db"
    open_jobs(path).close()
    clock, failures, taken = Ticking(), [], []
    deadline = time.monotonic() + 60

    def compete(number: int) -> None:
        try:
            chance = random.Random(number)
            database = open_jobs(path)
            lease = a_lease(database, clock, str(number), seconds=0.000_01)  # some ten looks at the clock
            while len(taken) < 24 and time.monotonic() < deadline:
                if not lease.take():
                    continue
                taken.append(lease.fence)
                try:
                    for part in range(chance.randrange(1, 4)):
                        write(lease, f"{number}.{lease.fence}.{part}")
                except LeaseLostError:
                    continue
            database.close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    database = open_jobs(path)
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT name, position FROM cursors ORDER BY rowid").all()
        newest = connection.execute(select(LEASES.c.fence)).scalar_one()
    fences = [fence for _, fence in rows]
    assert fences == sorted(fences)
    assert len({name.rsplit(".", 1)[0] for name, _ in rows}) == len(set(fences))  # one holder for each fence
    assert len(taken) == len(set(taken)) >= 24
    assert max(taken) == newest
    database.close()
