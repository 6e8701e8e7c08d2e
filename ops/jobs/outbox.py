"""Signed events on their way to the log, kept in the very transaction that decided to say them.

A row changes and its event is put here, or neither: whatever a worker was killed at, the event reaches the log, and
only once, since the log takes an event of the same id as the same entry. What the log refuses stays here with the
reason and is offered again later. An event whose key was rotated meanwhile is signed again by the key that followed,
and one that was signed by a clock that went ahead is signed again now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, delete, func, insert, or_, select, update

from ledger.appending import Appended, Submission
from ledger.commitments import Disclosure
from ledger.database import Database
from ledger.errors import ClockSkewError, KeyNotValidError, LedgerError, SubmissionError, UsageError
from ledger.events import Entry, Event, parse_stored, sign
from ledger.signing import Signatory
from ledger.times import seconds
from ops.checkpointing import check_continues
from ops.jobs.following import DELIVERED, all_read_anew, note_read, read_to
from ops.jobs.leases import Lease
from ops.jobs.resting import SECOND
from ops.jobs.tables import OUTBOX
from ops.jobs.work import Work

AGAIN_SECONDS: Final = 3_600
"""When an event that was refused is offered again: policies and clocks change."""

BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that the log did not take: why, in words and by the error's code."""

    event: Event
    reason: str
    code: str


def put(
    connection: Connection,
    event: Event,
    disclosures: Mapping[str, Disclosure] | None = None,
    *,
    key_name: str = "event",
    now: int = 0,
) -> None:
    """Put a signed event into the outbox, in the caller's transaction; one that is there already stays as it is.

    Args:
        disclosures: the private texts it commits to.
        key_name: the file in the folder of keys that signed it, without `.json`.
        now: microseconds since 1970, for whoever looks how long it has been waiting.
    """
    known = select(func.count()).select_from(OUTBOX).where(OUTBOX.c.event_id == event.event_id)
    if connection.execute(known).scalar_one():
        return
    texts = {path: [one.salt, one.text] for path, one in (disclosures or {}).items()}
    row: dict[str, Any] = {
        "event_id": event.event_id,
        "event": event.raw,
        "disclosures": msgspec.json.encode(texts).decode(),
        "key_name": key_name,
        "put_at": now,
    }
    connection.execute(insert(OUTBOX).values(**row, try_at=0, refused="", code=""))


def deliver(work: Work, lease: Lease) -> int:
    """Append what the outbox holds to the log, in the order in which it was put there; return how much was new.

    Raises:
        UsageError: this folder is a mirror.
        LogCorruptedError: the log is no continuation of what was signed before; nothing is appended.
        LeaseLostError: somebody else works here now; what was appended stays and is only removed by them.
        StoreError: a database failed; what is not appended stays here.
    """
    _check_log(work, lease)
    created = 0
    offered: set[bytes] = set()
    while batch := _waiting(work, offered):
        work.home.check_own()
        check_continues(work.home)
        offered.update(submission.event.event_id for submission, _ in batch)
        taken: list[Entry] = []
        for (submission, key_name), outcome in zip(batch, _append(work, batch), strict=True):
            if isinstance(outcome, Appended):
                taken.append(outcome.entry)
                created += outcome.created
            else:
                _refused(work, lease, submission.event, key_name, outcome)
        with lease.write() as connection:
            ids = [entry.event.event_id for entry in taken]
            connection.execute(delete(OUTBOX).where(OUTBOX.c.event_id.in_(ids)))
            if taken:
                last = max(entry.position for entry in taken)
                note_read(connection, work.home.store, DELIVERED, last + 1)
    return created


def waiting(database: Database) -> tuple[int, list[Refused]]:
    """Return how many events wait for the log, and those of them that it refused."""
    with database.read() as connection:
        number: int = connection.execute(select(func.count()).select_from(OUTBOX)).scalar_one()
        rows = connection.execute(select(OUTBOX).where(OUTBOX.c.refused != "").order_by(OUTBOX.c.id)).all()
    return number, [Refused(parse_stored(row.event), row.refused, row.code) for row in rows]


def under_way(connection: Connection) -> list[Event]:
    """Return the events that wait for the log, refused or not."""
    return [parse_stored(raw) for raw in connection.execute(select(OUTBOX.c.event).order_by(OUTBOX.c.id)).scalars()]


def withdraw(connection: Connection, event: Event) -> None:
    """Take an event out again, in the caller's transaction: what it says is to be said in another way."""
    connection.execute(delete(OUTBOX).where(OUTBOX.c.event_id == event.event_id))


def _check_log(work: Work, lease: Lease) -> None:
    """Have every job read the log anew where what was appended from here does not stand in it any more."""
    with work.database.read() as connection:
        is_same = read_to(connection, work.home.store, DELIVERED) is not None
    if not is_same:
        with lease.write() as connection:
            if read_to(connection, work.home.store, DELIVERED) is None:
                all_read_anew(connection)


def _waiting(work: Work, offered: set[bytes]) -> list[tuple[Submission, str]]:
    now = work.clock()
    # A moment further off than any could be is from before the clock was set back.
    due = or_(OUTBOX.c.try_at <= now, OUTBOX.c.try_at > now + AGAIN_SECONDS * SECOND)
    statement = select(OUTBOX).where(due).order_by(OUTBOX.c.id).limit(BATCH + len(offered))
    with work.database.read() as connection:
        rows = connection.execute(statement).all()
    found: list[tuple[Submission, str]] = []
    for row in rows:
        if row.event_id not in offered and len(found) < BATCH:
            texts = msgspec.json.decode(row.disclosures, type=dict[str, tuple[str, str]])
            disclosures = {path: Disclosure(salt, text) for path, (salt, text) in texts.items()}
            found.append((Submission(parse_stored(row.event), disclosures), row.key_name))
    return found


def _append(work: Work, batch: Sequence[tuple[Submission, str]]) -> list[Appended | LedgerError]:
    """Append what holds in one transaction; return what became of each, in order."""
    store = work.home.store
    checked: list[Submission | SubmissionError] = []
    for submission, _ in batch:
        try:
            checked.append(store.verify(submission))
        except SubmissionError as error:
            checked.append(error)
    good = [item for item in checked if isinstance(item, Submission)]
    outcomes = iter(store.append(good, work.home.clock)) if good else iter(())
    return [item if isinstance(item, SubmissionError) else next(outcomes) for item in checked]


def _refused(work: Work, lease: Lease, event: Event, key_name: str, error: LedgerError) -> None:
    """Note why the log refused an event, or have it signed again: by the key that follows its own, or now."""
    successor = None
    if isinstance(error, KeyNotValidError):
        successor = _successor(work, event, key_name)
    elif isinstance(error, ClockSkewError) and event.created_at > seconds(work.clock()):
        successor = _kept_key(work, event, key_name)
    mine = OUTBOX.c.event_id == event.event_id
    with lease.write() as connection:
        if successor is None:
            again = work.clock() + AGAIN_SECONDS * SECOND
            connection.execute(update(OUTBOX).where(mine).values(refused=str(error), code=error.code, try_at=again))
            return
        # Only what stands here is ever appended, so of two that sign again at once one has its way.
        signed = _signed_again(event, successor)
        connection.execute(update(OUTBOX).where(mine).values(event_id=signed.event_id, event=signed.raw, refused=""))


def _successor(work: Work, event: Event, key_name: str) -> Signatory | None:
    """Return the key that is kept now in the place of the one that signed an event; None where it is the same."""
    kept = _kept_key(work, event, key_name)
    return None if kept is None or kept.key.key_id == event.signer.key_id else kept


def _kept_key(work: Work, event: Event, key_name: str) -> Signatory | None:
    """Return the key that is kept under a name, if it is of whoever signed an event."""
    try:
        signatory = work.signatory(key_name)
    except UsageError:
        return None
    return signatory if signatory.held.signer_id == event.signer.signer_id else None


def _signed_again(event: Event, signatory: Signatory) -> Event:
    """Sign the same statement with another key, now; what it commits to stays as it is."""
    value = event.value
    return sign(
        signatory.key,
        event_type=event.event_type,
        subject=event.subject,
        target=event.target,
        registry=event.registry,
        nonce=signatory.nonce(),
        created_at=signatory.now(),
        signer_type=event.signer.signer_type,
        signer_id=event.signer.signer_id,
        payload=value["payload"],
        on_behalf_of=value["signer"].get("on_behalf_of"),
    )
