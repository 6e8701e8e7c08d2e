"""A registry of two logs under test: the first, and one beside it that is called 2027."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.database import open_sqlite
from ledger.events import Event
from ledger.shared import is_shared
from ledger.store import Store, create_log
from tests.builders import OTHER_PAPER, OTHER_RECORD, REGISTRY, World
from tests.logs import Log
from tests.projections.papers import regtest_policy

LABEL: Final = "2027"
FIRST_ORIGIN: Final = f"{REGISTRY}/log"
ORIGIN: Final = f"{REGISTRY}/log/{LABEL}"


@dataclass(frozen=True, slots=True)
class TwoLogs:
    """Both logs of one registry, written by one world and one clock; `NUMBER` is in the first, `OTHER_NUMBER` in the
    other.
    """

    first: Log
    beside: Log

    @property
    def world(self) -> World:
        return self.first.world

    def share(self) -> None:
        """Copy to the log beside what the first has of keys and policies."""
        registry = self.first.store.registry()
        entries = [entry for entry in self.first.store.entries() if is_shared(entry.event, registry)]
        for outcome in self.beside.store.copy_shared(entries):
            if isinstance(outcome, Exception):
                raise outcome


def an_empty_log_beside(folder: Path, first: Log, label: str = LABEL) -> Log:
    database = open_sqlite(folder / f"{label}.sqlite", durable=False)
    create_log(database, first.world.name, label)
    return Log(first.world, Store(database), first.clock)


def two_logs(folder: Path) -> TwoLogs:
    """Return two logs with the same keys, people and policies, and one paper in each."""
    first = Log.empty(folder)
    world = first.world
    first.admit(*world.opening())
    first.clock.advance(1)
    first.admit(*world.people(), regtest_policy(world, logs=[LABEL]))
    first.admit(world.record_created())
    logs = TwoLogs(first, an_empty_log_beside(folder, first))
    logs.share()
    logs.beside.admit(record_beside(world))
    return logs


def record_beside(world: World, label: str = LABEL) -> Event:
    """Return the creation of the record that was made for the log beside."""
    return world.record_created(OTHER_RECORD, OTHER_PAPER, log=label)
