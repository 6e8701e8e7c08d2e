"""What a job is, and what it is given to work on."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from ledger.appending import Clock
from ledger.database import Database
from ledger.payloads import PolicySet
from ledger.registry import Registry
from ledger.signing import Randomness, Signatory
from ledger.store import Store
from ops.home import Home
from ops.jobs.leases import LEASE_SECONDS, Lease
from ops.keyfiles import read_key
from ops.services import Services


def holder_name() -> str:
    """Return a name for this process that no other has: host, process id, and a word by chance."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"


class Policies:
    """The policy in force by what the log says at the moment; the registry's stream is read on, not anew."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._registry = Registry(store.registry_name, store.label)
        self._size = 0
        self._set_at = -1
        self._lock = threading.Lock()

    def in_force(self) -> PolicySet:
        """Return the policy; raises StoreError."""
        with self._lock:
            self._read_on()
            return self._registry.policy()

    def set_at(self) -> int:
        """Return the position of the newest policy_set, -1 where there is none; raises StoreError."""
        with self._lock:
            self._read_on()
            return self._set_at

    def _read_on(self) -> None:
        size = self._store.head().size
        for entry in self._store.of_registry(self._size, size):
            self._registry.add(entry)
            if entry.event.event_type == "policy_set":
                self._set_at = entry.position
        self._size = size


@dataclass(frozen=True, slots=True)
class Work:
    """What jobs work on, and by which clock (microseconds, UTC) and randomness.

    Attributes:
        database: the worker's own tables (`ops.jobs.tables`).
        private: the registry's private tables, where people's requests stand; None where nobody can ask.
        stopped: is set when the worker is to end; a long job looks at it between two steps.
        lease_seconds: how long a lease lasts unless it is renewed.
        holder: who this worker is, in words.
    """

    home: Home
    services: Services
    database: Database
    private: Database | None
    clock: Clock
    random: Randomness
    stopped: threading.Event = field(default_factory=threading.Event)
    lease_seconds: float = LEASE_SECONDS
    holder: str = field(default_factory=holder_name)
    _policies: Policies = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_policies", Policies(self.home.store))

    def policy(self) -> PolicySet:
        """Return the policy in force now; raises StoreError."""
        return self._policies.in_force()

    def policy_at(self) -> int:
        """Return the position of the newest policy in the log, so that one can see that it changed.

        Raises:
            StoreError: the log cannot be read.
        """
        return self._policies.set_at()

    def lease(self, name: str) -> Lease:
        """Return this worker's hold on a job, not taken yet."""
        return Lease(self.database, name, self.clock, self.lease_seconds, self.holder)

    def signatory(self, name: str = "event") -> Signatory:
        """Return one of the registry's own keys by the name of its file, read anew, since keys are rotated.

        Raises:
            UsageError: the key is not kept here.
        """
        return Signatory(read_key(self.home.settings.keys / f"{name}.json"), self.clock, self.random)


@dataclass(frozen=True, slots=True)
class Owing:
    """Work that is owed.

    Attributes:
        what: in words, with the number of it: "a checkpoint …", "2 promises of …".
        number: how many.
        waiting: why it waits; empty where it only waits for its turn.
        url: the address that it is about, where it is one.
        subject: the paper that it is about, where it is one.
        try_at: when it is tried again, in microseconds; 0 where nothing says.
        is_given_up: it is not tried again by itself; `waiting` says how to go on.
    """

    what: str
    number: int
    waiting: str
    url: str = ""
    subject: str = ""
    try_at: int = 0
    is_given_up: bool = False


class Job(Protocol):
    """Something that is done again and again: what is owed at the moment, each time.

    A run may be killed at any point, run late, or be started twice at once; it does the work once. For that it asks
    services while no transaction is open, and then, in one `lease.write()` transaction, changes its rows and puts the
    event that tells of it into the outbox.
    """

    @property
    def name(self) -> str: ...

    @property
    def every_seconds(self) -> float:
        """How long to rest between two looks at what is owed."""

    def run(self, work: Work, lease: Lease) -> str:
        """Do what is owed now and say in a few words what was done; empty where nothing was to do.

        Raises:
            LedgerError: it cannot be done now, and why.
        """

    def owing(self, work: Work) -> list[Owing]:
        """Say what is owed, without asking anybody."""


@runtime_checkable
class Watchful(Protocol):
    """A job that looks so often that a look must cost no transaction that writes."""

    def is_due(self, work: Work) -> bool:
        """Say whether a run would find anything to do; asks nobody and writes nothing."""
