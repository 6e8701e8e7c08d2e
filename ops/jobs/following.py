"""How far a job has read the log, and whether that is still the same log.

The event that was read last is kept beside the position. A log that is shorter by now, or that holds another event
there, was restored from a backup that is older than the worker's database: what was read then counts no more. The same
is kept of what this worker appended itself, which nobody may have read on to yet.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from ledger.database import Database
from ledger.store import Store
from ops.jobs.tables import CURSORS

DELIVERED: Final = "delivered"
"""Up to where the outbox has appended."""

_NO_EVENT: Final = b""


def read_to(connection: Connection, store: Store, name: str) -> int | None:
    """Return the position up to which a job has read the log, 0 where it has not begun; None where it is another log.

    Raises:
        StoreError: the log cannot be read.
    """
    row = connection.execute(select(CURSORS).where(CURSORS.c.name == name)).first()
    if row is None or not row.position:
        return 0
    if row.position > store.head().size:
        return None
    is_same = row.event_id in (None, store.entry(row.position - 1).event.event_id)
    return int(row.position) if is_same else None


def is_read(database: Database, store: Store, name: str) -> bool:
    """Say whether a job has read all of the log as it is now; raises StoreError."""
    with database.read() as connection:
        return read_to(connection, store, name) == store.head().size


def note_read(connection: Connection, store: Store, name: str, position: int) -> None:
    """Note in the caller's transaction that a job has read the log up to a position; it never goes back by this."""
    facts = {"position": position, "event_id": store.entry(position - 1).event.event_id}
    mine = CURSORS.c.name == name
    known = connection.execute(select(CURSORS.c.position).where(mine)).scalar()
    if known is None:
        connection.execute(insert(CURSORS).values(name=name, **facts))
    elif known < position:
        connection.execute(update(CURSORS).where(mine).values(**facts))


def read_anew(connection: Connection, name: str) -> None:
    """Have a job read the log from its beginning, in the caller's transaction."""
    connection.execute(delete(CURSORS).where(CURSORS.c.name == name))


def all_read_anew(connection: Connection) -> None:
    """Let every job see another log than the one it has read, in the caller's transaction."""
    read_anew(connection, DELIVERED)
    connection.execute(update(CURSORS).values(event_id=_NO_EVENT))
