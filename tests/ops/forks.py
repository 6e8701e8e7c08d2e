"""Registries that write two histories: the same keys and the same beginning, and then each goes its own way."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ledger.checkpoint_store import SignedCheckpoint
from ledger.proofs.authority import Authority, authority_of, identity
from tests.builders import ALICE, Who, World, key
from tests.logs import Log

NEXT_LOG_KEY: Final = Who(key("the next log key"), "pith_registry", World().log.signer_id)


def beginning(folder: Path, size: int = 20) -> Log:
    """Return a log of some size; every one is the same, so that two of them are copies."""
    folder.mkdir(parents=True)
    return grown(Log.opened(folder), size, "everyone")


def grown(log: Log, size: int, told: str) -> Log:
    """Bring a log to a size with statements that only one history holds."""
    log.append(*(log.world.author(ALICE, author_name=f"{told} {at}") for at in range(log.store.head().size, size)))
    assert log.store.head().size == size
    return log


def signed(log: Log, size: int, told: str) -> SignedCheckpoint:
    """Bring a log to a size and publish a checkpoint over it."""
    return grown(log, size, told).checkpoint()


def with_next_key(log: Log) -> Log:
    """Rotate the log's key; what it signs from now on is signed by the next."""
    log.admit(log.world.rotation(log.world.log, NEXT_LOG_KEY, "log", by=log.world.registry))
    log.world.log = NEXT_LOG_KEY
    return log


def root_of(log: Log) -> str:
    return log.store.entry(0).event.id_text


def authority(log: Log) -> Authority:
    """Return who may sign for a log, by its own identity and the root known from elsewhere."""
    return authority_of(identity(log.store), root_of(log))
