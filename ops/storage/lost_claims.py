"""Claims of copies that the log does not hold any more, since it was restored from a backup: they are made anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, delete, select

from ledger.payloads import StorageAttestation
from ops.jobs.following import note_read, read_anew, read_to
from ops.jobs.leases import Lease
from ops.jobs.work import Work
from ops.storage.mementos import parse_memento
from ops.storage.rows import CLAIMED, OWED, PRESERVATIONS, change_preservation
from ops.storage.statements import claims

CURSOR: Final = "claims"


def is_other_log(work: Work) -> bool:
    """Say whether the log is another than the one that the last claims went to; raises StoreError."""
    with work.database.read() as connection:
        return read_to(connection, work.home.store, CURSOR) is None


def note_claims(work: Work, lease: Lease) -> None:
    """Note that all claims made so far stand in the log as it is now."""
    size = work.home.store.head().size
    if size:
        with lease.write() as connection:
            note_read(connection, work.home.store, CURSOR, size)


def owe_lost_claims(work: Work, lease: Lease) -> None:
    """Have copies made again whose claim is gone from the log, and forget those of papers that are gone."""
    if not is_other_log(work):
        return
    store = work.home.store
    with work.database.read() as connection:
        rows = connection.execute(select(PRESERVATIONS).where(PRESERVATIONS.c.state == CLAIMED)).all()
    papers = store.of_subjects({row.subject for row in rows}, store.head().size)
    stands = {row.id: _stands(row, claims(store, row.subject)) for row in rows}
    fresh = {"content": "", "location": "", "tries": 0, "next_at": 0, "said": ""}
    anew = {"state": OWED, "asked_at": work.clock(), **fresh}
    with lease.write() as connection:
        for row in rows:
            if not papers[row.subject]:
                connection.execute(delete(PRESERVATIONS).where(PRESERVATIONS.c.id == row.id))
            elif not stands[row.id]:
                change_preservation(connection, row.id, **anew)
        read_anew(connection, CURSOR)
    note_claims(work, lease)


def _stands(row: Row[Any], told: Sequence[StorageAttestation]) -> bool:
    """Say whether the claim of a copy is among what the registry has said; a row without one is of a known capture."""
    if row.location:
        return any(f"{one.location.kind} {one.location.url}" == row.location for one in told)
    mementos = [parse_memento(one.location.url) for one in told]
    return any(memento is not None and memento.url == row.url for memento in mementos)
