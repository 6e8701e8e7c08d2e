"""Logs to go over, and a second way to what a replay must find: entry by entry, and step by step."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger.database import Database, open_read_only, open_sqlite
from ledger.errors import LedgerError, SubmissionError, VerificationError
from ledger.events import Event
from ledger.registry import Registry
from ledger.store import Store
from ledger.times import seconds
from ledger.verification import Head, verify_entries
from ops.replaying.checking import Course, Mode
from ops.replaying.engines import Engine, Here, Processes
from ops.replaying.places import FilePlace
from ops.replaying.replay import replay
from projections.rebuild import state_digest
from projections.runner import Runner, create_projections
from tests.builders import ALICE, BOB, MODERATOR, NUMBER, OPENED, Who, a_record, contributor, secret
from tests.logs import Log

Outcome = tuple[str, str, str]
"""An error: its step or code, its message and its place."""


@dataclass(frozen=True, slots=True)
class File:
    """A log's file at rest."""

    path: Path

    @contextmanager
    def opened(self) -> Iterator[Database]:
        database = open_read_only(self.path)
        try:
            yield database
        finally:
            database.close()

    def size(self) -> int:
        with self.opened() as database:
            return Store(database).head().size

    def engine(self, database: Database, workers: int) -> Engine:
        return Here(database) if workers == 1 else Processes(FilePlace(str(self.path)), workers)

    def gone_over(
        self, mode: Mode = Mode.all, stop: int | None = None, workers: int = 1, root: str | None = None
    ) -> tuple[str, list[str]]:
        """Replay the log in ranges of one tile; return the state digest and the sentences."""
        with self.opened() as database:
            store = Store(database)
            course = Course(database, store, mode, store.head().size if stop is None else stop, root, tiles=1)
            return replay(course, self.engine(database, workers)), course.sentences

    def refused(self, mode: Mode = Mode.all, workers: int = 1) -> Outcome | None:
        """Replay the log; return how it was refused, None if it holds."""
        return outcome_of(lambda: self.gone_over(mode, workers=workers))

    def refused_singly(self) -> Outcome | None:
        """Check the log entry by entry, as on its first day; return how it was refused, None if it holds."""
        with self.opened() as database:
            return outcome_of(lambda: _singly(Store(database)))

    def folded_step_by_step(self, folder: Path, stop: int) -> str:
        """Project the log in several steps, as a registry does while it runs; return the state digest."""
        projections = open_sqlite(folder / "projections.db", durable=False)
        create_projections(projections)
        with self.opened() as database:
            runner = Runner(Store(database), projections)
            for at in range(0, stop, 97):
                runner.catch_up(stop=at)
            runner.catch_up(stop=stop)
        found = state_digest(projections)
        projections.close()
        return found

    def change(self, statement: str, *values: object) -> None:
        """Change the file behind its guards."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            assert connection.execute(statement, values).rowcount, f"{statement} changed nothing"


def outcome_of(check: Callable[[], object]) -> Outcome | None:
    try:
        check()
    except LedgerError as error:
        step = error.step if isinstance(error, VerificationError) else error.code
        return step, error.message, error.place
    return None


def _singly(store: Store) -> None:
    store.check_unique()
    registry, head = Registry(store.registry_name, store.label), Head(0, 0)
    for at in range(store.head().size):
        (entry,) = store.checked_entries(at, at + 1)
        with store.targets_of([entry]) as targets:
            try:
                head = verify_entries([entry], registry, targets, head)
            except SubmissionError as error:  # what a damaged record that it refers to comes to
                raise VerificationError("rule", str(error)) from error


def crowded(folder: Path, papers: int = 60, statements: int = 700) -> Log:
    """Return a log of several tiles: papers come one by one, and all that is said of them later, in no order.

    Some of it is decided on, withdrawn or signed by keys that are revoked or proven in the end.
    """
    chance = random.Random(papers)
    log = Log.opened(folder)
    world = log.world
    people = [ALICE, BOB, *(contributor(f"one-of-many-{number}") for number in range(20))]
    log.admit(*map(world.registration, people[2:]), world.moderation_policy(unverified_keys="accepted"))
    known, said = [NUMBER], list[tuple[Who, Event]]()
    for number in range(statements):
        if number % (statements // papers) == 0:
            made = world.record_created(*a_record(f"Paper {number}", ident=f"2607.{number:05}"))
            known.append(made.subject)
            log.admit(made)
        who, subject = chance.choice(people), chance.choice(known)
        citation = {"citing": chance.choice(known), "relationship": "supports"}
        if citation["citing"] == subject:
            citation["citing"] = "arxiv:2606.00002"
        author = {"author_name": "A. Author", "statement": secret("I wrote this.")}
        kind, payload = chance.choice([("citation_signature", citation), ("author_attestation", author)])
        said.append((who, world.event(who, kind, payload, subject=subject)))
        log.admit(said[-1][1])
        who, target = chance.choice(said)
        match chance.randrange(12):
            case 0:
                decision = {"decision": chance.choice(["accepted", "rejected", "redacted"])}
                about = {"subject": target.subject, "target": target.id_text}
                log.admit(world.event(MODERATOR, "moderation_decision", decision, **about))
            case 1:
                log.admit(world.event(who, "withdrawal", {}, subject=target.subject, target=target.id_text))
    log.admit(
        world.proof_of_identity(ALICE),
        *(world.revocation(who, by=world.registry, compromised_from=OPENED) for who in people[2:5]),
        world.revocation(MODERATOR, by=world.registry, compromised_from=seconds(log.clock.now + 1_000_000)),
    )
    return log
