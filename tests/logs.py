"""A log under test: a real store in a folder of its own, a clock that the test holds, and verdicts over it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ledger.appending import Appended, Outcome, Submission
from ledger.checkpoint_store import SignedCheckpoint
from ledger.database import Database, open_sqlite
from ledger.errors import SubmissionError
from ledger.events import Entry, Event
from ledger.keyring import NOW, microseconds
from ledger.store import Store, create_log
from ledger.verdicts import Verdict, verdict
from tests.builders import ALICE, BOB, OPENED, Who, World, key


def history(world: World) -> list[Event]:
    """Return a log's worth of events, every type among them, each fit to follow those before."""
    claim = world.author()
    challenge = world.challenge(claim, BOB)
    second = Who(key("bob's second key"), "contributor", BOB.signer_id)
    return [
        *world.opening(),
        *world.people(),
        world.proof_of_identity(ALICE),
        world.record_created(),
        world.record_updated(),
        world.graph_snapshot(),
        world.alias_added(),
        world.anchor(),
        world.checkpoint_anchor(),
        world.storage(),
        world.author_identity(),
        claim,
        world.citation(),
        world.replication(),
        challenge,
        world.response(challenge, ALICE),
        world.finding(),
        world.finding_rescinded(),
        world.decision(challenge, "rejected"),
        world.withdrawal(claim),
        world.rotation(BOB, second),
        world.revocation(second),
    ]


def samples(world: World) -> dict[str, Event]:
    """Return the first event of each type in a history."""
    return {event.event_type: event for event in reversed(history(world))}


class Ticking:
    """A clock that gains a microsecond at each look, from the moment the registry opens."""

    def __init__(self, start: str = OPENED) -> None:
        self.now = microseconds(start)

    def __call__(self) -> int:
        self.now += 1
        return self.now

    def advance(self, seconds: int) -> None:
        self.now += seconds * 1_000_000

    def set(self, time: str) -> None:
        self.now = microseconds(time)


@dataclass(frozen=True, slots=True)
class History:
    """Entries as the `Targets` of a verdict."""

    entries: tuple[Entry, ...]

    def record(self, subject: str) -> Entry | None:
        created = (entry for entry in self.entries if entry.event.event_type == "record_created")
        return next((entry for entry in created if entry.event.subject == subject), None)

    def event(self, subject: str, event_id: bytes) -> Entry | None:
        about = (entry for entry in self.entries if entry.event.subject == subject)
        return next((entry for entry in about if entry.event.event_id == event_id), None)

    def about(self, event_id: bytes) -> Iterable[Entry]:
        target = f"sha256:{event_id.hex()}"
        kinds = ("moderation_decision", "withdrawal")
        return [e for e in self.entries if e.event.target == target and e.event.event_type in kinds]


@dataclass(slots=True)
class Log:
    """A store with the world that writes to it and the clock it is written by."""

    world: World
    store: Store
    clock: Ticking = field(default_factory=Ticking)

    @classmethod
    def empty(cls, folder: Path, world: World | None = None) -> Log:
        return cls.on(open_sqlite(folder / "log.sqlite", durable=False), world)

    @classmethod
    def on(cls, database: Database, world: World | None = None) -> Log:
        """Make an empty log in an empty database."""
        world = world or World()
        create_log(database, world.name)
        return cls(world, Store(database))

    @classmethod
    def opened(cls, folder: Path, world: World | None = None) -> Log:
        """Return a log with its registry's keys and policy, four people and one paper."""
        return cls.empty(folder, world).open()

    def open(self) -> Log:
        """Append what every registry opens with."""
        self.admit(*self.world.opening(), *self.world.people(), self.world.record_created())
        return self

    def append(self, *events: Event) -> list[Outcome]:
        return self.store.append([Submission(event) for event in events], self.clock)

    def admit(self, *events: Event) -> Entry:
        """Append events that must all be taken; return the entry of the last."""
        entries = []
        for outcome in self.append(*events):
            if not isinstance(outcome, Appended):
                raise outcome
            entries.append(outcome.entry)
        return entries[-1]

    def refusal(self, event: Event) -> SubmissionError:
        """Append an event that must be refused; return why."""
        (outcome,) = self.append(event)
        assert isinstance(outcome, SubmissionError), f"{event.event_type} was taken"
        return outcome

    def checkpoint(self) -> SignedCheckpoint:
        """Sign and publish a checkpoint over all that the log holds."""
        signed = self.store.checkpoints.sign(self.world.log.key, self.clock())
        self.store.checkpoints.publish(signed.size)
        return signed

    def verdict(self, entry: Entry, before: int = NOW) -> Verdict:
        return verdict(entry, self.store.registry(), History(tuple(self.store.entries())), before)

    def status(self, event: Event, before: int = NOW) -> str:
        """Return what became of an event, as seen before a position."""
        return self.verdict(self.store.find(event.event_id), before).status


def fault(log: Log, event: Event) -> tuple[type[SubmissionError], str]:
    """Append an event that must be refused; return by which error and at which place."""
    error = log.refusal(event)
    return type(error), error.place
