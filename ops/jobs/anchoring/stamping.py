"""Submitting to outside clocks: each is asked in its own time, and each answer is kept as soon as it comes."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from ledger.errors import LedgerError, ServiceRefusedError, UsageError
from ledger.events import Event
from ops.jobs.anchoring.health import answered, failed, shown_name, stamped
from ops.jobs.anchoring.outside import Outside
from ops.jobs.anchoring.rows import change, end_of, keep, note_end
from ops.jobs.anchoring.tables import CONFIRMED, OWED, PENDING
from ops.jobs.anchoring.things import CHECKPOINT, Thing, confirmed, method_of, payload, signed
from ops.jobs.asking import asked, outcome_of
from ops.jobs.leases import Lease
from ops.jobs.outbox import deliver, put
from ops.jobs.resting import SECOND, is_refusal, rest_after
from ops.jobs.work import Work
from ops.services import Authority, Calendar

UPGRADE_REST: Final = 600 * SECOND
"""How long after a promise its calendar is first asked what became of it."""

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Submitted:
    """What came of a submission: `pending`, `confirmed` with the time it states, or `owed` with the reason."""

    service: str
    thing: Thing
    state: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class _Said:
    """The event that tells of a proof, what becomes of the row, and when the certificate ends (microseconds, or 0)."""

    event: Event
    state: str
    attested_time: str
    ends_at: int


def submit(
    work: Work, lease: Lease, outside: Outside, wanted: Mapping[Calendar | Authority, Sequence[Thing]]
) -> list[Submitted]:
    """Ask services for stamps, all at once; keep, append and return what they answer, in the order in which it comes.

    Raises:
        UsageError: the key that signs for the registry is not kept here, or this is a mirror; nobody was asked.
        LeaseLostError: somebody else works here now.
        StoreError: a database failed; what was kept by then is kept.
    """
    if not wanted:
        return []
    work.home.check_own()
    work.signatory()
    policy_at = work.policy_at()
    roots = roots_of(work) if any(isinstance(clock, Authority) for clock in wanted) else []
    clocks = {clock.url: clock for clock in wanted}
    asks = {
        clock.url: [partial(outside.stamp, clock, thing.content, thing.digest, roots) for thing in things]
        for clock, things in wanted.items()
    }
    lease.renew()
    found = []
    for answer in asked(asks, work.stopped, lease.renew, work.lease_seconds / 3):
        clock = clocks[answer.service]
        thing = wanted[clock][answer.index]
        found.append(_settled(work, lease, clock, thing, answer.result, policy_at))
    return found


def roots_of(work: Work) -> list[bytes]:
    """Return the DER certificates under which policy accepts the replies of authorities."""
    return [base64.b64decode(root) for root in work.policy().timestamp_roots]


def _settled(
    work: Work, lease: Lease, clock: Calendar | Authority, thing: Thing, result: bytes | LedgerError, policy_at: int
) -> Submitted:
    if isinstance(result, bytes):
        said = outcome_of(partial(_said, work, clock, thing, result), clock.url)
        if isinstance(said, _Said):
            return _kept(work, lease, clock, thing, result, said)
        if isinstance(said, UsageError):
            raise said
        result = said if is_refusal(said) else ServiceRefusedError(f"its answer cannot be said in the log: {said}")
    now = work.clock()
    with lease.write() as connection:
        health = failed(connection, clock.url, result, now, work.random, policy_at)
        facts = {"said": health.said, "try_at": health.try_at, "refused_under": health.refused_under}
        change(connection, clock.url, thing.sha256, facts, OWED)
    if health.is_refused or health.failures in (1, 3):
        _LOG.warning("%s gives no timestamp: %s", shown_name(clock.url), health.said)
    return Submitted(clock.url, thing, OWED, health.said)


def _said(work: Work, clock: Calendar | Authority, thing: Thing, proof: bytes) -> _Said:
    """Say in an event what a service's proof makes of something.

    Raises:
        SubmissionError: it does not hold (AnchorError), or cannot be said.
        UsageError: the key that signs for the registry is not kept here.
    """
    state, method, ends_at = PENDING, method_of(clock), 0
    stated = payload(thing.what, thing.sha256, thing.tree_size, thing.note, method, clock.url, proof, PENDING)
    if isinstance(clock, Authority):
        state, stated, ends_at = CONFIRMED, confirmed(work, stated), end_of(proof)
    return _Said(signed(work, thing.subject, stated), state, stated.get("attested_time", ""), ends_at)


def _kept(work: Work, lease: Lease, clock: Calendar | Authority, thing: Thing, proof: bytes, said: _Said) -> Submitted:
    """Keep a proof and have the log told of it, in one transaction."""
    method, state = method_of(clock), said.state
    now = work.clock()
    with lease.write() as connection:
        answered(connection, clock.url, now)
        if thing.what == CHECKPOINT:
            stamped(connection, clock.url, now)
        if keep(connection, clock.url, method, thing, proof, state, now):
            put(connection, said.event, now=now)
            if state == CONFIRMED:
                soon = now + work.services.anchoring.renew_seconds * SECOND
                note_end(connection, clock.url, thing.sha256, said.ends_at, soon)
                change(connection, clock.url, thing.sha256, {"attested_time": said.attested_time})
            else:
                # A calendar gathers for a while before it has anything to add.
                rest = now + rest_after(1, work.random, UPGRADE_REST, UPGRADE_REST)
                change(connection, clock.url, thing.sha256, {"try_at": rest})
    deliver(work, lease)
    return Submitted(clock.url, thing, state, said.attested_time)
