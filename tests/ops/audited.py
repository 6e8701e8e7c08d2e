"""Ledgers to audit: a folder with everything a registry comes to hold, and hands that change its files."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from ledger import notes, records
from ledger.appending import Appended, Submission
from ledger.commitments import PRIVATE_FIELDS, Disclosure
from ledger.database import open_read_only, open_sqlite
from ledger.errors import VerificationError
from ledger.events import Event
from ledger.keys import SecretKey
from ledger.notes import COSIGNATURE, Verifier
from ledger.store import Store, create_log
from ops.audit import Audit, AuditedLog, audit_home, audit_log, audit_projections
from ops.audit_projections import Projected, copied
from ops.settings import Settings
from projections.rebuild import rebuild
from projections.runner import Runner, open_projections
from tests.builders import (
    ALICE,
    CHECKER,
    REGISTRY,
    World,
    a_record,
    contributor,
    disclosed,
    key,
    secret,
)
from tests.logs import Log, Ticking, history
from tests.projections.papers import confirmed_checkpoint, regtest_policy

SECRETS: Final = {
    secret(text): disclosed(text)
    for text in (
        "I wrote this.",
        "It is off by one.",
        "It is not.",
        "the token that the provider gave",
        "the deposit",
        "lost laptop",
    )
}
"""The private texts of the builders' events, by their commitments."""

LONG_RECORD, LONG_PAPER = a_record(
    "A paper of many words", " ".join(f"word{number:05}" for number in range(1_200)), ident="2606.00009"
)
LONG_NUMBER: Final = records.identify(LONG_RECORD).number
"""A paper whose words fill several pages of the full-text index."""

WITNESSES: Final = ("witness.example/one", "witness.example/two")


@dataclass(frozen=True, slots=True)
class Ledger:
    """A data folder at rest, and a time (microseconds) after everything in it."""

    folder: Path
    now: int

    @property
    def settings(self) -> Settings:
        return Settings(self.folder, "https://pith.example")

    def copy(self, folder: Path) -> Ledger:
        shutil.copytree(self.folder, folder)
        return Ledger(folder, self.now)

    def audit(self) -> tuple[AuditedLog, Projected]:
        return audit_home(self.settings, self.now, Audit())

    def audit_log(self) -> AuditedLog:
        database = open_read_only(self.settings.ledger_path)
        try:
            return audit_log(database, self.now, Audit())
        finally:
            database.close()

    def audit_projections(self) -> Projected:
        database = open_read_only(self.settings.ledger_path)
        try:
            with copied(self.settings.projections_path) as projections:
                return audit_projections(projections, Store(database), Audit())
        finally:
            database.close()

    @contextmanager
    def opened(self) -> Iterator[Log]:
        """Give the log to go on with, as its registry would."""
        database = open_sqlite(self.settings.ledger_path, durable=False)
        clock = Ticking()
        clock.now = self.now
        try:
            yield Log(World(), Store(database), clock)
        finally:
            database.close()

    def change_log(self, statement: str, *values: Any) -> None:
        """Change the log behind its guards, which stand again afterwards."""
        _change(self.settings.ledger_path, statement, values)

    def change_projections(self, statement: str, *values: Any) -> None:
        _change(self.settings.projections_path, statement, values)

    def ask(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.settings.ledger_path)) as connection:
            return connection.execute(statement, values).fetchall()


def _change(path: Path, statement: str, values: Iterable[Any]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        done = connection.execute(statement, tuple(values))
        assert done.rowcount != 0, f"{statement} changed nothing"
        for _, sql in guards:
            connection.execute(sql)


def a_ledger(folder: Path, *, crowd: int = 0, name: str = REGISTRY) -> Ledger:
    """Make a ledger with every event type, private texts, checkpoints and projections that grew step by step.

    Args:
        crowd: how many keys register beside what the history holds; 300 fill a tile.
    """
    folder.mkdir(parents=True)
    world, clock = World(name), Ticking()
    ledger = open_sqlite(folder / "ledger.db", durable=False)
    create_log(ledger, world.name)
    log = Log(world, Store(ledger), clock)
    projections = open_sqlite(folder / "projections.db", durable=False)

    def project() -> None:
        open_projections(log.store, projections)
        Runner(log.store, projections).catch_up()

    told = history(world)
    admit(log, told[:12])
    project()
    checkpoint(log, cosigners=1)
    admit(log, told[12:])
    project()
    rebuild(log.store, projections, ["records"])
    taken_back = world.challenge("C2", ALICE)
    admit(log, [regtest_policy(world), taken_back, world.decision(taken_back, "redacted")])
    checkpoint(log, cosigners=2)
    note = log.store.checkpoints.all()
    admit(log, [confirmed_checkpoint(world, (first := next(note)).size, note_alone(first.note).decode())])
    project()
    admit(log, [world.registration(contributor(f"one-of-many-{number}")) for number in range(crowd)])
    checkpoint(log, cosigners=0, publish=False)
    admit(
        log,
        [
            world.record_created(LONG_RECORD, {**LONG_PAPER, "authors_text": "Ada Author, B. Author"}),
            world.alias_added("doi", "10.1000/2", LONG_NUMBER),
            world.storage(CHECKER, grade="fetched"),
            world.citation(ALICE, citing=LONG_NUMBER),
        ],
    )
    project()
    for database in (ledger, projections):
        database.close()
    return Ledger(folder, clock.now + 1_000_000)


def admit(log: Log, events: Iterable[Event]) -> None:
    """Append events that must all be taken, with the private texts that belong to them."""
    for outcome in log.store.append([Submission(event, texts_of(event)) for event in events], log.clock):
        if not isinstance(outcome, Appended):
            raise outcome


def texts_of(event: Event) -> Mapping[str, Disclosure]:
    found = {}
    for path in PRIVATE_FIELDS.get(event.event_type, ()):
        commitment: Any = event.value["payload"]
        for name in path.split("."):
            commitment = commitment.get(name, {}) if isinstance(commitment, dict) else {}
        if commitment:
            found[path] = SECRETS[commitment]
    return found


def checkpoint(log: Log, *, cosigners: int, publish: bool = True) -> None:
    """Sign a checkpoint over all that a log holds, and let made-up witnesses cosign it."""
    signed = log.store.checkpoints.sign(log.world.log.key, log.clock())
    text = notes.parse(signed.note).text
    log.store.checkpoints.add_cosignatures(
        signed.size,
        {
            witness(name): notes.cosign(text, name, witness_key(name), log.clock.now // 1_000_000)
            for name in WITNESSES[:cosigners]
        },
    )
    if publish:
        log.store.checkpoints.publish(signed.size)


def witness_key(name: str) -> SecretKey:
    return key(name)


def witness(name: str) -> Verifier:
    return Verifier(name, COSIGNATURE, witness_key(name).public_key)


def note_alone(note: bytes) -> bytes:
    """Return a note with the first of its signature lines only."""
    parsed = notes.parse(note)
    return notes.SignedNote(parsed.text, parsed.signatures[:1]).format()


def refusal(audit: Callable[[], object]) -> VerificationError:
    """Run an audit that must fail; return how, which always says where and what to do."""
    with pytest.raises(VerificationError) as caught:
        audit()
    assert caught.value.place and caught.value.cure, str(caught.value)
    return caught.value
