"""The rows of what is anchored where, and what the log itself says of it.

The log is the truth about every anchor that stands in it. Reading on in it fills rows that were lost, and tells each
pending row by which event it stands there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import UNSET
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from ledger.database import Database
from ledger.errors import ServiceRefusedError
from ledger.events import Entry
from ledger.payloads import TimestampAnchor
from ledger.registry import proof_of
from ops.jobs.anchoring.health import stamped
from ops.jobs.anchoring.tables import ANCHORS, CONFIRMED, FAILED, OWED, PENDING, RENEWED
from ops.jobs.anchoring.things import CHECKPOINT, RECORD, Thing
from ops.jobs.leases import Lease
from ops.jobs.outbox import waiting, withdraw
from ops.jobs.resting import DAY, SECOND
from ops.jobs.tables import advance, cursor
from ops.jobs.work import Work
from ops.timestamps.authority import AuthorityClient

CURSOR: Final = "anchors"
PAGE: Final = 50_000
"""How many positions of the log are looked through at a time."""


def find(connection: Connection, service: str, sha256: str) -> Row[Any] | None:
    """Return the row of a content (hex SHA-256) at a service."""
    return connection.execute(select(ANCHORS).where(*_of(service, sha256))).first()


def owe(connection: Connection, service: str, method: str, thing: Thing, now: int) -> None:
    """Note that a service is to stamp something, unless it has, or is about to."""
    if find(connection, service, thing.sha256) is None:
        _insert(connection, service, thing.sha256, _facts(thing, method, OWED, now))
    else:
        facts = {"state": OWED, "owed_at": now, "tries": 0, "try_at": 0, "said": ""}
        change(connection, service, thing.sha256, facts, FAILED)


def keep(connection: Connection, service: str, method: str, thing: Thing, proof: bytes, state: str, now: int) -> bool:
    """Keep a service's proof of something as pending or confirmed; say False where one is kept already."""
    row = find(connection, service, thing.sha256)
    if row is not None and row.state in (PENDING, CONFIRMED, RENEWED):
        return False
    facts: dict[str, Any] = {"state": state, "proof": proof, "submitted_at": now, "tries": 0, "try_at": 0, "said": ""}
    facts |= {"event_id": None, "told": False}
    if row is None:
        _insert(connection, service, thing.sha256, {**_facts(thing, method, state, now), **facts})
    else:
        change(connection, service, thing.sha256, {**facts, "owed_at": now})
    return True


def note_end(connection: Connection, service: str, sha256: str, ends_at: int, renew_before: int) -> None:
    """Note when the certificate ends that confirmed an authority's anchor of a checkpoint.

    Anchors of smaller checkpoints under a certificate that ends sooner, and before `renew_before`, are renewed by it.
    """
    change(connection, service, sha256, {"ends_at": ends_at})
    row = find(connection, service, sha256)
    if row is None or row.what != CHECKPOINT:
        return
    older = (ANCHORS.c.tree_size < row.tree_size, ANCHORS.c.ends_at > 0, ANCHORS.c.ends_at < ends_at)
    mine = (ANCHORS.c.service == service, ANCHORS.c.what == CHECKPOINT, ANCHORS.c.state == CONFIRMED)
    connection.execute(update(ANCHORS).where(*mine, *older, ANCHORS.c.ends_at <= renew_before).values(state=RENEWED))


def end_of(proof: bytes) -> int:
    """Return when the certificate ends that signed an authority's reply, in microseconds; 0 where none says."""
    try:
        return int(AuthorityClient.ends(proof).timestamp()) * SECOND
    except ServiceRefusedError:
        return 0


def change(connection: Connection, service: str, sha256: str, facts: Mapping[str, Any], state: str = "") -> bool:
    """Change a row, where it is in a state (or any); say whether it was."""
    where = [*_of(service, sha256), *([ANCHORS.c.state == state] if state else [])]
    return bool(connection.execute(update(ANCHORS).where(*where).values(**facts)).rowcount)


def revive(connection: Connection, now: int, sha256: str | None = None) -> int:
    """Take what was given up as owed again, all of it or one content's; return how much it was."""
    mine = [
        ANCHORS.c.state == FAILED,
        ANCHORS.c.event_id.is_not(None),
        *([ANCHORS.c.sha256 == sha256] if sha256 else []),
    ]
    facts = {"state": PENDING, "owed_at": now, "submitted_at": now, "tries": 0, "try_at": 0, "said": ""}
    return connection.execute(update(ANCHORS).where(*mine).values(**facts)).rowcount


def submitted_size(connection: Connection, service: str) -> int:
    """Return the greatest tree whose checkpoint a service has taken and not failed to keep; 0 if there is none."""
    mine = (
        ANCHORS.c.service == service,
        ANCHORS.c.what == CHECKPOINT,
        ANCHORS.c.state.in_((PENDING, CONFIRMED, RENEWED)),
    )
    return connection.execute(select(func.max(ANCHORS.c.tree_size)).where(*mine)).scalar() or 0


def newest_submitted(connection: Connection, service: str) -> Row[Any] | None:
    """Return the row of the greatest checkpoint that a service was given."""
    mine = (ANCHORS.c.service == service, ANCHORS.c.what == CHECKPOINT)
    return connection.execute(select(ANCHORS).where(*mine).order_by(ANCHORS.c.tree_size.desc()).limit(1)).first()


def newest_confirmed(connection: Connection, service: str) -> Row[Any] | None:
    """Return the confirmed anchor of the greatest checkpoint at a service."""
    mine = (ANCHORS.c.service == service, ANCHORS.c.what == CHECKPOINT, ANCHORS.c.state == CONFIRMED)
    return connection.execute(select(ANCHORS).where(*mine).order_by(ANCHORS.c.tree_size.desc()).limit(1)).first()


def in_state(database: Database, *states: str) -> Sequence[Row[Any]]:
    """Return rows in some states, those first that were to be tried first."""
    statement = select(ANCHORS).where(ANCHORS.c.state.in_(states)).order_by(ANCHORS.c.try_at, ANCHORS.c.owed_at)
    with database.read() as connection:
        return connection.execute(statement).all()


def follow(work: Work, lease: Lease) -> None:
    """Learn what the log has gained about anchors; raises LeaseLostError, StoreError."""
    _take_back(work, lease)
    store = work.home.store
    size = store.head().size
    with work.database.read() as connection:
        start = cursor(connection, CURSOR)
    while start < size and not work.stopped.is_set():
        stop = min(start + PAGE, size)
        entries = [entry for entry in store.of_types(["timestamp_anchor"], start, stop) if _is_own(work, entry)]
        with lease.write() as connection:
            for entry in entries:
                _learn(connection, entry)
            advance(connection, CURSOR, stop)
        start = stop


def _is_own(work: Work, entry: Entry) -> bool:
    """Say whether the registry made an anchor itself, not for somebody who brought a proof."""
    signer = entry.event.signer
    own = signer.signer_type == "pith_registry" and entry.event.registry == work.home.store.registry_name
    return own and signer.on_behalf_of is UNSET


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
        }
        _insert(connection, service, sha256, facts)
    elif payload.status == CONFIRMED:
        change(connection, service, sha256, {"state": CONFIRMED, "proof": proof_of(payload), "said": ""})
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


def _take_back(work: Work, lease: Lease) -> None:
    """Take back what the log refused because policy does not accept its proof any more: it is owed again."""
    for refused in waiting(work.database)[1]:
        event = refused.event
        if event.event_type != "timestamp_anchor" or not refused.code.startswith("anchor"):
            continue
        payload: TimestampAnchor = event.payload
        service, sha256 = payload.service, payload.anchored.sha256
        facts = {"tries": 0, "try_at": work.clock() + DAY, "said": refused.reason}
        with lease.write() as connection:
            withdraw(connection, event)
            row = find(connection, service, sha256)
            if row is not None and row.event_id is not None:
                change(connection, service, sha256, {**facts, "state": PENDING})
            elif payload.anchored.what == RECORD:
                change(connection, service, sha256, {**facts, "state": OWED})
            else:
                connection.execute(delete(ANCHORS).where(*_of(service, sha256)))


def _facts(thing: Thing, method: str, state: str, now: int) -> dict[str, Any]:
    return {
        "method": method,
        "what": thing.what,
        "subject": thing.subject,
        "tree_size": thing.tree_size,
        "note": thing.note,
        "state": state,
        "owed_at": now,
    }


def _insert(connection: Connection, service: str, sha256: str, facts: Mapping[str, Any]) -> None:
    usual = {"proof": b"", "submitted_at": 0, "tries": 0, "try_at": 0, "said": "", "told": False, "ends_at": 0}
    connection.execute(insert(ANCHORS).values(service=service, sha256=sha256, **{**usual, **facts}))


def _of(service: str, sha256: str) -> tuple[Any, Any]:
    return ANCHORS.c.service == service, ANCHORS.c.sha256 == sha256
