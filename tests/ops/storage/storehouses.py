"""A registry with one paper, a storage checker and a worker, whose clock a test moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from api.submitting.requested import ask, open_requests
from ledger.appending import Submission
from ledger.events import Entry
from ledger.keyring import NOW
from ledger.keys import Role
from ledger.signing import HeldKey, Signatory
from ops.home import Home
from ops.jobs.running import Ran, run
from ops.jobs.work import Job, Work
from ops.jobs.working import opened_work
from ops.keyfiles import write_key
from ops.services import Fetched, Services, Storing
from ops.storage.checking import Check
from ops.storage.preserving import Preserve
from ops.storage.rows import COPIES, PRESERVATIONS
from projections.queries import judged_as_of
from projections.status import verification_status
from tests.builders import key
from tests.logs import Ticking
from tests.ops.homes import a_home, a_line, as_lines, imported
from tests.ops.storage.archives import RealArchive, shared_fetching
from tests.ops.storage.strangers import LOOPBACK, Stranger

HOUR: Final = 3_600
DAY: Final = 24 * HOUR
CHECKER_ID: Final = "did:web:checker.example"
SITE: Final = "papers.example"


def at_home(_host: str, _port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def a_clock() -> Ticking:
    """Return a clock that begins now, since a real archive dates its captures by its own."""
    return Ticking(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def services(
    *sites: Stranger, archives: Sequence[RealArchive] = (), hosts: Sequence[str] = (), **changes: Any
) -> Services:
    """Return a configuration that fetches from sites, as `papers.example`, and keeps copies in archives."""
    listed = [*hosts, *(f"{SITE}:{site.port}" for site in sites), *(f"127.0.0.1:{site.port}" for site in sites)]
    named = tuple(archive.settings(f"archive-{number}") for number, archive in enumerate(archives))
    storing = Storing(archives=named, **changes)
    return Services(fetched=Fetched(hosts=tuple(listed), networks=LOOPBACK, seconds=20), storing=storing)


@dataclass
class Storehouse:
    """A registry at work; `subject` is its paper."""

    work: Work
    clock: Ticking
    subject: str

    @property
    def home(self) -> Home:
        return self.work.home

    def asked(self, url: str) -> None:
        """Let somebody ask that an address be preserved."""
        assert self.work.private is not None
        ask(self.work.private, "preserve", self.subject[10:], url, self.clock(), self.home.random)

    @property
    def requests(self) -> int:
        assert self.work.private is not None
        return len(open_requests(self.work.private, 1_000))

    def job(self, name: str) -> Job:
        if name == "preserve":
            return Preserve(self.work.services, at_home, shared_fetching())
        assert name == "check"
        return Check(self.work.services, at_home)

    def run(self, job: Job | str) -> Ran:
        """Run a job, as a worker does."""
        return run(self.job(job) if isinstance(job, str) else job, self.work)

    def person(self, name: str, role: Role) -> Signatory:
        """Return somebody whose key is registered."""
        held = HeldKey(key(name), self.home.store.registry_name, f"name:{name}", role)
        signatory = Signatory(held, self.clock, self.home.random)
        by = signatory if role == "contributor" else self.home.signatory("event")
        event, _ = by.sign("key_registered", "registry", signatory.statement())
        self.home.append([Submission(event)])
        return signatory

    def claim(self, kind: str, url: str, sha256: str, **changes: Any) -> Entry:
        """Let the registry say that there is a copy."""
        stated = {
            "location": {"kind": kind, "url": url},
            "captured_at": self.home.signatory("event").now(),
            "grade": "claimed",
            "outcome": "stored",
            "content": {"sha256": sha256, "bytes": 1, "media_type": "application/pdf", **changes},
        }
        event, texts = self.home.signatory("event").sign("storage_attestation", self.subject, stated)
        return self.home.append([Submission(event, texts)])[0].entry

    def said(self, *grades: str) -> list[tuple[str, str]]:
        """Return grade and outcome of what the log was told of copies, in order."""
        found = [(entry.event.payload.grade, entry.event.payload.outcome) for entry in self.attestations()]
        return [pair for pair in found if not grades or pair[0] in grades]

    def attestations(self) -> list[Entry]:
        store = self.home.store
        return store.of_types(["storage_attestation"], 0, store.head().size)

    @property
    def is_verified(self) -> bool:
        judged = judged_as_of(self.home.store, self.subject, NOW, self.home.store.registry())
        return verification_status(judged).storage_verified

    def copies(self) -> list[Any]:
        with self.work.database.read() as connection:
            return list(connection.execute(select(COPIES).order_by(COPIES.c.id)))

    def preservations(self) -> list[Any]:
        with self.work.database.read() as connection:
            return list(connection.execute(select(PRESERVATIONS).order_by(PRESERVATIONS.c.id)))

    def later(self, seconds: float) -> None:
        self.clock.advance(int(seconds))


def a_checker(home: Home, *, is_registered: bool = True, name: str = "checker") -> HeldKey:
    """Give a registry a storage checker's key."""
    held = HeldKey(key(name), home.store.registry_name, CHECKER_ID, "storage_checker")
    write_key(home.settings.keys / "checker.json", held)
    if is_registered:
        statement = Signatory(held, home.clock, home.random).statement()
        event, _ = home.signatory("event").sign("key_registered", "registry", statement)
        home.append([Submission(event)])
    return held


@contextmanager
def storehouse(folder: Path, configured: Services, *, has_checker: bool = True) -> Iterator[Storehouse]:
    """Open a registry in a folder, new or as it was left there."""
    clock = a_clock()
    home = a_home(folder / "data", clock)
    imported(home, as_lines([a_line(1)]))
    subject = next(entry.event.subject for entry in home.store.entries() if entry.event.event_type == "record_created")
    if has_checker:
        a_checker(home)
    try:
        with opened_work(home, configured) as work:
            yield Storehouse(work, clock, subject)
    finally:
        home.close()


@contextmanager
def reopened(house: Storehouse, configured: Services | None = None) -> Iterator[Storehouse]:
    """Open the same registry for another worker at the same time, or after the first."""
    with opened_work(house.home, configured or house.work.services) as work:
        yield Storehouse(work, house.clock, house.subject)
