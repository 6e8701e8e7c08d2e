"""A registry's data folder: its log, its projections and its keys, opened and made.

The log may stand in PostgreSQL instead (`ops.databases`); keys and projections never do.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import select

from ledger.appending import Appended, Clock, Submission
from ledger.database import Database, open_sqlite
from ledger.errors import StoreError, SubmissionError, UsageError
from ledger.keys import Role, SecretKey
from ledger.registry import DEFAULT_POLICY
from ledger.signing import HeldKey, Randomness, Signatory, foreign_key
from ledger.store import Store
from ledger.subjects import registry_subject
from ledger.tables import HEAD
from ops.databases import no_ledger, open_log, place_of
from ops.keyfiles import read_key, write_key
from ops.migrations.lines import LOG
from ops.new_databases import new_log, remove_file
from ops.settings import Settings
from ops.whole_files import alone
from projections.layout import is_current, note_layout
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
            UsageError: this folder is a mirror, or has nothing of the registry whose log is in PostgreSQL.
        """
        if self.settings.followed_path.exists():
            raise UsageError(
                f"this is a mirror of {self.store.registry_name} and takes nothing of its own",
                place=str(self.settings.data),
                cure="send it to the registry; `pith mirror` then brings it here",
            )
        # The log in a shared database may be somebody's mirror, whose mark is in another folder.
        if self.settings.database_url and not any(self.settings.keys.glob("*.json")):
            raise UsageError(
                f"this folder holds no key of {self.store.registry_name}, whose log is in the database",
                place=str(self.settings.data),
                cure="copy `keys/` and `signed` from the folder of the registry, or `following` from that of a mirror",
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
    """Open a data folder, and the log that belongs to it.

    Raises:
        UsageError: there is no ledger in it, or one that another release has to open.
        StoreError: the PostgreSQL database cannot be asked.
    """
    if settings.database_url:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as opened:
        try:
            ledger = open_log(settings)
            opened.callback(ledger.close)
            if settings.database_url:
                _check_begun(ledger, settings)
            store = Store(ledger)
            _check_keys(settings, store.registry_name)
            projections = _open_projections(settings.projections_path, store)
        except StoreError as error:
            if settings.database_url:
                raise
            raise UsageError(
                f"it cannot be opened as a ledger: {error.message}",
                place=str(settings.data),
                cure="restore it from a backup",
            ) from error
        opened.pop_all()
    return Home(settings, ledger, projections, store, clock, random)


def _check_begun(ledger: Database, settings: Settings) -> None:
    """Refuse a log whose making was broken off before its root; a mirror's may still be empty."""
    with ledger.read() as connection:
        size = connection.execute(select(HEAD.c.size)).scalar()
    if size is None or (size == 0 and not settings.followed_path.exists()):
        raise no_ledger(settings)


def _check_keys(settings: Settings, registry: str) -> None:
    """Refuse to work on a log with the keys of another registry, as where a wrong database is named."""
    path = settings.keys / "event.json"
    if settings.database_url and path.exists() and read_key(path).registry != registry:
        raise UsageError(
            f"the log is of {registry}, the keys here are of {read_key(path).registry}",
            place=place_of(settings, LOG),
            cure="see that PITH_DATABASE_URL, PITH_DATABASE_SCHEMA and PITH_DATA belong together",
        )


def _open_projections(path: Path, store: Store) -> Database:
    """Open the projections of a log.

    A damaged file, or another release's, is thrown away, since the log holds all that was in it.
    """
    # Of two processes that throw the same file away, one would be left with a file that has no name.
    with alone(path.with_suffix(".lock")):
        database = open_sqlite(path, durable=False)
        try:
            if is_current(database):
                open_projections(store, database)
                return database
        except StoreError:
            pass
        database.close()
        remove_file(path)
        database = open_sqlite(path, durable=False)
        open_projections(store, database)
        note_layout(database)
        return database


def create_home(settings: Settings, name: str, clock: Clock = now, random: Randomness = os.urandom) -> Home:
    """Make a new registry: keys, an empty log, the root event, its keys and first policy.

    Raises:
        UsageError: the folder or the database already holds one.
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
    # The log is there for others only once it begins with its root.
    with new_log(settings, name) as database:
        home = Home(settings, database, database, Store(database), clock, random)
        signer = home.signatory("event")
        payloads = [home.signatory(role).statement() for role in OWN_ROLES]
        payloads += [
            foreign_key(label, key, name, source, signer.now(), signer.nonce()) for label, key, source in PUBLISHED_KEYS
        ]
        events = [signer.sign("key_registered", subject, payload)[0] for payload in payloads]
        events.append(signer.sign("policy_set", subject, DEFAULT_POLICY)[0])
        home.append([Submission(event) for event in events])
    return open_home(settings, clock, random)


def collect_rarely() -> None:
    """Let the interpreter look for garbage cycles less often.

    Entries are trees of dicts without cycles; walking them at every 700 new objects takes a sixth of the time.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
