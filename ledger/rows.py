"""Between rows and entries: the statements that read and write the log inside somebody's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, select, update

from ledger.commitments import Disclosure
from ledger.errors import LogCorruptedError, SubmissionError
from ledger.events import Entry, Event, parse_stored
from ledger.merkle import Frontier
from ledger.postgresql_copy import COPIED_ROWS, copy_events
from ledger.tables import DISCLOSURES, EVENTS, HEAD, key_of_id, key_of_subject
from ledger.tree import grow
from ledger.verification import Head

# Made once: building a statement costs as much as running it.
_HEAD = select(HEAD.c.size, HEAD.c.received_at)
_LOCKED_HEAD = select(HEAD.c.size, HEAD.c.received_at, HEAD.c.frontier).with_for_update()
_KNOWN = f"SELECT position, received_at, event_id, event FROM {EVENTS.name} WHERE event_key IN "  # noqa: S608
_ABOUT = (
    select(EVENTS.c.position, EVENTS.c.received_at, EVENTS.c.event)
    .where(
        EVENTS.c.subject_key.in_(bindparam("subjects", expanding=True)),
        EVENTS.c.position >= bindparam("start"),
        EVENTS.c.position < bindparam("stop"),
    )
    .order_by(EVENTS.c.position)
)
_INSERTS = {
    database: f"INSERT INTO {EVENTS.name} ({', '.join(EVENTS.c.keys())}) VALUES ({', '.join([mark] * len(EVENTS.c))})"  # noqa: S608
    for database, mark in (("sqlite", "?"), ("postgresql", "%s"))
}
_MOVE = (
    update(HEAD)
    .where(HEAD.c.id == 1, HEAD.c.size == bindparam("before"))
    .values(size=bindparam("grown"), received_at=bindparam("newest"), frontier=bindparam("edge"))
)
_CREATED = (
    select(EVENTS.c.subject_key, EVENTS.c.position, EVENTS.c.received_at, EVENTS.c.event)
    .where(EVENTS.c.subject_key.in_(bindparam("subjects", expanding=True)), EVENTS.c.event_type == "record_created")
    .order_by(EVENTS.c.position)
)


class KnownRecords:
    """Records of papers that a log is known to hold; one that stands is never changed, so it need not be read again."""

    def __init__(self, most: int = 2_048) -> None:
        self._most = most
        self._entries: dict[str, Entry] = {}

    def get(self, subject: str) -> Entry | None:
        return self._entries.get(subject)

    def add(self, subject: str, entry: Entry) -> None:
        """Remember a record that was read from the log, in place of the one that was remembered first."""
        if len(self._entries) >= self._most:
            del self._entries[next(iter(self._entries))]
        self._entries[subject] = entry


class BatchTargets:
    """What the log, and the batch so far, hold about the subjects of one batch.

    Args:
        at_hand: entries of the log that need not be read again.
        known: remembers records from one batch to the next.
    """

    def __init__(
        self,
        connection: Connection,
        subjects: set[str],
        at_hand: Sequence[Entry] = (),
        known: KnownRecords | None = None,
    ) -> None:
        self._connection = connection
        self._events: dict[bytes, Entry] = {}
        self._known = known or KnownRecords()
        # Held for as long as this is: what is remembered gives way to what is read meanwhile.
        self._records = {subject: entry for subject in subjects if (entry := self._known.get(subject))}
        self._at_hand = {entry.position: entry for entry in at_hand}
        self._created: dict[int, list[tuple[int, int, bytes]]] = {}
        keys = [key_of_subject(subject) for subject in subjects if subject not in self._records]
        if keys:
            for subject_key, *row in connection.execute(_CREATED, {"subjects": keys}):
                self._created.setdefault(subject_key, []).append(tuple(row))

    def add(self, entry: Entry) -> None:
        self._events[entry.event.event_id] = entry
        if entry.event.event_type == "record_created":
            self._records.setdefault(entry.event.subject, entry)

    def record(self, subject: str) -> Entry | None:
        if subject in self._records:
            return self._records[subject]
        for position, received_at, raw in self._created.get(key_of_subject(subject), ()):
            found = self._at_hand.get(position) or entry_of(position, received_at, raw)
            if found.event.subject == subject:
                self._known.add(subject, found)
                return found
        return None

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
    row = connection.execute(_HEAD).one()
    return Head(row.size, row.received_at)


def locked_head_of(connection: Connection) -> tuple[Head, Frontier]:
    """Return the head and the tree's edge for appending: until the transaction ends, nobody else can move them.

    PostgreSQL counts that as a write, so a commit waits for the replicas even where every event was known already.
    """
    row = connection.execute(_LOCKED_HEAD).one()
    return Head(row.size, row.received_at), Frontier.from_bytes(row.frontier)


def known_events(connection: Connection, events: Sequence[Event]) -> dict[bytes, Entry]:
    wanted = {event.event_id for event in events}
    if not wanted:
        return {}
    # Written out, since a bound parameter costs more than its look-up; they are integers, and nobody's words.
    keys = ",".join([str(key_of_id(event_id)) for event_id in wanted])
    return {
        row.event_id: entry_of(row.position, row.received_at, row.event)
        for row in connection.exec_driver_sql(f"{_KNOWN}({keys})")
        if row.event_id in wanted
    }


def entries_of_subject(connection: Connection, subject: str, start: int, stop: int) -> Iterator[Entry]:
    for entry in entries_of_keys(connection, [key_of_subject(subject)], start, stop):
        if entry.event.subject == subject:
            yield entry


def entries_of_keys(connection: Connection, keys: Sequence[int], start: int, stop: int) -> Iterator[Entry]:
    for row in connection.execute(_ABOUT, {"subjects": list(keys), "start": start, "stop": stop}):
        yield entry_of(row[0], row[1], row[2])


def insert_entries(
    connection: Connection, new: Sequence[Entry], disclosed: list[dict[str, object]], head: Head, edge: Frontier
) -> Frontier:
    """Write entries that follow a head, with what they disclose, and grow the tree and the head by them.

    Returns the right edge of the grown tree.

    Args:
        edge: the right edge of the tree as it stands, which grows along.

    Raises:
        LogCorruptedError: tree and log differ in size, or the head moved.
    """
    insert_events(connection, new)
    if disclosed:
        connection.execute(insert(DISCLOSURES), disclosed)
    frontier = grow(connection, [entry.leaf_hash() for entry in new], edge)
    move_head(connection, head, new, frontier)
    return frontier


def insert_events(connection: Connection, new: Sequence[Entry]) -> None:
    """Write the rows of entries."""
    if len(new) >= COPIED_ROWS and connection.dialect.name == "postgresql":
        copy_events(connection, new)
        return
    rows = [
        (
            entry.position,
            entry.received_at,
            key_of_id(event.event_id),
            key_of_subject(event.subject),
            event.event_type,
            event.event_id,
            event.raw,
        )
        for entry in new
        for event in (entry.event,)
    ]
    # What SQLAlchemy does for each row of a batch costs as much as SQLite's own work.
    connection.exec_driver_sql(_INSERTS[connection.dialect.name], rows)


def move_head(connection: Connection, head: Head, new: Sequence[Entry], frontier: Frontier) -> None:
    """Move the head past entries that follow it.

    Raises:
        LogCorruptedError: tree and log differ in size, or the head moved.
    """
    if frontier.size != head.size + len(new):
        raise LogCorruptedError(f"the tree has {frontier.size} leaves, the log {head.size + len(new)} entries")
    edge = frontier.to_bytes()
    moved = {"before": head.size, "grown": frontier.size, "newest": new[-1].received_at, "edge": edge}
    done = connection.execute(_MOVE, moved)
    if done.rowcount != 1:
        raise LogCorruptedError("the head moved while its lock was held")


def entry_of(position: int, received_at: int, raw: bytes) -> Entry:
    try:
        return Entry(position, received_at, parse_stored(raw))
    except (SubmissionError, TypeError) as error:  # SQLite keeps text in a column of bytes too
        raise LogCorruptedError(f"the entry at position {position} is damaged: {error}") from error


def checked_entry_of(row: Sequence[Any]) -> Entry:
    """Read an entry from a whole row, whose look-up columns must say what the event says.

    Raises:
        LogCorruptedError: they differ, or the event is damaged.
    """
    position, received_at, event_key, subject_key, event_type, event_id, raw = row
    entry = entry_of(position, received_at, raw)
    event = entry.event
    stated = (event_id, event_key, subject_key, event_type)
    if stated != (event.event_id, key_of_id(event.event_id), key_of_subject(event.subject), event.event_type):
        raise LogCorruptedError(f"the look-up columns at position {position} do not belong to its event")
    return entry


def check_unique(connection: Connection) -> None:
    """Check that no event stands at two positions.

    Raises:
        LogCorruptedError: one does; the first that stands a second time is named.
    """
    # The index alone tells which keys are there twice, and hardly any is: two ids may share 64 bits.
    shared = select(EVENTS.c.event_key).group_by(EVENTS.c.event_key).having(func.count() > 1)
    twice: list[tuple[int, int]] = []
    for (key,) in connection.execute(shared.order_by(EVENTS.c.event_key)).all():
        named = select(EVENTS.c.event_id, EVENTS.c.position).where(EVENTS.c.event_key == key)
        places: dict[bytes, int] = {}
        for event_id, position in connection.execute(named.order_by(EVENTS.c.position)):
            first = places.setdefault(event_id, position)
            if first != position:
                twice.append((position, first))
    if twice:
        later, first = min(twice)
        raise LogCorruptedError(f"positions {first} and {later} hold the same event")


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
