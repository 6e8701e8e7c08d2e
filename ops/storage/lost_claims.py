"""Claims of copies that the log does not hold any more, since it was restored from a backup: they are made anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Row, delete, select

from ledger.payloads import Content, StorageAttestation
from ops.jobs.following import note_read, read_anew, read_to
from ops.jobs.leases import Lease
from ops.jobs.work import Work
from ops.storage.mementos import parse_memento
from ops.storage.rows import CLAIMED, OWED, PRESERVATIONS, change_preservation
from ops.storage.statements import claims
from ops.storage.wayback import Archive

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


def owe_lost_claims(work: Work, lease: Lease, archives: Mapping[str, Archive], buckets: Mapping[str, Any]) -> None:
    """Have copies made again whose claim is gone from the log, and forget those of papers that are gone.

    Args:
        archives, buckets: those that are configured, by place.
    """
    if not is_other_log(work):
        return
    store = work.home.store
    with work.database.read() as connection:
        rows = connection.execute(select(PRESERVATIONS).where(PRESERVATIONS.c.state == CLAIMED)).all()
    stands = {row.id: _stands(row, claims(store, row.subject), archives, buckets) for row in rows}
    papers = store.of_subjects({row.subject for row in rows}, store.head().size)
    now = work.clock()
    with lease.write() as connection:
        for row in rows:
            if not papers[row.subject]:
                connection.execute(delete(PRESERVATIONS).where(PRESERVATIONS.c.id == row.id))
            elif not stands[row.id]:
                anew = {"state": OWED, "asked_at": now, "content": "", "tries": 0, "next_at": 0, "said": ""}
                change_preservation(connection, row.id, **anew)
        read_anew(connection, CURSOR)
    note_claims(work, lease)


def _stands(
    row: Row[Any], told: list[StorageAttestation], archives: Mapping[str, Archive], buckets: Mapping[str, Any]
) -> bool:
    """Say whether the claim of a copy is among what the registry has claimed; one of no place of ours is let be."""
    if row.place in buckets:
        held = json.loads(row.content).get("sha256") if row.content else None
        return any(
            one.location.kind == "s3" and isinstance(one.content, Content) and one.content.sha256 == held
            for one in told
        )
    archive = archives.get(row.place)
    if archive is None:
        return True
    mementos = [(one.location.url, parse_memento(one.location.url)) for one in told]
    return any(memento is not None and memento.url == row.url and archive.replays(at) for at, memento in mementos)
