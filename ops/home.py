"""A registry's data folder: its log, its projections and its keys, opened and made."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.appending import Appended, Clock, Submission
from ledger.database import Database, open_sqlite
from ledger.errors import StoreError, SubmissionError, UsageError
from ledger.keys import Role, SecretKey
from ledger.registry import DEFAULT_POLICY
from ledger.signing import HeldKey, Randomness, Signatory, foreign_key
from ledger.store import Store, create_log
from ledger.subjects import registry_subject
from ops.keyfiles import read_key, write_key
from ops.settings import Settings
from projections.runner import Runner, open_projections

PUBLISHED_KEYS: Final = (
    (
        "pith-v1-2026-05",
        "b2d552b68890857171a78b36a5dccf368a953413288c353f7c9d9d6f94b709b3",
        "https://pith.science/pith-signing-key.json",
    ),
)
"""Receipt keys of public registries that are known out of the box: label, public key in hex, source."""

OWN_ROLES: Final[tuple[Role, ...]] = ("event", "receipt", "log")


@dataclass(frozen=True, slots=True)
class Home:
    """An opened data folder."""

    settings: Settings
    ledger: Database
    projections: Database
    store: Store
    clock: Clock
    random: Randomness

    def signatory(self, role: Role) -> Signatory:
        """Return the registry's own key of a role; raises UsageError where the key is not kept here."""
        return Signatory(read_key(self.settings.keys / f"{role}.json"), self.clock, self.random)

    def check_own(self) -> None:
        """Refuse to change a log that is a copy of somebody else's.

        Raises:
            UsageError: this folder is a mirror.
        """
        if self.settings.followed_path.exists():
            raise UsageError(
                f"this is a mirror of {self.store.registry_name} and takes nothing of its own",
                place=str(self.settings.data),
                cure="send it to the registry; `pith mirror` then brings it here",
            )

    def append(self, submissions: Sequence[Submission]) -> list[Appended]:
        """Append events that must all be accepted; raises the first refusal."""
        self.check_own()
        verified = [self.store.verify(submission) for submission in submissions]
        outcomes = self.store.append(verified, self.clock)
        for outcome in outcomes:
            if isinstance(outcome, SubmissionError):
                raise outcome
        return [outcome for outcome in outcomes if isinstance(outcome, Appended)]

    def catch_up(self) -> None:
        """Bring the projections to the head of the log."""
        Runner(self.store, self.projections).catch_up()

    def close(self) -> None:
        self.ledger.close()
        self.projections.close()


def now() -> int:
    """Return the time in microseconds since 1970, UTC."""
    return time.time_ns() // 1_000


def open_home(settings: Settings, clock: Clock = now, random: Randomness = os.urandom) -> Home:
    """Open a data folder.

    Raises:
        UsageError: there is no ledger in it.
    """
    if not settings.ledger_path.exists():
        raise UsageError(
            f"there is no ledger in {settings.data}", cure="make one with `pith init NAME`, or set PITH_DATA"
        )
    ledger = open_sqlite(settings.ledger_path)
    try:
        store = Store(ledger)
        projections = _open_projections(settings.projections_path, store)
    except StoreError as error:
        ledger.close()
        raise UsageError(
            f"it cannot be opened as a ledger: {error.message}",
            place=str(settings.data),
            cure="restore it from a backup",
        ) from error
    return Home(settings, ledger, projections, store, clock, random)


def _open_projections(path: Path, store: Store) -> Database:
    """Open the projections of a log; a damaged file is thrown away, since the log holds all that was in it."""
    database = open_sqlite(path, durable=False)
    try:
        open_projections(store, database)
    except StoreError:
        database.close()
        _remove(path)
        database = open_sqlite(path, durable=False)
        open_projections(store, database)
    return database


def create_home(settings: Settings, name: str, clock: Clock = now, random: Randomness = os.urandom) -> Home:
    """Make a new registry: keys, an empty log, the root event, its keys and first policy.

    Raises:
        UsageError: the folder already holds one.
    """
    subject = registry_subject(name)
    if settings.ledger_path.exists():
        raise UsageError(f"there is a ledger in {settings.data}", cure="use it, or set PITH_DATA to another folder")
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    for role in OWN_ROLES:
        path = settings.keys / f"{role}.json"
        if not path.exists():
            write_key(path, HeldKey(SecretKey(random(32)), name, f"registry:{name}", role))
        elif read_key(path).registry != name:
            raise UsageError("this key belongs to another registry", place=str(path), cure="use an empty folder")
    # The log appears under its name only once it begins with its root.
    unfinished = settings.data / "ledger.new"
    _remove(unfinished)
    database = open_sqlite(unfinished)
    create_log(database, name)
    home = Home(settings, database, database, Store(database), clock, random)
    signer = home.signatory("event")
    payloads = [Signatory(read_key(settings.keys / f"{role}.json"), clock, random).statement() for role in OWN_ROLES]
    payloads += [
        foreign_key(label, key, name, source, signer.now(), signer.nonce()) for label, key, source in PUBLISHED_KEYS
    ]
    events = [signer.sign("key_registered", subject, payload)[0] for payload in payloads]
    events.append(signer.sign("policy_set", subject, DEFAULT_POLICY)[0])
    home.append([Submission(event) for event in events])
    database.close()
    unfinished.rename(settings.ledger_path)
    return open_home(settings, clock, random)


def collect_rarely() -> None:
    """Let the interpreter look for garbage cycles less often.

    Entries are trees of dicts without cycles; walking them at every 700 new objects takes a sixth of the time.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
