"""Auditing a log by its entries alone: what they are, and that head and tree follow from them.

Everything is asked of one connection, so that it is one state of the log, however long it takes. Nothing
the log says of itself is used before it is recomputed: not its head, not its name, not a node of its tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from ledger.commitments import Disclosure, check_disclosures
from ledger.errors import VerificationError
from ledger.events import Entry
from ledger.merkle import EMPTY_ROOT, Frontier, leaf_hash
from ledger.registry import Registry
from ledger.rows import BatchTargets, check_unique, checked_entry_of
from ledger.tables import DISCLOSURES, EVENTS, HEAD, TILES, key_of_id
from ledger.tree_check import check_growth, check_no_more_tiles
from ledger.verification import Head, verify_entries
from ops.audit_steps import Advance, checking

PAGE: Final = 1_000
_STREAM: Final = "pith:registry:"


@dataclass(frozen=True, slots=True)
class Entries:
    """What the entries of a log amount to: its registry's stream, its tree, its last time (microseconds)."""

    registry: Registry
    begins_with: str
    frontier: Frontier
    received_at: int
    texts: int
    """How many private texts are kept beside the log."""

    @property
    def size(self) -> int:
        return self.frontier.size


def check_entries(connection: Connection, size: int, workers: Executor | None, advance: Advance) -> Entries:
    """Check every entry as on its first day, and the private texts beside it.

    Args:
        size: how many entries there are, as `count_entries` gives it.
        workers: check signatures beside the caller's thread.

    Raises:
        VerificationError: step `entries` (not canonical, look-up columns that do not belong to it),
            `position`, `time`, `key validity`, `rule`, `signature` or `texts`, at the position that failed.
    """
    with checking("entries", "events"):
        check_unique(connection)
    with checking("entries", "position 0"):
        first = _page(connection, 0, 1)[0].event
        if not first.subject.startswith(_STREAM):
            raise VerificationError("entries", "the log does not begin with a registry's own key")
    registry, head, frontier, texts = Registry(first.subject.removeprefix(_STREAM)), Head(0, 0), Frontier(), 0
    for start in range(0, size, PAGE):
        stop = min(start + PAGE, size)
        with checking("entries", f"positions {start} to {stop - 1}"):
            page = _page(connection, start, stop)
            targets = BatchTargets(connection, {entry.event.subject for entry in page}, page)
            head = verify_entries(page, registry, targets, head, workers)
            frontier.extend(leaf_hash(entry.leaf()) for entry in page)
            texts += _check_texts(connection, page)
        advance(len(page))
    _check_no_more_texts(connection, size)
    return Entries(registry, first.id_text, frontier, head.received_at, texts)


def count_entries(connection: Connection) -> int:
    """Return how many entries there are.

    Raises:
        VerificationError: step `entries`; there are none, or their positions have a gap.
    """
    with checking("entries", "events"):
        count, first, last = connection.execute(
            select(func.count(), func.min(EVENTS.c.position), func.max(EVENTS.c.position))
        ).one()
        if not count:
            raise VerificationError("entries", "the log has no entries, not even its root")
        if first != 0:
            raise VerificationError("entries", f"the entries begin at position {first}, not at 0")
        if last != count - 1:
            follows = EVENTS.alias()
            gap = select(func.min(EVENTS.c.position)).where(
                ~select(follows.c.position).where(follows.c.position == EVENTS.c.position + 1).exists()
            )
            missing = connection.execute(gap).scalar_one() + 1
            raise VerificationError("entries", "the entry is missing", place=f"position {missing}")
    return int(count)


def check_head(connection: Connection, entries: Entries) -> None:
    """Check that the log has one head, which names its registry and its size.

    Raises:
        VerificationError: step `head`, with the column that differs.
    """
    _check_columns(connection, {"id": 1, "registry_name": entries.registry.name, "size": entries.size})


def check_edge(connection: Connection, entries: Entries) -> None:
    """Check that the head keeps the tree's right edge and the last entry's time; raises as `check_head` does.

    This comes after the tree: what differs here alone is the head's fault, and no entry's.
    """
    _check_columns(connection, {"received_at": entries.received_at, "frontier": entries.frontier.to_bytes()})


def _check_columns(connection: Connection, expected: Mapping[str, object]) -> None:
    with checking("head", "log_head"):
        rows = connection.execute(select(HEAD)).mappings().all()
        if len(rows) != 1:
            raise VerificationError("head", f"a log has one head, this has {len(rows)}")
        for column, value in expected.items():
            found = rows[0][column]
            if found != value:
                message = f"{column} is {_shown(found)}, the entries give {_shown(value)}"
                raise VerificationError("head", message, place=f"log_head.{column}")


def check_tree(connection: Connection, entries: Entries, advance: Advance) -> int:
    """Check every stored tile byte for byte; return how many there are.

    Raises:
        VerificationError: step `tree`, with the tile that differs.
    """
    with checking("tree", "tiles"):
        check_growth(connection, 0, EMPTY_ROOT, entries.size, entries.frontier.root(), advance)
        check_no_more_tiles(connection, entries.size)
        return int(connection.execute(select(func.count()).select_from(TILES)).scalar_one())


def _page(connection: Connection, start: int, stop: int) -> list[Entry]:
    rows = select(EVENTS).where(EVENTS.c.position >= start, EVENTS.c.position < stop).order_by(EVENTS.c.position)
    return [checked_entry_of(row) for row in connection.execute(rows)]


# --- private texts -------------------------------------------------------------------------


def _check_texts(connection: Connection, page: list[Entry]) -> int:
    """Check the texts of a page of entries against their commitments; return how many there are."""
    start, stop = page[0].position, page[-1].position + 1
    rows = select(DISCLOSURES).where(DISCLOSURES.c.position >= start, DISCLOSURES.c.position < stop)
    count = 0
    for row in connection.execute(rows.order_by(DISCLOSURES.c.position, DISCLOSURES.c.path)):
        event = page[row.position - start].event
        with checking("texts", f"position {row.position}"):
            check_disclosures(event.event_type, event.value["payload"], {row.path: Disclosure(row.salt, row.text)})
        count += 1
    for entry in page:
        if entry.event.event_type == "moderation_decision" and entry.event.payload.decision == "redacted":
            _check_redacted(connection, entry)
    return count


def _check_redacted(connection: Connection, decision: Entry) -> None:
    event_id = bytes.fromhex(decision.event.target[7:])
    redacted = (EVENTS.c.event_key == key_of_id(event_id)) & (EVENTS.c.event_id == event_id)
    left = select(DISCLOSURES.c.position, DISCLOSURES.c.path).join(EVENTS, EVENTS.c.position == DISCLOSURES.c.position)
    if found := connection.execute(left.where(redacted).limit(1)).first():
        raise VerificationError(
            "texts",
            f"a text is left though position {decision.position} redacted it",
            place=f"position {found.position}, disclosures.{found.path}",
            cure="delete this row of `disclosures`, and see how it came back",
        )


def _check_no_more_texts(connection: Connection, size: int) -> None:
    outside = (DISCLOSURES.c.position < 0) | (DISCLOSURES.c.position >= size)
    if found := connection.execute(select(DISCLOSURES.c.position, DISCLOSURES.c.path).where(outside).limit(1)).first():
        raise VerificationError(
            "texts",
            "a text belongs to no entry",
            place=f"position {found.position}, disclosures.{found.path}",
        )


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else repr(value)
