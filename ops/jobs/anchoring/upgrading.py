"""Asking calendars what became of their promises, and confirming what block headers bear out.

A proof that names a block is a promise still, until the header of that block is had from elsewhere and policy accepts
it. A header that policy does not accept is no end either: the chain may have been reorganised, or policy may change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from sqlalchemy import Row

from ledger.errors import (
    AnchorError,
    AnchorUntrustedError,
    LedgerError,
    NotFoundError,
    ServiceError,
    ServiceRefusedError,
    SubmissionError,
    UsageError,
)
from ledger.events import Event
from ledger.keyring import microseconds
from ledger.times import seconds
from ops.jobs.anchoring.giving_up import Vain, is_over, note_silence
from ops.jobs.anchoring.health import answered, failed, shown_name
from ops.jobs.anchoring.outside import Outside
from ops.jobs.anchoring.rows import change
from ops.jobs.anchoring.stamping import UPGRADE_REST
from ops.jobs.anchoring.tables import CONFIRMED, FAILED, NOT_REFUSED, PENDING
from ops.jobs.anchoring.things import confirmed, made_at, payload, signed
from ops.jobs.asking import asked
from ops.jobs.leases import Lease
from ops.jobs.outbox import deliver, put
from ops.jobs.resting import DAY, SECOND, is_refusal, rest_after
from ops.jobs.work import Work
from ops.timestamps.proofs import heights

LONGEST_REST: Final = 3_600 * SECOND
MAX_HEIGHTS: Final = 8
"""How many blocks of one proof are looked up at a time: an honest calendar names one. The next look takes the next."""

EARLY: Final = DAY
"""By how much a block may seem to be older than what it stamps: miners' clocks are not ours, by some hours at most."""

NOT_YET: Final = "promised; its block has not come yet"


@dataclass(frozen=True, slots=True)
class Grown:
    """What a promise has grown to: the proof, and the confirmed payload where a header bears it out.

    `said` is why it is not confirmed, `is_refused` that policy does not accept it. `is_asked` says that its calendar
    was asked, `error` what that did wrong.
    """

    proof: bytes
    confirmed: dict[str, Any] | None = None
    said: str = NOT_YET
    is_asked: bool = False
    error: LedgerError | None = None
    is_refused: bool = False


def upgrade(
    work: Work, lease: Lease, outside: Outside, pending: Sequence[Row[Any]], resting: Mapping[str, str]
) -> list[str]:
    """Look after pending rows; return what came of each that came to something.

    Args:
        resting: services that are not to be asked now, and why; what their proofs hold already is looked at.

    Raises:
        UsageError: the key that signs for the registry is not kept here, or this is a mirror; nobody was asked.
        LeaseLostError: somebody else works here now.
        StoreError: a database failed; what was kept by then is kept.
    """
    if not pending:
        return []
    work.home.check_own()
    work.signatory()
    policy_at = work.policy_at()
    by_service: dict[str, list[Row[Any]]] = {}
    for row in pending:
        by_service.setdefault(row.service, []).append(row)
    asks = {
        service: [partial(_grown, work, outside, row, resting.get(service)) for row in rows]
        for service, rows in by_service.items()
    }
    lease.renew()
    said = []
    for answer in asked(asks, work.stopped, lease.renew, work.lease_seconds / 3):
        row = by_service[answer.service][answer.index]
        result = answer.result
        grown = result if isinstance(result, Grown) else Grown(row.proof, None, result.message, True, result)
        if told := _settled(work, lease, row, grown, policy_at):
            said.append(told)
    return said


def _grown(work: Work, outside: Outside, row: Row[Any], resting: str | None) -> Grown:
    """Return what a promise has grown to; a proof that leads to an accepted block is not asked about again."""
    held = _borne_out(work, outside, row, row.proof)
    if held.confirmed is not None:
        return held
    if resting is not None:
        return held if held.said != NOT_YET else replace(held, said=resting)
    proof = outside.calendar(row.service).upgrade(row.proof)
    return replace(held if proof is None else _borne_out(work, outside, row, proof), is_asked=True)


def _borne_out(work: Work, outside: Outside, row: Row[Any], proof: bytes) -> Grown:
    """Look for a header of any block that a proof names under which it holds."""
    reason, is_refused = NOT_YET, False
    for height in _in_turn(heights(proof), row.tries):
        try:
            header = outside.headers.header(height)
            stated = _payload(row, proof, PENDING) | {"block_header": header.hex(), "height": height}
            found = confirmed(work, stated)
            _check_time(work, row, found["attested_time"])
            return Grown(proof, found, "")
        except (ServiceError, AnchorError, NotFoundError, UsageError) as error:
            block = f"block {height}"
            reason = error.message if block in error.message else f"{block}: {error.message}"
            is_refused |= isinstance(error, AnchorError)
    return Grown(proof, said=reason, is_refused=is_refused)


def _in_turn(named: Sequence[int], looks: int) -> list[int]:
    """Return the heights to look up after so many looks: some each time, so that no false ones hide the true one."""
    start = looks * MAX_HEIGHTS
    return [named[(start + index) % len(named)] for index in range(min(MAX_HEIGHTS, len(named)))]


def _check_time(work: Work, row: Row[Any], attested_time: str) -> None:
    """Refuse a block from long before what it is said to hold: whoever gave its header made it up.

    Raises:
        AnchorUntrustedError: it is so.
        NotFoundError: the log does not hold what was stamped.
    """
    made = made_at(work.home.store, row.what, row.subject, row.tree_size)
    if microseconds(attested_time) < made - EARLY:
        message = f"its header says {attested_time}, and what it stamps was made on {seconds(made)}"
        raise AnchorUntrustedError(message, place="headers", cure="find out which source of headers made it up")


def _settled(work: Work, lease: Lease, row: Row[Any], grown: Grown, policy_at: int) -> str:
    """Keep what a promise has grown to, in one transaction with the event that tells of it.

    Args:
        policy_at: the position of the policy in force when it was looked at.
    """
    now = work.clock()
    mine = row.service, row.sha256
    anchoring = work.services.anchoring
    is_gone = all(row.service != calendar.url for calendar in anchoring.calendars)
    is_vain = is_gone or grown.error is not None
    vain = Vain.of(row).once_more(now) if is_vain else Vain() if grown.is_asked else Vain.of(row)
    is_final = grown.confirmed is None and (is_vain or grown.is_asked)
    is_final = is_final and is_over(row, grown.proof, vain, now, anchoring.give_up_seconds)
    try:
        event = _event(work, row, grown, is_final)
    except SubmissionError as error:
        refused = ServiceRefusedError(f"what came of it cannot be said in the log: {error.message}")
        grown, event, is_final = Grown(row.proof, None, refused.message, True, refused), None, False
    with lease.write() as connection:
        rest, is_refused = rest_after(row.tries + 1, work.random, UPGRADE_REST, LONGEST_REST), grown.is_refused
        if grown.error is not None and is_refusal(grown.error):
            rest, is_refused = DAY, True  # about this one promise; the calendar may be well
        elif grown.error is not None:
            failed(connection, row.service, grown.error, now, work.random, policy_at)
            note_silence(connection, row.service, now)
        elif grown.is_asked:
            answered(connection, row.service, now)
        facts: dict[str, Any] = {"proof": grown.proof, "tries": row.tries + 1, "try_at": now + rest, "said": grown.said}
        facts |= vain.facts
        facts["refused_under"] = policy_at if is_refused else NOT_REFUSED
        if grown.confirmed is not None:
            facts |= {"state": CONFIRMED, **{key: grown.confirmed[key] for key in ("attested_time", "height")}}
        elif is_final:
            facts |= {"state": FAILED, "told": True}
        if change(connection, *mine, facts, PENDING) and event is not None:
            put(connection, event, now=now)
    deliver(work, lease)
    if grown.confirmed is not None:
        return f"{shown_name(row.service)}: confirmed, {grown.confirmed['attested_time']}"
    return f"{shown_name(row.service)}: promised on {seconds(row.submitted_at)}, given up" if is_final else ""


def _event(work: Work, row: Row[Any], grown: Grown, is_final: bool) -> Event | None:
    """Return the event that tells what became of a promise, None where nothing is new; that of its end is said once.

    Raises:
        SubmissionError: it cannot be said.
        UsageError: the key that signs for the registry is not kept here.
    """
    if grown.confirmed is not None:
        return signed(work, row.subject, grown.confirmed | _upgrades(row))
    if is_final and not row.told:
        return signed(work, row.subject, _payload(row, grown.proof, FAILED) | _upgrades(row))
    return None


def _payload(row: Row[Any], proof: bytes, status: str) -> dict[str, Any]:
    return payload(row.what, row.sha256, row.tree_size, row.note, row.method, row.service, proof, status)


def _upgrades(row: Row[Any]) -> dict[str, str]:
    return {"upgrades": f"sha256:{row.event_id.hex()}"}
