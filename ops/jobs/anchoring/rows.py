"""The rows of what is anchored where: found, added and changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from ledger.database import Database
from ledger.errors import ServiceRefusedError
from ops.jobs.anchoring.tables import ANCHORS, CONFIRMED, FAILED, NOT_REFUSED, OWED, PENDING, RENEWED
from ops.jobs.anchoring.things import CHECKPOINT, Thing
from ops.jobs.resting import SECOND, rests
from ops.timestamps.authority import AuthorityClient

UNTRIED: Final = {
    "tries": 0,
    "try_at": 0,
    "said": "",
    "refused_under": NOT_REFUSED,
    "failures": 0,
    "failing_since": 0,
}


def find(connection: Connection, service: str, sha256: str) -> Row[Any] | None:
    """Return the row of a content (hex SHA-256) at a service."""
    return connection.execute(select(ANCHORS).where(*of(service, sha256))).first()


def owe(connection: Connection, service: str, method: str, thing: Thing, now: int) -> None:
    """Note that a service is to stamp something, unless it has, or is about to."""
    if find(connection, service, thing.sha256) is None:
        add(connection, service, thing.sha256, _facts(thing, method, OWED, now))
    else:
        facts = {"state": OWED, "owed_at": now, **UNTRIED}
        change(connection, service, thing.sha256, facts, FAILED)


def keep(connection: Connection, service: str, method: str, thing: Thing, proof: bytes, state: str, now: int) -> bool:
    """Keep a service's proof of something as pending or confirmed; say False where one is kept already."""
    row = find(connection, service, thing.sha256)
    if row is not None and row.state in (PENDING, CONFIRMED, RENEWED):
        return False
    facts: dict[str, Any] = {"state": state, "proof": proof, "submitted_at": now, **UNTRIED}
    facts |= {"event_id": None, "told": False}
    if row is None:
        add(connection, service, thing.sha256, {**_facts(thing, method, state, now), **facts})
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
    where = [*of(service, sha256), *([ANCHORS.c.state == state] if state else [])]
    return bool(connection.execute(update(ANCHORS).where(*where).values(**facts)).rowcount)


def revive(connection: Connection, now: int, sha256: str | None = None) -> int:
    """Take what was given up as owed again, all of it or one content's; return how much it was."""
    mine = [
        ANCHORS.c.state == FAILED,
        ANCHORS.c.event_id.is_not(None),
        *([ANCHORS.c.sha256 == sha256] if sha256 else []),
    ]
    facts = {"state": PENDING, "owed_at": now, "submitted_at": now, **UNTRIED}
    return connection.execute(update(ANCHORS).where(*mine).values(**facts)).rowcount


def waits(row: Row[Any], now: int, policy_at: int) -> bool:
    """Say whether a row is not to be tried yet; one that was refused is, under another policy."""
    return rests(row.try_at, now) and row.refused_under in (NOT_REFUSED, policy_at)


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


def add(connection: Connection, service: str, sha256: str, facts: Mapping[str, Any]) -> None:
    """Add the row of a content at a service."""
    usual = {"proof": b"", "submitted_at": 0, "told": False, "ends_at": 0, "attested_time": "", "height": 0, **UNTRIED}
    connection.execute(insert(ANCHORS).values(service=service, sha256=sha256, **{**usual, **facts}))


def of(service: str, sha256: str) -> tuple[Any, Any]:
    return ANCHORS.c.service == service, ANCHORS.c.sha256 == sha256
