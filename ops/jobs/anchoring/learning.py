"""What the log says of anchors, brought into the rows.

The log is the truth about every anchor that stands in it. Reading on in it fills rows that were lost, and tells each
pending row by which event it stands there. Where the log is not the one that was read, since it was restored from a
backup, what it holds is found anew, and what it does not hold any more is owed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import UNSET
from sqlalchemy import Connection, delete, select, update

from ledger.errors import ClockSkewError, KeyNotValidError, LedgerError, ServiceRefusedError
from ledger.events import Entry
from ledger.payloads import TimestampAnchor
from ledger.registry import proof_of
from ledger.store import Store
from ops.jobs.anchoring.health import failed, stamped
from ops.jobs.anchoring.rows import UNTRIED, add, change, end_of, find, of
from ops.jobs.anchoring.tables import ANCHORS, CLOCKS, CONFIRMED, FAILED, OWED, PENDING
from ops.jobs.anchoring.things import CHECKPOINT, RECORD
from ops.jobs.following import note_read, read_anew, read_to
from ops.jobs.leases import Lease
from ops.jobs.outbox import Refused, under_way, waiting, withdraw
from ops.jobs.resting import DAY
from ops.jobs.work import Work

CURSOR: Final = "anchors"
PAGE: Final = 50_000
"""How many positions of the log are looked through at a time."""

_LATER: Final[list[type[LedgerError]]] = [ClockSkewError, KeyNotValidError, *KeyNotValidError.__subclasses__()]
_OFFERED_AGAIN: Final = {error.code for error in _LATER}
"""Why the log refuses what it takes as it is later: when the clock is right again, or the key is."""


def follow(work: Work, lease: Lease) -> None:
    """Learn what the log has gained about anchors; raises LeaseLostError, StoreError."""
    for refused in waiting(work.database)[1]:
        if refused.event.event_type == "timestamp_anchor" and refused.code not in _OFFERED_AGAIN:
            _take_back(work, lease, refused)
    store = work.home.store
    size = store.head().size
    with work.database.read() as connection:
        start = read_to(connection, store, CURSOR)
    if start is None:
        _learn_anew(work, lease, size)
        return
    while start < size and not work.stopped.is_set():
        stop = min(start + PAGE, size)
        entries = _own(store, start, stop)
        with lease.write() as connection:
            for entry in entries:
                _learn(connection, entry)
            note_read(connection, store, CURSOR, stop)
        start = stop


def _learn_anew(work: Work, lease: Lease, size: int) -> None:
    """Find everything again from a log that is not the one that was read, in one transaction.

    Checkpoints whose anchors are gone are forgotten, since newer ones are owed; records are owed again. What waits for
    the log stays as it is.
    """
    store = work.home.store
    with lease.write() as connection:
        if read_to(connection, store, CURSOR) is not None:
            return  # another job was first
        kept = {(told.service, told.anchored.sha256) for told in _payloads_under_way(connection)}
        rows = connection.execute(
            select(ANCHORS.c.service, ANCHORS.c.sha256, ANCHORS.c.what).where(ANCHORS.c.state != OWED)
        )
        for service, sha256, what in rows.all():
            if (service, sha256) in kept:
                continue
            if what == RECORD:
                lost = {"state": OWED, "proof": b"", "event_id": None, "submitted_at": 0, "told": False}
                change(connection, service, sha256, {**lost, **UNTRIED})
            else:
                connection.execute(delete(ANCHORS).where(*of(service, sha256)))
        connection.execute(update(CLOCKS).values(stamped_at=0))
        read_anew(connection, CURSOR)
        for start in range(0, size, PAGE):
            for entry in _own(store, start, min(start + PAGE, size)):
                _learn(connection, entry)
        if size:
            note_read(connection, store, CURSOR, size)


def _payloads_under_way(connection: Connection) -> Iterator[TimestampAnchor]:
    for event in under_way(connection):
        if event.event_type == "timestamp_anchor":
            yield event.payload


def _own(store: Store, start: int, stop: int) -> list[Entry]:
    """Return the anchors that the registry made itself, not for somebody who brought a proof."""
    return [
        entry
        for entry in store.of_types(["timestamp_anchor"], start, stop)
        if entry.event.signer.signer_type == "pith_registry"
        and entry.event.registry == store.registry_name
        and entry.event.signer.on_behalf_of is UNSET
    ]


def _learn(connection: Connection, entry: Entry) -> None:
    payload: TimestampAnchor = entry.event.payload
    service, sha256 = payload.service, payload.anchored.sha256
    row = find(connection, service, sha256)
    if row is None:
        if payload.status == FAILED:
            return
        anchored = payload.anchored
        is_checkpoint = anchored.what == CHECKPOINT
        facts = {
            "method": payload.method,
            "what": anchored.what,
            "subject": entry.event.subject,
            "tree_size": anchored.tree_size if is_checkpoint and isinstance(anchored.tree_size, int) else -1,
            "note": anchored.note if isinstance(anchored.note, str) else "",
            "state": payload.status,
            "proof": proof_of(payload),
            "event_id": entry.event.event_id,
            "owed_at": entry.received_at,
            "submitted_at": entry.received_at,
            "ends_at": end_of(proof_of(payload)) if payload.method == "rfc3161" else 0,
            **_stated(payload),
        }
        add(connection, service, sha256, facts)
    elif payload.status == CONFIRMED:
        facts = {"state": CONFIRMED, "proof": proof_of(payload), "said": "", **_stated(payload)}
        change(connection, service, sha256, facts)
    elif payload.status == FAILED:
        change(connection, service, sha256, {"told": True})
        if row.event_id is not None and payload.upgrades == f"sha256:{row.event_id.hex()}":
            change(connection, service, sha256, {"state": FAILED}, PENDING)
    elif row.state != CONFIRMED:
        # The row's own proof may have grown since; one that was never submitted has none.
        kept = {} if row.state == PENDING else {"proof": proof_of(payload), "submitted_at": entry.received_at}
        change(connection, service, sha256, {"state": PENDING, "event_id": entry.event.event_id, **kept})
    if payload.anchored.what == CHECKPOINT and payload.upgrades is UNSET:
        stamped(connection, service, entry.received_at)


def _stated(payload: TimestampAnchor) -> dict[str, Any]:
    """Return the time and the block that a confirmed anchor states."""
    time, height = payload.attested_time, payload.height
    return {"attested_time": time if isinstance(time, str) else "", "height": height if isinstance(height, int) else 0}


def _take_back(work: Work, lease: Lease, refused: Refused) -> None:
    """Take back an anchor that the log refused: it is owed again, or a promise still.

    Policy may not accept its proof any more. Whatever else it is, the same would be refused again, so that its service
    rests until another policy, or for a day.
    """
    payload: TimestampAnchor = refused.event.payload
    service, sha256 = payload.service, payload.anchored.sha256
    now, policy_at = work.clock(), work.policy_at()
    facts: dict[str, Any] = {"tries": 0, "try_at": now + DAY, "said": refused.reason, "refused_under": policy_at}
    facts |= {"attested_time": "", "height": 0}
    if payload.status == FAILED:
        facts["told"] = False
    with lease.write() as connection:
        withdraw(connection, refused.event)
        row = find(connection, service, sha256)
        if row is not None and row.event_id is not None:
            change(connection, service, sha256, {**facts, "state": PENDING})
            return
        if payload.anchored.what == RECORD:
            change(connection, service, sha256, {**facts, "state": OWED})
        else:
            connection.execute(delete(ANCHORS).where(*of(service, sha256)))
        if not refused.code.startswith("anchor"):
            error = ServiceRefusedError(f"the log does not take its anchor: {refused.reason}")
            failed(connection, service, error, now, work.random, policy_at)
