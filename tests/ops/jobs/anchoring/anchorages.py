"""A registry with outside clocks around it: real calendars, a real authority, and a time that the test holds."""

from __future__ import annotations

import base64
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from api.submitting.requested import Requested, ask, open_requests
from ledger.appending import Submission
from ledger.events import Entry
from ledger.payloads import TimestampAnchor
from ledger.registry import DEFAULT_POLICY
from ops.audit import Audit, audit_home
from ops.home import Home, now
from ops.jobs.anchoring.outside import Outside
from ops.jobs.running import Ran
from ops.jobs.running import run as run_job
from ops.jobs.work import Job, Owing, Work
from ops.jobs.working import all_jobs, opened_work
from ops.services import Anchoring, Authority, Calendar, HeaderSource, Services
from tests.logs import Ticking
from tests.ops.homes import a_home, a_line, added, as_lines
from tests.ops.timestamps import authorities, calendars
from tests.ops.timestamps.chains import Chain, ToyChain

REGTEST = [{"network": "regtest", "minimum_work_bits": 0, "checkpoints": {}}]
HOUR = 3_600


@dataclass(slots=True)
class Anchorage:
    """A registry under test and the clocks that it asks; `work` is one worker's view of it."""

    home: Home
    clock: Any
    calendars: list[calendars.Calendar]
    authority: authorities.Authority | None
    explorer: calendars.Explorer
    services: Services
    work: Work
    outside: Outside

    jobs: dict[str, Job] = field(init=False)

    def __post_init__(self) -> None:
        found = all_jobs(self.services, self.outside)
        self.jobs = {job.name: job for job in found if job.name in ("checkpoint", "anchor", "stamp", "upgrade")}

    def run(self, *names: str) -> list[Ran]:
        """Run jobs once each, all of anchoring where none is named."""
        return [run_job(self.jobs[name], self.work) for name in names or self.jobs]

    def said(self, name: str) -> str:
        """Run a job that must succeed; return what it says."""
        (ran,) = self.run(name)
        assert ran.outcome == "done", ran
        return ran.said

    def owing(self, name: str) -> list[Owing]:
        return self.jobs[name].owing(self.work)

    def paper(self) -> str:
        """Import a paper of its own; return its number."""
        line = a_line(self.home.store.head().size)
        added(self.home, as_lines([line]))
        return self.home.store.entry(self.home.store.head().size - 1).event.subject

    def ask(self, subject: str) -> None:
        """Ask, as the application does for somebody, that a record be stamped."""
        assert self.work.private is not None
        ask(self.work.private, "timestamp", subject[-26:], "", self.clock(), self.home.random)

    def asked(self) -> list[Requested]:
        """Return the requests that nobody has taken over yet."""
        assert self.work.private is not None
        return open_requests(self.work.private, 10)

    def event(self) -> None:
        """Append some event that owes an anchor."""
        self.policy(skew_seconds=self.home.store.head().size)

    def policy(self, **changes: Any) -> None:
        """Set the policy: regtest, and the authority's root unless something else is said."""
        roots = [self.authority.root_der] if self.authority else []
        usual = {"bitcoin": REGTEST, "timestamp_roots": [base64.b64encode(root).decode() for root in roots]}
        signer = self.home.signatory("event")
        event = signer.sign("policy_set", "registry", {**DEFAULT_POLICY, **usual, **changes})[0]
        self.home.append([Submission(event)])

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(int(seconds))

    def keep_promises(self) -> None:
        """Let every calendar put what it promised into a block, six deep."""
        for calendar in self.calendars:
            calendar.anchor()
        self.explorer.chain.grow(6)

    def anchors(self, status: str = "") -> list[Entry]:
        """Return the anchors in the log, of one status or all."""
        found = self.home.store.of_types(["timestamp_anchor"], 0, self.home.store.head().size)
        return [entry for entry in found if status in ("", entry.event.payload.status)]

    def counted(self) -> dict[str, int]:
        """Return how many anchors of each status the log holds."""
        return dict(Counter(entry.event.payload.status for entry in self.anchors()))

    def check(self) -> None:
        """Check that nothing was doubled, and that the log holds together."""
        check_not_doubled(self.anchors())
        audit_home(self.home.settings, self.clock(), Audit())

    def changed(self, **changes: Any) -> Anchorage:
        """Return the same anchorage under another configuration of anchoring."""
        services = Services(replace(self.services.anchoring, **changes))
        work = replace(self.work, services=services)
        return replace(self, services=services, work=work, outside=Outside(services.anchoring, now))


def check_not_doubled(anchors: list[Entry]) -> None:
    """Check that for each content and service there is at most one anchor of each status."""
    counts: Counter[tuple[str, str, int | None, str]] = Counter()
    for entry in anchors:
        payload: TimestampAnchor = entry.event.payload
        size = payload.anchored.tree_size if isinstance(payload.anchored.tree_size, int) else None
        counts[payload.service, payload.anchored.what if size is None else "", size, payload.status] += 1
        if size is None:
            counts[payload.service, payload.anchored.what, None, payload.status] -= 1
            counts[payload.service, payload.anchored.sha256, None, payload.status] += 1
    doubled = {key: number for key, number in counts.items() if number > 1}
    assert not doubled


@contextmanager
def anchorage(
    folder: Path,
    *,
    number: int = 1,
    authority: bool = False,
    clock: Any = None,
    chain: Chain | None = None,
    **anchoring: Any,
) -> Iterator[Anchorage]:
    """Make a registry with some calendars, perhaps an authority, and a paper; its policy accepts what they give."""
    clock = clock or Ticking()
    with ExitStack() as cleaning:
        chain = chain or ToyChain(clock)
        kept = [cleaning.enter_context(calendars.Calendar(chain)) for _ in range(number)]
        explorer = cleaning.enter_context(calendars.Explorer(chain))
        tsa = cleaning.enter_context(authorities.Authority(folder / "tsa")) if authority else None
        home = a_home(folder / "registry", clock)
        cleaning.callback(home.close)
        services = Services(
            Anchoring(
                calendars=tuple(Calendar(calendar.url) for calendar in kept),
                authorities=(Authority(tsa.url),) if tsa else (),
                **{"headers": (HeaderSource("esplora", explorer.url),), **anchoring},
            )
        )
        work = cleaning.enter_context(opened_work(home, services))
        work = replace(work, random=random.Random("work").randbytes)
        found = Anchorage(home, clock, kept, tsa, explorer, services, work, Outside(services.anchoring, now, 5.0))
        found.policy()
        found.paper()
        yield found


def services_toml(anchoring: Mapping[str, Any], found: Anchorage) -> str:
    """Return the file of services that names an anchorage's own."""
    lines = ["[anchoring]", *(f"{name} = {value}" for name, value in anchoring.items())]
    for calendar in found.calendars:
        lines += ["[[anchoring.calendars]]", f'url = "{calendar.url}"']
    if found.authority:
        lines += ["[[anchoring.authorities]]", f'url = "{found.authority.url}"']
    return "\n".join([*lines, "[[anchoring.headers]]", 'kind = "esplora"', f'address = "{found.explorer.url}"', ""])
