"""The PostgreSQL store: the contract."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

import pytest

from ledger.database import open_postgresql
from ledger.store import Store, create_log
from tests import writers
from tests.builders import REGISTRY
from tests.ledger.contracts import StoreContract


@dataclass(frozen=True, slots=True)
class Postgresql:
    """A log in a database of its own; `open` gives it an engine of its own."""

    url: str

    def open(self) -> Store:
        return Store(open_postgresql(self.url, writers.SCHEMA))

    def create_again(self) -> None:
        create_log(open_postgresql(self.url, writers.SCHEMA), REGISTRY)

    def start(self, mode: str, *arguments: int) -> subprocess.Popen[str]:
        return writers.start(mode, self.url, *arguments)


@pytest.fixture
def backend(postgres_url: str) -> Postgresql:
    found = Postgresql(postgres_url)
    found.create_again()
    return found


class TestPostgresqlStore(StoreContract):
    """PostgreSQL keeps the contract."""
