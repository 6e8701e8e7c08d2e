"""Between rows and entries: the statements that read and write the log inside somebody's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from ledger.commitments import Disclosure
from ledger.errors import LogCorruptedError, SubmissionError
from ledger.events import Entry, Event, parse_stored
from ledger.merkle import Frontier, leaf_hash
from ledger.tables import DISCLOSURES, EVENTS, HEAD, key_of_id, key_of_subject
from ledger.tree import grow
from ledger.verification import Head


class BatchTargets:
    """What the log, and the batch so far, hold about the subjects of one batch."""

    def __init__(self, connection: Connection, subjects: set[str], at_hand: Sequence[Entry] = ()) -> None:
        self._connection = connection
        self._events: dict[bytes, Entry] = {}
        self._records: dict[str, Entry] = {}
        self._at_hand = {entry.position: entry for entry in at_hand}
        keys = [key_of_subject(subject) for subject in subjects]
        created = select(EVENTS.c.subject_key, EVENTS.c.position).where(
            EVENTS.c.subject_key.in_(keys), EVENTS.c.event_type == "record_created"
        )
        self._created: dict[int, list[int]] = {}
        for subject_key, position in connection.execute(created.order_by(EVENTS.c.position)):
            self._created.setdefault(subject_key, []).append(position)

    def add(self, entry: Entry) -> None:
        self._events[entry.event.event_id] = entry
        if entry.event.event_type == "record_created":
            self._records.setdefault(entry.event.subject, entry)

    def record(self, subject: str) -> Entry | None:
        for position in self._created.get(key_of_subject(subject), ()) if subject not in self._records else ():
            found = self._at_hand.get(position) or self._entry(EVENTS.c.position == position)
            if found and found.event.subject == subject:
                self._records[subject] = found
                break
        return self._records.get(subject)

    def event(self, subject: str, event_id: bytes) -> Entry | None:
        found = self._events.get(event_id)
        if found is None:
            found = self._entry((EVENTS.c.event_key == key_of_id(event_id)) & (EVENTS.c.event_id == event_id))
        return found if found and found.event.subject == subject else None

    def about(self, event_id: bytes) -> Iterable[Entry]:
        return ()

    def _entry(self, condition: ColumnElement[bool]) -> Entry | None:
        row = self._connection.execute(select(EVENTS).where(condition)).first()
        return entry_of(row.position, row.received_at, row.event) if row else None


def head_of(connection: Connection) -> Head:
    row = connection.execute(select(HEAD.c.size, HEAD.c.received_at)).one()
    return Head(row.size, row.received_at)


def known_events(connection: Connection, events: Sequence[Event]) -> dict[bytes, Entry]:
    wanted = {event.event_id for event in events}
    statement = select(EVENTS).where(EVENTS.c.event_key.in_([key_of_id(event_id) for event_id in wanted]))
    return {
        row.event_id: entry_of(row.position, row.received_at, row.event)
        for row in connection.execute(statement)
        if row.event_id in wanted
    }


def entries_of_subject(connection: Connection, subject: str, start: int, stop: int) -> Iterator[Entry]:
    for entry in entries_of_keys(connection, [key_of_subject(subject)], start, stop):
        if entry.event.subject == subject:
            yield entry


def entries_of_keys(connection: Connection, keys: Sequence[int], start: int, stop: int) -> Iterator[Entry]:
    statement = select(EVENTS.c.position, EVENTS.c.received_at, EVENTS.c.event)
    statement = statement.where(EVENTS.c.subject_key.in_(keys), EVENTS.c.position >= start, EVENTS.c.position < stop)
    for row in connection.execute(statement.order_by(EVENTS.c.position)):
        yield entry_of(row[0], row[1], row[2])


def insert_entries(
    connection: Connection, new: Sequence[Entry], disclosed: list[dict[str, object]], head: Head
) -> None:
    """Write entries that follow a head, with what they disclose, and grow the tree and the head by them.

    Raises:
        LogCorruptedError: tree and log differ in size, or the head moved.
    """
    insert_events(connection, new)
    if disclosed:
        connection.execute(insert(DISCLOSURES), disclosed)
    move_head(connection, head, new, grow(connection, [leaf_hash(entry.leaf()) for entry in new]))


def insert_events(connection: Connection, new: Sequence[Entry]) -> None:
    """Write the rows of entries."""
    rows = [
        {
            "position": entry.position,
            "received_at": entry.received_at,
            "event_key": key_of_id(entry.event.event_id),
            "subject_key": key_of_subject(entry.event.subject),
            "event_type": entry.event.event_type,
            "event_id": entry.event.event_id,
            "event": entry.event.raw,
        }
        for entry in new
    ]
    connection.execute(insert(EVENTS), rows)


def move_head(connection: Connection, head: Head, new: Sequence[Entry], frontier: Frontier) -> None:
    """Move the head past entries that follow it.

    Raises:
        LogCorruptedError: tree and log differ in size, or the head moved.
    """
    if frontier.size != head.size + len(new):
        raise LogCorruptedError(f"the tree has {frontier.size} leaves, the log {head.size + len(new)} entries")
    grown = update(HEAD).where(HEAD.c.id == 1, HEAD.c.size == head.size)
    head_row = {"size": frontier.size, "received_at": new[-1].received_at, "frontier": frontier.to_bytes()}
    done = connection.execute(grown.values(**head_row))
    if done.rowcount != 1:
        raise LogCorruptedError("the head moved while its lock was held")


def entry_of(position: int, received_at: int, raw: bytes) -> Entry:
    try:
        return Entry(position, received_at, parse_stored(raw))
    except SubmissionError as error:
        raise LogCorruptedError(f"the entry at position {position} is damaged: {error}") from error


def checked_entry_of(row: Row[Any]) -> Entry:
    """Read an entry from a whole row, whose look-up columns must say what the event says.

    Raises:
        LogCorruptedError: they differ, or the event is damaged.
    """
    entry = entry_of(row.position, row.received_at, row.event)
    event = entry.event
    stated = (row.event_id, row.event_key, row.subject_key, row.event_type)
    if stated != (event.event_id, key_of_id(event.event_id), key_of_subject(event.subject), event.event_type):
        raise LogCorruptedError(f"the look-up columns at position {row.position} do not belong to its event")
    return entry


def check_unique(connection: Connection) -> None:
    """Check that no event stands at two positions.

    Raises:
        LogCorruptedError: one does.
    """
    one, other = EVENTS.alias(), EVENTS.alias()
    same = (one.c.event_key == other.c.event_key) & (one.c.position < other.c.position)
    twice = select(one.c.position, other.c.position).where(same, one.c.event_id == other.c.event_id)
    if found := connection.execute(twice.limit(1)).first():
        raise LogCorruptedError(f"positions {found[0]} and {found[1]} hold the same event")


def add_disclosures(connection: Connection, entry: Entry, texts: Mapping[str, Disclosure]) -> None:
    """Keep checked private texts of an entry that has none yet, unless they were redacted."""
    held = select(DISCLOSURES.c.path).where(DISCLOSURES.c.position == entry.position)
    known = set(connection.execute(held).scalars())
    subject = entry.event.subject
    redacted = any(
        other.event.event_type == "moderation_decision"
        and other.event.target == entry.event.id_text
        and other.event.payload.decision == "redacted"
        for other in entries_of_subject(connection, subject, entry.position, head_of(connection).size)
    )
    if not redacted:
        rows = disclosure_rows(entry, {path: text for path, text in texts.items() if path not in known})
        if rows:
            connection.execute(insert(DISCLOSURES), rows)


def disclosure_rows(entry: Entry, texts: Mapping[str, Disclosure]) -> list[dict[str, object]]:
    """Return the rows that hold the private texts of an entry."""
    return [
        {"position": entry.position, "path": path, "salt": text.salt, "text": text.text} for path, text in texts.items()
    ]
