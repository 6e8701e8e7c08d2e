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

from ledger.errors import AnchorError, LedgerError, ServiceError
from ledger.times import seconds
from ops.jobs.anchoring.health import answered, failed, host_of
from ops.jobs.anchoring.outside import Outside
from ops.jobs.anchoring.rows import change
from ops.jobs.anchoring.stamping import UPGRADE_REST
from ops.jobs.anchoring.tables import CONFIRMED, FAILED, PENDING
from ops.jobs.anchoring.things import confirmed, payload, signed
from ops.jobs.asking import asked
from ops.jobs.leases import Lease
from ops.jobs.outbox import deliver, put
from ops.jobs.resting import DAY, SECOND, is_refusal, rest_after
from ops.jobs.work import Work
from ops.timestamps.proofs import heights

LONGEST_REST: Final = 3_600 * SECOND
MAX_HEIGHTS: Final = 8
"""How many blocks of one proof are looked up at a time: an honest calendar names one."""

NOT_YET: Final = "promised; its block has not come yet"


@dataclass(frozen=True, slots=True)
class Grown:
    """What a promise has grown to: the proof, and the confirmed payload where a header bears it out.

    `said` is why it is not confirmed. `is_asked` says that its calendar was asked, `error` what that did wrong.
    """

    proof: bytes
    confirmed: dict[str, Any] | None = None
    said: str = NOT_YET
    is_asked: bool = False
    error: LedgerError | None = None


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
        if told := _settled(work, lease, row, grown):
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
    reason = NOT_YET
    for height in heights(proof)[:MAX_HEIGHTS]:
        try:
            header = outside.headers.header(height)
            stated = _payload(row, proof, PENDING) | {"block_header": header.hex(), "height": height}
            return Grown(proof, confirmed(work, stated), "")
        except (ServiceError, AnchorError) as error:
            reason = f"block {height}: {error.message}"
    return Grown(proof, said=reason)


def _settled(work: Work, lease: Lease, row: Row[Any], grown: Grown) -> str:
    """Keep what a promise has grown to, in one transaction with the event that tells of it."""
    now = work.clock()
    mine = row.service, row.sha256
    anchoring = work.services.anchoring
    is_over = grown.confirmed is None and now - row.owed_at > anchoring.give_up_seconds * SECOND
    event = None
    if grown.confirmed is not None:
        event = signed(work, row.subject, grown.confirmed | _upgrades(row))
    elif is_over and not row.told:
        event = signed(work, row.subject, _payload(row, grown.proof, FAILED) | _upgrades(row))
    with lease.write() as connection:
        rest = rest_after(row.tries + 1, work.random, UPGRADE_REST, LONGEST_REST)
        if grown.error is not None and is_refusal(grown.error):
            rest = DAY  # about this one promise; the calendar may be well
        elif grown.error is not None:
            failed(connection, row.service, grown.error, now, work.random)
        elif grown.is_asked:
            answered(connection, row.service, now)
        facts: dict[str, Any] = {"proof": grown.proof, "tries": row.tries + 1, "try_at": now + rest, "said": grown.said}
        if grown.confirmed is not None:
            facts |= {"state": CONFIRMED}
        elif is_over:
            facts |= {"state": FAILED, "told": True}
        if change(connection, *mine, facts, PENDING) and event is not None:
            put(connection, event, now=now)
    deliver(work, lease)
    if grown.confirmed is not None:
        return f"{host_of(row.service)}: confirmed, {grown.confirmed['attested_time']}"
    return f"{host_of(row.service)}: promised on {seconds(row.submitted_at)}, given up" if is_over else ""


def _payload(row: Row[Any], proof: bytes, status: str) -> dict[str, Any]:
    return payload(row.what, row.sha256, row.tree_size, row.note, row.method, row.service, proof, status)


def _upgrades(row: Row[Any]) -> dict[str, str]:
    return {"upgrades": f"sha256:{row.event_id.hex()}"}
