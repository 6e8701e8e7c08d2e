"""A PostgreSQL server that dies, every process of it at once, in the middle of appends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger.database import open_postgresql
from ledger.errors import StoreError
from ledger.merkle import leaf_hash, root_of
from ledger.store import Store, create_log
from tests import writers
from tests.builders import REGISTRY, World
from tests.logs import Log
from tests.postgres import DURABLE, Server, cluster

SECONDS = 60


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that waits for the disk."""
    with cluster(*DURABLE) as found:
        yield found


def test_a_killed_server_loses_nothing_that_was_acknowledged(server: Server) -> None:
    url = server.url()
    database = open_postgresql(url, writers.SCHEMA)
    create_log(database, REGISTRY)
    log = Log(World(), Store(database))
    log.admit(*log.world.opening(), *log.world.people(), log.world.record_created())
    acknowledged: set[str] = set()
    for seed, patience in enumerate((30, 80)):
        rivals = [writers.start("endless", url, 2 * seed + number) for number in range(2)]
        for rival in rivals:
            assert rival.stdout is not None
            acknowledged |= {rival.stdout.readline().strip() for _ in range(patience)}
        server.kill()
        for rival in rivals:
            assert rival.stdout is not None
            said = rival.stdout.read().splitlines(keepends=True)
            acknowledged |= {line.strip() for line in said if line.endswith("\n")}
            assert rival.wait(SECONDS) == 1  # the store told it
        with pytest.raises(StoreError):
            log.store.head()
        server.start()
        entries = list(log.store.entries())  # through the same store as before
        assert [entry.position for entry in entries] == list(range(log.store.head().size))
        assert acknowledged <= {entry.event.id_text for entry in entries}
        assert log.store.tree.root(len(entries)) == root_of([leaf_hash(entry.leaf()) for entry in entries])
        assert log.admit(log.world.author()).position == len(entries)
    database.close()
